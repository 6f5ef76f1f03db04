//! `tools/list`.

use rmcp::model::ListToolsResult;

use super::tool_context::ToolContext;
use super::{catalog, registered};
use crate::cursor;
use crate::error::CallError;

/// Ours first, then the tenant's by name: always in that order, as far as the scopes allow.
pub(crate) async fn list(context: &ToolContext<'_>, cursor: Option<&str>) -> Result<ListToolsResult, CallError> {
    let after = cursor::parse(cursor, cursor::decode_name)?;
    let mut listed = Vec::new();
    if after.is_none() {
        let allowed = catalog::descriptions().iter().filter(|(tool, _)| context.access.scopes().contains(tool.scope));
        listed.extend(allowed.map(|(_, described)| described.clone()));
    }
    let (more, next) = registered::list(context, after.as_ref()).await?;
    listed.extend(more);
    let mut result = ListToolsResult::with_all_items(listed);
    result.next_cursor = next.as_ref().map(cursor::encode_name);
    Ok(result)
}
