//! The signing keys: KMS signs, their public halves verify.

mod der;
pub mod keyring;
pub mod signer;
pub mod verifier;
