//! The signature of a request to AWS, which is asked for and not checked: nobody here has the key of a role.

use axum::http::{HeaderMap, header};

/// Whether there is one of Signature Version 4 (IAM User Guide, "AWS Signature Version 4 for API requests").
pub(crate) fn is_signed(headers: &HeaderMap) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|it| it.as_bytes().starts_with(b"AWS4-HMAC-SHA256 "))
}
