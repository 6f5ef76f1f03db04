//! Tenants whose items lie in one partition, and those whose move was not ended: nobody can write there.

use shared::environment::Environment;
use shared::oauth::tenant::TenantId;
use shared::store::workspace_layout::WorkspaceLayout;

use super::finding::Check;
use super::tables;
use crate::deployment::{DeploymentError, OpenDeployment};
use crate::error::CommandError;

/// Of every tenant.
pub(crate) async fn check(opened: Result<&OpenDeployment, &DeploymentError>) -> Check {
    tables::check("layouts", opened, layouts, |check, found| {
        for (tenant, _) in found.iter().filter(|(_, layout)| layout.is_moving()) {
            check.weak(
                "workspace_moving",
                format!("what tenant {tenant} has is being moved"),
                "Nothing can be written there until that has ended.",
                "Unless `amble tenant migrate` is at work, run it again as it was run, with or without --back.",
            );
        }
        let whole: Vec<_> = found.iter().filter(|(_, layout)| *layout == WorkspaceLayout::Whole).collect();
        if let [(tenant, _), ..] = whole.as_slice() {
            check.weak(
                "workspace_whole",
                format!("tenants with one partition for all that they have: {}, such as {tenant}", whole.len()),
                "What is busy there slows all else of the same tenant.",
                "Move them with `amble tenant migrate --all`, when no earlier version is to be deployed again.",
            );
        }
        if check.is_free_of_findings() {
            check.observed(format!("{} tenants, each with a partition for each kind", found.len()));
        }
    })
    .await
}

async fn layouts(environment: &Environment) -> Result<Vec<(TenantId, WorkspaceLayout)>, CommandError> {
    Ok(environment.directory()?.list_layouts().await?)
}
