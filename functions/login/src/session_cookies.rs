//! The cookies of a session, as `@supabase/ssr` would write them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use shared::clock::Timestamp;
use shared::http::response::set_cookie;
use shared::identity::cookies::Jar;
use shared::lambda::Response;
use shared::oauth::issuer::Issuer;

use crate::supabase_auth::Tokens;

/// Keeps the tokens of a session under `key`. Older chunks that came with the request are cleared; otherwise they would be read
/// instead.
pub(crate) fn keep(response: &mut Response, tokens: &Tokens, jar: &Jar, key: &str, issuer: &Issuer, now: Timestamp) {
    let chunks = chunks(key, &value(tokens, now));
    for stale in jar.chunk_names(key).filter(|name| chunks.iter().all(|(fresh, _)| fresh != name)) {
        set_cookie(response, stale, "", Some(0), issuer);
    }
    for (name, chunk) in &chunks {
        set_cookie(response, name, chunk, Some(MAX_AGE), issuer);
    }
}

/// Clears the cookies that came with the request under `key`.
pub(crate) fn forget(response: &mut Response, jar: &Jar, key: &str, issuer: &Issuer) {
    let mut names: Vec<&str> = jar.chunk_names(key).collect();
    names.dedup();
    for name in names {
        set_cookie(response, name, "", Some(0), issuer);
    }
}

/// Encodes any text for a cookie.
pub(crate) fn to_cookie(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Decodes the text of [`to_cookie`].
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

/// 400 days in seconds, the longest that browsers keep a cookie.
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
            let sessions = jar(&browser).sessions(KEY).unwrap();
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
