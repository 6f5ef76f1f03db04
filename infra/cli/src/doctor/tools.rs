//! Tools of tenants that hosts refuse. `amble apply` takes none; those that were stored before are left out of the list, which nobody
//! is told.

use shared::environment::Environment;
use shared::oauth::tenant::TenantId;
use shared::store::workspace::{Name, ValidationError};

use super::finding::Check;
use super::tables;
use crate::deployment::{DeploymentError, OpenDeployment};
use crate::error::CommandError;

/// Of every tenant.
pub(crate) async fn check(opened: Result<&OpenDeployment, &DeploymentError>) -> Check {
    tables::check("tools", opened, unlisted, |check, found| {
        for (tenant, tool, why) in found {
            check.weak(
                "tool_unlisted",
                format!("the tool {tool} of the tenant {tenant} is not listed: {why}"),
                "Hosts would refuse every tool of a person for this one, so it is left out, and no model knows of it.",
                "Change it in the workspace file, and apply the file again.",
            );
        }
        if found.is_empty() {
            check.observed("hosts take the definitions of all tools of the tenants");
        }
    })
    .await
}

/// Each with the rule that it breaks.
async fn unlisted(environment: &Environment) -> Result<Vec<(TenantId, Name, ValidationError)>, CommandError> {
    let workspaces = environment.workspaces()?;
    let mut found = Vec::new();
    for tenant in environment.directory()?.list_tenants().await? {
        let workspace = workspaces.as_operator(&tenant.id);
        let mut after = None;
        loop {
            let page = workspace.tools(after.as_ref()).await?;
            let refused = page.items.into_iter().filter_map(|tool| Some((tool.check_definition().err()?, tool.name)));
            found.extend(refused.map(|(why, name)| (tenant.id.clone(), name, why)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(found)
}
