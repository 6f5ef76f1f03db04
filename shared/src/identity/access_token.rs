//! The access token of Supabase Auth: a JWT whose claims and signature are checked here.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::jwk::Jwk;
use crate::oauth::tenant::PersonId;

/// A token in its parts, not verified.
pub(super) struct Token<'a> {
    header: Header,
    message: &'a str,
    signature: &'a str,
}

/// The claims of a token that we use.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    pub(super) sub: String,
    aud: Audience,
    pub(super) exp: i64,
    iat: i64,
    nbf: Option<i64>,
    role: String,
    pub(super) session_id: String,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    aal: Option<String>,
    #[serde(default)]
    is_anonymous: bool,
    client_id: Option<IgnoredAny>,
    amr: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl<'a> Token<'a> {
    /// Larger ones are not Supabase's.
    const LIMIT: usize = 16 * 1024;

    pub(super) fn parse(text: &'a str) -> Option<(Self, Claims)> {
        if text.len() > Self::LIMIT {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let (header, claims): (Header, Claims) = (json(header)?, json(payload)?);
        let plain = header.crit.is_none() && header.typ.as_deref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        plain.then_some((Self { header, message, signature }, claims))
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The key decides the algorithm. The token must name the same one.
    pub(super) fn is_signed_by(&self, key: &Jwk) -> bool {
        self.header.alg == key.algorithm().as_str() && key.verifies(self.message, self.signature)
    }

    /// Whether Supabase itself could have signed it with a key that it does not publish.
    pub(super) fn is_verifiable_by_supabase(&self) -> bool {
        self.is_symmetric() || matches!(self.header.alg.as_str(), "ES256" | "RS256" | "EdDSA" | "ES512" | "RS512")
    }

    /// Whether its header names a shared secret (HMAC).
    pub(super) fn is_symmetric(&self) -> bool {
        matches!(self.header.alg.as_str(), "HS256" | "HS384" | "HS512")
    }
}

impl Claims {
    /// The person, if this is a browser's session with our issuer and is valid now.
    pub(super) fn person(&self, issuers: &[String], now: Timestamp) -> Option<PersonId> {
        /// How far Supabase's clock may be ahead of ours.
        const AHEAD: i64 = 60;
        let now = now.seconds();
        let audience = match &self.aud {
            Audience::One(one) => one == AUTHENTICATED,
            Audience::Several(several) => several.iter().any(|one| one == AUTHENTICATED),
        };
        let good = self.exp > now
            && self.iat <= now + AHEAD
            && self.nbf.is_none_or(|from| from <= now + AHEAD)
            && issuers.contains(&self.iss)
            && audience
            && self.role == AUTHENTICATED
            && is_uuid(&self.session_id)
            && !self.is_anonymous
            && !self.is_oauth_client();
        if good { PersonId::parse(&self.sub) } else { None }
    }

    /// The person of this session, if it is valid or expired at most `since` ago.
    pub(super) fn former_person(&self, issuers: &[String], since: Duration, now: Timestamp) -> Option<PersonId> {
        let last = Timestamp::from_seconds(self.exp.saturating_sub(1)).min(now);
        (now.since(last) <= since).then(|| self.person(issuers, last))?
    }

    /// Whether two factors were verified (`aal2`). Then none is left to be verified.
    pub(super) fn has_both_factors(&self) -> bool {
        self.aal.as_deref() == Some("aal2")
    }

    /// Whether the claims say how the person signed in (`amr`). A custom access token hook may drop that.
    /// Then the claims do not say whether a person or a third party holds the token.
    pub(super) fn have_amr(&self) -> bool {
        self.methods().next().is_some()
    }

    /// When the person last signed in, as far as the claims say (`amr`): by the newest of the first factors. Neither a refresh changes
    /// it nor a second factor, which whoever has the session can enrol and verify if the person has none.
    pub(super) fn signed_in_at(&self) -> Option<Timestamp> {
        let entries = self.amr.iter().flatten().filter(|entry| {
            let method = entry.get("method").and_then(Value::as_str);
            method.is_some_and(|method| !matches!(method, "token_refresh" | "totp") && !method.starts_with("mfa/"))
        });
        entries.filter_map(|entry| entry.get("timestamp")?.as_i64()).max().map(Timestamp::from_seconds)
    }

    /// Supabase's own OAuth server issues tokens to third parties that are otherwise the same. With such a
    /// token in a cookie, the third party could approve itself here.
    fn is_oauth_client(&self) -> bool {
        self.client_id.is_some() || self.methods().any(|method| method == "oauth_provider/authorization_code")
    }

    /// In the form of Supabase, and in that of RFC 8176.
    fn methods(&self) -> impl Iterator<Item = &str> {
        let entries = self.amr.iter().flatten();
        entries.filter_map(|entry| entry.get("method").unwrap_or(entry).as_str()).filter(|method| !method.is_empty())
    }
}

/// Both the role and the audience of a person who has signed in.
const AUTHENTICATED: &str = "authenticated";

fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// A UUID in canonical form, but not the nil UUID, which means that there is no session.
fn is_uuid(text: &str) -> bool {
    PersonId::parse(text).is_some() && text.bytes().any(|byte| !matches!(byte, b'0' | b'-'))
}
