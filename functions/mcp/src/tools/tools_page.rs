//! A page of `tools/list`, as far as it is filled.

use rmcp::model::Tool;

use super::security_schemes::ListedTool;

/// The most bytes of a page, as JSON. Some hosts read one page and no more, so a tenant's tools should all be in it. Lambda takes
/// 6 MB.
const MAX_PAGE: usize = 1024 * 1024;

/// A page that is being filled.
#[derive(Default)]
pub(super) struct ToolsPage {
    tools: Vec<Tool>,
    bytes: usize,
}

impl ToolsPage {
    /// The tools, in their order.
    pub(super) fn into_tools(self) -> Vec<Tool> {
        self.tools
    }

    /// Whether there was room for one more.
    pub(super) fn push_if_fits(&mut self, tool: Tool) -> bool {
        // Serialising a tool cannot fail: its keys are text.
        let bytes = serde_json::to_vec(&ListedTool::from(&tool)).map_or(0, |json| json.len());
        let fits = self.tools.is_empty() || self.bytes + bytes <= MAX_PAGE;
        if fits {
            self.bytes += bytes;
            self.tools.push(tool);
        }
        fits
    }
}
