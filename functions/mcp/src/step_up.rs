//! A call beyond the scopes: what it wanted is remembered, so that the next consent page offers it (MCP 2025-11-25, step-up).

use shared::access::{Access, By};
use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::scope::Scopes;

use crate::Mcp;
use crate::refusal::Refusal;

/// Someone may not do what they called for.
#[derive(Debug)]
pub(crate) struct Beyond {
    /// Who, and what they may do.
    pub(crate) access: Access,
    /// What it takes.
    pub(crate) needed: Scopes,
}

impl Mcp {
    /// The refusal. What the connection lacks is remembered for the person, client and tenant that its grant names, and for nobody
    /// else; an API key has no page on which more could be approved.
    pub(crate) async fn step_up(&self, Beyond { access, needed }: Beyond, now: Timestamp) -> Refusal {
        let (granted, person, tenant) = (access.scopes(), access.person(), access.tenant());
        let wanted = needed.difference(granted).intersection(Scopes::OFFERED);
        let forgotten = match access.by() {
            By::Token { grant, client } if !wanted.is_empty() => {
                audit::record(&Event::ScopeWanted {
                    grant: &grant.to_text(),
                    client: client.as_str(),
                    tenant: tenant.as_str(),
                    person: person.as_str(),
                    scope: &wanted.to_string(),
                });
                self.grants.want(person, client, tenant, wanted, now).await.err()
            }
            By::Token { .. } => None,
            By::Key(key) => {
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
}
