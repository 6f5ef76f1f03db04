//! What happened, for those who operate and those who investigate.
//!
//! Each event is a line of its own. `schema.json` beside `functions/audit` describes its members, and [`VERSION`] goes up when one of
//! them changes its meaning or goes. The request that it belongs to, and where that came from, is on every line: `function`, `request`, `invocation`
//! and `ip`. The browser is not: the API's access log, which is kept for less long, has it under the same `request`.

use std::fmt;

use serde::Serialize;
use tracing::field::{Field, Visit};

use crate::clock::Timestamp;
use crate::oauth::connection_attempt::ConnectionAttempt;
use crate::request_context::RequestContext;

/// Of the members of lines.
pub const VERSION: u32 = 1;

/// The target of audit lines among all others.
const TARGET: &str = "audit";
/// The field that carries one until it is written.
const FIELD: &str = "audit";
/// The field that carries a line that is written again as it is.
const LINE: &str = "line";

/// One event of consequence. Names grants, clients, tenants and people; never a secret.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A client registered itself (RFC 7591).
    ClientRegistered {
        /// Its id.
        client: &'a str,
    },
    /// A client sent an authorization request, and the person was sent to sign in.
    SignInAsked {
        /// Which client.
        client: &'a str,
        /// At which host it wants to be answered.
        host: &'a str,
    },
    /// The consent page was shown.
    ConsentShown {
        /// For which client.
        client: &'a str,
        /// At which host it wants to be answered.
        host: &'a str,
        /// To whom.
        person: &'a str,
        /// Why again, if what came back from it did not count.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    /// A client was refused, by redirect.
    AuthorizationRefused {
        /// Which.
        client: &'a str,
        /// At which host it wanted to be answered.
        host: &'a str,
        /// Whom it had sent.
        person: &'a str,
        /// Why.
        reason: &'static str,
    },
    /// A person was left with a page: there is no client, or no address of it, that may be answered.
    AuthorizationStranded {
        /// The client that the request names, known or not.
        #[serde(skip_serializing_if = "Option::is_none")]
        client: Option<&'a str>,
        /// Why.
        reason: &'static str,
    },
    /// The metadata document of a client was seen for the first time.
    ClientDocumentKept {
        /// Its address, which is the client's id.
        client: &'a str,
        /// Of what it says.
        digest: &'a str,
    },
    /// It says something else than before, which counts from now on.
    ClientDocumentChanged {
        /// Its address, which is the client's id.
        client: &'a str,
        /// Of what it said.
        old: &'a str,
        /// Of what it says.
        new: &'a str,
    },
    /// It could not be fetched or used.
    ClientDocumentFailed {
        /// Its address, which is the client's id.
        client: &'a str,
        /// Why.
        reason: &'a str,
        /// What counts in its stead: what was stored, the pinned copy, or nothing.
        instead: &'static str,
    },
    /// It is not what our pinned copy says: the copy has to be renewed, or the host is not itself.
    ClientDocumentUnlikePinned {
        /// Its address, which is the client's id.
        client: &'a str,
        /// Of what the copy says.
        pinned: &'a str,
        /// Of what the document says.
        live: &'a str,
    },
    /// A person approved a client in a tenant.
    GrantApproved {
        /// The new grant.
        grant: &'a str,
        /// For whom.
        client: &'a str,
        /// Where.
        tenant: &'a str,
        /// By whom.
        person: &'a str,
        /// What was approved.
        scope: &'a str,
    },
    /// A person said no.
    GrantDenied {
        /// To whom.
        client: &'a str,
        /// Who did.
        person: &'a str,
    },
    /// An authorization code was judged. Written before anything comes of it, so that no crash can hide what did.
    CodeJudged {
        /// The grant that it names.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant, if what was shown proves anything: the id alone is no secret.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        /// Its person, likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// Proven, or the first condition that it does not meet.
        verdict: &'static str,
    },
    /// An authorization code became tokens.
    GrantActivated {
        /// The grant.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its person.
        person: &'a str,
    },
    /// The exchange of an authorization code was refused.
    TokenRefused {
        /// The grant that the code names.
        #[serde(skip_serializing_if = "Option::is_none")]
        grant: Option<&'a str>,
        /// The client that the request names, proven or not.
        client: &'a str,
        /// Its tenant, if the code is the grant's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        /// Its person, likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// Why.
        reason: &'static str,
    },
    /// An access token of a grant was used for the first time: the connection has come about.
    GrantUsed {
        /// The grant.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its person.
        person: &'a str,
    },
    /// A genuine access token was shown where, or when, it does not count.
    CallRefused {
        /// The grant that it names.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its person.
        person: &'a str,
        /// Why.
        reason: &'static str,
    },
    /// A refresh token was judged.
    RefreshJudged {
        /// The grant that it names.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant, if what was shown proves anything: the id alone is no secret.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        /// Its person, likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// Current, concurrent, lost response, replayed, stranger or expired.
        verdict: &'static str,
    },
    /// A grant is about to end. Written before the write, so that no crash can hide it; [`Event::GrantEnded`] follows unless the write
    /// fails, or another was faster.
    GrantEnding {
        /// The grant.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its person.
        person: &'a str,
        /// Why.
        reason: &'static str,
        /// Who did it, if not the client or what we found: a person, a key as `key <id>`, or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// A grant ended.
    GrantEnded {
        /// The grant.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its person.
        person: &'a str,
        /// Why.
        reason: &'static str,
        /// Who did it, if not the client or what we found: a person, a key as `key <id>`, or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// The product reported a change of a membership.
    MembershipFollowed {
        /// Where.
        tenant: &'a str,
        /// Whose.
        person: &'a str,
        /// The role that they have since; none if they left.
        #[serde(skip_serializing_if = "Option::is_none")]
        role: Option<&'a str>,
        /// The number of the change.
        change: u64,
        /// Applied, repeated, superseded by a later one, or stale: a higher number has counted for hours.
        outcome: &'static str,
    },
    /// What was issued under a grant can do no more than this, as the person's role has changed.
    GrantLimited {
        /// The grant.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its person.
        person: &'a str,
        /// What the role allows.
        scope: &'a str,
    },
    /// A call needed more than its access token carries: the next consent page will offer it.
    ScopeWanted {
        /// The grant that fell short.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its person.
        person: &'a str,
        /// What was needed and not there.
        scope: &'a str,
    },
    /// An API key was made.
    KeyMade {
        /// Its id.
        key: &'a str,
        /// Where it works.
        tenant: &'a str,
        /// Who made it.
        person: &'a str,
        /// What it may do.
        scope: &'a str,
        /// The key that it was made with, as `key <id>`, if a script did it in its maker's name; or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// An API key was revoked.
    KeyRevoked {
        /// Its id.
        key: &'a str,
        /// Where it worked.
        tenant: &'a str,
        /// Who revoked it; nobody when the operator did.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// The key that it was revoked with, as `key <id>`, if a script did it in its maker's name; or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// An API key was shown and refused. One that is mistyped names no key, so there is nothing to say of it.
    KeyRefused {
        /// The id that it names, which may be nobody's.
        key: &'a str,
        /// Why.
        reason: &'static str,
        /// Where it works, if it was let in and could not do what it called for.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        /// Whose it is, likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// What was needed and not there, likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<&'a str>,
    },
    /// A tenant's tool was called.
    ToolCalled {
        /// In which tenant.
        tenant: &'a str,
        /// By whom.
        person: &'a str,
        /// Through which grant or API key.
        credential: &'a str,
        /// Which tool.
        tool: &'a str,
        /// The record, document, skill or view that it was to work on, by its id, if it names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        object: Option<&'a str>,
        /// How it ended.
        outcome: &'static str,
    },
    /// A resource of a tenant was read.
    ResourceRead {
        /// In which tenant.
        tenant: &'a str,
        /// By whom.
        person: &'a str,
        /// Through which grant or API key.
        credential: &'a str,
        /// Its URI.
        resource: &'a str,
        /// How it ended.
        outcome: &'static str,
    },
    /// A prompt of a tenant was taken.
    PromptTaken {
        /// In which tenant.
        tenant: &'a str,
        /// By whom.
        person: &'a str,
        /// Through which grant or API key.
        credential: &'a str,
        /// Its name.
        prompt: &'a str,
        /// How it ended.
        outcome: &'static str,
    },
}

/// Writes `event` as one line of the audit log.
pub fn record(event: &Event<'_>) {
    write(event, None);
}

/// Writes `event` as a step of an attempt to connect, taken at `now`; without a flow where the request names none.
pub fn step(flow: Option<ConnectionAttempt>, now: Timestamp, event: &Event<'_>) {
    write(event, Some(Step { flow: flow.map(ConnectionAttempt::attempt_id), at: now.seconds() }));
}

/// Writes a line of the audit again: `line` is a JSON object on one line, and stays as it is.
pub fn repeat(line: &str) {
    tracing::info!(target: TARGET, line, "audit");
}

/// The JSON object of an audit event in the log; nothing if `event` is not an audit event.
#[must_use]
pub fn json(event: &tracing::Event<'_>) -> Option<String> {
    field(event, FIELD)
}

/// The audit line that `event` repeats; nothing if it repeats none.
pub(crate) fn repeated_line(event: &tracing::Event<'_>) -> Option<String> {
    field(event, LINE)
}

fn field(event: &tracing::Event<'_>, name: &'static str) -> Option<String> {
    struct FieldVisitor(&'static str, Option<String>);
    impl Visit for FieldVisitor {
        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == self.0 {
                self.1 = Some(value.to_owned());
            }
        }
        fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
    }
    if event.metadata().target() != TARGET {
        return None;
    }
    let mut visitor = FieldVisitor(name, None);
    event.record(&mut visitor);
    visitor.1
}

#[derive(Serialize)]
struct Step {
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    at: i64,
}

fn write(event: &Event<'_>, step: Option<Step>) {
    #[derive(Serialize)]
    struct Line<'a> {
        v: u32,
        #[serde(flatten)]
        event: &'a Event<'a>,
        #[serde(flatten)]
        step: Option<Step>,
        #[serde(skip_serializing_if = "Option::is_none")]
        function: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        invocation: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ip: Option<&'a str>,
    }
    let context = RequestContext::current();
    if let Some(context) = &context {
        context.with_metrics(|metrics| metrics.count_event(event));
    }
    let attributes = context.as_ref().map(RequestContext::attributes);
    let line = Line {
        v: VERSION,
        event,
        step,
        function: attributes.map(|attributes| attributes.function),
        request: attributes.and_then(|attributes| attributes.request.as_deref()),
        invocation: attributes.map(|attributes| attributes.invocation.as_str()),
        ip: attributes.and_then(|attributes| attributes.ip.as_deref()),
    };
    match serde_json::to_string(&line) {
        Ok(audit) => tracing::info!(target: TARGET, audit, "audit"),
        // Our own types: it would take a mistake in them.
        Err(error) => tracing::error!(%error, "an event of the audit was not written"),
    }
}
