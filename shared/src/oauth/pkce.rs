//! Proof Key for Code Exchange (RFC 7636), S256 only.

use crate::oauth::secret::{Digest, from_text, to_text};

/// A code challenge by S256: `BASE64URL(SHA256(code_verifier))`.
#[derive(Clone, Copy, Debug)]
pub struct CodeChallenge(Digest);

impl CodeChallenge {
    /// From its 43 characters on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_text::<32>(text).and_then(|bytes| Digest::from_bytes(&bytes)).map(Self)
    }

    /// From the table.
    #[must_use]
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// For the table.
    #[must_use]
    pub const fn as_digest(&self) -> &Digest {
        &self.0
    }

    /// On the wire, for the form that repeats the request.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(self.0.as_bytes())
    }

    /// Whether it was made from `verifier`.
    #[must_use]
    pub fn meets(&self, verifier: &CodeVerifier) -> bool {
        self.0.matches(&Digest::of(verifier.0.as_bytes()))
    }
}

/// A code verifier: 43 to 128 of `ALPHA DIGIT - . _ ~` (RFC 7636 §4.1).
pub struct CodeVerifier(String);

impl CodeVerifier {
    /// From the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (43..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'));
        fits.then(|| Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn rfc_7636_appendix_b() {
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();

        assert!(challenge.meets(&CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap()));
        assert!(!challenge.meets(&CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK").unwrap()));
    }
}
