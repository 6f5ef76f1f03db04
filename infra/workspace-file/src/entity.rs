//! Entities: records of the types that the tenant declares, by type and id. Their fields must fit the type's schema.
//!
//! ```yaml
//! invoice:
//!   2026-0101: { customer: Harbour Bakery, paid: true }
//! ```

use serde_json::{Map, Value};
use shared::store::workspace::Name;
use shared::store::workspace::entity::Fields;

use crate::entity_type::{Declared, declared};
use crate::reading::{Entry, Reading};
use crate::yaml::{self, object};

/// A record as the file wants it.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    pub(crate) kind: Name,
    pub(crate) id: Name,
    pub(crate) fields: Map<String, Value>,
}

/// The entities of one type, whose name is the entry's, of a tenant.
pub(crate) fn read_all(reading: &mut Reading<'_>, entry: &Entry<'_>, tenant: &str, types: &[Declared]) -> Vec<Entity> {
    let Some(declared) = declared(reading, types, entry.name, entry.place, &entry.subject) else { return Vec::new() };
    let kind = &declared.entity_type.name;
    let named = reading.named(entry.name, entry.node, kind.as_str(), tenant);
    named.into_iter().filter_map(|(id, entry)| read(reading, kind, id, &entry, declared)).collect()
}

fn read(reading: &mut Reading<'_>, kind: &Name, id: Name, entry: &Entry<'_>, declared: &Declared) -> Option<Entity> {
    let yaml::Value::Mapping(pairs) = &entry.node.value else {
        let what = format!("this must be a mapping of its fields, not {}", entry.node.kind());
        reading.note(entry.node.place, &entry.subject, what);
        return None;
    };
    declared.schema.check(reading, &entry.subject, entry.node);
    let fields = object(pairs);
    if let Err(unfit) = Fields::new(fields.clone()) {
        reading.note(entry.place, &entry.subject, unfit);
    }
    Some(Entity { kind: kind.clone(), id, fields })
}
