//! The audit events of calls. Lists are not recorded.

use serde_json::{Map, Value};
use shared::access::{Access, Principal};
use shared::store::workspace::Name;
use shared::telemetry::audit::{self, Event};

use crate::resource_uri::ResourceUri;
use crate::tools::tool_error::ToolError;
use crate::tools::tool_result::ToolResult;

/// Records that a tool is about to be called: one that has an effect before we know how it ended. `object` as below.
pub(crate) fn announce_tool(access: &Access, tool: &str, object: Option<&str>) {
    let (tenant, person, credential) = (access.tenant().as_str(), access.person().as_str(), &credential(access));
    audit::record(&Event::ToolCalling { tenant, person, credential, tool, object });
}

/// Records that a tool was called, and how that ended; `None` where the tenant has no tool of that name. `object` is what a tool of
/// ours was to work on.
pub(crate) fn record_tool(
    access: &Access,
    tool: &str,
    object: Option<&str>,
    called: Option<&Result<ToolResult, ToolError>>,
) {
    let (tenant, person, credential) = (access.tenant().as_str(), access.person().as_str(), &credential(access));
    let outcome = match called {
        None => "unknown_tool",
        Some(Ok(_)) => "answered",
        Some(Err(ToolError::Failed { why, .. })) => why,
        Some(Err(ToolError::Upstream(_))) => "fault",
    };
    audit::record(&Event::ToolCalled { tenant, person, credential, tool, object, outcome });
}

/// Records that a resource was read.
pub(crate) fn record_resource(access: &Access, uri: &ResourceUri, outcome: &'static str) {
    let (tenant, person, credential) = (access.tenant().as_str(), access.person().as_str(), &credential(access));
    let resource = &uri.to_string();
    audit::record(&Event::ResourceRead { tenant, person, credential, resource, outcome });
}

/// Records that a prompt was taken.
pub(crate) fn record_prompt(access: &Access, name: &Name, outcome: &'static str) {
    let (tenant, person, credential) = (access.tenant().as_str(), access.person().as_str(), &credential(access));
    audit::record(&Event::PromptTaken { tenant, person, credential, prompt: name.as_str(), outcome });
}

fn credential(access: &Access) -> String {
    match access.principal() {
        Principal::Client { grant, client, .. } => format!("grant {} of {client}", grant.to_text()),
        Principal::ApiKey(key) => format!("key {}", key.to_text()),
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
