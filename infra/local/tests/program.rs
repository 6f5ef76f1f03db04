//! The program itself, as `cargo run` starts it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use local::{Options, System};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(1);

/// The program, ended when its test ends.
struct Running {
    program: Child,
    /// What it says on standard error.
    lines: mpsc::Receiver<String>,
}

impl Running {
    /// Starts it, and waits until it has said that it is ready; with all that it has printed by then.
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("it does not start: {error}"));
        let (sender, lines) = mpsc::channel();
        let errors = BufReader::new(program.stderr.take().unwrap());
        std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut printed = String::new();
        let mut out = BufReader::new(program.stdout.take().unwrap());
        let ends = |line: &str| line.starts_with('{') || line.starts_with("Ctrl-C");
        while !printed.lines().last().is_some_and(ends) {
            if out.read_line(&mut printed).unwrap() == 0 {
                break;
            }
        }
        (Self { program, lines }, printed)
    }

    /// The first line on standard error that has `part`.
    fn line_with(&self, part: &str) -> String {
        let mut all = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(TIMEOUT) {
            if line.contains(part) {
                return line;
            }
            all.push(line);
        }
        panic!("no {part} in {all:#?}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// A request that is whole, by a client that nobody knows.
const STRANDED: &str = "/oauth/authorize?client_id=nobody&response_type=code&redirect_uri=http://127.0.0.1/callback\
                        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

/// The answer to a request of `host`, head and body.
fn ask(host: &str, request_line: &str) -> String {
    let mut socket = TcpStream::connect(host).unwrap();
    write!(socket, "{request_line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn host_of(ready: &str) -> String {
    let ready: Value = serde_json::from_str(ready).unwrap();
    ready["issuer"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned()
}

/// How it ends that cannot start: what it says on standard error.
fn refused(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_local")).args(arguments).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{told}");
    assert!(told.lines().all(|line| line.starts_with("Amble Connect: ")) && !told.contains("panicked"), "{told}");
    told
}

/// An attempt that stops is told on the terminal, beside the log.
#[test]
fn a_stopped_attempt_is_reported_at_once() {
    let (program, ready) = Running::start(&["--in-memory", "--json", "--listen", "127.0.0.1:0"]);

    let answer = ask(&host_of(&ready), &format!("GET {STRANDED}"));

    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    program.line_with("stopped: the person was left with an error page (unknown_client)");
}

/// People read the log as lines: no JSON, and none of the ids that are for CloudWatch.
#[test]
fn the_terminal_shows_requests_and_events_as_lines() {
    let (program, ready) = Running::start(&["--in-memory", "--json", "--listen", "localhost:0"]);
    let host = host_of(&ready);
    ask(&host, &format!("GET {STRANDED}"));
    ask(&host, "GET /nowhere");

    let event = program.line_with("authorization_stranded");
    let (event_start, flow) = event.split_once("flow=").unwrap();
    assert!(event_start.ends_with("  authorize  authorization_stranded  client=nobody  "), "{event}");
    assert!(flow.ends_with("  reason=unknown_client"), "{event}");
    let request = program.line_with("GET /oauth/authorize");
    let (what, reason) = request.split_once(" ms  ").unwrap();
    assert!(what.contains("  authorize  GET /oauth/authorize  400  ") && reason == "unknown client", "{request}");
    let gateway = program.line_with("/nowhere");
    assert!(
        gateway.ends_with("  INFO       the gateway refused  error=NoRoute  method=GET  path=/nowhere"),
        "{gateway}"
    );
    for line in [&event, &request, &gateway] {
        assert!(!line.contains(['{', '\\', '"']) && line.as_bytes()[2] == b':', "{line}");
    }
}

/// What API Gateway may do to the challenge, and what the template's mapping makes of it.
#[test]
fn a_renamed_challenge_is_put_back_by_the_mapping() {
    for renames in [false, true] {
        let words = ["--in-memory", "--json", "--listen", "127.0.0.1:0", "--rename-challenge"];
        let (_program, ready) = Running::start(words.get(..if renames { 5 } else { 4 }).unwrap());

        let answer = ask(&host_of(&ready), "POST /api/mcp/server");

        assert!(answer.contains("\r\nwww-authenticate: Bearer resource_metadata="), "{answer}");
        assert_eq!(answer.contains("\r\nx-amzn-remapped-www-authenticate: Bearer "), renames, "{answer}");
        assert!(!answer.contains("\r\nx-challenge: "), "{answer}");
    }
    let (_program, printed) = Running::start(&["--in-memory", "--listen", "127.0.0.1:0", "--rename-challenge"]);
    assert!(printed.contains("X-Amzn-Remapped-WWW-Authenticate"), "{printed}");
}

/// The sign-in service goes elsewhere when its port is taken, and says so; the port that was asked for is told when that one is.
#[test]
fn a_taken_port_is_told_by_its_own_number() {
    for _ in 0..20 {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap().port();
        let before = format!("127.0.0.1:{}", taken - 1);
        if TcpListener::bind(&before).is_err() {
            continue;
        }

        let (program, printed) = Running::start(&["--in-memory", "--listen", &before]);
        let told = format!(", as port {taken} is taken by another program\n");
        assert!(printed.contains(&format!("http://localhost:{}/api/mcp/server", taken - 1)), "{printed}");
        assert!(printed.contains(&told) && printed.contains("\nSign-in service     http://localhost:"), "{printed}");

        let again = refused(&["--in-memory", "--listen", &before]);
        let expected = format!("Amble Connect: port {} is taken by another program; stop it, or choose", taken - 1);
        assert!(again.starts_with(&expected) && !again.contains(&taken.to_string()), "{again}");
        drop(program);
        return;
    }
    panic!("no two ports side by side");
}

/// Nothing is served where people would not find it.
#[test]
fn an_odd_address_is_refused_with_a_sentence() {
    for (listen, expected) in [
        ("127.0.0.2:0", "127.0.0.2 is not what localhost means"),
        ("0.0.0.0:8787", "0.0.0.0 is not a loopback address"),
        ("[::]:8787", ":: is not a loopback address"),
        ("127.0.0.1:65536", "--listen needs an address of this machine and a port up to 65535"),
        ("localhost", "--listen needs an address"),
        ("", "--listen needs an address"),
    ] {
        let told = refused(&["--in-memory", "--listen", listen]);
        assert!(told.contains(expected) && told.contains("127.0.0.1"), "{listen}: {told}");
    }
}

/// A folder that is kept from one test to the next start, and gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("local-{}-{name}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file that a crash or a hand has spoilt is told by its path, with what to do; and that does help.
#[test]
fn a_damaged_file_is_told_with_its_path_and_what_to_do() {
    let folder = Folder::new("damaged");
    let path = folder.0.to_str().unwrap().to_owned();
    let words = ["--json", "--listen", "127.0.0.1:0", "--data-dir", &path];
    let files = [
        "tables.sqlite",
        "supabase.json",
        "signing-key-rsa.pkcs8",
        "signing-key-p256.pkcs8",
        "tool-signing-key-rsa.pkcs8",
        "api-key",
    ];
    let start = || {
        let (mut running, ready) = Running::start(&words);
        assert!(ready.contains("owner"), "the demo is there: {ready}");
        // Stopped as Ctrl-C does it, so that all is kept.
        let killed = Command::new("kill").arg(running.program.id().to_string()).status().unwrap();
        assert!(killed.success() && running.program.wait().unwrap().success());
    };
    start();

    for name in files {
        let file = folder.0.join(name);
        for damage in [&b"\xff\xfe no such thing"[..], b""] {
            if name == "tables.sqlite" && damage.is_empty() {
                // An empty file is an empty database.
                continue;
            }
            let whole = std::fs::read(&file).unwrap();
            std::fs::write(&file, damage).unwrap();
            let told = refused(&words);
            let expected = format!("Amble Connect: {} is damaged (", file.display());
            assert!(told.starts_with(&expected), "{told}");
            assert!(
                told.contains("): start on an empty folder with --data-dir DIR, or remove that file, which "),
                "{told}"
            );
            std::fs::write(&file, whole).unwrap();
        }
        std::fs::remove_file(&file).unwrap();
        start();
        assert!(file.exists(), "{name}");
    }

    // What is no longer true is written anew at every start.
    std::fs::write(folder.0.join("running.json"), "{").unwrap();
    start();
    for name in ["lock", "running.json"] {
        std::fs::remove_file(folder.0.join(name)).unwrap();
        std::fs::create_dir(folder.0.join(name)).unwrap();
        let told = refused(&words);
        let expected = format!("{} cannot be read or written (", folder.0.join(name).display());
        assert!(told.contains(&expected) && told.contains("--data-dir DIR"), "{told}");
        std::fs::remove_dir(folder.0.join(name)).unwrap();
    }
}

/// The demo's Ana, who is somebody of the project that the fake Supabase of another system is.
const ANA: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01";
const PUBLISHABLE_KEY: &str = "sb_publishable_local";
const SECRET_KEY: &str = "sb_secret_local";

/// The program with a project, in memory, on any port.
fn with_project(url: &str, key: &str, members: &[&str]) -> Child {
    let members = members.iter().flat_map(|member| ["--member", member]);
    Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["--in-memory", "--json", "--listen", "127.0.0.1:0", "--supabase", url, "--supabase-key", key])
        .args(members)
        .env("SUPABASE_SECRET_KEY", SECRET_KEY)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("it does not start: {error}"))
}

/// The people of a project sign in, by user id and by address; the demo's people and their key are absent, and no key is shown.
#[tokio::test(flavor = "multi_thread")]
async fn project_replaces_the_demo() {
    let apart = System::start(Options { demo: true, ..Options::default() }).await.unwrap();
    let members = [&format!("{ANA}=owner@acme"), "vera@example.com=viewer@globex"];
    let mut program = with_project(apart.supabase_url(), PUBLISHABLE_KEY, &members);
    let mut ready = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let reported: Value = serde_json::from_str(&ready).unwrap();
    let host = reported["issuer"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).unwrap();
    write!(socket, "GET /auth/login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    program.kill().unwrap();
    let output = program.wait_with_output().unwrap();

    let expected = json!({
        "mcp_url": format!("http://{host}/api/mcp/server"),
        "issuer": format!("http://{host}"),
        "supabase_url": apart.supabase_url(),
        "members": [
            { "person": ANA, "role": "owner", "tenant": "acme", "name": "Acme" },
            { "person": "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e03", "role": "viewer", "tenant": "globex", "name": "Globex" },
        ],
        "redirect_urls": format!("http://{host}/auth/callback**"),
    });
    assert_eq!(reported, expected);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Continue with Google"), "{answer}");
    let printed = ready + &String::from_utf8(output.stderr).unwrap();
    assert!(!printed.contains(SECRET_KEY) && !printed.contains(PUBLISHABLE_KEY), "{printed}");
}

/// A project that cannot be used ends the program with a sentence, in which there is no key.
#[tokio::test(flavor = "multi_thread")]
async fn unusable_project_ends_the_program() {
    let apart = System::start(Options { demo: true, ..Options::default() }).await.unwrap();
    for (url, key, expected) in [
        (apart.supabase_url(), "sb_publishable_other", "does not take this publishable key"),
        (apart.supabase_url(), "sb_secret_local", "--supabase-key was given a secret key"),
        ("http://127.0.0.1:1", PUBLISHABLE_KEY, "nothing answers at http://127.0.0.1:1 (Connection refused"),
        ("https://supabase.com/dashboard", PUBLISHABLE_KEY, "--supabase needs the address of a project without a path"),
    ] {
        let output = with_project(url, key, &[]).wait_with_output().unwrap();
        let reported = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{reported}");
        assert!(reported.starts_with("Amble Connect: ") && reported.contains(expected), "{reported}");
        assert!(!reported.contains(key) && !reported.contains(SECRET_KEY), "{reported}");
    }
}

/// The password of a person of the demo, as it is printed.
fn printed_password(printed: &str) -> String {
    let line = printed.lines().find(|line| line.trim_start().starts_with("ana@example.com ")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// The documents tell the passwords of the demo to everybody, so a system on the internet has another, which its folder keeps.
#[test]
fn public_system_prints_the_password_that_it_has_made() {
    let folder = Folder::new("public");
    let path = folder.0.to_str().unwrap().to_owned();
    let public = ["--listen", "127.0.0.1:0", "--data-dir", &path, "--public-url", "https://amble.tunnel.example/"];

    let (running, printed) = Running::start(&public);
    let password = printed_password(&printed);
    assert!(printed.contains("\n  https://amble.tunnel.example/api/mcp/server\n"), "{printed}");
    assert!(printed.contains("The tunnel must lead to http://localhost:"), "{printed}");
    assert!(password.len() == 16 && !printed.contains("-demo"), "{printed}");
    drop(running);
    let (running, again) = Running::start(&public);
    assert_eq!(printed_password(&again), password);
    drop(running);
    // On one machine, the same folder has what the documents tell.
    let (running, printed) = Running::start(&public[..4]);
    assert_eq!(printed_password(&printed), "ana-demo");
    drop(running);

    for name in ["demo-password", "membership-secret"] {
        let file = folder.0.join(name);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, "cut").unwrap();
        let told = refused(&public);
        let expected = format!("Amble Connect: {} is damaged (not a secret)", file.display());
        assert!(told.starts_with(&expected), "{told}");
        std::fs::write(&file, whole).unwrap();
    }
}

/// A script learns where the tunnel is to lead.
#[test]
fn public_system_tells_scripts_where_it_listens() {
    let words = ["--in-memory", "--json", "--listen", "127.0.0.1:0", "--public-url", "https://amble.tunnel.example"];
    let (_program, ready) = Running::start(&words);

    let ready: Value = serde_json::from_str(&ready).unwrap();
    let host = ready["local_origin"].as_str().unwrap().strip_prefix("http://").unwrap();
    let answer = ask(host, "GET /.well-known/oauth-authorization-server");

    assert_eq!(ready["mcp_url"], "https://amble.tunnel.example/api/mcp/server");
    assert!(answer.contains(r#""issuer":"https://amble.tunnel.example""#), "{answer}");
}

/// Whoever writes a tool learns at the start that it cannot be called, and not from a model. What answers, whatever it says, can.
#[test]
fn tool_that_cannot_be_called_is_told_when_its_file_is_loaded() {
    let folder = Folder::new("tools");
    std::fs::create_dir_all(&folder.0).unwrap();
    let answering = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let (live_port, dead_port) = (answering.local_addr().unwrap().port(), dead.local_addr().unwrap().port());
    drop(dead);
    std::thread::spawn(move || {
        for mut socket in answering.incoming().map_while(Result::ok) {
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let function = "arn:aws:lambda:us-east-1:111122223333:function:elsewhere";
    let tools = [
        ("live", format!("url: http://localhost:{live_port}/a")),
        ("dead", format!("url: http://localhost:{dead_port}/a")),
        ("refused", "url: http://localhost:9/a".to_owned()),
        ("function", format!("function: {function}")),
    ];
    let tools: Vec<_> = tools
        .iter()
        .map(|(name, at)| {
            format!("      {name}: {{ title: A, description: B, {at}, input_schema: {{ type: object }} }}")
        })
        .collect();
    let tools = tools.join("\n");
    let file = folder.0.join("acme.yaml");
    let local = format!("local: {{ outbound_allow: [http://localhost:{live_port}] }}");
    std::fs::write(&file, format!("tenants:\n  acme:\n    name: Acme\n    tools:\n{tools}\n{local}\n")).unwrap();
    let dead_origin = format!("http://localhost:{dead_port}");
    let words = ["--in-memory", "--json", "--listen", "127.0.0.1:0", "--workspace", file.to_str().unwrap()];

    let (program, _) = Running::start(&[&words[..], &["--outbound-allow", &dead_origin]].concat());

    let mut told = Vec::new();
    while told.len() < 3 {
        let line = program.lines.recv_timeout(TIMEOUT).unwrap_or_else(|error| panic!("{error}: {told:#?}"));
        told.extend(line.split_once("  tool ").map(|(_, line)| format!("tool {line}")));
    }
    let expected = [
        format!("tool dead of acme cannot be called: it cannot be reached. Is it running at {dead_origin}?"),
        "tool refused of acme cannot be called: its address is not https. If it is yours, start with --outbound-allow \
         http://localhost:9"
            .to_owned(),
        format!("tool function of acme cannot be called: the local system has no function {function}"),
    ];
    assert_eq!(told, expected);
}

/// The variables of a dotenv file.
fn dotenv(path: &Path) -> std::collections::BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| line.split_once('=').unwrap());
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What cargo-lambda and SAM are given to run a function: what the template gives it, and where AWS's services are. Nobody else
/// reads it, and the file for all functions says of none something else than its own.
#[test]
fn env_files_have_what_each_function_reads() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new("env");
    let path = folder.0.to_str().unwrap();
    let words = ["--in-memory", "--listen", "127.0.0.1:0", "--env", path];
    let (_program, printed) = Running::start(&words);

    assert!(printed.contains(&format!("cargo-lambda, sam   {path}\n")), "{printed}");
    let all = dotenv(&folder.0.join("functions.env"));
    let mut functions = Vec::new();
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
        let name = entry.file_name().into_string().unwrap();
        if let Some(function) = name.strip_suffix(".env").filter(|function| *function != "functions") {
            for (variable, value) in dotenv(&entry.path()) {
                assert_eq!(all.get(&variable), Some(&value), "{function} {variable}");
            }
            functions.push(function.to_owned());
        }
    }
    functions.sort();
    let expected =
        ["admin", "audit", "authorize", "feed", "login", "mcp", "people", "register", "revoke", "token", "wellknown"];
    assert_eq!(functions, expected);

    let register = dotenv(&folder.0.join("register.env"));
    let names: Vec<_> = register.keys().map(String::as_str).collect();
    let expected = [
        "AWS_ACCESS_KEY_ID",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_KMS",
        "AWS_ENDPOINT_URL_LAMBDA",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "CLIENT_ADDRESS",
        "EDGE_ONLY",
        "EDGE_SECRET_DIGESTS",
        "SETTINGS",
        "TABLE_CLIENTS",
    ];
    assert_eq!(names, expected);
    assert_eq!(register["TABLE_CLIENTS"], "'amble-connect-Clients'");
    let database = register["AWS_ENDPOINT_URL_DYNAMODB"].trim_matches('\'').strip_prefix("http://").unwrap();
    TcpStream::connect(database).unwrap();

    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(folder.0.join(name)).unwrap()).unwrap() };
    let (of_sam, template) = (read("sam-env.json"), read("sam-template.json"));
    assert_eq!(of_sam["WellKnown"]["ISSUER"], "http://localhost:3000");
    assert_eq!(
        of_sam["Register"]["AWS_ENDPOINT_URL_DYNAMODB"],
        format!("http://{}", database.replace("127.0.0.1", "localhost"))
    );
    assert_eq!(template["Resources"]["Register"]["Properties"]["Environment"]["Variables"], of_sam["Register"]);
    assert!(!include_str!("../../../template.yaml").contains("AWS_ENDPOINT_URL"), "the template names no endpoint");
}
