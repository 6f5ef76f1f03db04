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

use crate::reader::{Entry, Reader};
use crate::schema::Schema;
use crate::validation_error::{Location, suggestion};

/// A type of the file, and what checks by its schema.
pub(crate) struct DeclaredEntityType {
    pub(crate) entity_type: EntityType,
    pub(crate) schema: Schema,
}

pub(crate) fn read(reader: &mut Reader<'_>, name: Name, entry: &Entry<'_>) -> Option<DeclaredEntityType> {
    let fields = reader.fields(entry, &["title", "description", "schema"])?;
    let (title, description) = (fields.title(reader, "title"), fields.description(reader));
    let schema = fields.schema(reader, "schema")?;
    let entity_type = EntityType { name, title: title?, description: description?, schema: schema.object.clone() };
    Some(DeclaredEntityType { entity_type, schema })
}

/// The type of that name, which must be in the file.
pub(crate) fn find_entity_type<'t>(
    reader: &mut Reader<'_>,
    types: &'t [DeclaredEntityType],
    name: &str,
    location: Location,
    subject: &str,
) -> Option<&'t DeclaredEntityType> {
    let found = types.iter().find(|declared| declared.entity_type.name.as_str() == name);
    if found.is_none() {
        let suggestion = suggestion(name, types.iter().map(|declared| declared.entity_type.name.as_str()));
        reader.report(location, subject, format!("`{name}` is no usable entity type of this tenant{suggestion}"));
    }
    found
}

/// What is compared.
pub(crate) fn comparable(EntityType { name: _, title, description, schema }: &EntityType) -> Value {
    json!({ "title": title, "description": description, "schema": schema })
}
