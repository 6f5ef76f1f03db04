//! Documents, in Markdown.
//!
//! ```yaml
//! refund-policy:
//!   title: Refund policy
//!   content_file: documents/refund-policy.md     # or `content`, as a skill's
//! ```

use serde_json::{Value, json};
use shared::store::workspace::Name;

use crate::reader::{Entry, Reader};

/// A document as the file wants it.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) id: Name,
    pub(crate) title: String,
    pub(crate) content: String,
}

pub(crate) fn read(reader: &mut Reader<'_>, id: Name, entry: &Entry<'_>) -> Option<Document> {
    let fields = reader.fields(entry, &["title", "content", "content_file"])?;
    let title = fields.title(reader, "title");
    let (content, _) = fields.content(reader)?;
    Some(Document { id, title: title?, content })
}

/// What is compared.
pub(crate) fn comparable(title: &str, content: &str) -> Value {
    json!({ "title": title, "content": content })
}
