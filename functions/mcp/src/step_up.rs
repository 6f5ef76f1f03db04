//! A call with insufficient scope: the next consent page offers the missing scopes (MCP 2025-11-25, step-up).

use rmcp::model::RequestId;
use shared::access::{Access, Principal};
use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::scope::Scopes;
use shared::store::grants::Grants;
use shared::store::workspace::{Name, Workspaces};
use shared::telemetry::audit::{self, ConnectionRef, Event};
use shared::upstream_error::UpstreamError;

use crate::authorize::InsufficientScope;
use crate::error::McpError;

/// Records what the next consent page offers.
pub(crate) struct StepUp {
    grants: Grants,
    workspaces: Workspaces,
}

impl StepUp {
    /// With what it needs of the environment.
    pub(crate) fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { grants: environment.grants()?, workspaces: environment.workspaces()? })
    }

    /// The error of the request `id`. The missing scopes become pending for the person, client and tenant of the grant: also those
    /// that the role does not allow, which are offered when it does. An API key has no consent page on which more scopes could be
    /// approved.
    pub(crate) async fn record(
        &self,
        id: RequestId,
        InsufficientScope { access, needed, tool }: InsufficientScope,
        now: Timestamp,
    ) -> McpError {
        let (granted, person, tenant) = (access.scopes(), access.person(), access.tenant());
        let wanted = needed.difference(granted).intersection(Scopes::SUPPORTED);
        let not_recorded = match access.principal() {
            Principal::Client { grant, client } if !wanted.is_empty() => {
                match self.tool_exists(&access, tool.as_deref()).await {
                    // A tool that does not exist is a mistake of the model: no scope becomes pending. The
                    // response is the same, so that nobody learns which tools there are.
                    Ok(false) => None,
                    Err(fault) => Some(fault),
                    Ok(true) => {
                        audit::record(&Event::ScopeWanted {
                            connection: ConnectionRef { grant, client, tenant, person },
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
        let allowed_by_role = access.allowed_by_role().covers(needed);
        McpError::InsufficientScope { id, granted, needed, allowed_by_role, not_recorded }
    }

    /// Whether what was called is there: ours always is.
    async fn tool_exists(&self, access: &Access, tool: Option<&Name>) -> Result<bool, UpstreamError> {
        match tool {
            Some(name) => Ok(self.workspaces.of(access).tool(name).await?.is_some()),
            None => Ok(true),
        }
    }
}
