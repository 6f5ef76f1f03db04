//! What the audit is told of a call.

use shared::access::By;
use shared::audit::{self, Event};

use crate::operation::{Operation, Permitted};

/// Tells the audit that something of the tenant was used, and how that ended, in one word. Lists are not worth telling.
pub(crate) fn record(permitted: &Permitted, outcome: &'static str) {
    let access = &permitted.access;
    let (tenant, person) = (access.tenant().as_str(), access.person().as_str());
    let credential = match access.by() {
        By::Token { grant, client } => format!("grant {} of {client}", grant.to_text()),
        By::Key(key) => format!("key {}", key.to_text()),
    };
    let credential = credential.as_str();
    match &permitted.call.operation {
        Operation::BuiltIn(tool) => {
            audit::record(&Event::ToolCalled { tenant, person, credential, tool: tool.name, outcome });
        }
        Operation::Registered(name) => {
            audit::record(&Event::ToolCalled { tenant, person, credential, tool: name.as_str(), outcome });
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
        | Operation::ListTemplates
        | Operation::ListPrompts
        | Operation::Complete(_) => {}
    }
}
