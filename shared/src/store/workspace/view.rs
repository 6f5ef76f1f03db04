//! Views: saved queries over the tenant's entities.
//!
//! ```text
//! { tenant: "tenant#acme#view", item: "view#open-invoices", title: "Open invoices", description: "…",
//!   definition: "{ "type": "invoice", "filter": […], "sort": […], "columns": […] }" }
//! ```

use serde_json::{Map, Value, json};

use super::query::{Condition, Field, QueryError, Sort};
use super::{Item, Name, Page, SUMMARY, Summary, Workspace, WriteError, head, json as text, object, summary};
use crate::upstream_error::UpstreamError;

const KIND: &str = "view#";

/// A saved query.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// What it shows.
    pub description: String,
    /// Which entities, in which order and columns.
    pub definition: Definition,
}

/// Which entities a view shows, in which order and columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The type of the entities.
    pub kind: Name,
    /// The conditions that each entity meets.
    pub filter: Vec<Condition>,
    /// Their order.
    pub sort: Sort,
    /// The fields that are shown; all where none is named.
    pub columns: Vec<Field>,
}

impl Definition {
    /// From JSON: `type`, and if wanted `filter`, `sort` ([`super::query`]) and `columns`.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(definition: &Map<String, Value>) -> Result<Self, QueryError> {
        const PARTS: [&str; 4] = ["type", "filter", "sort", "columns"];
        if let Some(part) = definition.keys().find(|part| !PARTS.contains(&part.as_str())) {
            return Err(QueryError { at: part.clone(), wrong: "a view has only type, filter, sort and columns" });
        }
        let kind = definition.get("type").and_then(Value::as_str).and_then(Name::parse);
        Ok(Self {
            kind: kind
                .ok_or_else(|| QueryError { at: "type".to_owned(), wrong: "must be the name of an entity type" })?,
            filter: Condition::parse_all(definition.get("filter"))?,
            sort: Sort::parse(definition.get("sort"))?,
            columns: Field::parse_columns(definition.get("columns"))?,
        })
    }

    /// As JSON, with every part.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let parts = [
            ("type", json!(self.kind.as_str())),
            ("filter", self.filter.iter().map(Condition::to_json).collect()),
            ("sort", self.sort.to_json()),
            ("columns", self.columns.iter().map(Field::as_str).collect()),
        ];
        parts.map(|(name, part)| (name.to_owned(), part)).into_iter().collect()
    }
}

impl Workspace {
    /// The view of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn view(&self, name: &Name) -> Result<Option<View>, UpstreamError> {
        self.find(KIND, name, read).await
    }

    /// A page of the views, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn views(&self, after: Option<&Name>) -> Result<Page<Summary>, UpstreamError> {
        self.list(KIND, after, Some(SUMMARY), |item| summary(KIND, item)).await
    }

    /// Stores a view, replacing one of the same name. Its type need not exist yet.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn put_view(&self, view: &View) -> Result<(), WriteError> {
        let item = head(KIND, &view.name, &view.title, &view.description)?;
        self.put(item.with("definition", text(&view.definition.to_json())?)).await
    }
}

fn read(item: &Item) -> Option<View> {
    let Summary { name, title, description } = summary(KIND, item)?;
    Some(View { name, title, description, definition: Definition::parse(&object(item, "definition")?).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_definitions_round_trip_and_are_validated() {
        let of = |value: Value| Definition::parse(value.as_object().unwrap());
        let whole = json!({
            "type": "invoice",
            "filter": [{ "field": "paid", "op": "eq", "value": false }],
            "sort": [{ "field": "due", "direction": "desc" }],
            "columns": ["number", "customer.name", "$updated"],
        });
        assert_eq!(Value::Object(of(whole.clone()).unwrap().to_json()), whole);
        let bare = json!({ "type": "invoice", "filter": [], "sort": [], "columns": [] });
        assert_eq!(Value::Object(of(json!({ "type": "invoice" })).unwrap().to_json()), bare);

        for (definition, told) in [
            (json!({}), "type: must be the name of an entity type"),
            (json!({ "type": "a#b" }), "type: must be the name of an entity type"),
            (json!({ "type": "a", "order": [] }), "order: a view has only type, filter, sort and columns"),
            (json!({ "type": "a", "filter": {} }), "filter: must be a list"),
            (json!({ "type": "a", "sort": [1] }), "sort[0]: an order is an object with field and direction"),
            (json!({ "type": "a", "columns": [""] }), "columns[0]: field is a name of 1 to 128 bytes"),
            (json!({ "type": "a", "columns": vec!["a"; 51] }), "columns: at most 50 columns"),
        ] {
            assert_eq!(of(definition.clone()).unwrap_err().to_string(), told, "{definition}");
        }
    }
}
