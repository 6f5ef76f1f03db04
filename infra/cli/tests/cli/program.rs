//! The program, and a folder for what it works on.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use local::System;
use serde_json::Value;
use shared::clock::Clock;
use test_system::TestSystem;
use tokio::process::Command;

/// A test system at this machine's time, which is the program's.
pub(crate) async fn test_system() -> TestSystem {
    TestSystem::with(|options| options.clock = Clock::system()).await
}

/// The program, with nothing in its environment but a way to AWS.
pub(crate) struct Amble(pub(crate) Vec<(String, String)>);

/// How it ended.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Amble {
    pub(crate) fn of_environment(endpoint: &str) -> Self {
        let pairs = [
            ("AWS_ACCESS_KEY_ID", "operator"),
            ("AWS_SECRET_ACCESS_KEY", "operator"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", endpoint),
        ];
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }

    pub(crate) fn of(test_system: &TestSystem) -> Self {
        Self::of_tables(test_system.system(), test_system.system().dynamo_url())
    }

    /// The tables of a system, reached another way.
    pub(crate) fn of_tables(system: &System, endpoint: &str) -> Self {
        let mut amble = Self::of_environment(endpoint);
        amble.0.extend(system.tables().iter().map(|(name, table)| (name.clone(), table.clone())));
        amble.with("SUPABASE_URL", system.supabase_url()).with("SUPABASE_SECRET_KEY", "sb_secret_local")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amble"));
        command
            .args(arguments)
            .env_clear()
            .envs(self.0.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> CommandOutput {
        let output = self.command(arguments).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let status = output.status.code().unwrap();
        CommandOutput { status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub(crate) async fn text(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{arguments:?} {ended:?}");
        ended.stdout
    }

    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let said = self.text(&[arguments, &["--json"]].concat()).await;
        assert_eq!(said.lines().count(), 1, "{said}");
        serde_json::from_str(&said).unwrap()
    }

    /// What it complains about: nothing said, and this status.
    pub(crate) async fn fails_with(&self, status: i32, arguments: &[&str]) -> String {
        let ended = self.run(arguments).await;
        assert_eq!((ended.status, ended.stdout.as_str()), (status, ""), "{arguments:?} {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        ended.stderr
    }
}

/// A folder that is gone with its test.
pub(crate) struct TempDir(pub(crate) PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("amble-{}-{name}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        std::fs::create_dir_all(&self.0).unwrap();
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
