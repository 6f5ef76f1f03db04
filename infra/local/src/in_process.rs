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
use dynoxide::Database;
use fakes::kms::Kms;

use crate::database_operation;
use crate::interceptor::{Call, Decision, InjectedError, Interceptor, Service};
use crate::table_faults::TableFaults;

/// Both services, and who watches the way to them.
#[derive(Clone)]
pub(crate) struct InProcessConnector {
    database: Database,
    /// What happens on the way to the database, if anything does.
    table_faults: Option<Arc<TableFaults>>,
    kms: Arc<Kms>,
    interceptor: Option<Arc<dyn Interceptor>>,
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
    /// Past any interceptor.
    pub(crate) fn new(database: &Database, table_faults: Option<&Arc<TableFaults>>, kms: &Arc<Kms>) -> Self {
        let (database, table_faults) = (database.clone(), table_faults.cloned());
        Self { database, table_faults, kms: Arc::clone(kms), interceptor: None }
    }

    pub(crate) fn intercepted_by(self, interceptor: Option<Arc<dyn Interceptor>>) -> Self {
        Self { interceptor, ..self }
    }

    async fn answer(&self, request: &HttpRequest) -> Result<(u16, String), ConnectorError> {
        const TARGET: &str = "x-amz-target";
        const AUTHORIZATION: &str = "authorization";
        let header = |name| request.headers().get(name).unwrap_or_default();
        let (target, authorization) = (header(TARGET), header(AUTHORIZATION));
        let body = request.body().bytes().ok_or_else(|| connector_error("a body that is sent as it is made"))?;
        let unknown = InjectedError { status: 400, kind: "UnknownOperationException" };
        let Some((service, operation)) = Service::from_target(target) else { return Ok(unknown.to_response()) };
        let perform_call = async || match service {
            Service::DynamoDb => match &self.table_faults {
                Some(faults) => {
                    let call = Call::parse("/", target, authorization, body);
                    Ok(faults.answer(call.ok_or_else(|| connector_error("a call without a caller"))?).await)
                }
                None => Ok(database_operation::perform(&self.database, operation, body)),
            },
            Service::Kms => {
                let mut headers = HeaderMap::new();
                for (name, value) in [(TARGET, target), (AUTHORIZATION, authorization)] {
                    let value = HeaderValue::from_str(value).map_err(connector_error)?;
                    headers.insert(HeaderName::from_static(name), value);
                }
                read(self.kms.answer(&headers, body)).await
            }
            // Their fakes answer at a socket only.
            Service::Lambda | Service::SecretsManager => Ok(unknown.to_response()),
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

async fn read(answer: axum::response::Response) -> Result<(u16, String), ConnectorError> {
    const MOST: usize = 1 << 20;
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(Body::new(answer.into_body()), MOST).await.map_err(connector_error)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn connector_error(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectorError {
    ConnectorError::other(reason.into(), None)
}
