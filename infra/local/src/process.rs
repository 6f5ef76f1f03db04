//! Functions as processes of their own: the binaries that are deployed, run as Lambda runs them, behind its Runtime API on loopback.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use shared::oauth::secret::Secret;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What is run.
#[derive(Clone)]
pub struct Program {
    /// The binary.
    pub binary: PathBuf,
    /// Its name.
    pub name: String,
    /// What Lambda calls the function.
    pub function: String,
    /// Its environment, of which it sees nothing else but what Lambda sets.
    pub variables: BTreeMap<String, String>,
    /// Is called with each line that it writes.
    pub on_line: OnLine,
}

/// Is called with each line.
pub type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

/// A running program, which answers one event at a time. Killed when dropped.
pub struct Process {
    child: Child,
    started: Instant,
    handed: u64,
    events: mpsc::Sender<Event>,
    answers: mpsc::Receiver<Result<String, String>>,
    polls: watch::Receiver<Polls>,
    tasks: [JoinHandle<()>; 2],
}

/// How often it has polled for an event, and when it first did.
#[derive(Clone, Copy, Default)]
struct Polls {
    times: u64,
    first: Option<Instant>,
}

struct Event {
    invocation: String,
    text: String,
}

struct Runtime {
    events: tokio::sync::Mutex<mpsc::Receiver<Event>>,
    answers: mpsc::Sender<Result<String, String>>,
    polls: watch::Sender<Polls>,
    arn: String,
}

impl Process {
    /// Starts `program`.
    ///
    /// # Errors
    /// When it is not there or there is no port.
    pub async fn start(program: &Program) -> io::Result<Self> {
        let (events, waiting) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        let (polls_sender, polls) = watch::channel(Polls::default());
        let arn = format!("arn:aws:lambda:us-east-1:111122223333:function:{}", program.function);
        let runtime = Arc::new(Runtime { events: waiting.into(), answers: answered, polls: polls_sender, arn });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router(runtime)).await {
                tracing::error!(%error, "the Runtime API ended");
            }
        });
        let started = Instant::now();
        let mut child = Command::new(&program.binary)
            .env_clear()
            .envs(lambda_variables(program, &address))
            .envs(&program.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.binary.display())))?;
        let (stdout, on_line) = (child.stdout.take(), Arc::clone(&program.on_line));
        let reader_task = tokio::spawn(async move {
            let Some(stdout) = stdout else { return };
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                on_line(&line);
            }
        });
        Ok(Self { child, started, handed: 0, events, answers, polls, tasks: [serving, reader_task] })
    }

    /// Its number, for as long as it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Hands it an event, and waits for what it answers.
    ///
    /// # Errors
    /// With what it reports to Lambda when it fails, or when it has ended.
    pub async fn invoke(&mut self, event: String) -> Result<String, String> {
        let invocation = uuid::Uuid::from_bytes(*Secret::<16>::random().expose()).to_string();
        self.invoke_as(invocation, event).await
    }

    /// As [`Self::invoke`], the invocation by a name of one's own.
    async fn invoke_as(&mut self, invocation: String, text: String) -> Result<String, String> {
        self.handed += 1;
        self.events.send(Event { invocation, text }).await.map_err(|_| "the Runtime API has ended".to_owned())?;
        tokio::select! {
            answer = self.answers.recv() => answer.unwrap_or_else(|| Err("the Runtime API has ended".to_owned())),
            ended = self.child.wait() => Err(format!("it ended: {ended:?}")),
        }
    }

    /// Waits until it asks for the next event: how long it was from its start until it first polled.
    ///
    /// # Errors
    /// When it ends instead.
    pub async fn idle(&mut self) -> Result<Duration, String> {
        let handed = self.handed;
        let polls = tokio::select! {
            polls = self.polls.wait_for(|polls| polls.times > handed) => polls.map(|polls| *polls).ok(),
            ended = self.child.wait() => return Err(format!("it ended: {ended:?}")),
        };
        let first = polls.and_then(|polls| polls.first).ok_or("the Runtime API has ended")?;
        Ok(first.duration_since(self.started))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // First, or it complains of a Runtime API that is gone.
        let _ = self.child.start_kill();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// As many processes of a program as there are events at once. One that has answered takes the next event, as Lambda's do.
pub struct ProcessPool {
    program: Program,
    idle: Mutex<Vec<Process>>,
    measurements: Mutex<Measurements>,
}

/// What the benchmark reads.
#[derive(Default)]
struct Measurements {
    times: Vec<Duration>,
    last: Option<String>,
}

impl ProcessPool {
    /// With two that are ready, so that what a start costs is not part of what comes.
    ///
    /// # Errors
    /// When the program does not start.
    pub(crate) async fn start(program: Program) -> Result<Self, String> {
        let mut idle = Vec::new();
        for _ in 0..2 {
            let mut process = Process::start(&program).await.map_err(|error| error.to_string())?;
            process.idle().await?;
            idle.push(process);
        }
        Ok(Self { program, idle: Mutex::new(idle), measurements: Mutex::default() })
    }

    /// The answer to `event`. A process that fails, or whose answer nobody waits for, is not used again.
    pub(crate) async fn invoke(&self, event: String, invocation: String) -> Result<String, String> {
        let process = locked(&self.idle).pop();
        let mut process = match process {
            Some(process) => process,
            None => Process::start(&self.program).await.map_err(|error| error.to_string())?,
        };
        locked(&self.measurements).last = Some(event.clone());
        let handed = Instant::now();
        let answer = process.invoke_as(invocation, event).await?;
        locked(&self.measurements).times.push(handed.elapsed());
        locked(&self.idle).push(process);
        Ok(answer)
    }

    /// What is run.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// The processes that wait for an event.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        locked(&self.idle).iter().filter_map(Process::pid).collect()
    }

    /// How long each event took since the last call, from its handing over to its answer.
    #[must_use]
    pub fn take_times(&self) -> Vec<Duration> {
        std::mem::take(&mut locked(&self.measurements).times)
    }

    /// The last event.
    #[must_use]
    pub fn last(&self) -> Option<String> {
        locked(&self.measurements).last.clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What Lambda sets. The access key is how the interceptor knows who calls.
fn lambda_variables(program: &Program, address: &str) -> [(&'static str, String); 8] {
    [
        ("AWS_LAMBDA_RUNTIME_API", address.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", program.function.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", program.name.clone()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
fn router(runtime: Arc<Runtime>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .with_state(runtime)
}

async fn next(State(runtime): State<Arc<Runtime>>) -> impl IntoResponse {
    runtime.polls.send_modify(|polls| {
        polls.times += 1;
        polls.first.get_or_insert_with(Instant::now);
    });
    let event = runtime.events.lock().await.recv().await;
    let (status, invocation, text) = match event {
        Some(Event { invocation, text }) => (StatusCode::OK, invocation, text),
        None => (StatusCode::GONE, String::new(), String::new()),
    };
    let headers = [
        ("lambda-runtime-aws-request-id", invocation),
        // Far away: who waits for the answer decides how long.
        ("lambda-runtime-deadline-ms", "4102444800000".to_owned()),
        ("lambda-runtime-invoked-function-arn", runtime.arn.clone()),
    ];
    (status, headers, text)
}

/// Whoever no longer waits for it has given up.
async fn answer(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    let _ = runtime.answers.send(Ok(body)).await;
    StatusCode::ACCEPTED
}

async fn error(State(runtime): State<Arc<Runtime>>, body: String) -> StatusCode {
    let _ = runtime.answers.send(Err(body)).await;
    StatusCode::ACCEPTED
}
