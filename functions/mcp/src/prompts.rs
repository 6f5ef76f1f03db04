//! Prompts: every skill is one, for hosts that let a person pick it and fill in what it asks for.

use rmcp::model::{GetPromptResult, JsonObject, ListPromptsResult, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;
use shared::oauth::scope::Scope;
use shared::store::workspace::skill::{Argument, Skill};
use shared::store::workspace::{Name, Summary};
use shared::upstream_error::UpstreamError;

use crate::error::CallError;
use crate::tools::tool_context::ToolContext;
use crate::{call_audit, cursor};

/// Most bytes of a filled-in prompt: far more than a model reads, and less than Lambda may answer.
const LIMIT: usize = 1024 * 1024;

/// A page of the prompts.
pub(crate) async fn list(context: &ToolContext<'_>, cursor: Option<&str>) -> Result<ListPromptsResult, CallError> {
    let after = cursor::parse(cursor, cursor::decode_name)?;
    let (listed, next) = page(context, after.as_ref()).await?;
    let mut result = ListPromptsResult::with_all_items(listed);
    result.next_cursor = next.as_ref().map(cursor::encode_name);
    Ok(result)
}

/// A prompt with what was given for its arguments.
pub(crate) async fn get(
    context: &ToolContext<'_>,
    name: &Name,
    given: &JsonObject,
) -> Result<GetPromptResult, CallError> {
    let filled_in = fill_in(context, name, given).await;
    let outcome = match &filled_in {
        Ok(_) => "answered",
        Err(CallError::Upstream(_)) => "fault",
        Err(CallError::PromptNotFound) => "not_found",
        Err(_) => "invalid_params",
    };
    call_audit::record_prompt(context.access, name, outcome);
    filled_in
}

/// A page of the prompts, those after `after`, and where it goes on; none without the scope to read them.
async fn page(context: &ToolContext<'_>, after: Option<&Name>) -> Result<(Vec<Prompt>, Option<Name>), UpstreamError> {
    if !context.access.scopes().contains(Scope::SkillsRead) {
        return Ok((Vec::new(), None));
    }
    let page = context.workspace.skills_with_arguments(after).await?;
    let prompts = page.items.into_iter().map(|(Summary { name, title, description }, arguments)| {
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|Argument { name, description, required }| {
                PromptArgument::new(name.to_string()).with_description(description).with_required(required)
            })
            .collect();
        let arguments = (!arguments.is_empty()).then_some(arguments);
        Prompt::new(name.to_string(), Some(description), arguments).with_title(title)
    });
    Ok((prompts.collect(), page.next))
}

async fn fill_in(context: &ToolContext<'_>, name: &Name, given: &JsonObject) -> Result<GetPromptResult, CallError> {
    let skill = context.workspace.skill(name).await?.ok_or(CallError::PromptNotFound)?;
    let text = render(&skill, given)?;
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).with_description(skill.description))
}

/// The skill's content with what was given in the places of its arguments; at its end, what has no place. Arguments that the
/// skill does not have are left out, as the specification has no error for them.
fn render(skill: &Skill, given: &JsonObject) -> Result<String, CallError> {
    let mut placeholders = Vec::new();
    for argument in &skill.arguments {
        let value = match given.get(argument.name.as_str()) {
            Some(Value::String(value)) => Some(value.as_str()),
            Some(_) => return Err(CallError::PromptArgumentNotAString),
            None if argument.required => return Err(CallError::MissingPromptArgument),
            None => None,
        };
        placeholders.push(Placeholder { name: argument.name.as_str(), value, seen: false });
    }
    let mut rendered = RenderedPrompt { text: String::new() };
    // Once through the content: what was given is never itself filled in.
    let mut rest = skill.content.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        rendered.push(before)?;
        let named =
            after.split_once(['{', '}']).and_then(|(name, after)| Some((name.trim(), after.strip_prefix('}')?)));
        let placeholder = named.and_then(|(name, after)| {
            Some((placeholders.iter_mut().find(|placeholder| placeholder.name == name)?, after))
        });
        if let Some((placeholder, after)) = placeholder {
            placeholder.seen = true;
            rendered.push(placeholder.value.unwrap_or_default())?;
            rest = after;
        } else {
            rendered.push("{{")?;
            rest = after;
        }
    }
    rendered.push(rest)?;
    for Placeholder { name, value, seen } in placeholders {
        if let (Some(value), false) = (value, seen) {
            rendered.push(&format!("\n\n{name}: {value}"))?;
        }
    }
    Ok(rendered.text)
}

/// Where a skill's content wants an argument.
struct Placeholder<'a> {
    name: &'a str,
    value: Option<&'a str>,
    seen: bool,
}

/// A prompt being filled in: a short content can ask for a long argument many times.
struct RenderedPrompt {
    text: String,
}

impl RenderedPrompt {
    fn push(&mut self, text: &str) -> Result<(), CallError> {
        if self.text.len() + text.len() > LIMIT {
            return Err(CallError::PromptTooLong);
        }
        self.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The text, or the name of the error.
    fn rendered(content: &str, given: &Value) -> Result<String, String> {
        let argument = |name: &str, required| Argument {
            name: Name::parse(name).unwrap(),
            description: "which".to_owned(),
            required,
        };
        let skill = Skill {
            name: Name::parse("greeting").unwrap(),
            title: "Greeting".to_owned(),
            description: "How to greet".to_owned(),
            content: content.to_owned(),
            arguments: vec![argument("who", true), argument("when", false)],
        };
        render(&skill, given.as_object().unwrap()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        for (content, given, text) in [
            ("Greet {{who}}.", json!({ "who": "Ana" }), Ok("Greet Ana.")),
            ("Greet {{ who }}, {{who}}!", json!({ "who": "Ana" }), Ok("Greet Ana, Ana!")),
            ("{{who}} {{when}}", json!({ "who": "{{when}}", "when": "now" }), Ok("{{when}} now")),
            ("{{who}}{{when}}.", json!({ "who": "Ana" }), Ok("Ana.")),
            ("{{who} {{who}} {{who}}}", json!({ "who": "Ana" }), Ok("{{who} Ana Ana}")),
            ("Greet.", json!({ "who": "Ana" }), Ok("Greet.\n\nwho: Ana")),
            ("{{other}} {{ {{who}} }} {{", json!({ "who": "Ana" }), Ok("{{other}} {{ Ana }} {{")),
            ("Greet {{who}}.", json!({ "who": "Ana", "other": 1 }), Ok("Greet Ana.")),
            ("Greet {{who}}.", json!({}), Err("MissingPromptArgument")),
            ("Greet {{who}}.", json!({ "who": 7 }), Err("PromptArgumentNotAString")),
        ] {
            let rendered = rendered(content, &given);
            assert_eq!(rendered.as_deref().map_err(String::as_str), text, "{content} {given}");
        }
    }

    #[test]
    fn rendered_prompts_have_a_size_limit() {
        let (content, long) = ("{{who}}".repeat(1000), "a".repeat(100_000));

        assert_eq!(rendered(&content, &json!({ "who": long })), Err("PromptTooLong".to_owned()));
    }
}
