//! A tenant's own things: tools, skills and views. Nothing is reached without naming the tenant.
//!
//! ```text
//! tool   { tenant: "acme", item: "tool#create_invoice", title: "Create an invoice", description: "…", input_schema: "{…}", output_schema?: "{…}",
//!          url: "https://tools.acme.example/invoices", timeout: 10, read_only: false, destructive: false }
//! skill  { tenant: "acme", item: "skill#weekly-report", title: "Weekly report", description: "…", content: "# How to …" }
//! view   { tenant: "acme", item: "view#open-invoices", title: "Open invoices", description: "…", definition: "{…}" }
//! ```
//!
//! JSON is kept as text: the table has no business in it. Each kind is listed by name, in the order of its bytes.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;

use super::item::{Item, unreadable};
use crate::fault::Fault;
use crate::oauth::tenant::TenantId;

/// The table of tenants' things.
#[derive(Clone)]
pub struct Workspace {
    dynamo: Dynamo,
    table: String,
}

/// What a thing is called: 1 to 64 of `A-Z a-z 0-9 _ -`, which every model provider takes as the name of a tool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

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

/// Instructions that a model can follow.
#[derive(Clone, Debug)]
pub struct Skill {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// When to use it.
    pub description: String,
    /// The instructions, in Markdown.
    pub content: String,
}

/// A saved query over the tenant's entities.
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

/// A skill or a view as a list shows it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// For models.
    pub description: String,
}

/// Some things of a list, and where it goes on.
#[derive(Debug)]
pub struct Page<T> {
    /// In the order of their names.
    pub things: Vec<T>,
    /// The last name seen, if there may be more after it.
    pub next: Option<Name>,
}

/// Why a thing was not kept.
#[derive(Debug, Error)]
pub enum NotKept {
    /// It cannot be a thing of that kind.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The table failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What is wrong with a thing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unfit {
    /// The name belongs to a tool of ours.
    #[error("the name is one of the built-in tools'")]
    Reserved,
    /// No title, or a longer one than [`TITLE_LIMIT`].
    #[error("the title must have 1 to 120 bytes")]
    Title,
    /// No description, or a longer one than [`DESCRIPTION_LIMIT`].
    #[error("the description must have 1 to 2,048 bytes")]
    Description,
    /// Longer than [`CONTENT_LIMIT`].
    #[error("the content must not exceed 262,144 bytes")]
    Content,
    /// A definition or a schema longer than [`JSON_LIMIT`].
    #[error("the definition or schema must not exceed 32,768 bytes as JSON")]
    Json,
    /// A schema of arguments or results that is not one of an object (MCP: `inputSchema`, `outputSchema`).
    #[error("the schema must have the type object")]
    NotAnObject,
    /// It asks for arguments in headers, which we do not serve.
    #[error("the schema must not use x-mcp-header")]
    HeaderArguments,
    /// Not an http or https URL, or longer than 2,048 bytes, or with credentials or a fragment.
    #[error("the url must be http or https, without credentials or fragment, of at most 2,048 bytes")]
    Url,
    /// Outside [`TIMEOUTS`].
    #[error("the timeout must be between 1 and 25 seconds")]
    Timeout,
}

/// Names that tools of ours have: a tenant's tool cannot be mistaken for one.
pub const BUILT_IN: [&str; 4] = ["list_skills", "read_skill", "list_views", "read_view"];

/// Most bytes of a title.
pub const TITLE_LIMIT: usize = 120;
/// Most bytes of a description.
pub const DESCRIPTION_LIMIT: usize = 2048;
/// Most bytes of a skill's content: an item of DynamoDB holds 400 KB in all.
pub const CONTENT_LIMIT: usize = 256 * 1024;
/// Most bytes of a schema or a definition, as JSON.
pub const JSON_LIMIT: usize = 32 * 1024;
/// How long a tool may be given, in seconds: API Gateway gives up at 30.
pub const TIMEOUTS: std::ops::RangeInclusive<u64> = 1..=25;

/// Things per page.
const PAGE: i32 = 100;

impl Name {
    /// From text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        fits.then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Workspace {
    pub(crate) const fn new(dynamo: Dynamo, table: String) -> Self {
        Self { dynamo, table }
    }

    /// The tenant's tool of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn tool(&self, tenant: &TenantId, name: &Name) -> Result<Option<Tool>, Fault> {
        self.find(tenant, TOOL, name, tool).await
    }

    /// The tenant's skill of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn skill(&self, tenant: &TenantId, name: &Name) -> Result<Option<Skill>, Fault> {
        self.find(tenant, SKILL, name, skill).await
    }

    /// The tenant's view of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn view(&self, tenant: &TenantId, name: &Name) -> Result<Option<View>, Fault> {
        self.find(tenant, VIEW, name, view).await
    }

    /// A page of the tenant's tools, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn tools(&self, tenant: &TenantId, after: Option<&Name>) -> Result<Page<Tool>, Fault> {
        self.list(tenant, TOOL, after, None, tool).await
    }

    /// A page of the tenant's skills, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn skills(&self, tenant: &TenantId, after: Option<&Name>) -> Result<Page<Summary>, Fault> {
        self.list(tenant, SKILL, after, Some(SUMMARY), |item| summary(SKILL, item)).await
    }

    /// A page of the tenant's views, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn views(&self, tenant: &TenantId, after: Option<&Name>) -> Result<Page<Summary>, Fault> {
        self.list(tenant, VIEW, after, Some(SUMMARY), |item| summary(VIEW, item)).await
    }

    /// Keeps a tool, replacing one of the same name.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn keep_tool(&self, tenant: &TenantId, tool: &Tool) -> Result<(), NotKept> {
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
        let item = head(tenant, TOOL, &tool.name, &tool.title, &tool.description)?
            .with("input_schema", schema(&tool.input_schema)?)
            .with_some("output_schema", tool.output_schema.as_ref().map(schema).transpose()?)
            .with("url", tool.url.as_str())
            .with("timeout", seconds)
            .with("read_only", tool.read_only)
            .with("destructive", tool.destructive);
        self.put(item).await
    }

    /// Keeps a skill, replacing one of the same name.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn keep_skill(&self, tenant: &TenantId, skill: &Skill) -> Result<(), NotKept> {
        if skill.content.len() > CONTENT_LIMIT {
            return Err(Unfit::Content.into());
        }
        let item = head(tenant, SKILL, &skill.name, &skill.title, &skill.description)?;
        self.put(item.with("content", skill.content.as_str())).await
    }

    /// Keeps a view, replacing one of the same name.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn keep_view(&self, tenant: &TenantId, view: &View) -> Result<(), NotKept> {
        let item = head(tenant, VIEW, &view.name, &view.title, &view.description)?;
        self.put(item.with("definition", json(&view.definition)?)).await
    }

    async fn find<T>(
        &self,
        tenant: &TenantId,
        kind: &str,
        name: &Name,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        const CALL: &str = "DynamoDB.GetItem";
        let get = self.dynamo.get_item().table_name(&self.table).set_key(Some(key(tenant, kind, name)));
        let answer = get.consistent_read(true).send().await.map_err(|error| Fault::of_aws(CALL, &error))?;
        let item = answer.item.map(Item::new);
        item.map(|item| read(&item).ok_or_else(|| unreadable(&self.table))).transpose()
    }

    async fn list<T>(
        &self,
        tenant: &TenantId,
        kind: &str,
        after: Option<&Name>,
        only: Option<&str>,
        read: impl Fn(&Item) -> Option<T>,
    ) -> Result<Page<T>, Fault> {
        const CALL: &str = "DynamoDB.Query";
        let mut query = self
            .dynamo
            .query()
            .table_name(&self.table)
            .key_condition_expression("#tenant = :tenant AND begins_with(#item, :kind)")
            .expression_attribute_names("#tenant", "tenant")
            .expression_attribute_names("#item", "item")
            .expression_attribute_values(":tenant", AttributeValue::S(tenant.to_string()))
            .expression_attribute_values(":kind", AttributeValue::S(kind.to_owned()))
            .set_exclusive_start_key(after.map(|after| key(tenant, kind, after)))
            .limit(PAGE);
        if let Some(only) = only {
            query = query
                .projection_expression(only)
                .expression_attribute_names("#title", "title")
                .expression_attribute_names("#description", "description");
        }
        let answer = query.send().await.map_err(|error| Fault::of_aws(CALL, &error))?;
        let things = answer.items.unwrap_or_default().into_iter().map(|item| read(&Item::new(item)));
        let things = things.collect::<Option<_>>().ok_or_else(|| unreadable(&self.table))?;
        let next = match answer.last_evaluated_key.map(Item::new) {
            Some(last) => Some(named(kind, &last).ok_or_else(|| unreadable(&self.table))?),
            None => None,
        };
        Ok(Page { things, next })
    }

    async fn put(&self, item: Item) -> Result<(), NotKept> {
        const CALL: &str = "DynamoDB.PutItem";
        let put = self.dynamo.put_item().table_name(&self.table).set_item(Some(item.into_inner())).send().await;
        put.map_err(|error| Fault::of_aws(CALL, &error))?;
        Ok(())
    }
}

// What the sort key of each kind begins with.
const TOOL: &str = "tool#";
const SKILL: &str = "skill#";
const VIEW: &str = "view#";

/// The attributes of a summary: content and definitions stay in the table.
const SUMMARY: &str = "#item, #title, #description";

fn key(tenant: &TenantId, kind: &str, name: &Name) -> HashMap<String, AttributeValue> {
    let at = Item::default().with("tenant", tenant.as_str()).with("item", format!("{kind}{name}"));
    at.into_inner()
}

/// What every kind has in common.
fn head(tenant: &TenantId, kind: &str, name: &Name, title: &str, description: &str) -> Result<Item, Unfit> {
    if !(1..=TITLE_LIMIT).contains(&title.len()) {
        return Err(Unfit::Title);
    }
    if !(1..=DESCRIPTION_LIMIT).contains(&description.len()) {
        return Err(Unfit::Description);
    }
    Ok(Item::new(key(tenant, kind, name)).with("title", title).with("description", description))
}

fn json(object: &Map<String, Value>) -> Result<String, Unfit> {
    let text = serde_json::to_string(object).map_err(|_| Unfit::Json)?;
    if text.len() <= JSON_LIMIT { Ok(text) } else { Err(Unfit::Json) }
}

fn schema(object: &Map<String, Value>) -> Result<String, Unfit> {
    let text = json(object)?;
    if object.get("type").and_then(Value::as_str) != Some("object") {
        return Err(Unfit::NotAnObject);
    }
    // MCP 2026-07-28, transports: whoever declares one must check a header for it.
    if text.contains("\"x-mcp-header\":") { Err(Unfit::HeaderArguments) } else { Ok(text) }
}

/// Whether a URL can be that of a tool. Whether it may be called is decided at each call.
fn is_callable(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    text.len() <= 2048 && bare && matches!(url.scheme(), "http" | "https")
}

fn named(kind: &str, item: &Item) -> Option<Name> {
    Name::parse(item.text("item")?.strip_prefix(kind)?)
}

fn object(item: &Item, name: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(item.text(name)?).ok()
}

fn tool(item: &Item) -> Option<Tool> {
    Some(Tool {
        name: named(TOOL, item)?,
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

fn skill(item: &Item) -> Option<Skill> {
    let Summary { name, title, description } = summary(SKILL, item)?;
    Some(Skill { name, title, description, content: item.text("content")?.to_owned() })
}

fn view(item: &Item) -> Option<View> {
    let Summary { name, title, description } = summary(VIEW, item)?;
    Some(View { name, title, description, definition: object(item, "definition")? })
}

fn summary(kind: &str, item: &Item) -> Option<Summary> {
    Some(Summary {
        name: named(kind, item)?,
        title: item.text("title")?.to_owned(),
        description: item.text("description")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_thing_may_be_called() {
        for (text, fits) in [
            ("create_invoice", true),
            ("Weekly-Report-2", true),
            ("", false),
            ("a b", false),
            ("a#b", false),
            ("a.b", false),
            ("ä", false),
        ] {
            assert_eq!(Name::parse(text).is_some(), fits, "{text}");
        }
        assert!(Name::parse(&"a".repeat(64)).is_some());
        assert!(Name::parse(&"a".repeat(65)).is_none());
    }

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

    #[test]
    fn which_schemas_a_tool_may_have() {
        let of = |value: Value| schema(value.as_object().unwrap()).map(drop);

        assert_eq!(of(json!({ "type": "object" })), Ok(()));
        assert_eq!(of(json!({})), Err(Unfit::NotAnObject));
        assert_eq!(of(json!({ "type": "string" })), Err(Unfit::NotAnObject));
        assert_eq!(of(json!({ "type": "object", "description": "a".repeat(JSON_LIMIT) })), Err(Unfit::Json));
        let header =
            json!({ "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } });
        assert_eq!(of(header), Err(Unfit::HeaderArguments));
    }
}
