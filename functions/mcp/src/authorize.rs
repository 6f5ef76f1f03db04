//! Authorizes an operation: the one place where scopes are checked.

use shared::access::Access;
use shared::oauth::scope::Scopes;
use shared::store::workspace::Name;

use crate::operation::Operation;

/// An operation whose scopes have been checked. Only [`authorize`] makes one.
#[derive(Debug)]
pub(crate) struct AuthorizedOperation {
    access: Access,
    operation: Operation,
}

/// The credentials do not have the scopes that the operation needs.
#[derive(Debug)]
pub(crate) struct InsufficientScope {
    /// Who, and what they may do.
    pub(crate) access: Box<Access>,
    /// What it takes.
    pub(crate) needed: Scopes,
    /// What was called.
    pub(crate) called: Called,
}

/// What was called, as far as a step-up depends on it.
#[derive(Debug)]
pub(crate) enum Called {
    /// A tool of ours.
    BuiltIn,
    /// The tenant's tool of that name. Whether there is one is not known yet.
    Registered(Box<Name>),
    /// No tool.
    Other,
}

/// Authorizes an operation.
pub(crate) fn authorize(access: Access, operation: Operation) -> Result<AuthorizedOperation, InsufficientScope> {
    let needed = operation.scopes();
    if access.scopes().covers(needed) {
        return Ok(AuthorizedOperation { access, operation });
    }
    let called = match operation {
        Operation::BuiltIn(..) => Called::BuiltIn,
        Operation::Registered(name, _) => Called::Registered(Box::new(name)),
        _ => Called::Other,
    };
    Err(InsufficientScope { access: Box::new(access), needed, called })
}

impl AuthorizedOperation {
    /// By whom, and what.
    pub(crate) fn into_parts(self) -> (Access, Operation) {
        (self.access, self.operation)
    }
}

#[cfg(test)]
mod tests {
    use rmcp::model::JsonObject;
    use serde_json::{Value, json};
    use shared::clock::Timestamp;
    use shared::oauth::api_key::{ApiKey, ApiKeyName, ApiKeyRecord};
    use shared::oauth::approval_basis::CurrentBasis;
    use shared::oauth::issuer::Issuer;
    use shared::oauth::resource::{Resource, ResourceServer};
    use shared::oauth::role::Role;
    use shared::oauth::scope_meaning::ScopeMeaning;
    use shared::oauth::tenant::{PersonId, TenantId};
    use shared::store::api_keys::MakerMembership;
    use shared::store::directory::Membership;
    use shared::store::workspace_layout::WorkspaceLayout;

    use super::*;
    use crate::protocol_version::ProtocolVersion;
    use crate::resource_uri::ResourceUri;
    use crate::tools::catalog;

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
            scope_meaning: ScopeMeaning::CURRENT,
            maker: person.clone(),
            membership: None,
            parent: None,
            created: Timestamp::from_seconds(0),
            expires: None,
            used: None,
        };
        let role = Role { name: "any".to_owned(), permissions: Scopes::parse(scopes) };
        let server = ResourceServer::at_issuer(Issuer::parse("https://connect.example.com").unwrap());
        let resource = Resource::new(&server);
        let (basis, workspace_layout) = (CurrentBasis::default(), WorkspaceLayout::ByKind);
        let membership = Membership { person, tenant, name: "Acme".to_owned(), role, basis, workspace_layout };
        let maker = MakerMembership { membership, has_ended_parent: false };
        Access::from_api_key(&key, known, &resource, &maker).unwrap()
    }

    #[test]
    fn each_operation_needs_its_scopes() {
        let registered = || Operation::Registered(Name::parse("find_invoice").unwrap(), JsonObject::new());
        let ours = |name| Operation::BuiltIn(catalog::find(name).unwrap(), JsonObject::new());
        let resource = |uri| Operation::ReadResource(ResourceUri::parse(uri).unwrap());
        let prompt = || Operation::GetPrompt(Name::parse("weekly-report").unwrap(), JsonObject::new());
        let complete = |reference: Value, argument: &str| {
            let params = json!({ "ref": reference, "argument": { "name": argument, "value": "w" } });
            let params = params.as_object().unwrap().clone();
            Operation::parse(ProtocolVersion::Legacy, "completion/complete", params).unwrap()
        };
        let of_prompt = || complete(json!({ "type": "ref/prompt", "name": "weekly-report" }), "week");
        let of_skill = || complete(json!({ "type": "ref/resource", "uri": "skill://{name}" }), "name");
        let of_document = || complete(json!({ "type": "ref/resource", "uri": "document://{id}" }), "id");
        for (scopes, operation, lacks) in [
            ("", Operation::ListResources(None), None),
            ("", Operation::ListResourceTemplates(None), None),
            ("", Operation::ListPrompts(None), None),
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
            ("", Operation::ListTools(None), None),
            ("", Operation::Discover, None),
            ("", Operation::Initialize(rmcp::model::ProtocolVersion::V_2025_11_25), None),
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
            let needed = match authorize(access(scopes), operation.clone()) {
                Ok(authorized) => {
                    assert_eq!(authorized.operation, operation);
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
