//! One attempt to connect, as far as it has come.

use std::time::Duration;

use shared::clock::Timestamp;

use crate::step::{Step, StepEvent};

/// How long the next step may take before an attempt counts as stopped.
pub const STEP_TIMEOUT: Duration = Duration::from_mins(2);

/// An attempt.
#[derive(Debug)]
pub struct ConnectionAttempt {
    attempt_id: Option<String>,
    grant: Option<String>,
    client: Option<String>,
    host: Option<String>,
    person: Option<String>,
    step: Step,
    reason: Option<String>,
    since: Timestamp,
    reported: bool,
}

/// What is to be thought of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It has led to a call.
    Connected,
    /// It may go on.
    Waiting,
    /// It has ended, or nothing has come of it in time.
    Stopped,
}

impl ConnectionAttempt {
    pub(crate) fn new(event: StepEvent) -> Self {
        let StepEvent { step, at, attempt_id, grant, client, host, person, reason } = event;
        Self {
            attempt_id,
            grant,
            client,
            host,
            person,
            step,
            reason,
            since: Timestamp::from_seconds(at),
            reported: false,
        }
    }

    /// Whether `event` is a step of this one: by its id, else by its grant. A request that names neither is like another that
    /// failed in the same way.
    pub(crate) fn includes(&self, event: &StepEvent) -> bool {
        match (&event.attempt_id, &event.grant) {
            (Some(_), _) => self.attempt_id == event.attempt_id,
            (None, Some(_)) => self.grant == event.grant,
            (None, None) => {
                self.attempt_id.is_none()
                    && self.step == event.step
                    && self.client == event.client
                    && self.reason == event.reason
            }
        }
    }

    pub(crate) fn advance(&mut self, event: StepEvent) {
        let StepEvent { step, at, attempt_id, grant, client, host, person, reason } = event;
        if step.stage() >= self.step.stage() {
            (self.step, self.reason, self.since, self.reported) = (step, reason, Timestamp::from_seconds(at), false);
        }
        for (known, new) in [
            (&mut self.attempt_id, attempt_id),
            (&mut self.grant, grant),
            (&mut self.client, client),
            (&mut self.host, host),
            (&mut self.person, person),
        ] {
            if new.is_some() {
                *known = new;
            }
        }
    }

    /// Its id; none where the request had no challenge that could be read.
    #[must_use]
    pub fn attempt_id(&self) -> Option<&str> {
        self.attempt_id.as_deref()
    }

    /// The client, as far as it is named.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The host at which the client wants to be answered.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Who decides.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        self.person.as_deref()
    }

    /// Why the last step was a refusal, if it was one, in the audit's word.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// When its last step was taken.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    pub(crate) const fn step(&self) -> Step {
        self.step
    }

    /// Whether it is decided at `now` and that was not reported, which it is now.
    pub(crate) fn report_if_decided(&mut self, now: Timestamp) -> bool {
        self.verdict(now) != Verdict::Waiting && !std::mem::replace(&mut self.reported, true)
    }

    /// What is to be thought of it at `now`.
    #[must_use]
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        match self.step {
            Step::GrantUsed => Verdict::Connected,
            Step::ErrorPageShown
            | Step::AuthorizationRefused
            | Step::GrantDenied
            | Step::TokenRefused
            | Step::CallRefused => Verdict::Stopped,
            Step::SignInAsked | Step::ConsentShown | Step::GrantApproved | Step::GrantActivated => {
                if now.since(self.since) < STEP_TIMEOUT { Verdict::Waiting } else { Verdict::Stopped }
            }
        }
    }
}
