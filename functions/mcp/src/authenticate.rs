//! Authenticates a request by an access token whose grant is active, or by an API key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use shared::access::{Access, AccessError};
use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::api_key::{ApiKey, ApiKeyError};
use shared::oauth::grant::Grant;
use shared::oauth::grant_id::GrantId;
use shared::oauth::resource::Resource;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::revocation::Revocation;
use shared::signing_keys::verifier::AccessTokenVerifier;
use shared::store::api_keys::ApiKeys;
use shared::store::directory::Directory;
use shared::store::grants::{Grants, Update};
use shared::telemetry::audit::{self, Event};
use shared::upstream_error::UpstreamError;

use crate::error::{AuthError, McpError};
use crate::grant_audit;

/// Authenticates requests.
pub(crate) struct Authenticator {
    verifier: AccessTokenVerifier,
    grants: Grants,
    keys: ApiKeys,
    directory: Directory,
}

impl Authenticator {
    /// With what it needs of the environment; `verifier` verifies access tokens.
    pub(crate) fn new(environment: &Environment, verifier: AccessTokenVerifier) -> Result<Self, ConfigError> {
        Ok(Self {
            verifier,
            grants: environment.grants()?,
            keys: environment.keys()?,
            directory: environment.directory()?,
        })
    }

    /// Authenticates the bearer at `resource`, with one read of the table for a token (two calls for the first of a
    /// generation) and two for a key.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<Access, McpError> {
        match Credentials::read(headers)? {
            Credentials::None => Err(AuthError::MissingCredentials.into()),
            Credentials::AccessToken(token) => self.authenticate_token(token, resource, now).await,
            Credentials::ApiKey(key) => self.authenticate_api_key(key, resource, now).await,
        }
    }

    /// RFC 9068 §4, and the grant behind the token with the membership that it rests on: revocation and a lower role count
    /// at the very next call.
    async fn authenticate_token(&self, token: &str, resource: &Resource, now: Timestamp) -> Result<Access, McpError> {
        let token = self.verifier.verify(token, now).map_err(AuthError::Token)?;
        let claims = token.claims();
        let id = GrantId::parse(&claims.grant).ok_or(AuthError::UnknownGrant)?;
        let (person, tenant) =
            PersonId::parse(&claims.sub).zip(TenantId::parse(&claims.tenant)).ok_or(AuthError::UnknownGrant)?;
        // The grant is read before the audience is checked: the audit event names it.
        let (grant, membership) = self.grants.find_with_membership(&id, &self.directory, (&person, &tenant)).await?;
        let grant = grant.ok_or(AuthError::UnknownGrant)?;
        let refused = |reason, why: AuthError| {
            grant_audit::record_call_refused(&grant, reason, now);
            why
        };
        let unfounded = |why: AccessError| refused(why.as_str(), AuthError::Grant(why));
        if claims.aud != resource.to_string() {
            return Err(refused("audience", AuthError::WrongAudience).into());
        }
        let (access, active) = match Access::from_access_token(&token, &grant, membership.as_ref(), resource, now) {
            Ok(authenticated) => authenticated,
            Err(error) => {
                // A search by an index had missed it. From now on its own item says so.
                if let AccessError::GrantOver(reason) = error {
                    Revocation::new(&self.grants).revoke((&grant).into(), reason, None, now).await?;
                }
                return Err(unfounded(error).into());
            }
        };
        if claims.generation > active.seen {
            let first = active.seen == 0;
            let used = self.record_use(grant.clone(), claims.generation, now).await?;
            if used.map_err(unfounded)? && first {
                grant_audit::record_grant_used(&grant, now);
            }
        }
        Ok(access)
    }

    /// Records the first use of a generation. From here on a retry of the refresh token before it is a replay: its successor has been
    /// used. Whether this call was the first; an error if the generation was superseded, or the grant revoked, meanwhile.
    async fn record_use(
        &self,
        mut grant: Grant,
        generation: u32,
        now: Timestamp,
    ) -> Result<Result<bool, AccessError>, UpstreamError> {
        /// How often the grant may be rotated while its first use is written.
        const ATTEMPTS: usize = 3;
        for _ in 0..ATTEMPTS {
            match self.grants.record_use(&grant, generation, now).await? {
                Update::Applied => return Ok(Ok(true)),
                Update::NotFound => return Ok(Err(AccessError::GrantNotInUse)),
                Update::Conflict(latest) => {
                    if latest.has_superseded(generation) {
                        return Ok(Err(AccessError::Superseded));
                    }
                    match latest.in_use(now) {
                        None => return Ok(Err(AccessError::GrantNotInUse)),
                        Some(active) if active.seen >= generation => break,
                        Some(_) => grant = *latest,
                    }
                }
            }
        }
        Ok(Ok(false))
    }

    /// A key may do what it was made for, as far as its maker's role allows now, and as long as the membership lasts under which it
    /// was made, and the key that made it, if one did.
    async fn authenticate_api_key(&self, text: &str, resource: &Resource, now: Timestamp) -> Result<Access, McpError> {
        let shown = ApiKey::parse(text).ok_or(AuthError::MalformedApiKey)?;
        let refused = |reason, why: AuthError| {
            let key = &shown.id.to_text();
            audit::record(&Event::KeyRefused { key, reason, tenant: None, person: None, scope: None });
            why
        };
        let invalid_key = |why: ApiKeyError| refused(why.as_str(), AuthError::ApiKey(why));
        let known = self.keys.verify(&shown, now).await?.map_err(invalid_key)?;
        if !resource.serves(&known.tenant) {
            return Err(refused("another_tenant", AuthError::WrongTenant).into());
        }
        let maker = self.keys.maker_membership(&known, &self.directory, now).await?;
        let maker = maker.ok_or_else(|| refused("maker_gone", AuthError::MakerNotMember))?;
        Ok(Access::from_api_key(&shown, known, resource, &maker).map_err(invalid_key)?)
    }
}

/// The credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Credentials<'a> {
    None,
    AccessToken(&'a str),
    ApiKey(&'a str),
}

impl<'a> Credentials<'a> {
    /// `Authorization: Bearer` (RFC 6750 §2.1), its scheme in any case, or `X-Api-Key`; never the query or the body. A key is
    /// taken as a bearer too, and in the other forms in which clients are seen to send one: alone, after `Token`, and in
    /// `X-Auth-Token`. A scheme that is not ours counts as nothing: the challenge says what is.
    fn read(headers: &'a HeaderMap) -> Result<Self, AuthError> {
        let authorization = single_header_value(headers, AUTHORIZATION.as_str())?.map(str::trim);
        let authorization = authorization.map_or(Ok(Self::None), Self::of_authorization);
        let api_key = single_header_value(headers, "x-api-key")?.map(|key| Self::ApiKey(key.trim()));
        let auth_token = single_header_value(headers, "x-auth-token")?.map(str::trim);
        let auth_token = auth_token.filter(|token| ApiKey::has_prefix(token)).map(Self::ApiKey);
        let named = authorization.as_ref().ok().filter(|credentials| **credentials != Self::None).cloned();
        let mut all = [named, api_key, auth_token].into_iter().flatten();
        match (all.next(), all.next()) {
            (Some(_), Some(_)) => Err(AuthError::MultipleCredentials),
            (Some(only), None) => Ok(only),
            (None, _) => authorization,
        }
    }

    fn of_authorization(value: &'a str) -> Result<Self, AuthError> {
        if ApiKey::has_prefix(value) {
            return Ok(Self::ApiKey(value));
        }
        let (scheme, credential) = value.split_once(' ').unwrap_or((value, ""));
        let credential = credential.trim();
        let is = |name: &str| scheme.eq_ignore_ascii_case(name);
        if (is("bearer") || is("token")) && ApiKey::has_prefix(credential) {
            Ok(Self::ApiKey(credential))
        } else if is("bearer") {
            Ok(Self::AccessToken(credential))
        } else if is("basic") && is_basic_with_api_key(credential) {
            Err(AuthError::ApiKeyAsBasic)
        } else {
            Ok(Self::None)
        }
    }
}

/// Whether the user or the password of `Basic` (RFC 7617 §2) is an API key.
fn is_basic_with_api_key(credential: &str) -> bool {
    let pair = STANDARD.decode(credential).ok().and_then(|pair| String::from_utf8(pair).ok()).unwrap_or_default();
    pair.split(':').any(ApiKey::has_prefix)
}

/// The value of a header that may occur once. API Gateway joins repeated ones with a comma, which no credential contains.
fn single_header_value<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let value = value.to_str().map_err(|_| AuthError::NotVisibleAscii)?;
            if value.contains(',') { Err(AuthError::MultipleCredentials) } else { Ok(Some(value)) }
        }
        (Some(_), Some(_)) => Err(AuthError::MultipleCredentials),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn exactly_one_credential_is_read() {
        const TOKEN: Result<Credentials<'_>, AuthError> = Ok(Credentials::AccessToken("a.b.c"));
        const KEY: Result<Credentials<'_>, AuthError> = Ok(Credentials::ApiKey("sk_x"));
        const SEVERAL: Result<Credentials<'_>, AuthError> = Err(AuthError::MultipleCredentials);
        const NOTHING: Result<Credentials<'_>, AuthError> = Ok(Credentials::None);
        const BASIC: Result<Credentials<'_>, AuthError> = Err(AuthError::ApiKeyAsBasic);
        for (headers, credentials) in [
            (&[][..], NOTHING),
            (&[("authorization", "Bearer a.b.c")], TOKEN),
            (&[("authorization", "bearer a.b.c")], TOKEN),
            (&[("authorization", "BEARER  a.b.c ")], TOKEN),
            (&[("authorization", "Bearer sk_x")], KEY),
            (&[("x-api-key", "sk_x")], KEY),
            (&[("x-api-key", " sk_x ")], KEY),
            (&[("x-api-key", "a.b.c")], Ok(Credentials::ApiKey("a.b.c"))),
            (&[("authorization", "Bearer")], Ok(Credentials::AccessToken(""))),
            (&[("authorization", "Bearer ")], Ok(Credentials::AccessToken(""))),
            (&[("authorization", "Basic YTpi")], NOTHING),
            (&[("authorization", "Basic YTpi"), ("x-api-key", "sk_x")], KEY),
            (&[("authorization", "Basic c2tfeDo=")], BASIC),
            (&[("authorization", "basic OnNrX3g=")], BASIC),
            (&[("authorization", "Basic c2tfeA==")], BASIC),
            (&[("authorization", "Basic OnNrX3g="), ("x-api-key", "sk_x")], KEY),
            (&[("authorization", "Basic !")], NOTHING),
            (&[("authorization", "sk_x")], KEY),
            (&[("authorization", " sk_x ")], KEY),
            (&[("authorization", "Token sk_x")], KEY),
            (&[("authorization", "token  sk_x")], KEY),
            (&[("authorization", "Token a.b.c")], NOTHING),
            (&[("x-auth-token", "sk_x")], KEY),
            (&[("x-auth-token", " sk_x")], KEY),
            (&[("x-auth-token", "another-service")], NOTHING),
            (&[("authorization", "Bearer a.b.c"), ("x-auth-token", "another-service")], TOKEN),
            (&[("authorization", "Bearer a.b.c"), ("x-auth-token", "sk_x")], SEVERAL),
            (&[("x-api-key", "sk_x"), ("x-auth-token", "sk_x")], SEVERAL),
            (&[("authorization", "sk_x"), ("x-api-key", "sk_x")], SEVERAL),
            (&[("authorization", "sk_x, sk_y")], SEVERAL),
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
            assert_eq!(Credentials::read(&map), credentials, "{headers:?}");
        }
    }

    #[test]
    fn credentials_that_are_not_ascii_are_invalid_tokens() {
        for name in [AUTHORIZATION, HeaderName::from_static("x-api-key")] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_bytes(b"Bearer \xff").unwrap());

            assert_eq!(Credentials::read(&headers), Err(AuthError::NotVisibleAscii));
        }
    }
}
