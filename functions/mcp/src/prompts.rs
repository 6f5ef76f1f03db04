//! Prompts: every skill is one, for hosts that let a person pick it and fill in what it asks for.

use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;
use shared::oauth::scope::Scope;
use shared::store::workspace::skill::{Argument, Skill};
use shared::store::workspace::{Name, Summary};
use shared::upstream_error::UpstreamError;

use crate::server::MethodError;
use crate::tools::ToolContext;

/// Most bytes of a filled-in prompt: far more than a model reads, and less than Lambda may answer.
const LIMIT: usize = 1024 * 1024;

/// A page of the prompts, those after `after`, and where it goes on; none without the scope to read them.
pub(crate) async fn list(
    context: &ToolContext<'_>,
    after: Option<&Name>,
) -> Result<(Vec<Prompt>, Option<Name>), UpstreamError> {
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

/// A prompt with what was given for its arguments.
pub(crate) async fn get(
    context: &ToolContext<'_>,
    name: &Name,
    given: &JsonObject,
) -> Result<GetPromptResult, MethodError> {
    let skill = context.workspace.skill(name).await?.ok_or(MethodError::InvalidParams("There is no such prompt"))?;
    let text = render(&skill, given)?;
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).with_description(skill.description))
}

/// The skill's content with what was given in the places of its arguments; at its end, what has no place. Arguments that the
/// skill does not have are left out, as the specification has no error for them.
fn render(skill: &Skill, given: &JsonObject) -> Result<String, MethodError> {
    let mut placeholders = Vec::new();
    for argument in &skill.arguments {
        let value = match given.get(argument.name.as_str()) {
            Some(Value::String(value)) => Some(value.as_str()),
            Some(_) => return Err(MethodError::InvalidParams("The arguments of a prompt must be strings")),
            None if argument.required => return Err(MethodError::InvalidParams("A required argument is missing")),
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
    fn push(&mut self, text: &str) -> Result<(), MethodError> {
        if self.text.len() + text.len() > LIMIT {
            return Err(MethodError::InvalidParams("The prompt would be too long with these arguments"));
        }
        self.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(content: &str, given: &Value) -> Result<String, &'static str> {
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
        render(&skill, given.as_object().unwrap()).map_err(|method_error| match method_error {
            MethodError::InvalidParams(sentence) => sentence,
            MethodError::Upstream(fault) => panic!("{fault}"),
        })
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
            ("Greet {{who}}.", json!({}), Err("A required argument is missing")),
            ("Greet {{who}}.", json!({ "who": 7 }), Err("The arguments of a prompt must be strings")),
        ] {
            assert_eq!(rendered(content, &given), text.map(str::to_owned), "{content} {given}");
        }
    }

    #[test]
    fn rendered_prompts_have_a_size_limit() {
        let (content, long) = ("{{who}}".repeat(1000), "a".repeat(100_000));

        assert_eq!(
            rendered(&content, &json!({ "who": long })),
            Err("The prompt would be too long with these arguments")
        );
    }
}
