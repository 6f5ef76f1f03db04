//! `amble doctor`: looks at a deployment as Claude does, and tells what keeps it from connecting.
//!
//! It reads, and writes twice: it registers one client, always the same, and with a test person it makes a connection, which it
//! revokes. A file per thing that is looked at; what is found stands in [`finding`], with what it breaks
//! and what to do, and is written out by [`report`].

mod account;
mod address;
mod browsers;
mod certificate;
mod challenge;
mod connect;
mod console;
mod documents;
mod error_responses;
mod finding;
mod first_deployment;
mod layouts;
mod pages;
mod probe;
mod raw_request;
mod registration;
mod report;
mod roles;
mod sign_in_mails;
mod supabase;
mod tables;
mod target;
mod test_person;
mod tools;

use std::time::Duration;

use clap::Args;
use shared::clock::{Clock, Timestamp};

use crate::deployment::{DemoPerson, Deployment, DeploymentError, Project, variable};
use crate::error::CommandError;
use crate::output::Output;
use challenge::Challenged;
use connect::Connection;
use finding::Check;
use probe::Probe;
use report::Report;
use target::Target;
use test_person::TestPerson;

/// What is to be looked at.
#[derive(Args)]
#[command(after_help = "Exit status: 0 when nothing is broken, 1 when something is.")]
pub(crate) struct Command {
    /// The URL that people paste; not needed with --stack or --local
    url: Option<String>,
    /// The e-mail address of a test person, to connect as: needs a password at the sign-in service and a workspace to be in
    #[arg(long, value_name = "EMAIL", requires = "password_env")]
    person: Option<String>,
    /// The variable of the environment that holds their password
    #[arg(long, value_name = "VARIABLE", requires = "person")]
    password_env: Option<String>,
    /// The address of the Supabase project; not needed with --stack or --local
    #[arg(long, value_name = "URL", requires = "supabase_key")]
    supabase: Option<String>,
    /// Its publishable key
    #[arg(long, value_name = "PUBLISHABLE", requires = "supabase")]
    supabase_key: Option<String>,
    /// Look also at what only AWS can settle, once, after the first deployment of a stack
    #[arg(long)]
    first_deployment: bool,
    /// The tenant that they connect; without, the first that is offered
    #[arg(long)]
    tenant: Option<String>,
}

/// The report, and whether nothing is broken.
pub(crate) async fn run(command: Command, deployment: &Deployment) -> Result<(Output, bool), CommandError> {
    let Command { url, person, password_env, supabase, supabase_key, tenant, first_deployment } = command;
    let connector = deployment.connector().await?;
    let (mut reported, mut admin_path, mut demo, mut project_of_deployment) = (None, None, None, None);
    if let Some(connector) = connector {
        (reported, admin_path) = (Some(connector.url), connector.admin_path);
        (demo, project_of_deployment) = (connector.person, connector.project);
    }
    let project = match (supabase, supabase_key) {
        (Some(url), Some(publishable_key)) => Some(Project::new(url, publishable_key)),
        _ => project_of_deployment,
    };
    let url = url
        .or(reported)
        .ok_or_else(|| CommandError::InvalidUrl("say which URL, --stack NAME or --local[=DIR]".to_owned()))?;
    let person = match (person, password_env, demo) {
        (Some(email), Some(name), _) => {
            let password = variable(&name).ok_or(CommandError::NoPassword(name))?;
            Some(TestPerson { email, password, tenant })
        }
        (_, _, Some(DemoPerson { email, password })) => Some(TestPerson { email, password, tenant }),
        _ => None,
    };
    let hosts_login = project.as_ref().is_some_and(|project| project.hosts_login);
    let mut report =
        examine(Target::parse(&url)?, (admin_path.as_deref(), hosts_login), person.as_ref(), first_deployment).await?;
    report.add(if let Some(project) = &project {
        supabase::check(project, person.as_ref()).await?
    } else {
        let mut check = Check::new("supabase");
        check.skip("give --supabase and --supabase-key to look at the project that people sign in with");
        check
    });
    match deployment.open().await {
        // A URL alone leads to no tables.
        Err(DeploymentError::NotSpecified) => {}
        opened => {
            report.add(tools::check(opened.as_ref()).await);
            report.add(layouts::check(opened.as_ref()).await);
            report.add(roles::check(opened).await);
        }
    }
    if let Some((aws, stack)) = deployment.aws_of_stack().await? {
        report.add(account::check(&aws).await);
        if hosts_login {
            report.add(sign_in_mails::check(&aws, stack, Clock::system().now()).await);
        }
    }
    Ok((report.output(), report.is_well()))
}

async fn examine(
    target: Target,
    (admin_path, hosts_login): (Option<&str>, bool),
    person: Option<&TestPerson>,
    first_deployment: bool,
) -> Result<Report, CommandError> {
    let probe = Probe::new(&target.parsed).map_err(|error| CommandError::InvalidUrl(error.to_string()))?;
    if target.path.is_empty() {
        return Ok(Report::of(target.url.clone(), vec![address::bare_origin(&probe, &target).await]));
    }
    let (check, reachable) = address::check(&target, Clock::system().now()).await;
    let mut checks = vec![check];
    if !reachable {
        return Ok(Report::of(target.url, checks));
    }
    let Challenged { check, answered, arrived, metadata } = challenge::check(&probe, &target).await;
    checks.push(check);
    if !answered {
        return Ok(Report::of(target.url, checks));
    }
    let target = target.announced_at(metadata);
    let (check, found) = documents::resource(&probe, &target, arrived).await;
    checks.push(check);
    // Without the one document Claude looks for the other at the origin of the URL.
    let found = found.unwrap_or_else(|| (target.origin.clone(), Vec::new()));
    let (check, documents) = documents::server(&probe, &target, found).await;
    checks.push(check);
    if let Some(documents) = &documents {
        let (check, keys) = documents::keys(&probe, documents).await;
        checks.push(check);
        checks.push(browsers::check(&probe, &target, documents).await);
        let (check, client) = registration::check(&probe, documents).await;
        checks.push(check);
        checks.push(error_responses::authorize(&probe, &target, documents, client.as_deref()).await);
        checks.push(error_responses::tokens(&probe, documents, client.as_deref()).await);
        if let Some(admin_path) = admin_path {
            checks.push(console::check(&probe, documents.issuer_origin(&target), admin_path, hosts_login).await);
        }
        let connection = if let (Some(person), Some(client)) = (person, &client) {
            let (target, keys, now) = (&target, keys.as_slice(), Clock::system().now());
            let check = Connection { probe: &probe, target, documents, client, person, keys, now }.check().await;
            let well = check.is_well();
            checks.push(check);
            Some(well)
        } else {
            let mut check = Check::new("connect");
            check.skip("give --person and --password-env to try a whole connection");
            checks.push(check);
            None
        };
        if first_deployment {
            checks.extend(first_deployment::checks(&target, documents, connection).await);
        }
    }
    checks.push(clock(&probe, &target).await);
    checks.push(speed(&probe));
    Ok(Report::of(target.url, checks))
}

/// Whether the deployment's time is ours.
async fn clock(probe: &Probe, target: &Target) -> Check {
    const SKEW: u64 = 60;
    let mut check = Check::new("clock");
    let Some(response) = probe.get(&mut check, &target.resource_metadata()).await else { return check };
    check.observed(format!("{:?}", response.version));
    let now = Clock::system().now();
    let reported = response.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    let reported = reported
        .and_then(|reported| i64::try_from(reported.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok());
    match reported.map(|reported| (reported, now.seconds().abs_diff(reported))) {
        None => check.skip("answers carry no Date"),
        Some((_, apart)) if apart <= SKEW => check.observed(format!("{apart} s apart")),
        Some((reported, apart)) => check.broken(
            "clock_skew",
            format!("it is {} there and {} here: {apart} s apart", Timestamp::from_seconds(reported).to_rfc3339(), now.to_rfc3339()),
            "Tokens seem expired, or not yet valid, to whoever checks them by another clock.",
            "Set this machine's clock; if it is right, look at what stands in front of the deployment and answers in its stead.",
        ),
    }
    check
}

/// How long answers took.
fn speed(probe: &Probe) -> Check {
    const SLOW: Duration = Duration::from_secs(3);
    let mut check = Check::new("speed");
    let took = probe.took();
    let Some((what, slowest)) = took.last() else {
        check.skip("nothing was answered");
        return check;
    };
    let median = took.get(took.len() / 2).map_or(Duration::ZERO, |(_, took)| *took);
    check.observed(format!(
        "{} answers, half of them within {} ms, all within {} ms",
        took.len(),
        median.as_millis(),
        slowest.as_millis()
    ));
    if *slowest > SLOW {
        check.weak(
            "slow",
            format!("{} took {} ms", what.split('?').next().unwrap_or_default(), slowest.as_millis()),
            "Claude gives up after ten seconds, and people before.",
            "Ask again: a first request starts a function. If it stays, look at the dashboard's latencies.",
        );
    }
    check
}
