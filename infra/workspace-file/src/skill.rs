//! Skills.
//!
//! ```yaml
//! weekly-report:
//!   title: Weekly report
//!   description: How Acme writes its report of the week. Use it when asked for one.
//!   content: |
//!     # How to …
//! ```
//!
//! A long text may stand in a file of its own: `content_file: skills/weekly-report.md`.

use serde_json::{Value, json};
use shared::store::workspace::Name;
use shared::store::workspace::skill::Skill;

use crate::reading::{Entry, Reading};

pub(crate) fn read(reading: &mut Reading<'_>, name: Name, entry: &Entry<'_>) -> Option<Skill> {
    let fields = reading.fields(entry, &["title", "description", "content", "content_file"])?;
    let (title, description) = (fields.title(reading, "title"), fields.description(reading));
    let content = fields.content(reading);
    Some(Skill { name, title: title?, description: description?, content: content? })
}

/// What is compared.
pub(crate) fn face(Skill { name: _, title, description, content }: &Skill) -> Value {
    json!({ "title": title, "description": description, "content": content })
}
