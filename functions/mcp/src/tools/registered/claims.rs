//! The claims that a tenant's tool receives about its caller.
//!
//! Over HTTP it comes as `Authorization: Bearer <JWT>`, a tool token ([`super::tool_token`]). A tool verifies the signature, then
//! `typ`, `iss`, `aud` and `exp`, then `tenant` and `tool`: another tenant of this deployment may have registered the same address. It
//! may remember `jti` until then. No secret is shared with it.
//!
//! | claim | what it says |
//! | --- | --- |
//! | header `typ` | `tool-call+jwt` (RFC 8725 §3.11) |
//! | `iss` | the issuer of tool tokens: ours with `/tools` |
//! | `aud` | the tool's URL, exactly as it is registered |
//! | `sub` | the person; for an API key, the one who made it |
//! | `tenant` | the tenant in which the tool is registered |
//! | `client_id`, `grant` | the client and the grant; absent for an API key |
//! | `key` | the id of the API key; absent for a client |
//! | `tool` | the tool's name |
//! | `iat`, `exp` | when it was made, and 60 seconds later |
//! | `jti` | its own name: one per call |
//!
//! A Lambda function gets the same without `aud` and `exp` as `context` of its event, beside `arguments`. IAM vouches for the
//! deployment and not for the tenant, so it compares `tenant` and `tool` as well.

use std::time::Duration;

use serde::Serialize;
use shared::access::{Access, Principal};
use shared::clock::Timestamp;
use shared::oauth::secret::{Secret, to_text};
use shared::store::workspace::tool::Tool;

/// How long a tool may take a call for a new one.
const LIFETIME: Duration = Duration::from_mins(1);

/// On whose behalf a tool is called.
#[derive(Serialize)]
pub(super) struct CallerClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    tenant: &'a str,
    #[serde(flatten)]
    by: Credential<'a>,
    tool: &'a str,
    iat: i64,
    jti: String,
}

/// What was shown to us.
#[derive(Serialize)]
#[serde(untagged)]
enum Credential<'a> {
    Grant { client_id: &'a str, grant: String },
    Key { key: String },
}

/// The claims of a token for one call.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    #[serde(flatten)]
    caller: CallerClaims<'a>,
}

impl<'a> CallerClaims<'a> {
    /// Of one call.
    pub(super) fn of(tool: &'a Tool, iss: &'a str, access: &'a Access, now: Timestamp) -> Self {
        Self {
            iss,
            sub: access.person().as_str(),
            tenant: access.tenant().as_str(),
            by: match access.principal() {
                Principal::Client { grant, client, .. } => {
                    Credential::Grant { client_id: client.as_str(), grant: grant.to_text() }
                }
                Principal::ApiKey(key) => Credential::Key { key: key.to_text() },
            },
            tool: tool.name.as_str(),
            iat: now.seconds(),
            jti: to_text(Secret::<16>::random().expose()),
        }
    }
}

impl<'a> Claims<'a> {
    /// For the tool at `url`.
    pub(super) fn for_tool(url: &'a str, caller: CallerClaims<'a>) -> Self {
        let lifetime = LIFETIME.as_secs().cast_signed();
        Self { aud: url, exp: caller.iat.saturating_add(lifetime), caller }
    }
}
