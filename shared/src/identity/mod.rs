//! Who is signed in: the person behind the `@supabase/ssr` session cookies of a request.
//!
//! Nothing in such a cookie is signed but the access token, so nothing else of it is believed. Garbage of any kind means
//! signed out, never an error.

mod access_token;
pub mod cookies;
mod jwks;
pub mod mfa;
mod oauth_server;
mod rate_limiter;
pub mod sign_in_redirect;
pub mod signed_in;
pub mod supabase;
mod verified_tokens;

use std::time::Duration;

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use self::access_token::{Claims, Token};
use self::cookies::Jar;
use self::jwks::{Jwks, KeyLookup};
use self::mfa::{Factor, MfaPending};
use self::oauth_server::OAuthServer;
use self::rate_limiter::RateLimiter;
use self::signed_in::SignedIn;
use self::supabase::{Bearer, Supabase, SupabaseRequest, SupabaseResponse};
use self::verified_tokens::VerifiedTokens;
use crate::clock::Timestamp;
use crate::environment::{ConfigError, Environment};
use crate::lambda::Request;
use crate::oauth::issuer::Issuer;
use crate::upstream_error::UpstreamError;

/// The longest way back from signing in, in bytes: it has to fit a cookie. An authorization request with a long `state` has
/// about 1 KB.
pub const MAX_RETURN_TO_LEN: usize = 2048;

/// How long after its last access token a session is still continued: as long as a connection may lie unused.
const MAX_IDLE: Duration = Duration::from_hours(30 * 24);

/// Knows people by their session at Supabase Auth.
pub struct Identity {
    supabase: Supabase,
    issuers: Vec<String>,
    cookie: String,
    login: Url,
    issuer: Issuer,
    jwks: Mutex<Jwks>,
    verified_tokens: VerifiedTokens,
    oauth_server: OAuthServer,
    /// Limits lookups of tokens whose key is not known.
    lookups: RateLimiter,
}

/// The status of the session that comes with a request.
#[derive(Debug)]
pub enum SessionStatus {
    /// Nobody whose session is good, and why, as far as anybody said.
    SignedOut(SessionError),
    /// A person with a second factor, who has shown only the first. They count as nobody until they have shown both.
    MfaPending(MfaPending),
    /// A person, with every factor that they have.
    SignedIn(SignedIn),
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// None came, or its token is not one that we accept.
    Unrecognized,
    /// It ended, or its person is gone.
    Ended,
    /// Its person is banned.
    Banned,
    /// Its token does not say how its person signed in (`amr`), and Supabase's own OAuth server is on: it may be a third party's, with
    /// whatever scope. [`HOOK_MUST_KEEP_CLAIMS`] says what to do.
    MissingAmr,
}

/// Why a request has no signed-in person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedInError {
    /// Its person has a second factor, and has shown only the first.
    MfaPending,
    /// There is no session.
    NoSession(SessionError),
}

/// What to do about [`SessionError::MissingAmr`], for the page.
pub const HOOK_MUST_KEEP_CLAIMS: &str = "You are not signed in. Tell those who run this service: the OAuth server of their Supabase project \
     is on, so its custom access token hook must keep the claims amr and client_id.";

/// What `GET /user` says about a token.
enum SessionCheck {
    /// It is no session.
    Invalid(SessionError),
    /// It is one, of a person with these verified factors.
    Valid(Vec<Factor>),
}

impl Identity {
    /// From `ISSUER`, `SUPABASE_URL`, `SUPABASE_PUBLISHABLE_KEY` and, if they are set: `SUPABASE_ISSUER` (the `iss` of access
    /// tokens, several separated by commas; by default the project's own), `SESSION_COOKIE` (by default the name that
    /// `@supabase/ssr` makes of the project's address), `LOGIN_URL` (by default our own page).
    ///
    /// # Errors
    /// When one is missing or unusable.
    pub fn new(environment: &Environment) -> Result<Self, ConfigError> {
        let issuer = environment.issuer()?;
        let supabase = Supabase::new(environment)?;
        let issuers = match environment.optional("SUPABASE_ISSUER") {
            Some(list) => list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
            None => vec![supabase.base().to_owned()],
        };
        let cookie = match environment.optional("SESSION_COOKIE") {
            Some(name) if cookies::is_name(&name) => name,
            Some(_) => return Err(ConfigError::Unusable("SESSION_COOKIE", "not a cookie's name")),
            None => supabase.cookie(),
        };
        let login = environment.optional("LOGIN_URL").unwrap_or_else(|| issuer.at("/auth/login"));
        let login = Url::parse(&login)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.fragment().is_none())
            .ok_or(ConfigError::Unusable("LOGIN_URL", "an http(s) address without a fragment"))?;
        let (jwks, verified_tokens, lookups) = (Mutex::default(), VerifiedTokens::default(), RateLimiter::default());
        let oauth_server = OAuthServer::default();
        Ok(Self { supabase, issuers, cookie, login, issuer, jwks, verified_tokens, oauth_server, lookups })
    }

    /// The person whose session came with `request`, if it is good at `now` and has every factor that they have. Their sign-out elsewhere
    /// shows within a minute, of a session with two factors within its token's hour, and at once only in [`Self::still_signed_in`].
    ///
    /// # Errors
    /// When Supabase had to be called and did not answer.
    pub async fn signed_in(&self, request: &Request, now: Timestamp) -> Result<Option<SignedIn>, UpstreamError> {
        Ok(self.session_status(request, now).await?.signed_in().ok())
    }

    /// The status of the session of `request`, at `now`.
    ///
    /// # Errors
    /// As [`Self::signed_in`].
    pub async fn session_status(&self, request: &Request, now: Timestamp) -> Result<SessionStatus, UpstreamError> {
        let (mut lookups, mut why) = (1, SessionError::Unrecognized);
        let jar = Jar::of(request);
        for key in jar.keys(&self.cookie) {
            for session in jar.sessions(&key) {
                match self.verify_session(session.access_token, now, &mut lookups).await? {
                    // What says nothing takes no reason away.
                    SessionStatus::SignedOut(SessionError::Unrecognized) => {}
                    SessionStatus::SignedOut(reason) => why = reason,
                    somebody => return Ok(somebody),
                }
            }
        }
        Ok(SessionStatus::SignedOut(why))
    }

    /// The person whom `token` stands for, which Supabase has just given out, if it is good at `now`: offline by the project's keys, if
    /// two factors were shown; by Supabase's word where there is no key for it (a shared secret, or a key newer than its publication) or
    /// where it alone knows whether there is a second factor to be shown.
    ///
    /// # Errors
    /// As [`Self::signed_in`].
    pub async fn verify_token(&self, token: Bearer, now: Timestamp) -> Result<SessionStatus, UpstreamError> {
        if let Some((parsed, _)) = Token::parse(token.expose()) {
            self.jwks.lock().await.confirm(&parsed, now);
        }
        self.verify_session(token, now, &mut 1).await
    }

    /// The refresh token of a session of ours whose access token ended no more than 30 days ago. It is one only beside an
    /// access token that the project's keys have signed: Supabase counts refreshes by our address, and what anybody can make up must not
    /// use up what people sign in with. A project that signs with a shared secret has no such proof: there one signs in anew.
    ///
    /// # Errors
    /// When the project's keys cannot be had.
    pub async fn refreshable_token(&self, request: &Request, now: Timestamp) -> Result<Option<String>, UpstreamError> {
        for session in Jar::of(request).sessions(&self.cookie) {
            let Some((parsed, claims)) = Token::parse(session.access_token.expose()) else { continue };
            if claims.former_person(&self.issuers, MAX_IDLE, now).is_none() {
                continue;
            }
            let found = self.jwks.lock().await.find(&self.supabase, &parsed, now).await?;
            let signed = matches!(found, KeyLookup::Key(key) if parsed.is_signed_by(&key));
            if let Some(token) = session.refresh_token().filter(|_| signed)
                && !self.may_be_third_party(&claims, now).await?
            {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// As [`Self::verify_token`], asking about a token without a key only as long as `lookups` are left. Of all calls, `GET /user` is the
    /// one that Supabase does not count by address, so what strangers ask keeps nobody out; and how often they can is for the
    /// throttling of the routes that ask (template.yaml).
    async fn verify_session(
        &self,
        token: Bearer,
        now: Timestamp,
        lookups: &mut u8,
    ) -> Result<SessionStatus, UpstreamError> {
        const UNRECOGNIZED: SessionStatus = SessionStatus::SignedOut(SessionError::Unrecognized);
        let Some((parsed, claims)) = Token::parse(token.expose()) else { return Ok(UNRECOGNIZED) };
        // Before the signature, so that only what could be a session makes us ask anybody.
        let Some(person) = claims.person(&self.issuers, now) else { return Ok(UNRECOGNIZED) };
        let found = self.jwks.lock().await.find(&self.supabase, &parsed, now).await?;
        let (unpublished, known) =
            (matches!(found, KeyLookup::Unpublished { .. }), self.verified_tokens.contains(&token, now));
        match found {
            KeyLookup::Key(key) if parsed.is_signed_by(&key) => {}
            KeyLookup::Unpublished { .. } if known => {}
            KeyLookup::Unpublished { confirmed } if *lookups > 0 && parsed.is_verifiable_by_supabase() => {
                // Not asked is not signed out: who really has such a token comes again in a moment.
                if !(confirmed || self.lookups.try_acquire(now)) {
                    // Not counted: Supabase has done nothing wrong, and strangers must not raise its alarm.
                    let reason = "not asked: too many tokens of keys that are not published".to_owned();
                    return Err(UpstreamError { call: USER, reason });
                }
                *lookups -= 1;
            }
            _ => return Ok(UNRECOGNIZED),
        }
        let offline = known || (!unpublished && claims.has_both_factors());
        let check =
            if offline { SessionCheck::Valid(Vec::new()) } else { self.missing_factors(&token, &claims, now).await? };
        let factors = match check {
            SessionCheck::Valid(factors) => factors,
            SessionCheck::Invalid(why) => return Ok(SessionStatus::SignedOut(why)),
        };
        if unpublished {
            self.jwks.lock().await.confirm(&parsed, now);
        }
        if self.may_be_third_party(&claims, now).await? {
            return Ok(SessionStatus::SignedOut(SessionError::MissingAmr));
        }
        let person = SignedIn::new(person, claims, token, !offline);
        Ok(if factors.is_empty() {
            SessionStatus::SignedIn(person)
        } else {
            SessionStatus::MfaPending(MfaPending::new(person, factors))
        })
    }

    /// Whether the session still exists and its person may use it, by Supabase's word of this moment: for what outlives the session, or
    /// is not for somebody who has ended it elsewhere.
    ///
    /// # Errors
    /// When Supabase gives no answer. That is no reason to sign in again.
    pub async fn still_signed_in(&self, person: &SignedIn) -> Result<bool, UpstreamError> {
        Ok(self.signed_out(person).await?.is_none())
    }

    /// As [`Self::still_signed_in`], with why not.
    ///
    /// # Errors
    /// As [`Self::still_signed_in`].
    pub async fn signed_out(&self, person: &SignedIn) -> Result<Option<SessionError>, UpstreamError> {
        if person.just_verified {
            return Ok(None);
        }
        let check = self.get_user(&person.bearer, person.person.as_str()).await?;
        Ok(match check {
            SessionCheck::Invalid(why) => Some(why),
            // A factor that was set up since they signed in is to be shown as well.
            SessionCheck::Valid(factors) => {
                (!person.has_both_factors && !factors.is_empty()).then_some(SessionError::Ended)
            }
        })
    }

    /// Where to send a browser that is not signed in, and that shall come back to `return_to`: a path on our origin, with its
    /// query.
    #[must_use]
    pub fn login_url(&self, return_to: &str) -> String {
        let ours = self.login.origin().ascii_serialization() == self.issuer.as_str();
        let next = if ours { return_to.to_owned() } else { self.issuer.at(return_to) };
        let separator = if self.login.query().is_some() { '&' } else { '?' };
        format!("{}{separator}next={}", self.login, utf8_percent_encode(&next, UNRESERVED))
    }

    /// Whether the login page is ours, and with it `/auth/logout`.
    #[must_use]
    pub fn hosts_login(&self) -> bool {
        self.login.as_str() == self.issuer.at("/auth/login")
    }

    /// The name under which a session of ours is kept.
    #[must_use]
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// The project.
    #[must_use]
    pub const fn supabase(&self) -> &Supabase {
        &self.supabase
    }

    /// Whether a token with these claims may be one that Supabase's own OAuth server gave to a third party. For tokens that are known to
    /// be Supabase's: what strangers make up must not have us ask.
    async fn may_be_third_party(&self, claims: &Claims, now: Timestamp) -> Result<bool, UpstreamError> {
        Ok(!claims.have_amr() && self.oauth_server.is_on(&self.supabase, now).await?)
    }

    /// The factors that are left to be shown, if there is a session.
    async fn missing_factors(
        &self,
        token: &Bearer,
        claims: &Claims,
        now: Timestamp,
    ) -> Result<SessionCheck, UpstreamError> {
        Ok(match self.get_user(token, &claims.sub).await? {
            SessionCheck::Valid(factors) if factors.is_empty() || claims.has_both_factors() => {
                self.verified_tokens.insert(token, now);
                SessionCheck::Valid(Vec::new())
            }
            check => check,
        })
    }

    /// `GET /user`, which verifies the token and looks up its session and its person. What the cookie says of factors, nobody signed.
    async fn get_user(&self, bearer: &Bearer, person: &str) -> Result<SessionCheck, UpstreamError> {
        #[derive(Deserialize)]
        struct User {
            id: String,
            #[serde(default)]
            factors: Vec<Factor>,
        }
        let answer =
            self.supabase.send(SupabaseRequest { bearer: Some(bearer), ..SupabaseRequest::get(USER, "/user") }).await?;
        if answer.status == StatusCode::OK {
            let user: User = answer.json(USER)?;
            let verified = user.factors.into_iter().filter(Factor::is_verified).collect();
            return Ok(if user.id == person {
                SessionCheck::Valid(verified)
            } else {
                SessionCheck::Invalid(SessionError::Unrecognized)
            });
        }
        session_error(&answer).map(SessionCheck::Invalid).ok_or_else(|| answer.upstream_error(USER))
    }
}

impl SessionStatus {
    /// The person, if they are signed in, with every factor that they have.
    ///
    /// # Errors
    /// Why they count as nobody.
    pub fn signed_in(self) -> Result<SignedIn, NotSignedInError> {
        match self {
            Self::SignedIn(person) => Ok(person),
            Self::MfaPending(_) => Err(NotSignedInError::MfaPending),
            Self::SignedOut(why) => Err(NotSignedInError::NoSession(why)),
        }
    }
}

/// Only Supabase Auth itself, by one of its codes, can say that a session is over; a gateway that refuses *us* cannot.
fn session_error(answer: &SupabaseResponse) -> Option<SessionError> {
    if !matches!(answer.status.as_u16(), 401 | 403 | 404) {
        return None;
    }
    match answer.code.as_deref()? {
        "no_authorization" | "bad_jwt" => Some(SessionError::Unrecognized),
        "session_not_found" | "session_expired" | "user_not_found" => Some(SessionError::Ended),
        "user_banned" => Some(SessionError::Banned),
        _ => None,
    }
}

const USER: &str = "Supabase.User";

/// RFC 3986 §2.3, and the slash, which a query may hold.
const UNRESERVED: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

#[cfg(test)]
mod tests;
