//! The audit event of a call.

use serde_json::{Map, Value};
use shared::access::Principal;
use shared::audit::{self, Event};
use shared::store::workspace::Name;

use crate::operation::{AuthorizedCall, Operation};

/// Records that something of the tenant was used, with the outcome in one word. Lists are not recorded.
/// `object` is what a tool of ours was to work on.
pub(crate) fn record(authorized: &AuthorizedCall, object: Option<&str>, outcome: &'static str) {
    let access = &authorized.access;
    let (tenant, person) = (access.tenant().as_str(), access.person().as_str());
    let credential = match access.principal() {
        Principal::Client { grant, client } => format!("grant {} of {client}", grant.to_text()),
        Principal::ApiKey(key) => format!("key {}", key.to_text()),
    };
    let credential = credential.as_str();
    match &authorized.call.operation {
        Operation::BuiltIn(tool) => {
            audit::record(&Event::ToolCalled { tenant, person, credential, tool: tool.name, object, outcome });
        }
        Operation::Registered(name) => {
            // What a tenant's tool takes is the tenant's own, and may be anything.
            let tool = name.as_str();
            audit::record(&Event::ToolCalled { tenant, person, credential, tool, object: None, outcome });
        }
        Operation::ReadResource(uri) => {
            let resource = &uri.to_string();
            audit::record(&Event::ResourceRead { tenant, person, credential, resource, outcome });
        }
        Operation::GetPrompt(name) => {
            audit::record(&Event::PromptTaken { tenant, person, credential, prompt: name.as_str(), outcome });
        }
        Operation::Discover
        | Operation::Initialize
        | Operation::Ping
        | Operation::ListTools
        | Operation::ListResources
        | Operation::ListResourceTemplates
        | Operation::ListPrompts
        | Operation::Complete(_) => {}
    }
}

/// The record, document, skill or view that arguments or a result name, if they do: `type/id`, `id` or `name`. What has not the
/// form of an id is content, and no business of the audit.
pub(crate) fn object(members: &Map<String, Value>) -> Option<String> {
    let member = |name| members.get(name).and_then(Value::as_str).and_then(Name::parse);
    match (member("type"), member("id")) {
        (Some(kind), Some(id)) => Some(format!("{kind}/{id}")),
        (None, Some(id)) => Some(id.to_string()),
        (_, None) => member("name").map(|name| name.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_ids_and_names_are_audited() {
        for (members, expected) in [
            (json!({ "type": "invoice", "id": "one", "fields": { "customer": "C" } }), Some("invoice/one")),
            (json!({ "id": "d-1", "content": "secret" }), Some("d-1")),
            (json!({ "name": "house-style" }), Some("house-style")),
            (json!({ "type": "invoice" }), None),
            (json!({ "id": "two words" }), None),
            (json!({ "id": 7, "name": ["x"] }), None),
            (json!({ "title": "Draft", "query": "salary" }), None),
        ] {
            assert_eq!(object(members.as_object().unwrap()).as_deref(), expected, "{members}");
        }
    }
}
