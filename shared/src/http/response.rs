//! Responses: JSON, pages and redirects, with the headers that each must carry.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, PRAGMA,
    REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use lambda_http::Body;
use serde::Serialize;

use crate::oauth::issuer::Issuer;

/// Why the request was refused, for its log line. The client never sees it.
#[derive(Clone, Debug)]
pub struct Reason(pub String);

/// A JSON answer. Serialising our own types cannot fail; should it, that is a 500.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(text) => with_body(status, "application/json", text),
        Err(error) => with_reason(empty(StatusCode::INTERNAL_SERVER_ERROR), &error),
    }
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    harden(&mut response);
    response
}

/// 405, with the methods that there are (RFC 9110 §15.5.6).
#[must_use]
pub fn method_not_allowed(methods: &'static str) -> Response<Body> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    set_header(&mut response, ALLOW, HeaderValue::from_static(methods));
    response
}

/// 303: the browser goes to `location` with GET. Never 307, which would repeat a form with its passwords (OAuth 2.1 §7.5.4).
#[must_use]
pub fn see_other(location: &str) -> Response<Body> {
    let mut response = no_store(empty(StatusCode::SEE_OTHER));
    match HeaderValue::from_str(location) {
        Ok(location) => {
            set_header(&mut response, LOCATION, location);
            set_header(&mut response, REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            response
        }
        Err(error) => with_reason(empty(StatusCode::INTERNAL_SERVER_ERROR), &error),
    }
}

/// A page. `policy` is its content security policy, with the hashes of its inline style and script.
#[must_use]
pub fn page(status: StatusCode, policy: &str, html: String) -> Response<Body> {
    let mut response = no_store(with_body(status, "text/html; charset=utf-8", html));
    match HeaderValue::from_str(policy) {
        Ok(policy) => set_header(&mut response, CONTENT_SECURITY_POLICY, policy),
        Err(error) => return with_reason(empty(StatusCode::INTERNAL_SERVER_ERROR), &error),
    }
    // OAuth 2.1 §7.10: old browsers know only the first of the two.
    set_header(&mut response, X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    set_header(&mut response, REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // No address moves a button under the pointer: neither a fragment nor a text in it scrolls.
    set_header(&mut response, DOCUMENT_POLICY, HeaderValue::from_static("force-load-at-top"));
    response
}

/// <https://wicg.github.io/document-policy/>. Browsers that do not know it scroll.
const DOCUMENT_POLICY: HeaderName = HeaderName::from_static("document-policy");

/// Keeps the answer out of every cache (OAuth 2.1 §3.2.3; `Pragma` for the oldest).
#[must_use]
pub fn no_store(mut response: Response<Body>) -> Response<Body> {
    set_header(&mut response, CACHE_CONTROL, HeaderValue::from_static("no-store"));
    set_header(&mut response, PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// Lets any cache keep the answer for `seconds`.
#[must_use]
pub fn cacheable(mut response: Response<Body>, seconds: u32) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={seconds}")) {
        set_header(&mut response, CACHE_CONTROL, value);
    }
    response
}

/// Adds the reason for the log line.
#[must_use]
pub fn with_reason(mut response: Response<Body>, reason: &impl std::fmt::Display) -> Response<Body> {
    response.extensions_mut().insert(Reason(reason.to_string()));
    response
}

/// Sets a cookie that no script can read, for `age` seconds. 0 deletes it, `None` keeps it until the browser
/// is closed. A value that is not valid in a header sets nothing.
pub fn set_cookie(response: &mut Response<Body>, name: &str, value: &str, age: Option<u32>, issuer: &Issuer) {
    let age = age.map(|age| format!("; Max-Age={age}")).unwrap_or_default();
    let secure = if issuer.is_plain_http() { "" } else { "; Secure" };
    let cookie = format!("{name}={value}; Path=/{age}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Sets one header, replacing what was there.
pub fn set_header(response: &mut Response<Body>, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}

fn with_body(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(text));
    *response.status_mut() = status;
    set_header(&mut response, CONTENT_TYPE, HeaderValue::from_static(kind));
    match status {
        // After an upstream error the client may try again in a moment.
        StatusCode::SERVICE_UNAVAILABLE => set_header(&mut response, RETRY_AFTER, HeaderValue::from_static("1")),
        // What is counted by the second is free again after the next one has begun.
        StatusCode::TOO_MANY_REQUESTS => set_header(&mut response, RETRY_AFTER, HeaderValue::from_static("2")),
        _ => {}
    }
    harden(&mut response);
    response
}

fn harden(response: &mut Response<Body>) {
    set_header(response, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set_header(response, STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
}
