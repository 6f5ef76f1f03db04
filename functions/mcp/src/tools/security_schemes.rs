//! What a tool needs, as a list says it: `securitySchemes` of a tool (<https://developers.openai.com/apps-sdk/build/auth>).

use rmcp::model::{MetaObject, Tool};
use serde::Serialize;
use serde_json::{Value, json};
use shared::oauth::scope::{Scope, Scopes};

const SECURITY_SCHEMES: &str = "securitySchemes";

/// A tool as a list has it. What it needs is beside its schema as well as in its metadata: `ChatGPT` has read either. rmcp's type of a
/// tool has the metadata alone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedTool<'a> {
    #[serde(flatten)]
    tool: &'a Tool,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_schemes: Option<&'a Value>,
}

/// The metadata of a tool that needs `scope`, and what that implies.
pub(crate) fn metadata(scope: Scope) -> MetaObject {
    let scopes: Vec<_> = Scopes::from(scope).iter().map(Scope::as_str).collect();
    let schemes = json!([{ "type": "oauth2", "scopes": scopes }]);
    MetaObject(std::iter::once((SECURITY_SCHEMES.to_owned(), schemes)).collect())
}

impl<'a> From<&'a Tool> for ListedTool<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self { tool, security_schemes: tool.meta.as_ref().and_then(|meta| meta.0.get(SECURITY_SCHEMES)) }
    }
}
