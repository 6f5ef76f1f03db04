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

use crate::data_dir::{DataDir, DataDirError};
use crate::template::TableDefinition;

/// Why there are no tables.
#[derive(Debug, Error)]
pub enum TablesError {
    /// The database failed.
    #[error("the tables: {0}")]
    Database(#[from] DynoxideError),
    /// A definition in the template is not one of DynamoDB's.
    #[error("the template's table {0}: {1}")]
    Definition(String, serde_json::Error),
    /// The folder holds a table that was made from another template.
    #[error("{1} holds a table {0} of another version; start on an empty folder with --data-dir DIR")]
    Differs(String, PathBuf),
    /// A service elsewhere does not make or show one.
    #[error("the table {0} at {1}: {2}")]
    RemoteTables(String, String, String),
    /// What AWS may do is done to tables in here only.
    #[error("faults are for the tables that are in here, and these are elsewhere")]
    RemoteFaults,
    /// Nobody could be sent to ask one elsewhere.
    #[error("a thread: {0}")]
    Thread(std::io::Error),
    /// The folder's name is not text.
    #[error("the name of {0} is not text; choose another folder with --data-dir DIR")]
    Name(PathBuf),
    /// The database in the folder is damaged.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

/// Holds the database in a folder.
pub(crate) const FILE: &str = "tables.sqlite";

/// Opens the database in `folder`, or one in memory, with the tables of `definitions`.
pub(crate) fn open(definitions: &[TableDefinition], folder: Option<&DataDir>) -> Result<Database, TablesError> {
    const LOSS: &str = "which forgets every client, connection and API key, and lays the workspaces out again";

    create(definitions, folder).map_err(|error| match (folder, error) {
        (Some(folder), TablesError::Database(error)) => folder.damaged(FILE, &error, LOSS).into(),
        (_, error) => error,
    })
}

fn create(definitions: &[TableDefinition], folder: Option<&DataDir>) -> Result<Database, TablesError> {
    let path = folder.map(|folder| folder.path(FILE));
    let database = match &path {
        Some(path) => Database::new(path.to_str().ok_or_else(|| TablesError::Name(path.clone()))?)?,
        None => Database::memory()?,
    };
    for definition in definitions {
        let name = &definition.name;
        match database.describe_table(request(name, json!({ "TableName": name }))?) {
            Ok(described) => {
                let there = serde_json::to_value(described.table).map_err(|error| failed(name, error))?;
                if shape(&there) != shape(&definition.create) {
                    return Err(TablesError::Differs(name.clone(), path.unwrap_or_default()));
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

/// Tables at another service: moto's, say, or DynamoDB Local's.
pub(crate) struct RemoteTables {
    address: String,
    are_new: bool,
}

impl RemoteTables {
    /// Those of `definitions`, made at `address` if they are not there; none without an address.
    pub(crate) async fn of(
        address: Option<String>,
        definitions: &[TableDefinition],
    ) -> Result<Option<Self>, TablesError> {
        let Some(address) = address else { return Ok(None) };
        let service = Service { client: Client::builder(TokioExecutor::new()).build_http(), address: &address };
        let mut are_new = false;
        for TableDefinition { name, create, time_to_live } in definitions {
            match service.ask(name, "CreateTable", create).await? {
                (true, _) => are_new = true,
                (false, answer) if answer.contains("ResourceInUseException") => continue,
                (false, answer) => return Err(service.failed(name, answer)),
            }
            if let Some(attribute) = time_to_live {
                let specification = json!({ "AttributeName": attribute, "Enabled": true });
                let body = json!({ "TableName": name, "TimeToLiveSpecification": specification });
                let (done, answer) = service.ask(name, "UpdateTimeToLive", &body).await?;
                if !done {
                    return Err(service.failed(name, answer));
                }
            }
        }
        Ok(Some(Self { address, are_new }))
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether one of them was not there before.
    pub(crate) const fn are_new(&self) -> bool {
        self.are_new
    }

    /// As [`items`]. Asked on a thread of its own: who asks may be on a runtime that must not wait, or be dropped at that moment.
    pub(crate) fn items(&self, definitions: &[TableDefinition]) -> Result<Vec<(String, Value)>, TablesError> {
        let scanned = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(TablesError::Thread)?.block_on(self.scan(definitions))
        };
        std::thread::scope(|threads| threads.spawn(scanned).join())
            .unwrap_or_else(|_| Err(TablesError::Thread(std::io::ErrorKind::Other.into())))
    }

    async fn scan(&self, definitions: &[TableDefinition]) -> Result<Vec<(String, Value)>, TablesError> {
        let service = Service { client: Client::builder(TokioExecutor::new()).build_http(), address: &self.address };
        let mut items = Vec::new();
        for TableDefinition { name, .. } in definitions {
            let mut next = Some(json!({ "TableName": name, "ConsistentRead": true }));
            while let Some(body) = next {
                let (done, answer) = service.ask(name, "Scan", &body).await?;
                if !done {
                    return Err(service.failed(name, answer));
                }
                let page = serde_json::from_str(&answer).map_err(|error| failed(name, error))?;
                next = next_page(name, &page, body, &mut items);
            }
        }
        Ok(items)
    }
}

struct Service<'a> {
    client: Client<HttpConnector, Body>,
    address: &'a str,
}

impl Service<'_> {
    /// Whether it was done, and what was answered.
    async fn ask(&self, table: &str, operation: &str, body: &Value) -> Result<(bool, String), TablesError> {
        /// Whole in form, which is all that fakes of DynamoDB look at.
        const UNVERIFIED: &str = "AWS4-HMAC-SHA256 Credential=operator/20260101/us-east-1/dynamodb/aws4_request, \
                                  SignedHeaders=host, Signature=0000000000000000000000000000000000000000000000000000000000000000";
        const MOST: usize = 4 << 20;

        let request = Request::post(self.address)
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header(header::AUTHORIZATION, UNVERIFIED)
            .body(Body::from(body.to_string()))
            .map_err(|error| self.failed(table, error.to_string()))?;
        let answer = self.client.request(request).await.map_err(|error| self.failed(table, error.to_string()))?;
        let done = answer.status().is_success();
        let text = axum::body::to_bytes(Body::new(answer.into_body()), MOST).await;
        let text = text.map_err(|error| self.failed(table, error.to_string()))?;
        Ok((done, String::from_utf8_lossy(&text).into_owned()))
    }

    fn failed(&self, table: &str, reason: String) -> TablesError {
        TablesError::RemoteTables(table.to_owned(), self.address.to_owned(), reason)
    }
}

/// Everything that is stored, as table and item in DynamoDB's JSON.
pub(crate) fn items(database: &Database, definitions: &[TableDefinition]) -> Result<Vec<(String, Value)>, TablesError> {
    let mut items = Vec::new();
    for TableDefinition { name, .. } in definitions {
        let mut next = Some(json!({ "TableName": name }));
        while let Some(body) = next {
            let page = database.scan(request(name, body.clone())?)?;
            let page = serde_json::to_value(page).map_err(|error| failed(name, error))?;
            next = next_page(name, &page, body, &mut items);
        }
    }
    Ok(items)
}

/// Takes a page's items; how to ask for the next, if there is one.
fn next_page(table: &str, page: &Value, request_body: Value, items: &mut Vec<(String, Value)>) -> Option<Value> {
    let found = page.get("Items").and_then(Value::as_array).into_iter().flatten();
    items.extend(found.map(|item| (table.to_owned(), item.clone())));
    let (last, mut next) = (page.get("LastEvaluatedKey")?, request_body);
    next.as_object_mut()?.insert("ExclusiveStartKey".to_owned(), last.clone());
    Some(next)
}

fn request<T: DeserializeOwned>(table: &str, body: Value) -> Result<T, TablesError> {
    serde_json::from_value(body).map_err(|error| failed(table, error))
}

fn failed(table: &str, error: serde_json::Error) -> TablesError {
    TablesError::Definition(table.to_owned(), error)
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
