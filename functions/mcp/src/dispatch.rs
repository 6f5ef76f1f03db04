//! Calls the handler of an authorized operation.

use rmcp::model::ServerResult;
use shared::clock::{Deadline, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::store::budgets::Budgets;
use shared::store::workspace::Workspaces;

use crate::authorize::AuthorizedOperation;
use crate::error::CallError;
use crate::instructions::instructions;
use crate::operation::Operation;
use crate::server_info::ServerInfo;
use crate::tools::registered::tool_invoker::ToolInvoker;
use crate::tools::tool_context::ToolContext;
use crate::tools::{call, list};
use crate::{completion, prompts, resources};

/// Dispatches operations.
pub(crate) struct Dispatcher {
    workspaces: Workspaces,
    budgets: Budgets,
    tool_invoker: ToolInvoker,
    server_info: ServerInfo,
}

impl Dispatcher {
    /// With what it needs of the environment.
    pub(crate) fn new(environment: &Environment, server_info: ServerInfo) -> Result<Self, ConfigError> {
        let tool_invoker = ToolInvoker::new(environment)?;
        let (workspaces, budgets) = (environment.workspaces()?, environment.budgets()?);
        Ok(Self { workspaces, budgets, tool_invoker, server_info })
    }

    /// The result of an operation.
    pub(crate) async fn dispatch(
        &self,
        authorized: AuthorizedOperation,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<ServerResult, CallError> {
        let (access, operation) = authorized.into_parts();
        let workspace = self.workspaces.of(&access);
        let (budgets, tool_invoker) = (&self.budgets, &self.tool_invoker);
        let context = ToolContext { access: &access, workspace, budgets, tool_invoker, now, deadline };
        Ok(match operation {
            Operation::Discover => self.server_info.discover(instructions(&access)).into(),
            Operation::Initialize(requested) => self.server_info.initialize(&requested, instructions(&access)).into(),
            Operation::Ping => ServerResult::empty(()),
            Operation::ListTools(cursor) => list::list(&context, cursor.as_deref()).await?.into(),
            Operation::BuiltIn(tool, arguments) => call::built_in(tool, arguments, &context).await?.into(),
            Operation::Registered(name, arguments) => call::registered(&name, arguments, &context).await?.into(),
            Operation::ListResources(cursor) => resources::list(&context, cursor.as_deref()).await?.into(),
            Operation::ListResourceTemplates(cursor) => resources::list_templates(&context, cursor.as_deref())?.into(),
            Operation::ReadResource(uri) => resources::read(&context, &uri).await?.into(),
            Operation::ListPrompts(cursor) => prompts::list(&context, cursor.as_deref()).await?.into(),
            Operation::GetPrompt(name, arguments) => prompts::get(&context, &name, &arguments).await?.into(),
            Operation::Complete(target) => completion::complete(&context, &target).await?.into(),
        })
    }
}
