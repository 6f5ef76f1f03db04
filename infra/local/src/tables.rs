//! The tables of the template in an embedded DynamoDB.

use std::path::PathBuf;

use axum::body::Body;
use axum::http::{Request, header};
use dynoxide::{Database, DynoxideError};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
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
    /// A service elsewhere does not make one.
    #[error("the table {0} cannot be made at {1}: {2}")]
    Elsewhere(String, String, String),
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

/// Makes the tables of `definitions` at another service's `address`, where some may be already.
pub(crate) async fn make_at(address: &str, definitions: &[TableDefinition]) -> Result<(), NoTables> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    for TableDefinition { name, create, time_to_live } in definitions {
        let failed = |reason: String| NoTables::Elsewhere(name.clone(), address.to_owned(), reason);
        match ask(&client, address, "CreateTable", create).await.map_err(failed)? {
            (true, _) => {}
            (false, answer) if answer.contains("ResourceInUseException") => continue,
            (false, answer) => return Err(failed(answer)),
        }
        if let Some(attribute) = time_to_live {
            let specification = json!({ "AttributeName": attribute, "Enabled": true });
            let body = json!({ "TableName": name, "TimeToLiveSpecification": specification });
            let (done, answer) = ask(&client, address, "UpdateTimeToLive", &body).await.map_err(failed)?;
            if !done {
                return Err(failed(answer));
            }
        }
    }
    Ok(())
}

/// Whether it was done, and what was answered.
/// Whole in form, which is all that stand-ins of DynamoDB look at.
const UNVERIFIED: &str = "AWS4-HMAC-SHA256 Credential=operator/20260101/us-east-1/dynamodb/aws4_request, \
                          SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000";

async fn ask(
    client: &Client<HttpConnector, Body>,
    address: &str,
    operation: &str,
    body: &Value,
) -> Result<(bool, String), String> {
    const MOST: usize = 1 << 20;

    let request = Request::post(address)
        .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header(header::AUTHORIZATION, UNVERIFIED)
        .body(Body::from(body.to_string()))
        .map_err(|error| error.to_string())?;
    let answer = client.request(request).await.map_err(|error| error.to_string())?;
    let done = answer.status().is_success();
    let text = axum::body::to_bytes(Body::new(answer.into_body()), MOST).await.map_err(|error| error.to_string())?;
    Ok((done, String::from_utf8_lossy(&text).into_owned()))
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
