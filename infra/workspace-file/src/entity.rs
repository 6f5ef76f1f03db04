//! Entities: records of the types that the tenant declares, by type and id. Their fields must fit the type's schema.
//!
//! ```yaml
//! invoice:
//!   2026-0101: { customer: Harbour Bakery, paid: true }
//! ```

use serde_json::{Map, Value};
use shared::store::workspace::Name;
use shared::store::workspace::entity::Fields;

use crate::entity_type::{DeclaredEntityType, find_entity_type};
use crate::reader::{Entry, Reader};
use crate::yaml::{self, object};

/// A record as the file wants it.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    pub(crate) kind: Name,
    pub(crate) id: Name,
    pub(crate) fields: Map<String, Value>,
}

/// The entities of one type, whose name is the entry's, of a tenant.
pub(crate) fn read_all(
    reader: &mut Reader<'_>,
    entry: &Entry<'_>,
    tenant: &str,
    types: &[DeclaredEntityType],
) -> Vec<Entity> {
    let Some(declared) = find_entity_type(reader, types, entry.name, entry.location, &entry.subject) else {
        return Vec::new();
    };
    let kind = &declared.entity_type.name;
    let named = reader.named(entry.name, entry.node, kind.as_str(), tenant);
    named.into_iter().filter_map(|(id, entry)| read(reader, kind, id, &entry, declared)).collect()
}

fn read(
    reader: &mut Reader<'_>,
    kind: &Name,
    id: Name,
    entry: &Entry<'_>,
    declared: &DeclaredEntityType,
) -> Option<Entity> {
    let yaml::Value::Mapping(pairs) = &entry.node.value else {
        let what = format!("this must be a mapping of its fields, not {}", entry.node.kind());
        reader.report(entry.node.location, &entry.subject, what);
        return None;
    };
    declared.schema.check(reader, &entry.subject, entry.node);
    let fields = object(pairs);
    if let Err(error) = Fields::new(fields.clone()) {
        reader.report(entry.location, &entry.subject, error);
    }
    Some(Entity { kind: kind.clone(), id, fields })
}
