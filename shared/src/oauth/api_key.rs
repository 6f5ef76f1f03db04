//! API keys: `sk_`, then base64url of id, secret and checksum. What one may do, and for how long.

use crate::clock::Timestamp;
use crate::oauth::client_name::is_deceptive;
use crate::oauth::instance_id::InstanceId;
use crate::oauth::scope::Scopes;
use crate::oauth::scope_meaning::ScopeMeaning;
use crate::oauth::secret::{Digest, Secret, from_text, to_text};
use crate::oauth::tenant::{PersonId, TenantId};

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

/// An API key as the table keeps it.
#[derive(Clone, Debug)]
pub struct ApiKeyRecord {
    /// Its id.
    pub id: ApiKeyId,
    /// Where it works.
    pub tenant: TenantId,
    /// What its maker called it.
    pub name: ApiKeyName,
    /// Digest of its secret.
    pub digest: Digest,
    /// What it may do, within the role of its maker.
    pub scopes: Scopes,
    /// What these meant when it was made.
    pub scope_meaning: ScopeMeaning,
    /// Who made it.
    pub maker: PersonId,
    /// The instance of their membership by then. None if it had none.
    pub membership: Option<InstanceId>,
    /// The key that made it, if one did. It ends with that one.
    pub parent: Option<ApiKeyId>,
    /// When.
    pub created: Timestamp,
    /// Until when it works, if not until it is revoked.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the hour; nothing if never.
    pub used: Option<Timestamp>,
}

/// What a key rests on: the membership of its maker as it is now. The key works no longer than that.
#[derive(Clone, Copy, Debug)]
pub struct KeyBasis<'a> {
    /// Who the member is.
    pub maker: &'a PersonId,
    /// Where.
    pub tenant: &'a TenantId,
    /// The instance of the membership.
    pub membership: Option<InstanceId>,
    /// What their role allows.
    pub permissions: Scopes,
    /// Whether the key that made it has ended. Never if no key made it.
    pub has_ended_parent: bool,
}

/// Why a presented key is not accepted. The reason goes to the log and not to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyError {
    /// There is no key of that id, or no longer.
    Unknown,
    /// The key of that id has another secret.
    SecretMismatch,
    /// Its time has passed.
    Expired,
    /// It was revoked.
    Revoked,
    /// The membership under which it was made has ended, even if its maker is a member again.
    OtherMembership,
    /// The key that made it has ended.
    ParentEnded,
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

impl ApiKeyRecord {
    /// What the key may do: what it was made for, as far as its maker's role allows now. Every way in asks this.
    ///
    /// # Errors
    /// When `presented` is not this key; or the membership of `basis` is not its maker's, or not the one under which
    /// it was made; or the key that made it has ended.
    pub fn authorize(&self, presented: &ApiKey, basis: &KeyBasis<'_>) -> Result<Scopes, ApiKeyError> {
        let is_presented = presented.id == self.id && self.digest.matches(&presented.secret.digest());
        if !is_presented {
            return Err(ApiKeyError::SecretMismatch);
        }
        let is_same_membership =
            *basis.maker == self.maker && *basis.tenant == self.tenant && basis.membership == self.membership;
        if !is_same_membership {
            return Err(ApiKeyError::OtherMembership);
        }
        if basis.has_ended_parent {
            return Err(ApiKeyError::ParentEnded);
        }
        Ok(self.scopes.intersection(basis.permissions).permissions())
    }

    /// Whether it has not expired at `now`.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl ApiKeyError {
    /// As the audit writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SecretMismatch => "another_secret",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::OtherMembership => "another_membership",
            Self::ParentEnded => "parent_ended",
        }
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
