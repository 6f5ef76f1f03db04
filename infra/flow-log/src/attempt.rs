//! One attempt to connect, as far as it has come.

use std::time::Duration;

use shared::clock::Timestamp;

use crate::step::{Step, Taken};

/// How long the next step may take before an attempt counts as stopped.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// An attempt.
#[derive(Debug)]
pub struct Attempt {
    flow: Option<String>,
    grant: Option<String>,
    client: Option<String>,
    host: Option<String>,
    person: Option<String>,
    step: Step,
    reason: Option<String>,
    since: Timestamp,
    told: bool,
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

impl Attempt {
    pub(crate) fn begun_with(taken: Taken) -> Self {
        let Taken { event: step, at, flow, grant, client, host, person, reason } = taken;
        Self { flow, grant, client, host, person, step, reason, since: Timestamp::from_seconds(at), told: false }
    }

    /// Whether `taken` is a step of this one: by its flow, else by its grant. A request that names neither is like another that
    /// failed in the same way.
    pub(crate) fn has(&self, taken: &Taken) -> bool {
        match (&taken.flow, &taken.grant) {
            (Some(_), _) => self.flow == taken.flow,
            (None, Some(_)) => self.grant == taken.grant,
            (None, None) => {
                self.flow.is_none()
                    && self.step == taken.event
                    && self.client == taken.client
                    && self.reason == taken.reason
            }
        }
    }

    pub(crate) fn goes_on(&mut self, taken: Taken) {
        let Taken { event: step, at, flow, grant, client, host, person, reason } = taken;
        if step.stage() >= self.step.stage() {
            (self.step, self.reason, self.since, self.told) = (step, reason, Timestamp::from_seconds(at), false);
        }
        for (known, told) in [
            (&mut self.flow, flow),
            (&mut self.grant, grant),
            (&mut self.client, client),
            (&mut self.host, host),
            (&mut self.person, person),
        ] {
            if told.is_some() {
                *known = told;
            }
        }
    }

    /// Its id; none where the request had no challenge that could be read.
    #[must_use]
    pub fn flow(&self) -> Option<&str> {
        self.flow.as_deref()
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

    /// Whether it is decided at `now` and nobody was told, who is now.
    pub(crate) fn is_news(&mut self, now: Timestamp) -> bool {
        self.verdict(now) != Verdict::Waiting && !std::mem::replace(&mut self.told, true)
    }

    /// What is to be thought of it at `now`.
    #[must_use]
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        match self.step {
            Step::GrantUsed => Verdict::Connected,
            Step::AuthorizationStranded
            | Step::AuthorizationRefused
            | Step::GrantDenied
            | Step::TokenRefused
            | Step::CallRefused => Verdict::Stopped,
            Step::SignInAsked | Step::ConsentShown | Step::GrantApproved | Step::GrantActivated => {
                if now.since(self.since) < PATIENCE { Verdict::Waiting } else { Verdict::Stopped }
            }
        }
    }
}
