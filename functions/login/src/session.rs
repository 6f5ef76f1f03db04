//! A session: kept as `@supabase/ssr` would, and ended.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::json;
use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::http::response::{see_other, set_cookie, with_reason};
use shared::identity::cookies::Jar;
use shared::identity::signed_in::SIGN_OUT;
use shared::identity::supabase::Bearer;
use shared::identity::{SessionError, SessionStatus};
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;
use shared::upstream_error::UpstreamError;

use crate::error::{LoginError, LoginErrorPage, RetryPage};
use crate::form::CsrfToken;
use crate::next::Next;
use crate::supabase_auth::Tokens;
use crate::supabase_error::SupabaseError;
use crate::{Login, form, supabase_auth};

impl Login {
    /// Keeps the session and goes where the person was going, by way of their second factor if they have one.
    pub(crate) async fn start_session(
        &self,
        request: &Request,
        tokens: Tokens,
        retry_page: &RetryPage,
        now: Timestamp,
    ) -> Result<Response, LoginErrorPage> {
        // Better shown here than found out by being sent here again and again.
        let known = self.identity.verify_token(Bearer::new(tokens.access_token.clone()), now).await;
        let to = match (known, &retry_page.next) {
            (Err(error), next) => {
                // There is a session, and what it came from is spent: only to look at it failed.
                let (start, why) = (self.login_url(next.as_ref()), LoginError::Upstream(error));
                let mut response = if request.method() == Method::POST {
                    with_reason(see_other(&start), &why)
                } else {
                    self.temporary_error_page(&start, retry_page, &why)
                };
                keep(&mut response, &tokens, &Jar::of(request), self.identity.cookie(), &self.issuer, now);
                return Ok(response);
            }
            (Ok(SessionStatus::SignedOut(SessionError::Unrecognized)), _) => {
                return Err(retry_page.with_error(UpstreamError::new(
                    "Supabase.Token",
                    "its token is not one that we accept: is SUPABASE_ISSUER right, the key that signs among those that the project publishes (or none published at all), and the token that of a person?",
                )));
            }
            (Ok(SessionStatus::SignedOut(why)), _) => return Err(retry_page.with_error(SupabaseError::of_session(why))),
            (Ok(SessionStatus::SignedIn(_)), Some(next)) => next.on(&self.issuer),
            (Ok(SessionStatus::SignedIn(_) | SessionStatus::MfaPending(_)), next) => self.login_url(next.as_ref()),
        };
        let mut response = see_other(&to);
        keep(&mut response, &tokens, &Jar::of(request), self.identity.cookie(), &self.issuer, now);
        CsrfToken::clear_cookie(&mut response, &self.issuer);
        Ok(response)
    }

    /// Lets the browser forget every session that came with `request`.
    pub(crate) fn without_session(&self, request: &Request, mut response: Response) -> Response {
        let jar = Jar::of(request);
        for key in jar.keys(self.identity.cookie()) {
            forget(&mut response, &jar, &key, &self.issuer);
        }
        response
    }

    /// Ends the session in this browser, and at Supabase.
    pub(crate) async fn sign_out(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        form::check_same_origin(request, &self.issuer)?;
        let fields = Parameters::of_body(request).map_err(LoginError::Malformed)?;
        let retry_page = RetryPage { next: fields.value("next").and_then(Next::parse), ..RetryPage::default() };
        let status = self.identity.session_status(request, now).await.map_err(|error| retry_page.with_error(error))?;
        let shown = fields.value("confirmation").unwrap_or_default();
        let session = match &status {
            SessionStatus::SignedIn(person) => Some((&person.bearer, person.verify_csrf_token(SIGN_OUT, shown))),
            SessionStatus::MfaPending(person) => Some((person.bearer(), person.verify_csrf_token(SIGN_OUT, shown))),
            SessionStatus::SignedOut(_) => None,
        };
        let mut response = self.without_session(request, see_other(&self.login_url(retry_page.next.as_ref())));
        // Without a session that is good there is nothing to forge: the browser only forgets what it cannot use.
        if let Some((bearer, allowed)) = session {
            if !allowed {
                return Err(RetryPage::default().with_error(LoginError::NotSignedOut));
            }
            // This browser is signed out even if Supabase cannot be reached.
            if let Err(error) = supabase_auth::sign_out(self.identity.supabase(), bearer).await {
                response = with_reason(response, &error);
            }
        }
        Ok(response)
    }
}

/// Keeps a session under `key`, tokens only, and clears every older chunk that came with the request, which would otherwise be
/// read in its stead.
pub(crate) fn keep(response: &mut Response, tokens: &Tokens, jar: &Jar, key: &str, issuer: &Issuer, now: Timestamp) {
    let chunks = chunks(key, &value(tokens, now));
    for stale in jar.chunk_names(key).filter(|name| chunks.iter().all(|(fresh, _)| fresh != name)) {
        set_cookie(response, stale, "", Some(0), issuer);
    }
    for (name, chunk) in &chunks {
        set_cookie(response, name, chunk, Some(MAX_AGE), issuer);
    }
}

/// Clears whatever came with the request under `key`.
pub(crate) fn forget(response: &mut Response, jar: &Jar, key: &str, issuer: &Issuer) {
    let mut names: Vec<&str> = jar.chunk_names(key).collect();
    names.dedup();
    for name in names {
        set_cookie(response, name, "", Some(0), issuer);
    }
}

/// Any text as what a cookie may hold.
pub(crate) fn to_cookie(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The text of [`to_cookie`].
pub(crate) fn from_cookie(value: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()
}

fn value(tokens: &Tokens, now: Timestamp) -> String {
    let stored = json!({
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": tokens.expires_in,
        "expires_at": tokens.expires_at.unwrap_or_else(|| now.seconds().saturating_add(tokens.expires_in)),
        "refresh_token": tokens.refresh_token,
    });
    format!("base64-{}", to_cookie(&stored.to_string()))
}

fn chunks(key: &str, value: &str) -> Vec<(String, String)> {
    if value.len() <= CHUNK {
        return vec![(key.to_owned(), value.to_owned())];
    }
    let mut rest = value;
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at_checked(CHUNK).unwrap_or((rest, ""));
        chunks.push((format!("{key}.{}", chunks.len()), chunk.to_owned()));
        rest = later;
    }
    chunks
}

/// `MAX_CHUNK_SIZE` of `@supabase/ssr`.
const CHUNK: usize = 3180;

/// 400 days, the longest that browsers keep anything.
const MAX_AGE: u32 = 34_560_000;

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::SET_COOKIE;
    use shared::http::response::empty;

    const KEY: &str = "sb-ref-auth-token";

    /// What we write is what the reader of `@supabase/ssr`'s cookies reads, whatever was there before.
    #[test]
    fn session_is_read_back_from_its_cookies() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let mut browser = Vec::new();
        for (size, names) in [
            (40, vec![KEY.to_owned()]),
            (9000, (0..4).map(|n| format!("{KEY}.{n}")).collect()),
            (3000, (0..2).map(|n| format!("{KEY}.{n}")).collect()),
            (50, vec![KEY.to_owned()]),
        ] {
            let tokens = Tokens {
                access_token: "t".repeat(size),
                token_type: "bearer".to_owned(),
                expires_in: 3600,
                expires_at: None,
                refresh_token: "v4x2kq7hnz3p".to_owned(),
            };
            let mut response = empty(http::StatusCode::OK);

            keep(&mut response, &tokens, &jar(&browser), KEY, &issuer, Timestamp::from_seconds(1_795_339_800));

            receive(&mut browser, &response);
            assert_eq!(browser.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
            assert!(browser.iter().all(|(_, value)| value.len() <= CHUNK));
            let sessions = jar(&browser).sessions(KEY);
            assert_eq!(sessions[0].access_token.expose(), tokens.access_token);
            assert_eq!(sessions[0].refresh_token().as_deref(), Some("v4x2kq7hnz3p"));
        }
        let mut response = empty(http::StatusCode::OK);
        forget(&mut response, &jar(&browser), KEY, &issuer);
        receive(&mut browser, &response);
        assert!(browser.is_empty());
    }

    fn jar(browser: &[(String, String)]) -> Jar {
        Jar::parse(&browser.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";"))
    }

    fn receive(browser: &mut Vec<(String, String)>, response: &Response) {
        for set in response.headers().get_all(SET_COOKIE) {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            browser.retain(|(known, _)| known != name);
            if !set.contains("Max-Age=0") {
                browser.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}
