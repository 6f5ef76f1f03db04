//! Request bodies as bytes. API Gateway passes some as text and some in base64, whatever they contain.

use http::header::CONTENT_TYPE;
use lambda_http::{Body, Request};

/// The bytes.
#[must_use]
pub fn bytes(request: &Request) -> &[u8] {
    match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    }
}

/// Whether the body says that it is of media type `essence`, with whatever parameters.
#[must_use]
pub fn is_of_type(request: &Request, essence: &str) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(essence)
}
