//! `amble tenant migrate`: moves what tenants have between the layouts of the table of workspaces.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use shared::oauth::tenant::TenantId;
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
    #[arg(value_name = "TENANT", value_parser = arguments::tenant, conflicts_with = "all")]
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

pub(crate) async fn run(migration: &Migration, context: &Context) -> Result<Output, CommandError> {
    let directory = context.environment.directory()?;
    let tenants = match (migration.all, migration.tenants.as_slice()) {
        (true, _) => directory.list_tenants().await?.into_iter().map(|tenant| tenant.id).collect(),
        (false, []) => return Err(CommandError::NoTenantSelection),
        (false, tenants) => tenants.to_vec(),
    };
    let goal = if migration.back { WorkspaceLayout::Whole } else { WorkspaceLayout::ByKind };
    let mut misplaced = Vec::new();
    for tenant in &tenants {
        context.find_tenant(tenant).await?;
        if needs_move(context, tenant, goal).await? {
            misplaced.push(tenant.clone());
        }
    }
    let mut moved = Vec::new();
    for some in misplaced.chunks(AT_ONCE) {
        for tenant in some {
            begin(context, tenant, goal).await?;
        }
        if !migration.wait.is_zero() {
            context.flush().await;
            context.progress(&format!("calls under way may go on for {} s", migration.wait.as_secs()));
            tokio::time::sleep(migration.wait).await;
        }
        for tenant in some {
            moved.push((tenant, finish(context, tenant, goal).await?));
        }
    }
    Ok(output(&tenants, &moved, goal))
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

/// The layout while items are moved.
const fn on_the_way_to(goal: WorkspaceLayout) -> WorkspaceLayout {
    match goal {
        WorkspaceLayout::Whole | WorkspaceLayout::Joining => WorkspaceLayout::Joining,
        WorkspaceLayout::ByKind | WorkspaceLayout::Splitting => WorkspaceLayout::Splitting,
    }
}

/// Whether anything of a tenant is to be moved. What was left by an earlier move is in the way of a move back.
async fn needs_move(context: &Context, tenant: &TenantId, goal: WorkspaceLayout) -> Result<bool, CommandError> {
    let workspaces = context.environment.workspaces()?;
    let layout = context.environment.directory()?.workspace_layout(tenant).await?;
    if layout == goal {
        return Ok(!workspaces.misplaced(tenant, goal).await?.is_empty());
    }
    if layout.is_moving() && layout != on_the_way_to(goal) {
        let option = if layout == WorkspaceLayout::Joining { " --back" } else { "" };
        return Err(CommandError::MovedOtherWay(tenant.clone(), option));
    }
    if layout == WorkspaceLayout::ByKind {
        let in_the_way = workspaces.misplaced(tenant, layout).await?;
        if let Some(example) = in_the_way.first().cloned() {
            return Err(CommandError::ItemsInTheWay { tenant: tenant.clone(), count: in_the_way.len(), example });
        }
    }
    Ok(true)
}

/// From here on nobody writes what the tenant has.
async fn begin(context: &Context, tenant: &TenantId, goal: WorkspaceLayout) -> Result<(), CommandError> {
    context.announce(&OperatorEvent::TenantMigrating { tenant: tenant.as_str(), layout: label(goal) }).await;
    let moving = on_the_way_to(goal);
    let change = |layout: WorkspaceLayout| (!layout.is_moving() || layout == moving).then_some(moving);
    let changed = context.environment.directory()?.change_layout(tenant, change).await?;
    changed.map(drop).ok_or_else(|| CommandError::NotMigrated(tenant.clone(), MoveError::LayoutChanged))
}

async fn finish(context: &Context, tenant: &TenantId, goal: WorkspaceLayout) -> Result<MovedItems, CommandError> {
    let (directory, workspaces) = (context.environment.directory()?, context.environment.workspaces()?);
    let moving = on_the_way_to(goal);
    let failed = |error| CommandError::NotMigrated(tenant.clone(), error);
    let progress = |count: usize| context.progress(&format!("{tenant}: {count} items moved"));
    let moved = workspaces.move_items(tenant, moving, progress).await.map_err(failed)?;
    let ended = directory.change_layout(tenant, |layout| (layout == moving).then_some(goal)).await?;
    ended.ok_or_else(|| failed(MoveError::LayoutChanged))?;
    context.record(&OperatorEvent::TenantMigrated { tenant: tenant.as_str(), layout: label(goal) });
    Ok(moved)
}

fn output(tenants: &[TenantId], moved: &[(&TenantId, MovedItems)], goal: WorkspaceLayout) -> Output {
    let mut text = String::new();
    let mut rows = Vec::new();
    for tenant in tenants {
        let moved = moved.iter().find(|(id, _)| *id == tenant).map(|(_, moved)| moved);
        let (count, left) = moved.map_or((0, &[][..]), |moved| (moved.count, &moved.left));
        text.extend([format!("Tenant {tenant} lies {} now; items moved: {count}.\n", label(goal))]);
        if !left.is_empty() {
            text.extend([format!("Items left, as others have their place: {}\n", left.len())]);
            text.extend(left.iter().map(|item| format!("  {item}\n")));
        }
        rows.push(json!({ "tenant": tenant.as_str(), "layout": label(goal), "moved": count, "left": left }));
    }
    Output { text, json: json!({ "tenants": rows }) }
}
