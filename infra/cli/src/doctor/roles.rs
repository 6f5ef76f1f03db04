//! Members whose role allows nothing: their tenant does not define it, or no longer.

use shared::environment::ConfigError;
use shared::store::directory::Membership;
use shared::upstream_error::UpstreamError;
use thiserror::Error;

use super::finding::Check;
use crate::deployment::{DeploymentError, OpenDeployment};

/// Why the members are not known.
#[derive(Debug, Error)]
enum MembersError {
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// Of every tenant: it reads the whole directory.
pub(crate) async fn check(opened: Result<OpenDeployment, DeploymentError>) -> Check {
    let mut check = Check::new("roles");
    match members(opened).await {
        Err(reason) => check.skip(format!("the members could not be read: {reason}")),
        Ok(members) => {
            for Membership { person, tenant, role, .. } in
                members.iter().filter(|member| member.role.permissions.is_empty())
            {
                check.weak(
                    "role_undefined",
                    format!("{person} has the role {} in tenant {tenant}, which has no such role", role.name),
                    "They can connect nothing, and what they have connected may do nothing.",
                    "Give them another role with `amble member role`, or define this one with `amble tenant role set`.",
                );
            }
            if check.is_free_of_findings() {
                check.observed(format!("{} members, each of a role that allows something", members.len()));
            }
        }
    }
    check
}

async fn members(opened: Result<OpenDeployment, DeploymentError>) -> Result<Vec<Membership>, MembersError> {
    Ok(opened?.environment.directory()?.list_all_members().await?)
}
