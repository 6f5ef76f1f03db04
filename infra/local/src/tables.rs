//! The tables of the template in an embedded DynamoDB.

use std::path::PathBuf;

use dynoxide::{Database, DynoxideError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;

use crate::folder::Folder;
use crate::template::TableDefinition;

/// Why there are no tables.
#[derive(Debug, Error)]
pub enum NoTables {
    /// The database failed.
    #[error("the tables: {0}")]
    Database(#[from] DynoxideError),
    /// A definition in the template is not one of DynamoDB's.
    #[error("the template's table {0}: {1}")]
    Definition(String, serde_json::Error),
    /// The folder holds a table that was made from another template.
    #[error("{1} holds a table {0} of another version; start on an empty folder with --data-dir DIR")]
    Differs(String, PathBuf),
    /// The folder's name is not text.
    #[error("{0} cannot be the name of a database")]
    Name(PathBuf),
}

/// Opens the database in `folder`, or one in memory, with the tables of `definitions`.
pub(crate) fn open(definitions: &[TableDefinition], folder: Option<&Folder>) -> Result<Database, NoTables> {
    let path = folder.map(|folder| folder.path("tables.sqlite"));
    let database = match &path {
        Some(path) => Database::new(path.to_str().ok_or_else(|| NoTables::Name(path.clone()))?)?,
        None => Database::memory()?,
    };
    for definition in definitions {
        let name = &definition.name;
        match database.describe_table(request(name, json!({ "TableName": name }))?) {
            Ok(described) => {
                let there = serde_json::to_value(described.table).map_err(|error| failed(name, error))?;
                if shape(&there) != shape(&definition.create) {
                    return Err(NoTables::Differs(name.clone(), path.unwrap_or_default()));
                }
            }
            Err(DynoxideError::ResourceNotFoundException(_)) => {
                database.create_table(request(name, definition.create.clone())?)?;
                if let Some(attribute) = &definition.time_to_live {
                    let specification = json!({ "AttributeName": attribute, "Enabled": true });
                    let body = json!({ "TableName": name, "TimeToLiveSpecification": specification });
                    database.update_time_to_live(request(name, body)?)?;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    if folder.is_some() {
        // As AWS does at its leisure.
        database.sweep_ttl()?;
    }
    Ok(database)
}

/// Everything that is stored, as table and item in DynamoDB's JSON.
pub(crate) fn items(database: &Database, definitions: &[TableDefinition]) -> Result<Vec<(String, Value)>, NoTables> {
    let mut items = Vec::new();
    for TableDefinition { name, .. } in definitions {
        let mut body = json!({ "TableName": name });
        loop {
            let page = database.scan(request(name, body.clone())?)?;
            let page = serde_json::to_value(page).map_err(|error| failed(name, error))?;
            let found = page.get("Items").and_then(Value::as_array);
            items.extend(found.into_iter().flatten().map(|item| (name.clone(), item.clone())));
            match (page.get("LastEvaluatedKey"), body.as_object_mut()) {
                (Some(last), Some(body)) => body.insert("ExclusiveStartKey".to_owned(), last.clone()),
                _ => break,
            };
        }
    }
    Ok(items)
}

fn request<T: DeserializeOwned>(table: &str, body: Value) -> Result<T, NoTables> {
    serde_json::from_value(body).map_err(|error| failed(table, error))
}

fn failed(table: &str, error: serde_json::Error) -> NoTables {
    NoTables::Definition(table.to_owned(), error)
}

/// What must be the same for a table to be the same: its keys and indexes, in any order.
fn shape(table: &Value) -> Value {
    let sorted = |name: &str| {
        let mut texts: Vec<_> =
            table.get(name).and_then(Value::as_array).into_iter().flatten().map(index_shape).collect();
        texts.sort();
        texts
    };
    json!([sorted("AttributeDefinitions"), sorted("KeySchema"), sorted("GlobalSecondaryIndexes")])
}

fn index_shape(part: &Value) -> String {
    match part.get("IndexName") {
        Some(name) => json!([name, part.get("KeySchema"), part.get("Projection")]).to_string(),
        None => part.to_string(),
    }
}
