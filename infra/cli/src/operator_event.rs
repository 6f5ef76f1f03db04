//! What an operator did, as the audit is told it. What functions do as well is told as they tell it: [`shared::telemetry::audit::Event`].

use serde::Serialize;

/// One event. `functions/audit/schema.json` describes its members and those of every line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum OperatorEvent<'a> {
    /// An operator is about to register a client; `client_added` follows unless that fails.
    ClientAdding {
        /// Which.
        client: &'a str,
    },
    /// A client was registered by an operator.
    ClientAdded {
        /// Which.
        client: &'a str,
    },
    /// A client is about to be forgotten; `client_removed` follows unless that fails, and then the end of what people connected with it.
    ClientRemoving {
        /// Which.
        client: &'a str,
    },
    /// A client was forgotten.
    ClientRemoved {
        /// Which.
        client: &'a str,
    },
    /// A client is about to be kept out; `client_blocked` follows unless that fails, and then the end of what people connected with it.
    ClientBlocking {
        /// Which.
        client: &'a str,
    },
    /// A client is kept out.
    ClientBlocked {
        /// Which.
        client: &'a str,
    },
    /// A client is about to be let in again; `client_unblocked` follows unless that fails.
    ClientUnblocking {
        /// Which.
        client: &'a str,
    },
    /// A client is no longer kept out.
    ClientUnblocked {
        /// Which.
        client: &'a str,
    },
    /// A host is about to be blocked with all below it; `host_blocked` follows unless that fails, and then the end of what people
    /// connected with clients that are answered or described there.
    HostBlocking {
        /// Which.
        host: &'a str,
    },
    /// A host is blocked with all below it.
    HostBlocked {
        /// Which.
        host: &'a str,
    },
    /// A host is about to be blocked no longer; `host_unblocked` follows unless that fails.
    HostUnblocking {
        /// Which.
        host: &'a str,
    },
    /// A host is no longer blocked.
    HostUnblocked {
        /// Which.
        host: &'a str,
    },
    /// A client is about to get one more secret; `client_secret_added` follows unless that fails.
    ClientSecretAdding {
        /// Which.
        client: &'a str,
    },
    /// A client has one more secret.
    ClientSecretAdded {
        /// Which.
        client: &'a str,
    },
    /// A client is about to lose a secret; `client_secret_removed` follows unless that fails.
    ClientSecretRemoving {
        /// Which.
        client: &'a str,
    },
    /// A client has one secret less.
    ClientSecretRemoved {
        /// Which.
        client: &'a str,
    },
    /// A tenant was made.
    TenantAdded {
        /// Which.
        tenant: &'a str,
        /// What it is called.
        name: &'a str,
    },
    /// A tenant was given another name.
    TenantRenamed {
        /// Which.
        tenant: &'a str,
        /// What it is called now.
        name: &'a str,
    },
    /// A tenant is about to be removed with all that it has; `tenant_removed` follows unless that is interrupted.
    TenantRemoving {
        /// Which.
        tenant: &'a str,
        /// What it is called.
        name: &'a str,
    },
    /// A tenant was removed.
    TenantRemoved {
        /// Which.
        tenant: &'a str,
        /// What it was called.
        name: &'a str,
    },
    /// What a tenant has is about to be moved between partitions; `tenant_migrated` follows unless that is interrupted.
    TenantMigrating {
        /// Which.
        tenant: &'a str,
        /// How its workspace is to lie: by kind, or whole.
        layout: &'a str,
    },
    /// What a tenant has was moved between partitions.
    TenantMigrated {
        /// Which.
        tenant: &'a str,
        /// How its workspace lies now.
        layout: &'a str,
    },
    /// A person became a member.
    MemberAdded {
        /// Where.
        tenant: &'a str,
        /// Who.
        person: &'a str,
        /// With which role.
        role: &'a str,
    },
    /// A member was given another role.
    MemberRoleSet {
        /// Where.
        tenant: &'a str,
        /// Who.
        person: &'a str,
        /// Which role.
        role: &'a str,
    },
    /// A person is no longer a member.
    MemberRemoved {
        /// Where.
        tenant: &'a str,
        /// Who.
        person: &'a str,
    },
    /// A tenant's own role was made or changed.
    RoleSet {
        /// Where.
        tenant: &'a str,
        /// Which.
        role: &'a str,
        /// What it allows.
        scope: &'a str,
    },
    /// A tenant's own role is gone.
    RoleRemoved {
        /// Where.
        tenant: &'a str,
        /// Which.
        role: &'a str,
    },
    /// A workspace file is about to be applied: a `workspace_changed` or `member_removed` follows for each change that is made.
    WorkspaceChanging {
        /// Where.
        tenant: &'a str,
        /// How many changes it makes there.
        changes: u64,
    },
    /// A workspace file changed something.
    WorkspaceChanged {
        /// Where.
        tenant: &'a str,
        /// What, as the file's summary calls it.
        what: &'a str,
        /// Whether it creates that, or changes it.
        effect: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::OperatorEvent;

    /// Those that no table shows a test, as they name no tenant.
    #[test]
    fn client_events_match_the_schema() {
        let schema = serde_json::from_str(include_str!("../../../functions/audit/schema.json")).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let (client, host) = ("c_made-up", "evil.example");
        for event in [
            OperatorEvent::ClientAdding { client },
            OperatorEvent::ClientAdded { client },
            OperatorEvent::ClientRemoving { client },
            OperatorEvent::ClientRemoved { client },
            OperatorEvent::ClientBlocking { client },
            OperatorEvent::ClientBlocked { client },
            OperatorEvent::ClientUnblocking { client },
            OperatorEvent::ClientUnblocked { client },
            OperatorEvent::HostBlocking { host },
            OperatorEvent::HostBlocked { host },
            OperatorEvent::HostUnblocking { host },
            OperatorEvent::HostUnblocked { host },
            OperatorEvent::ClientSecretAdding { client },
            OperatorEvent::ClientSecretAdded { client },
            OperatorEvent::ClientSecretRemoving { client },
            OperatorEvent::ClientSecretRemoved { client },
        ] {
            let mut line = json!({ "timestamp": "", "level": "INFO", "target": "audit", "v": 1, "function": "amble" });
            let Value::Object(members) = serde_json::to_value(event).unwrap() else { panic!("no line") };
            line.as_object_mut().unwrap().extend(members);
            assert!(!schema.is_valid(&line), "nobody did it: {line}");
            line["by"] = json!("operator");
            assert!(schema.is_valid(&line), "{line}");
        }
    }
}
