//! The tools that a tenant has registered: a POST of the arguments to the tool's URL, through the outbound guard.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::Value;
use shared::fault::Fault;
use shared::oauth::scope::Scope;
use shared::outbound::{Answer, Fetch, Outbound, Refused};
use shared::store::workspace::{Name, tool};

use super::schema::{Unchecked, check};
use super::{BuiltIn, Outcome, Undone, Work};

/// The most bytes that a tool may answer: far more than a model reads.
const ANSWER_LIMIT: usize = 256 * 1024;
/// The most characters of a failed tool's own words that are passed on.
const EXCERPT: usize = 2000;

/// A page of the tenant's tools, those after `after`, and where it goes on; none without the scope to call them.
pub(crate) async fn list(work: &Work<'_>, after: Option<&Name>) -> Result<(Vec<Tool>, Option<Name>), Fault> {
    if !work.access.scopes().contains(Scope::ToolsExecute) {
        return Ok((Vec::new(), None));
    }
    let page = work.workspace.tools(after).await?;
    // A name that has become ours since it was registered calls ours.
    let theirs = page.things.into_iter().filter(|tool| BuiltIn::named(tool.name.as_str()).is_none());
    Ok((theirs.map(describe).collect(), page.next))
}

fn describe(tool: tool::Tool) -> Tool {
    let annotations = ToolAnnotations::new()
        .read_only(tool.read_only)
        .destructive(tool.destructive && !tool.read_only)
        .open_world(true);
    let described =
        Tool::new(tool.name.to_string(), tool.description, Arc::new(tool.input_schema)).with_title(tool.title);
    let described = described.with_annotations(annotations);
    match tool.output_schema {
        Some(schema) => described.with_raw_output_schema(Arc::new(schema)),
        None => described,
    }
}

/// Calls the tenant's tool of that name, if there is one.
pub(crate) async fn call(name: &Name, arguments: JsonObject, work: &Work<'_>) -> Result<Option<Outcome>, Undone> {
    let Some(tool) = work.workspace.tool(name).await? else { return Ok(None) };
    post(&tool, arguments, work.outbound).await.map(Some)
}

async fn post(tool: &tool::Tool, arguments: JsonObject, outbound: &Outbound) -> Result<Outcome, Undone> {
    let arguments = Value::Object(arguments);
    check(&tool.input_schema, &arguments).map_err(|why| match why {
        Unchecked::Unusable => unusable(),
        Unchecked::TooLarge => {
            Undone::failed("too_large", "The arguments are too large to be checked. Send less at once.")
        }
        Unchecked::Wrong(mistakes) => {
            Undone::failed("invalid_arguments", format!("The arguments do not fit the tool's schema:\n{mistakes}"))
        }
    })?;
    let body = arguments.to_string().into_bytes();
    let fetch =
        Fetch::post_json(&tool.url, body, tool.timeout, ANSWER_LIMIT).accepting("application/json, text/*;q=0.5");
    let answer = outbound.fetch(fetch).await.map_err(|refused| {
        let why = match refused {
            Refused::TimedOut => "timed_out",
            Refused::Unreachable | Refused::Unresolved => "unreachable",
            Refused::QuestionTooLarge | Refused::AnswerTooLarge => "too_large",
            Refused::NotAnAddress | Refused::Insecure | Refused::Userinfo | Refused::Port | Refused::SpecialUse => {
                "guarded"
            }
        };
        Undone::failed(why, format!("The tool did not answer: {refused}."))
    })?;
    read(tool, &answer)
}

/// What a tool answered, as a model can use it.
fn read(tool: &tool::Tool, answer: &Answer) -> Result<Outcome, Undone> {
    let media = answer.media_type();
    let json = media == "application/json" || media.ends_with("+json");
    let text = std::str::from_utf8(&answer.body).ok().filter(|_| json || media.starts_with("text/"));
    if !answer.status.is_success() {
        let said: String = text.unwrap_or_default().chars().take(EXCERPT).collect();
        let status = answer.status.as_u16();
        return Err(Undone::failed(
            "status",
            format!("The tool answered with HTTP status {status}.\n{said}").trim_end(),
        ));
    }
    let unreadable = |message: &str| Undone::failed("unreadable", message);
    if json {
        let value: Value =
            serde_json::from_slice(&answer.body).map_err(|_| unreadable("The tool's answer is not JSON."))?;
        if let Some(schema) = &tool.output_schema {
            check(schema, &value).map_err(|why| match why {
                Unchecked::Unusable => unusable(),
                Unchecked::TooLarge => unreadable("The tool's answer is too large to be checked."),
                Unchecked::Wrong(mistakes) => {
                    unreadable(&format!("The tool's answer does not fit its own schema:\n{mistakes}"))
                }
            })?;
        }
        // Before 2026-07-28 only an object can be structured content.
        return Ok(if value.is_object() { Outcome::Structured(value) } else { Outcome::Text(value.to_string()) });
    }
    match text {
        // MCP: whoever promises a structure keeps it.
        _ if tool.output_schema.is_some() => {
            Err(unreadable("The tool's answer is not JSON, which its schema promises."))
        }
        _ if answer.body.is_empty() => Ok(Outcome::Text("The tool has done it, and says nothing.".to_owned())),
        Some(text) => Ok(Outcome::Text(text.to_owned())),
        None => Err(unreadable("The tool's answer is neither JSON nor text.")),
    }
}

fn unusable() -> Undone {
    Undone::failed("unusable_schema", "The tool is registered with a schema that cannot be used.")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn tool(url: &str) -> tool::Tool {
        let Value::Object(schema) = json!({
            "type": "object",
            "properties": { "number": { "type": "string", "pattern": "^[0-9]+$" } },
            "required": ["number"],
            "additionalProperties": false,
        }) else {
            unreachable!()
        };
        tool::Tool {
            name: Name::parse("find_invoice").unwrap(),
            title: "Find an invoice".to_owned(),
            description: "By its number".to_owned(),
            input_schema: schema,
            output_schema: None,
            url: url.to_owned(),
            timeout: Duration::from_secs(1),
            read_only: true,
            destructive: false,
        }
    }

    fn arguments(value: &Value) -> JsonObject {
        value.as_object().unwrap().clone()
    }

    /// What the model is told when the tool answers so.
    async fn answering(answer: String, change: impl FnOnce(&mut tool::Tool)) -> (Result<Outcome, Undone>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = vec![0; 4096];
            let length = stream.read(&mut heard).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&heard[..length]).into_owned()
        });
        let mut tool = tool(&format!("{origin}/find"));
        change(&mut tool);
        let outbound = Outbound::vouching_for(vec![origin]);
        let outcome = post(&tool, arguments(&json!({ "number": "17" })), &outbound).await;
        (outcome, served.await.unwrap())
    }

    fn http(status: &str, media: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_tool_is_sent_its_arguments_and_its_answer_is_structured() {
        let (outcome, heard) = answering(http("200 OK", "application/json", r#"{"paid":true}"#), |_| {}).await;

        assert!(matches!(outcome, Ok(Outcome::Structured(value)) if value == json!({ "paid": true })));
        assert!(heard.starts_with("POST /find HTTP/1.1\r\n"), "{heard}");
        assert!(heard.ends_with("\r\n\r\n{\"number\":\"17\"}"), "{heard}");
        assert!(!heard.to_ascii_lowercase().contains("authorization"), "{heard}");
    }

    #[tokio::test]
    async fn what_the_model_is_told() {
        let promising = |tool: &mut tool::Tool| {
            tool.output_schema = Some(arguments(&json!({ "type": "object", "required": ["paid"] })));
        };
        let plain = |_: &mut tool::Tool| {};
        let long = "x".repeat(ANSWER_LIMIT + 1);
        for (answer, promises, told) in [
            (http("200 OK", "application/json", "[1,2]"), false, "[1,2]"),
            (http("200 OK", "text/plain; charset=utf-8", "paid"), false, "paid"),
            (http("204 No Content", "text/plain", ""), false, "The tool has done it, and says nothing."),
            (http("200 OK", "application/json", "{"), false, "The tool's answer is not JSON."),
            (http("200 OK", "image/png", "x"), false, "The tool's answer is neither JSON nor text."),
            (http("200 OK", "text/plain", "paid"), true, "The tool's answer is not JSON, which its schema promises."),
            (
                http("200 OK", "application/json", "{}"),
                true,
                "The tool's answer does not fit its own schema:\n- /: \"paid\" is a required property",
            ),
            (http("404 Not Found", "text/plain", "no 17"), false, "The tool answered with HTTP status 404.\nno 17"),
            (http("302 Found", "text/html", ""), false, "The tool answered with HTTP status 302."),
            (http("200 OK", "text/plain", &long), false, "The tool did not answer: its answer is too large."),
        ] {
            let (outcome, _) = answering(answer, if promises { promising } else { plain }).await;
            match outcome {
                Ok(Outcome::Text(said)) | Err(Undone::Failed { message: said, .. }) => assert_eq!(said, told),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn arguments_that_do_not_fit_are_not_sent() {
        let outbound = Outbound::vouching_for(vec![]);
        for (given, told) in [
            (json!({}), "- /: \"number\" is a required property"),
            (json!({ "number": 17 }), "- /number: 17 is not of type \"string\""),
            (json!({ "number": "x" }), "- /number: \"x\" does not match \"^[0-9]+$\""),
            (json!({ "number": "1", "b": 1 }), "- /: Additional properties are not allowed ('b' was unexpected)"),
        ] {
            let Err(Undone::Failed { why, message }) =
                post(&tool("https://1.1.1.1/"), arguments(&given), &outbound).await
            else {
                panic!("sent")
            };
            assert_eq!(
                (why, message),
                ("invalid_arguments", format!("The arguments do not fit the tool's schema:\n{told}"))
            );
        }
    }

    #[tokio::test]
    async fn a_tool_inside_the_network_is_not_called() {
        let outbound = Outbound::vouching_for(vec![]);
        for (url, told) in [
            ("https://169.254.169.254/", "its address is not on the public internet"),
            ("https://localhost/", "its address is not on the public internet"),
            ("http://tools.acme.example/", "its address is not https"),
        ] {
            let given = arguments(&json!({ "number": "17" }));
            let Err(Undone::Failed { why, message }) = post(&tool(url), given, &outbound).await else {
                panic!("called")
            };
            assert_eq!((why, message), ("guarded", format!("The tool did not answer: {told}.")), "{url}");
        }
    }
}
