//! The workspace file: what tenants are to have, written down once and applied as often as one likes.
//!
//! ```yaml
//! tenants:
//!   acme:
//!     name: Acme
//!     roles:
//!       editor: [skills:read, documents:write]
//!     members:
//!       5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01: { name: Ana, role: owner }
//!     tools: …          # each of these by its name, as the file of its kind in here shows it
//!     skills: …
//!     entity_types: …
//!     entities: …
//!     views: …
//!     documents: …
//! local: …              # what the local system alone may do: `allowed_origin`
//! ```
//!
//! A file is read whole, every error in it named with its line, before anything is done. [`WorkspaceFile::plan`] compares it
//! with what there is; [`Plan::apply`] writes what differs, so that a second time nothing is written, and an interrupted
//! one is completed. What the file does not name is left alone. Editors check it by `workspace-file.schema.json` beside `src`.

pub mod allowed_origin;
mod document;
mod entity;
mod entity_type;
#[cfg(test)]
mod json_schema;
pub mod plan;
mod reader;
mod schema;
mod skill;
pub mod tenant;
mod tool;
pub mod validation_error;
mod view;
mod workspace_item;
mod yaml;

use std::collections::BTreeMap;
use std::path::Path;

use allowed_origin::AllowedOrigin;
use plan::Plan;
use reader::{Entry, FILE, Reader};
use shared::oauth::tenant::TenantId;
use shared::store::directory::Directory;
use shared::store::workspace::Workspaces;
use shared::store::workspace::tool::Tool;
use shared::upstream_error::UpstreamError;
use tenant::TenantDefinition;
use validation_error::{ValidationError, ValidationErrors};
use workspace_item::WorkspaceItem;

/// What differs between deployments: `${NAME}` in the address of a tool is replaced by it.
pub type Variables = BTreeMap<String, String>;

/// A file that has no error.
#[derive(Clone, Debug)]
pub struct WorkspaceFile {
    tenants: Vec<TenantDefinition>,
    outbound_allow: Vec<AllowedOrigin>,
}

impl WorkspaceFile {
    /// Reads a file, and the files that it names.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn read(path: &Path, variables: &Variables) -> Result<Self, ValidationErrors> {
        let named = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            ValidationErrors::new(&named, vec![ValidationError::for_file(format!("cannot be read: {error}"))])
        })?;
        // The parent of a bare name is the empty path, which is where we are.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&text, &named, Some(folder), variables)
    }

    /// Reads the text of a file. `named` is what errors call it; without `folder`, it can name no other files.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn parse(
        text: &str,
        named: &str,
        folder: Option<&Path>,
        variables: &Variables,
    ) -> Result<Self, ValidationErrors> {
        let mut reader = Reader { errors: Vec::new(), variables, folder };
        let file = yaml::read(text, &mut reader.errors).and_then(|root| {
            let whole = Entry { name: named, subject: FILE.to_owned(), location: root.location, node: &root };
            let fields = reader.fields(&whole, &["tenants", "local"])?;
            let local = fields.optional("local");
            let outbound_allow = local.map_or_else(Vec::new, |node| allowed_origin::read(&mut reader, node));
            fields.required(&mut reader, "tenants")?;
            Some(Self { tenants: fields.tenants(&mut reader), outbound_allow })
        });
        match file {
            Some(file) if reader.errors.is_empty() => Ok(file),
            _ => Err(ValidationErrors::new(named, reader.errors)),
        }
    }

    /// Compares it with what there is.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn plan(&self, directory: &Directory, workspaces: &Workspaces) -> Result<Plan<'_>, UpstreamError> {
        Plan::of(&self.tenants, directory, workspaces).await
    }

    /// The tenants it describes, and who is a member of each.
    #[must_use]
    pub fn tenants(&self) -> &[TenantDefinition] {
        &self.tenants
    }

    /// The tools it describes, each with its tenant.
    pub fn tools(&self) -> impl Iterator<Item = (&TenantId, &Tool)> {
        self.tenants.iter().flat_map(|definition| {
            definition.items.iter().filter_map(|item| match item {
                WorkspaceItem::Tool(tool) => Some((&definition.tenant.id, tool)),
                _ => None,
            })
        })
    }

    /// The origins at which the local system may call tools, besides those of the internet.
    #[must_use]
    pub fn outbound_allow(&self) -> &[AllowedOrigin] {
        &self.outbound_allow
    }
}

#[cfg(test)]
mod tests;
