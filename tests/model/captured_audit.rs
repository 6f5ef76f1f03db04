//! The audit's events about grants, as the functions of one system tell them.

use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What the model speaks of; the rest tells how an attempt to connect goes on, or what was done through it.
const EVENTS: [&str; 8] = [
    "code_judged",
    "connections_ended",
    "connections_ending",
    "grant_activated",
    "grant_ended",
    "grant_ending",
    "late_retry_repeated",
    "refresh_judged",
];

/// An event.
#[derive(Debug)]
pub(crate) struct CapturedEvent {
    pub(crate) name: String,
    /// Its verdict or reason.
    pub(crate) detail: String,
    /// The id of the grant that it is about, if it is about one.
    pub(crate) grant: String,
}

/// Hears the audit and nothing else.
#[derive(Clone, Default)]
pub(crate) struct CapturedAudit(Arc<Mutex<Vec<CapturedEvent>>>);

impl CapturedAudit {
    /// What was told since this was last asked.
    pub(crate) fn take(&self) -> Vec<CapturedEvent> {
        std::mem::take(&mut *self.0.lock().expect("unpoisoned"))
    }
}

impl Subscriber for CapturedAudit {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "audit"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let told: Value = serde_json::from_str(&line.0).expect("an event of the audit");
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        if !EVENTS.contains(&text("event").as_str()) {
            return;
        }
        let detail = [text("verdict"), text("reason")].concat();
        let event = CapturedEvent { name: text("event"), detail, grant: text("grant") };
        self.0.lock().expect("unpoisoned").push(event);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "audit" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
