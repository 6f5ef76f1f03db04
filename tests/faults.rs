//! A crash loses nothing: every call to AWS of every operation fails in every way, and the client does what clients
//! do: it sends the same request again.
//!
//! The SDK tries each call five times, so what fails once should go unnoticed, and what fails each time is told as 503 with
//! `Retry-After`: to a form, by the page that it is answered with by a redirect.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt};
use local::interceptor::{Call, Decision, InjectedError, Interceptor, Service};
use serde_json::{Value, json};
use shared::aws::MAX_ATTEMPTS;
use test_system::TestSystem;
use test_system::client_key::ClientKey;
use test_system::connector::{AuthorizationRequest, Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const SCOPE: &str = "skills:read offline_access";

/// As often as the SDK tries. It gives a silent service up before: after two seconds.
const EACH_TIME: usize = MAX_ATTEMPTS as usize;

#[tokio::test(flavor = "multi_thread")]
async fn client_retry_completes_every_failed_operation() {
    // A few at a time: on a busy machine, calls must not take so long that the SDK gives up on its own.
    let test_systems = stream::iter(Operation::ALL.map(|operation| Box::pin(operation.run_with_every_fault())));
    let suffered = test_systems.buffered(2).collect::<Vec<_>>().await.concat();

    let mut table = String::new();
    for Row { operation, call, fault, saw, had } in &suffered {
        writeln!(table, "{:<26}  {call:<18}  {fault:<28}  {saw:<3}  {had}", operation.name()).unwrap();
    }
    let _ = std::io::stderr().write_all(table.as_bytes());
    let lost: Vec<_> = suffered.iter().filter(|row| row.had == ClientOutcome::NewApproval).collect();
    assert!(lost.iter().all(|row| row.operation.spends_a_code()));
    assert_eq!((suffered.len(), lost.len()), (625, 9), "another call, or another loss, than there was");
}

/// The rows of the table of calls, and what they hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Register,
    Page,
    /// For a client that has not been approved for long: the approval renews it.
    ApproveAndRenew,
    Approve,
    /// Of what the client wanted since, too.
    ApprovePendingScopes,
    Exchange,
    /// Without "stay connected".
    ExchangeOnce,
    Refresh,
    RefreshAgain,
    /// By a client that proves itself by a key, anew at each attempt.
    ExchangeByKey,
    RefreshByKey,
    Revoke,
    Call,
    FirstCall,
    CallWithKey,
    /// Within the hour of its last use.
    CallWithKeyAgain,
    /// In the console.
    End,
    /// What a connection may do, likewise.
    ChangePermissions,
    /// A key, likewise.
    RevokeKey,
    /// The product tells that a member has left.
    Left,
    /// That their role allows less.
    Demoted,
}

/// What can happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InjectedFault {
    /// It fails before it takes effect, this many times in a row.
    Before(usize),
    /// It takes effect, and an error is told, this many times in a row.
    After(usize),
    /// The service has too much to do.
    Throttled(usize),
    /// The service will not have it; the SDK does not try again.
    Refused,
    /// It takes effect, and the function is gone: nobody hears of it, the client neither.
    Crash,
    /// It never arrives, and nothing is said.
    LostRequest(usize),
    /// It takes effect, and nothing is said.
    LostResponse(usize),
}

/// What the client had in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientOutcome {
    /// What it asked for, at once.
    All,
    /// What it asked for, when it asked again.
    AllOnRetry,
    /// The case that the design names: a code that was spent while its answer was lost.
    NewApproval,
}

#[derive(Clone)]
struct Row {
    operation: Operation,
    call: String,
    fault: String,
    saw: String,
    had: ClientOutcome,
}

impl InjectedFault {
    const EACH: [Self; 8] = [
        Self::Before(1),
        Self::Before(EACH_TIME),
        Self::After(1),
        Self::After(EACH_TIME),
        Self::Throttled(1),
        Self::Throttled(EACH_TIME),
        Self::Refused,
        Self::Crash,
    ];

    const fn times(self) -> usize {
        match self {
            Self::Before(times)
            | Self::After(times)
            | Self::Throttled(times)
            | Self::LostRequest(times)
            | Self::LostResponse(times) => times,
            Self::Refused | Self::Crash => 1,
        }
    }

    /// Whether the call that failed has happened all the same.
    const fn takes_effect(self) -> bool {
        matches!(self, Self::After(_) | Self::Crash | Self::LostResponse(_))
    }

    /// Whether the SDK gets through with its second try.
    fn goes_unnoticed(self) -> bool {
        self.times() == 1 && !matches!(self, Self::Refused | Self::Crash)
    }

    async fn decide(self, service: Service) -> Decision {
        let kind = match service {
            Service::DynamoDb => "ProvisionedThroughputExceededException",
            Service::Kms | Service::SecretsManager => "ThrottlingException",
            Service::Lambda => "TooManyRequestsException",
        };
        match self {
            Self::Before(_) => Decision::FailBefore(InjectedError::INTERNAL),
            Self::After(_) => Decision::FailAfter(InjectedError::INTERNAL),
            Self::Throttled(_) => Decision::FailBefore(InjectedError { status: 400, kind }),
            Self::Refused => Decision::FailBefore(InjectedError::DENIED),
            // The function makes no other call, and its answer is thrown away.
            Self::Crash => Decision::FailAfter(InjectedError::DENIED),
            Self::LostRequest(_) => std::future::pending().await,
            Self::LostResponse(_) => Decision::DropResponse,
        }
    }
}

/// The wire on which calls fail.
#[derive(Clone, Default)]
struct FaultInjector(Arc<Mutex<FaultPlan>>);

#[derive(Default)]
struct FaultPlan {
    calls: Vec<String>,
    fails: Option<(usize, InjectedFault)>,
}

impl FaultInjector {
    fn wire(&self) -> Arc<dyn Interceptor> {
        let injector = self.clone();
        Arc::new(move |call: Call| {
            let mut made = injector.0.lock().unwrap();
            let place = made.calls.len();
            made.calls.push(call.operation);
            let fails = made.fails.filter(|(first, fault)| (*first..first + fault.times()).contains(&place));
            async move {
                match fails {
                    Some((_, fault)) => fault.decide(call.service).await,
                    None => Decision::Pass,
                }
            }
        })
    }

    /// From now on, the call at that place fails.
    fn inject(&self, fails: Option<(usize, InjectedFault)>) {
        *self.0.lock().unwrap() = FaultPlan { calls: Vec::new(), fails };
    }

    fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.clone()
    }
}

impl Operation {
    const ALL: [Self; 21] = [
        Self::Register,
        Self::Page,
        Self::ApproveAndRenew,
        Self::Approve,
        Self::ApprovePendingScopes,
        Self::Exchange,
        Self::ExchangeOnce,
        Self::Refresh,
        Self::RefreshAgain,
        Self::ExchangeByKey,
        Self::RefreshByKey,
        Self::Revoke,
        Self::Call,
        Self::FirstCall,
        Self::CallWithKey,
        Self::CallWithKeyAgain,
        Self::End,
        Self::ChangePermissions,
        Self::RevokeKey,
        Self::Left,
        Self::Demoted,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Page => "authorize, page shown",
            Self::ApproveAndRenew => "authorize, first approval",
            Self::Approve => "authorize, approved",
            Self::ApprovePendingScopes => "authorize, wanted approved",
            Self::Exchange => "token, code",
            Self::ExchangeOnce => "token, code, once",
            Self::Refresh => "token, refresh",
            Self::RefreshAgain => "token, refresh again",
            Self::ExchangeByKey => "token, code, by a key",
            Self::RefreshByKey => "token, refresh, by a key",
            Self::Revoke => "revoke",
            Self::Call => "mcp, let in",
            Self::FirstCall => "mcp, first of a generation",
            Self::CallWithKey => "mcp, let in by a key",
            Self::CallWithKeyAgain => "mcp, let in by it again",
            Self::End => "console, connection ended",
            Self::ChangePermissions => "console, less allowed",
            Self::RevokeKey => "console, key revoked",
            Self::Left => "membership, left",
            Self::Demoted => "membership, less allowed",
        }
    }

    /// Every fault of every call of this operation, in a test system of its own.
    async fn run_with_every_fault(self) -> Vec<Row> {
        let injector = FaultInjector::default();
        let test_system = TestSystem::with(|options| options.interceptor = Some(injector.wire())).await;
        let scenario = Scenario::new(&test_system, &injector).await;

        let asked = scenario.prepare(self).await;
        injector.inject(None);
        let answer = scenario.send(&asked).await;
        let calls = injector.calls();
        scenario.check(&asked, &answer).await;

        let each = (0..calls.len()).flat_map(|place| InjectedFault::EACH.map(|fault| (place, fault)));
        let mut faults: Vec<_> = each.collect();
        faults.extend([(0, InjectedFault::LostRequest(1)), (calls.len() - 1, InjectedFault::LostResponse(1))]);
        if self == Self::Refresh {
            faults.extend([
                (calls.len() - 1, InjectedFault::LostResponse(EACH_TIME)),
                (calls.len() - 2, InjectedFault::LostRequest(EACH_TIME)),
            ]);
        }
        let mut rows = Vec::new();
        for (place, fault) in faults {
            rows.push(scenario.row(self, Some((place, fault)), &calls[place]).await);
        }
        rows.push(scenario.row(self, None, "").await);
        rows
    }

    const fn spends_a_code(self) -> bool {
        matches!(self, Self::Exchange | Self::ExchangeOnce | Self::ExchangeByKey)
    }
}

/// A request that can be sent again.
enum PreparedRequest<'w> {
    Register(String),
    Page(AuthorizationRequest),
    Approve(Connector<'w>, AuthorizationRequest, Form),
    Exchange(AuthorizationRequest, String),
    Refresh(String),
    ExchangeByKey(AuthorizationRequest, String),
    RefreshByKey(String),
    Revoke(Tokens),
    Call(String),
    /// What it is to put an end to, token or key.
    End(Form, String),
    /// What a connection loses, and its token.
    Narrow(Form, String),
    /// A member's token, their new role if they stay, and the number of the change.
    MembershipChange(String, Option<&'static str>, u64),
}

impl PreparedRequest<'_> {
    /// It is a form of a page, whose answer is another page.
    const fn is_form(&self) -> bool {
        matches!(self, Self::Approve(..) | Self::End(..) | Self::Narrow(..))
    }
}

struct Scenario<'w> {
    test_system: &'w TestSystem,
    injector: &'w FaultInjector,
    claude: Connector<'w>,
    /// A client that proves itself by `key`.
    agent: Connector<'w>,
    key: ClientKey,
    ana: Person<'w>,
    /// How many changes the product has told.
    changes: AtomicU64,
}

impl<'w> Scenario<'w> {
    async fn new(test_system: &'w TestSystem, injector: &'w FaultInjector) -> Self {
        let ana = test_system.person(ANA);
        ana.sign_in("/auth/login").await;
        let key = ClientKey::p256("one");
        let agent = test_system.client_with_keys("acme-agent", &[&key]).await;
        let claude = test_system.connector("Claude").await;
        Self { test_system, injector, claude, agent, key, ana, changes: AtomicU64::new(0) }
    }

    /// One request with one fault, or with none and an answer that never reaches the client.
    async fn row(&self, operation: Operation, fails: Option<(usize, InjectedFault)>, call: &str) -> Row {
        let asked = self.prepare(operation).await;
        self.injector.inject(fails);
        let answer = self.send(&asked).await;
        let made = self.injector.calls();
        self.injector.inject(None);
        let context = format!("{operation:?} {call} {fails:?}: {answer:?}");

        let is_write = |call: &String| ["UpdateItem", "TransactWriteItems"].contains(&call.as_str());
        let commits = |place| operation.spends_a_code() && made.get(place).is_some_and(is_write);
        let (heard, spent) = match fails {
            Some((place, fault)) => {
                assert!(made.len() > place, "the call was not made: {context}");
                (fault != InjectedFault::Crash, fault.takes_effect() && commits(place))
            }
            None => (false, operation.spends_a_code()),
        };
        let succeeded = fails.is_none_or(|(_, fault)| fault.goes_unnoticed());
        if !succeeded && asked.is_form() {
            let page = self.ana.open(answer.location()).await;
            assert_eq!((answer.status, page.status), (303, 503), "{context}: {page:?}");
            assert!(page.body.contains("That did not work just now"), "{context}: {page:?}");
        } else if !succeeded {
            assert_eq!(answer.status, 503, "{context}");
            let soon = answer.header("retry-after").and_then(|seconds| seconds.parse::<u64>().ok());
            assert!(soon.is_some_and(|seconds| seconds > 0), "{context}");
        }
        let had = if heard && succeeded {
            self.check(&asked, &answer).await;
            ClientOutcome::All
        } else {
            let again = self.send(&asked).await;
            if spent {
                assert_eq!(
                    (again.status, &again.json()["error"]),
                    (400, &json!("invalid_grant")),
                    "{context} {again:?}"
                );
                let asked = self.prepare(operation).await;
                self.check(&asked, &self.send(&asked).await).await;
                ClientOutcome::NewApproval
            } else {
                self.check(&asked, &again).await;
                ClientOutcome::AllOnRetry
            }
        };
        let fault = fails.map_or_else(|| "the answer is lost".to_owned(), |(_, fault)| fault.to_string());
        let saw = if heard { answer.status.to_string() } else { "–".to_owned() };
        Row { operation, call: call.to_owned(), fault, saw, had }
    }

    /// A request that has not been sent, and all that it needs.
    async fn prepare(&self, operation: Operation) -> PreparedRequest<'w> {
        match operation {
            Operation::Register => PreparedRequest::Register(self.a_name()),
            Operation::Page => PreparedRequest::Page(self.claude.authorization_request(SCOPE)),
            Operation::ApproveAndRenew => {
                let name = self.a_name();
                self.form(self.test_system.connector(&name).await).await
            }
            Operation::Approve => {
                let connector = self.test_system.connector(&self.a_name()).await;
                connector.approve_directly(SCOPE, ANA, "acme").await;
                self.form(connector).await
            }
            Operation::ApprovePendingScopes => {
                let connector = self.test_system.connector(&self.a_name()).await;
                let (ask, code) = connector.approve_directly(SCOPE, ANA, "acme").await;
                let tokens = connector.exchange(&ask, &code).await.tokens(self.test_system);
                assert_eq!(connector.tool(&tokens.access, "list_views", json!({})).await.status, 403);
                match self.form(connector).await {
                    PreparedRequest::Approve(connector, ask, form) => {
                        PreparedRequest::Approve(connector, ask, form.with("also:acme:views:read", "1"))
                    }
                    asked => asked,
                }
            }
            Operation::Exchange => {
                let (ask, code) = self.claude.approve_directly(SCOPE, ANA, "acme").await;
                PreparedRequest::Exchange(ask, code)
            }
            Operation::ExchangeOnce => {
                let (ask, code) = self.claude.approve_directly("skills:read", ANA, "acme").await;
                PreparedRequest::Exchange(ask, code)
            }
            Operation::ExchangeByKey => {
                let (ask, code) = self.agent.approve_directly(SCOPE, ANA, "acme").await;
                PreparedRequest::ExchangeByKey(ask, code)
            }
            Operation::RefreshByKey => {
                let (ask, code) = self.agent.approve_directly(SCOPE, ANA, "acme").await;
                let tokens = self.agent.exchange_by(&self.key.assertion(&self.agent), &ask, &code).await;
                PreparedRequest::RefreshByKey(tokens.tokens(self.test_system).refresh.unwrap())
            }
            Operation::Refresh => PreparedRequest::Refresh(self.connected().await.refresh.unwrap()),
            Operation::RefreshAgain => {
                let token = self.connected().await.refresh.unwrap();
                assert_eq!(
                    self.claude.refresh(&token).await.tokens(self.test_system).scope,
                    "skills:read offline_access"
                );
                PreparedRequest::Refresh(token)
            }
            Operation::Revoke => PreparedRequest::Revoke(self.connected().await),
            Operation::FirstCall => PreparedRequest::Call(self.connected().await.access),
            Operation::Call => {
                let tokens = self.connected().await;
                assert_eq!(self.ping(&tokens.access).await.status, 200);
                PreparedRequest::Call(tokens.access)
            }
            Operation::CallWithKey => PreparedRequest::Call(self.key().await),
            Operation::CallWithKeyAgain => {
                let key = self.key().await;
                assert_eq!(self.ping(&key).await.status, 200);
                PreparedRequest::Call(key)
            }
            Operation::End => {
                let tokens = self.connected().await;
                let grant = test_system::claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
                let asked = self.ana.open(&format!("/admin/end?connection={grant}")).await;
                PreparedRequest::End(Form::find(&asked, "connection").unwrap(), tokens.access)
            }
            Operation::ChangePermissions => {
                let (ask, code) = self.claude.approve_directly("skills:read views:read", ANA, "acme").await;
                let tokens = self.claude.exchange(&ask, &code).await.tokens(self.test_system);
                let grant = test_system::claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
                let form = format!("/admin/permissions?connection={grant}");
                let chosen = crate::connection_permissions::chosen_on(&self.ana.open(&form).await);
                let left = format!("{form}&step=confirm&confirmation={chosen}&may:skills:read=1");
                let asked = self.ana.open(&left).await;
                PreparedRequest::Narrow(Form::find(&asked, "connection").unwrap(), tokens.access)
            }
            Operation::RevokeKey => {
                let (key, known) = self.test_system.create_api_key(ANA, "acme", "skills:read", None).await;
                let asked = self.ana.open(&format!("/admin/acme/keys/revoke?key={}", known.id.to_text())).await;
                PreparedRequest::End(Form::find(&asked, "key").unwrap(), key)
            }
            Operation::Left => self.membership_change(None).await,
            Operation::Demoted => self.membership_change(Some("viewer")).await,
        }
    }

    /// A connection of a member's, of whom the product has something to tell.
    async fn membership_change(&self, is: Option<&'static str>) -> PreparedRequest<'w> {
        self.test_system.set_role("acme", BEN, "member").await;
        let (ask, code) = self.claude.approve_directly("tools:execute offline_access", BEN, "acme").await;
        let tokens = self.claude.exchange(&ask, &code).await.tokens(self.test_system);
        assert_eq!(self.rolls(&tokens.access).await.status, 200);
        PreparedRequest::MembershipChange(tokens.access, is, self.changes.fetch_add(1, Ordering::SeqCst) + 1)
    }

    async fn rolls(&self, token: &str) -> HttpResponse {
        self.claude.tool(token, "roll_dice", json!({})).await
    }

    /// A name that no client has had.
    fn a_name(&self) -> String {
        test_system::digest(&self.test_system.random())
    }

    async fn form(&self, connector: Connector<'w>) -> PreparedRequest<'w> {
        let ask = connector.authorization_request(SCOPE);
        let form = Form::find(&self.ana.open(&ask.url).await, "decision").unwrap();
        PreparedRequest::Approve(connector, ask, form.with("tenant", "acme").with("decision", "approve"))
    }

    async fn connected(&self) -> Tokens {
        let (ask, code) = self.claude.approve_directly(SCOPE, ANA, "acme").await;
        self.claude.exchange(&ask, &code).await.tokens(self.test_system)
    }

    /// A key that has not been used.
    async fn key(&self) -> String {
        self.test_system.create_api_key(ANA, "acme", "skills:read", None).await.0
    }

    async fn ping(&self, token: &str) -> HttpResponse {
        self.test_system.call(Some(token), "ping", json!({})).await
    }

    async fn send(&self, asked: &PreparedRequest<'_>) -> HttpResponse {
        match asked {
            PreparedRequest::Register(name) => {
                let metadata = json!({ "client_name": name, "redirect_uris": [test_system::CALLBACK] });
                self.test_system.post_json("/oauth/register", &metadata).await
            }
            PreparedRequest::Page(ask) => self.ana.open(&ask.url).await,
            PreparedRequest::Approve(_, _, form) | PreparedRequest::End(form, _) | PreparedRequest::Narrow(form, _) => {
                self.ana.submit(form).await
            }
            PreparedRequest::Exchange(ask, code) => self.claude.exchange(ask, code).await,
            PreparedRequest::Refresh(token) => self.claude.refresh(token).await,
            PreparedRequest::ExchangeByKey(ask, code) => {
                self.agent.exchange_by(&self.key.assertion(&self.agent), ask, code).await
            }
            PreparedRequest::RefreshByKey(token) => {
                self.agent.refresh_by(&self.key.assertion(&self.agent), token).await
            }
            PreparedRequest::Revoke(tokens) => self.claude.revoke(&tokens.access).await,
            PreparedRequest::Call(token) => self.ping(token).await,
            PreparedRequest::MembershipChange(_, is, number) => {
                self.test_system.deliver_change(BEN, "acme", Some("member"), *is, *number).await
            }
        }
    }

    /// That the client has what it asked for, and that it works.
    async fn check(&self, asked: &PreparedRequest<'_>, answer: &HttpResponse) {
        match asked {
            PreparedRequest::Register(_) => {
                assert_eq!(answer.status, 201, "{answer:?}");
                let id = answer.json()["client_id"].as_str().unwrap().to_owned();
                let ask = self.claude.authorization_request_with(&[("client_id", Some(&id))]);
                assert_eq!(self.ana.open(&ask.url).await.status, 200);
            }
            PreparedRequest::Page(_) => {
                assert!(answer.status == 200 && Form::find(answer, "decision").is_some(), "{answer:?}");
            }
            PreparedRequest::Approve(connector, ask, _) => {
                let landed = answer.redirect_parameters();
                assert_eq!(landed["state"], ask.state);
                self.test_system.track_secret(&landed["code"]);
                let tokens = connector.exchange(ask, &landed["code"]).await.tokens(self.test_system);
                assert_eq!(self.ping(&tokens.access).await.status, 200);
            }
            PreparedRequest::Exchange(..) | PreparedRequest::Refresh(_) => {
                let tokens = answer.tokens(self.test_system);
                assert_eq!(self.ping(&tokens.access).await.status, 200);
                if let Some(token) = &tokens.refresh {
                    let next = self.claude.refresh(token).await.tokens(self.test_system);
                    assert_ne!(next.refresh, tokens.refresh);
                }
            }
            PreparedRequest::ExchangeByKey(..) | PreparedRequest::RefreshByKey(_) => {
                let tokens = answer.tokens(self.test_system);
                assert_eq!(self.ping(&tokens.access).await.status, 200);
                let next = self.agent.refresh_by(&self.key.assertion(&self.agent), &tokens.refresh.unwrap()).await;
                assert_eq!(next.status, 200, "{next:?}");
            }
            PreparedRequest::Revoke(tokens) => {
                assert_eq!(answer.status, 200, "{answer:?}");
                assert_eq!(self.ping(&tokens.access).await.status, 401);
                let refused = self.claude.refresh(tokens.refresh.as_ref().unwrap()).await;
                assert_eq!(refused.json()["error"], "invalid_grant");
            }
            PreparedRequest::End(_, credential) => {
                let page = self.ana.open(answer.location()).await;
                // The second time, that it had been done before.
                let told = ["The connection ha", "The key is revoked", "The key was revoked"];
                assert!(page.status == 200 && told.iter().any(|told| page.body.contains(told)), "{page:?}");
                assert_eq!(self.ping(credential).await.status, 401);
            }
            PreparedRequest::Narrow(_, access) => {
                let page = self.ana.open(answer.location()).await;
                assert!(page.status == 200 && page.body.contains("may do is changed"), "{page:?}");
                let arguments = json!({ "name": "list_views", "arguments": {} });
                assert_eq!(self.test_system.call(Some(access), "tools/call", arguments).await.status, 403);
            }
            PreparedRequest::MembershipChange(token, is, _) => {
                assert_eq!(answer.status, 204, "{answer:?}");
                assert_eq!(self.rolls(token).await.status, if is.is_some() { 403 } else { 401 });
            }
            PreparedRequest::Call(_) => {
                assert_eq!((answer.status, &answer.json()["result"]), (200, &Value::Object(serde_json::Map::new())));
            }
        }
    }
}

impl std::fmt::Display for InjectedFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self {
            Self::Before(_) => "fails before",
            Self::After(_) => "fails after",
            Self::Throttled(_) => "is throttled",
            Self::Refused => "is refused",
            Self::Crash => "crash after",
            Self::LostRequest(_) => "never arrives",
            Self::LostResponse(_) => "is never answered",
        };
        f.write_str(what)?;
        if self.times() > 1 { f.write_str(", each time") } else { Ok(()) }
    }
}

impl std::fmt::Display for ClientOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "all, at once",
            Self::AllOnRetry => "all, on retry",
            Self::NewApproval => "a new approval, then all",
        })
    }
}
