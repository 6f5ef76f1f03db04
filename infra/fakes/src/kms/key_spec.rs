//! The kinds of keys that there are.

/// What kind of key (`KeySpec`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySpec {
    /// `RSA_2048`
    Rsa2048,
    /// `ECC_NIST_P256`
    EccNistP256,
}

impl KeySpec {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA_2048",
            Self::EccNistP256 => "ECC_NIST_P256",
        }
    }
}
