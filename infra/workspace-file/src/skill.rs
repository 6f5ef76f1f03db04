//! Skills.
//!
//! ```yaml
//! weekly-report:
//!   title: Weekly report
//!   description: How Acme writes its report of the week. Use it when asked for one.
//!   arguments:                       # asked for where the skill is picked as a prompt
//!     week: { description: 'Which week, such as 2026-W47', required: true }
//!   content: |
//!     # The report of {{week}}
//! ```
//!
//! A long text may stand in a file of its own: `content_file: skills/weekly-report.md`.

use serde_json::{Value, json};
use shared::store::workspace::Name;
use shared::store::workspace::skill::{ARGUMENT_DESCRIPTION_LIMIT, ARGUMENTS, Argument, Skill};

use crate::reader::{Entry, Reader};
use crate::validation_error::suggestion;

pub(crate) fn read(reader: &mut Reader<'_>, name: Name, entry: &Entry<'_>) -> Option<Skill> {
    let fields = reader.fields(entry, &["title", "description", "arguments", "content", "content_file"])?;
    let (title, description) = (fields.title(reader, "title"), fields.description(reader));
    let named = fields.named(reader, "arguments", "argument");
    if let Some((_, one_too_many)) = named.get(ARGUMENTS) {
        reader.report(one_too_many.location, &entry.subject, format!("at most {ARGUMENTS} arguments are allowed"));
    }
    let known: Vec<_> = named.iter().map(|(_, argument)| argument.name).collect();
    let arguments: Vec<_> = named.iter().filter_map(|(name, entry)| argument(reader, name, entry)).collect();
    let (content, location) = fields.content(reader)?;
    for name in placeholders(&content).filter(|name| !known.contains(name)) {
        let suggestion = suggestion(name, known.iter().copied());
        reader.report(
            location,
            &entry.subject,
            format!("`{{{{{name}}}}}` in its content is none of its arguments{suggestion}"),
        );
    }
    Some(Skill { name, title: title?, description: description?, content, arguments })
}

fn argument(reader: &mut Reader<'_>, name: &Name, entry: &Entry<'_>) -> Option<Argument> {
    let fields = reader.fields(entry, &["description", "required"])?;
    let description = fields.text(reader, "description", 1..=ARGUMENT_DESCRIPTION_LIMIT);
    let required = fields.boolean(reader, "required", false);
    Some(Argument { name: name.clone(), description: description?, required: required? })
}

/// What stands in a content as `{{name}}`, as it is read when the skill is filled in.
fn placeholders(content: &str) -> impl Iterator<Item = &str> {
    let after = content.split("{{").skip(1);
    let named = after.filter_map(|after| {
        let (name, rest) = after.split_once(['{', '}'])?;
        rest.starts_with('}').then(|| name.trim())
    });
    named.filter(|name| Name::parse(name).is_some())
}

/// What is compared.
pub(crate) fn comparable(Skill { name: _, title, description, content, arguments }: &Skill) -> Value {
    let argument = |Argument { name, description, required }: &Argument| json!({ "name": name.as_str(), "description": description, "required": required });
    let arguments: Vec<_> = arguments.iter().map(argument).collect();
    json!({ "title": title, "description": description, "content": content, "arguments": arguments })
}
