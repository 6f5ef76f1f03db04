//! Resources: skills and documents, for hosts that show what a person may attach to a conversation.

use std::fmt;

use rmcp::model::{Annotations, Resource, ResourceContents, ResourceTemplate};
use shared::oauth::scope::Scope;
use shared::oauth::scope::Scopes;
use shared::store::workspace::document::{DocumentLookup, Edition};
use shared::store::workspace::{Name, Summary};
use shared::upstream_error::UpstreamError;

use crate::tools::ToolContext;

/// What both kinds are made of.
const MARKDOWN: &str = "text/markdown";

/// What a resource is called. No two texts mean the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourceUri {
    /// `skill://{name}`.
    Skill(Name),
    /// `document://{id}`, the current version, or `document://{id}?version={version}`.
    Document(Name, Option<u32>),
}

/// What resources there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    /// Skills.
    Skill,
    /// Documents.
    Document,
}

impl ResourceUri {
    /// From text; `None` for what can be no resource of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("skill://") {
            return Name::parse(name).map(Self::Skill);
        }
        let rest = text.strip_prefix("document://")?;
        let uri = match rest.split_once("?version=") {
            Some((id, version)) => Self::Document(Name::parse(id)?, Some(version.parse().ok()?)),
            None => Self::Document(Name::parse(rest)?, None),
        };
        // `?version=03` and `?version=+3` are other texts.
        (uri.to_string() == text).then_some(uri)
    }

    /// Of which kind it is.
    pub(crate) const fn kind(&self) -> ResourceKind {
        match self {
            Self::Skill(_) => ResourceKind::Skill,
            Self::Document(..) => ResourceKind::Document,
        }
    }
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skill(name) => write!(f, "skill://{name}"),
            Self::Document(id, None) => write!(f, "document://{id}"),
            Self::Document(id, Some(version)) => write!(f, "document://{id}?version={version}"),
        }
    }
}

impl ResourceKind {
    const ALL: [Self; 2] = [Self::Skill, Self::Document];

    /// The one of that template (RFC 6570) and variable.
    pub(crate) fn of_template(template: &str, variable: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.template() == template && kind.variable() == variable)
    }

    /// What reading one needs.
    pub(crate) const fn scope(self) -> Scope {
        match self {
            Self::Skill => Scope::SkillsRead,
            Self::Document => Scope::DocumentsRead,
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Skill => "skill://{name}",
            Self::Document => "document://{id}",
        }
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::Skill => "name",
            Self::Document => "id",
        }
    }

    fn describe(self) -> ResourceTemplate {
        let (name, title, description) = match self {
            Self::Skill => ("skill", "Skill", "Instructions for recurring work"),
            Self::Document => (
                "document",
                "Document",
                "A document of the workspace, as it is now; ?version=3 after the id names an earlier version",
            ),
        };
        ResourceTemplate::new(self.template(), name)
            .with_title(title)
            .with_description(description)
            .with_mime_type(MARKDOWN)
    }
}

/// A page of what `context` may read, after `after`, and where it goes on: the skills by name, then the documents by id.
pub(crate) async fn list(
    context: &ToolContext<'_>,
    after: Option<&ResourceUri>,
) -> Result<(Vec<Resource>, Option<ResourceUri>), UpstreamError> {
    let scopes = context.access.scopes();
    let mut listed = Vec::new();
    let (skills_after, documents_after) = match after {
        None => (Some(None), None),
        Some(ResourceUri::Skill(name)) => (Some(Some(name)), None),
        Some(ResourceUri::Document(id, _)) => (None, Some(id)),
    };
    if let (Some(after), true) = (skills_after, scopes.contains(ResourceKind::Skill.scope())) {
        let page = context.workspace.skills(after).await?;
        listed.extend(page.items.into_iter().map(skill));
        if let Some(next) = page.next {
            return Ok((listed, Some(ResourceUri::Skill(next))));
        }
    }
    if !scopes.contains(ResourceKind::Document.scope()) {
        return Ok((listed, None));
    }
    let page = context.workspace.documents(documents_after).await?;
    listed.extend(page.items.into_iter().map(document));
    Ok((listed, page.next.map(|next| ResourceUri::Document(next, None))))
}

/// The templates of what `scopes` allow to read.
pub(crate) fn templates(scopes: Scopes) -> Vec<ResourceTemplate> {
    ResourceKind::ALL.into_iter().filter(|kind| scopes.contains(kind.scope())).map(ResourceKind::describe).collect()
}

/// What a resource says, if there is one of that name.
pub(crate) async fn read(
    context: &ToolContext<'_>,
    uri: &ResourceUri,
) -> Result<Option<ResourceContents>, UpstreamError> {
    let content = match uri {
        ResourceUri::Skill(name) => context.workspace.skill(name).await?.map(|skill| skill.content),
        ResourceUri::Document(id, version) => match context.workspace.document(id, *version).await? {
            DocumentLookup::Found(document, _) => Some(document.content),
            DocumentLookup::VersionNotFound(_) | DocumentLookup::NotFound => None,
        },
    };
    Ok(content.map(|content| ResourceContents::text(content, uri.to_string()).with_mime_type(MARKDOWN)))
}

fn skill(Summary { name, title, description }: Summary) -> Resource {
    Resource::new(ResourceUri::Skill(name.clone()).to_string(), name.to_string())
        .with_title(title)
        .with_description(description)
        .with_mime_type(MARKDOWN)
}

fn document(Edition { id, title, size, written, .. }: Edition) -> Resource {
    let mut annotations = Annotations::default();
    annotations.last_modified = Some(written.to_rfc3339());
    Resource::new(ResourceUri::Document(id.clone(), None).to_string(), id.to_string())
        .with_title(title)
        .with_mime_type(MARKDOWN)
        .with_size(size.into())
        .with_annotations(annotations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_uris_parse_only_in_canonical_form() {
        for text in ["skill://weekly-report", "document://Handbook_2", "document://Handbook_2?version=3"] {
            assert_eq!(ResourceUri::parse(text).map(|uri| uri.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "skill://",
            "skill://a/b",
            "skill://a?version=1",
            "skill:a",
            "SKILL://a",
            "document://",
            "document://a/",
            "document://a?version=",
            "document://a?version=03",
            "document://a?version=+3",
            "document://a?version=-1",
            "document://a?version=3&version=4",
            "document://a?version=99999999999",
            "document://a%62",
            "file:///etc/passwd",
            "https://example.com/",
        ] {
            assert_eq!(ResourceUri::parse(text), None, "{text}");
        }
    }
}
