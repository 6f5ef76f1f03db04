//! `tools/list`.

use rmcp::model::ListToolsResult;

use super::tool_context::ToolContext;
use super::tools_page::ToolsPage;
use super::{catalog, registered};
use crate::cursor;
use crate::error::CallError;

/// Ours first, then the tenant's by name: always in that order. Ours are listed beyond the scopes too, with what they need, so that a
/// call can start a step-up; the tenant's only within them.
pub(crate) async fn list(context: &ToolContext<'_>, cursor: Option<&str>) -> Result<ListToolsResult, CallError> {
    let after = cursor::parse(cursor, cursor::decode_name)?;
    let mut page = ToolsPage::default();
    if after.is_none() {
        let visible = context.access.visible();
        let listed = catalog::descriptions().iter().filter(|(tool, _)| visible.covers(tool.scope.into()));
        for (_, described) in listed {
            page.push_if_fits(described.clone());
        }
    }
    let next = registered::list(context, after, &mut page).await?;
    let mut result = ListToolsResult::with_all_items(page.into_tools());
    result.next_cursor = next.as_ref().map(cursor::encode_name);
    Ok(result)
}
