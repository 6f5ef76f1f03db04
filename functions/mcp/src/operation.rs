//! The operations of the MCP server and the scopes that each needs: the one table of both.

use rmcp::model::CompleteRequestParams;
use serde_json::{Map, Value, from_value};
use shared::access::Access;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::workspace::Name;

use crate::completion::CompletionTarget;
use crate::message::{Call, ProtocolVersion};
use crate::resources::ResourceUri;
use crate::step_up::InsufficientScope;
use crate::tools::BuiltIn;

/// An operation that a client can call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `server/discover`.
    Discover,
    /// `initialize`.
    Initialize,
    /// `ping`.
    Ping,
    /// `tools/list`.
    ListTools,
    /// `tools/call` of one of ours.
    BuiltIn(&'static BuiltIn),
    /// `tools/call` of one that the tenant has, if it has one of that name.
    Registered(Name),
    /// `resources/list`.
    ListResources,
    /// `resources/templates/list`.
    ListResourceTemplates,
    /// `resources/read`, if there is one of that name.
    ReadResource(ResourceUri),
    /// `prompts/list`.
    ListPrompts,
    /// `prompts/get`, if there is one of that name.
    GetPrompt(Name),
    /// `completion/complete`.
    Complete(CompletionTarget),
}

/// Why a call names no operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownOperation {
    /// There is no such method in that revision.
    Method,
    /// No tool can have that name.
    Tool,
    /// No prompt can have that name.
    Prompt,
    /// No resource can have that name.
    Resource,
    /// It completes nothing that we have.
    CompletionReference,
    /// The params are not those of the method.
    Params,
}

impl Operation {
    /// What `method` asks for.
    pub(crate) fn parse(
        protocol_version: ProtocolVersion,
        method: &str,
        params: &Map<String, Value>,
    ) -> Result<Self, UnknownOperation> {
        match (protocol_version, method) {
            (ProtocolVersion::Modern, "server/discover") => Ok(Self::Discover),
            (ProtocolVersion::Legacy, "initialize") => Ok(Self::Initialize),
            (ProtocolVersion::Legacy, "ping") => Ok(Self::Ping),
            (_, "tools/list") => Ok(Self::ListTools),
            (_, "tools/call") => {
                let name = params.get("name").and_then(Value::as_str).ok_or(UnknownOperation::Tool)?;
                match BuiltIn::find(name) {
                    Some(tool) => Ok(Self::BuiltIn(tool)),
                    None => Name::parse(name).map(Self::Registered).ok_or(UnknownOperation::Tool),
                }
            }
            (_, "resources/list") => Ok(Self::ListResources),
            (_, "resources/templates/list") => Ok(Self::ListResourceTemplates),
            (_, "resources/read") => {
                let uri = params.get("uri").and_then(Value::as_str).ok_or(UnknownOperation::Params)?;
                ResourceUri::parse(uri).map(Self::ReadResource).ok_or(UnknownOperation::Resource)
            }
            (_, "prompts/list") => Ok(Self::ListPrompts),
            (_, "prompts/get") => {
                let name = params.get("name").and_then(Value::as_str).and_then(Name::parse);
                name.map(Self::GetPrompt).ok_or(UnknownOperation::Prompt)
            }
            (_, "completion/complete") => {
                let asked: CompleteRequestParams =
                    from_value(Value::Object(params.clone())).map_err(|_| UnknownOperation::Params)?;
                CompletionTarget::of(asked).map(Self::Complete).ok_or(UnknownOperation::CompletionReference)
            }
            _ => Err(UnknownOperation::Method),
        }
    }

    /// What it needs.
    pub(crate) fn scopes(&self) -> Scopes {
        match self {
            // Lists show only what the scopes allow.
            Self::Discover
            | Self::Initialize
            | Self::Ping
            | Self::ListTools
            | Self::ListResources
            | Self::ListResourceTemplates
            | Self::ListPrompts => Scopes::NONE,
            Self::BuiltIn(tool) => tool.scope.into(),
            Self::Registered(_) => Scope::ToolsExecute.into(),
            Self::ReadResource(uri) => uri.kind().scope().into(),
            Self::GetPrompt(_) => Scope::SkillsRead.into(),
            Self::Complete(target) => target.scope().into(),
        }
    }
}

/// A call whose scopes have been checked. Only [`authorize`] makes one.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizedCall {
    /// By whom.
    pub(crate) access: Access,
    /// What.
    pub(crate) call: Call,
    _witness: (),
}

/// Authorizes a call: the one place where scopes are checked.
pub(crate) fn authorize(access: Access, call: Call) -> Result<AuthorizedCall, InsufficientScope> {
    let needed = call.operation.scopes();
    if access.scopes().covers(needed) {
        return Ok(AuthorizedCall { access, call, _witness: () });
    }
    let tool = match call.operation {
        Operation::Registered(name) => Some(Box::new(name)),
        _ => None,
    };
    Err(InsufficientScope { access, needed, tool })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::clock::Timestamp;
    use shared::oauth::api_key::{ApiKey, ApiKeyName};
    use shared::oauth::issuer::Issuer;
    use shared::oauth::resource::Resource;
    use shared::oauth::role::Role;
    use shared::oauth::tenant::{PersonId, TenantId};
    use shared::store::api_keys::ApiKeyRecord;
    use shared::store::directory::Membership;

    use super::*;

    fn access(scopes: &str) -> Access {
        let key = ApiKey::random();
        let tenant = TenantId::parse("acme").unwrap();
        let person = PersonId::parse("00000000-0000-4000-8000-000000000001").unwrap();
        let known = ApiKeyRecord {
            id: key.id.clone(),
            tenant: tenant.clone(),
            name: ApiKeyName::parse("a test").unwrap(),
            digest: key.secret.digest(),
            scopes: Scopes::parse(scopes),
            maker: person.clone(),
            created: Timestamp::from_seconds(0),
            expires: None,
            used: None,
        };
        let role = Role { name: "any".to_owned(), permissions: Scopes::parse(scopes) };
        let resource = Resource::new(&Issuer::parse("https://connect.example.com").unwrap());
        let membership = Membership { person, tenant, name: "Acme".to_owned(), role };
        Access::from_api_key(&key, known, &resource, &membership).unwrap()
    }

    #[test]
    fn each_operation_needs_its_scopes() {
        let registered = || Operation::Registered(Name::parse("find_invoice").unwrap());
        let ours = |name| Operation::BuiltIn(BuiltIn::find(name).unwrap());
        let resource = |uri| Operation::ReadResource(ResourceUri::parse(uri).unwrap());
        let prompt = || Operation::GetPrompt(Name::parse("weekly-report").unwrap());
        let complete = |reference: Value, argument: &str| {
            let params = json!({ "ref": reference, "argument": { "name": argument, "value": "w" } });
            Operation::parse(ProtocolVersion::Legacy, "completion/complete", params.as_object().unwrap()).unwrap()
        };
        let of_prompt = || complete(json!({ "type": "ref/prompt", "name": "weekly-report" }), "week");
        let of_skill = || complete(json!({ "type": "ref/resource", "uri": "skill://{name}" }), "name");
        let of_document = || complete(json!({ "type": "ref/resource", "uri": "document://{id}" }), "id");
        for (scopes, operation, lacks) in [
            ("", Operation::ListResources, None),
            ("", Operation::ListResourceTemplates, None),
            ("", Operation::ListPrompts, None),
            ("skills:read", resource("skill://a"), None),
            ("documents:read", resource("document://a"), None),
            ("documents:write", resource("document://a?version=1"), None),
            ("skills:read", prompt(), None),
            ("skills:read", of_prompt(), None),
            ("skills:read", of_skill(), None),
            ("documents:read", of_document(), None),
            ("documents:read", resource("skill://a"), Some("skills:read")),
            ("skills:read", resource("document://a"), Some("documents:read")),
            ("documents:read", prompt(), Some("skills:read")),
            ("documents:read", of_prompt(), Some("skills:read")),
            ("documents:read", of_skill(), Some("skills:read")),
            ("skills:read", of_document(), Some("documents:read")),
            ("documents:read", ours("create_document"), Some("documents:read documents:write")),
            ("documents:write", ours("read_document"), None),
            ("documents:write", ours("create_chat"), Some("chat:create")),
            ("", Operation::ListTools, None),
            ("", Operation::Discover, None),
            ("", Operation::Initialize, None),
            ("", Operation::Ping, None),
            ("skills:read", ours("list_skills"), None),
            ("skills:read", ours("read_skill"), None),
            ("views:read", ours("list_views"), None),
            ("views:read", ours("read_view"), None),
            ("tools:execute", registered(), None),
            ("", ours("read_skill"), Some("skills:read")),
            ("views:read", ours("list_skills"), Some("skills:read")),
            ("skills:read", ours("read_view"), Some("views:read")),
            ("skills:read views:read entities:write connections:manage", registered(), Some("tools:execute")),
        ] {
            let call = Call {
                protocol_version: ProtocolVersion::Legacy,
                operation: operation.clone(),
                method: String::new(),
                body: Value::Null,
            };
            let needed = match authorize(access(scopes), call) {
                Ok(authorized) => {
                    assert_eq!(authorized.call.operation, operation);
                    None
                }
                Err(InsufficientScope { access, needed, .. }) => {
                    assert_eq!(access.scopes(), Scopes::parse(scopes));
                    Some(needed.to_string())
                }
            };
            assert_eq!(needed.as_deref(), lacks, "{scopes} {operation:?}");
        }
    }
}
