//! What can be asked for, and which scopes each needs: the one table of both.

use serde_json::{Map, Value};
use shared::oauth::scope::{Scope, Scopes};
use shared::store::workspace::Name;

use crate::guard::Access;
use crate::message::{Call, Era};
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
    BuiltIn(BuiltIn),
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
            Self::BuiltIn(tool) => tool.scopes(),
            Self::Registered(_) => Scope::ToolsExecute.into(),
        }
    }
}

/// A call whose scopes have been checked. Only [`Access::permit`] makes one.
#[derive(Clone, Debug)]
pub(crate) struct Permitted {
    /// By whom.
    pub(crate) access: Access,
    /// What.
    pub(crate) call: Call,
    _witness: (),
}

impl Permitted {
    /// For [`Access::permit`] alone.
    pub(crate) const fn new(access: Access, call: Call) -> Self {
        Self { access, call, _witness: () }
    }
}
