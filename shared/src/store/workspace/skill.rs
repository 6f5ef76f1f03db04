//! Skills: instructions that a model can follow.
//!
//! ```text
//! { tenant: "acme", item: "skill#weekly-report", title: "Weekly report", description: "…", content: "# How to …" }
//! ```

use super::{CONTENT_LIMIT, Item, Name, NotKept, Page, SUMMARY, Summary, Unfit, Workspace, summary};
use crate::fault::Fault;

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
    /// The instructions, in Markdown.
    pub content: String,
}

impl Workspace {
    /// The skill of that name.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn skill(&self, name: &Name) -> Result<Option<Skill>, Fault> {
        self.find(KIND, name, read).await
    }

    /// A page of the skills, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn skills(&self, after: Option<&Name>) -> Result<Page<Summary>, Fault> {
        self.list(KIND, after, Some(SUMMARY), |item| summary(KIND, item)).await
    }

    /// Keeps a skill, replacing one of the same name.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn keep_skill(&self, skill: &Skill) -> Result<(), NotKept> {
        if skill.content.len() > CONTENT_LIMIT {
            return Err(Unfit::Content.into());
        }
        let item = self.head(KIND, &skill.name, &skill.title, &skill.description)?;
        self.put(item.with("content", skill.content.as_str())).await
    }
}

fn read(item: &Item) -> Option<Skill> {
    let Summary { name, title, description } = summary(KIND, item)?;
    Some(Skill { name, title, description, content: item.text("content")?.to_owned() })
}
