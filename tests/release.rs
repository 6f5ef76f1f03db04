//! The binaries that are deployed, run as Lambda runs them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use local::process::{Process, Program};
use serde_json::Value;
use test_system::TestSystem;

/// Every release binary answers its events as the function in the local system does.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the release build: tests/run makes it"]
async fn each_release_binary_answers_its_events() {
    let test_system = TestSystem::new().await;

    for (function, events) in crate::events::by_function() {
        let mut variables = test_system.system().variables(&function).expect("a function").clone();
        variables.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), test_system.system().dynamo_url().to_owned());
        variables.insert("AWS_ENDPOINT_URL_KMS".to_owned(), test_system.system().kms_url().to_owned());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lambda");
        let program = Program {
            binary: folder.join(&function).join("bootstrap"),
            name: function.clone(),
            function,
            variables,
            on_line: Arc::new(|_| {}),
        };
        let mut process = Process::start(&program).await.unwrap();

        for (name, event) in events {
            let answer = tokio::time::timeout(Duration::from_secs(10), process.invoke(event)).await;
            let answer = answer.expect("an answer in time").unwrap_or_else(|error| panic!("{name}: {error}"));

            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            let expected = crate::events::ANSWERS.iter().find(|(known, ..)| *known == name).expect("in the table");
            assert_eq!(answer["statusCode"].as_u64(), Some(expected.1), "{name}: {answer}");
        }
    }
}
