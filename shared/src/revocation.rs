//! The one place that revokes grants and API keys and records it in the audit.

use crate::clock::Timestamp;
use crate::oauth::api_key::ApiKeyId;
use crate::oauth::revocation_reason::RevocationReason;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::store::api_keys::{Actor, ApiKeys};
use crate::store::grants::{Grants, NewGrant, PutGrant};
use crate::telemetry::audit::{ConnectionRef, Event, LogRecorder, Recorder};
use crate::upstream_error::UpstreamError;

/// Revokes what is in a table, and records it.
#[derive(Clone, Copy)]
pub struct Revocation<'a, Table, R = LogRecorder> {
    table: &'a Table,
    recorder: R,
}

impl<'a, Table> Revocation<'a, Table> {
    /// Records in the log, as functions do.
    #[must_use]
    pub const fn new(table: &'a Table) -> Self {
        Self::with_recorder(table, LogRecorder)
    }
}

impl<'a, Table, R> Revocation<'a, Table, R> {
    /// Records by `recorder`.
    #[must_use]
    pub const fn with_recorder(table: &'a Table, recorder: R) -> Self {
        Self { table, recorder }
    }
}

impl<R: Recorder> Revocation<'_, Grants, R> {
    /// Revokes a grant for `reason`. Whether this call did: a grant that is revoked already stays as it is. `by` is who does it, if
    /// that is neither the client nor us.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn revoke(
        &self,
        connection: ConnectionRef<'_>,
        reason: RevocationReason,
        by: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, UpstreamError> {
        self.announce(connection, reason, by).complete(now).await
    }

    /// Records that a grant is about to be revoked. This comes before the write, so that no crash can hide the revocation.
    pub fn announce<'b>(
        &'b self,
        connection: ConnectionRef<'b>,
        reason: RevocationReason,
        by: Option<&'b str>,
    ) -> AnnouncedRevocation<'b, R> {
        self.recorder.record_event(&Event::GrantEnding { connection, reason: reason.as_str(), by });
        AnnouncedRevocation { grants: self.table, recorder: &self.recorder, connection, reason, by }
    }
}

/// The revocation of a grant that the audit knows of. Nothing is revoked before [`Self::complete`] or
/// [`Self::replace`].
#[must_use]
pub struct AnnouncedRevocation<'a, R> {
    grants: &'a Grants,
    recorder: &'a R,
    connection: ConnectionRef<'a>,
    reason: RevocationReason,
    by: Option<&'a str>,
}

impl<R: Recorder> AnnouncedRevocation<'_, R> {
    /// Revokes the grant. Whether this call did: a grant that is revoked already stays as it is.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn complete(self, now: Timestamp) -> Result<bool, UpstreamError> {
        let Self { grants, recorder, connection, reason, by } = self;
        let revoked = grants.revoke(connection.grant, reason, now).await?;
        if revoked {
            recorder.record_event(&Event::GrantEnded { connection, reason: reason.as_str(), by });
        }
        Ok(revoked)
    }

    /// Stores `new` in place of the grant, which ends in the same transaction, if nobody has used it for long.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn replace(self, new: NewGrant<'_>, now: Timestamp) -> Result<PutGrant, UpstreamError> {
        let Self { grants, recorder, connection, reason, by } = self;
        let put = grants.put(new, Some((connection.grant, reason)), now).await?;
        if matches!(put, PutGrant::Made) {
            recorder.record_event(&Event::GrantEnded { connection, reason: reason.as_str(), by });
        }
        Ok(put)
    }
}

impl<R: Recorder> Revocation<'_, ApiKeys, R> {
    /// Revokes an API key of `tenant`: the next call with it is refused. Whether this call did: a key of another tenant, and one that
    /// is revoked already, stay as they are. `person` is who does it, if not the operator, and `actor` how.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn revoke(
        &self,
        actor: Actor<'_>,
        tenant: &TenantId,
        id: &ApiKeyId,
        person: Option<&PersonId>,
        now: Timestamp,
    ) -> Result<bool, UpstreamError> {
        // Only what is there is announced.
        if self.table.find(id, now).await?.is_none_or(|key| key.tenant != *tenant) {
            return Ok(false);
        }
        self.announce(actor, tenant, id, person).complete(now).await
    }

    /// Records that an API key of `tenant` is about to be revoked. This comes before the write, so that no crash can hide it.
    pub fn announce<'b>(
        &'b self,
        actor: Actor<'_>,
        tenant: &'b TenantId,
        id: &'b ApiKeyId,
        person: Option<&'b PersonId>,
    ) -> AnnouncedKeyRevocation<'b, R> {
        let by = actor.audit_name();
        self.recorder.record_event(&Event::KeyRevoking {
            key: &id.to_text(),
            tenant: tenant.as_str(),
            person: person.map(PersonId::as_str),
            by: by.as_deref(),
        });
        AnnouncedKeyRevocation { keys: self.table, recorder: &self.recorder, tenant, id, person, by }
    }
}

/// The revocation of an API key that the audit knows of. Nothing is revoked before [`Self::complete`].
#[must_use]
pub struct AnnouncedKeyRevocation<'a, R> {
    keys: &'a ApiKeys,
    recorder: &'a R,
    tenant: &'a TenantId,
    id: &'a ApiKeyId,
    person: Option<&'a PersonId>,
    by: Option<String>,
}

impl<R: Recorder> AnnouncedKeyRevocation<'_, R> {
    /// Revokes the key. Whether this call did: a key that is revoked already stays as it is.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn complete(self, now: Timestamp) -> Result<bool, UpstreamError> {
        let Self { keys, recorder, tenant, id, person, by } = self;
        let revoked = keys.revoke(tenant, id, now).await?;
        if revoked {
            recorder.record_event(&Event::KeyRevoked {
                key: &id.to_text(),
                tenant: tenant.as_str(),
                person: person.map(PersonId::as_str),
                by: by.as_deref(),
            });
        }
        Ok(revoked)
    }
}
