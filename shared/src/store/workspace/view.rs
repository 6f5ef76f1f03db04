//! Views: saved queries over the tenant's entities.
//!
//! ```text
//! { tenant: "acme", item: "view#open-invoices", title: "Open invoices", description: "…", definition: "{…}" }
//! ```

use serde_json::{Map, Value};

use super::{Item, Name, NotKept, Page, SUMMARY, Summary, Workspace, json, object, summary};
use crate::fault::Fault;

const KIND: &str = "view#";

/// A saved query.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// What it shows.
    pub description: String,
    /// Filter, order and columns.
    pub definition: Map<String, Value>,
}

impl Workspace {
    /// The view of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn view(&self, name: &Name) -> Result<Option<View>, Fault> {
        self.find(KIND, name, read).await
    }

    /// A page of the views, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn views(&self, after: Option<&Name>) -> Result<Page<Summary>, Fault> {
        self.list(KIND, after, Some(SUMMARY), |item| summary(KIND, item)).await
    }

    /// Keeps a view, replacing one of the same name.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn keep_view(&self, view: &View) -> Result<(), NotKept> {
        let item = self.head(KIND, &view.name, &view.title, &view.description)?;
        self.put(item.with("definition", json(&view.definition)?)).await
    }
}

fn read(item: &Item) -> Option<View> {
    let Summary { name, title, description } = summary(KIND, item)?;
    Some(View { name, title, description, definition: object(item, "definition")? })
}
