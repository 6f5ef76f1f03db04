//! The wire between the functions and AWS, watched: a test sees every call and may break any.

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
use crate::listener::{Listener, NoListener, Servers};

/// Sees every call that a function makes to AWS, and decides what becomes of it. While it has not decided, the call waits.
///
/// Closures that return a future are wires.
pub trait Wire: Send + Sync + 'static {
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

impl<F, D> Wire for F
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
    pub(crate) fn read(path: &str, target: &str, authorization: &str, body: &[u8]) -> Option<Self> {
        let (_, credential) = authorization.split_once("Credential=")?;
        let function = credential.split('/').next()?.to_owned();
        let body: Value = serde_json::from_slice(body).ok()?;
        if let Some(invoked) = path.strip_prefix("/2015-03-31/functions/") {
            let name =
                percent_encoding::percent_decode_str(invoked.strip_suffix("/invocations")?).decode_utf8().ok()?;
            let body = json!({ "FunctionName": name, "Payload": body });
            return Some(Self { function, service: Service::Lambda, operation: "Invoke".to_owned(), body });
        }
        let (service, operation) = Service::of_target(target)?;
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
}

impl Service {
    /// The service and the operation that `X-Amz-Target` names.
    pub(crate) fn of_target(target: &str) -> Option<(Self, &str)> {
        let (service, operation) = target.split_once('.')?;
        match service {
            "DynamoDB_20120810" => Some((Self::DynamoDb, operation)),
            "TrentService" => Some((Self::Kms, operation)),
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
    FailBefore(Failing),
    /// It is carried out, and its answer is lost.
    FailAfter(Failing),
    /// It is carried out, and nothing is heard of it.
    Silence,
}

/// What the caller is told instead of an answer.
#[derive(Clone, Debug)]
pub struct Failing {
    /// HTTP status.
    pub status: u16,
    /// AWS's name for the error.
    pub kind: &'static str,
}

impl Failing {
    /// 500 `InternalServerError`, which is tried once more.
    pub const INTERNAL: Self = Self { status: 500, kind: "InternalServerError" };
    /// 400 `AccessDeniedException`, which is not.
    pub const DENIED: Self = Self { status: 400, kind: "AccessDeniedException" };
    /// 400 `TransactionCanceledException`, because another transaction held an item at that moment.
    pub const IN_THE_WAY: Self = Self { status: 400, kind: "TransactionCanceledException" };

    /// Status and body, as AWS writes them.
    pub(crate) fn told(&self) -> (u16, String) {
        let mut body = json!({ "__type": self.kind, "message": "as the test wanted it" });
        if self.kind == Self::IN_THE_WAY.kind
            && let Some(body) = body.as_object_mut()
        {
            let reasons = json!([{ "Code": "TransactionConflict" }, { "Code": "None" }]);
            body.insert("CancellationReasons".to_owned(), reasons);
        }
        (self.status, body.to_string())
    }
}

/// Puts `wire` before the services; the addresses at which functions are to find them.
pub(crate) async fn watch(
    wire: Arc<dyn Wire>,
    services: Addresses,
    servers: &mut Servers,
) -> Result<Addresses, NoListener> {
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = format!("http://127.0.0.1:{}", listener.port);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let router = Router::new().fallback(pass).with_state(Arc::new(Watched { wire, services, client }));
    servers.serve(listener, &router);
    Ok(Addresses { dynamo: address.clone(), kms: address.clone(), lambda: address })
}

struct Watched {
    wire: Arc<dyn Wire>,
    services: Addresses,
    client: Client<HttpConnector, Body>,
}

async fn pass(State(watched): State<Arc<Watched>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let Some(call) = Call::read(uri.path(), header("x-amz-target"), header("authorization"), &body) else {
        return answer(&Failing { status: 400, kind: "UnknownOperationException" });
    };
    let address = match call.service {
        Service::DynamoDb => &watched.services.dynamo,
        Service::Kms => &watched.services.kms,
        Service::Lambda => &watched.services.lambda,
    };
    let address = format!("{address}{}", uri.path());
    let counts = (call.service == Service::DynamoDb).then(|| is_write(&call.operation));
    let forwarded = async || match counts {
        Some(writes) => count(&watched, &address, headers, &body, writes).await,
        None => forward(&watched.client, &address, headers, body).await,
    };
    match watched.wire.call(call).await {
        Decision::Pass => forwarded().await.unwrap_or_else(IntoResponse::into_response),
        Decision::FailBefore(failing) => answer(&failing),
        Decision::FailAfter(failing) => match forwarded().await {
            Ok(_) => answer(&failing),
            Err(unreachable) => unreachable.into_response(),
        },
        Decision::Silence => match forwarded().await {
            Ok(_) => std::future::pending().await,
            Err(unreachable) => unreachable.into_response(),
        },
    }
}

fn is_write(operation: &str) -> bool {
    ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"].contains(&operation)
}

/// Has the tables say what the call consumes, which functions have no use for.
async fn count(
    watched: &Watched,
    address: &str,
    mut headers: HeaderMap,
    body: &[u8],
    writes: bool,
) -> Result<Response<Body>, (StatusCode, String)> {
    let unreadable = |error: &dyn std::fmt::Display| (StatusCode::BAD_GATEWAY, error.to_string());
    let mut asked: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    if let Some(asked) = asked.as_object_mut() {
        asked.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
    }
    headers.remove(header::CONTENT_LENGTH);
    let answer = forward(&watched.client, address, headers, asked.to_string().into()).await?;
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|error| unreadable(&error))?;
    if head.status.is_success() {
        let told: Value = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        let units = told.get("ConsumedCapacity").map(units).unwrap_or_default();
        let (write, read) = if writes { (units, 0.0) } else { (0.0, units) };
        watched.wire.consumed(Capacity { write, read });
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

/// One table's, or a list of several tables'.
fn units(told: &Value) -> f64 {
    let of_one = |told: &Value| told.get("CapacityUnits").and_then(Value::as_f64).unwrap_or_default();
    told.as_array().map_or_else(|| of_one(told), |tables| tables.iter().map(of_one).sum())
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

fn answer(failing: &Failing) -> Response<Body> {
    let (status, body) = failing.told();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}
