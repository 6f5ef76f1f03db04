//! The decision in the form of the consent page.

use shared::clock::Timestamp;
use shared::http::csrf;
use shared::http::parameters::Parameters;
use shared::lambda::Request;
use shared::oauth::grant_id::GrantId;
use shared::oauth::scope::Scopes;
use shared::store::directory::Membership;

use crate::confirmation::Confirmation;
use crate::consent::Consent;
use crate::consent_form_error::ConsentFormError;
use crate::rejected_form;
use crate::scope_fields::ScopeField;

/// The decision of the person.
pub(crate) enum Decision<'a> {
    Deny,
    Approve(ApprovedScopes<'a>),
}

/// The approved tenant and scopes. The page offered each of the scopes in that tenant. `offline_access` is among them
/// if the person chose to stay connected.
pub(crate) struct ApprovedScopes<'a> {
    pub(crate) membership: &'a Membership,
    pub(crate) scopes: Scopes,
    /// The scopes whose boxes came ticked, and that the person unticked.
    pub(crate) denied: Scopes,
    pub(crate) confirmation: Confirmation,
    /// The choice as the form had it, whatever came of it: the tenant and the names of the ticked boxes.
    pub(crate) text: String,
    /// The grant that the person agreed to end for the new one.
    pub(crate) replaces: Option<GrantId>,
}

impl<'a> Decision<'a> {
    /// What the form of `consent` says, or the error for which the page is shown again.
    pub(crate) fn parse(
        consent: &Consent<'a>,
        request: &Request,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<Self, ConsentFormError> {
        // The account in the form only chooses the sentence for the person. The confirmation is what protects the form.
        if parameters.value("account").is_some_and(|account| account != consent.person.person.as_str()) {
            return Err(ConsentFormError::AnotherAccount);
        }
        let confirmation = parameters.value("confirmation").filter(|_| csrf::is_same_origin(request, consent.issuer));
        let confirmation = confirmation.and_then(|text| Confirmation::verify(text, consent.person, parameters));
        let confirmation = confirmation.ok_or(ConsentFormError::Forged)?;
        match parameters.value("decision") {
            Some("deny") => return Ok(Self::Deny),
            Some("approve") if confirmation.has_expired(now) => return Err(ConsentFormError::Expired),
            Some("approve") => {}
            _ => return Err(ConsentFormError::NoDecision),
        }
        let chosen = parameters.value("tenant");
        let membership = consent.memberships.iter().find(|membership| Some(membership.tenant.as_str()) == chosen);
        let membership = membership.ok_or(match consent.authorization.resource.tenant() {
            None => ConsentFormError::NoTenant,
            Some(_) => ConsentFormError::AnotherTenant,
        })?;
        let ticked = |field: ScopeField<'_>| parameters.value(&field.name()).is_some();
        // A pending scope of another tenant does not count in this one, ticked or not.
        let requested = consent.authorization.scopes.iter().filter(|scope| ticked(ScopeField::Requested(*scope)));
        let pending = consent.offered_pending_scopes(membership);
        let pending = pending.iter().filter(|scope| ticked(ScopeField::Pending(membership, *scope)));
        let more = consent.offered_beyond_request().intersection(membership.role.permissions);
        let more = more.iter().filter(|scope| ticked(ScopeField::More(*scope)));
        let scopes = requested.chain(pending).chain(more).fold(Scopes::NONE, Scopes::with);
        if scopes.permissions().is_empty() {
            return Err(ConsentFormError::NothingTicked);
        }
        // Only a requested scope that the role allows comes ticked, and a pending one never.
        let came_ticked = consent.authorization.scopes.permissions().intersection(membership.role.permissions);
        let replaces = parameters.value("replaces").and_then(GrantId::parse);
        let denied = came_ticked.difference(scopes);
        let text = format!("{} {}", membership.tenant, rejected_form::ticked_boxes(parameters).join(" "));
        let approved = ApprovedScopes { membership, scopes, denied, confirmation, text, replaces };
        if approved.effective().is_empty() {
            Err(ConsentFormError::NothingAllowed)
        } else {
            Ok(Self::Approve(approved))
        }
    }
}

impl ApprovedScopes<'_> {
    /// The approved scopes that the role allows now.
    pub(crate) const fn effective(&self) -> Scopes {
        self.scopes.intersection(self.membership.role.permissions)
    }
}
