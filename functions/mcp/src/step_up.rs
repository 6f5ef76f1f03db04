//! A call with insufficient scope: the next consent page offers the missing scopes (MCP 2025-11-25, step-up).

use rmcp::model::RequestId;
use shared::access::{Access, Principal};
use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::scope::Scopes;
use shared::store::grants::Grants;
use shared::store::workspace::Workspaces;
use shared::telemetry::audit::{self, ConnectionRef, Event};
use shared::upstream_error::UpstreamError;

use crate::authorize::{Called, InsufficientScope};
use crate::error::{McpError, StepUpError};
use crate::host::Host;

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
    /// that the role does not allow, which are offered when it does, and none if the person has denied one. An API key has no consent
    /// page on which more scopes could be approved.
    pub(crate) async fn record(
        &self,
        id: RequestId,
        InsufficientScope { access, needed, called }: InsufficientScope,
        now: Timestamp,
    ) -> McpError {
        let (granted, person, tenant) = (access.scopes(), access.person(), access.tenant());
        let wanted = needed.difference(granted).intersection(Scopes::SUPPORTED);
        let denied = !access.denied().intersection(needed).is_empty();
        let (host, not_recorded) = match access.principal() {
            Principal::Client { grant, client, redirect_uri } => {
                let connection = ConnectionRef { grant, client, tenant, person };
                let not_recorded = if wanted.is_empty() || denied {
                    None
                } else {
                    self.record_pending_scopes(&access, &called, connection, wanted, now).await.err()
                };
                (Host::of(client, redirect_uri), not_recorded)
            }
            Principal::ApiKey(key) => {
                audit::record(&Event::KeyRefused {
                    key: &key.to_text(),
                    reason: "scope",
                    tenant: Some(tenant.as_str()),
                    person: Some(person.as_str()),
                    scope: Some(&needed.difference(granted).to_string()),
                });
                (Host::Other, None)
            }
        };
        let step_up = if !access.allowed_by_role().covers(needed) {
            Err(StepUpError::NotAllowedByRole)
        } else if denied {
            Err(StepUpError::Denied)
        } else {
            Ok(())
        };
        let is_tool = !matches!(called, Called::Other);
        McpError::InsufficientScope { id, granted, needed, step_up, host, is_tool, not_recorded }
    }

    /// Records `wanted`, unless it is for a tool that does not exist. Such a call is a mistake of the model. The response is the same, so
    /// that nobody learns which tools there are.
    async fn record_pending_scopes(
        &self,
        access: &Access,
        called: &Called,
        connection: ConnectionRef<'_>,
        wanted: Scopes,
        now: Timestamp,
    ) -> Result<(), UpstreamError> {
        if let Called::Registered(name) = called
            && self.workspaces.of(access).tool(name).await?.is_none()
        {
            return Ok(());
        }
        let ConnectionRef { client, tenant, person, .. } = connection;
        audit::record(&Event::ScopeWanted { connection, scope: &wanted.to_string() });
        self.grants.record_pending_scopes(person, client, tenant, wanted, now).await
    }
}
