//! Everything that a tenant has, of whatever kind.

use serde_json::Value;
use shared::clock::Timestamp;
use shared::fault::Fault;
use shared::store::workspace::skill::Skill;
use shared::store::workspace::tool::Tool;
use shared::store::workspace::view::View;
use shared::store::workspace::{NotKept, Workspace};

use crate::{skill, tool, view};

/// One of them, as the file wants it.
#[derive(Clone, Debug)]
pub(crate) enum Thing {
    Tool(Tool),
    Skill(Skill),
    View(View),
}

impl Thing {
    /// Kind and name, as a line of a plan shows it.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Tool(tool) => format!("tool {}", tool.name),
            Self::Skill(skill) => format!("skill {}", skill.name),
            Self::View(view) => format!("view {}", view.name),
        }
    }

    /// What is compared: an object.
    pub(crate) fn face(&self) -> Value {
        match self {
            Self::Tool(tool) => tool::face(tool),
            Self::Skill(skill) => skill::face(skill),
            Self::View(view) => view::face(view),
        }
    }

    /// The same of what the tenant has by that name.
    pub(crate) async fn face_now(&self, workspace: &Workspace) -> Result<Option<Value>, Fault> {
        Ok(match self {
            Self::Tool(it) => workspace.tool(&it.name).await?.as_ref().map(tool::face),
            Self::Skill(it) => workspace.skill(&it.name).await?.as_ref().map(skill::face),
            Self::View(it) => workspace.view(&it.name).await?.as_ref().map(view::face),
        })
    }

    /// Gives it to the tenant.
    pub(crate) async fn keep(&self, workspace: &Workspace, _now: Timestamp) -> Result<(), NotKept> {
        match self {
            Self::Tool(tool) => workspace.keep_tool(tool).await,
            Self::Skill(skill) => workspace.keep_skill(skill).await,
            Self::View(view) => workspace.keep_view(view).await,
        }
    }
}
