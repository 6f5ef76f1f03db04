//! The audit: events for operations and for investigations.
//!
//! Each event is one line of the log. `functions/audit/schema.json` describes its members, and [`VERSION`] goes up when a member
//! changes its meaning or is removed. Every line has the request that it belongs to: `function`, `request`, `invocation` and `ip`.
//! The browser is not on the line. The API's access log has it under the same `request`, and is kept for a shorter time.

use std::fmt;

use serde::Serialize;
use tracing::field::{Field, Visit};

use crate::clock::Timestamp;
use crate::oauth::client::ClientId;
use crate::oauth::connection_attempt::ConnectionAttempt;
use crate::oauth::grant::{Approval, Grant};
use crate::oauth::grant_id::GrantId;
use crate::oauth::instance_id::InstanceId;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::telemetry::metrics::RequestMetrics;
use crate::telemetry::request_context::RequestContext;

/// The version of the members of lines.
pub const VERSION: u32 = 1;

/// The target of audit lines among all others.
const TARGET: &str = "audit";
/// The field with the JSON of an event.
const FIELD: &str = "audit";
/// The field with a line that is written again as it is.
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
        /// The host of its redirect URI.
        host: &'a str,
    },
    /// The consent page was shown.
    ConsentShown {
        /// For which client.
        client: &'a str,
        /// The host of its redirect URI.
        host: &'a str,
        /// To whom.
        person: &'a str,
        /// Why it was shown again, if the form before was not accepted.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    /// A client was refused, by redirect.
    AuthorizationRefused {
        /// Which.
        client: &'a str,
        /// The host of its redirect URI.
        host: &'a str,
        /// The person that it had sent.
        person: &'a str,
        /// Why.
        reason: &'static str,
    },
    /// A person got an error page: there is no client, or no redirect URI, that may get the response.
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
        /// Digest of its content.
        digest: &'a str,
    },
    /// The metadata document of a client has changed. The new one is used from now on.
    ClientDocumentChanged {
        /// Its address, which is the client's id.
        client: &'a str,
        /// Digest of its content before.
        old: &'a str,
        /// Digest of its content.
        new: &'a str,
    },
    /// The metadata document of a client could not be fetched or used.
    ClientDocumentFailed {
        /// Its address, which is the client's id.
        client: &'a str,
        /// Why.
        reason: &'a str,
        /// What is used instead: the stored document, the pinned copy, or nothing.
        instead: &'static str,
    },
    /// The metadata document of a client differs from our pinned copy: the copy is outdated, or the host is not genuine.
    ClientDocumentUnlikePinned {
        /// Its address, which is the client's id.
        client: &'a str,
        /// Digest of the copy.
        pinned: &'a str,
        /// Digest of the document.
        live: &'a str,
    },
    /// The key set of a client could not be fetched or used.
    ClientKeysFailed {
        /// The client.
        client: &'a str,
        /// Why.
        reason: &'a str,
        /// What is used instead: the stored keys, for a day, or nothing.
        instead: &'static str,
    },
    /// A person approved a client in a tenant.
    GrantApproved {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
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
    /// An authorization code was verified. Written before the result takes effect, so that no crash can hide it.
    CodeJudged {
        /// The grant that it names.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant, if the code or token belongs to the grant: the grant's id alone is no secret.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        /// Its person, under the same condition.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// `proven`, or the first condition that is not met.
        verdict: &'static str,
        /// How the client proved itself: `none`, `client_secret` or `private_key_jwt`.
        authentication: &'static str,
        /// The audience that its assertion names, if it proved itself by one: `issuer` or `token_endpoint`.
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<&'static str>,
    },
    /// An authorization code became tokens.
    GrantActivated {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
    },
    /// The exchange of an authorization code was refused.
    TokenRefused {
        /// The grant that the code names.
        #[serde(skip_serializing_if = "Option::is_none")]
        grant: Option<&'a str>,
        /// The client that the request names, authenticated or not.
        client: &'a str,
        /// Its tenant, if the code is the grant's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        /// Its person, under the same condition.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// Why.
        reason: &'static str,
    },
    /// An access token of a grant was used for the first time: the client is connected.
    GrantUsed {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
    },
    /// A call with a genuine access token was refused.
    CallRefused {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
        /// Why.
        reason: &'static str,
    },
    /// A refresh token was classified.
    RefreshJudged {
        /// The grant that it names.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant, if the code or token belongs to the grant: the grant's id alone is no secret.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        /// Its person, under the same condition.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// The state of the token: `current`, `newer`, `concurrent`, `lost_response`, `sibling`, `replayed`, `stranger` or `expired`.
        verdict: &'static str,
        /// The generation that it says it is of, if that is proven, and the token belongs to the grant.
        #[serde(skip_serializing_if = "Option::is_none")]
        generation: Option<u32>,
        /// `yes` for a replay within an hour of the rotation, from the network and by the product that rotated: perhaps a process with
        /// an old copy of the tokens.
        #[serde(skip_serializing_if = "Option::is_none")]
        like_sibling: Option<&'static str>,
        /// How the client proved itself: `none`, `client_secret` or `private_key_jwt`.
        authentication: &'static str,
        /// The audience that its assertion names, if it proved itself by one: `issuer` or `token_endpoint`.
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<&'static str>,
    },
    /// Twice within a day, a retry of a grant came so late that its refresh tokens were rotated anew. The response was lost twice, or
    /// two hold a token of it.
    LateRetryRepeated {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
        /// When the earlier one was, in seconds since 1970. This one is at the time of the event.
        earlier: i64,
        /// A digest of the network that it came from, by a key of the deployment, if that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        network: Option<&'a str>,
        /// The same of the earlier one.
        #[serde(skip_serializing_if = "Option::is_none")]
        earlier_network: Option<&'a str>,
    },
    /// A person is about to change what a connection of theirs may do. Written before the write, so that no crash can hide it;
    /// [`Event::GrantChanged`] follows unless the write fails, or another was faster.
    GrantChanging {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
        /// What was approved before.
        before: &'a str,
        /// What is approved from now on.
        scope: &'a str,
    },
    /// A person changed what a connection of theirs may do.
    GrantChanged {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
        /// What was approved before.
        before: &'a str,
        /// What is approved from now on.
        scope: &'a str,
    },
    /// A grant is about to end. Written before the write, so that no crash can hide it; [`Event::GrantEnded`] follows unless the write
    /// fails, or another was faster.
    GrantEnding {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
        /// Why.
        reason: &'static str,
        /// Who did it, if it was a person, a script (as `key <id>`) or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// A grant ended.
    GrantEnded {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
        /// Why.
        reason: &'static str,
        /// Who did it, if it was a person, a script (as `key <id>`) or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// All connections of a person in a tenant, of a client there, or of everybody there are about to end. Written before the write, so
    /// that no crash can hide it.
    ConnectionsEnding {
        /// Whose.
        #[serde(flatten)]
        connections: ConnectionsRef<'a>,
        /// Why.
        reason: &'static str,
        /// Who did it, if it was a person, a script (as `key <id>`) or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// They have ended: none is let in from now on, whether an index shows it or not. A line of its own follows for each that was listed.
    ConnectionsEnded {
        /// Whose.
        #[serde(flatten)]
        connections: ConnectionsRef<'a>,
        /// The number that those which ended are older than. None if the tenant has been removed meanwhile, or the membership has
        /// begun anew: then its API keys have ended as well.
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        /// Why.
        reason: &'static str,
        /// Who did it, if it was a person, a script (as `key <id>`) or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// The product reported a change of a membership.
    MembershipFollowed {
        /// Where.
        tenant: &'a str,
        /// Whose.
        person: &'a str,
        /// The role that they have since then. None if they left.
        #[serde(skip_serializing_if = "Option::is_none")]
        role: Option<&'a str>,
        /// The number of the change.
        change: u64,
        /// `applied`, `repeated`, `superseded` by a later change, or `stale`: a change with a higher number was applied hours ago.
        outcome: &'static str,
    },
    /// A person is banned or deleted at the sign-in service, as the product reported, or Supabase said. What ends is told tenant by
    /// tenant.
    PersonFollowed {
        /// Whom.
        person: &'a str,
        /// `person_banned` or `person_deleted`.
        reason: &'static str,
        /// The number of the change. None if Supabase said it to the function `people`.
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<u64>,
        /// In how many tenants something may end. What has ended already, when the change comes again, counts too.
        tenants: u64,
    },
    /// A call needed more scopes than its access token has. The next consent page will offer them.
    ScopeWanted {
        /// Which.
        #[serde(flatten)]
        connection: ConnectionRef<'a>,
        /// The missing scopes.
        scope: &'a str,
    },
    /// An API key was created.
    KeyMade {
        /// Its id.
        key: &'a str,
        /// Where it works.
        tenant: &'a str,
        /// Who created it.
        person: &'a str,
        /// What it may do.
        scope: &'a str,
        /// The API key that created it, as `key <id>`, if a script did it in the person's name; or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// An API key is about to be revoked. Written before the write, so that no crash can hide it; [`Event::KeyRevoked`] follows unless
    /// the write fails, or another was faster.
    KeyRevoking {
        /// Its id.
        key: &'a str,
        /// Where it works.
        tenant: &'a str,
        /// Who revokes it. None if it is an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// The API key that revokes it, as `key <id>`, if a script does it in the person's name; or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// An API key was revoked.
    KeyRevoked {
        /// Its id.
        key: &'a str,
        /// Where it worked.
        tenant: &'a str,
        /// Who revoked it. None if it was an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// The API key that revoked it, as `key <id>`, if a script did it in the person's name; or an operator.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<&'a str>,
    },
    /// An API key was refused. A mistyped key names no key and is not recorded.
    KeyRefused {
        /// The id in the key. There may be no such key.
        key: &'a str,
        /// Why.
        reason: &'static str,
        /// Where it works, if it was authenticated but lacks the scope.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<&'a str>,
        /// Who created it, under the same condition.
        #[serde(skip_serializing_if = "Option::is_none")]
        person: Option<&'a str>,
        /// The missing scopes, under the same condition.
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<&'a str>,
    },
    /// A tool is about to be called: a tenant's own, or one of ours that writes. Written before the call, so that no crash and no
    /// limit of time can hide it; [`Event::ToolCalled`] follows with how it ended. The same `request` is on both.
    ToolCalling {
        /// In which tenant.
        tenant: &'a str,
        /// By whom.
        person: &'a str,
        /// Through which grant or API key.
        credential: &'a str,
        /// Which tool.
        tool: &'a str,
        /// The id of the record, document, skill or view in its arguments, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        object: Option<&'a str>,
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
        /// The id of the record, document, skill or view in its arguments, if there is one.
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
    /// A prompt of a tenant was requested.
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

/// A connection as events name it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ConnectionRef<'a> {
    /// The grant.
    pub grant: &'a GrantId,
    /// Its client.
    pub client: &'a ClientId,
    /// Its tenant.
    pub tenant: &'a TenantId,
    /// Its person.
    pub person: &'a PersonId,
}

/// Connections that end together, as events name them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ConnectionsRef<'a> {
    /// Where.
    pub tenant: &'a TenantId,
    /// The person whose they are, if they are one person's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<&'a PersonId>,
    /// The client whose they are, if they are one client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'a ClientId>,
    /// The identity of the membership, or else of the tenant; none if it is from before identities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
}

impl<'a> ConnectionRef<'a> {
    /// The connection that the person approved.
    #[must_use]
    pub const fn new(grant: &'a GrantId, approval: &'a Approval) -> Self {
        Self { grant, client: &approval.client, tenant: &approval.tenant, person: &approval.person }
    }
}

impl<'a> From<&'a Grant> for ConnectionRef<'a> {
    fn from(grant: &'a Grant) -> Self {
        Self::new(&grant.id, &grant.approval)
    }
}

/// Where events are recorded.
pub trait Recorder {
    /// Records one event.
    fn record_event(&self, event: &Event<'_>);
}

/// Records events as lines of the log, as functions do.
#[derive(Clone, Copy, Debug)]
pub struct LogRecorder;

impl Recorder for LogRecorder {
    fn record_event(&self, event: &Event<'_>) {
        record(event);
    }
}

/// Writes `event` as one line of the audit log.
pub fn record(event: &Event<'_>) {
    write(event, None);
}

/// Writes `event` as a step of an attempt to connect, at `now`. The line has no `flow` if the request names no attempt.
pub fn step(flow: Option<ConnectionAttempt>, now: Timestamp, event: &Event<'_>) {
    write(event, Some(Step { flow: flow.map(ConnectionAttempt::attempt_id), at: now.seconds() }));
}

/// Writes a line of the audit again, unchanged. `line` is a JSON object on one line.
pub fn repeat(line: &str) {
    tracing::info!(target: TARGET, line, "audit");
}

/// The JSON object of an audit event in the log. Nothing if `event` is not an audit event.
#[must_use]
pub fn json(event: &tracing::Event<'_>) -> Option<String> {
    field(event, FIELD)
}

/// The audit line that `event` repeats. Nothing if it repeats none.
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
        context.with_metrics(|metrics| count(event, metrics));
    }
    let attributes = context.as_ref().map(RequestContext::attributes);
    let line = Line {
        v: VERSION,
        event,
        step,
        function: attributes.map(|attributes| attributes.function),
        request: attributes.and_then(|attributes| attributes.request.as_deref()),
        invocation: attributes.map(|attributes| attributes.invocation.as_str()).filter(|name| !name.is_empty()),
        ip: attributes.and_then(|attributes| attributes.ip.as_deref()),
    };
    match serde_json::to_string(&line) {
        Ok(audit) => tracing::info!(target: TARGET, audit, "audit"),
        // Our own types can be written, unless they have a mistake.
        Err(error) => tracing::error!(%error, "an event of the audit was not written"),
    }
}

/// Counts `event` in the metrics of its request.
fn count(event: &Event<'_>, metrics: &mut RequestMetrics) {
    match event {
        Event::GrantApproved { .. } => metrics.count_approval(),
        Event::GrantUsed { .. } => metrics.count_connection(),
        Event::RefreshJudged { verdict, like_sibling, .. } => {
            metrics.count_refresh(verdict);
            if *verdict == "replayed" {
                metrics.count_replay();
            }
            if like_sibling.is_some() {
                metrics.count_sibling_replay();
            }
        }
        Event::CodeJudged { verdict: "replayed", .. } => metrics.count_replay(),
        Event::LateRetryRepeated { .. } => metrics.count_repeated_late_retry(),
        Event::MembershipFollowed { outcome: "stale", .. } => metrics.count_stale_change(),
        Event::AuthorizationRefused { reason, .. }
        | Event::AuthorizationStranded { reason, .. }
        | Event::TokenRefused { reason, .. }
        | Event::CallRefused { reason, .. }
        | Event::KeyRefused { reason, .. } => metrics.count_refusal(reason),
        Event::ToolCalled { outcome, .. }
        | Event::ResourceRead { outcome, .. }
        | Event::PromptTaken { outcome, .. } => {
            metrics.set_outcome(outcome);
        }
        _ => {}
    }
}
