//! API keys: `sk_`, then base64url of id, secret and checksum.

use crate::oauth::client_name::is_deceptive;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};

const PREFIX: &str = "sk_";

/// The id of an API key: 12 random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiKeyId([u8; 12]);

impl ApiKeyId {
    /// As text, which is also its key in the table.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(&self.0)
    }

    /// From text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_text(text).map(Self)
    }

    /// The id of the one key that comes of `random`, which must be. It does not show what that was.
    #[must_use]
    pub fn derived_from(random: &[u8; 16]) -> Self {
        let mut id = [0; 12];
        id.iter_mut().zip(Digest::of(random).as_bytes()).for_each(|(to, from)| *to = *from);
        Self(id)
    }
}

/// The name of a key: 1 to 64 characters on one line, without spaces around them, and none invisible or
/// changing the direction of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyName(String);

impl ApiKeyName {
    /// From text. Spaces around the name are dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.trim();
        let fits = (1..=64).contains(&name.chars().count()) && !is_deceptive(name);
        fits.then(|| Self(name.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An API key as its holder has it.
pub struct ApiKey {
    /// Which key it is.
    pub id: ApiKeyId,
    /// What proves it.
    pub secret: Secret<32>,
}

impl ApiKey {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self { id: ApiKeyId(*Secret::<12>::random().expose()), secret: Secret::random() }
    }

    /// Whether `text` is meant to be an API key, well-formed or not.
    #[must_use]
    pub fn has_prefix(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// From the wire. A mistyped key fails its checksum, so it costs no read of the table.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 48] = from_text(text.strip_prefix(PREFIX)?)?;
        let (id, rest) = bytes.split_first_chunk::<12>()?;
        let (secret, checksum) = rest.split_first_chunk::<32>()?;
        (checksum == checksum_of(id, secret)).then(|| Self { id: ApiKeyId(*id), secret: Secret::from_bytes(*secret) })
    }

    /// As it is shown to its maker, once.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (id, secret) = (&self.id.0, self.secret.expose());
        let bytes = [id.as_slice(), secret, &checksum_of(id, secret)].concat();
        format!("{PREFIX}{}", to_text(&bytes))
    }
}

/// The checksum: the first four bytes of the digest of id and secret. It finds mistyped keys, and proves
/// nothing.
fn checksum_of(id: &[u8; 12], secret: &[u8; 32]) -> [u8; 4] {
    let digest = Digest::of(&[id.as_slice(), secret].concat());
    let [a, b, c, d, ..] = *digest.as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_key_names_are_validated() {
        let (longest, longer) = ("ä".repeat(64), "ä".repeat(65));
        for (text, name) in [
            ("nightly export", Some("nightly export")),
            ("  nightly ", Some("nightly")),
            (longest.as_str(), Some(longest.as_str())),
            (&longer, None),
            ("", None),
            (" \t ", None),
            ("two\nlines", None),
            ("in\u{202e}verted", None),
            ("in\u{200b}visible", None),
        ] {
            assert_eq!(ApiKeyName::parse(text).as_ref().map(ApiKeyName::as_str), name, "{text:?}");
        }
    }

    #[test]
    fn mistyped_api_key_fails_its_checksum() {
        let key = ApiKey::random();
        let text = key.to_text();
        assert!(ApiKey::parse(&text).unwrap().secret.matches(&key.secret));

        for place in 3..text.len() {
            let mut mistyped = text.clone().into_bytes();
            mistyped[place] = if mistyped[place] == b'A' { b'B' } else { b'A' };
            assert!(ApiKey::parse(std::str::from_utf8(&mistyped).unwrap()).is_none(), "{place}");
        }
        assert!(ApiKey::parse(&text[..text.len() - 1]).is_none());
        assert!(ApiKey::parse(&format!("{text}A")).is_none());
    }
}
