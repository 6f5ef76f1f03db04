//! Every reason for which a command is not done, as the operator reads it: what is so, and what to do.

use shared::environment::ConfigError;
use shared::member_revocation::MarkError;
use shared::oauth::client::ClientId;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::api_keys::CreateApiKeyError;
use shared::store::blocked_hosts::BlockHostError;
use shared::store::clients::MAX_SECRETS;
use shared::store::directory::PutTenantError;
use shared::store::workspace_move::MoveError;
use shared::upstream_error::UpstreamError;
use thiserror::Error;
use workspace_file::plan::ApplyError;
use workspace_file::validation_error::ValidationErrors;

use crate::deployment::DeploymentError;
use crate::project_users::ProjectUsersError;

/// Why it was not done.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error("{0}; name it in the environment, or say --stack NAME or --local[=DIR]")]
    Environment(#[from] ConfigError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error(transparent)]
    NotMarked(#[from] MarkError),

    #[error(transparent)]
    TenantNotStored(#[from] PutTenantError),
    #[error("there is no tenant {0}; `amble tenant list` tells which there are")]
    NoTenant(TenantId),
    #[error("there is a tenant {0} already; `amble tenant rename {0}` gives it another name")]
    TenantExists(TenantId),
    #[error("what tenant {0} has is being moved the other way; end that first, with `amble tenant migrate {0}{1}`")]
    MovedOtherWay(TenantId, &'static str),
    #[error(
        "what tenant {tenant} has cannot go where other items are; there are {count}, such as {example}: see docs/operating/partitions.md"
    )]
    ItemsInTheWay { tenant: TenantId, count: usize, example: String },
    #[error("tenant {tenant}: {error}; nothing is lost: run the same command again{}", until_then(.still_moving))]
    NotMigrated { tenant: TenantId, error: MoveError, still_moving: Vec<TenantId> },
    #[error("tenant {0} has no role {1}; it has {2}")]
    NoRole(TenantId, String, String),
    #[error("{0} is a role that every tenant has; choose another name")]
    BuiltIn(String),
    #[error("{2} of tenant {0} are {1}; give them another role first, with `amble member role`")]
    RoleInUse(TenantId, String, usize),
    #[error("{1} is no member of tenant {0}; `amble member list --tenant {0}` tells who is")]
    NoMember(TenantId, PersonId),
    #[error("{1} is {2} in tenant {0} already; `amble member role` changes that")]
    MemberExists(TenantId, PersonId, String),
    #[error(transparent)]
    NoPerson(#[from] ProjectUsersError),

    #[error(
        "there is a client {0} already; choose another id, or give it another secret with `amble client secret add {0}`"
    )]
    ClientExists(ClientId),
    #[error("there is no client {0}; `amble client list` tells which there are")]
    NoClient(ClientId),
    #[error("say which: an id, or --host")]
    NoClientSelection,
    #[error("{0} is blocked; `amble client unblock {0}` lets it in again")]
    Blocked(ClientId),
    #[error("{0} is not blocked; `amble client list` tells which are")]
    NotBlocked(ClientId),
    #[error("the host {0} is blocked; `amble client unblock --host {0}` lets it in again")]
    HostBlocked(String),
    #[error(
        "{0} is blocked by its host; `amble client list` tells which hosts are, and `amble client unblock --host` lets one in again"
    )]
    BlockedByHost(ClientId),
    #[error("{0} is not blocked by itself; `amble client list` tells which hosts are")]
    HostNotBlocked(String),
    #[error("{0}; let one in again with `amble client unblock --host`, or block clients by their ids")]
    HostNotStored(#[from] BlockHostError),
    #[error("{0} registered itself, and such a client has no secrets")]
    Public(ClientId),
    #[error("{0} proves itself by its keys, and such a client has no secrets")]
    HasKeys(ClientId),
    #[error("{0} has {MAX_SECRETS} secrets already; remove one first")]
    TooMany(ClientId),
    #[error("{0} has no secret {1}; `amble client secret list {0}` tells which it has")]
    NoSecret(ClientId, String),
    #[error("{1} is the last secret of {0}; add another first, or remove the client")]
    LastSecret(ClientId, String),

    #[error("tenant {0} has no key {1}; `amble key list --tenant {0}` tells which it has")]
    NoKey(TenantId, String),
    #[error("the role of {0} does not allow {1}, so no key of theirs can")]
    ScopesExceedRole(PersonId, Scopes),
    #[error("no key was made: {0}")]
    KeyNotCreated(CreateApiKeyError),

    #[error("there is no grant {0}; an ended one is kept for 30 days")]
    NoGrant(String),
    #[error("grant {0} has ended already: {1}")]
    GrantEnded(String, &'static str),
    #[error("say which grants: an id, or one or more of --tenant, --person and --client")]
    NoGrantSelection,

    #[error("the file cannot be used:\n{0}")]
    ValidationErrors(#[from] ValidationErrors),
    #[error("{0}\nwhat stood before it was written; run the same again to go on")]
    ApplyError(#[from] ApplyError),
    #[error("not done: {0}; add --yes to do it without being asked")]
    Unconfirmed(String),
    #[error("not done")]
    NotConfirmed,

    #[error("the audit cannot be read: {0}")]
    AuditReadFailed(String),
    #[error("{0} has no audit log to read: say --stack NAME, AUDIT_LOG_GROUP or --local[=DIR]")]
    NoAudit(&'static str),
    #[error("say --tenant: a local system, and the table of activity, keep the audit by tenant")]
    AuditByTenant,
    #[error("{0} is not set; put the password of the test person in it")]
    NoPassword(String),
    #[error("{0}")]
    InvalidUrl(String),
}

/// Where nobody can write until tenants are moved.
fn until_then(still_moving: &[TenantId]) -> String {
    let tenants: Vec<_> = still_moving.iter().map(TenantId::as_str).collect();
    if tenants.is_empty() { String::new() } else { format!("; until then nobody can write in {}", tenants.join(", ")) }
}
