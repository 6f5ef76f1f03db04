//! Tools that the tenant serves. `url` or `function`, never both.
//!
//! ```text
//! { tenant: "tenant#acme#tool", item: "tool#create_invoice", title: "Create an invoice", description: "…",
//!   input_schema: "{…}", output_schema?: "{…}", url: "https://tools.acme.example/invoices", timeout: 10,
//!   read_only: false, destructive: false, idempotent: false, open_world: true }
//! { …, function: "arn:aws:lambda:eu-west-1:123456789012:function:invoices:live", … }
//! ```

use serde_json::{Map, Value};
use url::Url;

use super::schema::to_stored_text;
use super::tool_timeout::ToolTimeout;
use super::{Item, Name, Page, ValidationError, Workspace, WriteError, head, named, object};
use crate::upstream_error::UpstreamError;

const KIND: &str = "tool#";

/// Tools per page: more than a tenant has.
const TOOLS_PAGE: i32 = 1000;

/// A tool that the tenant serves.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these four are MCP's annotations of a tool, each independent of the others"
)]
pub struct Tool {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// For models.
    pub description: String,
    /// JSON Schema (2020-12) of the arguments, an object.
    pub input_schema: Map<String, Value>,
    /// JSON Schema of the result, if there is one.
    pub output_schema: Option<Map<String, Value>>,
    /// How it is reached.
    pub kind: ToolEndpoint,
    /// How long it may take.
    pub timeout: ToolTimeout,
    /// It changes nothing.
    pub read_only: bool,
    /// It may destroy something.
    pub destructive: bool,
    /// Called again with the same arguments, it does nothing more.
    pub idempotent: bool,
    /// It deals with things outside the tenant.
    pub open_world: bool,
}

/// How a tool is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolEndpoint {
    /// By a POST of the arguments.
    Http {
        /// Where to.
        url: String,
    },
    /// By invoking a function of AWS Lambda. The deployment says which ones may be invoked (`ToolFunctions`).
    Lambda {
        /// Its ARN, with or without an alias or version.
        function: String,
    },
}

/// The names of built-in tools, which a tenant's tool must not have.
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

impl Workspace {
    /// The tool of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn tool(&self, name: &Name) -> Result<Option<Tool>, UpstreamError> {
        self.find(KIND, name, read).await
    }

    /// A page of the tools, those after `after`: as many as DynamoDB reads at once, which is 1 MB.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn tools(&self, after: Option<&Name>) -> Result<Page<Tool>, UpstreamError> {
        self.list_most(KIND, after, None, TOOLS_PAGE, read).await
    }

    /// Stores a tool, replacing one of the same name.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn put_tool(&self, tool: &Tool) -> Result<(), WriteError> {
        if BUILT_IN.contains(&tool.name.as_str()) {
            return Err(ValidationError::ReservedName.into());
        }
        let (attribute, at) = match &tool.kind {
            ToolEndpoint::Http { url } if is_callable(url) => ("url", url),
            ToolEndpoint::Http { .. } => return Err(ValidationError::Url.into()),
            ToolEndpoint::Lambda { function } if is_function(function) => ("function", function),
            ToolEndpoint::Lambda { .. } => return Err(ValidationError::Function.into()),
        };
        tool.check_definition()?;
        let item = head(KIND, &tool.name, &tool.title, &tool.description)?
            .with("input_schema", to_stored_text(&tool.input_schema)?)
            .with_some("output_schema", tool.output_schema.as_ref().map(to_stored_text).transpose()?)
            .with(attribute, at.as_str())
            .with("timeout", tool.timeout.seconds())
            .with("read_only", tool.read_only)
            .with("destructive", tool.destructive)
            .with("idempotent", tool.idempotent)
            .with("open_world", tool.open_world);
        self.put(item).await
    }
}

/// Whether a URL can be that of a tool. Each call checks again whether it may be called.
#[must_use]
pub fn is_callable(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    text.len() <= 1024 && bare && matches!(url.scheme(), "http" | "https")
}

/// Whether a text is the ARN of a function, with or without an alias or version (Lambda API reference, `Invoke`).
#[must_use]
pub fn is_function(text: &str) -> bool {
    let word = |text: &str, most: usize, also: &str| {
        (1..=most).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
    };
    let parts: Vec<_> = text.split(':').collect();
    let (partition, region, account, name, qualifier) = match parts.as_slice() {
        ["arn", partition, "lambda", region, account, "function", name] => (partition, region, account, name, None),
        ["arn", partition, "lambda", region, account, "function", name, qualifier] => {
            (partition, region, account, name, Some(qualifier))
        }
        _ => return false,
    };
    partition.starts_with("aws")
        && word(partition, 16, "-")
        && word(region, 32, "-")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && word(name, 64, "-_")
        && qualifier.is_none_or(|qualifier| *qualifier == "$LATEST" || word(qualifier, 128, "-_"))
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
        kind: match (item.text("url"), item.text("function")) {
            (Some(url), None) => ToolEndpoint::Http { url: url.to_owned() },
            (None, Some(function)) => ToolEndpoint::Lambda { function: function.to_owned() },
            _ => return None,
        },
        timeout: ToolTimeout::from_seconds(item.number("timeout")?)?,
        read_only: item.flag("read_only")?,
        destructive: item.flag("destructive")?,
        // Tools that were stored before these two attributes existed get the defaults of MCP.
        idempotent: item.flag("idempotent").unwrap_or(false),
        open_world: item.flag("open_world").unwrap_or(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_urls_are_validated() {
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
        assert!(!is_callable(&format!("https://tools.acme.example/{}", "a".repeat(1024))));
    }

    #[test]
    fn lambda_arns_are_validated() {
        const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:invoices";
        for (text, fits) in [
            (ARN, true),
            (&format!("{ARN}:live"), true),
            (&format!("{ARN}:7"), true),
            (&format!("{ARN}:$LATEST"), true),
            ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:a", true),
            (&format!("{ARN}:live:7"), false),
            (&format!("{ARN}:"), false),
            (&format!("{ARN}*"), false),
            (&ARN.replace("invoices", "*"), false),
            (&ARN.replace("123456789012", "12345678901"), false),
            (&ARN.replace("lambda", "states"), false),
            (&ARN.replace("function", "layer"), false),
            ("invoices", false),
            ("123456789012:function:invoices", false),
            ("", false),
        ] {
            assert_eq!(is_function(text), fits, "{text}");
        }
    }
}
