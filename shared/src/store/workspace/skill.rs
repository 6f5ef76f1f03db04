//! Skills: instructions that a model can follow.
//!
//! ```text
//! { tenant: "tenant#acme#skill", item: "skill#weekly-report", title: "Weekly report", description: "…",
//!   content: "# How to … {{week}} …", arguments?: "[{\"name\":\"week\",\"description\":\"…\",\"required\":true}]" }
//! ```

use serde_json::{Value, json};

use super::{CONTENT_LIMIT, Item, Name, Page, SUMMARY, Summary, ValidationError, Workspace, WriteError, head, summary};
use crate::upstream_error::UpstreamError;

const KIND: &str = "skill#";

/// Instructions for recurring work.
#[derive(Clone, Debug)]
pub struct Skill {
    /// Its name.
    pub name: Name,
    /// For people.
    pub title: String,
    /// When to use it.
    pub description: String,
    /// The instructions, in Markdown. `{{name}}` stands for the value of the argument of that name.
    pub content: String,
    /// Its arguments.
    pub arguments: Vec<Argument>,
}

/// An argument of a skill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: Name,
    /// Its description.
    pub description: String,
    /// Whether it is required.
    pub required: bool,
}

/// Most arguments of a skill.
pub const ARGUMENTS: usize = 16;

/// Most bytes of an argument's description.
pub const ARGUMENT_DESCRIPTION_LIMIT: usize = 512;

impl Workspace {
    /// The skill of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn skill(&self, name: &Name) -> Result<Option<Skill>, UpstreamError> {
        self.find(KIND, name, read).await
    }

    /// A page of the skills, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn skills(&self, after: Option<&Name>) -> Result<Page<Summary>, UpstreamError> {
        self.list(KIND, after, Some(SUMMARY), |item| summary(KIND, item)).await
    }

    /// A page of the skills, those after `after`, each with its arguments.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn skills_with_arguments(
        &self,
        after: Option<&Name>,
    ) -> Result<Page<(Summary, Vec<Argument>)>, UpstreamError> {
        let only = format!("{SUMMARY}, arguments");
        self.list(KIND, after, Some(&only), |item| Some((summary(KIND, item)?, arguments(item)?))).await
    }

    /// The first names that begin with `prefix`, at most a hundred, and whether there are more.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn skill_names(&self, prefix: &str) -> Result<(Vec<Name>, bool), UpstreamError> {
        self.names(KIND, prefix).await
    }

    /// Stores a skill, replacing one of the same name.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn put_skill(&self, skill: &Skill) -> Result<(), WriteError> {
        if skill.content.len() > CONTENT_LIMIT {
            return Err(ValidationError::Content.into());
        }
        let item = head(KIND, &skill.name, &skill.title, &skill.description)?;
        let item = item.with("content", skill.content.as_str());
        self.put(item.with_some("arguments", arguments_to_json(&skill.arguments)?)).await
    }
}

fn read(item: &Item) -> Option<Skill> {
    let Summary { name, title, description } = summary(KIND, item)?;
    let arguments = arguments(item)?;
    Some(Skill { name, title, description, content: item.text("content")?.to_owned(), arguments })
}

/// The arguments as text, if there are any.
fn arguments_to_json(arguments: &[Argument]) -> Result<Option<String>, ValidationError> {
    let repeated = |(place, argument): (usize, &Argument)| {
        arguments.iter().skip(place + 1).any(|other| other.name == argument.name)
    };
    let undescribed = |argument: &Argument| !(1..=ARGUMENT_DESCRIPTION_LIMIT).contains(&argument.description.len());
    if arguments.len() > ARGUMENTS || arguments.iter().any(undescribed) || arguments.iter().enumerate().any(repeated) {
        return Err(ValidationError::Arguments);
    }
    let all = arguments.iter().map(|Argument { name, description, required }| {
        json!({ "name": name.as_str(), "description": description, "required": required })
    });
    Ok((!arguments.is_empty()).then(|| Value::Array(all.collect()).to_string()))
}

fn arguments(item: &Item) -> Option<Vec<Argument>> {
    let Some(text) = item.text("arguments") else { return Some(Vec::new()) };
    let all: Vec<Value> = serde_json::from_str(text).ok()?;
    all.iter()
        .map(|argument| {
            Some(Argument {
                name: Name::parse(argument.get("name")?.as_str()?)?,
                description: argument.get("description")?.as_str()?.to_owned(),
                required: argument.get("required")?.as_bool()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skill_arguments_are_validated() {
        let argument = |name: &str, description: &str| Argument {
            name: Name::parse(name).unwrap(),
            description: description.to_owned(),
            required: true,
        };
        let many: Vec<_> = (0..=ARGUMENTS).map(|number| argument(&format!("a{number}"), "which")).collect();
        for (arguments, fits) in [
            (vec![], true),
            (vec![argument("week", "Which week")], true),
            (many[1..].to_vec(), true),
            (many.clone(), false),
            (vec![argument("week", "Which week"), argument("week", "Which?")], false),
            (vec![argument("week", "")], false),
            (vec![argument("week", &"a".repeat(513))], false),
        ] {
            assert_eq!(arguments_to_json(&arguments).is_ok(), fits, "{arguments:?}");
        }
    }
}
