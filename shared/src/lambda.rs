//! Between a function and Lambda.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lambda_http::lambda_runtime::{self, Context, LambdaEvent};
use lambda_http::request::RequestContext;
use lambda_http::{Adapter, RequestExt, service_fn};
pub use lambda_http::{Body, Error};
use serde::Serialize;
use serde_json::Value;

use crate::aws::connections::Connections;
use crate::aws::{self, Way};
use crate::environment::{Environment, Misconfigured};
use crate::http::answer::Reason;
use crate::metrics::Members;
use crate::trail::{Asked, Trail};

/// A request as API Gateway hands it over.
pub type Request = ::http::Request<Body>;

/// An answer as API Gateway takes it.
pub type Response = ::http::Response<Body>;

/// An endpoint. Refusing is answering, so there is no error.
pub trait Function: Send + Sync + 'static {
    /// Its name in log lines: the folder it lives in.
    const NAME: &'static str;

    /// Answers one request.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// A function that is told of something and has nobody to answer.
pub trait Listener: Send + Sync + 'static {
    /// Takes in one event. Upon an error Lambda tells it again.
    fn hear(&self, event: Value) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Makes a function and serves it on Lambda until the execution environment is taken down.
///
/// # Errors
/// When it cannot be made, or the Runtime API is gone.
pub async fn serve<F: Function>(
    function: impl AsyncFnOnce(&Environment) -> Result<F, Misconfigured>,
) -> Result<(), Error> {
    let served = Arc::new(Served::of(start(function).await?));
    lambda_http::run(service_fn(move |request| {
        let served = Arc::clone(&served);
        async move { Ok::<_, Error>(served.answer(request).await) }
    }))
    .await
}

/// Makes a listener and has it hear events on Lambda until the execution environment is taken down.
///
/// # Errors
/// When it cannot be made, or the Runtime API is gone.
pub async fn listen<L: Listener>(
    listener: impl AsyncFnOnce(&Environment) -> Result<L, Misconfigured>,
) -> Result<(), Error> {
    let listener = Arc::new(start(listener).await?);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let listener = Arc::clone(&listener);
        async move { listener.hear(event.payload).await }
    }))
    .await
}

/// What `make` makes, and meanwhile a connection to the tables: a start has a whole processor, whatever the function's memory.
async fn start<T>(make: impl AsyncFnOnce(&Environment) -> Result<T, Misconfigured>) -> Result<T, Misconfigured> {
    crate::log::to_cloudwatch();
    let connections = Connections::of_lambda();
    let aws = Way::of_lambda(&connections);
    let environment = Environment::of_lambda(&aws);
    let (started, ()) = tokio::join!(make(&environment), aws::open_to_tables(&aws, &connections));
    started
}

/// What Lambda would answer to `event`: the event's JSON in, the answer's JSON out, through `lambda_http`'s own parser. `name` is
/// what Lambda calls the function, and `invocation` this call of it.
///
/// # Errors
/// When `event` is not an event of API Gateway, as Lambda would report it.
pub async fn invoke(
    served: &Arc<Served<impl Function>>,
    event: &str,
    name: &str,
    invocation: String,
) -> Result<String, Error> {
    use lambda_http::{Service, request::LambdaRequest};

    let event: LambdaRequest = serde_json::from_str(event)?;
    let mut adapter = Adapter::from(service_fn(|request| {
        let served = Arc::clone(served);
        async move { Ok::<_, Error>(served.answer(request).await) }
    }));
    let mut context = Context::default();
    context.request_id = invocation;
    context.env_config = Arc::new(lambda_runtime::Config { function_name: name.to_owned(), ..Default::default() });
    let answer = adapter.call(LambdaEvent::new(event, context)).await?;
    Ok(serde_json::to_string(&answer)?)
}

/// A function in an execution environment.
pub struct Served<F> {
    function: F,
    warm: AtomicBool,
}

/// The target of the one line of a request among all others.
const TARGET: &str = "request";

impl<F: Function> Served<F> {
    /// In one that is new.
    pub const fn of(function: F) -> Self {
        Self { function, warm: AtomicBool::new(false) }
    }

    /// The answer, and the one log line of a request.
    async fn answer(&self, request: Request) -> Response {
        let started = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let trail = Trail::new(asked::<F>(&request));
        if !self.warm.swap(true, Ordering::Relaxed) {
            trail.measure(crate::metrics::Measured::cold);
        }
        let response = trail.clone().follow(self.function.handle(request)).await;
        let status = response.status().as_u16();
        let reason = response.extensions().get::<Reason>().map_or("", |reason| &reason.0);
        match line(&trail, method.as_str(), &path, status, reason, started.elapsed()) {
            Ok(answered) if status >= 500 => tracing::error!(target: TARGET, answered, "answered"),
            Ok(answered) => tracing::info!(target: TARGET, answered, "answered"),
            // Our own types: it would take a mistake in them.
            Err(error) => tracing::error!(%error, status, reason, "the line of a request was not written"),
        }
        response
    }
}

fn asked<F: Function>(request: &Request) -> Asked {
    let lambda = request.lambda_context_ref();
    let name = lambda.map(|context| context.env_config.function_name.as_str()).unwrap_or_default();
    let stack = name.strip_suffix(F::NAME).and_then(|name| name.strip_suffix('-')).map(str::to_owned);
    let (id, ip) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => (context.request_id.clone(), context.http.source_ip.clone()),
        _ => (None, None),
    };
    let invocation = lambda.map(|context| context.request_id.clone()).unwrap_or_default();
    Asked { function: F::NAME, stack, request: id, invocation, ip }
}

#[expect(clippy::disallowed_methods, reason = "CloudWatch wants the time in milliseconds")]
fn line(
    trail: &Trail,
    method: &str,
    path: &str,
    status: u16,
    reason: &str,
    took: Duration,
) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Line<'a> {
        message: &'static str,
        function: &'static str,
        method: &'a str,
        path: &'a str,
        status: u16,
        reason: &'a str,
        microseconds: u64,
        request: &'a str,
        invocation: &'a str,
        #[serde(flatten)]
        metrics: Option<Members<'a>>,
    }
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let asked = trail.asked();
    let line = Line {
        message: "answered",
        function: asked.function,
        method,
        path,
        status,
        reason,
        microseconds: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        request: asked.request.as_deref().unwrap_or_default(),
        invocation: &asked.invocation,
        metrics: trail.measure(|measured| measured.members(asked, status, took, now)),
    };
    serde_json::to_string(&line)
}

/// The JSON object of the line that tells of an answer; nothing if `event` is another.
pub(crate) fn answered(event: &tracing::Event<'_>) -> Option<String> {
    crate::log::text(event, TARGET, "answered")
}
