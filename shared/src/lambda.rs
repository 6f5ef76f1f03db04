//! Between a function and Lambda.

use std::fmt::{self, Write as _};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lambda_http::lambda_runtime::{self, Context, LambdaEvent};
use lambda_http::request::RequestContext;
use lambda_http::{Adapter, RequestExt, Service, service_fn};
pub use lambda_http::{Body, Error};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::field::{Field, Visit};

use crate::aws::{self, http_connector};
use crate::environment::{Environment, Misconfigured};
use crate::event::Event;
use crate::http::answer::{self, Reason};
use crate::http::cors;
use crate::http::parameters::Malformed;
use crate::http::told::Told;
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

    /// Answers a request that HTTP does not allow. `request` is what is left of it: method, path and where it came from. Whoever
    /// serves pages answers with a page.
    fn refuse(&self, request: Request, malformed: Malformed) -> impl Future<Output = Response> + Send {
        async move { cors::open(answer::no_store(Told::from(malformed).answer(&request, &malformed))) }
    }
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
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let served = Arc::clone(&served);
        async move { served.respond(event.payload.get(), event.context).await }
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
    let connector = http_connector::from_lambda()?;
    let config = aws::sdk_config_from_lambda(&connector)?;
    let environment = Environment::of_lambda(&config);
    let (started, ()) = tokio::join!(make(&environment), aws::open_connection_to_tables(&connector, &config));
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
    let mut context = Context::default();
    context.request_id = invocation;
    context.env_config = Arc::new(lambda_runtime::Config { function_name: name.to_owned(), ..Default::default() });
    Ok(serde_json::to_string(&served.respond(event, context).await?)?)
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

    /// The answer to an event, as API Gateway takes it.
    async fn respond(self: &Arc<Self>, event: &str, context: Context) -> Result<impl Serialize + use<F>, Error> {
        let Event { request, malformed } = Event::parse(event)?;
        let mut adapter = Adapter::from(service_fn(|request| {
            let served = Arc::clone(self);
            async move { Ok::<_, Error>(served.answer(request, malformed.map(Malformed::NotHttp)).await) }
        }));
        adapter.call(LambdaEvent::new(request, context)).await
    }

    /// The answer, and the one log line of a request.
    async fn answer(&self, request: Request, malformed: Option<Malformed>) -> Response {
        let started = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let trail = Trail::new(asked::<F>(&request));
        if !self.warm.swap(true, Ordering::Relaxed) {
            trail.measure(crate::metrics::Measured::cold);
        }
        let response = match malformed {
            None => trail.clone().follow(self.function.handle(request)).await,
            Some(malformed) => trail.clone().follow(self.function.refuse(request, malformed)).await,
        };
        let status = response.status().as_u16();
        let reason = response.extensions().get::<Reason>().map_or("", |reason| &reason.0);
        let took = started.elapsed();
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (function, request) = (F::NAME, trail.asked().request.as_deref().unwrap_or_default());
        let invocation = trail.asked().invocation.as_str();
        let metrics = metrics(&trail, status, took);
        if status >= 500 {
            tracing::error!(target: TARGET, function, %method, path, status, reason, microseconds, request, invocation, metrics, "answered");
        } else {
            tracing::info!(target: TARGET, function, %method, path, status, reason, microseconds, request, invocation, metrics, "answered");
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

/// The object whose members make a request's line one of metrics; nothing where there is nothing to draw them into.
#[expect(clippy::disallowed_methods, reason = "CloudWatch wants the time in milliseconds")]
fn metrics(trail: &Trail, status: u16, took: Duration) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let members = trail.measure(|measured| measured.members(trail.asked(), status, took, now));
    members.map(|members| json(&members)).unwrap_or_default()
}

/// The JSON object of the line that tells of an answer, with the metrics among its members; nothing if `event` is another.
pub(crate) fn answered(event: &tracing::Event<'_>) -> Option<String> {
    struct Told {
        members: String,
        metrics: String,
    }
    impl Told {
        fn put(&mut self, field: &Field, value: &impl Serialize) {
            let _ = write!(self.members, r#""{}":{},"#, field.name(), json(value));
        }
    }
    impl Visit for Told {
        fn record_u64(&mut self, field: &Field, value: u64) {
            self.put(field, &value);
        }
        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "metrics" {
                value.clone_into(&mut self.metrics);
            } else {
                self.put(field, &value);
            }
        }
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.put(field, &format!("{value:?}"));
        }
    }
    if event.metadata().target() != TARGET {
        return None;
    }
    let mut told = Told { members: "{".to_owned(), metrics: String::new() };
    event.record(&mut told);
    // Both are objects with members.
    if let Some(metrics) = told.metrics.strip_prefix('{') {
        told.members.push_str(metrics);
    } else {
        told.members.pop();
        told.members.push('}');
    }
    Some(told.members)
}

/// Text, numbers and our own types: it would take a mistake in them to fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;
    use tracing::{Event, Subscriber, subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::*;

    struct Ear(Arc<Mutex<Option<String>>>);

    impl<S: Subscriber> Layer<S> for Ear {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap() = answered(event);
        }
    }

    fn line(tell: impl FnOnce()) -> Option<Value> {
        let heard = Arc::default();
        subscriber::with_default(tracing_subscriber::registry().with(Ear(Arc::clone(&heard))), tell);
        let line = heard.lock().unwrap().take();
        line.map(|line| serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn the_line_of_an_answer_is_an_object_with_metrics_or_without() {
        let (path, metrics) = ("/\"\n", r#"{"Stack":"amble","_aws":{}}"#);
        assert_eq!(
            line(|| tracing::info!(target: TARGET, method = %"GET", path, status = 200_u16, metrics = "", "answered")),
            Some(json!({ "method": "GET", "path": "/\"\n", "status": 200, "message": "answered" }))
        );
        assert_eq!(
            line(|| tracing::error!(target: TARGET, path, metrics, "answered")),
            Some(json!({ "path": "/\"\n", "message": "answered", "Stack": "amble", "_aws": {} }))
        );
        assert_eq!(line(|| tracing::info!(path, "answered")), None);
    }
}
