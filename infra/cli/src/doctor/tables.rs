//! What is looked at in the tables of a deployment, if they can be read.

use shared::environment::Environment;

use super::finding::Check;
use crate::deployment::{DeploymentError, OpenDeployment};
use crate::error::CommandError;

/// The check `name` of what `read` finds in the tables, as `judge` finds it.
pub(super) async fn check<Found>(
    name: &'static str,
    opened: Result<&OpenDeployment, &DeploymentError>,
    read: impl AsyncFnOnce(&Environment) -> Result<Found, CommandError>,
    judge: impl FnOnce(&mut Check, &Found),
) -> Check {
    let mut check = Check::new(name);
    let found = match opened {
        Ok(opened) => read(&opened.environment).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match found {
        Ok(found) => judge(&mut check, &found),
        Err(reason) => check.skip(format!("the tables cannot be read: {reason}")),
    }
    check
}
