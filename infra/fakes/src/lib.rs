//! Answers on the real wires in place of the services that a machine without accounts lacks, for the local system
//! and for the tests: what runs in production talks to these with the same clients, unchanged.
//!
//! | module | stands in for | speaks |
//! | --- | --- | --- |
//! | [`captcha`] | Cloudflare's Turnstile, or hCaptcha | the widget in a page, and the check of its tokens |
//! | [`kms`] | AWS KMS | awsJson1.1: `Sign` and `GetPublicKey` |
//! | [`lambda`] | AWS Lambda | restJson1: `Invoke` |
//! | [`secrets_manager`] | AWS Secrets Manager | awsJson1.1: `GetSecretValue` |
//! | [`supabase`] | a Supabase project | its gateway and GoTrue, `/auth/v1` |

pub mod captcha;
pub mod kms;
pub mod lambda;
pub mod secrets_manager;
mod signature;
pub mod supabase;
