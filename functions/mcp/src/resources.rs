//! Resources: skills and documents, for hosts that show what a person may attach to a conversation.

use rmcp::model::{
    Annotations, ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents,
    ResourceTemplate,
};
use shared::store::workspace::Summary;
use shared::store::workspace::document::{DocumentLookup, Edition};
use shared::upstream_error::UpstreamError;

use crate::error::CallError;
use crate::resource_uri::{ResourceKind, ResourceUri};
use crate::tools::tool_context::ToolContext;
use crate::{call_audit, cursor};

/// What both kinds are made of.
const MARKDOWN: &str = "text/markdown";

/// A page of what `context` may read: the skills by name, then the documents by id.
pub(crate) async fn list(context: &ToolContext<'_>, cursor: Option<&str>) -> Result<ListResourcesResult, CallError> {
    let after = cursor::parse(cursor, cursor::decode_resource)?;
    let (listed, next) = page(context, after.as_ref()).await?;
    let mut result = ListResourcesResult::with_all_items(listed);
    result.next_cursor = next.as_ref().map(cursor::encode_resource);
    Ok(result)
}

/// The templates of what `context` may read. One page: no cursor is one of ours.
pub(crate) fn list_templates(
    context: &ToolContext<'_>,
    cursor: Option<&str>,
) -> Result<ListResourceTemplatesResult, CallError> {
    cursor::parse::<ResourceUri>(cursor, |_| None)?;
    let scopes = context.access.scopes();
    let kinds = ResourceKind::ALL.into_iter().filter(|kind| scopes.contains(kind.scope()));
    Ok(ListResourceTemplatesResult::with_all_items(kinds.map(template).collect()))
}

/// What a resource says.
pub(crate) async fn read(context: &ToolContext<'_>, uri: &ResourceUri) -> Result<ReadResourceResult, CallError> {
    let markdown = markdown(context, uri).await;
    let outcome = match &markdown {
        Ok(Some(_)) => "answered",
        Ok(None) => "not_found",
        Err(_) => "fault",
    };
    call_audit::record_resource(context.access, uri, outcome);
    let markdown = markdown?.ok_or_else(|| CallError::ResourceNotFound(uri.to_string()))?;
    let contents = ResourceContents::text(markdown, uri.to_string()).with_mime_type(MARKDOWN);
    Ok(ReadResourceResult::new(vec![contents]))
}

/// A page of the resources, those after `after`, and where it goes on.
async fn page(
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

/// What a resource says, if there is one of that name.
async fn markdown(context: &ToolContext<'_>, uri: &ResourceUri) -> Result<Option<String>, UpstreamError> {
    Ok(match uri {
        ResourceUri::Skill(name) => context.workspace.skill(name).await?.map(|skill| skill.content),
        ResourceUri::Document(id, version) => match context.workspace.document(id, *version).await? {
            DocumentLookup::Found(document, _) => Some(document.content),
            DocumentLookup::VersionNotFound(_) | DocumentLookup::NotFound => None,
        },
    })
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

fn template(kind: ResourceKind) -> ResourceTemplate {
    let (name, title, description) = match kind {
        ResourceKind::Skill => ("skill", "Skill", "Instructions for recurring work"),
        ResourceKind::Document => (
            "document",
            "Document",
            "A document of the workspace, as it is now; ?version=3 after the id names an earlier version",
        ),
    };
    ResourceTemplate::new(kind.template(), name)
        .with_title(title)
        .with_description(description)
        .with_mime_type(MARKDOWN)
}
