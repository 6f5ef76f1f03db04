//! `amble`: what an operator does to a deployment, or to the local system, from a command line.
//!
//! A file per noun. What a command works with is a [`context::Context`]: the deployment that [`deployment`] found, and
//! what was done, which [`audit_log`] tells the audit. What it has to say is an [`output::Output`], for people or, with `--json`, for
//! scripts; why it could not is a [`error::CommandError`], told on standard error.
//!
//! Exit status: 0 done (`doctor`: all well), 1 not done (`doctor`: something is broken), 2 the command itself was wrong.

mod apply;
mod arguments;
mod audit;
mod audit_log;
mod client;
mod completions;
mod context;
mod deployment;
mod doctor;
mod error;
mod grant;
mod http;
mod key;
mod member;
mod migration;
mod operator_event;
mod output;
mod person;
mod project_users;
mod second_search;
mod tenant;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use context::Context;
use deployment::Deployment;
use error::CommandError;
use output::Output;
use shared::telemetry::terminal::printable;

/// Manages a deployment of Amble Connect.
#[derive(Parser)]
#[command(name = "amble", version, arg_required_else_help = true, after_help = AFTER_HELP)]
struct Arguments {
    #[command(flatten)]
    deployment: Deployment,
    /// Say it as one line of JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    OnDeployment(DeploymentCommand),
    /// Look at a deployment as Claude does, and tell what keeps it from connecting
    Doctor(doctor::Command),
    /// Print what makes a shell complete these commands
    Completions(completions::Command),
}

/// What is done to the tables of a deployment.
#[derive(Subcommand)]
enum DeploymentCommand {
    /// Make tenants have what a workspace file says; shows what will change first
    Apply(apply::Command),
    /// Tenants: the workspaces that people connect
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Members: who is in a tenant, and as what
    #[command(subcommand)]
    Member(member::Command),
    /// People, wherever they are members
    #[command(subcommand)]
    Person(person::Command),
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

const AFTER_HELP: &str = "\
The first word after a command is the id of what it is about; whatever else it needs is an option, and the tenant is always --tenant.
People are named by user id, or by e-mail address: on a stack that takes a secret key of the Supabase project in SUPABASE_SECRET_KEY.

Without --stack and --local, the tables are those that the functions' own variables name (TABLE_CLIENTS, TABLE_GRANTS, TABLE_KEYS,
TABLE_DIRECTORY, TABLE_WORKSPACE, TABLE_ACTIVITY), and the audit is AUDIT_LOG_GROUP. Credentials and region are those
that the AWS SDK finds: of the environment, of AWS_PROFILE (also one that signs in with `aws sso login`), or of the machine.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { deployment, json, command } = Arguments::parse();
    let done = match command {
        Command::OnDeployment(command) => operate(&deployment, command, json).await,
        Command::Completions(command) => print(&Ok(completions::run(&command, Arguments::command())), json),
        Command::Doctor(command) => match Box::pin(doctor::run(command, &deployment)).await {
            Ok((output, well)) => print(&Ok(output), json) && well,
            Err(reason) => print(&Err(reason), json),
        },
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Does something to a deployment, and tells the audit what was done, even if it was not all; whether all went well.
async fn operate(deployment: &Deployment, command: DeploymentCommand, json: bool) -> bool {
    let context = match Context::open(deployment, json).await {
        Ok(context) => context,
        Err(reason) => return print(&Err(reason.into()), json),
    };
    let outcome = run(&context, command, json).await;
    context.clear_progress();
    let printed = print(&outcome, json);
    match context.close().await {
        Ok(()) => printed,
        Err(error) => print_error(&error),
    }
}

/// Says what came of it; whether it was done, and said.
fn print(outcome: &Result<Output, CommandError>, json: bool) -> bool {
    match outcome {
        Ok(output) => output.write(json, &mut io::stdout().lock()).is_ok(),
        Err(reason) => print_error(reason),
    }
}

/// Where even this cannot be said, the exit status says it.
fn print_error(reason: &impl std::fmt::Display) -> bool {
    let _ = writeln!(io::stderr(), "amble: {}", printable(&reason.to_string()));
    false
}

async fn run(context: &Context, command: DeploymentCommand, json: bool) -> Result<Output, CommandError> {
    match command {
        DeploymentCommand::Apply(command) => apply::run(command, context).await,
        DeploymentCommand::Tenant(command) => tenant::run(command, context).await,
        DeploymentCommand::Member(command) => member::run(command, context).await,
        DeploymentCommand::Person(command) => person::run(command, context).await,
        DeploymentCommand::Client(command) => client::run(command, context).await,
        DeploymentCommand::Grant(command) => grant::run(command, context).await,
        DeploymentCommand::Key(command) => key::run(command, context).await,
        DeploymentCommand::Audit(command) => audit::run(command, context, json).await,
    }
}
