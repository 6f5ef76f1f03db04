//! The program itself, as `cargo run` starts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use local::{Options, System};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_mins(1);

/// An attempt that stops is told on the terminal, beside the log.
#[test]
fn a_stopped_attempt_is_reported_at_once() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["--in-memory", "--json", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = mpsc::channel();
    let errors = BufReader::new(program.stderr.take().unwrap());
    std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut ready = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let host = ready["issuer"].as_str().unwrap().strip_prefix("http://").unwrap();

    let request =
        format!("GET /oauth/authorize?client_id=nobody HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut socket = TcpStream::connect(host).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();

    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let reported = std::iter::from_fn(|| lines.recv_timeout(TIMEOUT).ok());
    let reported =
        reported.map(|line| line.contains("stopped: the person was left with an error page (unknown_client)"));
    assert!(reported.into_iter().any(|reported| reported));
    program.kill().unwrap();
    program.wait().unwrap();
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
