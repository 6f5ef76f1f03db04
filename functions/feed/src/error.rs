//! The errors of the product feed.

use http::StatusCode;
use shared::http::error_response::ErrorResponse;
use shared::http::response;
use shared::lambda::{Request, Response};
use shared::oauth::error::ErrorCode;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

use crate::signature::SignatureError;

/// Why a delivery is not processed. The text goes to the log.
#[derive(Debug, Error)]
pub(crate) enum FeedError {
    #[error("the body is larger than 16 KB")]
    TooLarge,
    #[error("the webhook signature is not valid: {0:?}")]
    Signature(SignatureError),
    #[error("the body is not the JSON object of a change")]
    InvalidJson,
    #[error("record and old_record do not fit the type of the change")]
    InvalidRows,
    #[error("the tenant id is not valid")]
    InvalidTenant,
    #[error("the person id is not valid")]
    InvalidPerson,
    #[error("the role is not valid")]
    InvalidRole,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The next delivery of the same change continues.
    #[error("the time limit ended before all connections were processed")]
    TimeLimitReached,
}

impl FeedError {
    /// The response to the sender: 4xx when the same delivery would fail again, until somebody has changed something.
    pub(crate) fn to_response(&self, request: &Request) -> Response {
        let invalid = |sentence| ErrorResponse::new(ErrorCode::InvalidRequest, sentence);
        let response = match self {
            // 403 and not 401, which would have to name a scheme that `Authorization` knows (RFC 9110 §15.5.2).
            Self::Signature(error) => {
                let response =
                    response::json(StatusCode::FORBIDDEN, &ErrorCode::AccessDenied.body(error.description()));
                return response::no_store(response::with_reason(response, self));
            }
            Self::TooLarge => ErrorResponse::too_large(ErrorCode::InvalidRequest, "The body is larger than 16 KB."),
            Self::InvalidJson => invalid("The body must be a JSON object with type, record, old_record and sequence."),
            Self::InvalidRows => invalid("INSERT has a record, DELETE an old_record, and UPDATE both."),
            Self::InvalidTenant => invalid("tenant must be 1 to 64 of a-z, 0-9, _ and -."),
            Self::InvalidPerson => invalid("person must be a UUID in lower case."),
            Self::InvalidRole => invalid("role must have 1 to 64 characters, none of them control characters."),
            Self::Upstream(_) | Self::TimeLimitReached => ErrorResponse::UNAVAILABLE,
        };
        response.into_response(request, self)
    }
}

impl From<SignatureError> for FeedError {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}
