//! Prompts: every skill is one, for hosts that let a person pick it and fill in what it asks for.

use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;
use shared::oauth::scope::Scope;
use shared::store::workspace::skill::{Argument, Skill};
use shared::store::workspace::{Name, Summary};
use shared::upstream_error::UpstreamError;

use crate::server::Unserved;
use crate::tools::Work;

/// Most bytes of a filled-in prompt: far more than a model reads, and less than Lambda may answer.
const LIMIT: usize = 1024 * 1024;

/// A page of the prompts, those after `after`, and where it goes on; none without the scope to read them.
pub(crate) async fn list(work: &Work<'_>, after: Option<&Name>) -> Result<(Vec<Prompt>, Option<Name>), UpstreamError> {
    if !work.access.scopes().contains(Scope::SkillsRead) {
        return Ok((Vec::new(), None));
    }
    let page = work.workspace.skills_with_arguments(after).await?;
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
pub(crate) async fn get(work: &Work<'_>, name: &Name, given: &JsonObject) -> Result<GetPromptResult, Unserved> {
    let skill = work.workspace.skill(name).await?.ok_or(Unserved::Params("There is no such prompt"))?;
    let text = fill(&skill, given)?;
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).with_description(skill.description))
}

/// The skill's content with what was given in the places of its arguments; at its end, what has no place. Arguments that the
/// skill does not have are left out, as the specification has no error for them.
fn fill(skill: &Skill, given: &JsonObject) -> Result<String, Unserved> {
    let mut places = Vec::new();
    for argument in &skill.arguments {
        let value = match given.get(argument.name.as_str()) {
            Some(Value::String(value)) => Some(value.as_str()),
            Some(_) => return Err(Unserved::Params("The arguments of a prompt must be strings")),
            None if argument.required => return Err(Unserved::Params("A required argument is missing")),
            None => None,
        };
        places.push(Place { name: argument.name.as_str(), value, seen: false });
    }
    let mut filled = Filled { text: String::new() };
    // Once through the content: what was given is never itself filled in.
    let mut rest = skill.content.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push(before)?;
        let named =
            after.split_once(['{', '}']).and_then(|(name, after)| Some((name.trim(), after.strip_prefix('}')?)));
        let place = named.and_then(|(name, after)| Some((places.iter_mut().find(|place| place.name == name)?, after)));
        if let Some((place, after)) = place {
            place.seen = true;
            filled.push(place.value.unwrap_or_default())?;
            rest = after;
        } else {
            filled.push("{{")?;
            rest = after;
        }
    }
    filled.push(rest)?;
    for Place { name, value, seen } in places {
        if let (Some(value), false) = (value, seen) {
            filled.push(&format!("\n\n{name}: {value}"))?;
        }
    }
    Ok(filled.text)
}

/// Where a skill's content wants an argument.
struct Place<'a> {
    name: &'a str,
    value: Option<&'a str>,
    seen: bool,
}

/// A prompt being filled in: a short content can ask for a long argument many times.
struct Filled {
    text: String,
}

impl Filled {
    fn push(&mut self, text: &str) -> Result<(), Unserved> {
        if self.text.len() + text.len() > LIMIT {
            return Err(Unserved::Params("The prompt would be too long with these arguments"));
        }
        self.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(content: &str, given: &Value) -> Result<String, &'static str> {
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
        fill(&skill, given.as_object().unwrap()).map_err(|unserved| match unserved {
            Unserved::Params(sentence) => sentence,
            Unserved::Upstream(fault) => panic!("{fault}"),
        })
    }

    #[test]
    fn what_becomes_of_a_content_and_its_arguments() {
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
            assert_eq!(filled(content, &given), text.map(str::to_owned), "{content} {given}");
        }
    }

    #[test]
    fn a_prompt_does_not_grow_without_end() {
        let (content, long) = ("{{who}}".repeat(1000), "a".repeat(100_000));

        assert_eq!(filled(&content, &json!({ "who": long })), Err("The prompt would be too long with these arguments"));
    }
}
