//! A program in another language, spoken to in lines of JSON.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A running program. It is killed with its test.
pub(crate) struct Script {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts a program. What it complains about goes where the test's complaints go.
    pub(crate) fn start(program: impl AsRef<Path>, script: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program.as_ref())
            .arg(at(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{} does not start; tests/run installs it: {error}", program.as_ref().display())
            });
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take().unwrap(), output, child }
    }

    /// What it says next.
    pub(crate) async fn receive(&mut self) -> Value {
        let line = timeout(TIMEOUT, self.output.next_line()).await.expect("it says something").unwrap();
        let line = line.expect("it has more to say");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Tells it something.
    pub(crate) async fn send(&mut self, value: &Value) {
        self.input.write_all(format!("{value}\n").as_bytes()).await.unwrap();
    }

    /// Lets it end, which it must do well and in silence.
    pub(crate) async fn finish(mut self) {
        drop(self.input);
        let rest = timeout(TIMEOUT, self.output.next_line()).await.expect("it ends").unwrap();
        assert_eq!(rest, None);
        let status = timeout(TIMEOUT, self.child.wait()).await.expect("it ends").unwrap();
        assert!(status.success(), "{status}");
    }
}

/// A path of the repository.
pub(crate) fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

const TIMEOUT: Duration = Duration::from_mins(1);
