//! What the pages of lists have in common.

#[cfg(test)]
use schemars::JsonSchema;
use serde::Serialize;
use shared::store::workspace::{Page, Summary};

use super::page_size::{self, CONTENT_CUT, PAGE_CUT};
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
    /// Only if this was cut for its size: what to do
    #[serde(skip_serializing_if = "Option::is_none")]
    shortened: Option<&'static str>,
}

impl PageEnd {
    /// The end of a part of a content, which goes on at `next_cursor`.
    pub(super) fn of_content(next_cursor: Option<String>) -> Self {
        let shortened = next_cursor.is_some().then_some(CONTENT_CUT);
        Self { next_cursor, shortened }
    }
}

/// The rows of a page that a result has room for, and its end. `next` is where the next page begins, `key` the place of an item.
pub(super) fn page<T, K, R: Serialize>(
    items: Vec<T>,
    next: Option<K>,
    key: impl Fn(&T) -> K,
    encode: impl Fn(K) -> String,
    row: impl Fn(T) -> R,
) -> (Vec<R>, PageEnd) {
    let (rows, cut_after) = page_size::rows(items, key, row);
    let shortened = cut_after.is_some().then_some(PAGE_CUT);
    (rows, PageEnd { next_cursor: cut_after.or(next).map(encode), shortened })
}

/// The rows of a page of summaries, and its end.
pub(super) fn summaries(of: Page<Summary>) -> (Vec<SummaryResult>, PageEnd) {
    let summary = |Summary { name, title, description }| SummaryResult { name: name.to_string(), title, description };
    page(of.items, of.next, |item| item.name.clone(), |name| cursor::encode_name(&name), summary)
}
