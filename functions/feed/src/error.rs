//! The errors of the product feed.

use shared::http::oauth_error_response::OAuthErrorResponse;
use shared::lambda::{Request, Response};
use shared::member_revocation::MarkError;
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
    #[error("record, old_record and person do not fit the type of the change")]
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
    #[error(transparent)]
    Mark(#[from] MarkError),
}

impl FeedError {
    /// The table of errors. 4xx means that the same delivery fails again until somebody changes something.
    const fn row(&self) -> OAuthErrorResponse {
        use ErrorCode::{AccessDenied, InvalidRequest};
        match self {
            Self::TooLarge => OAuthErrorResponse::too_large(InvalidRequest, "The body is larger than 16 KB."),
            // 403 and not 401, which would have to name a scheme that `Authorization` knows (RFC 9110 §15.5.2).
            Self::Signature(SignatureError::TimestampOutOfTolerance) => {
                OAuthErrorResponse::forbidden(AccessDenied, "webhook-timestamp is more than five minutes off.")
            }
            // The description does not say which header or secret was wrong.
            Self::Signature(_) => {
                OAuthErrorResponse::forbidden(AccessDenied, "The delivery is not signed as it must be.")
            }
            Self::InvalidJson => OAuthErrorResponse::new(
                InvalidRequest,
                "The body must be a JSON object with type, record, old_record or person, and sequence.",
            ),
            Self::InvalidRows => {
                const ROWS: &str = "INSERT has a record, DELETE an old_record, and UPDATE both. What is of a person has a person alone.";
                OAuthErrorResponse::new(InvalidRequest, ROWS)
            }
            Self::InvalidTenant => {
                OAuthErrorResponse::new(InvalidRequest, "tenant must be 1 to 64 of a-z, 0-9, _ and -.")
            }
            Self::InvalidPerson => OAuthErrorResponse::new(InvalidRequest, "person must be a UUID in lower case."),
            Self::InvalidRole => OAuthErrorResponse::new(
                InvalidRequest,
                "role must have 1 to 64 characters, none of them control characters.",
            ),
            Self::Upstream(_) | Self::Mark(_) => OAuthErrorResponse::UNAVAILABLE,
        }
    }

    /// The response to the sender.
    pub(crate) fn to_response(&self, request: &Request) -> Response {
        self.row().into_response(request, self)
    }
}

impl From<SignatureError> for FeedError {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}
