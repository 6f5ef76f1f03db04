//! The interceptor between the functions and AWS: a test sees every call and may fail any.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::aws::Addresses;
use crate::listener::{ListenError, Listener, Servers};

/// Sees every call that a function makes to AWS, and decides what becomes of it. While it has not decided, the call waits.
///
/// Closures that return a future are interceptors.
pub trait Interceptor: Send + Sync + 'static {
    /// What becomes of `call`. Each try of it is a call of its own.
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Decision> + Send + '_>>;

    /// What a call consumed that was carried out, as the tables report it.
    fn consumed(&self, _: Capacity) {}
}

/// What AWS bills for a call to the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Capacity {
    /// Write units, those of indexes included.
    pub write: f64,
    /// Read units.
    pub read: f64,
}

impl<F, D> Interceptor for F
where
    F: Fn(Call) -> D + Send + Sync + 'static,
    D: Future<Output = Decision> + Send + 'static,
{
    fn call(&self, call: Call) -> Pin<Box<dyn Future<Output = Decision> + Send + '_>> {
        Box::pin(self(call))
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who makes it: the program's name.
    pub function: String,
    /// To which service.
    pub service: Service,
    /// `GetItem`, `Sign`, `Invoke` and so on.
    pub operation: String,
    /// The request's JSON; of an invocation, `FunctionName` and `Payload`.
    pub body: Value,
}

impl Call {
    /// Service and operation are in `X-Amz-Target`, or in Lambda's path; the caller is the access key of the signature.
    pub(crate) fn parse(path: &str, target: &str, authorization: &str, body: &[u8]) -> Option<Self> {
        let (_, credential) = authorization.split_once("Credential=")?;
        let function = credential.split('/').next()?.to_owned();
        let body: Value = serde_json::from_slice(body).ok()?;
        if let Some(invoked) = path.strip_prefix("/2015-03-31/functions/") {
            let name =
                percent_encoding::percent_decode_str(invoked.strip_suffix("/invocations")?).decode_utf8().ok()?;
            let body = json!({ "FunctionName": name, "Payload": body });
            return Some(Self { function, service: Service::Lambda, operation: "Invoke".to_owned(), body });
        }
        let (service, operation) = Service::from_target(target)?;
        Some(Self { function, service, operation: operation.to_owned(), body })
    }
}

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The tables.
    DynamoDb,
    /// The signing key.
    Kms,
    /// Tenants' functions.
    Lambda,
    /// The secret key of the Supabase project.
    SecretsManager,
}

impl Service {
    /// The service and the operation that `X-Amz-Target` names.
    pub(crate) fn from_target(target: &str) -> Option<(Self, &str)> {
        let (service, operation) = target.split_once('.')?;
        match service {
            "DynamoDB_20120810" => Some((Self::DynamoDb, operation)),
            "TrentService" => Some((Self::Kms, operation)),
            "secretsmanager" => Some((Self::SecretsManager, operation)),
            _ => None,
        }
    }
}

/// What becomes of a call.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It goes through.
    Pass,
    /// It never arrives.
    FailBefore(InjectedError),
    /// It is carried out, and its answer is lost.
    FailAfter(InjectedError),
    /// It is carried out, and nothing is heard of it.
    DropResponse,
    /// It never arrives, and this is answered.
    Answer {
        /// HTTP status.
        status: u16,
        /// The answer's JSON.
        body: Value,
    },
}

/// The error that the caller gets instead of an answer.
#[derive(Clone, Debug)]
pub struct InjectedError {
    /// HTTP status.
    pub status: u16,
    /// AWS's name for the error.
    pub kind: &'static str,
}

impl InjectedError {
    /// 500 `InternalServerError`, which is tried once more.
    pub const INTERNAL: Self = Self { status: 500, kind: "InternalServerError" };
    /// 400 `AccessDeniedException`, which is not.
    pub const DENIED: Self = Self { status: 400, kind: "AccessDeniedException" };
    /// 400 `TransactionCanceledException`, because another transaction held an item at that moment.
    pub const TRANSACTION_CONFLICT: Self = Self { status: 400, kind: "TransactionCanceledException" };

    /// Status and body, as AWS writes them.
    pub(crate) fn to_response(&self) -> (u16, String) {
        let mut body = json!({ "__type": self.kind, "message": "as the test wanted it" });
        if self.kind == Self::TRANSACTION_CONFLICT.kind
            && let Some(body) = body.as_object_mut()
        {
            let reasons = json!([{ "Code": "TransactionConflict" }, { "Code": "None" }]);
            body.insert("CancellationReasons".to_owned(), reasons);
        }
        (self.status, body.to_string())
    }
}

/// Puts `interceptor` before the services; the addresses at which functions are to find them.
pub(crate) async fn intercept(
    interceptor: Arc<dyn Interceptor>,
    services: Addresses,
    servers: &mut Servers,
) -> Result<Addresses, ListenError> {
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = format!("http://127.0.0.1:{}", listener.port);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let router = Router::new().fallback(proxy_call).with_state(Arc::new(Proxy { interceptor, services, client }));
    servers.serve(listener, &router);
    Ok(Addresses { dynamo: address.clone(), kms: address.clone(), lambda: address.clone(), secrets: address })
}

struct Proxy {
    interceptor: Arc<dyn Interceptor>,
    services: Addresses,
    client: Client<HttpConnector, Body>,
}

async fn proxy_call(State(proxy): State<Arc<Proxy>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let Some(call) = Call::parse(uri.path(), header("x-amz-target"), header("authorization"), &body) else {
        return error_response(&InjectedError { status: 400, kind: "UnknownOperationException" });
    };
    let address = match call.service {
        Service::DynamoDb => &proxy.services.dynamo,
        Service::Kms => &proxy.services.kms,
        Service::Lambda => &proxy.services.lambda,
        Service::SecretsManager => &proxy.services.secrets,
    };
    let address = format!("{address}{}", uri.path());
    let counts = (call.service == Service::DynamoDb).then(|| is_write(&call.operation));
    let forwarded = async || match counts {
        Some(writes) => forward_and_count(&proxy, &address, headers, &body, writes).await,
        None => forward(&proxy.client, &address, headers, body).await,
    };
    match proxy.interceptor.call(call).await {
        Decision::Pass => forwarded().await.unwrap_or_else(IntoResponse::into_response),
        Decision::FailBefore(injected) => error_response(&injected),
        Decision::FailAfter(injected) => match forwarded().await {
            Ok(_) => error_response(&injected),
            Err(unreachable) => unreachable.into_response(),
        },
        Decision::Answer { status, body } => json_response(status, body.to_string()),
        Decision::DropResponse => match forwarded().await {
            Ok(_) => std::future::pending().await,
            Err(unreachable) => unreachable.into_response(),
        },
    }
}

fn is_write(operation: &str) -> bool {
    ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"].contains(&operation)
}

/// Has the tables say what the call consumes, which functions have no use for.
async fn forward_and_count(
    proxy: &Proxy,
    address: &str,
    mut headers: HeaderMap,
    body: &[u8],
    writes: bool,
) -> Result<Response<Body>, (StatusCode, String)> {
    let unreadable = |error: &dyn std::fmt::Display| (StatusCode::BAD_GATEWAY, error.to_string());
    let mut request_json: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    if let Some(request_json) = request_json.as_object_mut() {
        request_json.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
    }
    headers.remove(header::CONTENT_LENGTH);
    let answer = forward(&proxy.client, address, headers, request_json.to_string().into()).await?;
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|error| unreadable(&error))?;
    if head.status.is_success() {
        let response_json: Value = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        let units = response_json.get("ConsumedCapacity").map(units).unwrap_or_default();
        let (write, read) = if writes { (units, 0.0) } else { (0.0, units) };
        proxy.interceptor.consumed(Capacity { write, read });
    } else if writes && String::from_utf8_lossy(&body).contains("ConditionalCheckFailedException") {
        // AWS bills a write whose condition does not hold like one that is carried out, at least a unit. The tables in here do not.
        proxy.interceptor.consumed(Capacity { write: 1.0, read: 0.0 });
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

/// One table's, or a list of several tables'.
fn units(response_json: &Value) -> f64 {
    let of_one = |response_json: &Value| response_json.get("CapacityUnits").and_then(Value::as_f64).unwrap_or_default();
    response_json.as_array().map_or_else(|| of_one(response_json), |tables| tables.iter().map(of_one).sum())
}

async fn forward(
    client: &Client<HttpConnector, Body>,
    address: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, (StatusCode, String)> {
    let unreachable = |error: &dyn std::fmt::Display| (StatusCode::BAD_GATEWAY, error.to_string());
    let mut request = Request::post(address.parse::<Uri>().map_err(|error| unreachable(&error))?);
    if let Some(all) = request.headers_mut() {
        *all = headers;
    }
    let request = request.body(Body::from(body)).map_err(|error| unreachable(&error))?;
    Ok(client.request(request).await.map_err(|error| unreachable(&error))?.map(Body::new))
}

fn error_response(injected: &InjectedError) -> Response<Body> {
    let (status, body) = injected.to_response();
    json_response(status, body)
}

fn json_response(status: u16, body: String) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}
