//! Access tokens: JWTs by RFC 9068.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long an access token lives.
pub const LIFETIME: Duration = Duration::from_hours(1);

/// The media type in the header (RFC 9068 §2.1).
pub const TYPE: &str = "at+jwt";

/// What an access token says (RFC 9068 §2.2), and what we add: tenant, grant and generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The person.
    pub sub: String,
    /// The resource.
    pub aud: String,
    /// The client.
    pub client_id: String,
    /// Approved ∩ allowed when it was issued.
    pub scope: String,
    /// The tenant in which it works.
    pub tenant: String,
    /// The grant it comes from: if that is revoked, so is the token.
    pub grant: String,
    /// The generation of the refresh family it was issued with.
    pub generation: u32,
    /// When it was issued.
    pub iat: i64,
    /// When it ends.
    pub exp: i64,
    /// Its own name.
    pub jti: String,
}
