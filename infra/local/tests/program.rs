//! The program itself, as `cargo run` starts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(1);

/// An attempt that stops is told on the terminal, beside the log.
#[test]
fn an_attempt_that_stops_is_told_at_once() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["--in-memory", "--json", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (said, hears) = mpsc::channel();
    let errors = BufReader::new(program.stderr.take().unwrap());
    std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
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
    let told = std::iter::from_fn(|| hears.recv_timeout(PATIENCE).ok());
    let told = told.map(|line| line.contains("stopped: the person was left with an error page (unknown_client)"));
    assert!(told.into_iter().any(|told| told));
    program.kill().unwrap();
    program.wait().unwrap();
}
