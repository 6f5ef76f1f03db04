//! `cargo run`: Amble Connect on this machine.

mod arguments;
mod terminal_log;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use arguments::{Arguments, Command, HELP};
use fakes::captcha::Captcha;
use local::attempts::AttemptReporter;
use local::demo::Demo;
use local::front::Front;
use local::member::ProjectMember;
use local::{Options, System, log_subscription};
use serde::Serialize;
use terminal_log::TerminalLines;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a command line would show it to others")]
    let secret_key = std::env::var("SUPABASE_SECRET_KEY").ok().filter(|key| !key.is_empty());
    #[expect(clippy::disallowed_methods, reason = "the tests are told it by the same variable")]
    let tables_url = std::env::var("TABLES_URL").ok().filter(|url| !url.is_empty());
    let arguments = match Arguments::parse(std::env::args_os().skip(1), secret_key.as_deref()) {
        Ok(Command::Help) => return exit_code(print(HELP)),
        Ok(Command::Run(arguments)) => *arguments,
        Err(error) => return exit_code(Err(error.to_string())),
    };
    let quiet = Targets::new()
        .with_default(LevelFilter::INFO)
        // A conditional write that is refused is how races are decided, not a fault.
        .with_target("dynoxide", LevelFilter::ERROR);
    let lines = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new());
    let lines = lines.event_format(TerminalLines::default()).with_writer(io::stderr);
    let attempts = AttemptReporter::default();
    tracing_subscriber::registry()
        .with(lines)
        .with(attempts.clone())
        .with(log_subscription::layer())
        .with(quiet)
        .init();
    exit_code(Box::pin(run(arguments, tables_url, &attempts)).await)
}

async fn run(arguments: Arguments, dynamo: Option<String>, attempts: &AttemptReporter) -> Result<(), String> {
    // Asked for first: a signal that comes while the system starts must not be lost.
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let Arguments {
        listen,
        data,
        workspace,
        tool_origins,
        public_url,
        env_dir,
        project,
        captcha,
        paths,
        json,
        rename_challenge,
    } = arguments;
    let parameters = captcha.iter().flat_map(captcha_parameters).chain(paths).collect();
    let options = Options { listen, data, dynamo, demo: true, project, workspace, ..Options::default() };
    let front = public_url.map_or(Front::Nothing, Front::Tunnel);
    let options = Options { tool_origins, front, env_dir: env_dir.clone(), ..options };
    let system = System::start(Options { rename_challenge, parameters, ..options })
        .await
        .map_err(|failure| failure.to_string())?;
    if let (Some(_), Some(supabase)) = (captcha, system.supabase()) {
        supabase.configure(|config| config.captcha = Some(Captcha::new()));
    }
    print(&if json { machine_readable(&system)? } else { readable(&system, rename_challenge, env_dir.as_deref()) })?;
    let clock = system.clock();
    tokio::select! {
        _ = terminated.recv() => {},
        _ = interrupted.recv() => {},
        failed = attempts.report_decided(&clock, io::stderr()) => failed.map_err(|error| error.to_string())?,
    }
    attempts.report_all(&clock, io::stderr()).map_err(|error| error.to_string())?;
    system.shutdown().await.map_err(|failure| failure.to_string())
}

/// As the template takes them.
fn captcha_parameters((provider, site_key): &(&str, &str)) -> [(String, String); 2] {
    [("CaptchaProvider", *provider), ("CaptchaSiteKey", *site_key)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn readable(system: &System, rename_challenge: bool, env_dir: Option<&Path>) -> String {
    let mcp_url = system.mcp_url();
    let mut text =
        format!("\nAmble Connect is running. Add this URL to an MCP client as a custom connector:\n\n  {mcp_url}\n\n");
    if system.is_public() {
        let origin = system.local_origin();
        let _ = write!(text, "The tunnel must lead to {origin}, which is on this machine alone.\n\n");
    }
    text += &match system.demo() {
        Some(demo) => who_of_the_demo(system, demo),
        None => who_of_the_project(system),
    };
    let _ = write!(
        text,
        "\
         Claude Code         claude mcp add --transport http amble {mcp_url}\n\
         See the challenge   curl -si -X POST {mcp_url}\n"
    );
    if rename_challenge {
        text += "                    It is renamed, as API Gateway may do: X-Amzn-Remapped-WWW-Authenticate has it, and\n\
                 \x20                   WWW-Authenticate only because the mapping in template.yaml puts it back.\n";
    }
    if let Some(env_dir) = env_dir {
        let _ = writeln!(text, "cargo-lambda, sam   {}", env_dir.display());
    }
    text += "\nCtrl-C stops it.\n\n";
    text
}

fn who_of_the_demo(system: &System, demo: &Demo) -> String {
    let mut text = "Sign in as one of these (address and password):\n\n".to_owned();
    let width = demo.people.iter().map(|person| person.password.len()).max().unwrap_or_default();
    for person in &demo.people {
        let tenants: Vec<_> =
            person.tenants.iter().map(|tenant| format!("{} in {}", tenant.role, tenant.name)).collect();
        let tenants = if tenants.is_empty() { "in no workspace".to_owned() } else { tenants.join(", ") };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<17}  {:<width$}  {tenants}", person.email, person.password);
    }
    let inbox = system.supabase_url();
    let _ = write!(
        text,
        "\n\
         Codes by e-mail     {inbox}/inbox/ana@example.com\n\
         A key for scripts   {}\n",
        demo.api_key
    );
    if let Some(port) = system.taken_sign_in_port() {
        let _ = writeln!(text, "Sign-in service     {inbox}, as port {port} is taken by another program");
    }
    text
}

fn who_of_the_project(system: &System) -> String {
    let mut text = format!("The people of {} sign in. ", system.supabase_url());
    if system.memberships().is_empty() {
        text += "None of them is in a workspace yet: sign in, and the page shows\n\
                 your user id. Then start again with --member ID=owner@acme.\n\n";
    } else {
        text += "In a workspace are:\n\n";
        for ProjectMember { person, role, name, .. } in system.memberships() {
            let _ = writeln!(text, "  {person}  {role} in {name}");
        }
        text += "\n";
    }
    let _ = writeln!(text, "To be allowed there {}", redirect_urls(system));
    text
}

/// What the project's list of redirect addresses must have.
fn redirect_urls(system: &System) -> String {
    format!("{}{}", system.issuer(), system.paths().auth("/callback**"))
}

fn machine_readable(system: &System) -> Result<String, String> {
    #[derive(Serialize)]
    struct Line<'a> {
        mcp_url: String,
        issuer: &'a str,
        /// What a tunnel must lead to, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        local_origin: Option<&'a str>,
        supabase_url: &'a str,
        #[serde(flatten)]
        demo: Option<&'a Demo>,
        #[serde(flatten)]
        project: Option<Project<'a>>,
    }
    #[derive(Serialize)]
    struct Project<'a> {
        members: &'a [ProjectMember],
        redirect_urls: String,
    }
    let project = Project { members: system.memberships(), redirect_urls: redirect_urls(system) };
    let line = Line {
        mcp_url: system.mcp_url(),
        issuer: system.issuer(),
        local_origin: system.is_public().then(|| system.local_origin()),
        supabase_url: system.supabase_url(),
        demo: system.demo(),
        project: system.demo().is_none().then_some(project),
    };
    serde_json::to_string(&line).map(|line| line + "\n").map_err(|error| error.to_string())
}

fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}

fn exit_code(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Where even this cannot be said, the exit code says it.
            let _ = writeln!(io::stderr(), "Amble Connect: {reason}");
            ExitCode::FAILURE
        }
    }
}
