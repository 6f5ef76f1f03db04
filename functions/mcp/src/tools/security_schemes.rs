//! What a tool needs, as a list says it: `securitySchemes` of a tool (<https://developers.openai.com/apps-sdk/build/auth>).

use rmcp::model::MetaObject;
use serde_json::json;
use shared::oauth::scope::{Scope, Scopes};

/// The member of a tool, and of its metadata.
pub(crate) const SECURITY_SCHEMES: &str = "securitySchemes";

/// The metadata of a tool that needs `scope`, and what that implies.
pub(crate) fn metadata(scope: Scope) -> MetaObject {
    let scopes: Vec<_> = Scopes::from(scope).iter().map(Scope::as_str).collect();
    let schemes = json!([{ "type": "oauth2", "scopes": scopes }]);
    MetaObject(std::iter::once((SECURITY_SCHEMES.to_owned(), schemes)).collect())
}
