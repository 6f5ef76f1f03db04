//! The cookies in which `@supabase/ssr` keeps a session: its own formats, and those of its predecessors that
//! are still in use.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lambda_http::Request;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::supabase::Bearer;
use crate::http::cookie;

/// The cookies of one request, in its order. Has no `Debug`: they are credentials.
pub struct Jar(Vec<(String, String)>);

/// There are more cookies of one name than can be told apart: nobody's browser keeps so many.
#[derive(Debug, thiserror::Error)]
#[error("too many cookies of one name")]
pub struct TooManyCookiesError;

/// The most values that the cookies under one name are read as: more sessions than fit into the headers that API Gateway takes, and
/// each of eight first chunks with each of eight second ones.
const MAX_VALUES: usize = 64;
/// The most bytes of a value.
const MAX_LEN: usize = 64 * 1024;

/// A session as a cookie has it. Only the access token in it is signed.
pub struct Session {
    /// The access token.
    pub access_token: Bearer,
    text: String,
}

impl Jar {
    /// Those that came with `request`.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self(cookie::of(request.headers()).filter_map(decode).collect())
    }

    /// From the text of a `Cookie` header.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        Self(cookie::parse(header).filter_map(decode).collect())
    }

    /// The first value of the cookie `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The names under which a session may be stored: `configured`, and those that look like one. The name depends
    /// on the project's address in the web app's settings (its own, a custom domain, an internal one). A wrong name
    /// does no harm, as the signature decides. No name hides another: what every host of the domain can set under one
    /// must not stand in for the session that the product keeps under another.
    #[must_use]
    pub fn keys(&self, configured: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for (name, _) in &self.0 {
            let key = unchunked(name);
            if (key == configured || is_conventional(key)) && !found.iter().any(|known| known == key) {
                found.push(key.to_owned());
            }
        }
        found
    }

    /// The names of the cookies of the session `key`: the cookie itself and its chunks.
    pub fn chunk_names<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.names().filter(move |name| unchunked(name) == key)
    }

    /// All sessions that the cookies under `key` can be read as, each once. There can be several: browsers keep cookies of one name
    /// for the host and for each domain above it, and whoever has another host below such a domain can set one.
    ///
    /// # Errors
    /// When there are more cookies of one name than can be told apart.
    pub fn sessions(&self, key: &str) -> Result<Vec<Session>, TooManyCookiesError> {
        let mut sessions: Vec<Session> = Vec::new();
        for value in self.values(key)? {
            let Some(session) = Session::decode(&value) else { continue };
            if !sessions.iter().any(|known| known.access_token.expose() == session.access_token.expose()) {
                sessions.push(session);
            }
        }
        Ok(sessions)
    }

    /// The values of `key`: of each cookie of that name, and of its chunks up to the first that is missing. Nobody knows which chunks
    /// belong together where there are several of one name, so each is joined with each.
    fn values(&self, key: &str) -> Result<Vec<String>, TooManyCookiesError> {
        const MAX_CHUNKS: usize = 16;
        let mut values: Vec<String> = self.distinct(key).into_iter().map(str::to_owned).collect();
        let chunks = (0..MAX_CHUNKS).map(|place| self.distinct(&format!("{key}.{place}")));
        let chunks: Vec<Vec<&str>> = chunks.take_while(|chunks| !chunks.is_empty()).collect();
        let are_unique = chunks.iter().all(|chunks| chunks.len() == 1);
        let mut joined = vec![String::new()];
        for (place, chunks_here) in chunks.iter().enumerate() {
            if joined.len() * chunks_here.len() > MAX_VALUES {
                return Err(TooManyCookiesError);
            }
            joined =
                joined.iter().flat_map(|start| chunks_here.iter().map(move |end| format!("{start}{end}"))).collect();
            // One of several sessions can have fewer chunks than another.
            if place + 1 == chunks.len() || !are_unique {
                values.extend(joined.iter().cloned());
            }
        }
        if values.len() > MAX_VALUES {
            return Err(TooManyCookiesError);
        }
        values.retain(|value| value.len() <= MAX_LEN);
        Ok(values)
    }

    /// The values of the cookie `name` that differ and are not empty.
    fn distinct(&self, name: &str) -> Vec<&str> {
        let mut distinct: Vec<&str> = Vec::new();
        for (_, value) in self.0.iter().filter(|(known, value)| known == name && !value.is_empty()) {
            if !distinct.contains(&value.as_str()) {
                distinct.push(value);
            }
        }
        distinct
    }
}

impl Session {
    /// The refresh token. Only the login page uses it.
    #[must_use]
    pub fn refresh_token(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Refresh {
            refresh_token: String,
        }
        let refresh: Refresh = serde_json::from_str(&self.text).ok()?;
        Some(refresh.refresh_token).filter(|token| !token.is_empty())
    }

    fn decode(value: &str) -> Option<Self> {
        let text = match value.strip_prefix("base64") {
            Some(rest) => unwrap(rest)?,
            None => value.to_owned(),
        };
        let access_token = Bearer::new(access_token(&text)?);
        Some(Self { access_token, text })
    }
}

/// Whether `name` can be a cookie's name (RFC 6265 §4.1.1: a token), so that it cannot add attributes.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte))
}

/// A cookie as `@supabase/ssr` reads it: the value may be quoted and percent-encoded. Nothing if it has no name.
fn decode((name, value): (&str, &str)) -> Option<(String, String)> {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    let value = percent_decode_str(value).decode_utf8().map_or_else(|_| value.to_owned(), Into::into);
    (!name.is_empty()).then(|| (name.to_owned(), value))
}

/// The value after `base64`: `-…`, or `l-<length>-…` from version 0.6.0, whose length is wrong.
fn unwrap(rest: &str) -> Option<String> {
    let encoded = match rest.strip_prefix("l-") {
        Some(measured) => measured.split_once('-')?.1,
        None => rest.strip_prefix('-')?,
    };
    let encoded: String = encoded.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n' | '=')).collect();
    String::from_utf8(LENIENT.decode(encoded).ok()?).ok()
}

/// As JavaScript decodes: unused bits at the end are ignored.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The session as auth-js stores it, or the array of the retired auth-helpers.
fn access_token(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Stored {
        access_token: String,
        #[serde(rename = "refresh_token")]
        _refresh_token: IgnoredAny,
        #[serde(rename = "expires_at")]
        _expires_at: IgnoredAny,
    }
    if text.starts_with('[') {
        let members: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
        return Some(members.first()?.as_str()?.to_owned());
    }
    Some(serde_json::from_str::<Stored>(text).ok()?.access_token)
}

/// `name` without the `.N` of a chunk.
fn unchunked(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((key, place)) if is_chunk_number(place) => key,
        _ => name,
    }
}

fn is_chunk_number(text: &str) -> bool {
    text == "0" || (!text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `sb-…-auth-token`, which a sibling such as `sb-…-auth-token-code-verifier` is not.
fn is_conventional(key: &str) -> bool {
    key.strip_prefix("sb-").and_then(|rest| rest.strip_suffix("-auth-token")).is_some_and(|middle| {
        !middle.is_empty() && middle.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_is_read_from_the_configured_and_each_conventional_cookie() {
        for (header, expected) in [
            ("sb-ref-auth-token=x; sb-other-auth-token=y", vec!["sb-ref-auth-token", "sb-other-auth-token"]),
            ("sb-other-auth-token=x; sb-ref-auth-token.0=y", vec!["sb-other-auth-token", "sb-ref-auth-token"]),
            ("sb-other-auth-token.0=x; sb-other-auth-token.1=y", vec!["sb-other-auth-token"]),
            ("sb-other-auth-token-code-verifier=x; theme=dark", vec![]),
            ("sb-other-auth-token.01=x", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(Jar::parse(header).keys("sb-ref-auth-token"), expected, "{header}");
        }
    }

    fn tokens(header: &str) -> Option<Vec<String>> {
        let sessions = Jar::parse(header).sessions("key").ok()?;
        Some(sessions.iter().map(|session| session.access_token.expose().to_owned()).collect())
    }

    #[test]
    fn all_cookies_of_one_name_are_read() {
        let session = |token: &str| format!(r#"{{"access_token":"{token}","refresh_token":"r","expires_at":1}}"#);
        let (one, two, three) = (session("one"), session("two"), session("three"));
        let halves = |text: &str| text.split_at(20).0.to_owned();
        let (start, end) = (halves(&one), one.strip_prefix(&halves(&one)).unwrap());
        for (header, expected) in [
            (format!("key={one}; key={two}; key={three}; key={one}"), vec!["one", "two", "three"]),
            // The host's chunks and the domain's, in any order, and what somebody else put between them.
            (format!("key.0={start}; key.1={end}"), vec!["one"]),
            (format!("key.0=x; key.0={start}; key.0=y; key.1=x; key.1={end}; key.1=y"), vec!["one"]),
            (format!("key.0={one}; key.0={start}; key.1={end}"), vec!["one"]),
            (format!("key.0={two}; key.0={start}; key.1={end}"), vec!["two", "one"]),
            (format!("key={three}; key.0={start}; key.1={end}"), vec!["three", "one"]),
            (format!("key=; key.0={start}; key.2={end}"), vec![]),
        ] {
            assert_eq!(tokens(&header).unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn more_cookies_than_can_be_told_apart_are_an_error() {
        let many = |number: usize, name: &str| (0..number).map(|n| format!("{name}={n};")).collect::<Vec<_>>().concat();
        assert_eq!(tokens(&many(64, "key")), Some(vec![]));
        assert_eq!(tokens(&many(65, "key")), None);
        assert_eq!(tokens(&format!("{}{}", many(8, "key.0"), many(9, "key.1"))), None);
    }

    #[test]
    fn malformed_cookie_is_no_session() {
        for value in [
            "",
            "base64-",
            "base64",
            "base64l-",
            "base64l-1a2",
            "base64-!!",
            "%",
            "%7B",
            "{}",
            "[]",
            "[1]",
            "null",
            "\"x\"",
        ] {
            assert_eq!(tokens(&format!("key={value}")), Some(vec![]), "{value}");
        }
        for text in [r#"{"access_token":1,"refresh_token":"r","expires_at":1}"#, r#"{"access_token":"t"}"#] {
            assert_eq!(tokens(&format!("key={text}")), Some(vec![]), "{text}");
        }
    }
}
