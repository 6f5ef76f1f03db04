//! The scopes that a client requests (RFC 6749 §3.3: `scope = scope-token *( SP scope-token )`), word by word.

use crate::oauth::scope::{Scope, Scopes};

/// The scopes in a request that are offered here, without what they imply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedScopes(Scopes);

/// A character is not allowed in a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedScopeError;

impl RequestedScopes {
    /// What a request means that names nothing that is offered here, unless the deployment says otherwise.
    pub const DEFAULT: Self = Self(Scopes::DEFAULT);

    /// What a client requests. Scopes that are not offered here are ignored, as clients add some for other servers (OAuth 2.1
    /// §1.4.1 lets us issue less and say so). Nothing if no permission is left.
    ///
    /// # Errors
    /// When a character is not allowed.
    pub fn parse(text: &str) -> Result<Option<Self>, MalformedScopeError> {
        if !text.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            return Err(MalformedScopeError);
        }
        let known = Self::from_stored(text);
        Ok((!known.0.permissions().is_empty()).then_some(known))
    }

    /// From the table.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(Scopes::parse_only(text).intersection(Scopes::SUPPORTED))
    }

    /// As it is stored: the names, with a space between them.
    #[must_use]
    pub fn to_stored(self) -> String {
        self.0.to_string()
    }

    /// The scopes, with what they imply.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        self.0.iter().fold(Scopes::NONE, Scopes::with)
    }

    /// What the answer to this request names of the scopes that are `granted`. `offline_access`, and what another granted scope
    /// implies, are named only to who requested them: some clients refuse an answer with more than they requested. Whatever else
    /// is granted is named (RFC 6749 §5.1), and `offline_access` if it is all that is granted.
    #[must_use]
    pub fn named(self, granted: Scopes) -> Scopes {
        let implied = |scope| Scopes::from(scope).difference(Scopes::NONE.with_only(scope));
        let unnamed = granted.iter().map(implied).fold(Scopes::NONE.with_only(Scope::OfflineAccess), Scopes::union);
        let named = granted.difference(unnamed.difference(self.0));
        // A scope has one name at least.
        if named.is_empty() { granted } else { named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_scopes_are_parsed() {
        for (requested, words, scopes) in [
            ("skills:read", Some("skills:read"), "skills:read"),
            ("entities:write", Some("entities:write"), "entities:read entities:write"),
            ("openid documents:read  profile", Some("documents:read"), "documents:read"),
            ("offline_access skills:read", Some("skills:read offline_access"), "skills:read offline_access"),
            ("connections:manage skills:read", Some("skills:read"), "skills:read"),
            ("", None, ""),
            (" ", None, ""),
            ("offline_access", None, ""),
            ("openid offline_access", None, ""),
            ("openid email profile", None, ""),
            ("claudeai", None, ""),
            ("connections:manage", None, ""),
        ] {
            let parsed = RequestedScopes::parse(requested).unwrap();
            assert_eq!(parsed.map(RequestedScopes::to_stored).as_deref(), words, "{requested:?}");
            let closed = parsed.map_or(Scopes::NONE, RequestedScopes::scopes);
            assert_eq!(closed.to_string(), scopes, "{requested:?}");
            assert_eq!(parsed, words.map(RequestedScopes::from_stored), "{requested:?}");
        }
        for malformed in ["skills:read\n", "\"skills:read\"", "skills:read\\", "sk\u{ef}lls:read"] {
            assert_eq!(RequestedScopes::parse(malformed), Err(MalformedScopeError), "{malformed:?}");
        }
    }

    /// RFC 6749 §5.1.
    #[test]
    fn only_requested_scopes_are_named_but_for_what_is_granted_beyond() {
        for (requested, granted, named) in [
            ("skills:read", "skills:read offline_access", "skills:read"),
            ("skills:read offline_access", "skills:read offline_access", "skills:read offline_access"),
            ("skills:read offline_access", "skills:read", "skills:read"),
            ("entities:write", "entities:write offline_access", "entities:write"),
            ("entities:read entities:write", "entities:write", "entities:read entities:write"),
            ("entities:write", "entities:read offline_access", "entities:read"),
            ("documents:write entities:write", "documents:write entities:read", "entities:read documents:write"),
            ("skills:read", "skills:read views:read offline_access", "skills:read views:read"),
            ("skills:read", "skills:read entities:write", "skills:read entities:write"),
            ("skills:read", "offline_access", "offline_access"),
        ] {
            let (requested, granted) = (RequestedScopes::from_stored(requested), Scopes::parse(granted));
            assert_eq!(requested.named(granted).to_string(), named, "{requested:?} {granted}");
        }
    }
}
