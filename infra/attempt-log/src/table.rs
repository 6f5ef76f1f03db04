//! Attempts as people read them: a line for each, and below one that stopped, why that may be.

use std::fmt::Write as _;

use shared::clock::Timestamp;

use crate::attempt::{ConnectionAttempt, Verdict};
use crate::cause::Cause;
use crate::step::Step;

/// The table of `attempts` at `now`.
#[must_use]
pub fn render<'a>(attempts: impl IntoIterator<Item = &'a ConnectionAttempt>, now: Timestamp) -> String {
    let mut text = line(["flow", "at (UTC)", "client", "answered at", "person", "what happened"]);
    for attempt in attempts {
        let since = attempt.since().to_rfc3339();
        let (_, time) = since.trim_end_matches('Z').split_once('T').unwrap_or_default();
        let verdict = attempt.verdict(now);
        text += &line([
            attempt.attempt_id().unwrap_or("-"),
            time,
            &short(attempt.client().map(|id| id.trim_start_matches("https://")), 24),
            &short(attempt.host(), 20),
            &short(attempt.person(), 8),
            &what_happened(attempt, verdict),
        ]);
        if verdict == Verdict::Stopped {
            for Cause(what, remedy) in attempt.causes() {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "    - {what}: {remedy}");
            }
        }
    }
    text
}

/// In one line.
fn what_happened(attempt: &ConnectionAttempt, verdict: Verdict) -> String {
    let (done, not_done) = match attempt.step() {
        Step::ErrorPageShown => ("the person was left with an error page", ""),
        Step::SignInAsked => ("the person was sent to sign in", ", did not come back"),
        Step::ConsentShown => ("the consent page was shown", ", nothing was decided"),
        Step::AuthorizationRefused => ("the client was refused", ""),
        Step::GrantDenied => ("the person said no", ""),
        Step::GrantApproved => ("code issued", ", token endpoint never called"),
        Step::TokenRefused => ("the token endpoint refused the code", ""),
        Step::GrantActivated => ("tokens issued", ", MCP server never called with them"),
        Step::CallRefused => ("the MCP server refused the token", ""),
        Step::GrantUsed => ("the client has made its first call", ""),
    };
    let reason = attempt.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
    match verdict {
        Verdict::Connected => format!("connected: {done}"),
        Verdict::Waiting => format!("waiting: {done}{reason}"),
        Verdict::Stopped if not_done.is_empty() => format!("stopped: {done}{reason}"),
        Verdict::Stopped => format!("stopped: {done}{reason}{not_done} within 2 minutes"),
    }
}

fn line([attempt_id, time, client, host, person, what]: [&str; 6]) -> String {
    format!("{attempt_id:<16}  {time:<8}  {client:<24}  {host:<20}  {person:<8}  {what}\n")
}

/// The first characters, with a mark where some are left out; all of it is in the log.
fn short(text: Option<&str>, width: usize) -> String {
    let text = text.unwrap_or("-");
    if text.chars().count() <= width { text.to_owned() } else { text.chars().take(width - 1).chain(['…']).collect() }
}
