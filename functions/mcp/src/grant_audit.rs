//! The audit events of a grant: its first call, and calls that are refused.

use shared::clock::Timestamp;
use shared::oauth::connection_attempt::ConnectionAttempt;
use shared::oauth::grant::Grant;
use shared::telemetry::audit::{self, Event};

/// The first call of a grant: its client is connected.
pub(crate) fn record_grant_used(grant: &Grant, now: Timestamp) {
    let event = Event::GrantUsed { connection: grant.into() };
    audit::step(Some(ConnectionAttempt::from_challenge(&grant.binding.challenge)), now, &event);
}

/// A call that is refused although the token is genuine.
pub(crate) fn record_call_refused(grant: &Grant, reason: &'static str, now: Timestamp) {
    let event = Event::CallRefused { connection: grant.into(), reason };
    audit::step(Some(ConnectionAttempt::from_challenge(&grant.binding.challenge)), now, &event);
}
