//! Permissions in plain words.

use shared::oauth::scope::{Scope, Scopes};

/// The titles of those of `scopes` that are permissions.
pub(crate) fn titles(scopes: Scopes) -> Vec<&'static str> {
    scopes.permissions().iter().map(title).collect()
}

/// The title of a permission.
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
