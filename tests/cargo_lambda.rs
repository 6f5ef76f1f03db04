//! Functions under cargo-lambda, beside the local system: docs/local-system.md, "Run one function under cargo-lambda".

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use shared::oauth::secret::{Secret, to_text};
use test_system::TestSystem;

use crate::events::{ANSWERS, by_function};

/// What `audit` is sent, which is no request and gets no answer.
const OF_AUDIT: [&str; 2] = ["audit/control", "audit/lines"];

/// A folder that the local system writes for it. It is gone with its test.
pub(crate) struct EnvDir(pub(crate) PathBuf);

impl EnvDir {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("amble-env-{}", to_text(Secret::<9>::random().expose()))))
    }

    /// A system that writes it.
    pub(crate) async fn start_test_system(&self) -> TestSystem {
        TestSystem::with(|options| options.env_dir = Some(self.0.clone())).await
    }
}

impl Drop for EnvDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `cargo lambda watch`, ended with all that it has started when this is dropped.
struct CargoLambda {
    process: Child,
    port: u16,
}

impl CargoLambda {
    fn start(options: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = cargo_lambda("watch", port);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let process = command.args(["--ignore-changes"]).args(options).stdin(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "cargo-lambda does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        Self { process, port }
    }

    /// As `cargo lambda invoke FUNCTION --data-file FILE` prints it.
    fn invoke(&self, function: &str, event: &str) -> Value {
        let file = Path::new("events").join(format!("{event}.json"));
        let Output { status, stdout, stderr } =
            cargo_lambda("invoke", self.port).arg(function).arg("--data-file").arg(file).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{event}: {stdout}{stderr}");
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{event}: {error}: {stdout}{stderr}"))
    }

    /// Each event of a function gets the answer that it gets in the local system.
    fn assert_events_are_answered(&self, function: &str, events: &[(String, String)]) {
        for (name, _) in events {
            let (_, status, error) = ANSWERS.iter().find(|(known, ..)| known == name).expect("in the table");
            let answer = self.invoke(function, name);
            let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
            let told = (answer["statusCode"].as_u64(), body["error"].as_str().unwrap_or_default());
            assert_eq!(told, (Some(*status), *error), "{name}: {answer}");
        }
    }
}

impl Drop for CargoLambda {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["--", &group]).status();
        let _ = self.process.wait();
    }
}

/// A command of cargo-lambda at this port, from where the documents have it run.
fn cargo_lambda(command: &str, port: u16) -> Command {
    let mut cargo_lambda = Command::new("cargo");
    cargo_lambda.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    cargo_lambda.args(["lambda", command, "--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
    cargo_lambda
}

/// Every function, compiled and started by cargo-lambda with what the local system has written, answers its events as there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs cargo-lambda, and compiles every function: tests/run watch"]
async fn watched_functions_answer_their_events() {
    let folder = EnvDir::new();
    let _test_system = folder.start_test_system().await;
    let cargo_lambda = CargoLambda::start(&["--env-file", folder.0.join("functions.env").to_str().unwrap()]);

    tokio::task::block_in_place(|| {
        for (function, events) in by_function() {
            cargo_lambda.assert_events_are_answered(&function, &events);
        }
        for event in OF_AUDIT {
            assert_eq!(cargo_lambda.invoke("audit", event), Value::Null, "{event}");
        }
    });
}

/// One function by itself, with its own dotenv file.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs cargo-lambda, and compiles a function: tests/run watch"]
async fn watched_function_answers_its_events_by_itself() {
    let folder = EnvDir::new();
    let _test_system = folder.start_test_system().await;
    let env_file = folder.0.join("token.env");
    let cargo_lambda = CargoLambda::start(&["--bin", "token", "--env-file", env_file.to_str().unwrap()]);
    let all = by_function();
    let (function, events) = all.iter().find(|(function, _)| function == "token").unwrap();

    tokio::task::block_in_place(|| cargo_lambda.assert_events_are_answered(function, events));
}

/// Each program, started by something else with its own dotenv file alone, as a debugger does it, takes its events from
/// cargo-lambda.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs cargo-lambda and the release build: tests/run release"]
async fn started_programs_take_events_from_cargo_lambda() {
    let folder = EnvDir::new();
    let _test_system = folder.start_test_system().await;
    let cargo_lambda = CargoLambda::start(&["--only-lambda-apis"]);

    tokio::task::block_in_place(|| {
        for (function, events) in by_function() {
            let mut program = start(&folder, &function, cargo_lambda.port);
            cargo_lambda.assert_events_are_answered(&function, &events);
            program.kill().unwrap();
            program.wait().unwrap();
        }
    });
}

/// With the variables of its file, and those that cargo-lambda says it needs.
fn start(folder: &EnvDir, function: &str, port: u16) -> Child {
    let file = std::fs::read_to_string(folder.0.join(format!("{function}.env"))).unwrap();
    let variables = file.lines().map(|line| {
        let (name, value) = line.split_once('=').unwrap();
        (name.to_owned(), value.trim_matches('\'').to_owned())
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Command::new(root.join("target/lambda").join(function).join("bootstrap"))
        .env_clear()
        .envs(variables)
        .env("AWS_LAMBDA_RUNTIME_API", format!("http://127.0.0.1:{port}/.rt/{function}"))
        .env("AWS_LAMBDA_FUNCTION_NAME", function)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4096")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
