//! `cargo run`: Amble Connect on this machine.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use local::demo::Demo;
use local::flows::Flows;
use local::{Data, Options, System, delivery};
use serde::Serialize;
use stand_ins::captcha::{Captcha, HCAPTCHA_TEST_SITE_KEY, TURNSTILE_TEST_SITE_KEY};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const HELP: &str = "\
Amble Connect on this machine: an OAuth 2.1 authorization server and the MCP server it protects.

Usage: cargo run [-- OPTIONS]

  --listen ADDR        where to listen: an address of this machine and a port, 0 for any (127.0.0.1:8787)
  --data-dir DIR       where to keep what must outlive this run (.data)
  --in-memory          keep nothing
  --workspace FILE     a workspace file to apply over the demo, at every start
  --captcha PROVIDER   demand a captcha to sign in by e-mail: turnstile or hcaptcha, whose own widget for tests
                       your browser fetches
  --json               print one line of JSON when ready, for scripts
  --rename-challenge   rename WWW-Authenticate on its way out, as API Gateway may do
  --help               print this
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => return ended(tell(HELP)),
        Ok(Asked::Run(arguments)) => arguments,
        Err(mistake) => return ended(Err(format!("{mistake}; --help tells what there is"))),
    };
    let quiet = Targets::new()
        .with_default(LevelFilter::INFO)
        // A conditional write that is refused is how races are decided, not a fault.
        .with_target("dynoxide", LevelFilter::ERROR)
        // It tells of every call three times.
        .with_target("rmcp", LevelFilter::ERROR);
    // The metrics are CloudWatch's; people have enough with the rest.
    let fields = debug_fn(|writer, field, value| match field.name() {
        "metrics" => Ok(()),
        "message" => write!(writer, "{value:?}"),
        name => write!(writer, "{name}={value:?}"),
    })
    .delimited(" ");
    let lines = tracing_subscriber::fmt::layer().fmt_fields(fields).with_writer(io::stderr);
    let flows = Flows::default();
    tracing_subscriber::registry().with(lines).with(flows.clone()).with(delivery::layer()).with(quiet).init();
    ended(run(arguments, &flows).await)
}

async fn run(arguments: Arguments, flows: &Flows) -> Result<(), String> {
    // Asked for first: a signal that comes while the system starts must not be lost.
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let Arguments { listen, data, workspace, captcha, json, rename_challenge } = arguments;
    let parameters = captcha.iter().flat_map(captcha_parameters).collect();
    let options = Options { listen, data, demo: true, workspace, rename_challenge, parameters, ..Options::default() };
    let system = System::start(options).await.map_err(|failure| failure.to_string())?;
    if captcha.is_some() {
        system.supabase().configure(|config| config.captcha = Some(Captcha::new()));
    }
    let demo = system.demo().ok_or("the demo is missing")?;
    tell(&if json { machine_readable(&system, demo)? } else { readable(&system, demo) })?;
    let clock = system.clock();
    tokio::select! {
        _ = terminated.recv() => {},
        _ = interrupted.recv() => {},
        failed = flows.tell(&clock, io::stderr()) => failed.map_err(|error| error.to_string())?,
    }
    flows.tell_all(&clock, io::stderr()).map_err(|error| error.to_string())?;
    system.shutdown().await.map_err(|failure| failure.to_string())
}

struct Arguments {
    listen: SocketAddr,
    data: Data,
    workspace: Option<PathBuf>,
    /// Its provider, and its site key.
    captcha: Option<(&'static str, &'static str)>,
    json: bool,
    rename_challenge: bool,
}

enum Asked {
    Help,
    Run(Arguments),
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = std::ffi::OsString>) -> Result<Asked, String> {
        let mut listen = SocketAddr::from(([127, 0, 0, 1], 8787));
        let (mut folder, mut workspace, mut captcha) = (None, None, None);
        let (mut in_memory, mut json, mut rename_challenge) = (false, false, false);
        while let Some(word) = words.next() {
            let mut value = |name| words.next().ok_or(format!("{name} needs a value"));
            match word.to_str().unwrap_or_default() {
                "--help" | "-h" => return Ok(Asked::Help),
                "--in-memory" => in_memory = true,
                "--json" => json = true,
                "--rename-challenge" => rename_challenge = true,
                "--data-dir" => folder = Some(PathBuf::from(value("--data-dir")?)),
                "--workspace" => workspace = Some(PathBuf::from(value("--workspace")?)),
                "--captcha" => {
                    captcha = Some(match value("--captcha")?.to_str() {
                        Some("turnstile") => ("turnstile", TURNSTILE_TEST_SITE_KEY),
                        Some("hcaptcha") => ("hcaptcha", HCAPTCHA_TEST_SITE_KEY),
                        _ => return Err("--captcha needs turnstile or hcaptcha".to_owned()),
                    });
                }
                "--listen" => {
                    let address = value("--listen")?;
                    let parsed = address.to_str().and_then(|address| address.parse().ok());
                    listen = parsed.ok_or("--listen needs an address and a port, such as 127.0.0.1:8787")?;
                }
                _ => return Err(format!("{} is not an option", word.display())),
            }
        }
        let data = match (in_memory, folder) {
            (true, Some(_)) => return Err("--in-memory and --data-dir exclude each other".to_owned()),
            (true, None) => Data::Memory,
            (false, folder) => Data::Folder(folder.unwrap_or_else(|| PathBuf::from(".data"))),
        };
        Ok(Asked::Run(Self { listen, data, workspace, captcha, json, rename_challenge }))
    }
}

/// As the template takes them.
fn captcha_parameters((provider, site_key): &(&str, &str)) -> [(String, String); 2] {
    [("CaptchaProvider", *provider), ("CaptchaSiteKey", *site_key)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn readable(system: &System, demo: &Demo) -> String {
    let mcp_url = system.mcp_url();
    let mut text =
        format!("\nAmble Connect is running. Add this URL to an MCP client as a custom connector:\n\n  {mcp_url}\n\n");
    text += "Sign in as one of these (address and password):\n\n";
    for person in &demo.people {
        let tenants: Vec<_> =
            person.tenants.iter().map(|tenant| format!("{} in {}", tenant.role, tenant.name)).collect();
        let tenants = if tenants.is_empty() { "in no workspace".to_owned() } else { tenants.join(", ") };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<17}  {:<9}  {tenants}", person.email, person.password);
    }
    let inbox = system.supabase_url();
    let _ = write!(
        text,
        "\n\
         Codes by e-mail     {inbox}/inbox/ana@example.com\n\
         A key for scripts   {}\n\
         Claude Code         claude mcp add --transport http amble {mcp_url}\n\
         See the challenge   curl -si -X POST {mcp_url}\n\n\
         Ctrl-C stops it.\n\n",
        demo.api_key
    );
    text
}

fn machine_readable(system: &System, demo: &Demo) -> Result<String, String> {
    #[derive(Serialize)]
    struct Line<'a> {
        mcp_url: String,
        issuer: &'a str,
        #[serde(flatten)]
        demo: &'a Demo,
    }
    let line = Line { mcp_url: system.mcp_url(), issuer: system.issuer(), demo };
    serde_json::to_string(&line).map(|line| line + "\n").map_err(|error| error.to_string())
}

fn tell(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| error.to_string())
}

fn ended(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Where even this cannot be said, the exit code says it.
            let _ = writeln!(io::stderr(), "Amble Connect: {reason}");
            ExitCode::FAILURE
        }
    }
}
