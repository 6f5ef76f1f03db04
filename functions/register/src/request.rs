//! The registration request (RFC 7591 §2), and the client that it describes.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::clock::Timestamp;
use shared::http::body;
use shared::lambda::Request;
use shared::oauth::client::{Client, ClientId, ClientKind};
use shared::oauth::client_name;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::secret::{Digest, to_text};
use shared::store::clients::UNUSED_RETENTION;

use crate::error::RegistrationError;

/// The members that are used; all others are ignored (RFC 7591 §2). The parser refuses a repeated member.
#[derive(Deserialize)]
pub(crate) struct RegistrationRequest {
    #[serde(default)]
    redirect_uris: Option<Vec<String>>,
    #[serde(default)]
    client_name: Option<Value>,
    #[serde(default)]
    grant_types: Option<Vec<String>>,
    #[serde(default)]
    response_types: Option<Vec<String>>,
}

impl RegistrationRequest {
    /// The largest registration of a real client has under 2 KB.
    const LIMIT: usize = 8 * 1024;
    const MAX_REDIRECT_URIS: usize = 16;

    pub(crate) fn parse(request: &Request) -> Result<Self, RegistrationError> {
        let body = body::bytes(request);
        // `serde` would take an array for a struct.
        if !body::is_of_type(request, "application/json") || body.trim_ascii_start().first() != Some(&b'{') {
            return Err(RegistrationError::NotJson);
        }
        if body.len() > Self::LIMIT {
            return Err(RegistrationError::TooLarge);
        }
        serde_json::from_slice(body).map_err(|_| RegistrationError::NotJson)
    }

    /// The client that this describes, and its redirect URIs as it sent them, without those that cannot be used here. The
    /// client is public, whatever it requested.
    pub(crate) fn into_client(self, now: Timestamp) -> Result<(Client, Vec<RedirectUri>), RegistrationError> {
        let uris = self.redirect_uris.unwrap_or_default();
        if uris.is_empty() || uris.len() > Self::MAX_REDIRECT_URIS {
            return Err(RegistrationError::RedirectUriCount);
        }
        let requested = RedirectUri::usable(uris.iter().map(String::as_str))?;
        // Claude Code and similar clients listen on another port at each connection. That must not make
        // another client each time.
        let mut redirect_uris: Vec<_> = requested.iter().map(RedirectUri::without_loopback_port).collect();
        redirect_uris.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        redirect_uris.dedup();

        let name = client_name::of_metadata(self.client_name.as_ref());
        // The default is with `refresh_token`: with the default of RFC 7591, people would have to connect
        // again every hour.
        let refreshes = match &self.grant_types {
            Some(types) if !types.iter().any(|kind| kind == "authorization_code") => {
                return Err(RegistrationError::GrantTypes);
            }
            Some(types) => types.iter().any(|kind| kind == "refresh_token"),
            None => true,
        };
        if self.response_types.is_some_and(|types| !types.iter().any(|kind| kind == "code")) {
            return Err(RegistrationError::ResponseTypes);
        }
        let id = id(name.as_deref(), &redirect_uris, refreshes).ok_or(RegistrationError::NotJson)?;
        let kind = ClientKind::Registered { expires: now.plus(UNUSED_RETENTION) };
        Ok((Client { id, name, redirect_uris, refreshes, kind }, requested))
    }
}

/// The digest of what is registered.
fn id(name: Option<&str>, redirect_uris: &[RedirectUri], refreshes: bool) -> Option<ClientId> {
    #[derive(Serialize)]
    struct Content<'a> {
        name: Option<&'a str>,
        redirect_uris: Vec<&'a str>,
        refreshes: bool,
    }
    let redirect_uris = redirect_uris.iter().map(RedirectUri::as_str).collect();
    let content = serde_json::to_vec(&Content { name, redirect_uris, refreshes }).ok()?;
    ClientId::parse(&format!("c_{}", to_text(Digest::of(&content).as_bytes())))
}
