//! What can be asked for, and which scopes each needs: the one table of both.

use serde_json::{Map, Value};
use shared::access::Access;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::workspace::Name;

use crate::message::{Call, Era};
use crate::step_up::Beyond;
use crate::tools::BuiltIn;

/// Something to do.
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
}

/// Why a call names nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// There is no such method in that era.
    Method,
    /// No tool can have that name.
    Tool,
}

impl Operation {
    /// What `method` asks for.
    pub(crate) fn of(era: Era, method: &str, params: &Map<String, Value>) -> Result<Self, Unknown> {
        match (era, method) {
            (Era::Modern, "server/discover") => Ok(Self::Discover),
            (Era::Legacy, "initialize") => Ok(Self::Initialize),
            (Era::Legacy, "ping") => Ok(Self::Ping),
            (_, "tools/list") => Ok(Self::ListTools),
            (_, "tools/call") => {
                let name = params.get("name").and_then(Value::as_str).ok_or(Unknown::Tool)?;
                match BuiltIn::named(name) {
                    Some(tool) => Ok(Self::BuiltIn(tool)),
                    None => Name::parse(name).map(Self::Registered).ok_or(Unknown::Tool),
                }
            }
            _ => Err(Unknown::Method),
        }
    }

    /// What it needs.
    pub(crate) fn scopes(&self) -> Scopes {
        match self {
            // Lists show only what the scopes allow.
            Self::Discover | Self::Initialize | Self::Ping | Self::ListTools => Scopes::NONE,
            Self::BuiltIn(tool) => tool.scope.into(),
            Self::Registered(_) => Scope::ToolsExecute.into(),
        }
    }
}

/// A call whose scopes have been checked. Only [`permit`] makes one.
#[derive(Clone, Debug)]
pub(crate) struct Permitted {
    /// By whom.
    pub(crate) access: Access,
    /// What.
    pub(crate) call: Call,
    _witness: (),
}

/// Lets someone do what they called for: the one place where scopes are checked.
pub(crate) fn permit(access: Access, call: Call) -> Result<Permitted, Beyond> {
    let needed = call.operation.scopes();
    if access.scopes().covers(needed) {
        Ok(Permitted { access, call, _witness: () })
    } else {
        Err(Beyond { access, needed })
    }
}

#[cfg(test)]
mod tests {
    use shared::clock::Timestamp;
    use shared::oauth::api_key::{ApiKey, KeyName};
    use shared::oauth::role::Role;
    use shared::oauth::tenant::{PersonId, TenantId};
    use shared::store::directory::Standing;
    use shared::store::keys::KnownKey;

    use super::*;

    fn access(scopes: &str) -> Access {
        let key = ApiKey::random();
        let tenant = TenantId::parse("acme").unwrap();
        let person = PersonId::parse("00000000-0000-4000-8000-000000000001").unwrap();
        let known = KnownKey {
            id: key.id.clone(),
            tenant: tenant.clone(),
            name: KeyName::parse("a test").unwrap(),
            digest: key.secret.digest(),
            scopes: Scopes::parse(scopes),
            maker: person.clone(),
            created: Timestamp::from_seconds(0),
            expires: None,
            used: None,
        };
        let role = Role { name: "any".to_owned(), permissions: Scopes::parse(scopes) };
        Access::of_key(&key, known, &Standing { person, tenant, name: "Acme".to_owned(), role }).unwrap()
    }

    #[test]
    fn what_is_permitted_and_what_a_refusal_names() {
        let registered = || Operation::Registered(Name::parse("find_invoice").unwrap());
        let ours = |name| Operation::BuiltIn(BuiltIn::named(name).unwrap());
        for (scopes, operation, lacks) in [
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
            let call =
                Call { era: Era::Legacy, operation: operation.clone(), method: String::new(), body: Value::Null };
            let needed = match permit(access(scopes), call) {
                Ok(permitted) => {
                    assert_eq!(permitted.call.operation, operation);
                    None
                }
                Err(Beyond { access, needed }) => {
                    assert_eq!(access.scopes(), Scopes::parse(scopes));
                    Some(needed.to_string())
                }
            };
            assert_eq!(needed.as_deref(), lacks, "{scopes} {operation:?}");
        }
    }
}
