//! Requests of one kind after another, through the gateway, to processes that have answered before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use local::interceptor::{Call, Decision};
use local::process::{Process, ProcessPool, Program};
use local::{Options, Programs};
use serde_json::json;
use shared::store::connections::PAGE;
use test_system::TestSystem;
use test_system::connector::{AuthorizationRequest, Connector, Tokens};
use test_system::person::{Form, Person};

use crate::cold::LastInvocation;
use crate::figures::{Spread, Warm};
use crate::process_cost::{processor_time, resident};
use crate::table_seed::{DEPARTING_PEOPLE, TENANT, seed_tables};

/// The approvals of one client, of which a person has 50 connections at most. Codes are exchanged before they expire.
const OF_CLIENT: usize = 40;
/// The most approvals: a person approves 240 times an hour at most.
const APPROVALS: usize = 200;
/// What is requested.
const SCOPE: &str = "tools:execute skills:read offline_access";
/// How often each operation was asked for.
type Calls = Arc<Mutex<BTreeMap<String, usize>>>;

/// How many requests of a kind tell how many calls it makes.
const COUNTED: usize = 20;

/// What a client and a person do, each kind of request `requests` times, beside `others` grants that nothing of it concerns; the last
/// event of each program, and the test system in which it can be answered.
pub(crate) async fn measure(
    programs: &Path,
    requests: usize,
    others: usize,
) -> (Vec<Warm>, BTreeMap<String, LastInvocation>, TestSystem) {
    let calls = Calls::default();
    let counted_calls = calls.clone();
    let interceptor = move |call: Call| {
        *counted_calls.lock().expect("unpoisoned").entry(call.operation).or_default() += 1;
        async { Decision::Pass }
    };
    let counted = test_system(programs, |options| options.interceptor = Some(Arc::new(interceptor))).await;
    seed_tables(&counted, 2 * PAGE).await;
    let mut counting = Workload { test_system: &counted, calls: Some(&calls), rows: Vec::new() };
    counting.run(COUNTED).await;
    let counts = counting.rows;

    let test_system = test_system(programs, |_| {}).await;
    seed_tables(&test_system, others).await;
    let mut workload = Workload { test_system: &test_system, calls: None, rows: Vec::new() };
    let fresh: BTreeMap<_, _> = workload.programs().map(|(name, pool)| (name, memory(&pool))).collect();
    workload.run(requests).await;
    let mut rows: Vec<_> = workload
        .rows
        .into_iter()
        .zip(counts)
        .map(|(row, counted)| row.figures(fresh.get(row.program).copied().unwrap_or_default(), counted.calls))
        .collect();

    let mut invocations = BTreeMap::new();
    for (name, _) in (Workload { test_system: &test_system, calls: None, rows: Vec::new() }).programs() {
        let pool = test_system.system().process_pool(name).expect("it is a process");
        let event = pool.last().unwrap_or_default();
        if !event.is_empty() {
            invocations.insert(name.to_owned(), LastInvocation { variables: pool.program().variables.clone(), event });
        }
    }
    let event = invocations["wellknown"].event.clone();
    let variables = BTreeMap::new();
    rows.insert(0, empty(programs, requests, &event).await);
    invocations.insert("empty".to_owned(), LastInvocation { variables, event });
    // Which are many, and looked for in everything that was stored.
    test_system.forget_secrets();
    counted.forget_secrets();
    (rows, invocations, test_system)
}

async fn test_system(programs: &Path, change: impl FnOnce(&mut Options)) -> TestSystem {
    let tools = std::env::temp_dir().join(format!("benchmark-{}.yaml", std::process::id()));
    std::fs::write(&tools, fifty_tools()).expect("a file");
    TestSystem::with(|options| {
        options.clock = shared::clock::Clock::system();
        let on_line: local::process::OnLine = Arc::new(|_| {});
        options.programs = Some(Programs { folder: programs.to_owned(), variables: BTreeMap::new(), on_line });
        options.workspace = Some(tools);
        change(options);
    })
    .await
}

/// A tenant of Ana's with as many tools as `tools/list` is measured with.
fn fifty_tools() -> String {
    let mut file = "tenants:\n  fifty:\n    name: Fifty tools\n    members:\n      \
                    5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01: { name: Ana, role: owner }\n    tools:\n"
        .to_owned();
    for number in 0..50 {
        let _ = write!(
            file,
            "      create_invoice_{number}:\n        title: Create an invoice of kind {number}\n        description: Creates \
             an invoice for a customer and returns its number.\n        url: https://tools.example.com/{number}\n        \
             timeout_seconds: 10\n        input_schema:\n          type: object\n          properties:\n            customer: {{ type: \
             string, description: Number of the customer }}\n            amount: {{ type: number, minimum: 0 }}\n          \
             required: [customer, amount]\n"
        );
    }
    file
}

/// The processor and the memory of a function that does nothing.
async fn empty(programs: &Path, requests: usize, event: &str) -> Warm {
    let program = Program {
        binary: programs.join("empty").join("bootstrap"),
        name: "empty".to_owned(),
        function: "empty".to_owned(),
        variables: BTreeMap::new(),
        on_line: Arc::new(|_| {}),
    };
    let mut process = Process::start(&program).await.expect("it starts");
    process.idle().await.expect("it asks");
    let pid = process.pid().expect("it runs");
    let fresh = resident(pid);
    process.invoke(event.to_owned()).await.expect("an answer");
    let (before, mut took) = (processor_time(pid), Vec::new());
    for _ in 0..requests {
        let handed = std::time::Instant::now();
        process.invoke(event.to_owned()).await.expect("an answer");
        took.push(handed.elapsed());
    }
    process.idle().await.expect("it asks");
    let row = Measurement {
        program: "empty",
        kind: "any request",
        requests,
        took,
        ran: processor_time(pid).saturating_sub(before),
        resident: resident(pid),
        calls: BTreeMap::new(),
    };
    row.figures(fresh, BTreeMap::new())
}

/// What is measured of one kind of request.
struct Measurement {
    program: &'static str,
    kind: &'static str,
    requests: usize,
    took: Vec<Duration>,
    ran: Duration,
    resident: u64,
    calls: BTreeMap<String, f64>,
}

impl Measurement {
    fn figures(&self, fresh: u64, calls: BTreeMap<String, f64>) -> Warm {
        let took = Spread::of(self.took.iter().map(|took| took.as_secs_f64() * 1e6).collect());
        #[expect(clippy::cast_precision_loss, reason = "a number of requests")]
        let processor = self.ran.as_secs_f64() * 1e6 / self.requests as f64;
        Warm {
            program: self.program.to_owned(),
            kind: self.kind.to_owned(),
            requests: self.requests,
            median: took.median,
            p99: took.p99,
            processor,
            resident: (fresh, self.resident),
            calls,
        }
    }
}

struct Workload<'w> {
    test_system: &'w TestSystem,
    calls: Option<&'w Calls>,
    rows: Vec<Measurement>,
}

impl<'w> Workload<'w> {
    fn programs(&self) -> impl Iterator<Item = (&'static str, Arc<ProcessPool>)> {
        ["wellknown", "register", "authorize", "token", "revoke", "mcp", "admin"]
            .into_iter()
            .map(|name| (name, self.test_system.system().process_pool(name).expect("it is a process")))
    }

    /// Every kind of request, `times` times.
    async fn run(&mut self, times: usize) {
        let test_system = self.test_system;
        let ana = test_system.person("ana@example.com");
        ana.sign_in("/auth/login").await;
        test_system.get("/.well-known/jwks.json").await;

        let before = self.begin("wellknown");
        for _ in 0..times {
            assert_eq!(test_system.get("/.well-known/oauth-authorization-server").await.status, 200);
        }
        self.finish(before, "a document", times).await;

        let before = self.begin("register");
        for number in 0..times {
            test_system.connector(&format!("Claude {number}")).await;
        }
        self.finish(before, "a new client", times).await;

        let connector = test_system.connector("Claude").await;
        let ask = connector.authorization_request(SCOPE);
        ana.open(&ask.url).await;
        let before = self.begin("authorize");
        for _ in 0..times {
            assert_eq!(ana.open(&ask.url).await.status, 200);
        }
        self.finish(before, "page", times).await;

        let mut connections = self.connections(&ana, times.min(APPROVALS)).await;
        self.calls_of_mcp(&connections, times).await;

        let before = self.begin("token");
        let many = connections.len();
        for number in 0..times {
            let (connector, tokens) = &mut connections[number % many];
            let refresh = tokens.refresh.as_deref().expect("a refresh token");
            *tokens = connector.refresh(refresh).await.tokens(test_system);
        }
        self.finish(before, "refresh", times).await;

        let before = self.begin("revoke");
        for (connector, tokens) in &connections {
            assert_eq!(connector.revoke(tokens.refresh.as_deref().expect("a refresh token")).await.status, 200);
        }
        self.finish(before, "a refresh token", many).await;
        self.administration(&ana, times.min(200)).await;

        // What a new process will be given to answer: a call that is let in, and a refresh whose answer was lost.
        let code = ana.submit(&consent_form(&ana, &ask).await).await.redirect_parameters()["code"].clone();
        let called = connector.exchange(&ask, &code).await.tokens(test_system);
        assert_eq!(connector.call(&called.access, "tools/list", json!({})).await.status, 200);
        let code = ana.submit(&consent_form(&ana, &ask).await).await.redirect_parameters()["code"].clone();
        let refreshed = connector.exchange(&ask, &code).await.tokens(test_system);
        let answer = connector.refresh(refreshed.refresh.as_deref().expect("a refresh token")).await;
        assert_eq!(answer.status, 200);
    }

    /// So many connections, of as many clients as that takes. A page approves once.
    async fn connections(&mut self, ana: &Person<'_>, many: usize) -> Vec<(Arc<Connector<'w>>, Tokens)> {
        let mut connections = Vec::new();
        for from in (0..many).step_by(OF_CLIENT) {
            let part = OF_CLIENT.min(many - from);
            let connector = Arc::new(self.test_system.connector(&format!("Claude, from {from}")).await);
            let ask = connector.authorization_request(SCOPE);
            let mut forms = Vec::new();
            for _ in 0..part {
                forms.push(consent_form(ana, &ask).await);
            }
            let mut codes = Vec::new();
            let before = self.begin("authorize");
            for form in &forms {
                codes.push(ana.submit(form).await.redirect_parameters()["code"].clone());
            }
            self.finish(before, "approve", part).await;
            let before = self.begin("token");
            for code in codes {
                connections
                    .push((Arc::clone(&connector), connector.exchange(&ask, &code).await.tokens(self.test_system)));
            }
            self.finish(before, "code", part).await;
        }
        connections
    }

    /// An administrator looks at a tenant with many connections, and ends all of those who leave.
    async fn administration(&mut self, ana: &Person<'_>, times: usize) {
        let connections = format!("/admin/{TENANT}/connections");
        let before = self.begin("admin");
        for _ in 0..times {
            assert_eq!(ana.open(&connections).await.status, 200);
        }
        self.finish(before, "connections of a tenant", times).await;

        let mut forms = Vec::new();
        for person in DEPARTING_PEOPLE {
            let question = ana.open(&format!("{connections}/end?person={person}")).await;
            forms.push(Form::find(&question, "person").expect("a question"));
        }
        let before = self.begin("admin");
        for form in &forms {
            assert_eq!(ana.submit_and_follow(form).await.status, 200);
        }
        self.finish(before, "25 connections ended", forms.len()).await;
    }

    async fn calls_of_mcp(&mut self, connections: &[(Arc<Connector<'_>>, Tokens)], times: usize) {
        let before = self.begin("mcp");
        for (connector, tokens) in connections {
            assert_eq!(connector.call(&tokens.access, "ping", json!({})).await.status, 200);
        }
        self.finish(before, "first call of a generation", connections.len()).await;

        let (connector, Tokens { access, .. }) = &connections[0];
        let before = self.begin("mcp");
        for _ in 0..times {
            assert_eq!(connector.call(access, "ping", json!({})).await.status, 200);
        }
        self.finish(before, "admitted", times).await;

        let listed = connector.call(access, "tools/list", json!({})).await.json();
        assert!(listed["result"]["tools"].as_array().is_some_and(|tools| tools.len() >= 50), "{listed}");
        let before = self.begin("mcp");
        for _ in 0..times {
            assert_eq!(connector.call(access, "tools/list", json!({})).await.status, 200);
        }
        self.finish(before, "tools/list of 50 tools", times).await;
    }

    /// Begins a row of requests to `program`.
    fn begin(&self, program: &'static str) -> Baseline {
        let pool = self.test_system.system().process_pool(program).expect("it is a process");
        drop(pool.take_times());
        if let Some(calls) = self.calls {
            calls.lock().expect("unpoisoned").clear();
        }
        Baseline { program, ran: pool.pids().into_iter().map(processor_time).sum() }
    }

    /// Ends it.
    async fn finish(&mut self, before: Baseline, kind: &'static str, requests: usize) {
        // What follows an answer is part of it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Baseline { program, ran: ran_before } = before;
        let pool = self.test_system.system().process_pool(program).expect("it is a process");
        let ran = pool.pids().into_iter().map(processor_time).sum::<Duration>().saturating_sub(ran_before);
        let (took, resident) = (pool.take_times(), memory(&pool));
        let calls = self.calls.map(|calls| per_request(calls, requests)).unwrap_or_default();
        match self.rows.iter_mut().find(|row| row.program == program && row.kind == kind) {
            Some(row) => {
                row.requests += requests;
                row.took.extend(took);
                row.ran += ran;
                row.resident = resident;
            }
            None => self.rows.push(Measurement { program, kind, requests, took, ran, resident, calls }),
        }
    }
}

struct Baseline {
    program: &'static str,
    ran: Duration,
}

/// The consent page as it is approved.
async fn consent_form(person: &Person<'_>, ask: &AuthorizationRequest) -> Form {
    let page = person.open(&ask.url).await;
    let form = Form::find(&page, "decision").expect("a consent page");
    form.with("tenant", TENANT).with("decision", "approve")
}

/// The largest of a program's processes.
fn memory(pool: &ProcessPool) -> u64 {
    pool.pids().into_iter().map(resident).max().unwrap_or_default()
}

fn per_request(calls: &Calls, requests: usize) -> BTreeMap<String, f64> {
    #[expect(clippy::cast_precision_loss, reason = "numbers of calls and requests")]
    let each = |(operation, count)| (operation, count as f64 / requests as f64);
    std::mem::take(&mut *calls.lock().expect("unpoisoned")).into_iter().map(each).collect()
}
