//! Who is signed in, by the `@supabase/ssr` session cookies of a request.
//!
//! Only the access token in such a cookie is signed, so nothing else of it is trusted. A cookie that cannot
//! be read means signed out, and is never an error.

mod access_token;
pub mod address_forwarding;
pub mod cookies;
mod jwks;
pub mod mfa;
mod oauth_server;
mod rate_limiter;
mod recent_tokens;
mod shared_secret;
pub mod sign_in_age;
pub mod sign_in_redirect;
pub mod signed_in;
pub mod supabase;

use std::time::Duration;

use http::StatusCode;
use lambda_http::Request;
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
use self::recent_tokens::RecentTokens;
use self::shared_secret::SharedSecret;
use self::signed_in::SignedIn;
use self::supabase::{Bearer, Supabase, SupabaseRequest, SupabaseResponse};
use crate::clock::Timestamp;
use crate::environment::{ConfigError, Environment};
use crate::oauth::issuer::Issuer;
use crate::oauth::tenant::PersonId;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// Most bytes of the address to return to after signing in. An authorization request with a `state` of 4 KB fits. With a
/// session's cookies, and encoded once more in the address of the login page, it must stay within the 10,240 bytes of headers
/// that API Gateway takes.
pub const MAX_RETURN_TO_LEN: usize = 7 * 1024;

/// How long after its last access token expired a session can be refreshed: as long as a connection may be
/// unused.
const MAX_IDLE: Duration = Duration::from_hours(30 * 24);

/// Identifies people by their session at Supabase Auth.
pub struct Identity {
    supabase: Supabase,
    issuers: Vec<String>,
    cookie: SessionCookie,
    login: Url,
    /// Whether the login page is ours.
    hosts_login: bool,
    issuer: Issuer,
    jwks: Mutex<Jwks>,
    verified_tokens: RecentTokens,
    /// Tokens without a published key that Supabase did not know.
    refused_tokens: RecentTokens,
    oauth_server: OAuthServer,
    shared_secret: SharedSecret,
    /// Limits the lookups of tokens that nobody has proven.
    lookups: RateLimiter,
    sign_in_max_age: Option<Duration>,
}

/// Where the session is.
enum SessionCookie {
    /// In cookies that every host of our domain can set, as a product's own sign-in page keeps it. With the name that the settings
    /// give or the project's address leads to.
    OfProduct(String),
    /// In cookies that only our own page can set (`__Host-`, RFC 6265bis §4.1.3.2). With the name that it had before it was kept so,
    /// under which nothing is read.
    Own { name: String, former: String },
}

/// The status of the session that comes with a request.
#[derive(Debug)]
pub enum SessionStatus {
    /// There is no valid session, and why, as far as is known.
    SignedOut(SessionError),
    /// A person with a second factor, who has verified only the first. They count as signed out until they
    /// have verified both.
    MfaPending(MfaPending),
    /// A person who has verified every factor that they have.
    SignedIn(SignedIn),
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// There is none, or its token is not accepted.
    Unrecognized,
    /// It ended, or its person is gone.
    Ended,
    /// Its person is banned.
    Banned,
    /// Its token does not say how the person signed in (`amr`), and Supabase's own OAuth server is on. So the
    /// token may be a third party's, with any scope. [`HOOK_MUST_KEEP_CLAIMS`] says what to do.
    MissingAmr,
    /// There are sessions of two people, or too many to tell. One of them may have been put there by another host of the domain.
    /// [`CLEAR_COOKIES`] says what to do.
    SeveralPeople,
}

/// Why a request has no signed-in person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedInError {
    /// Its person has a second factor, and has verified only the first.
    MfaPending,
    /// There is no session.
    NoSession(SessionError),
}

/// What to do about [`SessionError::MissingAmr`], for the page.
pub const HOOK_MUST_KEEP_CLAIMS: &str = "You are not signed in. Tell those who run this service: the OAuth server of their Supabase project \
     is on, so its custom access token hook must keep the claims amr and client_id.";

/// What to do about [`SessionError::SeveralPeople`], for the page.
pub const CLEAR_COOKIES: &str = "Delete the cookies of this site and of the product in your browser's settings, then sign in again. If that \
     does not help, tell those who run this service: another site of theirs sets this cookie.";

/// Whether Supabase may be asked about a token without a published key.
enum Lookup {
    /// It has issued the token itself.
    JustIssued,
    /// As often as the limits of the process allow.
    Allowed,
    /// No: it did not know another token of the same request, which has had its question.
    UsedUp,
}

/// The result of `GET /user` for a token.
enum SessionCheck {
    /// There is no session.
    Invalid(SessionError),
    /// There is one, of a person with these verified factors.
    Valid(Vec<Factor>),
}

impl Identity {
    /// From `ISSUER`, `SUPABASE_URL`, `SUPABASE_PUBLISHABLE_KEY` and, if they are set: `SUPABASE_ISSUER` (the `iss` of access
    /// tokens, several separated by commas; by default the project's own), `SESSION_COOKIE` (by default the name that
    /// `@supabase/ssr` makes of the project's address), `LOGIN_URL` (by default our own page), `SUPABASE_SHARED_SECRET` (whether it
    /// signs with one; by default what Supabase says of its tokens) and `SIGN_IN_MAX_AGE` (in minutes; 0, the default, for any age).
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
        let name = match environment.optional("SESSION_COOKIE") {
            Some(name) if cookies::is_name(&name) => name,
            Some(_) => return Err(ConfigError::Unusable("SESSION_COOKIE", "not a cookie's name")),
            None => supabase.cookie(),
        };
        let paths = environment.public_paths()?;
        let login = environment.optional("LOGIN_URL");
        // A page of the product's own may be at the very address that ours would have beside another product.
        let hosts_login = login.is_none();
        let login = login.unwrap_or_else(|| issuer.at(&paths.auth("/login")));
        let login = Url::parse(&login)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.fragment().is_none())
            .ok_or(ConfigError::Unusable("LOGIN_URL", "an http(s) address without a fragment"))?;
        let cookie = if hosts_login && !issuer.is_plain_http() {
            SessionCookie::own(name)
        } else {
            SessionCookie::OfProduct(name)
        };
        let (shared_secret, sign_in_max_age) = (SharedSecret::new(environment)?, sign_in_max_age(environment)?);
        let (jwks, verified_tokens, lookups) = (Mutex::default(), RecentTokens::default(), RateLimiter::default());
        Ok(Self {
            supabase,
            issuers,
            cookie,
            login,
            hosts_login,
            issuer,
            jwks,
            verified_tokens,
            refused_tokens: RecentTokens::default(),
            oauth_server: OAuthServer::default(),
            shared_secret,
            lookups,
            sign_in_max_age,
        })
    }

    /// The person whose session came with `request`, if it is valid at `now` with every factor that they
    /// have. Supabase has confirmed it at most a minute ago, whatever its token says of factors. So a sign-out in
    /// another place takes effect here within a minute. [`Self::still_signed_in`] notices it at once.
    ///
    /// # Errors
    /// When Supabase had to be called and did not answer.
    pub async fn signed_in(&self, request: &Request, now: Timestamp) -> Result<Option<SignedIn>, UpstreamError> {
        Ok(self.session_status(request, now).await?.signed_in().ok())
    }

    /// The status of the session of `request`, at `now`. Of several sessions, those count that are valid: those of one person are that
    /// person, those of two are nobody.
    ///
    /// # Errors
    /// As [`Self::signed_in`].
    pub async fn session_status(&self, request: &Request, now: Timestamp) -> Result<SessionStatus, UpstreamError> {
        const MAX_KEYS: usize = 16;
        const SEVERAL_PEOPLE: SessionStatus = SessionStatus::SignedOut(SessionError::SeveralPeople);
        let (mut found, mut reason): (Option<SessionStatus>, _) = (None, SessionError::Unrecognized);
        let (jar, mut lookup) = (Jar::of(request), Lookup::Allowed);
        let keys = self.session_keys(&jar);
        if keys.len() > MAX_KEYS {
            return Ok(SEVERAL_PEOPLE);
        }
        for key in keys {
            let Ok(sessions) = jar.sessions(&key) else { return Ok(SEVERAL_PEOPLE) };
            for session in sessions {
                let status = self.verify_session(session.access_token, now, &mut lookup).await?;
                match (&status, &found) {
                    // A session without a reason does not replace a known reason.
                    (SessionStatus::SignedOut(SessionError::Unrecognized), _) => {}
                    (SessionStatus::SignedOut(known), _) => reason = *known,
                    (_, Some(other)) if other.who() != status.who() => return Ok(SEVERAL_PEOPLE),
                    (_, Some(other)) if other.strength() >= status.strength() => {}
                    _ => found = Some(status),
                }
            }
        }
        Ok(found.unwrap_or(SessionStatus::SignedOut(reason)))
    }

    /// The person of `token`, which Supabase has just issued, if it is valid at `now`. With two factors that
    /// counts as its confirmation, by the project's keys. Supabase is asked where there is no key (a shared secret, or a
    /// key that is not published yet), and where it must say whether a second factor is left to be verified.
    ///
    /// # Errors
    /// As [`Self::signed_in`].
    pub async fn verify_token(&self, token: Bearer, now: Timestamp) -> Result<SessionStatus, UpstreamError> {
        self.verify_session(token, now, &mut Lookup::JustIssued).await
    }

    /// The refresh token of a session whose access token expired at most 30 days ago. It is used only beside
    /// an access token that the project's keys have signed: Supabase counts refreshes per address, all are
    /// ours, and forged ones must not use up the quota that people need to sign in. A project that signs with
    /// a shared secret has no such proof: there people sign in again.
    ///
    /// # Errors
    /// When the project's keys cannot be had.
    pub async fn refreshable_token(&self, request: &Request, now: Timestamp) -> Result<Option<String>, UpstreamError> {
        // Only our own page refreshes: nobody else can have set its cookies, or nobody else is on this machine.
        for session in Jar::of(request).sessions(self.cookie()).unwrap_or_default() {
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

    /// As [`Self::verify_token`]. Unless Supabase has just issued it, a token without a key is looked up only as often as the limits
    /// allow. `GET /user` is the one call that Supabase does not limit per address, so lookups for strangers lock nobody out. After one
    /// that Supabase did not know, no other token of the request is looked up.
    async fn verify_session(
        &self,
        token: Bearer,
        now: Timestamp,
        lookup: &mut Lookup,
    ) -> Result<SessionStatus, UpstreamError> {
        const UNRECOGNIZED: SessionStatus = SessionStatus::SignedOut(SessionError::Unrecognized);
        let Some((parsed, claims)) = Token::parse(token.expose()) else { return Ok(UNRECOGNIZED) };
        // Before the signature, so that only a possible session causes a lookup.
        let Some(person) = claims.person(&self.issuers, now) else { return Ok(UNRECOGNIZED) };
        if parsed.is_symmetric() && self.shared_secret.is_unused() {
            return Ok(UNRECOGNIZED);
        }
        let just_issued = matches!(lookup, Lookup::JustIssued);
        let found = self.jwks.lock().await.find(&self.supabase, &parsed, now).await?;
        let (unpublished, known) =
            (matches!(found, KeyLookup::Unpublished), self.verified_tokens.contains(&token, now));
        match found {
            KeyLookup::Key(key) if parsed.is_signed_by(&key) => {}
            KeyLookup::Unpublished if known => {}
            // Beside it there may be one that counts, which must not wait for this one every time.
            KeyLookup::Unpublished if self.refused_tokens.contains(&token, now) => return Ok(UNRECOGNIZED),
            KeyLookup::Unpublished if parsed.is_verifiable_by_supabase() => {
                let doubtful = !just_issued && parsed.is_symmetric() && self.shared_secret.is_doubtful(now).await;
                // Without a lookup we cannot say that the person is signed out. They can try again in a
                // moment.
                let may_ask = matches!(lookup, Lookup::Allowed) && self.lookups.try_acquire(doubtful, now);
                if !(just_issued || may_ask) {
                    return Err(upstream_call::rate_limited(USER, "too many tokens without a published key"));
                }
            }
            _ => return Ok(UNRECOGNIZED),
        }
        let confirmed_by_issue = just_issued && !unpublished && claims.has_both_factors();
        if confirmed_by_issue {
            self.verified_tokens.insert(&token, now);
        }
        let offline = known || confirmed_by_issue;
        let check =
            if offline { SessionCheck::Valid(Vec::new()) } else { self.missing_factors(&token, &claims, now).await? };
        match check {
            SessionCheck::Invalid(SessionError::Unrecognized) if unpublished => {
                self.refused_tokens.insert(&token, now);
                *lookup = Lookup::UsedUp;
            }
            // Also of one whose session has ended: Supabase verifies the signature first.
            _ if parsed.is_symmetric() && !known => self.shared_secret.vouch(now).await,
            _ => {}
        }
        let factors = match check {
            SessionCheck::Valid(factors) => factors,
            SessionCheck::Invalid(why) => return Ok(SessionStatus::SignedOut(why)),
        };
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

    /// Asks Supabase whether the session still exists and its person may use it. For actions whose effect
    /// outlives the session.
    ///
    /// # Errors
    /// When Supabase gives no answer. That is no reason to sign in again.
    pub async fn still_signed_in(&self, person: &SignedIn) -> Result<bool, UpstreamError> {
        Ok(self.signed_out(person).await?.is_none())
    }

    /// As [`Self::still_signed_in`], with the reason if not.
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
            // A factor that was set up after they signed in has to be verified as well.
            SessionCheck::Valid(factors) => {
                (!person.has_both_factors && !factors.is_empty()).then_some(SessionError::Ended)
            }
        })
    }

    /// The URL of the sign-in page, for a browser that shall come back to `return_to`: a path on our origin,
    /// with its query.
    #[must_use]
    pub fn login_url(&self, return_to: &str) -> String {
        let ours = self.login.origin().ascii_serialization() == self.issuer.as_str();
        let next = if ours { return_to.to_owned() } else { self.issuer.at(return_to) };
        let separator = if self.login.query().is_some() { '&' } else { '?' };
        format!("{}{separator}next={}", self.login, utf8_percent_encode(&next, UNRESERVED))
    }

    /// Whether we serve the login page and `/auth/logout`.
    #[must_use]
    pub const fn hosts_login(&self) -> bool {
        self.hosts_login
    }

    /// The name of the session cookie.
    #[must_use]
    pub fn cookie(&self) -> &str {
        match &self.cookie {
            SessionCookie::OfProduct(name) | SessionCookie::Own { name, .. } => name,
        }
    }

    /// The names under which `jar` may have sessions that count.
    #[must_use]
    pub fn session_keys(&self, jar: &Jar) -> Vec<String> {
        match &self.cookie {
            SessionCookie::OfProduct(name) => jar.keys(name),
            SessionCookie::Own { name, .. } => vec![name.clone()],
        }
    }

    /// The name under which our own page kept sessions before they had a name that only it can set. It counts no more.
    #[must_use]
    pub fn former_cookie(&self) -> Option<&str> {
        match &self.cookie {
            SessionCookie::OfProduct(_) => None,
            SessionCookie::Own { former, .. } => Some(former),
        }
    }

    /// The project.
    #[must_use]
    pub const fn supabase(&self) -> &Supabase {
        &self.supabase
    }

    /// Whether a token with these claims may be one that Supabase's own OAuth server issued to a third party.
    /// Only for tokens that Supabase has signed: forged ones must not cause a call.
    async fn may_be_third_party(&self, claims: &Claims, now: Timestamp) -> Result<bool, UpstreamError> {
        Ok(!claims.have_amr() && self.oauth_server.is_on(&self.supabase, now).await?)
    }

    /// The factors that are left to be verified, if there is a session.
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

    /// `GET /user`, which verifies the token and looks up its session and its person. The factors in the
    /// cookie are not signed.
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

impl SessionCookie {
    fn own(name: String) -> Self {
        const PREFIX: &str = "__Host-";
        match name.strip_prefix(PREFIX) {
            Some(former) => Self::Own { former: former.to_owned(), name },
            None => Self::Own { name: format!("{PREFIX}{name}"), former: name },
        }
    }
}

impl SessionStatus {
    fn who(&self) -> Option<&PersonId> {
        match self {
            Self::SignedIn(person) => Some(&person.person),
            Self::MfaPending(pending) => Some(&pending.person().person),
            Self::SignedOut(_) => None,
        }
    }

    /// Of two sessions of one person, the stronger one counts: that with every factor, then the newer one.
    fn strength(&self) -> Option<(bool, Option<Timestamp>)> {
        match self {
            Self::SignedIn(person) => Some((true, person.signed_in_at)),
            Self::MfaPending(pending) => Some((false, pending.person().signed_in_at)),
            Self::SignedOut(_) => None,
        }
    }

    /// The person, if they are signed in and have verified every factor that they have.
    ///
    /// # Errors
    /// Why nobody is signed in.
    pub fn signed_in(self) -> Result<SignedIn, NotSignedInError> {
        match self {
            Self::SignedIn(person) => Ok(person),
            Self::MfaPending(_) => Err(NotSignedInError::MfaPending),
            Self::SignedOut(why) => Err(NotSignedInError::NoSession(why)),
        }
    }
}

/// `SIGN_IN_MAX_AGE` in minutes; 0 for no limit.
fn sign_in_max_age(environment: &Environment) -> Result<Option<Duration>, ConfigError> {
    const UNUSABLE: ConfigError = ConfigError::Unusable("SIGN_IN_MAX_AGE", "a number of minutes");
    let Some(text) = environment.optional("SIGN_IN_MAX_AGE") else { return Ok(None) };
    let minutes: u32 = text.parse().map_err(|_| UNUSABLE)?;
    Ok((minutes > 0).then(|| Duration::from_secs(60 * u64::from(minutes))))
}

/// Only Supabase Auth itself can say that a session is over, by one of its error codes. A gateway that
/// refuses our call cannot.
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
