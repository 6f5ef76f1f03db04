//! Tools that the tenant serves.
//!
//! ```yaml
//! create_invoice:
//!   title: Create an invoice
//!   description: Creates an invoice and returns its number.
//!   url: https://tools.acme.example/invoices    # ${NAME} is a variable
//!   function: arn:aws:lambda:…:function:invoices  # or this, instead of the url
//!   timeout_seconds: 10                         # what is said if it is left out, like these:
//!   read_only: false
//!   destructive: true
//!   idempotent: false
//!   open_world: true
//!   input_schema: { type: object, properties: { … } }
//!   output_schema: { type: object, … }          # if it promises a structure
//! ```

use serde_json::{Value, json};
use shared::store::workspace::tool::{BUILT_IN, Tool, ToolEndpoint, is_callable, is_function};
use shared::store::workspace::tool_definition::{RefusedPart, check_size, refused_parts};
use shared::store::workspace::tool_timeout::ToolTimeout;
use shared::store::workspace::{Name, ValidationError};

use crate::reader::{Entry, Fields, Reader};

const KEYS: [&str; 11] = [
    "title",
    "description",
    "url",
    "function",
    "timeout_seconds",
    "read_only",
    "destructive",
    "idempotent",
    "open_world",
    "input_schema",
    "output_schema",
];

pub(crate) fn read(reader: &mut Reader<'_>, name: Name, entry: &Entry<'_>) -> Option<Tool> {
    if BUILT_IN.contains(&name.as_str()) {
        reader.report(entry.location, &entry.subject, ValidationError::ReservedName);
    }
    let fields = reader.fields(entry, &KEYS)?;
    let (title, description) = (fields.title(reader, "title"), fields.description(reader));
    let kind = kind(reader, entry, &fields);
    let default = ToolTimeout::DEFAULT.seconds();
    let timeout = fields.number(reader, "timeout_seconds", &ToolTimeout::SECONDS, default);
    let (read_only, destructive) =
        (fields.boolean(reader, "read_only", false), fields.boolean(reader, "destructive", true));
    let (idempotent, open_world) =
        (fields.boolean(reader, "idempotent", false), fields.boolean(reader, "open_world", true));
    let input_schema = fields.schema(reader, "input_schema").map(|schema| schema.object);
    if let Some((schema, node)) = input_schema.as_ref().zip(fields.optional("input_schema")) {
        for RefusedPart { pointer, error } in refused_parts(schema) {
            reader.report(node.location_of(&pointer), &entry.subject, format!("`input_schema`: {error}"));
        }
        if let Err(error) = check_size(description.as_deref().unwrap_or_default(), schema) {
            reader.report(node.location, &entry.subject, error);
        }
    }
    let output_schema = fields.optional("output_schema").map(|_| fields.schema(reader, "output_schema"));
    Some(Tool {
        name,
        title: title?,
        description: description?,
        input_schema: input_schema?,
        output_schema: match output_schema {
            Some(schema) => Some(schema?.object),
            None => None,
        },
        kind: kind?,
        timeout: timeout.and_then(ToolTimeout::from_seconds)?,
        read_only: read_only?,
        destructive: destructive?,
        idempotent: idempotent?,
        open_world: open_world?,
    })
}

/// How it is called: by exactly one of `url` and `function`.
fn kind(reader: &mut Reader<'_>, entry: &Entry<'_>, fields: &Fields<'_>) -> Option<ToolEndpoint> {
    match (fields.optional("url"), fields.optional("function")) {
        (Some(_), Some(both)) => {
            reader.report(both.location, &entry.subject, "`url` and `function` exclude each other");
            None
        }
        (None, Some(_)) => {
            let (function, location) = fields.interpolated(reader, "function")?;
            if !is_function(&function) {
                reader.report(location, &entry.subject, ValidationError::Function);
            }
            Some(ToolEndpoint::Lambda { function })
        }
        _ => {
            let (url, location) = fields.interpolated(reader, "url")?;
            if !is_callable(&url) {
                reader.report(location, &entry.subject, ValidationError::Url);
            }
            Some(ToolEndpoint::Http { url })
        }
    }
}

/// What is compared.
pub(crate) fn comparable(tool: &Tool) -> Value {
    let (url, function) = match &tool.kind {
        ToolEndpoint::Http { url } => (Some(url), None),
        ToolEndpoint::Lambda { function } => (None, Some(function)),
    };
    json!({
        "title": tool.title,
        "description": tool.description,
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
        "url": url,
        "function": function,
        "timeout_seconds": tool.timeout.seconds(),
        "read_only": tool.read_only,
        "destructive": tool.destructive,
        "idempotent": tool.idempotent,
        "open_world": tool.open_world,
    })
}
