//! The challenge to a client without valid credentials: where to get them, and for which scopes (RFC 6750 §3, RFC 9728 §5.1).
//!
//! API Gateway may rename `WWW-Authenticate`, so it is sent again as `X-Challenge`, which the template maps back, and once more
//! in the body.

use http::StatusCode;
use http::header::{HeaderName, HeaderValue, WWW_AUTHENTICATE};
use rmcp::model::{CallToolResult, ContentBlock, ErrorCode, ErrorData, JsonRpcError, MetaObject, RequestId};
use serde::Serialize;
use serde_json::json;
use shared::http::response;
use shared::lambda::Response;
use shared::oauth::resource::ResourceAddress;
use shared::oauth::scope::Scopes;

/// JSON-RPC's code of a request that the credentials do not allow. It lies outside of what JSON-RPC and MCP reserve.
pub(crate) const FORBIDDEN: ErrorCode = ErrorCode(403);

const X_CHALLENGE: HeaderName = HeaderName::from_static("x-challenge");

/// Challenges in the name of one protected resource.
pub(crate) struct Challenge {
    resource_metadata: String,
    default_scopes: Scopes,
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
    /// An API key where no key is read.
    pub(crate) const API_KEY_AS_BASIC: Self = Self {
        code: "invalid_token",
        description: "Send the API key as a bearer token (Authorization: Bearer sk_...) or in the header X-Api-Key, not by Basic",
    };
    /// The token is good, and its hour has passed.
    pub(crate) const EXPIRED: Self = Self { code: "invalid_token", description: "The access token has expired" };
    /// Good credentials, but not for this.
    pub(crate) const INSUFFICIENT_SCOPE: Self =
        Self { code: "insufficient_scope", description: "This needs a permission that the connection does not have" };
    /// The same, in Claude Code.
    pub(crate) const INSUFFICIENT_SCOPE_IN_CLAUDE_CODE: Self = Self {
        code: "insufficient_scope",
        description: "This needs a permission that the connection does not have. Tell the person: enter /mcp, choose this server and \
                      Re-authenticate, and approve the permission. Then try again.",
    };
    /// The same, in Codex.
    pub(crate) const INSUFFICIENT_SCOPE_IN_CODEX: Self = Self {
        code: "insufficient_scope",
        description: "This needs a permission that the connection does not have. Tell the person: run codex mcp login with the name of \
                      this server, and approve the permission. Then try again.",
    };
    /// The same, in another program on the person's own machine.
    pub(crate) const INSUFFICIENT_SCOPE_ON_THIS_MACHINE: Self = Self {
        code: "insufficient_scope",
        description: "This needs a permission that the connection does not have. If no page opens by itself, tell the person: sign in to \
                      this server again and approve the permission. Then try again.",
    };
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    error_description: &'static str,
    resource_metadata: &'a str,
    scope: String,
}

/// An error of JSON-RPC, with what a client needs that cannot read the header.
#[derive(Serialize)]
struct ForbiddenBody<'a> {
    #[serde(flatten)]
    error: JsonRpcError,
    resource_metadata: &'a str,
    scope: String,
}

impl Challenge {
    /// At `address`. Who has no valid credentials is asked for `default_scopes`.
    pub(crate) fn for_address(address: &ResourceAddress, default_scopes: Scopes) -> Self {
        Self { resource_metadata: address.metadata_url(), default_scopes }
    }

    /// The response with the challenge to who has no valid credentials. Without an error none were sent, and no error is named
    /// (RFC 6750 §3.1).
    pub(crate) fn response(&self, status: StatusCode, bearer_error: Option<BearerError>) -> Response {
        let scopes = self.default_scopes;
        let body = Body {
            error: bearer_error.map(|bearer_error| bearer_error.code),
            error_description: bearer_error.map_or("Connect with OAuth", |bearer_error| bearer_error.description),
            resource_metadata: &self.resource_metadata,
            scope: scopes.to_string(),
        };
        self.with_headers(response::json(status, &body), bearer_error, scopes)
    }

    /// The response to the request `id`, which needs more scopes. Its body is an error of JSON-RPC: clients give it to the call, and
    /// some end their whole session at an answer that is none. For clients that meet a renamed header, the body has the challenge too.
    pub(crate) fn insufficient_scope(
        &self,
        id: Option<RequestId>,
        bearer_error: BearerError,
        scopes: Scopes,
    ) -> Response {
        let BearerError { code, description } = bearer_error;
        let (resource_metadata, scope) = (self.resource_metadata.as_str(), scopes.to_string());
        let data = json!({ "error": code, "scope": scope, "resource_metadata": resource_metadata });
        let error = JsonRpcError::new(id, ErrorData::new(FORBIDDEN, description, Some(data)));
        let body = ForbiddenBody { error, resource_metadata, scope };
        let response = response::json(StatusCode::FORBIDDEN, &body);
        self.with_headers(response, Some(bearer_error), scopes)
    }

    /// The result of a tool that needs more scopes, for `ChatGPT`: it asks the person when it finds the challenge in a result
    /// (<https://developers.openai.com/apps-sdk/build/auth>), and only there.
    pub(crate) fn tool_result(&self, bearer_error: BearerError, scopes: Scopes) -> CallToolResult {
        let challenges = json!([self.header_value(Some(bearer_error), scopes)]);
        let mut result = CallToolResult::error(vec![ContentBlock::text(bearer_error.description)]);
        result.meta = Some(MetaObject(std::iter::once(("mcp/www_authenticate".to_owned(), challenges)).collect()));
        result
    }

    fn with_headers(&self, mut response: Response, bearer_error: Option<BearerError>, scopes: Scopes) -> Response {
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
    use shared::oauth::resource::ResourceServer;

    use super::*;

    fn challenge() -> Challenge {
        let server = ResourceServer::at_issuer(Issuer::parse("https://connect.example.com").unwrap());
        Challenge::for_address(&ResourceAddress::main(&server), Scopes::DEFAULT.permissions())
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
            BearerError::API_KEY_AS_BASIC,
            BearerError::EXPIRED,
            BearerError::INSUFFICIENT_SCOPE,
            BearerError::INSUFFICIENT_SCOPE_IN_CLAUDE_CODE,
            BearerError::INSUFFICIENT_SCOPE_IN_CODEX,
            BearerError::INSUFFICIENT_SCOPE_ON_THIS_MACHINE,
        ] {
            let sentence = bearer_error.description;
            assert!(sentence.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{sentence}");
            assert!(!sentence.contains('='), "{sentence}");
        }
    }

    #[test]
    fn both_challenge_headers_and_the_body_agree() {
        let metadata = "https://connect.example.com/.well-known/oauth-protected-resource/api/mcp/server";
        let scope = "tools:execute skills:read views:read";
        let unauthorized = challenge().response(StatusCode::UNAUTHORIZED, Some(BearerError::INVALID_TOKEN));
        let forbidden = challenge().insufficient_scope(
            Some(RequestId::Number(7)),
            BearerError::INSUFFICIENT_SCOPE,
            Scopes::DEFAULT.permissions(),
        );
        let sentence = "This needs a permission that the connection does not have";
        for (response, expected) in [
            (
                unauthorized,
                json!({
                    "error": "invalid_token",
                    "error_description": "The access token or API key is not valid, or no longer",
                    "resource_metadata": metadata,
                    "scope": scope,
                }),
            ),
            (
                forbidden,
                json!({
                    "jsonrpc": "2.0",
                    "id": 7,
                    "error": {
                        "code": 403,
                        "message": sentence,
                        "data": { "error": "insufficient_scope", "scope": scope, "resource_metadata": metadata },
                    },
                    "resource_metadata": metadata,
                    "scope": scope,
                }),
            ),
        ] {
            assert_eq!(response.headers()[WWW_AUTHENTICATE], response.headers()[X_CHALLENGE]);
            let shared::lambda::Body::Text(body) = response.body() else { panic!("no text") };
            assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), expected);
        }
    }
}
