//! CORS for browser clients (OAuth 2.1 §3.2): any origin, never with credentials, never on authorize.

use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue,
};
use lambda_http::{Body, Response};

use crate::http::response;

/// The answer to `OPTIONS` on an endpoint that takes `methods`.
#[must_use]
pub fn preflight(methods: &'static str) -> Response<Body> {
    let mut response = open(response::empty(StatusCode::NO_CONTENT));
    response::set_header(&mut response, ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    response::set_header(
        &mut response,
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Authorization, Content-Type, X-Api-Key, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID",
        ),
    );
    response::set_header(&mut response, ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

/// Lets scripts of any origin read `response`, the challenge included.
#[must_use]
pub fn open(mut response: Response<Body>) -> Response<Body> {
    response::set_header(&mut response, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response::set_header(
        &mut response,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("WWW-Authenticate, Retry-After"),
    );
    response
}
