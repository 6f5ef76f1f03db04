//! Serves a function on Lambda.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lambda_http::http::Method;
use lambda_http::lambda_runtime::{self, Context, LambdaEvent};
use lambda_http::request::RequestContext as EventContext;
use lambda_http::{Adapter, RequestExt, Service, service_fn};
pub use lambda_http::{Body, Error, Request};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api_gateway_event::Event;
use crate::aws::{self, http_connector};
use crate::clock::Deadline;
use crate::environment::{ConfigError, Environment};
use crate::http::client_address;
use crate::http::cors;
use crate::http::edge::{AroundEdge, Edge};
use crate::http::oauth_error_response::OAuthErrorResponse;
use crate::http::parameters::ParameterError;
use crate::http::response::{self, Reason};
use crate::telemetry::log;
use crate::telemetry::metrics::RequestMetrics;
use crate::telemetry::request_attributes::RequestAttributes;
use crate::telemetry::request_context::RequestContext;
use crate::telemetry::request_log;

/// A response as API Gateway takes it.
pub type Response = lambda_http::Response<Body>;

/// An endpoint. A refusal is a response too, so there is no error.
pub trait Function: Send + Sync + 'static {
    /// Its name in log lines: the folder it lives in.
    const NAME: &'static str;

    /// Answers one request.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// Answers a request that breaks the rules of HTTP. Only method, path and source address are left in
    /// `request`. Functions that serve pages override this with a page.
    fn handle_malformed(&self, request: Request, malformed: ParameterError) -> impl Future<Output = Response> + Send {
        async move {
            cors::open(response::no_store(OAuthErrorResponse::from(malformed).into_response(&request, &malformed)))
        }
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
    let served = async |environment: &Environment| {
        Ok(ExecutionEnvironment::new(function(environment).await?, Edge::new(environment)?))
    };
    let served = Arc::new(start(served).await?);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let served = Arc::clone(&served);
        let deadline = Deadline::at(event.context.deadline());
        async move { served.respond(event.payload.get(), event.context, deadline).await }
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

/// Runs `make`, and meanwhile opens a connection to the tables: a start has a whole processor, whatever the
/// function's memory.
async fn start<T>(make: impl AsyncFnOnce(&Environment) -> Result<T, ConfigError>) -> Result<T, ConfigError> {
    log::to_cloudwatch();
    let connector = http_connector::from_lambda()?;
    let config = aws::sdk_config_from_lambda(&connector)?;
    let environment = Environment::from_lambda(&config);
    let (started, ()) = tokio::join!(make(&environment), aws::open_connection_to_tables(&connector, &config));
    started
}

/// The response of Lambda to `event`, both as JSON, through `lambda_http`'s own parser. `name` is Lambda's
/// name of the function, `invocation` its id of this call, and `deadline` when it ends the call.
///
/// # Errors
/// When `event` is not an event of API Gateway, as Lambda would report it.
pub async fn invoke(
    served: &Arc<ExecutionEnvironment<impl Function>>,
    event: &str,
    name: &str,
    invocation: String,
    deadline: Deadline,
) -> Result<String, Error> {
    let mut context = Context::default();
    context.request_id = invocation;
    context.env_config = Arc::new(lambda_runtime::Config { function_name: name.to_owned(), ..Default::default() });
    Ok(serde_json::to_string(&served.respond(event, context, deadline).await?)?)
}

/// A function in an execution environment.
pub struct ExecutionEnvironment<F> {
    function: F,
    edge: Edge,
    warm: AtomicBool,
}

impl<F: Function> ExecutionEnvironment<F> {
    /// In one that is new, behind `edge`.
    pub const fn new(function: F, edge: Edge) -> Self {
        Self { function, edge, warm: AtomicBool::new(false) }
    }

    /// The answer to an event, as API Gateway takes it. A request has its [`Deadline`] among its extensions.
    async fn respond(
        self: &Arc<Self>,
        event: &str,
        context: Context,
        deadline: Deadline,
    ) -> Result<impl Serialize + use<F>, Error> {
        let Event { request, malformed } = Event::parse(event)?;
        let mut adapter = Adapter::from(service_fn(|mut request: Request| {
            request.extensions_mut().insert(deadline);
            let served = Arc::clone(self);
            async move { Ok::<_, Error>(served.handle(request, malformed.map(ParameterError::NotHttp)).await) }
        }));
        adapter.call(LambdaEvent::new(request, context)).await
    }

    /// The answer, and the one log line of a request.
    async fn handle(&self, mut request: Request, malformed: Option<ParameterError>) -> Response {
        let started = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if method == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        let mut attributes = request_attributes::<F>(&request);
        let admitted = self.edge.admit(&mut request, attributes.ip.as_deref().and_then(|ip| ip.parse().ok()));
        if let Ok(Some(address)) = admitted {
            attributes.ip = Some(address.to_string());
            attributes.subscriber = Some(client_address::subscriber(address));
        }
        let context = RequestContext::new(attributes);
        if !self.warm.swap(true, Ordering::Relaxed) {
            context.with_metrics(RequestMetrics::count_cold_start);
        }
        let mut response = match (admitted, malformed) {
            (Err(AroundEdge), _) => AroundEdge::response(),
            (Ok(_), Some(malformed)) => context.clone().scope(self.function.handle_malformed(request, malformed)).await,
            (Ok(_), None) => context.clone().scope(self.function.handle(request)).await,
        };
        // HEAD is GET without the body (RFC 9110 §9.3.2). Clients ask so for the challenge, uptime checks for anything.
        if method == Method::HEAD {
            *response.body_mut() = Body::Empty;
        }
        let reason = response.extensions().get::<Reason>().map_or("", |reason| &reason.0);
        request_log::write(&context, &method, &path, response.status(), reason, started.elapsed());
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
    RequestAttributes { function: F::NAME, stack, request: id, invocation, ip, subscriber: None }
}
