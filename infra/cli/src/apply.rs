//! `amble apply FILE`: what a workspace file says becomes what tenants have.
//!
//! What will change is shown before it is done. Interrupted, it is completed by doing it again, and a second time it changes nothing.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::telemetry::terminal::in_line;
use workspace_file::plan::{Change, Effect, Plan};
use workspace_file::{Variables, WorkspaceFile};

use crate::arguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::member;
use crate::operator_event::OperatorEvent;
use crate::output::Output;
use crate::second_search::SecondSearch;

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
    /// Show what would change, and write nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Someone whom the file does not name.
struct UnlistedMember<'f> {
    tenant: &'f TenantId,
    person: PersonId,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<Output, CommandError> {
    let Command { file, variables, remove_members, dry_run, yes } = command;
    let file = WorkspaceFile::read(&file, &Variables::from_iter(variables))?;
    let (directory, workspaces) = (context.environment.directory()?, context.environment.workspaces()?);
    let plan = file.plan(&directory, &workspaces).await?;
    let unlisted = if remove_members { unlisted_members(context, &file).await? } else { Vec::new() };

    let all = plan.changes().len() + unlisted.len();
    if dry_run {
        let text = summary(&plan, &unlisted) + "Nothing was written.\n";
        return Ok(output(&plan, &unlisted, &text, false));
    }
    if all == 0 {
        return Ok(output(&plan, &unlisted, &summary(&plan, &unlisted), false));
    }
    context.show(&summary(&plan, &unlisted));
    context.confirm(&format!("changes {all} things"), yes)?;
    for definition in file.tenants() {
        let tenant = &definition.tenant.id;
        let changes = plan.changes().iter().filter(|change| change.tenant() == tenant).count()
            + unlisted.iter().filter(|unlisted| unlisted.tenant == tenant).count();
        if changes > 0 {
            context.record(&OperatorEvent::WorkspaceChanging {
                tenant: tenant.as_str(),
                changes: changes.try_into().unwrap_or(u64::MAX),
            });
        }
    }
    context.flush().await;
    let mut done = 0;
    let step = |label: &str, done: &mut usize| {
        *done += 1;
        context.progress(&format!("{done} of {all}: {label}"));
    };
    let applied = plan.apply(&directory, &workspaces, context.now, |change| {
        let (tenant, what) = (change.tenant().as_str(), &change.label());
        context.record(&OperatorEvent::WorkspaceChanged { tenant, what, effect: effect(change) });
        step(what, &mut done);
    });
    applied.await.inspect_err(|_| context.clear_progress())?;
    for UnlistedMember { tenant, person } in &unlisted {
        member::remove(context, tenant, person, &SecondSearch::NONE).await?;
        step(&format!("member {person} removed"), &mut done);
    }
    context.clear_progress();
    Ok(output(&plan, &unlisted, &format!("Done: {done} changed.\n"), true))
}

/// Members of the file's tenants whom it does not name.
async fn unlisted_members<'f>(
    context: &Context,
    file: &'f WorkspaceFile,
) -> Result<Vec<UnlistedMember<'f>>, CommandError> {
    let directory = context.environment.directory()?;
    let mut unlisted = Vec::new();
    for definition in file.tenants() {
        let tenant = &definition.tenant.id;
        let there = directory.list_members(tenant).await?.into_iter().map(|member| member.person);
        let others = there.filter(|person| definition.members.iter().all(|member| member.person != *person));
        unlisted.extend(others.map(|person| UnlistedMember { tenant, person }));
    }
    Ok(unlisted)
}

/// A line for each change, and how many there are.
fn summary(plan: &Plan<'_>, unlisted: &[UnlistedMember<'_>]) -> String {
    // Who wrote the file need not be who agrees to its plan.
    let mut lines: Vec<_> = plan.changes().iter().map(|change| in_line(&change.to_string())).collect();
    lines
        .extend(unlisted.iter().map(|UnlistedMember { tenant, person }| format!("- tenant {tenant}: member {person}")));
    let created = plan.changes().iter().filter(|change| *change.effect() == Effect::Creates).count();
    let changed = plan.changes().len() - created;
    let removed = if unlisted.is_empty() { String::new() } else { format!("{} to remove, ", unlisted.len()) };
    lines.push(format!("{created} to create, {changed} to change, {removed}{} as they are\n", plan.unchanged()));
    lines.join("\n")
}

fn output(plan: &Plan<'_>, unlisted: &[UnlistedMember<'_>], text: &str, applied: bool) -> Output {
    let changes = plan.changes().iter().map(|change| {
        let mut json = json!({ "tenant": change.tenant().as_str(), "what": change.label(), "effect": effect(change) });
        if let (Effect::Changes(differing), Some(members)) = (change.effect(), json.as_object_mut()) {
            members.insert("differs".to_owned(), Value::from(differing.clone()));
        }
        json
    });
    let removed = unlisted.iter().map(|UnlistedMember { tenant, person }| {
        json!({ "tenant": tenant.as_str(), "what": format!("tenant {tenant}: member {person}"), "effect": "removes" })
    });
    let changes: Vec<_> = changes.chain(removed).collect();
    let json = json!({ "changes": changes, "left_alone": plan.unchanged(), "applied": applied });
    Output { text: text.to_owned(), json }
}

const fn effect(change: &Change<'_>) -> &'static str {
    match change.effect() {
        Effect::Creates => "creates",
        Effect::Changes(_) => "changes",
    }
}
