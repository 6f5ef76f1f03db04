//! What the tenant keeps records of.
//!
//! ```yaml
//! invoice:
//!   title: Invoice
//!   description: An invoice that Acme has sent to a customer. Its id is its number.
//!   schema:
//!     type: object
//!     properties: { customer: { type: string }, paid: { type: boolean } }
//!     required: [customer, paid]
//!     additionalProperties: false
//! ```

use serde_json::{Value, json};
use shared::store::workspace::Name;
use shared::store::workspace::entity_type::EntityType;

use crate::mistake::{Place, instead};
use crate::reading::{Entry, Reading};
use crate::schema::Schema;

/// A type of the file, and what checks by its schema.
pub(crate) struct Declared {
    pub(crate) entity_type: EntityType,
    pub(crate) schema: Schema,
}

pub(crate) fn read(reading: &mut Reading<'_>, name: Name, entry: &Entry<'_>) -> Option<Declared> {
    let fields = reading.fields(entry, &["title", "description", "schema"])?;
    let (title, description) = (fields.title(reading, "title"), fields.description(reading));
    let schema = fields.schema(reading, "schema")?;
    let entity_type = EntityType { name, title: title?, description: description?, schema: schema.object.clone() };
    Some(Declared { entity_type, schema })
}

/// The type of that name, which must be in the file.
pub(crate) fn declared<'t>(
    reading: &mut Reading<'_>,
    types: &'t [Declared],
    name: &str,
    place: Place,
    subject: &str,
) -> Option<&'t Declared> {
    let found = types.iter().find(|declared| declared.entity_type.name.as_str() == name);
    if found.is_none() {
        let instead = instead(name, types.iter().map(|declared| declared.entity_type.name.as_str()));
        reading.note(place, subject, format!("`{name}` is no usable entity type of this tenant{instead}"));
    }
    found
}

/// What is compared.
pub(crate) fn face(EntityType { name: _, title, description, schema }: &EntityType) -> Value {
    json!({ "title": title, "description": description, "schema": schema })
}
