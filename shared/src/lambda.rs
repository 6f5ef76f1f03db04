//! Between a function and Lambda.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use lambda_http::{Adapter, service_fn};
pub use lambda_http::{Body, Error};

use crate::http::answer::Reason;

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

/// Serves `function` on Lambda until the environment is taken down.
///
/// # Errors
/// When the Runtime API is gone.
pub async fn serve(function: impl Function) -> Result<(), Error> {
    let function = Arc::new(function);
    lambda_http::run(service_fn(move |request| {
        let function = Arc::clone(&function);
        async move { Ok::<_, Error>(observed(&*function, request).await) }
    }))
    .await
}

/// What Lambda would answer to `event`: the event's JSON in, the answer's JSON out, through `lambda_http`'s own parser.
///
/// # Errors
/// When `event` is not an event of API Gateway, as Lambda would report it.
pub async fn invoke(function: &Arc<impl Function>, event: &str) -> Result<String, Error> {
    use lambda_http::lambda_runtime::{Context, LambdaEvent};
    use lambda_http::{Service, request::LambdaRequest};

    let event: LambdaRequest = serde_json::from_str(event)?;
    let mut adapter = Adapter::from(service_fn(|request| {
        let function = Arc::clone(function);
        async move { Ok::<_, Error>(observed(&*function, request).await) }
    }));
    let answer = adapter.call(LambdaEvent::new(event, Context::default())).await?;
    Ok(serde_json::to_string(&answer)?)
}

/// The one log line of a request.
async fn observed<F: Function>(function: &F, request: Request) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = function.handle(request).await;
    let status = response.status().as_u16();
    let reason = response.extensions().get::<Reason>().map_or("", |reason| &reason.0);
    let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::error!(function = F::NAME, %method, path, status, reason, microseconds, "answered");
    } else {
        tracing::info!(function = F::NAME, %method, path, status, reason, microseconds, "answered");
    }
    response
}
