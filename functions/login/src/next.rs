//! Where a person goes once they are signed in.

use shared::identity::MAX_RETURN_TO_LEN;
use shared::oauth::issuer::Issuer;
use url::Url;

/// A path on our own origin, with its query. Anything else would make the sign-in page an open redirector (RFC 9700 §4.11.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next(String);

impl Next {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>".contains(&byte));
        // Browsers read a second slash as the beginning of a host, and a backslash as a slash.
        let path = text.starts_with('/') && !text.starts_with("//");
        (visible && path && text.len() <= MAX_RETURN_TO_LEN).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The absolute URL, which no browser can misread.
    pub(crate) fn on(&self, issuer: &Issuer) -> String {
        issuer.at(&self.0)
    }

    /// Whether it is an authorization request of a client.
    pub(crate) fn is_a_connection(&self) -> bool {
        self.0.starts_with("/oauth/authorize?")
    }

    /// The origin of the client to which authorize may redirect next, as a source of `form-action`. It is not checked
    /// against the client: the pages contain only our own forms, so the source allows no other form.
    pub(crate) fn client(&self) -> Option<String> {
        if !self.is_a_connection() {
            return None;
        }
        let request = Url::parse("https://a.invalid").ok()?.join(&self.0).ok()?;
        let (_, address) = request.query_pairs().find(|(name, _)| name == "redirect_uri")?;
        let address = Url::parse(&address).ok()?;
        let origin = address.origin();
        Some(if origin.is_tuple() { origin.ascii_serialization() } else { format!("{}:", address.scheme()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_is_a_path_on_this_origin() {
        let long = format!("/{}", "a".repeat(7 * 1024));
        for (text, good) in [
            ("/", true),
            ("/oauth/authorize?client_id=a&redirect_uri=https%3A%2F%2Fclaude.ai%2Fcallback&state=a.b~c", true),
            ("/admin/connections#top", true),
            ("", false),
            ("oauth/authorize", false),
            ("//attacker.example/", false),
            ("///attacker.example/", false),
            ("/\\attacker.example/", false),
            ("\\/attacker.example/", false),
            ("/\t/attacker.example/", false),
            ("/a\\..\\b", false),
            ("https://attacker.example/", false),
            ("https:/attacker.example", false),
            ("javascript:alert(1)", false),
            ("/a b", false),
            ("/a\r\nSet-Cookie: x=y", false),
            ("/ü", false),
            ("/\"onload=", false),
            (long.as_str(), false),
        ] {
            assert_eq!(Next::parse(text).is_some(), good, "{text:?}");
        }
    }

    /// Whatever passes stays on our origin, as browsers read it.
    #[test]
    fn next_stays_on_this_origin() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        for text in [
            "/",
            "/.//attacker.example",
            "/..//attacker.example",
            "/@attacker.example",
            "/%2F/attacker.example",
            "/?//",
        ] {
            let next = Next::parse(text).unwrap();
            let read = Url::parse(&next.on(&issuer)).unwrap();
            assert_eq!(read.origin().ascii_serialization(), issuer.as_str(), "{text}");
            let relative = Url::parse("https://connect.example.com/auth/login").unwrap().join(text).unwrap();
            assert_eq!(relative.origin().ascii_serialization(), issuer.as_str(), "{text}");
        }
    }

    #[test]
    fn form_action_includes_the_client() {
        for (next, client) in [
            (
                "/oauth/authorize?redirect_uri=https%3A%2F%2Fclaude.ai%2Fapi%2Fmcp%2Fauth_callback",
                Some("https://claude.ai"),
            ),
            ("/oauth/authorize?redirect_uri=http%3A%2F%2Flocalhost%3A33418%2Fcb", Some("http://localhost:33418")),
            ("/oauth/authorize?redirect_uri=cursor%3A%2F%2Fanysphere%2Fcb", Some("cursor:")),
            ("/oauth/authorize?redirect_uri=nonsense", None),
            ("/oauth/authorize?client_id=a", None),
            ("/elsewhere?redirect_uri=https%3A%2F%2Fclaude.ai", None),
        ] {
            assert_eq!(Next::parse(next).unwrap().client().as_deref(), client, "{next}");
        }
    }
}
