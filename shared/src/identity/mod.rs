//! Who is signed in: the person behind the `@supabase/ssr` session cookies of a request.
//!
//! Nothing in such a cookie is signed but the access token, so nothing else of it is believed. Garbage of any kind means
//! signed out, never an error.

mod access_token;
mod confirmed;
pub mod cookies;
pub mod halfway;
mod jwks;
mod oauth_server;
mod rate_limiter;
pub mod sign_in_redirect;
pub mod signed_in;
pub mod supabase;

use std::time::Duration;

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use self::access_token::{Claims, Token};
use self::confirmed::Confirmed;
use self::cookies::Jar;
use self::halfway::{Factor, Halfway};
use self::jwks::{Found, Jwks};
use self::oauth_server::OAuthServer;
use self::rate_limiter::RateLimiter;
use self::signed_in::SignedIn;
use self::supabase::{Answer, Ask, Bearer, Supabase};
use crate::clock::Timestamp;
use crate::environment::{Environment, Misconfigured};
use crate::fault::Fault;
use crate::lambda::Request;
use crate::oauth::issuer::Issuer;

/// The longest way back from signing in, in bytes: it has to fit a cookie. An authorization request with a long `state` has
/// about 1 KB.
pub const LONGEST_WAY_BACK: usize = 2048;

/// How long after its last access token a session is still continued: as long as a connection may lie unused.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);

/// Knows people by their session at Supabase Auth.
pub struct Identity {
    supabase: Supabase,
    issuers: Vec<String>,
    cookie: String,
    login: Url,
    issuer: Issuer,
    jwks: Mutex<Jwks>,
    confirmed: Confirmed,
    oauth_server: OAuthServer,
    /// Of questions about tokens whose key nobody vouched for.
    questions: RateLimiter,
}

/// Who comes with a request.
#[derive(Debug)]
pub enum Arrival {
    /// Nobody whose session is good, and why, as far as anybody said.
    Nobody(NoSession),
    /// A person with a second factor, who has shown only the first. They count as nobody until they have shown both.
    Halfway(Halfway),
    /// A person, with every factor that they have.
    SignedIn(SignedIn),
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// None came, or its token is not one that we accept.
    NotOurs,
    /// It ended, or its person is gone.
    Ended,
    /// Its person is banned.
    Banned,
    /// Its token does not say how its person signed in (`amr`), and Supabase's own OAuth server is on: it may be a third party's, with
    /// whatever scope. [`HOOK_KEEPS`] says what to do.
    NoAmr,
}

/// Why a request is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSignedIn {
    /// Its person has a second factor, and has shown only the first.
    Halfway,
    /// There is no session.
    Nobody(NoSession),
}

/// What to do about [`NoSession::NoAmr`], for the page.
pub const HOOK_KEEPS: &str = "You are not signed in. Tell those who run this service: the OAuth server of their Supabase project \
     is on, so its custom access token hook must keep the claims amr and client_id.";

/// What Supabase says about a token.
enum Word {
    /// It is no session.
    Denied(NoSession),
    /// It is one, of a person with these verified factors.
    Lives(Vec<Factor>),
}

impl Identity {
    /// From `ISSUER`, `SUPABASE_URL`, `SUPABASE_PUBLISHABLE_KEY` and, if they are set: `SUPABASE_ISSUER` (the `iss` of access
    /// tokens, several separated by commas; by default the project's own), `SESSION_COOKIE` (by default the name that
    /// `@supabase/ssr` makes of the project's address), `LOGIN_URL` (by default our own page).
    ///
    /// # Errors
    /// When one is missing or unusable.
    pub fn new(environment: &Environment) -> Result<Self, Misconfigured> {
        let issuer = environment.issuer()?;
        let supabase = Supabase::new(environment)?;
        let issuers = match environment.optional("SUPABASE_ISSUER") {
            Some(list) => list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
            None => vec![supabase.base().to_owned()],
        };
        let cookie = match environment.optional("SESSION_COOKIE") {
            Some(name) if cookies::is_name(&name) => name,
            Some(_) => return Err(Misconfigured::Unusable("SESSION_COOKIE", "not a cookie's name")),
            None => supabase.cookie(),
        };
        let login = environment.optional("LOGIN_URL").unwrap_or_else(|| issuer.at("/auth/login"));
        let login = Url::parse(&login)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http") && url.fragment().is_none())
            .ok_or(Misconfigured::Unusable("LOGIN_URL", "an http(s) address without a fragment"))?;
        let (jwks, confirmed, questions) = (Mutex::default(), Confirmed::default(), RateLimiter::default());
        let oauth_server = OAuthServer::default();
        Ok(Self { supabase, issuers, cookie, login, issuer, jwks, confirmed, oauth_server, questions })
    }

    /// The person whose session came with `request`, if it is good at `now` and has every factor that they have. Their sign-out elsewhere
    /// shows within a minute, of a session with two factors within its token's hour, and at once only in [`Self::still_signed_in`].
    ///
    /// # Errors
    /// When Supabase had to be asked and did not answer.
    pub async fn signed_in(&self, request: &Request, now: Timestamp) -> Result<Option<SignedIn>, Fault> {
        Ok(self.arrival(request, now).await?.signed_in().ok())
    }

    /// Who comes with `request`, at `now`.
    ///
    /// # Errors
    /// As [`Self::signed_in`].
    pub async fn arrival(&self, request: &Request, now: Timestamp) -> Result<Arrival, Fault> {
        let (mut questions, mut why) = (1, NoSession::NotOurs);
        let jar = Jar::of(request);
        for key in jar.keys(&self.cookie) {
            for session in jar.sessions(&key) {
                match self.judge(session.access_token, now, &mut questions).await? {
                    // What says nothing takes no reason away.
                    Arrival::Nobody(NoSession::NotOurs) => {}
                    Arrival::Nobody(reason) => why = reason,
                    somebody => return Ok(somebody),
                }
            }
        }
        Ok(Arrival::Nobody(why))
    }

    /// The person whom `token` stands for, which Supabase has just given out, if it is good at `now`: offline by the project's keys, if
    /// two factors were shown; by Supabase's word where there is no key for it (a shared secret, or a key newer than its publication) or
    /// where it alone knows whether there is a second factor to be shown.
    ///
    /// # Errors
    /// As [`Self::signed_in`].
    pub async fn recognise(&self, token: Bearer, now: Timestamp) -> Result<Arrival, Fault> {
        if let Some((parsed, _)) = Token::parse(token.expose()) {
            self.jwks.lock().await.vouch(&parsed, now);
        }
        self.judge(token, now, &mut 1).await
    }

    /// The refresh token of a session of ours whose access token ended no more than 30 days ago. It is one only beside an
    /// access token that the project's keys have signed: Supabase counts refreshes by our address, and what anybody can make up must not
    /// use up what people sign in with. A project that signs with a shared secret has no such proof: there one signs in anew.
    ///
    /// # Errors
    /// When the project's keys cannot be had.
    pub async fn refreshable(&self, request: &Request, now: Timestamp) -> Result<Option<String>, Fault> {
        for session in Jar::of(request).sessions(&self.cookie) {
            let Some((parsed, claims)) = Token::parse(session.access_token.expose()) else { continue };
            if claims.former_person(&self.issuers, FORGOTTEN, now).is_none() {
                continue;
            }
            let found = self.jwks.lock().await.find(&self.supabase, &parsed, now).await?;
            let signed = matches!(found, Found::Key(key) if parsed.is_signed_by(&key));
            if let Some(token) = session.refresh_token().filter(|_| signed)
                && !self.may_be_a_third_partys(&claims, now).await?
            {
                return Ok(Some(token));
            }
        }
        Ok(None)
    }

    /// As [`Self::recognise`], asking about a token without a key only as long as `questions` are left. Of all calls, `GET /user` is the
    /// one that Supabase does not count by address, so what strangers ask keeps nobody out; and how often they can is for the
    /// throttling of the routes that ask (template.yaml).
    async fn judge(&self, token: Bearer, now: Timestamp, questions: &mut u8) -> Result<Arrival, Fault> {
        const NOT_OURS: Arrival = Arrival::Nobody(NoSession::NotOurs);
        let Some((parsed, claims)) = Token::parse(token.expose()) else { return Ok(NOT_OURS) };
        // Before the signature, so that only what could be a session makes us ask anybody.
        let Some(person) = claims.person(&self.issuers, now) else { return Ok(NOT_OURS) };
        let found = self.jwks.lock().await.find(&self.supabase, &parsed, now).await?;
        let (unpublished, known) = (matches!(found, Found::Unpublished { .. }), self.confirmed.knows(&token, now));
        match found {
            Found::Key(key) if parsed.is_signed_by(&key) => {}
            Found::Unpublished { .. } if known => {}
            Found::Unpublished { vouched } if *questions > 0 && parsed.may_be_asked_about() => {
                // Not asked is not signed out: who really has such a token comes again in a moment.
                if !(vouched || self.questions.try_acquire(now)) {
                    // Not counted: Supabase has done nothing wrong, and strangers must not raise its alarm.
                    let reason = "not asked: too many tokens of keys that are not published".to_owned();
                    return Err(Fault { call: USER, reason });
                }
                *questions -= 1;
            }
            _ => return Ok(NOT_OURS),
        }
        let offline = known || (!unpublished && claims.has_both_factors());
        let word = if offline { Word::Lives(Vec::new()) } else { self.lacking(&token, &claims, now).await? };
        let factors = match word {
            Word::Lives(factors) => factors,
            Word::Denied(why) => return Ok(Arrival::Nobody(why)),
        };
        if unpublished {
            self.jwks.lock().await.vouch(&parsed, now);
        }
        if self.may_be_a_third_partys(&claims, now).await? {
            return Ok(Arrival::Nobody(NoSession::NoAmr));
        }
        let person = SignedIn::new(person, claims, token, !offline);
        Ok(if factors.is_empty() { Arrival::SignedIn(person) } else { Arrival::Halfway(Halfway::new(person, factors)) })
    }

    /// Whether the session still exists and its person may use it, by Supabase's word of this moment: for what outlives the session, or
    /// is not for somebody who has ended it elsewhere.
    ///
    /// # Errors
    /// When Supabase gives no answer. That is no reason to sign in again.
    pub async fn still_signed_in(&self, person: &SignedIn) -> Result<bool, Fault> {
        Ok(self.signed_out(person).await?.is_none())
    }

    /// As [`Self::still_signed_in`], with why not.
    ///
    /// # Errors
    /// As [`Self::still_signed_in`].
    pub async fn signed_out(&self, person: &SignedIn) -> Result<Option<NoSession>, Fault> {
        if person.just_asked {
            return Ok(None);
        }
        let word = self.ask_about(&person.bearer, person.person.as_str()).await?;
        Ok(match word {
            Word::Denied(why) => Some(why),
            // A factor that was set up since they signed in is to be shown as well.
            Word::Lives(factors) => (!person.has_both_factors && !factors.is_empty()).then_some(NoSession::Ended),
        })
    }

    /// Where to send a browser that is not signed in, and that shall come back to `way_back`: a path on our origin, with its
    /// query.
    #[must_use]
    pub fn login(&self, way_back: &str) -> String {
        let ours = self.login.origin().ascii_serialization() == self.issuer.as_str();
        let next = if ours { way_back.to_owned() } else { self.issuer.at(way_back) };
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
    async fn may_be_a_third_partys(&self, claims: &Claims, now: Timestamp) -> Result<bool, Fault> {
        Ok(!claims.name_a_method() && self.oauth_server.is_on(&self.supabase, now).await?)
    }

    /// The factors that are left to be shown, if there is a session.
    async fn lacking(&self, token: &Bearer, claims: &Claims, now: Timestamp) -> Result<Word, Fault> {
        Ok(match self.ask_about(token, &claims.sub).await? {
            Word::Lives(factors) if factors.is_empty() || claims.has_both_factors() => {
                self.confirmed.remember(token, now);
                Word::Lives(Vec::new())
            }
            word => word,
        })
    }

    /// `GET /user`, which verifies the token and looks up its session and its person. What the cookie says of factors, nobody signed.
    async fn ask_about(&self, bearer: &Bearer, person: &str) -> Result<Word, Fault> {
        #[derive(Deserialize)]
        struct User {
            id: String,
            #[serde(default)]
            factors: Vec<Factor>,
        }
        let answer = self.supabase.ask(Ask { bearer: Some(bearer), ..Ask::get(USER, "/user") }).await?;
        if answer.status == StatusCode::OK {
            let user: User = answer.read(USER)?;
            let verified = user.factors.into_iter().filter(Factor::is_verified).collect();
            return Ok(if user.id == person { Word::Lives(verified) } else { Word::Denied(NoSession::NotOurs) });
        }
        denial(&answer).map(Word::Denied).ok_or_else(|| answer.fault(USER))
    }
}

impl Arrival {
    /// The person, if they are signed in, with every factor that they have.
    ///
    /// # Errors
    /// Why they count as nobody.
    pub fn signed_in(self) -> Result<SignedIn, NotSignedIn> {
        match self {
            Self::SignedIn(person) => Ok(person),
            Self::Halfway(_) => Err(NotSignedIn::Halfway),
            Self::Nobody(why) => Err(NotSignedIn::Nobody(why)),
        }
    }
}

/// Only Supabase Auth itself, by one of its codes, can say that a session is over; a gateway that refuses *us* cannot.
fn denial(answer: &Answer) -> Option<NoSession> {
    if !matches!(answer.status.as_u16(), 401 | 403 | 404) {
        return None;
    }
    match answer.code.as_deref()? {
        "no_authorization" | "bad_jwt" => Some(NoSession::NotOurs),
        "session_not_found" | "session_expired" | "user_not_found" => Some(NoSession::Ended),
        "user_banned" => Some(NoSession::Banned),
        _ => None,
    }
}

const USER: &str = "Supabase.User";

/// RFC 3986 §2.3, and the slash, which a query may hold.
const UNRESERVED: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

#[cfg(test)]
mod tests;
