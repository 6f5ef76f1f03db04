//! What the pages of lists have in common.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;
use shared::store::workspace::{Page, Summary};

use crate::cursor;

// A row of a list: no doc comment, as its schema has no description.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct SummaryResult {
    name: String,
    title: String,
    description: String,
}

/// Whether a list goes on.
#[derive(Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct PageEnd {
    /// There may be more: call again with this cursor
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl PageEnd {
    /// The end of a page that is followed by what `next` says.
    pub(super) const fn new(next_cursor: Option<String>) -> Self {
        Self { next_cursor }
    }
}

/// The rows of a page, and its end.
pub(super) fn summaries(page: Page<Summary>) -> (Vec<SummaryResult>, PageEnd) {
    let summary = |Summary { name, title, description }| SummaryResult { name: name.to_string(), title, description };
    (page.items.into_iter().map(summary).collect(), PageEnd::new(page.next.as_ref().map(cursor::encode_name)))
}
