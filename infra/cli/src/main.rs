//! `amble`: what an operator does to a deployment, or to the local system, from a command line.
//!
//! A file per noun ([`client`]), and one that finds the tables ([`deployment`]). What a command has to say is a [`said::Said`], for
//! people or, with `--json`, for scripts; why it could not is a line on standard error, and the exit status 1 (2 when the command
//! itself was wrong).

mod client;
mod deployment;
mod said;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use deployment::Deployment;

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
    noun: Noun,
}

#[derive(Subcommand)]
enum Noun {
    /// Clients: the applications that people connect
    #[command(subcommand)]
    Client(client::Command),
}

const WHERE: &str = "\
Without --stack and --local, the tables are those that the functions' own variables name (TABLE_CLIENTS). Credentials and region
are the environment's or those of AWS_PROFILE, if its keys stand in ~/.aws; for others, run
`eval \"$(aws configure export-credentials --format env)\"` first.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { deployment, json, noun } = Arguments::parse();
    let outcome = match noun {
        Noun::Client(command) => client::run(command, &deployment).await,
    };
    let (written, status) = match outcome {
        Ok(said) => (said.write(json, &mut io::stdout().lock()), ExitCode::SUCCESS),
        Err(reason) => (writeln!(io::stderr(), "amble: {reason}"), ExitCode::FAILURE),
    };
    // Nobody reads on: there is nobody to tell.
    if written.is_err() { ExitCode::FAILURE } else { status }
}
