//! `amble tenant migrate`: moves what tenants have between the layouts of the table of workspaces.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use shared::oauth::tenant::TenantId;
use shared::store::directory::Directory;
use shared::store::workspace::Workspaces;
use shared::store::workspace_layout::WorkspaceLayout;
use shared::store::workspace_move::{MoveError, MovedItems};

use crate::arguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::operator_event::OperatorEvent;
use crate::output::Output;

/// What is moved, and where to.
#[derive(Args)]
pub(crate) struct Migration {
    /// Their ids
    #[arg(
        value_name = "TENANT",
        value_parser = arguments::tenant,
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    tenants: Vec<TenantId>,
    /// All tenants whose items lie otherwise
    #[arg(long)]
    all: bool,
    /// Move it back into one partition for each tenant, as earlier versions have it: before you deploy one of those again
    #[arg(long)]
    back: bool,
    /// How long to wait before anything is moved. By then the calls that may still write have ended, which last 29s at most
    #[arg(long, value_name = "SPAN", default_value = "35s", value_parser = arguments::delay)]
    wait: Duration,
}

/// How many tenants are moved after one wait. Nobody can write there until their own turn is over.
const AT_ONCE: usize = 20;

/// What became of a tenant that was to be moved.
enum TenantOutcome {
    Moved(MovedItems),
    /// Somebody has removed it since.
    Removed,
}

/// Where to, and with what.
struct Mover<'c> {
    context: &'c Context,
    directory: Directory,
    workspaces: Workspaces,
    goal: WorkspaceLayout,
}

pub(crate) async fn run(migration: &Migration, context: &Context) -> Result<Output, CommandError> {
    let goal = if migration.back { WorkspaceLayout::Whole } else { WorkspaceLayout::ByKind };
    let (directory, workspaces) = (context.environment.directory()?, context.environment.workspaces()?);
    let mut tenants = Vec::new();
    if migration.all {
        tenants = directory.list_layouts().await?;
    }
    for tenant in &migration.tenants {
        context.find_tenant(tenant).await?;
        tenants.push((tenant.clone(), directory.workspace_layout(tenant).await?));
    }
    let mover = Mover { context, directory, workspaces, goal };
    let mut misplaced = Vec::new();
    for (tenant, layout) in &tenants {
        if mover.needs_move(tenant, *layout).await? {
            misplaced.push(tenant.clone());
        }
    }
    let mut outcomes = Vec::new();
    for some in misplaced.chunks(AT_ONCE) {
        outcomes.extend(mover.move_together(some, migration.wait).await?);
    }
    let tenants: Vec<_> = tenants.into_iter().map(|(tenant, _)| tenant).collect();
    Ok(output(&tenants, &outcomes, goal))
}

/// As people are told it.
pub(crate) const fn label(layout: WorkspaceLayout) -> &'static str {
    match layout {
        WorkspaceLayout::Whole => "whole",
        WorkspaceLayout::ByKind => "by kind",
        WorkspaceLayout::Splitting => "being moved, to lie by kind",
        WorkspaceLayout::Joining => "being moved back",
    }
}

/// The layout while items are moved to `goal`.
const fn moving_layout(goal: WorkspaceLayout) -> WorkspaceLayout {
    match goal {
        WorkspaceLayout::Whole | WorkspaceLayout::Joining => WorkspaceLayout::Joining,
        WorkspaceLayout::ByKind | WorkspaceLayout::Splitting => WorkspaceLayout::Splitting,
    }
}

impl Mover<'_> {
    /// Whether anything of a tenant is to be moved. Nothing is moved back to where other items are: two documents of one id would be
    /// mixed.
    async fn needs_move(&self, tenant: &TenantId, layout: WorkspaceLayout) -> Result<bool, CommandError> {
        if layout.is_moving() {
            let option = if layout == WorkspaceLayout::Joining { " --back" } else { "" };
            let is_same = layout == moving_layout(self.goal);
            return if is_same { Ok(true) } else { Err(CommandError::MovedOtherWay(tenant.clone(), option)) };
        }
        if layout != self.goal && self.goal == WorkspaceLayout::ByKind {
            return Ok(true);
        }
        if self.workspaces.misplaced(tenant, self.goal).await?.is_empty() {
            return Ok(layout != self.goal);
        }
        if self.goal == WorkspaceLayout::Whole {
            let in_the_way = self.workspaces.misplaced(tenant, WorkspaceLayout::ByKind).await?;
            if let Some(example) = in_the_way.first().cloned() {
                return Err(CommandError::ItemsInTheWay { tenant: tenant.clone(), count: in_the_way.len(), example });
            }
        }
        Ok(true)
    }

    /// Moves some tenants after one wait. One that fails keeps nobody from writing in the others.
    ///
    /// # Errors
    /// When any was not moved.
    async fn move_together<'t>(
        &self,
        tenants: &'t [TenantId],
        wait: Duration,
    ) -> Result<Vec<(&'t TenantId, TenantOutcome)>, CommandError> {
        let (mut begun, mut outcomes, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for tenant in tenants {
            match self.begin(tenant).await {
                Ok(()) => begun.push(tenant),
                Err(error) => failed.push((tenant, error)),
            }
        }
        if !wait.is_zero() && !begun.is_empty() {
            self.context.flush().await;
            self.context.progress(&format!("calls under way may go on for {} s", wait.as_secs()));
            tokio::time::sleep(wait).await;
        }
        for tenant in begun {
            match self.finish(tenant).await {
                Ok(moved) => outcomes.push((tenant, TenantOutcome::Moved(moved))),
                Err(error) => failed.push((tenant, error)),
            }
        }
        let (mut first, mut still_moving) = (None, Vec::new());
        for (tenant, error) in failed {
            if matches!(self.directory.find(tenant).await, Ok(None)) {
                outcomes.push((tenant, TenantOutcome::Removed));
                continue;
            }
            // If nobody knows, it may be.
            if self.directory.workspace_layout(tenant).await.map_or(true, WorkspaceLayout::is_moving) {
                still_moving.push(tenant.clone());
            }
            first.get_or_insert((tenant.clone(), error));
        }
        match first {
            None => Ok(outcomes),
            Some((tenant, error)) => Err(CommandError::NotMigrated { tenant, error, still_moving }),
        }
    }

    /// From here on nobody writes what the tenant has.
    async fn begin(&self, tenant: &TenantId) -> Result<(), MoveError> {
        let event = OperatorEvent::TenantMigrating { tenant: tenant.as_str(), layout: label(self.goal) };
        self.context.announce(&event).await;
        let moving = moving_layout(self.goal);
        let change = |layout: WorkspaceLayout| (!layout.is_moving() || layout == moving).then_some(moving);
        self.directory.change_layout(tenant, change).await?.map(drop).ok_or(MoveError::LayoutChanged)
    }

    async fn finish(&self, tenant: &TenantId) -> Result<MovedItems, MoveError> {
        let moving = moving_layout(self.goal);
        let progress = |count: usize| self.context.progress(&format!("{tenant}: {count} items moved"));
        let moved = self.workspaces.move_items(tenant, moving, progress).await?;
        let ended = self.directory.change_layout(tenant, |layout| (layout == moving).then_some(self.goal)).await?;
        ended.ok_or(MoveError::LayoutChanged)?;
        self.context.record(&OperatorEvent::TenantMigrated { tenant: tenant.as_str(), layout: label(self.goal) });
        Ok(moved)
    }
}

fn output(tenants: &[TenantId], outcomes: &[(&TenantId, TenantOutcome)], goal: WorkspaceLayout) -> Output {
    let mut text = String::new();
    let mut rows = Vec::new();
    for tenant in tenants {
        let (count, left) = match outcomes.iter().find(|(id, _)| *id == tenant) {
            None => (0, &[][..]),
            Some((_, TenantOutcome::Moved(moved))) => (moved.count, moved.left.as_slice()),
            Some((_, TenantOutcome::Removed)) => {
                text.extend([format!("Tenant {tenant} was removed meanwhile.\n")]);
                rows.push(json!({ "tenant": tenant.as_str(), "removed": true }));
                continue;
            }
        };
        text.extend([format!("Tenant {tenant} lies {} now; items moved: {count}.\n", label(goal))]);
        if !left.is_empty() {
            text.extend([format!("Items left, as others have their place: {}\n", left.len())]);
            text.extend(left.iter().map(|item| format!("  {item}\n")));
        }
        rows.push(json!({ "tenant": tenant.as_str(), "layout": label(goal), "moved": count, "left": left }));
    }
    Output { text, json: json!({ "tenants": rows }) }
}
