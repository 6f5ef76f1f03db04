//! The server's instructions to the model (MCP, `initialize` and `server/discover`). They name no tool that the connection does not list.

use shared::access::Access;
use shared::oauth::scope::{Scope, Scopes};

/// The instructions for `access`: `ChatGPT` reads the first 512 characters with care, and Claude Code no more than 2,048.
pub(crate) fn instructions(access: &Access) -> String {
    let (visible, scopes) = (access.visible(), access.scopes());
    let sentences = [
        Some("The tools work on one workspace."),
        visible.contains(Scope::SkillsRead).then_some(
            "Skills are instructions for recurring work: before a task, look with list_skills whether one fits, and follow what \
             read_skill says.",
        ),
        visible
            .contains(Scope::EntitiesRead)
            .then_some("Records are entities of the types that list_entity_types shows."),
        visible.contains(Scope::ViewsRead).then_some("Views are saved queries over records: read_view shows one."),
        visible
            .contains(Scope::DocumentsRead)
            .then_some("search_documents finds what the workspace has written down."),
        scopes.contains(Scope::ToolsExecute).then_some("Other tools are the workspace's own."),
        has_unapproved(visible, scopes)
            .then_some("A tool may need a permission that was not approved yet. Call it all the same: the person is asked then."),
    ];
    sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Whether a tool of ours is listed that the person has not approved yet.
fn has_unapproved(visible: Scopes, scopes: Scopes) -> bool {
    let of_our_tools = Scopes::SUPPORTED.permissions().without(Scope::ToolsExecute);
    !visible.intersection(of_our_tools).difference(scopes).is_empty()
}
