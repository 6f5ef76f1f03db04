//! `amble apply FILE`: what a workspace file says becomes what tenants have.
//!
//! What will change is shown before it is done. Interrupted, it is completed by doing it again, and a second time it changes nothing.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use shared::oauth::tenant::{PersonId, TenantId};
use workspace_file::plan::{Change, Effect, Plan};
use workspace_file::{Variables, WorkspaceFile};

use crate::arguments;
use crate::deed::Deed;
use crate::desk::Desk;
use crate::failed::Failed;
use crate::member;
use crate::said::Said;

/// What is to be applied, and how.
#[derive(Args)]
pub(crate) struct Command {
    /// The workspace file
    file: PathBuf,
    /// What `${NAME}` in the addresses of tools is. May be given several times
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = arguments::variable)]
    variables: Vec<(String, String)>,
    /// Take those out of the file's tenants whom it does not name as members; what they have connected ends
    #[arg(long)]
    remove_members: bool,
    /// Show what will change, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Someone whom the file does not name.
struct Surplus<'f> {
    tenant: &'f TenantId,
    person: PersonId,
}

pub(crate) async fn run(command: Command, desk: &Desk) -> Result<Said, Failed> {
    let Command { file, variables, remove_members, dry_run, yes } = command;
    let file = WorkspaceFile::read(&file, &Variables::from_iter(variables))?;
    let (directory, workspaces) = (desk.environment.directory()?, desk.environment.workspaces()?);
    let plan = file.plan(&directory, &workspaces).await?;
    let surplus = if remove_members { surplus(desk, &file).await? } else { Vec::new() };

    let all = plan.changes().len() + surplus.len();
    if all == 0 || dry_run {
        return Ok(said(&plan, &surplus, &summary(&plan, &surplus), false));
    }
    desk.show(&summary(&plan, &surplus));
    desk.confirm(&format!("changes {all} things"), yes)?;
    for described in file.tenants() {
        let tenant = &described.tenant.id;
        let changes = plan.changes().iter().filter(|change| change.tenant() == tenant).count()
            + surplus.iter().filter(|surplus| surplus.tenant == tenant).count();
        if changes > 0 {
            desk.note(&Deed::WorkspaceChanging {
                tenant: tenant.as_str(),
                changes: changes.try_into().unwrap_or(u64::MAX),
            });
        }
    }
    desk.tell().await;
    let mut done = 0;
    let step = |label: &str, done: &mut usize| {
        *done += 1;
        desk.progress(&format!("{done} of {all}: {label}"));
    };
    let applied = plan.apply(&directory, &workspaces, desk.now, |change| {
        let (tenant, what) = (change.tenant().as_str(), &change.label());
        desk.note(&Deed::WorkspaceChanged { tenant, what, effect: effect(change) });
        step(what, &mut done);
    });
    applied.await.inspect_err(|_| desk.arrived())?;
    for Surplus { tenant, person } in &surplus {
        member::remove(desk, tenant, person).await?;
        step(&format!("member {person} removed"), &mut done);
    }
    desk.arrived();
    Ok(said(&plan, &surplus, &format!("Done: {done} changed.\n"), true))
}

/// Members of the file's tenants whom it does not name.
async fn surplus<'f>(desk: &Desk, file: &'f WorkspaceFile) -> Result<Vec<Surplus<'f>>, Failed> {
    let directory = desk.environment.directory()?;
    let mut surplus = Vec::new();
    for described in file.tenants() {
        let tenant = &described.tenant.id;
        let there = directory.list_members(tenant).await?.into_iter().map(|member| member.person);
        let others = there.filter(|person| described.members.iter().all(|member| member.person != *person));
        surplus.extend(others.map(|person| Surplus { tenant, person }));
    }
    Ok(surplus)
}

/// A line for each change, and how many there are.
fn summary(plan: &Plan<'_>, surplus: &[Surplus<'_>]) -> String {
    let mut lines: Vec<_> = plan.changes().iter().map(ToString::to_string).collect();
    lines.extend(surplus.iter().map(|Surplus { tenant, person }| format!("- tenant {tenant}: member {person}")));
    let created = plan.changes().iter().filter(|change| *change.effect() == Effect::Creates).count();
    let changed = plan.changes().len() - created;
    let removed = if surplus.is_empty() { String::new() } else { format!("{} to remove, ", surplus.len()) };
    lines.push(format!("{created} to create, {changed} to change, {removed}{} as they are\n", plan.left_alone()));
    lines.join("\n")
}

fn said(plan: &Plan<'_>, surplus: &[Surplus<'_>], text: &str, applied: bool) -> Said {
    let changes = plan.changes().iter().map(|change| {
        let mut json = json!({ "tenant": change.tenant().as_str(), "what": change.label(), "effect": effect(change) });
        if let (Effect::Changes(differing), Some(members)) = (change.effect(), json.as_object_mut()) {
            members.insert("differs".to_owned(), Value::from(differing.clone()));
        }
        json
    });
    let removed = surplus.iter().map(|Surplus { tenant, person }| {
        json!({ "tenant": tenant.as_str(), "what": format!("tenant {tenant}: member {person}"), "effect": "removes" })
    });
    let changes: Vec<_> = changes.chain(removed).collect();
    let json = json!({ "changes": changes, "left_alone": plan.left_alone(), "applied": applied });
    Said { text: text.to_owned(), json }
}

const fn effect(change: &Change<'_>) -> &'static str {
    match change.effect() {
        Effect::Creates => "creates",
        Effect::Changes(_) => "changes",
    }
}
