//! Tools that the tenant serves.
//!
//! ```text
//! { tenant: "acme", item: "tool#create_invoice", title: "Create an invoice", description: "…", input_schema: "{…}", output_schema?: "{…}",
//!   url: "https://tools.acme.example/invoices", timeout: 10, read_only: false, destructive: false }
//! ```

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::{Item, Name, NotKept, Page, Unfit, Workspace, named, object, schema};
use crate::fault::Fault;

const KIND: &str = "tool#";

/// A tool that the tenant serves: a POST of the arguments to its URL.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// For models.
    pub description: String,
    /// JSON Schema (2020-12) of the arguments, an object.
    pub input_schema: Map<String, Value>,
    /// JSON Schema of the result, if it is promised.
    pub output_schema: Option<Map<String, Value>>,
    /// Where it is served.
    pub url: String,
    /// How long it may take.
    pub timeout: Duration,
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
}

/// Names that tools of ours have: a tenant's tool cannot be mistaken for one.
pub const BUILT_IN: [&str; 19] = [
    "list_skills",
    "read_skill",
    "list_views",
    "read_view",
    "list_entity_types",
    "list_entities",
    "search_entities",
    "read_entity",
    "create_entity",
    "update_entity",
    "delete_entity",
    "list_documents",
    "search_documents",
    "read_document",
    "list_document_versions",
    "create_document",
    "update_document",
    "delete_document",
    "create_chat",
];

/// How long a tool may be given, in seconds: API Gateway gives up at 30.
pub const TIMEOUTS: std::ops::RangeInclusive<u64> = 1..=25;

impl Workspace {
    /// The tool of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn tool(&self, name: &Name) -> Result<Option<Tool>, Fault> {
        self.find(KIND, name, read).await
    }

    /// A page of the tools, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn tools(&self, after: Option<&Name>) -> Result<Page<Tool>, Fault> {
        self.list(KIND, after, None, read).await
    }

    /// Keeps a tool, replacing one of the same name.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn keep_tool(&self, tool: &Tool) -> Result<(), NotKept> {
        if BUILT_IN.contains(&tool.name.as_str()) {
            return Err(Unfit::Reserved.into());
        }
        if !is_callable(&tool.url) {
            return Err(Unfit::Url.into());
        }
        let seconds = tool.timeout.as_secs();
        let Some(seconds) = u32::try_from(seconds).ok().filter(|_| TIMEOUTS.contains(&seconds)) else {
            return Err(Unfit::Timeout.into());
        };
        let item = self
            .head(KIND, &tool.name, &tool.title, &tool.description)?
            .with("input_schema", schema(&tool.input_schema)?)
            .with_some("output_schema", tool.output_schema.as_ref().map(schema).transpose()?)
            .with("url", tool.url.as_str())
            .with("timeout", seconds)
            .with("read_only", tool.read_only)
            .with("destructive", tool.destructive);
        self.put(item).await
    }
}

/// Whether a URL can be that of a tool. Whether it may be called is decided at each call.
#[must_use]
pub fn is_callable(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    text.len() <= 2048 && bare && matches!(url.scheme(), "http" | "https")
}

fn read(item: &Item) -> Option<Tool> {
    Some(Tool {
        name: named(KIND, item)?,
        title: item.text("title")?.to_owned(),
        description: item.text("description")?.to_owned(),
        input_schema: object(item, "input_schema")?,
        output_schema: match item.text("output_schema") {
            Some(_) => Some(object(item, "output_schema")?),
            None => None,
        },
        url: item.text("url")?.to_owned(),
        timeout: Duration::from_secs(item.number("timeout").filter(|seconds| TIMEOUTS.contains(seconds))?),
        read_only: item.flag("read_only")?,
        destructive: item.flag("destructive")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_urls_a_tool_may_have() {
        for (url, fits) in [
            ("https://tools.acme.example/invoices?v=1", true),
            ("http://localhost:8787/tool", true),
            ("ftp://tools.acme.example/", false),
            ("https://user:password@tools.acme.example/", false),
            ("https://tools.acme.example/#part", false),
            ("/invoices", false),
            ("", false),
        ] {
            assert_eq!(is_callable(url), fits, "{url}");
        }
        assert!(!is_callable(&format!("https://tools.acme.example/{}", "a".repeat(2048))));
    }
}
