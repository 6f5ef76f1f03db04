//! How a client says who it is: `none`, `client_secret_post` or `client_secret_basic` (OAuth 2.1 §2.4, §3.2.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use lambda_http::Request;

use super::parameters::{Parameters, decode};
use crate::oauth::client::{ClientCredentials, ClientId};
use crate::oauth::secret::Digest;

/// Why a request does not say who its client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCredentialsError {
    /// No usable `client_id` anywhere.
    Missing,
    /// An `Authorization` header that is not Basic with an id and a secret.
    Basic,
    /// Two methods at once, or two ids that differ.
    Twice,
}

/// The credentials in `request`, whose body holds `parameters`.
///
/// # Errors
/// When there are none, or more than one.
pub fn read(request: &Request, parameters: &Parameters) -> Result<ClientCredentials, ClientCredentialsError> {
    let named = parameters.value("client_id");
    let Some(header) = request.headers().get(AUTHORIZATION) else {
        let id = named.and_then(ClientId::parse).ok_or(ClientCredentialsError::Missing)?;
        let secret = parameters.value("client_secret").map(|secret| Digest::of(secret.as_bytes()));
        return Ok(ClientCredentials { id, secret, basic: false });
    };
    let (id, secret) = header.to_str().ok().and_then(basic).ok_or(ClientCredentialsError::Basic)?;
    if parameters.value("client_secret").is_some() || named.is_some_and(|named| named != id) {
        return Err(ClientCredentialsError::Twice);
    }
    let id = ClientId::parse(&id).ok_or(ClientCredentialsError::Basic)?;
    // Several libraries send a public client's id with an empty secret. In the body an empty secret counts as none, so here too.
    let secret = (!secret.is_empty()).then(|| Digest::of(secret.as_bytes()));
    Ok(ClientCredentials { id, secret, basic: true })
}

/// RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((decode(id).ok()?, decode(secret).ok()?))
}
