//! What the keys at KMS are called here.

use fakes::kms::key_spec::KeySpec;

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// The template's `SigningKey` and `SecondSigningKey`.
    AccessTokens,
    /// The template's `ToolSigningKey` and `SecondToolSigningKey`.
    ToolTokens,
}

/// Id of the template's `RefreshTokenKey`.
pub(crate) const REFRESH_TOKEN_KEY: &str = "9b2d5b1e-3a77-4f0c-8f5e-2d1c6a7b8e90";

/// ARN of the template's `RefreshTokenKey`.
#[must_use]
pub fn refresh_token_key_arn() -> String {
    arn(REFRESH_TOKEN_KEY)
}

/// ARN of the key of that purpose and spec. KMS has both specs in every system: the one that does not sign is the template's second.
#[must_use]
pub fn key_arn(purpose: KeyPurpose, spec: KeySpec) -> String {
    arn(id(purpose, spec))
}

fn arn(id: &str) -> String {
    format!("arn:aws:kms:us-east-1:111122223333:key/{id}")
}

/// Its id.
pub(crate) const fn id(purpose: KeyPurpose, spec: KeySpec) -> &'static str {
    match (purpose, spec) {
        (KeyPurpose::AccessTokens, KeySpec::Rsa2048) => "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
        (KeyPurpose::AccessTokens, KeySpec::EccNistP256) => "0f8fad5b-d9cb-469f-a165-70867728950e",
        (KeyPurpose::ToolTokens, KeySpec::Rsa2048) => "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        (KeyPurpose::ToolTokens, KeySpec::EccNistP256) => "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    }
}

/// Its alias.
pub(crate) const fn alias(purpose: KeyPurpose, spec: KeySpec) -> &'static str {
    match (purpose, spec) {
        (KeyPurpose::AccessTokens, KeySpec::Rsa2048) => "alias/amble-connect-rsa",
        (KeyPurpose::AccessTokens, KeySpec::EccNistP256) => "alias/amble-connect-p256",
        (KeyPurpose::ToolTokens, KeySpec::Rsa2048) => "alias/amble-connect-tools-rsa",
        (KeyPurpose::ToolTokens, KeySpec::EccNistP256) => "alias/amble-connect-tools-p256",
    }
}
