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

use crate::mistake::instead;
use crate::reading::{Entry, Fields, Reading};
use crate::thing::Thing;
use crate::yaml::{Node, Value};
use crate::{document, entity, entity_type, skill, tool, view};

/// A tenant as the file describes it.
#[derive(Clone, Debug)]
pub struct Described {
    /// The tenant and its own roles.
    pub tenant: Tenant,
    /// Who is in it.
    pub members: Vec<Member>,
    pub(crate) things: Vec<Thing>,
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
    pub(crate) fn tenants(&self, reading: &mut Reading<'_>) -> Vec<Described> {
        let entries = self.entries(reading, "tenants", "tenant").into_iter();
        entries.filter_map(|entry| described(reading, &entry)).collect()
    }
}

fn described(reading: &mut Reading<'_>, entry: &Entry<'_>) -> Option<Described> {
    let id = TenantId::parse(entry.name);
    if id.is_none() {
        reading.note(entry.place, &entry.subject, "a tenant's id has 1 to 64 of `a-z 0-9 _ -`");
    }
    let fields = reading.fields(entry, &KEYS)?;
    let name = fields.title(reading, "name");
    let roles = fields.named(reading, "roles", "role");
    let roles: Vec<_> = roles.into_iter().map(|(name, entry)| role(reading, &name, &entry)).collect();
    let known: Vec<_> = roles.iter().map(|role| role.name.as_str()).chain(BUILT_IN).collect();
    let members = fields.entries(reading, "members", "member");
    let members = members.into_iter().filter_map(|entry| member(reading, &entry, &known)).collect();

    let mut things = Vec::new();
    for (name, entry) in fields.named(reading, "tools", "tool") {
        things.extend(tool::read(reading, name, &entry).map(Thing::Tool));
    }
    for (name, entry) in fields.named(reading, "skills", "skill") {
        things.extend(skill::read(reading, name, &entry).map(Thing::Skill));
    }
    let types = fields.named(reading, "entity_types", "entity type");
    let types: Vec<_> =
        types.into_iter().filter_map(|(name, entry)| entity_type::read(reading, name, &entry)).collect();
    things.extend(types.iter().map(|declared| Thing::EntityType(declared.entity_type.clone())));
    for entry in fields.entries(reading, "entities", "records of type") {
        things.extend(entity::read_all(reading, &entry, fields.subject(), &types).into_iter().map(Thing::Entity));
    }
    for (name, entry) in fields.named(reading, "views", "view") {
        things.extend(view::read(reading, name, &entry, &types).map(Thing::View));
    }
    for (id, entry) in fields.named(reading, "documents", "document") {
        things.extend(document::read(reading, id, &entry).map(Thing::Document));
    }
    Some(Described { tenant: Tenant { id: id?, name: name?, roles }, members, things })
}

/// A role whose mistakes are noted still has a name that members may have.
fn role(reading: &mut Reading<'_>, name: &Name, entry: &Entry<'_>) -> Role {
    let mut permissions = Scopes::NONE;
    if let Value::List(nodes) = &entry.node.value {
        for node in nodes {
            permissions = permission(reading, entry, node).map_or(permissions, |scope| permissions.with(scope));
        }
    } else {
        let what = format!("this must be a list of permissions, not {}", entry.node.kind());
        reading.note(entry.node.place, &entry.subject, what);
    }
    Role { name: name.to_string(), permissions }
}

fn permission(reading: &mut Reading<'_>, entry: &Entry<'_>, node: &Node) -> Option<Scope> {
    let Value::Text(text) = &node.value else {
        reading.note(node.place, &entry.subject, format!("a permission must be text, not {}", node.kind()));
        return None;
    };
    let found = Scopes::ALL_PERMISSIONS.iter().find(|scope| scope.as_str() == text);
    if found.is_none() {
        let instead = instead(text, Scopes::ALL_PERMISSIONS.iter().map(Scope::as_str));
        reading.note(node.place, &entry.subject, format!("`{text}` is no permission{instead}"));
    }
    found
}

fn member(reading: &mut Reading<'_>, entry: &Entry<'_>, roles: &[&str]) -> Option<Member> {
    let person = PersonId::parse(entry.name);
    if person.is_none() {
        let what = "a member is named by their id at the sign-in service: a UUID in lower case";
        reading.note(entry.place, &entry.subject, what);
    }
    let fields = reading.fields(entry, &["name", "role"])?;
    let name = match fields.optional("name") {
        Some(_) => Some(fields.title(reading, "name")?),
        None => None,
    };
    let node = fields.required(reading, "role")?;
    let role = fields.plain(reading, "role", node)?;
    if !roles.contains(&role) {
        let instead = instead(role, roles.iter().copied());
        reading.note(node.place, &entry.subject, format!("`{role}` is no role of this tenant{instead}"));
        return None;
    }
    Some(Member { person: person?, name, role: role.to_owned() })
}
