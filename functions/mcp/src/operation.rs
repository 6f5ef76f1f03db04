//! The operations of the MCP server and the scopes that each needs: the one table of both.

use rmcp::model::{
    CallToolRequestParams, CompleteRequestParams, GetPromptRequestParams, InitializeRequestParams, JsonObject,
    PaginatedRequestParams, ReadResourceRequestParams,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::workspace::Name;

use crate::completion::CompletionTarget;
use crate::error::CallError;
use crate::protocol_version::ProtocolVersion;
use crate::resource_uri::ResourceUri;
use crate::tools::built_in::BuiltIn;
use crate::tools::catalog;

/// An operation that a client can call, with its params.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `server/discover`.
    Discover,
    /// `initialize`, for a version of the protocol.
    Initialize(rmcp::model::ProtocolVersion),
    /// `ping`.
    Ping,
    /// `tools/list`, after a cursor.
    ListTools(Option<String>),
    /// `tools/call` of one of ours.
    BuiltIn(&'static BuiltIn, JsonObject),
    /// `tools/call` of one that the tenant has, if it has one of that name.
    Registered(Name, JsonObject),
    /// `resources/list`, after a cursor.
    ListResources(Option<String>),
    /// `resources/templates/list`, after a cursor.
    ListResourceTemplates(Option<String>),
    /// `resources/read`, if there is one of that name.
    ReadResource(ResourceUri),
    /// `prompts/list`, after a cursor.
    ListPrompts(Option<String>),
    /// `prompts/get`, if there is one of that name.
    GetPrompt(Name, JsonObject),
    /// `completion/complete`.
    Complete(CompletionTarget),
}

impl Operation {
    /// What `method` asks for.
    pub(crate) fn parse(
        protocol_version: ProtocolVersion,
        method: &str,
        params: JsonObject,
    ) -> Result<Self, CallError> {
        match (protocol_version, method) {
            (ProtocolVersion::Modern, "server/discover") => no_params(&params).map(|()| Self::Discover),
            (ProtocolVersion::Legacy, "initialize") => {
                let params: InitializeRequestParams = parse_params(params)?;
                Ok(Self::Initialize(params.protocol_version))
            }
            (ProtocolVersion::Legacy, "ping") => no_params(&params).map(|()| Self::Ping),
            (_, "tools/list") => cursor(params).map(Self::ListTools),
            (_, "tools/call") => Self::parse_tool_call(params),
            (_, "resources/list") => cursor(params).map(Self::ListResources),
            (_, "resources/templates/list") => cursor(params).map(Self::ListResourceTemplates),
            (_, "resources/read") => {
                let uri = text(&params, "uri").ok_or(CallError::InvalidParams)?;
                let uri = ResourceUri::parse(uri).ok_or_else(|| CallError::ResourceNotFound(uri.to_owned()))?;
                let _: ReadResourceRequestParams = parse_params(params)?;
                Ok(Self::ReadResource(uri))
            }
            (_, "prompts/list") => cursor(params).map(Self::ListPrompts),
            (_, "prompts/get") => {
                let name = text(&params, "name").and_then(Name::parse).ok_or(CallError::PromptNotFound)?;
                let params: GetPromptRequestParams = parse_params(params)?;
                Ok(Self::GetPrompt(name, params.arguments.unwrap_or_default()))
            }
            (_, "completion/complete") => {
                let params: CompleteRequestParams = parse_params(params)?;
                CompletionTarget::of(params).map(Self::Complete).ok_or(CallError::CompletionReferenceNotFound)
            }
            _ => Err(CallError::MethodNotFound),
        }
    }

    fn parse_tool_call(params: JsonObject) -> Result<Self, CallError> {
        let name = text(&params, "name").ok_or(CallError::ToolNotFound)?;
        if let Some(tool) = catalog::find(name) {
            return Ok(Self::BuiltIn(tool, arguments(params)?));
        }
        let name = Name::parse(name).ok_or(CallError::ToolNotFound)?;
        Ok(Self::Registered(name, arguments(params)?))
    }

    /// What it needs.
    pub(crate) fn scopes(&self) -> Scopes {
        match self {
            // Lists show only what the scopes allow.
            Self::Discover
            | Self::Initialize(_)
            | Self::Ping
            | Self::ListTools(_)
            | Self::ListResources(_)
            | Self::ListResourceTemplates(_)
            | Self::ListPrompts(_) => Scopes::NONE,
            Self::BuiltIn(tool, _) => tool.scope.into(),
            Self::Registered(..) => Scope::ToolsExecute.into(),
            Self::ReadResource(uri) => uri.kind().scope().into(),
            Self::GetPrompt(..) => Scope::SkillsRead.into(),
            Self::Complete(target) => target.scope().into(),
        }
    }
}

/// The arguments of a tool.
fn arguments(params: JsonObject) -> Result<JsonObject, CallError> {
    let params: CallToolRequestParams = parse_params(params)?;
    Ok(params.arguments.unwrap_or_default())
}

/// A method without params may still come with metadata.
fn no_params(params: &JsonObject) -> Result<(), CallError> {
    match params.get("_meta") {
        None | Some(Value::Null | Value::Object(_)) => Ok(()),
        Some(_) => Err(CallError::InvalidParams),
    }
}

/// Where a list is to go on; `None` for its beginning.
fn cursor(params: JsonObject) -> Result<Option<String>, CallError> {
    let params: PaginatedRequestParams = parse_params(params)?;
    Ok(params.cursor)
}

fn text<'a>(params: &'a JsonObject, name: &str) -> Option<&'a str> {
    params.get(name).and_then(Value::as_str)
}

fn parse_params<T: DeserializeOwned>(params: JsonObject) -> Result<T, CallError> {
    serde_json::from_value(Value::Object(params)).map_err(|_| CallError::InvalidParams)
}
