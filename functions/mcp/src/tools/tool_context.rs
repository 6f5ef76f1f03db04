//! What every tool works with.

use shared::access::Access;
use shared::clock::{Deadline, Timestamp};
use shared::store::budgets::Budgets;
use shared::store::workspace::Workspace;

use super::registered::tool_invoker::ToolInvoker;

/// The caller, and what a call works with. Prompts and resources are read with it too.
pub(crate) struct ToolContext<'a> {
    /// Who was let in.
    pub(crate) access: &'a Access,
    /// Their tenant's things.
    pub(crate) workspace: Workspace,
    /// What people and tenants may do in an hour.
    pub(crate) budgets: &'a Budgets,
    /// The invoker of the tenant's own tools.
    pub(crate) tool_invoker: &'a ToolInvoker,
    /// When.
    pub(crate) now: Timestamp,
    /// When Lambda ends the call.
    pub(crate) deadline: Deadline,
}
