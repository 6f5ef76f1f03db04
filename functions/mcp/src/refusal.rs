//! Every way this endpoint says no, in the order it can, and what the client is told.

use http::StatusCode;
use http::header::{ALLOW, HeaderValue};
use serde_json::{Value, json};
use shared::http::response;
use shared::lambda::Response;
use shared::oauth::error::ErrorCode;
use shared::oauth::scope::Scopes;
use shared::upstream_error::UpstreamError;

use crate::challenge::{Challenge, Complaint};
use crate::guard::Unadmitted;
use crate::message::Malformed;

/// Why a request is not answered.
pub(crate) enum Refusal {
    /// From a page that may not call.
    Origin,
    /// Without credentials that count.
    Unadmitted(Unadmitted),
    /// Not by POST: there are neither streams nor sessions (MCP 2026-07-28, transports).
    Method,
    /// Not a message that we take.
    Malformed(Malformed),
    /// Beyond what the credentials allow.
    Scope {
        /// What they allow.
        granted: Scopes,
        /// What the operation needs.
        needed: Scopes,
        /// Why it could not be remembered that this was wanted. The client learns nothing of it: it is refused either way.
        forgotten: Option<UpstreamError>,
    },
    /// AWS failed.
    Upstream(UpstreamError),
    /// We failed.
    Broken(String),
}

impl Refusal {
    /// What the client is told. The reason stays in our log.
    pub(crate) fn answer(self, challenge: &Challenge) -> Response {
        let reason = self.reason();
        let answer = match self {
            // MCP 2025-11-25, transports: an error without an id.
            Self::Origin => error(StatusCode::FORBIDDEN, None, -32600, "Forbidden origin", None),
            Self::Unadmitted(why) => {
                // RFC 6750 §3.1.
                let status = match why {
                    Unadmitted::Several => StatusCode::BAD_REQUEST,
                    _ => StatusCode::UNAUTHORIZED,
                };
                challenge.answer(status, why.complaint(), Scopes::DEFAULT.permissions())
            }
            Self::Method => {
                let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, None, -32600, "Only POST is served", None);
                response::set_header(&mut answer, ALLOW, HeaderValue::from_static("POST"));
                answer
            }
            Self::Malformed(Malformed { status, id, code, message, data }) => error(status, id, code, message, data),
            Self::Scope { granted, needed, .. } => {
                // MCP 2025-11-25 wants what was granted and what is needed: clients ask for exactly what they are told.
                let scopes = granted.union(needed).intersection(Scopes::SUPPORTED).permissions();
                challenge.answer(StatusCode::FORBIDDEN, Some(Complaint::INSUFFICIENT_SCOPE), scopes)
            }
            Self::Upstream(_) => response::json(
                StatusCode::SERVICE_UNAVAILABLE,
                &ErrorCode::TemporarilyUnavailable
                    .body("Something that we depend on did not answer. Try again in a moment."),
            ),
            Self::Broken(_) => error(StatusCode::INTERNAL_SERVER_ERROR, None, -32603, "Internal error", None),
        };
        response::with_reason(answer, &reason)
    }
}

impl Refusal {
    /// Why, for our log: nothing that the client sent.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Origin => "foreign origin".to_owned(),
            Self::Unadmitted(why) => format!("not admitted: {why:?}"),
            Self::Method => "not a POST".to_owned(),
            Self::Malformed(Malformed { code, message, .. }) => format!("{code}: {message}"),
            Self::Scope { granted, needed, forgotten: None } => format!("has {granted}; needs {needed}"),
            Self::Scope { granted, needed, forgotten: Some(fault) } => {
                format!("has {granted}; needs {needed}; not remembered: {fault}")
            }
            Self::Upstream(fault) => fault.to_string(),
            Self::Broken(what) => what.clone(),
        }
    }
}

impl From<Unadmitted> for Refusal {
    fn from(why: Unadmitted) -> Self {
        Self::Unadmitted(why)
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<UpstreamError> for Refusal {
    fn from(fault: UpstreamError) -> Self {
        Self::Upstream(fault)
    }
}

/// An error of JSON-RPC. An id that could not be read is left out rather than null (MCP 2026-07-28, base protocol).
fn error(status: StatusCode, id: Option<Value>, code: i32, message: &str, data: Option<Value>) -> Response {
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
