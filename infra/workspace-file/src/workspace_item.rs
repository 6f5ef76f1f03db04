//! Everything that a tenant has, of whatever kind.

use serde_json::Value;
use shared::clock::Timestamp;
use shared::store::workspace::document::DocumentLookup;
use shared::store::workspace::entity_type::EntityType;
use shared::store::workspace::skill::Skill;
use shared::store::workspace::tool::Tool;
use shared::store::workspace::view::View;
use shared::store::workspace::{Workspace, WriteError};
use shared::upstream_error::UpstreamError;

use crate::document::Document;
use crate::entity::Entity;
use crate::{document, entity_type, skill, tool, view};

/// One of them, as the file wants it.
#[derive(Clone, Debug)]
pub(crate) enum WorkspaceItem {
    Tool(Tool),
    Skill(Skill),
    EntityType(EntityType),
    Entity(Entity),
    View(View),
    Document(Document),
}

impl WorkspaceItem {
    /// Kind and name, as a line of a plan shows it.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Tool(tool) => format!("tool {}", tool.name),
            Self::Skill(skill) => format!("skill {}", skill.name),
            Self::EntityType(declared) => format!("entity type {}", declared.name),
            Self::Entity(Entity { kind, id, .. }) => format!("{kind} {id}"),
            Self::View(view) => format!("view {}", view.name),
            Self::Document(document) => format!("document {}", document.id),
        }
    }

    /// What is compared: an object.
    pub(crate) fn comparable(&self) -> Value {
        match self {
            Self::Tool(tool) => tool::comparable(tool),
            Self::Skill(skill) => skill::comparable(skill),
            Self::EntityType(declared) => entity_type::comparable(declared),
            Self::Entity(entity) => Value::Object(entity.fields.clone()),
            Self::View(view) => view::comparable(view),
            Self::Document(Document { title, content, .. }) => document::comparable(title, content),
        }
    }

    /// The same of what the tenant has by that name.
    pub(crate) async fn stored_comparable(&self, workspace: &Workspace) -> Result<Option<Value>, UpstreamError> {
        Ok(match self {
            Self::Tool(it) => workspace.tool(&it.name).await?.as_ref().map(tool::comparable),
            Self::Skill(it) => workspace.skill(&it.name).await?.as_ref().map(skill::comparable),
            Self::EntityType(it) => workspace.entity_type(&it.name).await?.as_ref().map(entity_type::comparable),
            Self::Entity(Entity { kind, id, .. }) => {
                workspace.entity(kind, id).await?.map(|entity| Value::Object(entity.fields))
            }
            Self::View(it) => workspace.view(&it.name).await?.as_ref().map(view::comparable),
            Self::Document(it) => match workspace.document(&it.id, None).await? {
                DocumentLookup::Found(now, _) => Some(document::comparable(&now.edition.title, &now.content)),
                DocumentLookup::VersionNotFound(_) | DocumentLookup::NotFound => None,
            },
        })
    }

    /// Gives it to the tenant.
    pub(crate) async fn save(&self, workspace: &Workspace, now: Timestamp) -> Result<(), WriteError> {
        match self {
            Self::Tool(tool) => workspace.put_tool(tool).await,
            Self::Skill(skill) => workspace.put_skill(skill).await,
            Self::EntityType(declared) => workspace.put_entity_type(declared).await,
            Self::Entity(Entity { kind, id, fields }) => workspace.put_entity(kind, id, fields, now).await,
            Self::View(view) => workspace.put_view(view).await,
            Self::Document(Document { id, title, content }) => workspace.put_document(id, title, content, now).await,
        }
    }
}
