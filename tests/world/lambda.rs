//! Lambda, as much of it as a release binary needs: its Runtime API, on loopback.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A running binary; stopped when dropped.
pub struct Lambda {
    process: Child,
    events: Sender<String>,
    answers: Receiver<Result<String, String>>,
}

struct Runtime {
    events: Mutex<Receiver<String>>,
    answers: Sender<Result<String, String>>,
}

impl Lambda {
    /// Starts `binary` as Lambda does, with `variables` for its environment and nothing else.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(binary: &Path, variables: &BTreeMap<String, String>) -> Self {
        let (events, waiting) = channel(1);
        let (answered, answers) = channel(1);
        let runtime = Arc::new(Runtime { events: Mutex::new(waiting), answers: answered });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(runtime);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let process = Command::new(binary)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "under-test")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "release")
            .env("AWS_SECRET_ACCESS_KEY", "release")
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        Self { process, events, answers }
    }

    /// Hands it an event, and waits for what it answers.
    ///
    /// # Errors
    /// With what it reports to Lambda when it fails.
    ///
    /// # Panics
    /// When it says nothing for ten seconds.
    pub async fn invoke(&mut self, event: &str) -> Result<String, String> {
        self.events.send(event.to_owned()).await.expect("the runtime listens");
        let answer = tokio::time::timeout(Duration::from_secs(10), self.answers.recv()).await;
        answer.expect("an answer within ten seconds").expect("the runtime runs")
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn next(State(runtime): State<Arc<Runtime>>) -> impl IntoResponse {
    let event = runtime.events.lock().await.recv().await;
    let headers = [
        ("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000000"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:111122223333:function:under-test"),
    ];
    (if event.is_some() { StatusCode::OK } else { StatusCode::GONE }, headers, event.unwrap_or_default())
}

async fn answer(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    let _ = runtime.answers.send(Ok(body)).await;
    StatusCode::ACCEPTED
}

async fn error(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    let _ = runtime.answers.send(Err(body)).await;
    StatusCode::ACCEPTED
}
