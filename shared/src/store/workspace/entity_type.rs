//! Types of entities: what the tenant keeps records of, and the fields of each.
//!
//! ```text
//! { tenant: "tenant#acme#entity-type", item: "entity-type#invoice", title: "Invoice", description: "…", schema: "{…}" }
//! ```

use serde_json::{Map, Value};

use super::schema::to_stored_text;
use super::{Item, Name, Page, Summary, Workspace, WriteError, head, object, summary};
use crate::upstream_error::UpstreamError;

const KIND: &str = "entity-type#";

/// What the tenant keeps records of.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityType {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// What one record stands for.
    pub description: String,
    /// JSON Schema (2020-12) of a record's fields, an object.
    pub schema: Map<String, Value>,
}

impl Workspace {
    /// The type of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn entity_type(&self, name: &Name) -> Result<Option<EntityType>, UpstreamError> {
        self.find(KIND, name, read).await
    }

    /// A page of the types, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn entity_types(&self, after: Option<&Name>) -> Result<Page<EntityType>, UpstreamError> {
        self.list(KIND, after, None, read).await
    }

    /// Stores a type, replacing one of the same name. Its entities stay as they are: only later writes must
    /// fit the new schema.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn put_entity_type(&self, declared: &EntityType) -> Result<(), WriteError> {
        let item = head(KIND, &declared.name, &declared.title, &declared.description)?;
        self.put(item.with("schema", to_stored_text(&declared.schema)?)).await
    }
}

fn read(item: &Item) -> Option<EntityType> {
    let Summary { name, title, description } = summary(KIND, item)?;
    Some(EntityType { name, title, description, schema: object(item, "schema")? })
}
