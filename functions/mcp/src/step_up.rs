//! A call beyond the scopes: what it wanted is remembered, so that the next consent page offers it (MCP 2025-11-25, step-up).

use shared::access::{Access, Principal};
use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::scope::Scopes;
use shared::store::workspace::Name;
use shared::upstream_error::UpstreamError;

use crate::Mcp;
use crate::refusal::Refusal;

/// Someone may not do what they called for.
#[derive(Debug)]
pub(crate) struct Beyond {
    /// Who, and what they may do.
    pub(crate) access: Access,
    /// What it takes.
    pub(crate) needed: Scopes,
    /// The tenant's tool that was called, if it was to be one: nobody knows yet whether there is one of that name.
    pub(crate) tool: Option<Box<Name>>,
}

impl Mcp {
    /// The refusal. What the connection lacks is remembered for the person, client and tenant that its grant names, and for nobody
    /// else; an API key has no page on which more could be approved.
    pub(crate) async fn step_up(&self, Beyond { access, needed, tool }: Beyond, now: Timestamp) -> Refusal {
        let (granted, person, tenant) = (access.scopes(), access.person(), access.tenant());
        let wanted = needed.difference(granted).intersection(Scopes::SUPPORTED);
        let forgotten = match access.principal() {
            Principal::Client { grant, client } if !wanted.is_empty() => {
                match self.is_there(&access, tool.as_deref()).await {
                    // What does not exist is not wanted: a model's slip would have a person asked for the right to run tools. The answer is
                    // the same, so that it tells nobody which tools there are.
                    Ok(false) => None,
                    Err(fault) => Some(fault),
                    Ok(true) => {
                        audit::record(&Event::ScopeWanted {
                            grant: &grant.to_text(),
                            client: client.as_str(),
                            tenant: tenant.as_str(),
                            person: person.as_str(),
                            scope: &wanted.to_string(),
                        });
                        self.grants.record_pending_scopes(person, client, tenant, wanted, now).await.err()
                    }
                }
            }
            Principal::Client { .. } => None,
            Principal::ApiKey(key) => {
                audit::record(&Event::KeyRefused {
                    key: &key.to_text(),
                    reason: "scope",
                    tenant: Some(tenant.as_str()),
                    person: Some(person.as_str()),
                    scope: Some(&needed.difference(granted).to_string()),
                });
                None
            }
        };
        Refusal::Scope { granted, needed, forgotten }
    }

    /// Whether what was called is there: ours always is.
    async fn is_there(&self, access: &Access, tool: Option<&Name>) -> Result<bool, UpstreamError> {
        match tool {
            Some(name) => self.server.has_tool(access, name).await,
            None => Ok(true),
        }
    }
}
