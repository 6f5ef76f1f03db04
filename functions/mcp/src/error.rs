//! The errors of the endpoint, in the order in which they can occur, and the table of their responses.

use std::fmt;

use http::StatusCode;
use http::header::{ALLOW, HeaderValue};
use rmcp::model::{CallToolResult, ContentBlock, ErrorCode as JsonRpcCode, ErrorData, JsonRpcError, RequestId};
use serde_json::{Value, json};
use shared::access::AccessError;
use shared::http::parameters::ParameterError;
use shared::http::response;
use shared::lambda::Response;
use shared::oauth::api_key::ApiKeyError;
use shared::oauth::error::ErrorCode;
use shared::oauth::scope::Scopes;
use shared::signing_keys::verifier::TokenVerifyError;
use shared::upstream_error::UpstreamError;

use crate::challenge::{BearerError, Challenge, FORBIDDEN};
use crate::host::Host;
use crate::protocol_version::{LEGACY, MODERN, ProtocolVersion};

const ROLE: &str = "The role in this workspace does not allow this. An administrator of the workspace can change it.";
const DENIED: &str =
    "The person chose not to allow this. They can allow it on the console of this server, or connect again.";

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) enum McpError {
    /// It breaks the rules of HTTP.
    Malformed(ParameterError),
    /// The `Origin` header is not an allowed one.
    ForbiddenOrigin,
    /// Without valid credentials.
    Unauthenticated(AuthError),
    /// Not by POST: there are neither streams nor sessions (MCP 2026-07-28, transports).
    MethodNotAllowed,
    /// The body is no JSON-RPC message, or the message and the headers are not those of a protocol version that is served.
    Message {
        /// The id of the request, if it could be read.
        id: Option<RequestId>,
        /// What is wrong.
        error: MessageError,
    },
    /// The credentials do not have the scopes that the operation needs.
    InsufficientScope {
        /// The id of the request.
        id: RequestId,
        /// What they allow.
        granted: Scopes,
        /// What the operation needs.
        needed: Scopes,
        /// Whether a step-up can start.
        step_up: Result<(), StepUpError>,
        /// Who it would start in.
        host: Host,
        /// Whether it is the call of a tool.
        is_tool: bool,
        /// Why the missing scopes could not be recorded as pending. The client learns nothing of it.
        not_recorded: Option<UpstreamError>,
    },
    /// A call has no result.
    Call {
        /// The id of the request.
        id: RequestId,
        /// Whose rules the request follows.
        protocol_version: ProtocolVersion,
        /// Why.
        error: CallError,
    },
    /// AWS failed.
    Upstream(UpstreamError),
}

/// Why no step-up starts for what the credentials do not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepUpError {
    /// The role does not allow it now. It would lead the person through consent to this same error.
    NotAllowedByRole,
    /// The person denied it when they approved the connection.
    Denied,
}

/// Why a request is not authenticated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AuthError {
    /// The request has no credentials.
    MissingCredentials,
    /// The request has more than one credential.
    MultipleCredentials,
    /// It has an API key as the user or the password of `Basic`.
    ApiKeyAsBasic,
    /// The token is not one of ours, or its time has passed.
    Token(TokenVerifyError),
    /// It was issued for something else (RFC 8707 §2).
    WrongAudience,
    /// There is no such grant.
    UnknownGrant,
    /// The grant is not active, or does not fit the token.
    Grant(AccessError),
    /// The header is not visible ASCII, as every credential of ours is.
    NotVisibleAscii,
    /// The checksum of the API key is wrong.
    MalformedApiKey,
    /// The key is unknown, revoked, expired, or its secret is another: nobody learns which.
    ApiKey(ApiKeyError),
    /// The key is for another tenant than the address.
    WrongTenant,
    /// The key's maker is no longer in the tenant.
    MakerNotMember,
}

/// Why a message is not a request that can be served.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MessageError {
    /// `Content-Type` is another.
    UnsupportedMediaType,
    /// The body has more bytes than are read.
    TooLarge,
    /// The body is not JSON.
    NotJson,
    /// The body is not an object. Batches ended with 2025-06-18.
    NotOneMessage,
    /// `jsonrpc` is not `2.0`.
    NotJsonRpc,
    /// `method` is missing, or no string.
    MissingMethod,
    /// It has a method, and a result or an error. Others would read it as a response.
    RequestAndResponse,
    /// `id` is neither a string nor an integer.
    InvalidId,
    /// `params` is no object.
    ParamsNotAnObject,
    /// The header names 2026-07-28, the metadata no version.
    MissingProtocolVersion,
    /// The version in the metadata is no string.
    ProtocolVersionNotAString,
    /// The metadata has no capabilities of the client.
    MissingClientCapabilities,
    /// The client's capabilities are not what MCP says they are.
    MalformedClientCapabilities,
    /// `MCP-Protocol-Version` and the metadata name different versions.
    ProtocolVersionMismatch,
    /// That version is not served.
    UnsupportedProtocolVersion(String),
    /// `Mcp-Method` is not the method.
    MethodMismatch,
    /// `Mcp-Name` is not the name or URI in the params.
    NameMismatch,
}

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// There is no such method in that protocol version.
    MethodNotFound,
    /// There is no such tool, or can be none of that name.
    ToolNotFound,
    /// There is no such prompt, or can be none of that name.
    PromptNotFound,
    /// There is no resource of that URI, or can be none.
    ResourceNotFound(String),
    /// It completes nothing that we have.
    CompletionReferenceNotFound,
    /// The params are not those of the method.
    InvalidParams,
    /// The cursor is not one of ours.
    InvalidCursor,
    /// An argument of a prompt is no string.
    PromptArgumentNotAString,
    /// A required argument of a prompt is missing.
    MissingPromptArgument,
    /// With its arguments the prompt would be too long.
    PromptTooLong,
    /// The prompt to complete has no such argument.
    PromptArgumentNotFound,
    /// AWS failed.
    Upstream(UpstreamError),
}

impl McpError {
    /// The response to the client. The reason stays in our log.
    pub(crate) fn into_response(self, challenge: &Challenge) -> Response {
        let ErrorRow { reason, status, body } = self.row();
        let mut answer = match body {
            ErrorBody::Challenge(bearer_error) => challenge.response(status, bearer_error),
            ErrorBody::InsufficientScope(bearer_error, scopes) => {
                challenge.insufficient_scope(self.id(), bearer_error, scopes)
            }
            ErrorBody::JsonRpc(error) => response::json(status, &JsonRpcError::new(self.id(), error)),
            ErrorBody::OAuth(code, description) => response::json(status, &code.body(description)),
        };
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response::set_header(&mut answer, ALLOW, HeaderValue::from_static("POST"));
        }
        response::with_reason(answer, &reason)
    }

    /// The result that is the response, and the reason for our log, where `ChatGPT` calls a tool beyond its scopes: it gives errors of
    /// HTTP neither to the model nor to the person.
    pub(crate) fn tool_result(&self, challenge: &Challenge) -> Option<(CallToolResult, String)> {
        let Self::InsufficientScope { host: Host::ChatGpt, is_tool: true, .. } = self else { return None };
        let ErrorRow { reason, body, .. } = self.row();
        let result = match body {
            ErrorBody::InsufficientScope(bearer_error, scopes) => challenge.tool_result(bearer_error, scopes),
            ErrorBody::JsonRpc(error) => CallToolResult::error(vec![ContentBlock::text(error.message)]),
            ErrorBody::Challenge(..) | ErrorBody::OAuth(..) => return None,
        };
        Some((result, reason))
    }

    /// The table.
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn row(&self) -> ErrorRow {
        match self {
            Self::Malformed(malformed) => {
                bad_request(JsonRpcCode::INVALID_REQUEST, "The request is malformed").because(malformed)
            }
            // MCP 2025-11-25, transports: an error without an id.
            Self::ForbiddenOrigin => json_rpc(StatusCode::FORBIDDEN, JsonRpcCode::INVALID_REQUEST, "Forbidden origin")
                .because(&"the origin is not allowed"),
            Self::Unauthenticated(why) => {
                let (status, bearer_error) = match why {
                    AuthError::MissingCredentials => (StatusCode::UNAUTHORIZED, None),
                    // RFC 6750 §3.1.
                    AuthError::MultipleCredentials => (StatusCode::BAD_REQUEST, Some(BearerError::INVALID_REQUEST)),
                    AuthError::ApiKeyAsBasic => (StatusCode::UNAUTHORIZED, Some(BearerError::API_KEY_AS_BASIC)),
                    AuthError::Token(TokenVerifyError::Expired) => {
                        (StatusCode::UNAUTHORIZED, Some(BearerError::EXPIRED))
                    }
                    AuthError::Token(TokenVerifyError::Invalid | TokenVerifyError::IssuerMismatch)
                    | AuthError::WrongAudience
                    | AuthError::UnknownGrant
                    | AuthError::Grant(_)
                    | AuthError::NotVisibleAscii
                    | AuthError::MalformedApiKey
                    | AuthError::ApiKey(_)
                    | AuthError::WrongTenant
                    | AuthError::MakerNotMember => (StatusCode::UNAUTHORIZED, Some(BearerError::INVALID_TOKEN)),
                };
                let reason = format!("the request is not authenticated: {why:?}");
                ErrorRow { reason, status, body: ErrorBody::Challenge(bearer_error) }
            }
            Self::MethodNotAllowed => {
                json_rpc(StatusCode::METHOD_NOT_ALLOWED, JsonRpcCode::INVALID_REQUEST, "Only POST is served")
                    .because(&"the method is not POST")
            }
            Self::Message { error, .. } => match error {
                MessageError::UnsupportedMediaType => json_rpc(
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    JsonRpcCode::INVALID_REQUEST,
                    "The body must be application/json",
                ),
                MessageError::TooLarge => {
                    json_rpc(StatusCode::PAYLOAD_TOO_LARGE, JsonRpcCode::INVALID_REQUEST, "The body is too large")
                }
                MessageError::NotJson => bad_request(JsonRpcCode::PARSE_ERROR, "The body is not JSON"),
                MessageError::NotOneMessage => invalid_request("The body must be one JSON-RPC message"),
                MessageError::NotJsonRpc => invalid_request("The body is not a JSON-RPC 2.0 message"),
                MessageError::MissingMethod => invalid_request("The message has no method"),
                MessageError::RequestAndResponse => invalid_request("The message is both a request and a response"),
                MessageError::InvalidId => invalid_request("The id must be a string or an integer"),
                MessageError::ParamsNotAnObject => invalid_request("The params must be an object"),
                MessageError::MissingProtocolVersion => {
                    invalid_metadata("The request lacks the protocol version in its metadata")
                }
                MessageError::ProtocolVersionNotAString => invalid_metadata("The protocol version must be a string"),
                MessageError::MissingClientCapabilities => {
                    invalid_metadata("The request lacks the client's capabilities in its metadata")
                }
                MessageError::MalformedClientCapabilities => invalid_metadata(
                    "request _meta is missing or has malformed required fields: io.modelcontextprotocol/clientCapabilities",
                ),
                MessageError::ProtocolVersionMismatch => {
                    header_mismatch("MCP-Protocol-Version does not match the body")
                }
                MessageError::UnsupportedProtocolVersion(requested) => {
                    let supported: Vec<_> = std::iter::once(MODERN).chain(LEGACY).collect();
                    bad_request(JsonRpcCode::UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version")
                        .with_data(json!({ "supported": supported, "requested": requested }))
                }
                MessageError::MethodMismatch => header_mismatch("Mcp-Method does not match the body"),
                MessageError::NameMismatch => header_mismatch("Mcp-Name does not match the body"),
            },
            Self::InsufficientScope { granted, needed, step_up, host, not_recorded, .. } => {
                let reason = match not_recorded {
                    None => format!("has {granted}; needs {needed}"),
                    Some(fault) => format!("has {granted}; needs {needed}; not recorded as pending: {fault}"),
                };
                let no_step_up = |message, why| {
                    json_rpc(StatusCode::FORBIDDEN, FORBIDDEN, message)
                        .because(&format!("{reason}; {why}"))
                        .with_data(json!({ "error": "access_denied" }))
                };
                match step_up {
                    Ok(()) => {}
                    Err(StepUpError::NotAllowedByRole) => return no_step_up(ROLE, "the role does not allow it"),
                    Err(StepUpError::Denied) => return no_step_up(DENIED, "the person denied it"),
                }
                // MCP 2025-11-25 wants what was granted and what is needed: clients request exactly these.
                let scopes = granted.union(*needed).intersection(Scopes::SUPPORTED).permissions();
                let body = ErrorBody::InsufficientScope(host.insufficient_scope(), scopes);
                ErrorRow { reason, status: StatusCode::FORBIDDEN, body }
            }
            Self::Call { protocol_version, error, .. } => match (error, protocol_version) {
                // 2026-07-28, transports: an unknown method is a 404, which before would say that a session had ended.
                (CallError::MethodNotFound, ProtocolVersion::Modern) => {
                    json_rpc(StatusCode::NOT_FOUND, JsonRpcCode::METHOD_NOT_FOUND, "There is no such method")
                }
                (CallError::MethodNotFound, ProtocolVersion::Legacy) => {
                    json_rpc(StatusCode::OK, JsonRpcCode::METHOD_NOT_FOUND, "There is no such method")
                }
                (CallError::ToolNotFound, _) => invalid_params("There is no such tool"),
                (CallError::PromptNotFound, _) => invalid_params("There is no such prompt"),
                // SEP-2164: 2026-07-28 knows this error by another code, and what it repeats is the client's own.
                (CallError::ResourceNotFound(uri), ProtocolVersion::Modern) => {
                    invalid_params("There is no such resource").with_data(json!({ "uri": uri }))
                }
                (CallError::ResourceNotFound(uri), ProtocolVersion::Legacy) => {
                    json_rpc(StatusCode::OK, JsonRpcCode::RESOURCE_NOT_FOUND, "There is no such resource")
                        .with_data(json!({ "uri": uri }))
                }
                (CallError::CompletionReferenceNotFound, _) => {
                    invalid_params("There is no such prompt, template or variable to complete")
                }
                (CallError::InvalidParams, _) => invalid_params("The params are not those of the method"),
                (CallError::InvalidCursor, _) => invalid_params("The cursor is not one of ours"),
                (CallError::PromptArgumentNotAString, _) => invalid_params("The arguments of a prompt must be strings"),
                (CallError::MissingPromptArgument, _) => invalid_params("A required argument is missing"),
                (CallError::PromptTooLong, _) => invalid_params("The prompt would be too long with these arguments"),
                (CallError::PromptArgumentNotFound, _) => invalid_params("The prompt has no such argument"),
                (CallError::Upstream(fault), _) => upstream(fault),
            },
            Self::Upstream(fault) => upstream(fault),
        }
    }

    /// An id that could not be read is left out rather than null (MCP 2026-07-28, base protocol).
    fn id(&self) -> Option<RequestId> {
        match self {
            Self::Message { id, .. } => id.clone(),
            Self::Call { id, .. } | Self::InsufficientScope { id, .. } => Some(id.clone()),
            _ => None,
        }
    }
}

/// A row of the table.
struct ErrorRow {
    /// Why, for our log: nothing that the client sent.
    reason: String,
    status: StatusCode,
    body: ErrorBody,
}

/// What the client is told, in the form that it expects at that point.
enum ErrorBody {
    /// A challenge, with the scopes to request (RFC 6750 §3).
    Challenge(Option<BearerError>),
    /// A challenge to a request that was read, with the scopes to request.
    InsufficientScope(BearerError, Scopes),
    /// An error of JSON-RPC.
    JsonRpc(ErrorData),
    /// An error of OAuth.
    OAuth(ErrorCode, &'static str),
}

impl ErrorRow {
    fn because(self, reason: &impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), ..self }
    }

    fn with_data(mut self, data: Value) -> Self {
        if let ErrorBody::JsonRpc(error) = &mut self.body {
            error.data = Some(data);
        }
        self
    }
}

fn json_rpc(status: StatusCode, code: JsonRpcCode, message: &'static str) -> ErrorRow {
    let reason = format!("{}: {message}", code.0);
    ErrorRow { reason, status, body: ErrorBody::JsonRpc(ErrorData::new(code, message, None)) }
}

fn bad_request(code: JsonRpcCode, message: &'static str) -> ErrorRow {
    json_rpc(StatusCode::BAD_REQUEST, code, message)
}

fn invalid_request(message: &'static str) -> ErrorRow {
    bad_request(JsonRpcCode::INVALID_REQUEST, message)
}

fn invalid_metadata(message: &'static str) -> ErrorRow {
    bad_request(JsonRpcCode::INVALID_PARAMS, message)
}

fn header_mismatch(message: &'static str) -> ErrorRow {
    bad_request(JsonRpcCode::HEADER_MISMATCH, message)
}

/// The request itself is in order, so HTTP has no error (MCP 2026-07-28, transports).
fn invalid_params(message: &'static str) -> ErrorRow {
    json_rpc(StatusCode::OK, JsonRpcCode::INVALID_PARAMS, message)
}

/// A fault is worth another try, which an error inside a 200 does not say.
fn upstream(fault: &UpstreamError) -> ErrorRow {
    let description = "Something that we depend on did not answer. Try again in a moment.";
    ErrorRow {
        reason: fault.to_string(),
        status: StatusCode::SERVICE_UNAVAILABLE,
        body: ErrorBody::OAuth(ErrorCode::TemporarilyUnavailable, description),
    }
}

impl From<AuthError> for McpError {
    fn from(why: AuthError) -> Self {
        Self::Unauthenticated(why)
    }
}

impl From<MessageError> for McpError {
    fn from(error: MessageError) -> Self {
        Self::Message { id: None, error }
    }
}

impl From<UpstreamError> for McpError {
    fn from(fault: UpstreamError) -> Self {
        Self::Upstream(fault)
    }
}

impl From<UpstreamError> for CallError {
    fn from(fault: UpstreamError) -> Self {
        Self::Upstream(fault)
    }
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;
    use shared::lambda::Body;
    use shared::oauth::issuer::Issuer;
    use shared::oauth::resource::{ResourceAddress, ResourceServer};

    use super::*;

    fn response(error: impl Into<McpError>) -> Response {
        let server = ResourceServer::at_issuer(Issuer::parse("https://connect.example.com").unwrap());
        error
            .into()
            .into_response(&Challenge::for_address(&ResourceAddress::main(&server), Scopes::DEFAULT.permissions()))
    }

    fn told(error: impl Into<McpError>) -> (u16, Value) {
        let response = response(error);
        let status = response.status().as_u16();
        let Body::Text(body) = response.into_body() else { panic!("no text") };
        (status, serde_json::from_str(&body).unwrap())
    }

    /// RFC 6750 §3 and §3.1: no error where no credentials were sent.
    #[test]
    fn unauthenticated_requests_are_challenged() {
        for (why, status, code) in [
            (AuthError::MissingCredentials, 401, None),
            (AuthError::MultipleCredentials, 400, Some("invalid_request")),
            (AuthError::ApiKeyAsBasic, 401, Some("invalid_token")),
            (AuthError::Token(TokenVerifyError::Expired), 401, Some("invalid_token")),
            (AuthError::Token(TokenVerifyError::Invalid), 401, Some("invalid_token")),
            (AuthError::UnknownGrant, 401, Some("invalid_token")),
            (AuthError::NotVisibleAscii, 401, Some("invalid_token")),
            (AuthError::ApiKey(ApiKeyError::Unknown), 401, Some("invalid_token")),
        ] {
            let response = response(why);
            assert_eq!(response.status().as_u16(), status);
            let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
            let begins = code.map_or("Bearer resource_metadata=".to_owned(), |code| format!("Bearer error=\"{code}\""));
            assert!(challenge.starts_with(&begins), "{challenge}");
        }
    }

    #[test]
    fn errors_without_an_id_leave_it_out() {
        for (error, status, code, message) in [
            (McpError::ForbiddenOrigin, 403, -32600, "Forbidden origin"),
            (McpError::MethodNotAllowed, 405, -32600, "Only POST is served"),
            (McpError::Malformed(ParameterError::TooLarge), 400, -32600, "The request is malformed"),
            (MessageError::NotJson.into(), 400, -32700, "The body is not JSON"),
        ] {
            let body = json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message } });
            assert_eq!(told(error), (status, body));
        }
        assert_eq!(response(McpError::MethodNotAllowed).headers()[ALLOW], "POST");
    }

    /// MCP 2026-07-28, transports: what is wrong with a call is no error of HTTP, except for a method that there is not.
    #[test]
    fn errors_of_calls_follow_the_protocol_version() {
        use ProtocolVersion::{Legacy, Modern};
        let not_found = || CallError::ResourceNotFound("skill://a".to_owned());
        let uri = || Some(json!({ "uri": "skill://a" }));
        for (protocol_version, error, status, code, message, data) in [
            (Modern, CallError::MethodNotFound, 404, -32601, "There is no such method", None),
            (Legacy, CallError::MethodNotFound, 200, -32601, "There is no such method", None),
            (Modern, CallError::ToolNotFound, 200, -32602, "There is no such tool", None),
            (Legacy, CallError::InvalidCursor, 200, -32602, "The cursor is not one of ours", None),
            (Modern, not_found(), 200, -32602, "There is no such resource", uri()),
            (Legacy, not_found(), 200, -32002, "There is no such resource", uri()),
        ] {
            let mut body = json!({ "jsonrpc": "2.0", "id": "a", "error": { "code": code, "message": message } });
            if let Some(data) = data {
                body["error"]["data"] = data;
            }
            let id = RequestId::String("a".into());
            assert_eq!(told(McpError::Call { id, protocol_version, error }), (status, body));
        }
    }

    #[test]
    fn upstream_errors_are_worth_another_try() {
        let fault = || shared::upstream_call::failed("DynamoDB.GetItem", "throttled");
        let (id, protocol_version) = (RequestId::Number(7), ProtocolVersion::Modern);
        for error in [fault().into(), McpError::Call { id, protocol_version, error: fault().into() }] {
            let body = json!({
                "error": "temporarily_unavailable",
                "error_description": "Something that we depend on did not answer. Try again in a moment.",
            });
            assert_eq!(told(error), (503, body));
        }
    }
}
