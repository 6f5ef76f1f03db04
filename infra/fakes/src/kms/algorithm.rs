//! The signing algorithms that keys of our two specs have (KMS developer guide, "Asymmetric key specs").

use crate::kms::key_spec::KeySpec;
use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    EcdsaSha256,
}

impl Algorithm {
    /// By its name on the wire; names that belong to other kinds of keys only are `None`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1Sha256 => "RSASSA_PKCS1_V1_5_SHA_256",
            Self::RsaPkcs1Sha384 => "RSASSA_PKCS1_V1_5_SHA_384",
            Self::RsaPkcs1Sha512 => "RSASSA_PKCS1_V1_5_SHA_512",
            Self::RsaPssSha256 => "RSASSA_PSS_SHA_256",
            Self::RsaPssSha384 => "RSASSA_PSS_SHA_384",
            Self::RsaPssSha512 => "RSASSA_PSS_SHA_512",
            Self::EcdsaSha256 => "ECDSA_SHA_256",
        }
    }

    pub(super) fn of(spec: KeySpec) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |algorithm| algorithm.spec() == spec)
    }

    pub(super) const fn spec(self) -> KeySpec {
        match self {
            Self::EcdsaSha256 => KeySpec::EccNistP256,
            _ => KeySpec::Rsa2048,
        }
    }

    pub(super) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::RsaPkcs1Sha256 | Self::RsaPssSha256 | Self::EcdsaSha256 => &SHA256,
            Self::RsaPkcs1Sha384 | Self::RsaPssSha384 => &SHA384,
            Self::RsaPkcs1Sha512 | Self::RsaPssSha512 => &SHA512,
        }
    }

    pub(super) fn rsa_encoding(self) -> Option<&'static dyn RsaEncoding> {
        match self {
            Self::RsaPkcs1Sha256 => Some(&RSA_PKCS1_SHA256),
            Self::RsaPkcs1Sha384 => Some(&RSA_PKCS1_SHA384),
            Self::RsaPkcs1Sha512 => Some(&RSA_PKCS1_SHA512),
            Self::RsaPssSha256 => Some(&RSA_PSS_SHA256),
            Self::RsaPssSha384 => Some(&RSA_PSS_SHA384),
            Self::RsaPssSha512 => Some(&RSA_PSS_SHA512),
            Self::EcdsaSha256 => None,
        }
    }

    const ALL: [Self; 7] = [
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::EcdsaSha256,
    ];
}
