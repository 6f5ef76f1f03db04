//! The template that the local system derives for `sam local`: docs/local-system.md, "Run the API under sam local".
//!
//! SAM runs functions in containers. What it would run there is run here without one: its own code reads the template and the
//! variables (`infra/local/sam_local.py`), and a process stands for each container.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use local::process::{Process, Program};
use serde_json::Value;

use crate::cargo_lambda::EnvDir;
use crate::events::{ANSWERS, by_function};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a program prints; it must succeed.
fn output(command: &mut Command) -> String {
    let output = command.current_dir(ROOT).env("AWS_DEFAULT_REGION", "us-east-1").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// SAM finds nothing to say of it, sees every route of the system, and would start programs that answer each event as there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SAM and the release build: tests/run release"]
async fn sam_runs_the_derived_template() {
    let folder = EnvDir::new();
    let test_system = folder.start_test_system().await;
    let (template, folder_path) = (folder.0.join("sam-template.json"), folder.0.to_str().unwrap());

    let told = output(Command::new("sam").args(["validate", "--lint", "--template-file"]).arg(&template));
    assert!(told.contains("is a valid SAM Template"), "{told}");

    let seen = output(Command::new("python3").args(["infra/local/sam_local.py", folder_path]));
    let seen: Value = serde_json::from_str(&seen).unwrap();
    let routes: Vec<_> = seen["routes"].as_array().unwrap().iter().map(|route| route.as_str().unwrap()).collect();
    let mut expected: Vec<_> = test_system.system().routes().into_keys().collect();
    expected.sort_unstable();
    assert_eq!(routes, expected);

    for (function, events) in by_function() {
        let of_sam = &seen["functions"][&function];
        let variables = of_sam["variables"].as_object().unwrap();
        let variables = variables.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        let program = Program {
            binary: of_sam["program"].as_str().unwrap().into(),
            name: function.clone(),
            function: function.clone(),
            variables: variables.collect(),
            on_line: Arc::new(|_| {}),
        };
        assert!(program.variables["AWS_ENDPOINT_URL_DYNAMODB"].starts_with("http://localhost:"), "{function}");
        let mut process = Process::start(&program).await.unwrap();
        for (name, event) in events {
            let answer = tokio::time::timeout(Duration::from_secs(10), process.invoke(event)).await;
            let answer = answer.expect("an answer in time").unwrap_or_else(|error| panic!("{name}: {error}"));

            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let (_, status, _) = ANSWERS.iter().find(|(known, ..)| *known == name).expect("in the table");
            assert_eq!(answer["statusCode"].as_u64(), Some(*status), "{name}: {answer}");
        }
    }
}
