//! `amble`: what an operator does to a deployment, or to the local system, from a command line.
//!
//! A file per noun. What a command works with is a [`desk::Desk`]: the deployment that [`deployment`] found, and what was done, which
//! [`trail`] tells the audit. What it has to say is a [`said::Said`], for people or, with `--json`, for scripts; why it could not is a
//! [`failed::Failed`], told on standard error.
//!
//! Exit status: 0 done (`doctor`: all well), 1 not done (`doctor`: something is broken), 2 the command itself was wrong.

mod apply;
mod arguments;
mod audit;
mod client;
mod completions;
mod deed;
mod deployment;
mod desk;
mod doctor;
mod failed;
mod grant;
mod http;
mod key;
mod member;
mod said;
mod tenant;
mod trail;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use deployment::Deployment;
use desk::Desk;
use failed::Failed;
use said::Said;

/// Manages a deployment of Amble Connect.
#[derive(Parser)]
#[command(name = "amble", version, arg_required_else_help = true, after_help = WHERE)]
struct Arguments {
    #[command(flatten)]
    deployment: Deployment,
    /// Say it as one line of JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    asked: Asked,
}

#[derive(Subcommand)]
enum Asked {
    #[command(flatten)]
    AtADesk(Noun),
    /// Look at a deployment as Claude does, and tell what keeps it from connecting
    Doctor(doctor::Command),
    /// Print what makes a shell complete these commands
    Completions(completions::Command),
}

/// What is done to the tables of a deployment.
#[derive(Subcommand)]
enum Noun {
    /// Make tenants have what a workspace file says; shows what will change first
    Apply(apply::Command),
    /// Tenants: the workspaces that people connect
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Members: who is in a tenant, and as what
    #[command(subcommand)]
    Member(member::Command),
    /// Clients: the applications that people connect
    #[command(subcommand)]
    Client(client::Command),
    /// Grants: what people have connected
    #[command(subcommand)]
    Grant(grant::Command),
    /// API keys: how scripts come in
    #[command(subcommand)]
    Key(key::Command),
    /// The audit: what happened, by whom, to what
    #[command(subcommand)]
    Audit(audit::Command),
}

const WHERE: &str = "\
Without --stack and --local, the tables are those that the functions' own variables name (TABLE_CLIENTS, TABLE_GRANTS, TABLE_KEYS,
TABLE_DIRECTORY, TABLE_WORKSPACE, TABLE_ACTIVITY), and the audit is AUDIT_LOG_GROUP. Credentials and region are those
that the AWS SDK finds: of the environment, of AWS_PROFILE (also one that signs in with `aws sso login`), or of the machine.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { deployment, json, asked } = Arguments::parse();
    let done = match asked {
        Asked::AtADesk(noun) => operate(&deployment, noun, json).await,
        Asked::Completions(command) => tell(&Ok(completions::run(&command)), json),
        Asked::Doctor(command) => match doctor::run(command, &deployment).await {
            Ok((said, well)) => tell(&Ok(said), json) && well,
            Err(reason) => tell(&Err(reason), json),
        },
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Does something at a desk, and tells the audit of what was done, even if it was not all; whether all went well.
async fn operate(deployment: &Deployment, noun: Noun, json: bool) -> bool {
    let desk = match Desk::open(deployment, json).await {
        Ok(desk) => desk,
        Err(reason) => return tell(&Err(reason.into()), json),
    };
    let outcome = at(&desk, noun, json).await;
    desk.arrived();
    let told = tell(&outcome, json);
    match desk.close().await {
        Ok(()) => told,
        Err(unwritten) => complain(&unwritten),
    }
}

/// Says what came of it; whether it was done, and said.
fn tell(outcome: &Result<Said, Failed>, json: bool) -> bool {
    match outcome {
        Ok(said) => said.write(json, &mut io::stdout().lock()).is_ok(),
        Err(reason) => complain(reason),
    }
}

/// Where even this cannot be said, the exit status says it.
fn complain(reason: &impl std::fmt::Display) -> bool {
    let _ = writeln!(io::stderr(), "amble: {reason}");
    false
}

async fn at(desk: &Desk, noun: Noun, json: bool) -> Result<Said, Failed> {
    match noun {
        Noun::Apply(command) => apply::run(command, desk).await,
        Noun::Tenant(command) => tenant::run(command, desk).await,
        Noun::Member(command) => member::run(command, desk).await,
        Noun::Client(command) => client::run(command, desk).await,
        Noun::Grant(command) => grant::run(command, desk).await,
        Noun::Key(command) => key::run(command, desk).await,
        Noun::Audit(command) => audit::run(command, desk, json).await,
    }
}
