//! What is asked for, once it is known by whom.

use shared::http::parameters::Parameters;
use shared::oauth::issuer::Issuer;
use shared::oauth::pkce::CodeChallenge;
use shared::oauth::resource::Resource;
use shared::oauth::scope::{Scope, Scopes};
use url::form_urlencoded::Serializer;

use crate::destination::Destination;
use crate::refusal::Refusal;

/// The parameters that mean something here. The form repeats them, and nothing else.
const NAMES: [&str; 8] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
];

/// A request that can be granted.
pub(crate) struct Asked {
    pub(crate) challenge: CodeChallenge,
    pub(crate) resource: Resource,
    /// What the page offers. Staying connected is offered to every client that can.
    pub(crate) scopes: Scopes,
}

impl Asked {
    pub(crate) fn read(destination: &Destination, parameters: &Parameters, issuer: &Issuer) -> Result<Self, Refusal> {
        match parameters.value("response_type") {
            Some("code") => {}
            Some(_) => return Err(Refusal::ResponseType),
            None => return Err(Refusal::NoResponseType),
        }
        let challenge = parameters.value("code_challenge").ok_or(Refusal::NoChallenge)?;
        // Left out, the method would mean `plain` (RFC 7636 §4.3).
        if parameters.value("code_challenge_method") != Some("S256") {
            return Err(Refusal::ChallengeMethod);
        }
        let challenge = CodeChallenge::parse(challenge).ok_or(Refusal::Challenge)?;
        let resource = match parameters.value("resource") {
            Some(asked) => Resource::parse(issuer, asked).ok_or(Refusal::Target)?,
            // Clients of before 2025-06-18 do not name it; the token is bound to one all the same.
            None => Resource::new(issuer),
        };
        let scopes = Scopes::parse_requested(parameters.value("scope")).ok_or(Refusal::Scope)?;
        let scopes = if destination.client().refreshes {
            scopes.with(Scope::OfflineAccess)
        } else {
            scopes.without(Scope::OfflineAccess)
        };
        Ok(Self { challenge, resource, scopes })
    }
}

/// The request as hidden fields.
pub(crate) fn repeated(parameters: &Parameters) -> Vec<(&'static str, String)> {
    NAMES.iter().filter_map(|name| parameters.value(name).map(|value| (*name, value.to_owned()))).collect()
}

/// The request as a path and query: the way back from signing in, and what the anti-forgery value is made for.
pub(crate) fn way_back(parameters: &Parameters) -> String {
    const START: &str = "/oauth/authorize?";
    Serializer::for_suffix(START.to_owned(), START.len()).extend_pairs(repeated(parameters)).finish()
}
