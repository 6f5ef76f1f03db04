//! What a call takes from the budgets of the person and of their tenant, before it does what it costs.

use shared::store::budgets::{Amounts, Exceeded, Measure, Whose};

use super::tool_context::ToolContext;
use super::tool_error::ToolError;

/// Counts a call of a tool of the tenant's own.
pub(super) async fn spend_call(context: &ToolContext<'_>) -> Result<(), ToolError> {
    spend(Amounts::CALL, context).await
}

/// Counts a write of that many bytes, which `makes` something or changes it.
pub(super) async fn spend_write(bytes: usize, makes: bool, context: &ToolContext<'_>) -> Result<(), ToolError> {
    spend(Amounts::write(bytes, makes), context).await
}

async fn spend(cost: Amounts, context: &ToolContext<'_>) -> Result<(), ToolError> {
    let ToolContext { access, budgets, tool_invoker, now, .. } = context;
    let of_credential = tool_invoker.limits.per_hour.into();
    match budgets.spend(access, cost, of_credential, *now).await? {
        None => Ok(()),
        Some(exceeded) => {
            let minutes = exceeded.resets.since(*now).as_secs().div_ceil(60);
            Err(ToolError::failed("budget_spent", sentence(exceeded, minutes)))
        }
    }
}

/// For the model: what it cannot do until then.
fn sentence(Exceeded { whose, measure, max, .. }: Exceeded, minutes: u64) -> String {
    let (beginning, within) = match whose {
        Whose::Credential => ("This connection", "this connection"),
        Whose::Person => ("This person", "this person"),
        Whose::Tenant => ("This workspace", "this workspace"),
    };
    let when = format!("in {minutes} minutes. Do not try again before, and tell the person.");
    match measure {
        Measure::Calls => {
            format!(
                "{beginning} has made its {max} calls of the workspace's own tools for this hour. It may make more {when}"
            )
        }
        Measure::Bytes => {
            let mib = max.div_ceil(1024 * 1024);
            format!(
                "Nothing was written: {within} would write more than its {mib} MiB for this hour. It may write more {when}"
            )
        }
        Measure::Items => {
            format!(
                "Nothing was written: {within} has made its {max} new things for this hour. It may make more {when}"
            )
        }
    }
}
