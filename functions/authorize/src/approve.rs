//! Carries an approval out: one grant and one code for each confirmation, and a bounded number of grants of each person and client.

use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::grant::{Approval, Grant, MAX_OF_CLIENT, RevocationReason};
use shared::oauth::grant_id::GrantId;
use shared::oauth::tenant::PersonId;
use shared::revocation::Revocation;
use shared::store::clients::Clients;
use shared::store::grants::Grants;
use shared::upstream_error::UpstreamError;

use crate::attempt_audit::AttemptAudit;
use crate::consent::{ApprovedScopes, Consent};
use crate::consent_form_error::ConsentFormError;

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
        self.make_room(&grant, choice.replaces.as_ref(), now).await?;
        let client = (&self.clients, redirect_target.client());
        match self.grants.put(&grant, choice.effective(), client, pending_scopes, now).await? {
            None => attempt.approved(&grant),
            Some(before) if before.is_approved_by(&grant, now) => {}
            Some(_) => return Err(ApprovalError::Rejected(ConsentFormError::AlreadyApproved)),
        }
        Ok(code.to_text())
    }

    /// Counts the approval, and sees to it that with `grant` the person has at most [`MAX_OF_CLIENT`] of its client, in all tenants.
    /// The index from which they are counted lags: there can be as many more as the person approves within that time.
    async fn make_room(&self, grant: &Grant, replaces: Option<&GrantId>, now: Timestamp) -> Result<(), ApprovalError> {
        let (person, client) = (&grant.approval.person, &grant.approval.client);
        if self.grants.count_approval(person, now).await?.is_some() {
            return Err(ApprovalError::Rejected(ConsentFormError::TooManyApprovals));
        }
        let listed = self.grants.open_grants_of_client(person, client, now).await?;
        // The confirmation of one that is there makes no other.
        if listed.len() < MAX_OF_CLIENT || listed.contains(&grant.id) {
            return Ok(());
        }
        let mut open = self.grants.find_all(&listed, MAX_READ).await?;
        open.retain(|grant| grant.is_open(now));
        if open.len() < MAX_OF_CLIENT && listed.len() <= MAX_READ {
            return Ok(());
        }
        let replaceable = open.into_iter().filter(|grant| grant.is_replaceable(now));
        self.replace(replaceable.collect(), replaces, person, now).await
    }

    /// Ends the one of `replaceable` that the person agreed to; asks them about the one that was not used for longest if there is none.
    async fn replace(
        &self,
        mut replaceable: Vec<Grant>,
        agreed: Option<&GrantId>,
        person: &PersonId,
        now: Timestamp,
    ) -> Result<(), ApprovalError> {
        if let Some(grant) = replaceable.iter().find(|grant| Some(&grant.id) == agreed) {
            let revocation = Revocation::new(&self.grants);
            revocation.revoke(grant.into(), RevocationReason::Person, Some(person.as_str()), now).await?;
            return Ok(());
        }
        replaceable.sort_by_key(Grant::last_used);
        match replaceable.into_iter().next() {
            Some(oldest) => Err(ApprovalError::Replaces(Box::new(oldest))),
            None => Err(ApprovalError::Rejected(ConsentFormError::TooManyConnections)),
        }
    }
}
