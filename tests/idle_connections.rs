//! What a connection costs that the other side has closed, or that has gone silent, while nobody used it. The programs that are
//! deployed run as Lambda runs them, and are stopped as Lambda stops them between two requests.

#![expect(clippy::print_stdout, reason = "the times are told as well as bounded")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local::Programs;
use local::process::{Process, Program};
use serde_json::{Value, json};
use test_system::certificate_authority;
use test_system::{TestSystem, person::Form};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/lambda");

/// A request to a program that calls one service, and the variable that says where that service is.
struct Case {
    service: &'static str,
    variable: &'static str,
    program: &'static str,
    /// How long a request on a silent connection may take besides: an attempt's time limit, or the call's own.
    silence: Duration,
    /// Whether a call that was answered with 503, or not at all, is made again.
    retries: bool,
}

/// As `shared::aws` and `shared::identity::supabase` set them.
const CASES: [Case; 4] = [
    Case {
        service: "DynamoDB",
        variable: "AWS_ENDPOINT_URL_DYNAMODB",
        program: "register",
        silence: Duration::from_millis(900),
        retries: true,
    },
    Case {
        service: "KMS",
        variable: "AWS_ENDPOINT_URL_KMS",
        program: "token",
        silence: Duration::from_millis(900),
        retries: true,
    },
    Case {
        service: "Lambda",
        variable: "AWS_ENDPOINT_URL_LAMBDA",
        program: "mcp",
        silence: Duration::ZERO,
        retries: false,
    },
    Case {
        service: "Supabase",
        variable: "SUPABASE_URL",
        program: "authorize",
        silence: Duration::from_secs(2),
        retries: false,
    },
];

/// The service ends the connection 50 ms after each answer.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the release build: tests/run makes it"]
async fn connection_closed_after_the_response_costs_one_reconnect() {
    for_each_service(async |scenario| {
        scenario.proxy.closes_after_answers(true);
        scenario.invoke().await;
        scenario
            .costs_a_new_connection("closed 50 ms after the answer", 5, async |_| {
                tokio::time::sleep(Duration::from_millis(150)).await;
            })
            .await;
    })
    .await;
}

/// … while the execution environment is frozen.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the release build: tests/run makes it"]
async fn connection_closed_while_frozen_costs_one_reconnect() {
    for_each_service(async |scenario| {
        scenario
            .costs_a_new_connection("closed while stopped", 5, async |scenario| {
                scenario.while_stopped(FaultyProxy::closes_all).await;
            })
            .await;
    })
    .await;
}

/// The attempt that finds the connection closed is not one of those that may be made again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the release build: tests/run makes it"]
async fn closed_connection_uses_no_retry() {
    for_each_service(async |scenario| {
        if !scenario.case.retries {
            return;
        }
        scenario
            .costs_a_new_connection("closed while stopped, then one 503", 5, async |scenario| {
                scenario.while_stopped(FaultyProxy::closes_all).await;
                scenario.proxy.fails_once();
            })
            .await;
        scenario.proxy.closes_after_answers(true);
        scenario.invoke().await;
        scenario
            .costs_a_new_connection("closed after the answer, then one 503", 5, async |scenario| {
                tokio::time::sleep(Duration::from_millis(150)).await;
                scenario.proxy.fails_once();
            })
            .await;
    })
    .await;
}

/// Nothing tells that such a connection is of no use. What it costs is bounded.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the release build: tests/run makes it"]
async fn silent_connection_costs_one_timeout() {
    for_each_service(async |scenario| {
        let mut slowest = Duration::ZERO;
        for _ in 0..2 {
            scenario.while_stopped(FaultyProxy::goes_silent).await;
            let began = Instant::now();
            let answer = scenario.answer().await;
            slowest = slowest.max(began.elapsed());
            let answered = scenario.case.retries || scenario.case.silence.is_zero();
            assert_eq!(!is_failure(&answer), answered, "{}: {answer}", scenario.name());
            scenario.invoke().await;
        }
        let bound = scenario.case.silence + scenario.bound();
        println!("{}: silent while stopped: {slowest:?}, at most {bound:?}", scenario.name());
        assert!(slowest <= bound, "{}: {slowest:?} of at most {bound:?}", scenario.name());
    })
    .await;
}

/// A warm program whose calls to one service go through a proxy.
struct Scenario {
    case: &'static Case,
    proxy: FaultyProxy,
    process: tokio::sync::Mutex<Process>,
    pid: u32,
    event: String,
    warm: Duration,
    handshake: Duration,
}

/// Runs `test` for each service, without TLS and behind it.
async fn for_each_service(test: impl AsyncFn(&Scenario)) {
    let test_system = world_of_processes().await;
    for case in &CASES {
        for tls in [false, true] {
            let scenario = Scenario::set(&test_system, case, tls).await;
            test(&scenario).await;
        }
    }
    test_system.forget_secrets();
}

async fn world_of_processes() -> TestSystem {
    let test_system = TestSystem::with(|options| {
        options.clock = shared::clock::Clock::system();
        let on_line: local::process::OnLine = Arc::new(|_| {});
        let (folder, variables) = (Path::new(PROGRAMS).to_owned(), BTreeMap::new());
        options.programs = Some(Programs { folder, variables, on_line });
    })
    .await;
    let ana = test_system.person("ana@example.com");
    ana.sign_in("/auth/login").await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("tools:execute offline_access");
    let form = Form::find(&ana.open(&ask.url).await, "decision").unwrap();
    let code = ana.submit(&form.with("tenant", "acme").with("decision", "approve")).await.redirect_parameters()["code"]
        .clone();
    let tokens = connector.exchange(&ask, &code).await.tokens(&test_system);
    let called = connector.tool(&tokens.access, "count_words", json!({ "text": "one two" })).await;
    assert_eq!(called.status, 200);
    // The last event of `token`: whoever repeats it within a minute is signed the same successor anew.
    let refreshed = connector.refresh(tokens.refresh.as_deref().unwrap()).await;
    assert_eq!(refreshed.status, 200);
    let _ = refreshed.tokens(&test_system);
    test_system
}

impl Scenario {
    async fn set(test_system: &TestSystem, case: &'static Case, tls: bool) -> Self {
        let pool = test_system.system().process_pool(case.program).unwrap();
        let mut variables = pool.program().variables.clone();
        let upstream = variables[case.variable].trim_start_matches("http://").to_owned();
        let file = std::env::temp_dir().join(format!("proxy-{}-{}.pem", std::process::id(), case.service));
        let proxy = FaultyProxy::start(upstream, tls.then(|| certificate_authority::certify("localhost", &file))).await;
        variables.insert(case.variable.to_owned(), proxy.url.clone());
        if tls {
            variables.insert("SSL_CERT_FILE".to_owned(), file.to_str().unwrap().to_owned());
        }
        if case.service == "Supabase" {
            // Its tokens go on naming the address under which it knows itself.
            variables.insert("SUPABASE_ISSUER".to_owned(), format!("http://{}/auth/v1", proxy.upstream));
            variables.insert("SESSION_COOKIE".to_owned(), cookie(pool.last().as_deref().unwrap()));
        }
        let program = Program { variables, ..pool.program().clone() };
        let mut process = Process::start(&program).await.unwrap();
        process.idle().await.unwrap();
        let (pid, event) = (process.pid().unwrap(), pool.last().unwrap());
        let (warm, handshake) = (Duration::ZERO, Duration::ZERO);
        let mut scenario = Self { case, proxy, process: process.into(), pid, event, warm, handshake };
        for _ in 0..3 {
            scenario.invoke().await;
        }
        let mut times = Vec::new();
        for _ in 0..7 {
            times.push(scenario.invoke().await);
        }
        times.sort_unstable();
        scenario.warm = times[times.len() / 2];
        scenario.handshake = scenario.proxy.handshake(&file).await;
        scenario
    }

    fn name(&self) -> String {
        format!("{}{}", self.case.service, if self.proxy.tls.is_some() { " with TLS" } else { "" })
    }

    /// Four times a warm request and a handshake; and what a shared machine adds to anything that wakes up.
    fn bound(&self) -> Duration {
        4 * (self.warm + self.handshake) + Duration::from_millis(60)
    }

    async fn answer(&self) -> Value {
        let mut process = self.process.lock().await;
        let answer = process.invoke(self.event.clone()).await.unwrap();
        process.idle().await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// How long an answer takes that is no failure of ours.
    async fn invoke(&self) -> Duration {
        let began = Instant::now();
        let mut process = self.process.lock().await;
        let answer = process.invoke(self.event.clone()).await.unwrap();
        let took = began.elapsed();
        process.idle().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(!is_failure(&answer), "{}: {answer}", self.name());
        took
    }

    async fn costs_a_new_connection(&self, what: &str, times: usize, happens: impl AsyncFn(&Self)) {
        let mut slowest = Duration::ZERO;
        for _ in 0..times {
            let connected = self.proxy.connected();
            happens(self).await;
            slowest = slowest.max(self.invoke().await);
            assert!(self.proxy.connected() > connected, "{}: {what}: the old connection was used", self.name());
        }
        let bound = self.bound();
        println!(
            "{}: {what}: {slowest:?} (warm {:?}, handshake {:?}), at most {bound:?}",
            self.name(),
            self.warm,
            self.handshake
        );
        assert!(slowest <= bound, "{}: {what}: {slowest:?} of at most {bound:?}", self.name());
    }

    async fn while_stopped(&self, happens: impl Fn(&FaultyProxy)) {
        self.signal("-STOP").await;
        happens(&self.proxy);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.signal("-CONT").await;
    }

    async fn signal(&self, name: &str) {
        let sent = tokio::process::Command::new("kill").args([name, &self.pid.to_string()]).status().await;
        assert!(sent.unwrap().success());
    }
}

/// Whether it tells of a failure of ours: a form's does so on the page that it leads to. That a form has approved before is none:
/// Supabase and the tables were asked.
fn is_failure(answer: &Value) -> bool {
    answer["statusCode"].as_u64().unwrap() >= 500
        || notice(answer).is_some_and(|notice| !notice.contains("\"already_approved\""))
        || answer["body"].to_string().contains("isError\\\":true")
}

/// What the page that an answer leads to will say.
fn notice(answer: &Value) -> Option<String> {
    answer["headers"]["location"].as_str().filter(|location| location.contains("notice="))?;
    let mut cookies = answer["cookies"].as_array().unwrap().iter().filter_map(Value::as_str);
    let value = cookies.find_map(|cookie| cookie.strip_prefix("mcp-notice=")).unwrap();
    let (content, _) = value.split_once(';').unwrap();
    Some(String::from_utf8(URL_SAFE_NO_PAD.decode(content.split_once('.').unwrap().1).unwrap()).unwrap())
}

/// The name of the session's cookie in an event.
fn cookie(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap();
    let cookies = event["cookies"].as_array().unwrap().iter().filter_map(Value::as_str);
    let session = cookies.filter_map(|cookie| cookie.split_once('=')).find(|(name, _)| name.contains("auth-token"));
    session.unwrap().0.trim_end_matches(".0").to_owned()
}

/// What stands before a service and decides what becomes of connections.
struct FaultyProxy {
    url: String,
    upstream: String,
    tls: Option<TlsAcceptor>,
    state: Arc<State>,
    idle: watch::Sender<Idle>,
}

#[derive(Default)]
struct State {
    connected: AtomicUsize,
    close_after_answers: AtomicBool,
    fail_once: AtomicBool,
}

/// What becomes of connections that nobody uses: those that are open when it is said.
#[derive(Clone, Copy, PartialEq)]
enum Idle {
    Kept,
    Closed,
    Silent,
}

impl FaultyProxy {
    async fn start(upstream: String, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        let (state, (idle, _)) = (Arc::new(State::default()), watch::channel(Idle::Kept));
        let (accepting, shared, said) = (tls.clone(), Arc::clone(&state), idle.clone());
        let to = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connected.fetch_add(1, Ordering::SeqCst);
                let (tls, state, said, to) = (accepting.clone(), Arc::clone(&shared), said.subscribe(), to.clone());
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &to, &state, said).await;
                            }
                        }
                        None => serve(stream, &to, &state, said).await,
                    }
                });
            }
        });
        Self { url, upstream, tls, state, idle }
    }

    fn connected(&self) -> usize {
        self.state.connected.load(Ordering::SeqCst)
    }

    fn closes_after_answers(&self, closes: bool) {
        self.state.close_after_answers.store(closes, Ordering::SeqCst);
    }

    fn fails_once(&self) {
        self.state.fail_once.store(true, Ordering::SeqCst);
    }

    fn closes_all(&self) {
        self.idle.send_replace(Idle::Closed);
    }

    fn goes_silent(&self) {
        self.idle.send_replace(Idle::Silent);
    }

    /// The median time of a connection and its TLS, by a client like those of the programs.
    async fn handshake(&self, authority: &Path) -> Duration {
        let mut builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
        if self.tls.is_some() {
            let authority = std::fs::read(authority).unwrap();
            builder = builder.tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()]);
        }
        let (client, mut times) = (builder.build().unwrap(), Vec::new());
        for _ in 0..5 {
            let began = Instant::now();
            client.get(&self.url).send().await.unwrap();
            times.push(began.elapsed());
        }
        times.sort_unstable();
        times[times.len() / 2]
    }
}

/// Passes requests on, one after another.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    upstream: &str,
    state: &State,
    mut said: watch::Receiver<Idle>,
) {
    said.mark_unchanged();
    loop {
        tokio::select! {
            request = read_message(&mut stream) => {
                let Some(request) = request else { return };
                let answer = if state.fail_once.swap(false, Ordering::SeqCst) {
                    let body = r#"{"__type":"InternalServerError","message":"as the test wanted it"}"#;
                    format!("HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
                } else {
                    let mut upstream = TcpStream::connect(upstream).await.unwrap();
                    upstream.write_all(&request).await.unwrap();
                    read_message(&mut upstream).await.unwrap()
                };
                if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                if state.close_after_answers.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let _ = stream.shutdown().await;
                    return;
                }
            }
            _ = said.changed() => {
                if *said.borrow() == Idle::Closed {
                    let _ = stream.shutdown().await;
                    return;
                }
                // What comes is taken in, and nothing is answered.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                return;
            }
        }
    }
}

/// A whole request or answer: the head, and as much as it says of a body.
async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    while !message.ends_with(b"\r\n\r\n") {
        message.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&message).to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length:")).map_or(0, |n| n.trim().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    message.extend(body);
    Some(message)
}
