//! The errors of the endpoint, in the order in which they can occur, and the response to each.

use http::StatusCode;
use http::header::{ALLOW, HeaderValue};
use serde_json::{Value, json};
use shared::http::response;
use shared::lambda::Response;
use shared::oauth::error::ErrorCode;
use shared::oauth::scope::Scopes;
use shared::upstream_error::UpstreamError;

use crate::authenticate::AuthError;
use crate::challenge::{BearerError, Challenge};
use crate::message::JsonRpcError;

/// Why a request is not answered.
pub(crate) enum McpError {
    /// The `Origin` header is not an allowed one.
    ForbiddenOrigin,
    /// Without valid credentials.
    Unauthenticated(AuthError),
    /// Not by POST: there are neither streams nor sessions (MCP 2026-07-28, transports).
    MethodNotAllowed,
    /// Not a JSON-RPC request that is served.
    JsonRpc(JsonRpcError),
    /// The credentials do not have the scopes that the operation needs.
    InsufficientScope {
        /// What they allow.
        granted: Scopes,
        /// What the operation needs.
        needed: Scopes,
        /// Why the missing scopes could not be recorded as pending. The client learns nothing of it.
        not_recorded: Option<UpstreamError>,
    },
    /// AWS failed.
    Upstream(UpstreamError),
    /// We failed.
    Internal(String),
}

impl McpError {
    /// The response to the client. The reason stays in our log.
    pub(crate) fn into_response(self, challenge: &Challenge) -> Response {
        let reason = self.reason();
        let answer = match self {
            // MCP 2025-11-25, transports: an error without an id.
            Self::ForbiddenOrigin => json_rpc_response(StatusCode::FORBIDDEN, None, -32600, "Forbidden origin", None),
            Self::Unauthenticated(why) => {
                // RFC 6750 §3.1.
                let status = match why {
                    AuthError::MultipleCredentials => StatusCode::BAD_REQUEST,
                    _ => StatusCode::UNAUTHORIZED,
                };
                challenge.response(status, why.bearer_error(), Scopes::DEFAULT.permissions())
            }
            Self::MethodNotAllowed => {
                let mut answer =
                    json_rpc_response(StatusCode::METHOD_NOT_ALLOWED, None, -32600, "Only POST is served", None);
                response::set_header(&mut answer, ALLOW, HeaderValue::from_static("POST"));
                answer
            }
            Self::JsonRpc(JsonRpcError { status, id, code, message, data }) => {
                json_rpc_response(status, id, code, message, data)
            }
            Self::InsufficientScope { granted, needed, .. } => {
                // MCP 2025-11-25 wants what was granted and what is needed: clients request exactly these.
                let scopes = granted.union(needed).intersection(Scopes::SUPPORTED).permissions();
                challenge.response(StatusCode::FORBIDDEN, Some(BearerError::INSUFFICIENT_SCOPE), scopes)
            }
            Self::Upstream(_) => response::json(
                StatusCode::SERVICE_UNAVAILABLE,
                &ErrorCode::TemporarilyUnavailable
                    .body("Something that we depend on did not answer. Try again in a moment."),
            ),
            Self::Internal(_) => {
                json_rpc_response(StatusCode::INTERNAL_SERVER_ERROR, None, -32603, "Internal error", None)
            }
        };
        response::with_reason(answer, &reason)
    }
}

impl McpError {
    /// Why, for our log: nothing that the client sent.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::ForbiddenOrigin => "the origin is not allowed".to_owned(),
            Self::Unauthenticated(why) => format!("the request is not authenticated: {why:?}"),
            Self::MethodNotAllowed => "the method is not POST".to_owned(),
            Self::JsonRpc(JsonRpcError { code, message, .. }) => format!("{code}: {message}"),
            Self::InsufficientScope { granted, needed, not_recorded: None } => format!("has {granted}; needs {needed}"),
            Self::InsufficientScope { granted, needed, not_recorded: Some(fault) } => {
                format!("has {granted}; needs {needed}; not recorded as pending: {fault}")
            }
            Self::Upstream(fault) => fault.to_string(),
            Self::Internal(what) => what.clone(),
        }
    }
}

impl From<AuthError> for McpError {
    fn from(why: AuthError) -> Self {
        Self::Unauthenticated(why)
    }
}

impl From<JsonRpcError> for McpError {
    fn from(error: JsonRpcError) -> Self {
        Self::JsonRpc(error)
    }
}

impl From<UpstreamError> for McpError {
    fn from(fault: UpstreamError) -> Self {
        Self::Upstream(fault)
    }
}

/// An error of JSON-RPC. An id that could not be read is left out rather than null (MCP 2026-07-28, base protocol).
fn json_rpc_response(status: StatusCode, id: Option<Value>, code: i32, message: &str, data: Option<Value>) -> Response {
    let mut error = json!({ "code": code, "message": message });
    if let (Some(error), Some(data)) = (error.as_object_mut(), data) {
        error.insert("data".to_owned(), data);
    }
    let mut body = json!({ "jsonrpc": "2.0", "error": error });
    if let (Some(body), Some(id)) = (body.as_object_mut(), id) {
        body.insert("id".to_owned(), id);
    }
    response::json(status, &body)
}
