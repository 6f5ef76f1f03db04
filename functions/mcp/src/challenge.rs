//! The challenge to a client without valid credentials: where to get them, and for which scopes (RFC 6750 §3, RFC 9728 §5.1).
//!
//! API Gateway may rename `WWW-Authenticate`, so it is sent again as `X-Challenge`, which the template maps back, and once more
//! in the body.

use http::StatusCode;
use http::header::{HeaderName, HeaderValue, WWW_AUTHENTICATE};
use serde::Serialize;
use shared::http::response;
use shared::lambda::Response;
use shared::oauth::resource::Resource;
use shared::oauth::scope::Scopes;

const X_CHALLENGE: HeaderName = HeaderName::from_static("x-challenge");

/// Challenges in the name of one protected resource.
pub(crate) struct Challenge {
    resource_metadata: String,
}

/// What was wrong with the credentials (RFC 6750 §3.1).
///
/// The descriptions hold neither quotes nor `scope=` or `error=`, which the TypeScript
/// SDK of before 2.0 would find in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BearerError {
    code: &'static str,
    description: &'static str,
}

impl BearerError {
    /// More than one credential, or one that cannot be read (RFC 6750 §3.1).
    pub(crate) const INVALID_REQUEST: Self =
        Self { code: "invalid_request", description: "Send exactly one credential: a bearer token or an API key" };
    /// A token or key that does not count, or no longer.
    pub(crate) const INVALID_TOKEN: Self =
        Self { code: "invalid_token", description: "The access token or API key is not valid, or no longer" };
    /// The token is good, and its hour has passed.
    pub(crate) const EXPIRED: Self = Self { code: "invalid_token", description: "The access token has expired" };
    /// Good credentials, but not for this.
    pub(crate) const INSUFFICIENT_SCOPE: Self =
        Self { code: "insufficient_scope", description: "This needs a permission that the connection does not have" };
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    error_description: &'static str,
    resource_metadata: &'a str,
    scope: String,
}

impl Challenge {
    pub(crate) fn for_resource(resource: &Resource) -> Self {
        Self { resource_metadata: resource.metadata_url() }
    }

    /// The response with the challenge. Without an error no credentials were sent, and no error is named (RFC 6750 §3.1).
    pub(crate) fn response(&self, status: StatusCode, bearer_error: Option<BearerError>, scopes: Scopes) -> Response {
        let body = Body {
            error: bearer_error.map(|bearer_error| bearer_error.code),
            error_description: bearer_error.map_or("Connect with OAuth", |bearer_error| bearer_error.description),
            resource_metadata: &self.resource_metadata,
            scope: scopes.to_string(),
        };
        let mut response = response::json(status, &body);
        match HeaderValue::from_str(&self.header_value(bearer_error, scopes)) {
            Ok(text) => {
                response::set_header(&mut response, WWW_AUTHENTICATE, text.clone());
                response::set_header(&mut response, X_CHALLENGE, text);
                response
            }
            Err(error) => response::with_reason(response::empty(StatusCode::INTERNAL_SERVER_ERROR), &error),
        }
    }

    fn header_value(&self, bearer_error: Option<BearerError>, scopes: Scopes) -> String {
        let bearer_error = bearer_error.map_or_else(String::new, |BearerError { code, description }| {
            format!("error=\"{code}\", error_description=\"{description}\", ")
        });
        format!("Bearer {bearer_error}resource_metadata=\"{}\", scope=\"{scopes}\"", self.resource_metadata)
    }
}

#[cfg(test)]
mod tests {
    use shared::oauth::issuer::Issuer;

    use super::*;

    fn challenge() -> Challenge {
        Challenge::for_resource(&Resource::new(&Issuer::parse("https://connect.example.com").unwrap()))
    }

    #[test]
    fn challenge_is_written_byte_for_byte() {
        let metadata = "https://connect.example.com/.well-known/oauth-protected-resource/api/mcp/server";
        let scope = "tools:execute skills:read views:read";
        for (bearer_error, says) in [
            (None, String::new()),
            (
                Some(BearerError::EXPIRED),
                r#"error="invalid_token", error_description="The access token has expired", "#.to_owned(),
            ),
        ] {
            let expected = format!(r#"Bearer {says}resource_metadata="{metadata}", scope="{scope}""#);
            assert_eq!(challenge().header_value(bearer_error, Scopes::DEFAULT.permissions()), expected);
        }
    }

    /// OAuth 2.1 §5.3.1: which characters a description may have; and the TypeScript SDK 1 looks for parameters anywhere.
    #[test]
    fn descriptions_cannot_be_parsed_as_parameters() {
        for bearer_error in [
            BearerError::INVALID_REQUEST,
            BearerError::INVALID_TOKEN,
            BearerError::EXPIRED,
            BearerError::INSUFFICIENT_SCOPE,
        ] {
            let sentence = bearer_error.description;
            assert!(sentence.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{sentence}");
            assert!(!sentence.contains('='), "{sentence}");
        }
    }

    #[test]
    fn both_challenge_headers_and_the_body_agree() {
        let response =
            challenge().response(StatusCode::FORBIDDEN, Some(BearerError::INSUFFICIENT_SCOPE), Scopes::DEFAULT);

        assert_eq!(response.headers()[WWW_AUTHENTICATE], response.headers()[X_CHALLENGE]);
        let shared::lambda::Body::Text(body) = response.body() else { panic!("no text") };
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "error": "insufficient_scope",
                "error_description": "This needs a permission that the connection does not have",
                "resource_metadata": "https://connect.example.com/.well-known/oauth-protected-resource/api/mcp/server",
                "scope": "tools:execute skills:read views:read offline_access",
            })
        );
    }
}
