//! The fake Supabase on its wire: what GoTrue and its gateway answer.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic, in its helpers too")]

mod admin;
mod factors;
mod gateway;
mod keys;
mod logout;
mod otp;
mod password;
mod placeholders;
mod recordings;
mod refresh;
mod replay;
mod restart;
mod social;
mod test_project;
mod user;
