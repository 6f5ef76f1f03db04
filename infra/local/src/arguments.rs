//! The command line.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use fakes::captcha::{HCAPTCHA_TEST_SITE_KEY, TURNSTILE_TEST_SITE_KEY};
use local::Data;
use local::member::Member;
use local::project::{Project, ProjectError};
use local::public_url::PublicUrl;
use thiserror::Error;
use workspace_file::allowed_origin::AllowedOrigin;

pub(crate) const HELP: &str = "\
Amble Connect on this machine: an OAuth 2.1 authorization server and the MCP server it protects.

Usage: cargo run [-- OPTIONS]

  --listen ADDR        where to listen: 127.0.0.1, [::1] or localhost, and a port, 0 for any (127.0.0.1:8787). People sign
                       in at the port after it, or at any free one if that is taken
  --data-dir DIR       where to keep what must outlive this run (.data; of a project, and of a public address, a folder of
                       its own in there)
  --in-memory          keep nothing
  --workspace FILE     a workspace file to apply over the demo, at every start
  --outbound-allow ORIGIN
                       call tools at this origin although it is on this machine or in its network, such as
                       http://localhost:3000; as often as needed
  --public-url URL     serve clients on the internet, through a tunnel at this https address: a name without port and path. The
                       tunnel leads to the address of --listen. The demo's people get a password that is printed
  --env DIR            write what cargo-lambda and `sam local` need to run a function beside this system, at every start
  --supabase URL       let the people of this Supabase project sign in, in place of the demo's
  --supabase-key KEY   its publishable key
  --member ID=ROLE@TENANT
                       somebody of that project who is in a workspace, by user id; as often as needed. By address too, if
                       SUPABASE_SECRET_KEY holds a secret key of the project
  --captcha PROVIDER   demand a captcha of the demo's people to sign in by e-mail: turnstile or hcaptcha, whose own widget
                       for tests your browser fetches
  --admin-path PATH    where people find the console (/admin)
  --auth-path PATH     where people find the sign-in page (/auth)
  --json               print one line of JSON when ready, for scripts
  --rename-challenge   rename WWW-Authenticate as API Gateway may do, to X-Amzn-Remapped-WWW-Authenticate; the template's
                       mapping puts the challenge back, so that answers have both
  --help               print this

TABLES_URL names another DynamoDB to keep the tables in, http://127.0.0.1:8000 say: DynamoDB Local, or moto.
";

/// What the system is to be like.
pub(crate) struct Arguments {
    pub(crate) listen: SocketAddr,
    pub(crate) data: Data,
    pub(crate) workspace: Option<PathBuf>,
    pub(crate) tool_origins: Vec<AllowedOrigin>,
    pub(crate) public_url: Option<PublicUrl>,
    pub(crate) env_dir: Option<PathBuf>,
    pub(crate) project: Option<Project>,
    /// Its provider, and its site key.
    pub(crate) captcha: Option<(&'static str, &'static str)>,
    /// The template's parameters `AdminPath` and `AuthPath`, where they are given.
    pub(crate) paths: Vec<(String, String)>,
    pub(crate) json: bool,
    pub(crate) rename_challenge: bool,
}

/// What was asked for.
pub(crate) enum Command {
    Help,
    Run(Box<Arguments>),
}

/// What is wrong with it. A word of the command line is repeated only if it can be no key.
#[derive(Debug, Error)]
pub(crate) enum ArgumentError {
    #[error("{0} is not an option; --help tells what there is")]
    NoOption(String),
    #[error("a word of the command line belongs to no option; --help tells what there is")]
    NoPlace,
    #[error("{0} needs a value; --help tells what there is")]
    NoValue(&'static str),
    #[error("--listen needs an address of this machine and a port up to 65535, such as 127.0.0.1:8787 or [::1]:8787")]
    Listen,
    #[error(
        "--public-url needs https and a name of the internet, without port and path, such as https://connect.example.com"
    )]
    PublicUrl,
    #[error("--outbound-allow needs an origin without a path, such as http://localhost:3000")]
    OutboundAllow,
    #[error("--captcha needs turnstile or hcaptcha")]
    Captcha,
    #[error("--captcha is for the demo's people, and excludes --supabase")]
    CaptchaOfAProject,
    #[error("--in-memory and --data-dir exclude each other")]
    DataDir,
    #[error("--supabase and --supabase-key go together")]
    HalfAProject,
    #[error("--member is for the people of a project, and needs --supabase; the demo's people have their places")]
    MemberOfTheDemo,
    #[error(
        "--member needs ID=ROLE@TENANT, such as 5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01=owner@acme: the page shows their user \
         id to whoever has signed in and is in no workspace"
    )]
    Member,
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl Arguments {
    /// Reads the words after the program's name. `secret_key` is that of the environment, which only whoever names a member by
    /// address needs.
    pub(crate) fn parse(
        mut words: impl Iterator<Item = OsString>,
        secret_key: Option<&str>,
    ) -> Result<Command, ArgumentError> {
        let mut listen = SocketAddr::from(([127, 0, 0, 1], 8787));
        let (mut folder, mut workspace, mut members) = (None, None, Vec::new());
        let (mut tool_origins, mut public_url, mut env_dir) = (Vec::new(), None, None);
        let (mut url, mut key, mut captcha) = (None, None, None);
        let mut paths = Vec::new();
        let (mut in_memory, mut json, mut rename_challenge) = (false, false, false);
        while let Some(word) = words.next() {
            let mut value = |name| words.next().ok_or(ArgumentError::NoValue(name));
            match word.to_str().unwrap_or_default() {
                "--help" | "-h" => return Ok(Command::Help),
                "--in-memory" => in_memory = true,
                "--json" => json = true,
                "--rename-challenge" => rename_challenge = true,
                "--admin-path" => paths.push(("AdminPath".to_owned(), text(&value("--admin-path")?))),
                "--auth-path" => paths.push(("AuthPath".to_owned(), text(&value("--auth-path")?))),
                "--data-dir" => folder = Some(PathBuf::from(value("--data-dir")?)),
                "--workspace" => workspace = Some(PathBuf::from(value("--workspace")?)),
                "--env" => env_dir = Some(PathBuf::from(value("--env")?)),
                "--public-url" => {
                    let url = value("--public-url")?;
                    public_url = Some(url.to_str().and_then(PublicUrl::parse).ok_or(ArgumentError::PublicUrl)?);
                }
                "--outbound-allow" => {
                    let origin = value("--outbound-allow")?;
                    let origin = origin.to_str().and_then(AllowedOrigin::parse);
                    tool_origins.push(origin.ok_or(ArgumentError::OutboundAllow)?);
                }
                "--supabase" => url = Some(text(&value("--supabase")?)),
                "--supabase-key" => key = Some(text(&value("--supabase-key")?)),
                "--member" => {
                    let member = value("--member")?;
                    members.push(member.to_str().and_then(Member::parse).ok_or(ArgumentError::Member)?);
                }
                "--captcha" => {
                    captcha = Some(match value("--captcha")?.to_str() {
                        Some("turnstile") => ("turnstile", TURNSTILE_TEST_SITE_KEY),
                        Some("hcaptcha") => ("hcaptcha", HCAPTCHA_TEST_SITE_KEY),
                        _ => return Err(ArgumentError::Captcha),
                    });
                }
                "--listen" => {
                    let address = value("--listen")?;
                    listen = address.to_str().and_then(socket_address).ok_or(ArgumentError::Listen)?;
                }
                option if option.starts_with('-') => {
                    return Err(ArgumentError::NoOption(option.split('=').next().unwrap_or_default().to_owned()));
                }
                _ => return Err(ArgumentError::NoPlace),
            }
        }
        let project = match (url, key) {
            (Some(_), Some(_)) if captcha.is_some() => return Err(ArgumentError::CaptchaOfAProject),
            (Some(url), Some(key)) => {
                let project = Project::parse(&url, &key)?;
                let project = match secret_key.filter(|_| members.iter().any(|member| member.address().is_some())) {
                    Some(secret_key) => project.with_secret_key(secret_key)?,
                    None => project,
                };
                Some(project.with_members(members)?)
            }
            (None, None) if members.is_empty() => None,
            (None, None) => return Err(ArgumentError::MemberOfTheDemo),
            _ => return Err(ArgumentError::HalfAProject),
        };
        let data = match (in_memory, folder) {
            (true, Some(_)) => return Err(ArgumentError::DataDir),
            (true, None) => Data::Memory,
            (false, Some(folder)) => Data::Directory(folder),
            (false, None) => Data::Directory(default_folder(project.as_ref(), public_url.as_ref())),
        };
        Ok(Command::Run(Box::new(Self {
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
        })))
    }
}

fn text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

/// `127.0.0.1:8787`, `[::1]:8787`, or `localhost:8787`, which is the first of them.
fn socket_address(text: &str) -> Option<SocketAddr> {
    match text.split_once(':') {
        Some(("localhost", port)) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?))),
        _ => text.parse().ok(),
    }
}

/// Of each project its own: the ids of one's people are nobody in another, and the demo's API key opens what the demo has. And of
/// each public address: what was approved for another issuer opens nothing, and its passwords are not those of this machine.
fn default_folder(project: Option<&Project>, public_url: Option<&PublicUrl>) -> PathBuf {
    let project = project.and_then(|project| project.url().split_once("://")).map(|(_, host)| host);
    let hosts = project.into_iter().chain(public_url.map(PublicUrl::host));
    hosts.fold(PathBuf::from(".data"), |folder, host| folder.join(host.replace([':', '[', ']'], "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://abcdefgh.supabase.co";
    const KEY: &str = "sb_publishable_x";
    const ANA: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01=owner@acme";

    fn parse(words: &[&str], secret_key: Option<&str>) -> Result<Arguments, String> {
        match Arguments::parse(words.iter().map(OsString::from), secret_key) {
            Ok(Command::Run(arguments)) => Ok(*arguments),
            Ok(Command::Help) => Err("help".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn folder(arguments: Arguments) -> Option<String> {
        match arguments.data {
            Data::Directory(folder) => Some(folder.display().to_string()),
            Data::Memory => None,
        }
    }

    #[test]
    fn demo_is_the_default_without_a_project() {
        let arguments = parse(&[], Some("sb_secret_x")).unwrap();
        assert!(arguments.project.is_none());
        assert_eq!(folder(arguments).as_deref(), Some(".data"));
    }

    #[test]
    fn each_project_has_its_own_data_dir() {
        for (url, expected) in [(URL, ".data/abcdefgh.supabase.co"), ("http://[::1]:54321", ".data/---1--54321")] {
            let arguments = parse(&["--supabase", url, "--supabase-key", KEY, "--member", ANA], None).unwrap();
            assert_eq!(arguments.project.as_ref().unwrap().url(), url);
            assert_eq!(folder(arguments).as_deref(), Some(expected));
        }
        let public = ["--public-url", "https://connect.example.com"];
        assert_eq!(folder(parse(&public, None).unwrap()).as_deref(), Some(".data/connect.example.com"));
        let both = ["--public-url", "https://connect.example.com", "--supabase", URL, "--supabase-key", KEY];
        let expected = ".data/abcdefgh.supabase.co/connect.example.com";
        assert_eq!(folder(parse(&both, None).unwrap()).as_deref(), Some(expected));
        let named = ["--supabase", URL, "--supabase-key", KEY, "--data-dir", "here"];
        assert_eq!(folder(parse(&named, None).unwrap()).as_deref(), Some("here"));
    }

    #[test]
    fn paths_are_parameters_of_the_template() {
        let arguments = parse(&["--auth-path", "/connect/auth", "--admin-path", "/connect/admin"], None).unwrap();
        let expected = [("AuthPath", "/connect/auth"), ("AdminPath", "/connect/admin")];
        assert_eq!(arguments.paths, expected.map(|(name, path)| (name.to_owned(), path.to_owned())));
    }

    #[test]
    fn listen_takes_the_addresses_that_localhost_means() {
        for (text, expected) in [
            ("127.0.0.1:8787", "127.0.0.1:8787"),
            ("localhost:0", "127.0.0.1:0"),
            ("localhost:65535", "127.0.0.1:65535"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(parse(&["--listen", text], None).unwrap().listen.to_string(), expected);
        }
    }

    /// By user id, as often as one likes; by address only with a secret key.
    #[test]
    fn members_are_parsed_by_user_id_or_address() {
        let project = ["--supabase", URL, "--supabase-key", KEY, "--member", ANA, "--member"];
        let by_address = [&project[..], &["ben@example.com=viewer@acme"]].concat();
        assert!(parse(&[&project[..], &[ANA]].concat(), None).is_ok());
        assert!(parse(&by_address, Some("sb_secret_x")).is_ok());
        let refused = parse(&by_address, None).err().unwrap();
        assert!(refused.contains("ben@example.com") && refused.contains("SUPABASE_SECRET_KEY"), "{refused}");
    }

    #[test]
    fn an_argument_error_says_what_to_do() {
        for (words, expected) in [
            (&["--supabase", URL][..], "--supabase and --supabase-key go together"),
            (&["--supabase-key", KEY], "--supabase and --supabase-key go together"),
            (&["--supabase", URL, "--supabase-key"], "--supabase-key needs a value"),
            (&["--member", ANA], "needs --supabase"),
            (&["--supabase", URL, "--supabase-key", KEY, "--member", "ana=owner@acme"], "ID=ROLE@TENANT"),
            (&["--supabase", "abcdefgh", "--supabase-key", KEY], "the address of a project"),
            (&["--supabase", URL, "--supabase-key", "x"], "publishable key"),
            (&["--supabase", URL, "--supabase-key", "sb_secret_x"], "SUPABASE_SECRET_KEY"),
            (&["--captcha", "x"], "--captcha needs turnstile or hcaptcha"),
            (
                &["--supabase", URL, "--supabase-key", KEY, "--captcha", "turnstile"],
                "--captcha is for the demo's people",
            ),
            (&["--in-memory", "--data-dir", "x"], "exclude each other"),
            (&["--public-url", "http://connect.example.com"], "--public-url needs https"),
            (&["--public-url", "https://connect.example.com:8443"], "without port"),
            (&["--public-url", "https://localhost"], "a name of the internet"),
            (&["--outbound-allow", "localhost:3000"], "--outbound-allow needs an origin"),
            (&["--outbound-allow", "http://localhost:3000/tool"], "without a path"),
            (&["--outbound-allow"], "--outbound-allow needs a value"),
            (&["--env"], "--env needs a value"),
            (&["--listen", "here"], "127.0.0.1:8787"),
            (&["--listen", "8787"], "127.0.0.1:8787"),
            (&["--listen", ":8787"], "127.0.0.1:8787"),
            (&["--listen", "localhost"], "127.0.0.1:8787"),
            (&["--listen", "127.0.0.1:65536"], "up to 65535"),
            (&["--listen", "localhost:65536"], "up to 65535"),
            (&["--frobnicate"], "--frobnicate is not an option"),
        ] {
            let message = parse(words, None).err().unwrap();
            assert!(message.contains(expected), "{words:?}: {message}");
        }
    }

    /// Whatever was mistyped, what may be a key is not repeated on a terminal.
    #[test]
    fn no_argument_error_repeats_a_key() {
        for words in [
            &["--supabase", URL, "sb_secret_x"][..],
            &["--supabase-key=sb_secret_x"],
            &["sb_secret_x"],
            &["--supabase", "sb_secret_x", "--supabase-key", KEY],
            &["--supabase", URL, "--supabase-key", "sb_secret_x"],
            &["--supabase", URL, "--supabase-key", KEY, "--member", "sb_secret_x"],
        ] {
            let message = parse(words, None).err().unwrap();
            assert!(!message.contains("sb_secret_x"), "{message}");
        }
    }
}
