//! The signing keys: KMS signs, their public halves verify.

mod der;
pub mod public;
pub mod signer;
pub mod verifier;
