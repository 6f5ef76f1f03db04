//! Writes the audit events of an attempt to connect: one step for each request.

use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::oauth::client::ClientId;
use shared::oauth::connection_attempt::ConnectionAttempt;
use shared::oauth::grant::Grant;
use shared::oauth::pkce::CodeChallenge;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::tenant::PersonId;
use shared::telemetry::audit::{self, Event};

use crate::consent_form_error::ConsentFormError;
use crate::error::AuthorizeError;
use crate::error_page::ErrorPage;
use crate::redirect_target::RedirectTarget;

/// An attempt that names a client which may have a valid redirect URI.
pub(crate) struct AttemptAudit<'a> {
    attempt_id: Option<ConnectionAttempt>,
    client: &'a str,
    host: String,
    now: Timestamp,
}

impl<'a> AttemptAudit<'a> {
    pub(crate) fn of(redirect_target: &'a RedirectTarget, parameters: &Parameters, now: Timestamp) -> Self {
        let (client, host) = (redirect_target.client().id.as_str(), redirect_target.redirect_uri().host());
        Self { attempt_id: attempt_id(parameters), client, host, now }
    }

    /// For a client whose metadata document has not been read. The host is that of the redirect URI in the request, unchecked.
    pub(crate) fn of_document(id: &'a ClientId, parameters: &Parameters, now: Timestamp) -> Self {
        let host = parameters.value("redirect_uri").and_then(|uri| RedirectUri::parse(uri).ok()).map(|uri| uri.host());
        Self { attempt_id: attempt_id(parameters), client: id.as_str(), host: host.unwrap_or_default(), now }
    }

    pub(crate) fn sent_to_sign_in(&self) {
        self.step(&Event::SignInAsked { client: self.client, host: &self.host });
    }

    pub(crate) fn shown(&self, person: &PersonId, error: Option<ConsentFormError>) {
        let (person, reason) = (person.as_str(), error.map(ConsentFormError::as_str));
        self.step(&Event::ConsentShown { client: self.client, host: &self.host, person, reason });
    }

    pub(crate) fn refused(&self, person: &PersonId, error: &AuthorizeError) {
        let (person, reason) = (person.as_str(), error.as_str());
        self.step(&Event::AuthorizationRefused { client: self.client, host: &self.host, person, reason });
    }

    pub(crate) fn denied(&self, person: &PersonId) {
        self.step(&Event::GrantDenied { client: self.client, person: person.as_str() });
    }

    pub(crate) fn approved(&self, grant: &Grant) {
        let scope = &grant.approval.scopes.to_string();
        self.step(&Event::GrantApproved { connection: grant.into(), scope });
    }

    fn step(&self, event: &Event<'_>) {
        audit::step(self.attempt_id, self.now, event);
    }
}

/// Records an attempt that ended with an error page. `parameters` is `None` if they could not be read.
pub(crate) fn error_page(parameters: Option<&Parameters>, error: &ErrorPage, now: Timestamp) {
    let client = parameters.and_then(|parameters| ClientId::parse(parameters.value("client_id")?));
    let event = Event::AuthorizationStranded { client: client.as_ref().map(ClientId::as_str), reason: error.as_str() };
    audit::step(parameters.and_then(attempt_id), now, &event);
}

fn attempt_id(parameters: &Parameters) -> Option<ConnectionAttempt> {
    Some(ConnectionAttempt::from_challenge(&CodeChallenge::parse(parameters.value("code_challenge")?)?))
}
