//! The attempt log: which attempts to connect came about, which stopped, where, and why that may be.
//! Read off the audit, one line after another; pure but for what it remembers.
//! The saved queries of `template.yaml` ask CloudWatch the same.

pub mod attempt;
pub mod cause;
mod step;
pub mod table;

use std::collections::VecDeque;

use serde_json::Value;
use shared::clock::Timestamp;

use attempt::ConnectionAttempt;
use step::StepEvent;

/// The newest attempts.
#[derive(Default)]
pub struct AttemptLog(VecDeque<ConnectionAttempt>);

impl AttemptLog {
    /// How many attempts it remembers.
    pub const LIMIT: usize = 1000;

    /// Reads an event of the audit. What is no step of an attempt is passed over.
    pub fn read(&mut self, event: &Value) {
        let Some(event) = StepEvent::parse(event) else { return };
        if let Some(attempt) = self.0.iter_mut().find(|attempt| attempt.includes(&event)) {
            attempt.advance(event);
        } else {
            if self.0.len() == Self::LIMIT {
                self.0.pop_front();
            }
            self.0.push_back(ConnectionAttempt::new(event));
        }
    }

    /// Those that were decided since this was last asked: each once, and again if it goes on.
    pub fn newly_decided(&mut self, now: Timestamp) -> Vec<&ConnectionAttempt> {
        self.0.iter_mut().filter_map(|attempt| attempt.report_if_decided(now).then_some(&*attempt)).collect()
    }

    /// The attempts, in the order in which they began.
    pub fn attempts(&self) -> impl Iterator<Item = &ConnectionAttempt> {
        self.0.iter()
    }
}
