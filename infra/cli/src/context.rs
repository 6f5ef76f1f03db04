//! What a command works with: one deployment, its time, and what they did to it, which the audit is told when they are done.

use std::cell::RefCell;
use std::io::{self, BufRead, IsTerminal, Write};

use serde_json::{Map, Value};
use shared::clock::Timestamp;
use shared::environment::Environment;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::directory::Tenant;
use shared::telemetry::audit::{Event, Recorder};
use shared::telemetry::terminal::{in_line, printable};
use supabase_users::person_selector::PersonSelector;

use crate::audit_log::{AuditLog, AuditWriteError};
use crate::deployment::{Deployment, DeploymentError, OpenDeployment};
use crate::error::CommandError;
use crate::operator_event::OperatorEvent;
use crate::project_users::{ProjectUsers, ProjectUsersError};
use crate::second_search::SecondSearch;

/// One deployment, opened for one command.
pub(crate) struct Context {
    pub(crate) environment: Environment,
    pub(crate) now: Timestamp,
    pub(crate) audit_log: AuditLog,
    /// Where people are known by their addresses.
    users: Result<ProjectUsers, ProjectUsersError>,
    /// Whether what is said is for a script.
    json: bool,
    /// Whether somebody watches.
    on_terminal: bool,
    pending: RefCell<Vec<Map<String, Value>>>,
}

/// What functions do as well.
impl Recorder for &Context {
    fn record_event(&self, event: &Event<'_>) {
        self.record_line(serde_json::to_value(event));
    }
}

impl Context {
    pub(crate) async fn open(deployment: &Deployment, json: bool) -> Result<Self, DeploymentError> {
        let OpenDeployment { environment, aws, audit_group, users } = deployment.open().await?;
        let now = environment.clock().now();
        let audit_log = AuditLog::of(&environment, &aws, audit_group);
        Ok(Self {
            environment,
            now,
            audit_log,
            users,
            json,
            on_terminal: io::stderr().is_terminal(),
            pending: RefCell::default(),
        })
    }

    /// The tenant of that id.
    pub(crate) async fn find_tenant(&self, id: &TenantId) -> Result<Tenant, CommandError> {
        self.environment.directory()?.find(id).await?.ok_or_else(|| CommandError::NoTenant(id.clone()))
    }

    /// The id of a person, who is looked up if they are named by address.
    pub(crate) async fn find_person(&self, person: &PersonSelector) -> Result<PersonId, CommandError> {
        match (person, &self.users) {
            (PersonSelector::Id(id), _) => Ok(id.clone()),
            (PersonSelector::Email(email), Ok(users)) => Ok(users.find_by_email(email).await?),
            (PersonSelector::Email(_), Err(error)) => Err(error.clone().into()),
        }
    }

    /// Records something that was done, for the audit.
    pub(crate) fn record(&self, event: &OperatorEvent<'_>) {
        self.record_line(serde_json::to_value(event));
    }

    fn record_line(&self, line: serde_json::Result<Value>) {
        match line {
            Ok(Value::Object(line)) => self.pending.borrow_mut().push(line),
            // Our own types: it would take a mistake in them.
            mistaken => {
                let _ = writeln!(io::stderr(), "this was done, but the audit could not be told: {mistaken:?}");
            }
        }
    }

    /// Records that something is about to be done, and tells the audit before it is.
    pub(crate) async fn announce(&self, event: &OperatorEvent<'_>) {
        self.record(event);
        self.flush().await;
    }

    /// Tells the audit now what was recorded: that something begins which may be interrupted. What it does not take is told again at
    /// the end: whoever ends a stolen connection must not be kept from it by a log.
    pub(crate) async fn flush(&self) {
        let pending = self.pending.take();
        if !pending.is_empty() && self.audit_log.write(pending.clone(), self.now).await.is_err() {
            self.pending.borrow_mut().splice(0..0, pending);
        }
    }

    /// Tells the audit what was recorded.
    pub(crate) async fn close(self) -> Result<(), AuditWriteError> {
        let pending = self.pending.take();
        if pending.is_empty() { Ok(()) } else { self.audit_log.write(pending, self.now).await }
    }

    /// Asks whether to go on with something that cannot be undone; `what` is a sentence without its subject.
    pub(crate) fn confirm(&self, what: &str, yes: bool) -> Result<(), CommandError> {
        if yes {
            return Ok(());
        }
        if self.json || !io::stdin().is_terminal() || !self.on_terminal {
            return Err(CommandError::Unconfirmed(format!("this {what}")));
        }
        let mut answer = String::new();
        let prompted = write!(io::stderr(), "This {}. Go on? [y/N] ", printable(what))
            .and_then(|()| io::stdin().lock().read_line(&mut answer));
        let agreed = prompted.is_ok() && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
        if agreed { Ok(()) } else { Err(CommandError::NotConfirmed) }
    }

    /// Shows a person something before the command is done; a script waits for the end.
    pub(crate) fn show(&self, text: &str) {
        if !self.json {
            // Nobody reads on: there is nobody to tell.
            let _ = io::stdout().write_all(printable(text).as_bytes());
        }
    }

    /// Waits until an index must list what was written before the command began. Everything is over already. False if there is to be
    /// no second search.
    pub(crate) async fn wait_for_index(&self, second_search: &SecondSearch) -> bool {
        let SecondSearch { search_again_after: delay } = second_search;
        if !delay.is_zero() {
            self.flush().await;
            self.progress(&format!("all have ended; the index is searched once more in {} s", delay.as_secs()));
            tokio::time::sleep(*delay).await;
        }
        !delay.is_zero()
    }

    /// How far it is, on a terminal: one line that is written over.
    pub(crate) fn progress(&self, text: &str) {
        if self.on_terminal {
            let _ = write!(io::stderr(), "\r\u{1b}[K{}", in_line(text));
        }
    }

    /// Takes the line of [`Self::progress`] away.
    pub(crate) fn clear_progress(&self) {
        self.progress("");
    }
}
