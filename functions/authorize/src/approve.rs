//! Carries an approval out: one grant and one code for each confirmation, and a bounded number of grants of each person and client.

use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::grant::{Approval, Grant, MAX_OF_CLIENT};
use shared::oauth::grant_id::GrantId;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::tenant::TenantId;
use shared::revocation::Revocation;
use shared::store::clients::Clients;
use shared::store::grants::{Grants, NewGrant, PutGrant};
use shared::telemetry::audit::ConnectionRef;
use shared::upstream_error::UpstreamError;

use crate::attempt_audit::AttemptAudit;
use crate::consent::Consent;
use crate::consent_form_error::ConsentFormError;
use crate::decision::ApprovedScopes;

/// The most grants of a person and client that are looked at to find out which of them are in use.
const MAX_READ: usize = 200;

/// Why there is no code.
pub(crate) enum ApprovalError {
    /// The page says why.
    Rejected(ConsentFormError),
    /// There are as many connections of the client as there may be. The page asks whether this one is to end, as it was not used for
    /// longest.
    Replaces(Box<Grant>),
    /// AWS failed.
    Upstream(UpstreamError),
}

impl From<UpstreamError> for ApprovalError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

/// Makes grants.
pub(crate) struct Approver {
    grants: Grants,
    clients: Clients,
}

impl Approver {
    pub(crate) fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { grants: environment.grants()?, clients: environment.clients()? })
    }

    /// Makes the grant, and the code that leads to it. The same confirmation again gets the same code while that can be exchanged, and
    /// afterwards nothing.
    pub(crate) async fn approve(
        &self,
        attempt: &AttemptAudit<'_>,
        consent: &Consent<'_>,
        choice: &ApprovedScopes<'_>,
        now: Timestamp,
    ) -> Result<String, ApprovalError> {
        let Consent { redirect_target, authorization, person, pending_scopes, .. } = consent;
        let approval = Approval {
            client: redirect_target.client().id.clone(),
            person: person.person.clone(),
            tenant: choice.membership.tenant.clone(),
            resource: authorization.resource.clone(),
            scopes: choice.scopes,
            at: now,
            email: person.email.clone(),
            basis: choice.membership.basis.approval,
        };
        let confirmation = choice.confirmation.secret();
        let (challenge, redirect_uri) = (authorization.challenge, redirect_target.redirect_uri().clone());
        let (grant, code) = Grant::approve_by(confirmation, &choice.text, approval, challenge, redirect_uri);
        let grant = grant.for_request(authorization.requested).denying(choice.denied);
        let new = NewGrant {
            grant: &grant,
            effective: choice.effective(),
            client: (&self.clients, redirect_target.client()),
            pending: pending_scopes,
        };
        match self.put(new, choice.replaces.as_ref(), now).await? {
            PutGrant::Made => attempt.approved(&grant),
            PutGrant::MadeBefore(before) if before.is_approved_by(&grant, now) => {}
            PutGrant::MadeBefore(_) => return Err(ApprovalError::Rejected(ConsentFormError::AlreadyApproved)),
            PutGrant::NotReplaceable => return Err(ApprovalError::Rejected(ConsentFormError::TooManyConnections)),
        }
        Ok(code.to_text())
    }

    /// Counts the approval, and stores the grant, so that the person has at most [`MAX_OF_CLIENT`] of its client, in all tenants. The
    /// index from which they are counted lags: there can be as many more as the person approves within that time. Takes three calls,
    /// also where the new grant takes the place of one that the person agreed to end: whether that one may end is decided in the
    /// transaction that stores the new one.
    async fn put(
        &self,
        new: NewGrant<'_>,
        agreed: Option<&GrantId>,
        now: Timestamp,
    ) -> Result<PutGrant, ApprovalError> {
        let Approval { person, client, .. } = &new.grant.approval;
        if self.grants.count_approval(person, now).await?.is_some() {
            return Err(ApprovalError::Rejected(ConsentFormError::TooManyApprovals));
        }
        let listed = self.grants.open_grants_of_client(person, client, now).await?;
        // The confirmation of one that is there makes no other.
        if listed.len() < MAX_OF_CLIENT || listed.iter().any(|(id, _)| *id == new.grant.id) {
            return Ok(self.grants.put(new, None, now).await?);
        }
        if let Some((id, tenant)) = listed.iter().find(|(id, _)| Some(id) == agreed) {
            let connection = ConnectionRef { grant: id, client, tenant, person };
            let revocation = Revocation::new(&self.grants);
            let announced = revocation.announce(connection, RevocationReason::Person, Some(person.as_str()));
            match announced.replace(new, now).await? {
                PutGrant::NotReplaceable => {}
                put => return Ok(put),
            }
        }
        self.check_room(&listed, now).await?;
        Ok(self.grants.put(new, None, now).await?)
    }

    /// Whether there are fewer than [`MAX_OF_CLIENT`] of those that an index lists. If not, the person is asked about the one that was
    /// not used for longest, if one may be replaced.
    async fn check_room(&self, listed: &[(GrantId, TenantId)], now: Timestamp) -> Result<(), ApprovalError> {
        let mut open = self.grants.find_all(listed.iter().map(|(id, _)| id), MAX_READ).await?;
        open.retain(|grant| grant.is_open(now));
        if open.len() < MAX_OF_CLIENT && listed.len() <= MAX_READ {
            return Ok(());
        }
        match open.into_iter().filter(|grant| grant.is_replaceable(now)).min_by_key(Grant::last_used) {
            Some(oldest) => Err(ApprovalError::Replaces(Box::new(oldest))),
            None => Err(ApprovalError::Rejected(ConsentFormError::TooManyConnections)),
        }
    }
}
