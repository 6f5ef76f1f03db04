//! A tenant: its roles, its members, and what it has.
//!
//! ```yaml
//! acme:
//!   name: Acme
//!   roles:                  # besides owner, admin, member and viewer
//!     editor: [skills:read, documents:write]
//!   members:                # by the id that the sign-in service gave them
//!     5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01: { name: Ana, role: owner }    # the name is for whoever reads the file
//! ```

use shared::oauth::role::Role;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::directory::Tenant;
use shared::store::workspace::Name;

use crate::reader::{Entry, Fields, Reader};
use crate::validation_error::suggestion;
use crate::workspace_item::WorkspaceItem;
use crate::yaml::{Node, Value};
use crate::{document, entity, entity_type, skill, tool, view};

/// A tenant as the file describes it.
#[derive(Clone, Debug)]
pub struct TenantDefinition {
    /// The tenant and its own roles.
    pub tenant: Tenant,
    /// Who is in it.
    pub members: Vec<Member>,
    pub(crate) items: Vec<WorkspaceItem>,
}

/// Someone in a tenant.
#[derive(Clone, Debug)]
pub struct Member {
    /// Whom the sign-in service knows.
    pub person: PersonId,
    /// As the file calls them, if it does.
    pub name: Option<String>,
    /// What they are in it.
    pub role: String,
}

const KEYS: [&str; 9] =
    ["name", "roles", "members", "tools", "skills", "entity_types", "entities", "views", "documents"];

/// The roles that every tenant has.
const BUILT_IN: [&str; 4] = ["owner", "admin", "member", "viewer"];

impl Fields<'_> {
    /// Every tenant of the file.
    pub(crate) fn tenants(&self, reader: &mut Reader<'_>) -> Vec<TenantDefinition> {
        let entries = self.entries(reader, "tenants", "tenant").into_iter();
        entries.filter_map(|entry| read_definition(reader, &entry)).collect()
    }
}

fn read_definition(reader: &mut Reader<'_>, entry: &Entry<'_>) -> Option<TenantDefinition> {
    let id = TenantId::parse(entry.name);
    if id.is_none() {
        reader.report(entry.location, &entry.subject, "a tenant's id has 1 to 64 of `a-z 0-9 _ -`");
    }
    let fields = reader.fields(entry, &KEYS)?;
    let name = fields.title(reader, "name");
    let roles = fields.named(reader, "roles", "role");
    let roles: Vec<_> = roles.into_iter().map(|(name, entry)| role(reader, &name, &entry)).collect();
    let known: Vec<_> = roles.iter().map(|role| role.name.as_str()).chain(BUILT_IN).collect();
    let members = fields.entries(reader, "members", "member");
    let members = members.into_iter().filter_map(|entry| member(reader, &entry, &known)).collect();

    let mut items = Vec::new();
    for (name, entry) in fields.named(reader, "tools", "tool") {
        items.extend(tool::read(reader, name, &entry).map(WorkspaceItem::Tool));
    }
    for (name, entry) in fields.named(reader, "skills", "skill") {
        items.extend(skill::read(reader, name, &entry).map(WorkspaceItem::Skill));
    }
    let types = fields.named(reader, "entity_types", "entity type");
    let types: Vec<_> = types.into_iter().filter_map(|(name, entry)| entity_type::read(reader, name, &entry)).collect();
    items.extend(types.iter().map(|declared| WorkspaceItem::EntityType(declared.entity_type.clone())));
    for entry in fields.entries(reader, "entities", "records of type") {
        items.extend(entity::read_all(reader, &entry, fields.subject(), &types).into_iter().map(WorkspaceItem::Entity));
    }
    for (name, entry) in fields.named(reader, "views", "view") {
        items.extend(view::read(reader, name, &entry, &types).map(WorkspaceItem::View));
    }
    for (id, entry) in fields.named(reader, "documents", "document") {
        items.extend(document::read(reader, id, &entry).map(WorkspaceItem::Document));
    }
    Some(TenantDefinition { tenant: Tenant { id: id?, name: name?, roles }, members, items })
}

/// A role whose errors are reported still has a name that members may have.
fn role(reader: &mut Reader<'_>, name: &Name, entry: &Entry<'_>) -> Role {
    let mut permissions = Scopes::NONE;
    if let Value::List(nodes) = &entry.node.value {
        for node in nodes {
            permissions = permission(reader, entry, node).map_or(permissions, |scope| permissions.with(scope));
        }
    } else {
        let what = format!("this must be a list of permissions, not {}", entry.node.kind());
        reader.report(entry.node.location, &entry.subject, what);
    }
    Role { name: name.to_string(), permissions }
}

fn permission(reader: &mut Reader<'_>, entry: &Entry<'_>, node: &Node) -> Option<Scope> {
    let Value::Text(text) = &node.value else {
        reader.report(node.location, &entry.subject, format!("a permission must be text, not {}", node.kind()));
        return None;
    };
    let found = Scopes::ALL_PERMISSIONS.iter().find(|scope| scope.as_str() == text);
    if found.is_none() {
        let suggestion = suggestion(text, Scopes::ALL_PERMISSIONS.iter().map(Scope::as_str));
        reader.report(node.location, &entry.subject, format!("`{text}` is no permission{suggestion}"));
    }
    found
}

fn member(reader: &mut Reader<'_>, entry: &Entry<'_>, roles: &[&str]) -> Option<Member> {
    let person = PersonId::parse(entry.name);
    if person.is_none() {
        let what = "a member is named by their id at the sign-in service: a UUID in lower case";
        reader.report(entry.location, &entry.subject, what);
    }
    let fields = reader.fields(entry, &["name", "role"])?;
    let name = match fields.optional("name") {
        Some(_) => Some(fields.title(reader, "name")?),
        None => None,
    };
    let node = fields.required(reader, "role")?;
    let role = fields.text_of(reader, "role", node)?;
    if !roles.contains(&role) {
        let suggestion = suggestion(role, roles.iter().copied());
        reader.report(node.location, &entry.subject, format!("`{role}` is no role of this tenant{suggestion}"));
        return None;
    }
    Some(Member { person: person?, name, role: role.to_owned() })
}
