//! Views: saved queries over the tenant's entities.
//!
//! ```yaml
//! open-invoices:
//!   title: Open invoices
//!   description: Invoices that have not been paid, the oldest first
//!   type: invoice                                           # one of entity_types
//!   filter: [{ field: paid, op: eq, value: false }]         # all of these must hold
//!   sort: [{ field: due, direction: asc }]
//!   columns: [customer, amount, due]                        # every field, if they are left out
//! ```

use serde_json::{Map, Value, json};
use shared::store::workspace::query::{Field, QueryError};
use shared::store::workspace::view::{Definition, View};
use shared::store::workspace::{JSON_LIMIT, Name};

use crate::entity_type::{DeclaredEntityType, find_entity_type};
use crate::reader::{Entry, Reader};
use crate::validation_error::suggestion;

pub(crate) fn read(
    reader: &mut Reader<'_>,
    name: Name,
    entry: &Entry<'_>,
    types: &[DeclaredEntityType],
) -> Option<View> {
    const PARTS: [&str; 4] = ["type", "filter", "sort", "columns"];

    let fields = reader.fields(entry, &["title", "description", "type", "filter", "sort", "columns"])?;
    let (title, description) = (fields.title(reader, "title"), fields.description(reader));
    let kind = fields.required(reader, "type")?;
    let parts = PARTS.into_iter().filter_map(|part| Some((part.to_owned(), fields.optional(part)?.json())));
    let definition = match Definition::parse(&parts.collect::<Map<_, _>>()) {
        Ok(definition) => definition,
        Err(QueryError { at, wrong }) => {
            let pointer = format!("/{}", at.replace('[', "/").replace(']', ""));
            reader.report(entry.node.location_of(&pointer), &entry.subject, format!("`{at}`: {wrong}"));
            return None;
        }
    };
    let size = Value::Object(definition.to_json()).to_string().len();
    if size > JSON_LIMIT {
        let what = format!("the query has {size} bytes as JSON; it may have {JSON_LIMIT}");
        reader.report(entry.location, &entry.subject, what);
    }
    let declared = find_entity_type(reader, types, definition.kind.as_str(), kind.location, &entry.subject)?;
    let filtered = definition.filter.iter().enumerate().map(|(at, it)| (format!("/filter/{at}/field"), it.field()));
    let sorted = definition.sort.fields().enumerate().map(|(at, field)| (format!("/sort/{at}/field"), field));
    let shown = definition.columns.iter().enumerate().map(|(at, field)| (format!("/columns/{at}"), field));
    let strange = |(_, field): &(String, &Field)| !field.fits(&declared.schema.object);
    for (pointer, field) in filtered.chain(sorted).chain(shown).filter(strange) {
        let suggestion = suggestion(field.as_str(), declared.schema.properties());
        let what = format!("`{field}` is no field of {}{suggestion}", declared.entity_type.name);
        reader.report(entry.node.location_of(&pointer), &entry.subject, what);
    }
    Some(View { name, title: title?, description: description?, definition })
}

/// What is compared.
pub(crate) fn comparable(View { name: _, title, description, definition }: &View) -> Value {
    let mut comparable = definition.to_json();
    comparable.insert("title".to_owned(), json!(title));
    comparable.insert("description".to_owned(), json!(description));
    Value::Object(comparable)
}
