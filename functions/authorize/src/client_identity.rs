//! What the consent page says of who the client is: no more than is known.

use shared::http::sanitized_text::SanitizedText;
use shared::oauth::vouched_hosts::VouchedHosts;

use crate::redirect_target::RedirectTarget;

/// What is known of the client at the redirect URI of a request.
pub(crate) enum ClientIdentity {
    /// Its codes can go to hosts of the deployment's list alone, and it does not take another one's name. With the name by which it
    /// is known there: what it calls itself proves nothing here either.
    VouchedFor(Option<&'static str>),
    /// An operator added and named it.
    AddedByOperator,
    /// Its redirect URI is on loopback: it may be any program.
    Program,
    /// The host of its redirect URI is all that is known.
    Unverified,
    /// It takes the name of a widely used client that is answered elsewhere.
    Impostor(&'static str),
}

/// The client as the page names it.
pub(crate) struct ShownClient {
    pub(crate) identity: ClientIdentity,
    /// What it calls itself.
    pub(crate) name: Option<String>,
    /// The host of the redirect URI.
    pub(crate) host: String,
    /// The host of its metadata document, if that is another one.
    pub(crate) publisher: Option<String>,
}

impl ShownClient {
    pub(crate) fn of(target: &RedirectTarget, vouched: &VouchedHosts) -> Self {
        let (client, redirect_uri) = (target.client(), target.redirect_uri());
        let identity = if let Some(impersonated) = vouched.impersonated_by(client, redirect_uri) {
            ClientIdentity::Impostor(impersonated)
        } else if redirect_uri.is_loopback() {
            ClientIdentity::Program
        } else if client.is_added_by_operator() {
            ClientIdentity::AddedByOperator
        } else if let Some(client) = vouched.vouch_for(client) {
            ClientIdentity::VouchedFor(client.known_name(redirect_uri))
        } else {
            ClientIdentity::Unverified
        };
        let host = redirect_uri.host();
        let publisher = client.id.metadata_document_host().filter(|publisher| *publisher != host);
        let name = client.name.as_deref().map(|name| SanitizedText(name).to_string());
        Self { identity, name, host, publisher }
    }

    /// What the page calls it within a sentence: its name only where somebody answers for that.
    pub(crate) fn subject(&self) -> &str {
        match (&self.identity, &self.name) {
            (ClientIdentity::VouchedFor(Some(known)), _) => known,
            (ClientIdentity::AddedByOperator, Some(name)) => name,
            (ClientIdentity::Program, _) => "this program",
            _ => &self.host,
        }
    }
}
