//! What happened, for those who operate and those who investigate.

use serde::Serialize;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// One event of consequence. Names grants, clients, tenants and people; never a secret.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A client registered itself (RFC 7591).
    ClientRegistered {
        /// Its id.
        client: &'a str,
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
    /// A refresh token was judged.
    RefreshJudged {
        /// The grant that it names.
        grant: &'a str,
        /// Its client.
        client: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its person.
        person: &'a str,
        /// Current, concurrent, lost response, replayed, stranger or expired.
        verdict: &'static str,
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
    },
    /// An API key was shown and refused. One that is mistyped names no key, so there is nothing to say of it.
    KeyRefused {
        /// The id that it names, which may be nobody's.
        key: &'a str,
        /// Why.
        reason: &'static str,
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
    let line = serde_json::to_string(event).unwrap_or_default();
    tracing::info!(target: "audit", audit = line, "audit");
}

/// Log lines as JSON with timestamps on standard output, as CloudWatch expects them.
pub(crate) fn log_to_cloudwatch() {
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    // rmcp tells of every call three times, and of bodies below this level.
    let quiet = Targets::new().with_default(LevelFilter::INFO).with_target("rmcp", LevelFilter::ERROR);
    tracing_subscriber::registry().with(lines).with(quiet).init();
}
