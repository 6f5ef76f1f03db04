//! Views.
//!
//! ```yaml
//! open-invoices:
//!   title: Open invoices
//!   description: Invoices that have not been paid, the oldest first
//!   definition:
//!     entity: invoice
//!     filter: { paid: false }
//!     order: [{ by: due, direction: ascending }]
//!     columns: [number, customer, amount, due]
//! ```

use serde_json::{Value, json};
use shared::store::workspace::view::View;
use shared::store::workspace::{JSON_LIMIT, Name};

use crate::reading::{Entry, Reading};

pub(crate) fn read(reading: &mut Reading<'_>, name: Name, entry: &Entry<'_>) -> Option<View> {
    let fields = reading.fields(entry, &["title", "description", "definition"])?;
    let (title, description) = (fields.title(reading, "title"), fields.description(reading));
    let (definition, node) = fields.object(reading, "definition")?;
    let size = node.json().to_string().len();
    if size > JSON_LIMIT {
        reading.note(
            node.place,
            &entry.subject,
            format!("`definition` has {size} bytes as JSON; it may have {JSON_LIMIT}"),
        );
    }
    Some(View { name, title: title?, description: description?, definition })
}

/// What is compared.
pub(crate) fn face(View { name: _, title, description, definition }: &View) -> Value {
    json!({ "title": title, "description": description, "definition": definition })
}
