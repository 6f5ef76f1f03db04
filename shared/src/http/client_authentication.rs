//! How a client says who it is: `none`, `client_secret_post`, `client_secret_basic` (OAuth 2.1 §2.4, §3.2.1) or
//! `private_key_jwt` (RFC 7523 §2.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use lambda_http::Request;

use super::parameters::{Parameters, decode};
use crate::oauth::client::{ClientCredentials, ClientId, PresentedProof};
use crate::oauth::client_assertion::{ASSERTION_TYPE, AssertionError, ClientAssertion};
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
    /// An assertion that does not say of what type it is.
    MissingAssertionType,
    /// An assertion of another type than a JWT.
    UnknownAssertionType,
    /// An assertion that nothing could verify.
    Assertion(AssertionError),
}

/// The credentials in `request`, whose body holds `parameters`.
///
/// # Errors
/// When there are none, or more than one.
pub fn read(request: &Request, parameters: &Parameters) -> Result<ClientCredentials, ClientCredentialsError> {
    let named = parameters.value("client_id");
    let (secret, assertion) = (parameters.value("client_secret"), parameters.value("client_assertion"));
    let Some(header) = request.headers().get(AUTHORIZATION) else {
        let (id, proof) = match (secret, assertion) {
            (Some(_), Some(_)) => return Err(ClientCredentialsError::Twice),
            (None, Some(assertion)) => {
                let assertion = read_assertion(assertion, parameters.value("client_assertion_type"))?;
                // RFC 7521 §4.2: the id may be left out. If both differ, the assertion is another client's.
                let id = named.unwrap_or(assertion.subject());
                (ClientId::parse(id), PresentedProof::Assertion(Box::new(assertion)))
            }
            (Some(secret), None) => {
                (named.and_then(ClientId::parse), PresentedProof::Secret(Digest::of(secret.as_bytes())))
            }
            (None, None) => (named.and_then(ClientId::parse), PresentedProof::None),
        };
        return Ok(ClientCredentials { id: id.ok_or(ClientCredentialsError::Missing)?, proof, basic: false });
    };
    let (id, presented) = header.to_str().ok().and_then(basic).ok_or(ClientCredentialsError::Basic)?;
    if secret.is_some() || assertion.is_some() || named.is_some_and(|named| named != id) {
        return Err(ClientCredentialsError::Twice);
    }
    let id = ClientId::parse(&id).ok_or(ClientCredentialsError::Basic)?;
    // Several libraries send a public client's id with an empty secret. In the body an empty secret counts as none, so here too.
    let proof = if presented.is_empty() {
        PresentedProof::None
    } else {
        PresentedProof::Secret(Digest::of(presented.as_bytes()))
    };
    Ok(ClientCredentials { id, proof, basic: true })
}

fn read_assertion(assertion: &str, kind: Option<&str>) -> Result<ClientAssertion, ClientCredentialsError> {
    match kind {
        None => Err(ClientCredentialsError::MissingAssertionType),
        Some(ASSERTION_TYPE) => ClientAssertion::parse(assertion).map_err(ClientCredentialsError::Assertion),
        Some(_) => Err(ClientCredentialsError::UnknownAssertionType),
    }
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
