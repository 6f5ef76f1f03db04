//! Where an operator works: one deployment, its time, and what they did to it, which the audit is told when they are done.

use std::cell::RefCell;
use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::{Map, Value};
use shared::audit::Event;
use shared::clock::Timestamp;
use shared::environment::Environment;

use crate::deed::Deed;
use crate::deployment::{Deployment, NotFound, Open};
use crate::failed::Failed;
use crate::trail::{Trail, Unwritten};

/// One deployment, opened for one command.
pub(crate) struct Desk {
    pub(crate) environment: Environment,
    pub(crate) now: Timestamp,
    pub(crate) trail: Trail,
    /// Whether what is said is for a script.
    json: bool,
    /// Whether somebody watches.
    on_terminal: bool,
    noted: RefCell<Vec<Map<String, Value>>>,
}

impl Desk {
    pub(crate) async fn open(deployment: &Deployment, json: bool) -> Result<Self, NotFound> {
        let Open { environment, aws, audit_group } = deployment.open().await?;
        let now = environment.clock().now();
        let trail = Trail::of(&environment, &aws, audit_group);
        Ok(Self { environment, now, trail, json, on_terminal: io::stderr().is_terminal(), noted: RefCell::default() })
    }

    /// Notes something that was done, for the audit.
    pub(crate) fn note(&self, deed: &Deed<'_>) {
        self.note_line(serde_json::to_value(deed));
    }

    /// Notes something that functions do as well.
    pub(crate) fn note_event(&self, event: &Event<'_>) {
        self.note_line(serde_json::to_value(event));
    }

    fn note_line(&self, line: serde_json::Result<Value>) {
        match line {
            Ok(Value::Object(line)) => self.noted.borrow_mut().push(line),
            // Our own types: it would take a mistake in them.
            mistaken => {
                let _ = writeln!(io::stderr(), "this was done, but the audit could not be told: {mistaken:?}");
            }
        }
    }

    /// Tells the audit now what was noted: that something begins which may be interrupted. What it does not take is told again at
    /// the end: whoever ends a stolen connection must not be kept from it by a log.
    pub(crate) async fn tell(&self) {
        let noted = self.noted.take();
        if !noted.is_empty() && self.trail.write(noted.clone(), self.now).await.is_err() {
            self.noted.borrow_mut().splice(0..0, noted);
        }
    }

    /// Tells the audit what was noted.
    pub(crate) async fn close(self) -> Result<(), Unwritten> {
        let noted = self.noted.take();
        if noted.is_empty() { Ok(()) } else { self.trail.write(noted, self.now).await }
    }

    /// Asks whether to go on with something that cannot be undone; `what` is a sentence without its subject.
    pub(crate) fn confirm(&self, what: &str, yes: bool) -> Result<(), Failed> {
        if yes {
            return Ok(());
        }
        if self.json || !io::stdin().is_terminal() || !self.on_terminal {
            return Err(Failed::Unconfirmed(format!("this {what}")));
        }
        let mut answer = String::new();
        let asked =
            write!(io::stderr(), "This {what}. Go on? [y/N] ").and_then(|()| io::stdin().lock().read_line(&mut answer));
        let agreed = asked.is_ok() && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
        if agreed { Ok(()) } else { Err(Failed::Declined) }
    }

    /// Shows a person something before the command is done; a script waits for the end.
    pub(crate) fn show(&self, text: &str) {
        if !self.json {
            // Nobody reads on: there is nobody to tell.
            let _ = io::stdout().write_all(text.as_bytes());
        }
    }

    /// How far it is, on a terminal: one line that is written over.
    pub(crate) fn progress(&self, text: &str) {
        if self.on_terminal {
            let _ = write!(io::stderr(), "\r\u{1b}[K{text}");
        }
    }

    /// Takes the line of [`Self::progress`] away.
    pub(crate) fn arrived(&self) {
        self.progress("");
    }
}
