//! What API Gateway answers by itself.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Every way in which a request gets no answer from a function, in the order they are found.
#[derive(Debug)]
pub(crate) enum GatewayError {
    /// Request line and headers together exceed 10,240 bytes.
    HeadersTooLarge,
    /// The host is not one of this API's.
    ForeignHost,
    /// No route.
    NoRoute,
    /// The body exceeds 10 MB.
    BodyTooLarge,
    /// The body did not come to its end.
    BodyBroken,
    /// The function failed, panicked, or was ended by Lambda; why is for our log.
    Failed(String),
    /// The function had not answered when the gateway stopped waiting.
    IntegrationTimeout,
}

impl GatewayError {
    fn response_parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::HeadersTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, r#"{"message":"Request Header Fields Too Large"}"#)
            }
            Self::ForeignHost => (StatusCode::FORBIDDEN, r#"{"message":"Forbidden"}"#),
            Self::NoRoute => (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, r#"{"message":"Request Entity Too Large"}"#),
            Self::BodyBroken => (StatusCode::BAD_REQUEST, r#"{"message":"Bad Request"}"#),
            Self::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, r#"{"message":"Internal Server Error"}"#),
            Self::IntegrationTimeout => (StatusCode::SERVICE_UNAVAILABLE, r#"{"message":"Service Unavailable"}"#),
        }
    }
}

impl IntoResponse for GatewayError {
    fn into_response(self) -> Response {
        let (status, body) = self.response_parts();
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
