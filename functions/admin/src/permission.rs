//! Permissions in plain words.

use shared::oauth::scope::{Scope, Scopes};

/// Each of `scopes` that is a permission.
pub(crate) fn titles(scopes: Scopes) -> Vec<&'static str> {
    scopes.permissions().iter().map(title).collect()
}

/// What it lets one do.
pub(crate) const fn title(scope: Scope) -> &'static str {
    match scope {
        Scope::ToolsExecute => "Run tools",
        Scope::SkillsRead => "Read skills",
        Scope::ViewsRead => "Read views",
        Scope::EntitiesRead => "Read records",
        Scope::EntitiesWrite => "Change records",
        Scope::DocumentsRead => "Read documents",
        Scope::DocumentsWrite => "Change documents",
        Scope::ChatCreate => "Start conversations",
        Scope::OfflineAccess => "Stay connected",
        Scope::ConnectionsManage => "Manage connections and keys",
    }
}
