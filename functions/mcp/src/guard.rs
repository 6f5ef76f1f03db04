//! Who may come in: the holder of an access token whose grant is alive, or of an API key.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use shared::access::{Access, AccessError};
use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::api_key::ApiKey;
use shared::oauth::grant::GrantId;
use shared::oauth::resource::Resource;
use shared::signing_keys::verifier::TokenVerifyError;
use shared::store::api_keys::ApiKeyError;
use shared::store::grants::Update;

use crate::Mcp;
use crate::attempt;
use crate::challenge::Complaint;
use crate::refusal::Refusal;

/// Why someone was not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unadmitted {
    /// They showed nothing.
    Nothing,
    /// They showed more than one thing, or the same twice.
    Several,
    /// The token is not one of ours, or its time has passed.
    Untrusted(TokenVerifyError),
    /// It was issued for something else (RFC 8707 §2).
    Audience,
    /// There is no such grant.
    NoGrant,
    /// The grant does not bear the token out.
    Unfounded(AccessError),
    /// It is not text, as every credential of ours is.
    NotText,
    /// The key does not bear out its own checksum.
    Mistyped,
    /// The key is unknown, revoked, expired, or its secret is another: nobody learns which.
    Key(ApiKeyError),
    /// The key is for another tenant than the address.
    AnotherTenant,
    /// The key's maker is no longer in the tenant.
    MakerGone,
}

impl Unadmitted {
    /// What the client is told.
    pub(crate) const fn complaint(&self) -> Option<Complaint> {
        match self {
            Self::Nothing => None,
            Self::Several => Some(Complaint::INVALID_REQUEST),
            Self::Untrusted(TokenVerifyError::Expired) => Some(Complaint::EXPIRED),
            Self::Untrusted(TokenVerifyError::Invalid | TokenVerifyError::IssuerMismatch)
            | Self::Audience
            | Self::NoGrant
            | Self::Unfounded(_)
            | Self::NotText
            | Self::Mistyped
            | Self::Key(_)
            | Self::AnotherTenant
            | Self::MakerGone => Some(Complaint::INVALID_TOKEN),
        }
    }
}

impl Mcp {
    /// Lets the bearer of a token or key in at `resource`, with one read of the table for a token (two calls for the first of a
    /// generation) and two for a key.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<Access, Refusal> {
        match Presented::read(headers)? {
            Presented::Nothing => Err(Unadmitted::Nothing.into()),
            Presented::Token(token) => self.admit_token(token, resource, now).await,
            Presented::Key(key) => self.admit_key(key, resource, now).await,
        }
    }

    /// RFC 9068 §4, and the grant behind the token: revocation counts at the very next call.
    async fn admit_token(&self, token: &str, resource: &Resource, now: Timestamp) -> Result<Access, Refusal> {
        let token = self.verifier.verify(token, now).map_err(Unadmitted::Untrusted)?;
        let claims = token.claims();
        let id = GrantId::parse(&claims.grant).ok_or(Unadmitted::NoGrant)?;
        // Before the audience: whose connection it is that fails has to be known to be told.
        let grant = self.grants.find(&id).await?.ok_or(Unadmitted::NoGrant)?;
        let refused = |reason, why: Unadmitted| {
            attempt::refused(&grant, reason, now);
            why
        };
        let unfounded = |why: AccessError| refused(why.as_str(), Unadmitted::Unfounded(why));
        if claims.aud != resource.to_string() {
            return Err(refused("audience", Unadmitted::Audience).into());
        }
        let (access, active) = Access::from_access_token(&token, &grant, resource, now).map_err(unfounded)?;
        if claims.generation > active.seen {
            // From here on a retry of the refresh token before this generation is a replay: its successor has been used.
            match self.grants.record_use(&id, claims.generation, now).await? {
                Update::Applied if active.seen == 0 => attempt::arrived(&grant, now),
                Update::Applied => {}
                Update::Conflict(latest) if latest.in_use(now).is_some() => {}
                Update::Conflict(_) | Update::NotFound => return Err(unfounded(AccessError::GrantNotInUse).into()),
            }
        }
        Ok(access)
    }

    /// A key may do what it was made for, as far as its maker's role allows now.
    async fn admit_key(&self, text: &str, resource: &Resource, now: Timestamp) -> Result<Access, Refusal> {
        let shown = ApiKey::parse(text).ok_or(Unadmitted::Mistyped)?;
        let refused = |reason, why: Unadmitted| {
            let key = &shown.id.to_text();
            audit::record(&Event::KeyRefused { key, reason, tenant: None, person: None, scope: None });
            why
        };
        let unproven = |why: ApiKeyError| refused(why.as_str(), Unadmitted::Key(why));
        let known = self.keys.verify(&shown, now).await?.map_err(unproven)?;
        if !resource.serves(&known.tenant) {
            return Err(refused("another_tenant", Unadmitted::AnotherTenant).into());
        }
        let membership = self.directory.membership(&known.maker, &known.tenant).await?;
        let membership = membership.ok_or_else(|| refused("maker_gone", Unadmitted::MakerGone))?;
        Ok(Access::from_api_key(&shown, known, resource, &membership)
            .ok_or_else(|| unproven(ApiKeyError::SecretMismatch))?)
    }
}

/// What a request shows of credentials.
#[derive(Debug, PartialEq, Eq)]
enum Presented<'a> {
    Nothing,
    Token(&'a str),
    Key(&'a str),
}

impl<'a> Presented<'a> {
    /// `Authorization: Bearer` (RFC 6750 §2.1), its scheme in any case, or `X-Api-Key`; never the query or the body. A key is
    /// taken as a bearer too. A scheme that is not ours counts as nothing: the challenge says what is.
    fn read(headers: &'a HeaderMap) -> Result<Self, Unadmitted> {
        let bearer = only(headers, AUTHORIZATION.as_str())?.and_then(|value| {
            let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match (bearer, only(headers, "x-api-key")?) {
            (Some(_), Some(_)) => Err(Unadmitted::Several),
            (Some(key), None) if ApiKey::has_prefix(key) => Ok(Self::Key(key)),
            (Some(token), None) => Ok(Self::Token(token)),
            (None, Some(key)) => Ok(Self::Key(key.trim())),
            (None, None) => Ok(Self::Nothing),
        }
    }
}

/// The value of a header that may occur once. API Gateway joins repeated ones with a comma, which no credential contains.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Unadmitted> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let value = value.to_str().map_err(|_| Unadmitted::NotText)?;
            if value.contains(',') { Err(Unadmitted::Several) } else { Ok(Some(value)) }
        }
        (Some(_), Some(_)) => Err(Unadmitted::Several),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn what_counts_as_a_credential() {
        const TOKEN: Result<Presented<'_>, Unadmitted> = Ok(Presented::Token("a.b.c"));
        const KEY: Result<Presented<'_>, Unadmitted> = Ok(Presented::Key("sk_x"));
        const SEVERAL: Result<Presented<'_>, Unadmitted> = Err(Unadmitted::Several);
        const NOTHING: Result<Presented<'_>, Unadmitted> = Ok(Presented::Nothing);
        for (headers, presented) in [
            (&[][..], NOTHING),
            (&[("authorization", "Bearer a.b.c")], TOKEN),
            (&[("authorization", "bearer a.b.c")], TOKEN),
            (&[("authorization", "BEARER  a.b.c ")], TOKEN),
            (&[("authorization", "Bearer sk_x")], KEY),
            (&[("x-api-key", "sk_x")], KEY),
            (&[("x-api-key", " sk_x ")], KEY),
            (&[("x-api-key", "a.b.c")], Ok(Presented::Key("a.b.c"))),
            (&[("authorization", "Bearer")], Ok(Presented::Token(""))),
            (&[("authorization", "Bearer ")], Ok(Presented::Token(""))),
            (&[("authorization", "Basic YTpi")], NOTHING),
            (&[("authorization", "Basic YTpi"), ("x-api-key", "sk_x")], KEY),
            (&[("authorization", "a.b.c")], NOTHING),
            (&[("authorization", "")], NOTHING),
            (&[("cookie", "access_token=a.b.c")], NOTHING),
            (&[("authorization", "Bearer a.b.c"), ("x-api-key", "sk_x")], SEVERAL),
            (&[("authorization", "Bearer a.b.c"), ("authorization", "Bearer a.b.c")], SEVERAL),
            (&[("authorization", "Bearer a.b.c, Bearer d.e.f")], SEVERAL),
            (&[("authorization", "Bearer a.b.c,d.e.f")], SEVERAL),
            (&[("x-api-key", "sk_x"), ("x-api-key", "sk_y")], SEVERAL),
            (&[("x-api-key", "sk_x,sk_y")], SEVERAL),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            assert_eq!(Presented::read(&map), presented, "{headers:?}");
        }
    }

    #[test]
    fn what_is_not_text_is_no_credential_but_was_shown() {
        for name in [AUTHORIZATION, HeaderName::from_static("x-api-key")] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_bytes(b"Bearer \xff").unwrap());

            assert_eq!(Presented::read(&headers), Err(Unadmitted::NotText));
        }
        assert_eq!(Unadmitted::NotText.complaint(), Some(Complaint::INVALID_TOKEN));
    }
}
