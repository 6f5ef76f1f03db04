//! Tools that the tenant serves.
//!
//! ```yaml
//! create_invoice:
//!   title: Create an invoice
//!   description: Creates an invoice and returns its number.
//!   url: https://tools.acme.example/invoices    # ${NAME} is a variable
//!   timeout_seconds: 10                         # what is said if it is left out, like these:
//!   read_only: false
//!   destructive: true
//!   input_schema: { type: object, properties: { … } }
//!   output_schema: { type: object, … }          # if it promises a structure
//! ```

use std::time::Duration;

use serde_json::{Value, json};
use shared::store::workspace::tool::{BUILT_IN, TIMEOUTS, Tool, is_callable};
use shared::store::workspace::{Name, Unfit};

use crate::reading::{Entry, Reading};

const KEYS: [&str; 8] =
    ["title", "description", "url", "timeout_seconds", "read_only", "destructive", "input_schema", "output_schema"];
const TIMEOUT: u64 = 10;

pub(crate) fn read(reading: &mut Reading<'_>, name: Name, entry: &Entry<'_>) -> Option<Tool> {
    if BUILT_IN.contains(&name.as_str()) {
        reading.note(entry.place, &entry.subject, Unfit::Reserved);
    }
    let fields = reading.fields(entry, &KEYS)?;
    let (title, description) = (fields.title(reading, "title"), fields.description(reading));
    let url = fields.address(reading, "url");
    if let Some((url, place)) = &url
        && !is_callable(url)
    {
        reading.note(*place, &entry.subject, Unfit::Url);
    }
    let timeout = fields.number(reading, "timeout_seconds", &TIMEOUTS, TIMEOUT);
    let (read_only, destructive) =
        (fields.flag(reading, "read_only", false), fields.flag(reading, "destructive", true));
    let input_schema = fields.schema(reading, "input_schema").map(|schema| schema.object);
    let output_schema = fields.optional("output_schema").map(|_| fields.schema(reading, "output_schema"));
    Some(Tool {
        name,
        title: title?,
        description: description?,
        input_schema: input_schema?,
        output_schema: match output_schema {
            Some(schema) => Some(schema?.object),
            None => None,
        },
        url: url?.0,
        timeout: Duration::from_secs(timeout?),
        read_only: read_only?,
        destructive: destructive?,
    })
}

/// What is compared.
pub(crate) fn face(tool: &Tool) -> Value {
    let Tool { name: _, title, description, input_schema, output_schema, url, timeout, read_only, destructive } = tool;
    json!({
        "title": title,
        "description": description,
        "input_schema": input_schema,
        "output_schema": output_schema,
        "url": url,
        "timeout_seconds": timeout.as_secs(),
        "read_only": read_only,
        "destructive": destructive,
    })
}
