//! Ends many connections together: all of a person, of a client or of a tenant.
//!
//! One write per membership or tenant ends them all, whatever an index shows. The search that follows only marks and records those that
//! are listed. One that an index hides at this moment is marked when it is met: at its next call or refresh, which is refused.

use crate::clock::Timestamp;
use crate::entitlement::Entitlement;
use crate::oauth::approval_basis::ClientRevocations;
use crate::oauth::client::ClientId;
use crate::oauth::revocation_reason::RevocationReason;
use crate::oauth::tenant::TenantId;
use crate::revocation::Revocation;
use crate::store::connections::{ConnectionFilter, ListedGrant};
use crate::store::directory::{Directory, Membership};
use crate::store::grants::Grants;
use crate::store::joint_revocations::{TenantNumbers, TenantRevocation};
use crate::store::membership_changes::ChangeOutcome;
use crate::telemetry::audit::{ConnectionRef, ConnectionsRef, Event, LogRecorder, Recorder};
use crate::upstream_error::UpstreamError;

/// Ends connections together, and records it.
#[derive(Clone, Copy)]
pub struct JointRevocation<'a, R = LogRecorder> {
    directory: &'a Directory,
    grants: &'a Grants,
    reason: RevocationReason,
    by: Option<&'a str>,
    now: Timestamp,
    recorder: R,
}

/// What a search found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkedGrants {
    /// How many of them this search marked as revoked.
    pub count: usize,
    /// Whether more may be listed than were looked at.
    pub more: bool,
}

impl<'a> JointRevocation<'a> {
    /// Records in the log, as functions do. `by` is who does it, for the audit.
    #[must_use]
    pub const fn new(
        (directory, grants): (&'a Directory, &'a Grants),
        reason: RevocationReason,
        by: Option<&'a str>,
        now: Timestamp,
    ) -> Self {
        Self { directory, grants, reason, by, now, recorder: LogRecorder }
    }
}

impl<'a, R: Recorder + Clone> JointRevocation<'a, R> {
    /// Records by `recorder`.
    #[must_use]
    pub fn with_recorder<Other>(self, recorder: Other) -> JointRevocation<'a, Other> {
        let Self { directory, grants, reason, by, now, .. } = self;
        JointRevocation { directory, grants, reason, by, now, recorder }
    }

    /// Ends all connections of a person in a tenant that had been approved when `membership` was read. Whether this call did; otherwise
    /// they had been ended before, and what was approved since stays.
    ///
    /// # Errors
    /// When DynamoDB fails: it can be done again.
    pub async fn of_member(&self, membership: &Membership) -> Result<bool, UpstreamError> {
        let connections = connections_of(membership);
        self.announce(connections);
        let (number, raised) = self.directory.revoke_connections_of_member(membership).await?;
        self.confirm(connections, Some(number));
        Ok(raised)
    }

    /// Ends all connections of a person in a tenant, and all API keys that they have made there: the membership begins anew, with its
    /// role. `change` is the number of the product's change that wants it, if one does.
    ///
    /// # Errors
    /// When DynamoDB fails: it can be done again.
    pub async fn renew_member(
        &self,
        membership: &Membership,
        change: Option<u64>,
    ) -> Result<ChangeOutcome, UpstreamError> {
        let connections = connections_of(membership);
        self.announce(connections);
        let outcome = self.directory.renew_membership((&membership.person, &membership.tenant), change).await?;
        if outcome == ChangeOutcome::Applied {
            self.confirm(connections, None);
        }
        Ok(outcome)
    }

    /// Takes a person out of a tenant, with all connections and API keys that they have there.
    ///
    /// # Errors
    /// When DynamoDB fails: it can be done again.
    pub async fn remove_member(&self, membership: &Membership) -> Result<(), UpstreamError> {
        let connections = connections_of(membership);
        self.announce(connections);
        self.directory.remove_member(&membership.tenant, &membership.person, self.now).await?;
        self.confirm(connections, None);
        Ok(())
    }

    /// Ends all connections of a client in a tenant, or of everybody there without a client. `numbers` are those of the tenant when
    /// it was decided. Whether this call did, as in [`Self::of_member`]. Then it searches for what the client that was ended longest ago
    /// has left, so that its number may go.
    ///
    /// # Errors
    /// When DynamoDB fails: it can be done again.
    pub async fn in_tenant(
        &self,
        tenant: &TenantId,
        numbers: &TenantNumbers,
        client: Option<&ClientId>,
    ) -> Result<bool, UpstreamError> {
        const SEARCHED: usize = 500;
        let connections = ConnectionsRef { tenant, person: None, client, instance: numbers.instance };
        self.announce(connections);
        let which = client.map_or(TenantRevocation::All, TenantRevocation::Client);
        let ended = self.directory.revoke_connections_in_tenant(tenant, numbers, which, self.now).await?;
        self.confirm(connections, ended.map(|(number, _)| number));
        match (client, numbers.oldest_client(self.now)) {
            (Some(client), Some((oldest, number))) if oldest != ClientRevocations::key(client) => {
                let filter = ConnectionFilter::Tenant { tenant, person: None, client: None };
                if !self.mark_listed(filter, SEARCHED).await?.more {
                    self.directory.forget_client(tenant, oldest, number).await?;
                }
            }
            _ => {}
        }
        Ok(ended.is_some_and(|(_, raised)| raised))
    }

    /// Marks those that an index lists and that are over as revoked, the newest first, and records each. Looks at `most`, or all of them.
    ///
    /// # Errors
    /// When DynamoDB fails: it can be done again.
    pub async fn mark_listed(&self, filter: ConnectionFilter<'_>, most: usize) -> Result<MarkedGrants, UpstreamError> {
        const PAGE: usize = 25;
        let (mut count, mut seen, mut after) = (0, 0, None);
        loop {
            let page = self.grants.list_grants(filter, after.as_ref(), PAGE, self.directory, self.now).await?;
            for ListedGrant { grant, membership } in &page.0 {
                if grant.is_open(self.now) && Entitlement::of(&grant.approval, membership.as_ref()).is_err() {
                    let revocation = Revocation::with_recorder(self.grants, self.recorder.clone());
                    let connection = ConnectionRef::from(grant);
                    count += usize::from(revocation.revoke(connection, self.reason, self.by, self.now).await?);
                }
            }
            seen += page.0.len();
            after = page.1;
            if after.is_none() || seen >= most {
                return Ok(MarkedGrants { count, more: after.is_some() });
            }
        }
    }

    fn announce(&self, connections: ConnectionsRef<'_>) {
        self.recorder.record_event(&Event::ConnectionsEnding {
            connections,
            reason: self.reason.as_str(),
            by: self.by,
        });
    }

    fn confirm(&self, connections: ConnectionsRef<'_>, number: Option<u64>) {
        let Self { reason, by, .. } = self;
        self.recorder.record_event(&Event::ConnectionsEnded { connections, number, reason: reason.as_str(), by: *by });
    }
}

/// All that a person has connected in a tenant, under the membership that was read.
fn connections_of(membership: &Membership) -> ConnectionsRef<'_> {
    ConnectionsRef {
        tenant: &membership.tenant,
        person: Some(&membership.person),
        client: None,
        instance: membership.basis.approval.membership,
    }
}
