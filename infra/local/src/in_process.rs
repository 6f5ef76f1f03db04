//! The SDK's HTTP client without a socket: what would be sent is answered on the spot, intercepted or not, in the caller's own task.
//!
//! For tests that make millions of calls. Nothing waits for the operating system, so tokio's clock, if it is paused, turns only
//! while a call waits on purpose.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use dynoxide::{Database, DynoxideError};
use fakes::kms::Kms;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::interceptor::{Call, Decision, InjectedError, Interceptor, Service};

/// Both services, and who watches the way to them.
#[derive(Clone)]
pub(crate) struct InProcessConnector {
    pub(crate) database: Database,
    pub(crate) kms: Arc<Kms>,
    pub(crate) interceptor: Option<Arc<dyn Interceptor>>,
}

impl fmt::Debug for InProcessConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcessConnector")
    }
}

impl HttpConnector for InProcessConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            let (status, answer) = connector.answer(&request).await?;
            let status = status.try_into().map_err(connector_error)?;
            Ok(HttpResponse::new(status, answer.into()))
        })
    }
}

impl InProcessConnector {
    async fn answer(&self, request: &HttpRequest) -> Result<(u16, String), ConnectorError> {
        const TARGET: &str = "x-amz-target";
        const AUTHORIZATION: &str = "authorization";
        let header = |name| request.headers().get(name).unwrap_or_default();
        let (target, authorization) = (header(TARGET), header(AUTHORIZATION));
        let body = request.body().bytes().ok_or_else(|| connector_error("a body that is sent as it is made"))?;
        let unknown = InjectedError { status: 400, kind: "UnknownOperationException" };
        let Some((service, operation)) = Service::from_target(target) else { return Ok(unknown.to_response()) };
        let perform_call = async || match service {
            Service::DynamoDb => Ok(call_database(&self.database, operation, body)),
            Service::Kms => {
                let mut headers = HeaderMap::new();
                for (name, value) in [(TARGET, target), (AUTHORIZATION, authorization)] {
                    let value = HeaderValue::from_str(value).map_err(connector_error)?;
                    headers.insert(HeaderName::from_static(name), value);
                }
                read(self.kms.answer(&headers, body)).await
            }
            // Its operations are paths, and its fake answers at a socket only.
            Service::Lambda => Ok(unknown.to_response()),
        };
        let Some(interceptor) = &self.interceptor else { return perform_call().await };
        let Some(call) = Call::parse("/", target, authorization, body) else { return Ok(unknown.to_response()) };
        match interceptor.call(call).await {
            Decision::Pass => perform_call().await,
            Decision::FailBefore(injected) => Ok(injected.to_response()),
            Decision::FailAfter(injected) => perform_call().await.map(|_| injected.to_response()),
            Decision::Answer { status, body } => Ok((status, body.to_string())),
            Decision::DropResponse => match perform_call().await {
                Ok(_) => std::future::pending().await,
                Err(error) => Err(error),
            },
        }
    }
}

/// What the tables' own server does with a request, for the operations that there are in `shared::store`.
fn call_database(database: &Database, operation: &str, body: &[u8]) -> (u16, String) {
    let answered = match operation {
        "GetItem" => perform(body, |request| database.get_item(request)),
        "PutItem" => perform(body, |request| database.put_item(request)),
        "UpdateItem" => perform(body, |request| database.update_item(request)),
        "DeleteItem" => perform(body, |request| database.delete_item(request)),
        "BatchWriteItem" => perform(body, |request| database.batch_write_item(request)),
        "BatchGetItem" => perform(body, |request| database.batch_get_item(request)),
        "Query" => perform(body, |request| database.query(request)),
        "TransactWriteItems" => perform(body, |request| database.transact_write_items(request)),
        _ => return InjectedError { status: 400, kind: "UnknownOperationException" }.to_response(),
    };
    match answered {
        Ok(answer) => (200, answer),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

fn perform<Input: DeserializeOwned, Output: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Input) -> dynoxide::Result<Output>,
) -> dynoxide::Result<String> {
    let input =
        serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))?;
    serde_json::to_string(&operation(input)?).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

async fn read(answer: axum::response::Response) -> Result<(u16, String), ConnectorError> {
    const MOST: usize = 1 << 20;
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(Body::new(answer.into_body()), MOST).await.map_err(connector_error)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn connector_error(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::other(reason.into(), None)
}
