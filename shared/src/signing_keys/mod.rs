//! The keys at KMS: those that sign, whose public halves verify, and one of which a secret is derived.

mod der;
pub mod derived_secret;
pub mod keyring;
pub mod signer;
pub mod verifier;
