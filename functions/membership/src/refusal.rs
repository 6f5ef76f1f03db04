//! Every way in which a delivery is refused.

use http::StatusCode;
use shared::http::error_response::ErrorResponse;
use shared::http::response;
use shared::lambda::{Request, Response};
use shared::oauth::error::ErrorCode;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

use crate::signature::Unsigned;

/// Why, for our log.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("larger than 16 KB")]
    TooLarge,
    #[error("not signed: {0:?}")]
    Unsigned(Unsigned),
    #[error("not a JSON object of a change")]
    NotJson,
    #[error("not the rows of its type")]
    Rows,
    #[error("a tenant that is none")]
    Tenant,
    #[error("a person that is none")]
    Person,
    #[error("a role that is none")]
    Role,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Told again, it goes on.
    #[error("more connections than one delivery is worked on for")]
    Unfinished,
}

impl Refusal {
    /// What the sender is told: 4xx when the same again would be refused again, until somebody has changed something.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let invalid = |sentence| ErrorResponse::new(ErrorCode::InvalidRequest, sentence);
        let response = match self {
            // 403 and not 401, which would have to name a scheme that `Authorization` knows (RFC 9110 §15.5.2).
            Self::Unsigned(unsigned) => {
                let response =
                    response::json(StatusCode::FORBIDDEN, &ErrorCode::AccessDenied.body(unsigned.sentence()));
                return response::no_store(response::with_reason(response, self));
            }
            Self::TooLarge => ErrorResponse::too_large(ErrorCode::InvalidRequest, "The body is larger than 16 KB."),
            Self::NotJson => invalid("The body must be a JSON object with type, record, old_record and sequence."),
            Self::Rows => invalid("INSERT has a record, DELETE an old_record, and UPDATE both."),
            Self::Tenant => invalid("tenant must be 1 to 64 of a-z, 0-9, _ and -."),
            Self::Person => invalid("person must be a UUID in lower case."),
            Self::Role => invalid("role must have 1 to 64 characters, none of them control characters."),
            Self::Upstream(_) | Self::Unfinished => ErrorResponse::UNAVAILABLE,
        };
        response.into_response(request, self)
    }
}

impl From<Unsigned> for Refusal {
    fn from(unsigned: Unsigned) -> Self {
        Self::Unsigned(unsigned)
    }
}
