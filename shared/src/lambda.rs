//! Between a function and Lambda.

use std::fmt::{self, Write as _};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lambda_http::lambda_runtime::{self, Context, LambdaEvent};
use lambda_http::request::RequestContext as EventContext;
use lambda_http::{Adapter, RequestExt, Service, service_fn};
pub use lambda_http::{Body, Error};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::field::{Field, Visit};

use crate::aws::{self, http_connector};
use crate::environment::{ConfigError, Environment};
use crate::event::Event;
use crate::http::cors;
use crate::http::error_response::ErrorResponse;
use crate::http::parameters::ParameterError;
use crate::http::response::{self, Reason};
use crate::request_context::{RequestAttributes, RequestContext};

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
    fn handle_malformed(&self, request: Request, malformed: ParameterError) -> impl Future<Output = Response> + Send {
        async move { cors::open(response::no_store(ErrorResponse::from(malformed).into_response(&request, &malformed))) }
    }
}

/// A function that takes events and answers nobody.
pub trait Listener: Send + Sync + 'static {
    /// Handles one event. Upon an error Lambda delivers it again.
    fn handle(&self, event: Value) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Makes a function and serves it on Lambda until the execution environment is taken down.
///
/// # Errors
/// When it cannot be made, or the Runtime API is gone.
pub async fn serve<F: Function>(
    function: impl AsyncFnOnce(&Environment) -> Result<F, ConfigError>,
) -> Result<(), Error> {
    let served = Arc::new(ExecutionEnvironment::new(start(function).await?));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let served = Arc::clone(&served);
        async move { served.respond(event.payload.get(), event.context).await }
    }))
    .await
}

/// Makes a listener and has it handle events on Lambda until the execution environment is taken down.
///
/// # Errors
/// When it cannot be made, or the Runtime API is gone.
pub async fn listen<L: Listener>(
    listener: impl AsyncFnOnce(&Environment) -> Result<L, ConfigError>,
) -> Result<(), Error> {
    let listener = Arc::new(start(listener).await?);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let listener = Arc::clone(&listener);
        async move { listener.handle(event.payload).await }
    }))
    .await
}

/// What `make` makes, and meanwhile a connection to the tables: a start has a whole processor, whatever the function's memory.
async fn start<T>(make: impl AsyncFnOnce(&Environment) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
    crate::log::to_cloudwatch();
    let connector = http_connector::from_lambda()?;
    let config = aws::sdk_config_from_lambda(&connector)?;
    let environment = Environment::from_lambda(&config);
    let (started, ()) = tokio::join!(make(&environment), aws::open_connection_to_tables(&connector, &config));
    started
}

/// What Lambda would answer to `event`: the event's JSON in, the answer's JSON out, through `lambda_http`'s own parser. `name` is
/// what Lambda calls the function, and `invocation` this call of it.
///
/// # Errors
/// When `event` is not an event of API Gateway, as Lambda would report it.
pub async fn invoke(
    served: &Arc<ExecutionEnvironment<impl Function>>,
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
pub struct ExecutionEnvironment<F> {
    function: F,
    warm: AtomicBool,
}

/// The target of the one line of a request among all others.
const TARGET: &str = "request";

impl<F: Function> ExecutionEnvironment<F> {
    /// In one that is new.
    pub const fn new(function: F) -> Self {
        Self { function, warm: AtomicBool::new(false) }
    }

    /// The answer to an event, as API Gateway takes it.
    async fn respond(self: &Arc<Self>, event: &str, context: Context) -> Result<impl Serialize + use<F>, Error> {
        let Event { request, malformed } = Event::parse(event)?;
        let mut adapter = Adapter::from(service_fn(|request| {
            let served = Arc::clone(self);
            async move { Ok::<_, Error>(served.handle(request, malformed.map(ParameterError::NotHttp)).await) }
        }));
        adapter.call(LambdaEvent::new(request, context)).await
    }

    /// The answer, and the one log line of a request.
    async fn handle(&self, request: Request, malformed: Option<ParameterError>) -> Response {
        let started = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let context = RequestContext::new(request_attributes::<F>(&request));
        if !self.warm.swap(true, Ordering::Relaxed) {
            context.with_metrics(crate::metrics::RequestMetrics::count_cold_start);
        }
        let response = match malformed {
            None => context.clone().scope(self.function.handle(request)).await,
            Some(malformed) => context.clone().scope(self.function.handle_malformed(request, malformed)).await,
        };
        let status = response.status().as_u16();
        let reason = response.extensions().get::<Reason>().map_or("", |reason| &reason.0);
        let took = started.elapsed();
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let (function, request) = (F::NAME, context.attributes().request.as_deref().unwrap_or_default());
        let invocation = context.attributes().invocation.as_str();
        let metrics = metrics(&context, status, took);
        if status >= 500 {
            tracing::error!(target: TARGET, function, %method, path, status, reason, microseconds, request, invocation, metrics, "answered");
        } else {
            tracing::info!(target: TARGET, function, %method, path, status, reason, microseconds, request, invocation, metrics, "answered");
        }
        response
    }
}

fn request_attributes<F: Function>(request: &Request) -> RequestAttributes {
    let lambda = request.lambda_context_ref();
    let name = lambda.map(|context| context.env_config.function_name.as_str()).unwrap_or_default();
    let stack = name.strip_suffix(F::NAME).and_then(|name| name.strip_suffix('-')).map(str::to_owned);
    let (id, ip) = match request.request_context_ref() {
        Some(EventContext::ApiGatewayV2(context)) => (context.request_id.clone(), context.http.source_ip.clone()),
        _ => (None, None),
    };
    let invocation = lambda.map(|context| context.request_id.clone()).unwrap_or_default();
    RequestAttributes { function: F::NAME, stack, request: id, invocation, ip }
}

/// The object whose members make a request's line one of metrics; nothing where there is nothing to draw them into.
#[expect(clippy::disallowed_methods, reason = "CloudWatch wants the time in milliseconds")]
fn metrics(context: &RequestContext, status: u16, took: Duration) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let members = context.with_metrics(|metrics| metrics.members(context.attributes(), status, took, now));
    members.map(|members| json(&members)).unwrap_or_default()
}

/// The JSON object of a request's log line, with the metrics among its members; nothing if `event` is another.
pub(crate) fn request_line(event: &tracing::Event<'_>) -> Option<String> {
    struct LineFields {
        members: String,
        metrics: String,
    }
    impl LineFields {
        fn put(&mut self, field: &Field, value: &impl Serialize) {
            let _ = write!(self.members, r#""{}":{},"#, field.name(), json(value));
        }
    }
    impl Visit for LineFields {
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
    let mut fields = LineFields { members: "{".to_owned(), metrics: String::new() };
    event.record(&mut fields);
    // Both are objects with members.
    if let Some(metrics) = fields.metrics.strip_prefix('{') {
        fields.members.push_str(metrics);
    } else {
        fields.members.pop();
        fields.members.push('}');
    }
    Some(fields.members)
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

    struct LineCapture(Arc<Mutex<Option<String>>>);

    impl<S: Subscriber> Layer<S> for LineCapture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            *self.0.lock().unwrap() = request_line(event);
        }
    }

    fn line(log: impl FnOnce()) -> Option<Value> {
        let captured = Arc::default();
        subscriber::with_default(tracing_subscriber::registry().with(LineCapture(Arc::clone(&captured))), log);
        let line = captured.lock().unwrap().take();
        line.map(|line| serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn request_line_is_one_json_object() {
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
