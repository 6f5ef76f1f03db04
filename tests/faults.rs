//! A crash loses nothing: every call to AWS of every operation fails in every way, and the client does what clients
//! do: it sends the same request again.
//!
//! The SDK tries each call twice, so what fails once should go unnoticed, and what fails twice is told as 503 with `Retry-After`: to
//! a form, by the page that it is answered with by a redirect.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt};
use local::interceptor::{Call, Decision, InjectedError, Interceptor, Service};
use serde_json::{Value, json};
use world::World;
use world::answer::Answer;
use world::connector::{Ask, Connector, Tokens};
use world::person::{Form, Person};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const SCOPE: &str = "skills:read offline_access";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_the_clients_retry_finishes_the_work() {
    // A few at a time: on a busy machine, calls must not take so long that the SDK gives up on its own.
    let worlds = stream::iter(Operation::ALL.map(|operation| Box::pin(operation.suffer())));
    let suffered = worlds.buffered(4).collect::<Vec<_>>().await.concat();

    let mut table = String::new();
    for Row { operation, call, fault, saw, had } in &suffered {
        writeln!(table, "{:<26}  {call:<18}  {fault:<28}  {saw:<3}  {had}", operation.name()).unwrap();
    }
    let _ = std::io::stderr().write_all(table.as_bytes());
    let lost: Vec<_> = suffered.iter().filter(|row| row.had == Had::NewApproval).collect();
    assert!(lost.iter().all(|row| matches!(row.operation, Operation::Exchange | Operation::ExchangeOnce)));
    assert_eq!((suffered.len(), lost.len()), (440, 6), "another call, or another loss, than there was");
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
    ApproveWanted,
    Exchange,
    /// Without "stay connected".
    ExchangeOnce,
    Refresh,
    RefreshAgain,
    Revoke,
    Call,
    FirstCall,
    CallWithKey,
    /// Within the hour of its last use.
    CallWithKeyAgain,
    /// In the console.
    End,
    /// A key, likewise.
    RevokeKey,
    /// The product tells that a member has left.
    Left,
    /// That their role allows less.
    Demoted,
}

/// What can happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
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
    LostQuestion(usize),
    /// It takes effect, and nothing is said.
    LostAnswer(usize),
}

/// What the client had in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Had {
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
    had: Had,
}

impl Fault {
    const EACH: [Self; 8] = [
        Self::Before(1),
        Self::Before(2),
        Self::After(1),
        Self::After(2),
        Self::Throttled(1),
        Self::Throttled(2),
        Self::Refused,
        Self::Crash,
    ];

    const fn times(self) -> usize {
        match self {
            Self::Before(times)
            | Self::After(times)
            | Self::Throttled(times)
            | Self::LostQuestion(times)
            | Self::LostAnswer(times) => times,
            Self::Refused | Self::Crash => 1,
        }
    }

    /// Whether the call that failed has happened all the same.
    const fn takes_effect(self) -> bool {
        matches!(self, Self::After(_) | Self::Crash | Self::LostAnswer(_))
    }

    /// Whether the SDK's second try gets through.
    fn goes_unnoticed(self) -> bool {
        self.times() == 1 && !matches!(self, Self::Refused | Self::Crash)
    }

    async fn decide(self, service: Service) -> Decision {
        let kind = match service {
            Service::DynamoDb => "ProvisionedThroughputExceededException",
            Service::Kms => "ThrottlingException",
            Service::Lambda => "TooManyRequestsException",
        };
        match self {
            Self::Before(_) => Decision::FailBefore(InjectedError::INTERNAL),
            Self::After(_) => Decision::FailAfter(InjectedError::INTERNAL),
            Self::Throttled(_) => Decision::FailBefore(InjectedError { status: 400, kind }),
            Self::Refused => Decision::FailBefore(InjectedError::DENIED),
            // The function makes no other call, and its answer is thrown away.
            Self::Crash => Decision::FailAfter(InjectedError::DENIED),
            Self::LostQuestion(_) => std::future::pending().await,
            Self::LostAnswer(_) => Decision::DropResponse,
        }
    }
}

/// The wire on which calls fail.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Made>>);

#[derive(Default)]
struct Made {
    calls: Vec<String>,
    fails: Option<(usize, Fault)>,
}

impl Line {
    fn wire(&self) -> Arc<dyn Interceptor> {
        let line = self.clone();
        Arc::new(move |call: Call| {
            let mut made = line.0.lock().unwrap();
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
    fn breaks(&self, fails: Option<(usize, Fault)>) {
        *self.0.lock().unwrap() = Made { calls: Vec::new(), fails };
    }

    fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.clone()
    }
}

impl Operation {
    const ALL: [Self; 18] = [
        Self::Register,
        Self::Page,
        Self::ApproveAndRenew,
        Self::Approve,
        Self::ApproveWanted,
        Self::Exchange,
        Self::ExchangeOnce,
        Self::Refresh,
        Self::RefreshAgain,
        Self::Revoke,
        Self::Call,
        Self::FirstCall,
        Self::CallWithKey,
        Self::CallWithKeyAgain,
        Self::End,
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
            Self::ApproveWanted => "authorize, wanted approved",
            Self::Exchange => "token, code",
            Self::ExchangeOnce => "token, code, once",
            Self::Refresh => "token, refresh",
            Self::RefreshAgain => "token, refresh again",
            Self::Revoke => "revoke",
            Self::Call => "mcp, let in",
            Self::FirstCall => "mcp, first of a generation",
            Self::CallWithKey => "mcp, let in by a key",
            Self::CallWithKeyAgain => "mcp, let in by it again",
            Self::End => "console, connection ended",
            Self::RevokeKey => "console, key revoked",
            Self::Left => "membership, left",
            Self::Demoted => "membership, less allowed",
        }
    }

    /// Every fault of every call of this operation, in a world of its own.
    async fn suffer(self) -> Vec<Row> {
        let line = Line::default();
        let world = World::with(|options| options.interceptor = Some(line.wire())).await;
        let scene = Scene::new(&world, &line).await;

        let asked = scene.lay_out(self).await;
        line.breaks(None);
        let answer = scene.send(&asked).await;
        let calls = line.calls();
        scene.check(&asked, &answer).await;

        let each = (0..calls.len()).flat_map(|place| Fault::EACH.map(|fault| (place, fault)));
        let mut faults: Vec<_> = each.collect();
        faults.extend([(0, Fault::LostQuestion(1)), (calls.len() - 1, Fault::LostAnswer(1))]);
        if self == Self::Refresh {
            faults.extend([(calls.len() - 1, Fault::LostAnswer(2)), (calls.len() - 2, Fault::LostQuestion(2))]);
        }
        let mut rows = Vec::new();
        for (place, fault) in faults {
            rows.push(scene.row(self, Some((place, fault)), &calls[place]).await);
        }
        rows.push(scene.row(self, None, "").await);
        rows
    }

    const fn spends_a_code(self) -> bool {
        matches!(self, Self::Exchange | Self::ExchangeOnce)
    }
}

/// A request that can be sent again.
enum Asked<'w> {
    Register(String),
    Page(Ask),
    Approve(Connector<'w>, Ask, Form),
    Exchange(Ask, String),
    Refresh(String),
    Revoke(Tokens),
    Call(String),
    /// What it is to put an end to, token or key.
    End(Form, String),
    /// A member's token, their new role if they stay, and the number of the change.
    Told(String, Option<&'static str>, u64),
}

impl Asked<'_> {
    /// It is a form of a page, whose answer is another page.
    const fn is_form(&self) -> bool {
        matches!(self, Self::Approve(..) | Self::End(..))
    }
}

struct Scene<'w> {
    world: &'w World,
    line: &'w Line,
    claude: Connector<'w>,
    ana: Person<'w>,
    /// How many changes the product has told.
    changes: AtomicU64,
}

impl<'w> Scene<'w> {
    async fn new(world: &'w World, line: &'w Line) -> Self {
        let ana = world.person(ANA);
        ana.signs_in("/auth/login").await;
        Self { world, line, claude: world.connector("Claude").await, ana, changes: AtomicU64::new(0) }
    }

    /// One request with one fault, or with none and an answer that never reaches the client.
    async fn row(&self, operation: Operation, fails: Option<(usize, Fault)>, call: &str) -> Row {
        let asked = self.lay_out(operation).await;
        self.line.breaks(fails);
        let answer = self.send(&asked).await;
        let made = self.line.calls();
        self.line.breaks(None);
        let context = format!("{operation:?} {call} {fails:?}: {answer:?}");

        let commits = |place| operation.spends_a_code() && made.get(place).is_some_and(|call| call == "UpdateItem");
        let (heard, spent) = match fails {
            Some((place, fault)) => {
                assert!(made.len() > place, "the call was not made: {context}");
                (fault != Fault::Crash, fault.takes_effect() && commits(place))
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
            Had::All
        } else {
            let again = self.send(&asked).await;
            if spent {
                assert_eq!(
                    (again.status, &again.json()["error"]),
                    (400, &json!("invalid_grant")),
                    "{context} {again:?}"
                );
                let (ask, code) = self.claude.approved(SCOPE, ANA, "acme").await;
                let asked = Asked::Exchange(ask, code);
                self.check(&asked, &self.send(&asked).await).await;
                Had::NewApproval
            } else {
                self.check(&asked, &again).await;
                Had::AllOnRetry
            }
        };
        let fault = fails.map_or_else(|| "the answer is lost".to_owned(), |(_, fault)| fault.to_string());
        let saw = if heard { answer.status.to_string() } else { "–".to_owned() };
        Row { operation, call: call.to_owned(), fault, saw, had }
    }

    /// A request that has not been sent, and all that it needs.
    async fn lay_out(&self, operation: Operation) -> Asked<'w> {
        match operation {
            Operation::Register => Asked::Register(self.a_name()),
            Operation::Page => Asked::Page(self.claude.ask(SCOPE)),
            Operation::ApproveAndRenew => {
                let name = self.a_name();
                self.form(self.world.connector(&name).await).await
            }
            Operation::Approve => {
                let connector = self.world.connector("Claude").await;
                connector.approved(SCOPE, ANA, "acme").await;
                self.form(connector).await
            }
            Operation::ApproveWanted => {
                let connector = self.world.connector("Claude").await;
                let (ask, code) = connector.approved(SCOPE, ANA, "acme").await;
                let tokens = connector.exchange(&ask, &code).await.tokens(self.world);
                assert_eq!(connector.tool(&tokens.access, "list_views", json!({})).await.status, 403);
                match self.form(connector).await {
                    Asked::Approve(connector, ask, form) => {
                        Asked::Approve(connector, ask, form.with("also:acme:views:read", "1"))
                    }
                    asked => asked,
                }
            }
            Operation::Exchange => {
                let (ask, code) = self.claude.approved(SCOPE, ANA, "acme").await;
                Asked::Exchange(ask, code)
            }
            Operation::ExchangeOnce => {
                let (ask, code) = self.claude.approved("skills:read", ANA, "acme").await;
                Asked::Exchange(ask, code)
            }
            Operation::Refresh => Asked::Refresh(self.connected().await.refresh.unwrap()),
            Operation::RefreshAgain => {
                let token = self.connected().await.refresh.unwrap();
                assert_eq!(self.claude.refresh(&token).await.tokens(self.world).scope, "skills:read offline_access");
                Asked::Refresh(token)
            }
            Operation::Revoke => Asked::Revoke(self.connected().await),
            Operation::FirstCall => Asked::Call(self.connected().await.access),
            Operation::Call => {
                let tokens = self.connected().await;
                assert_eq!(self.ping(&tokens.access).await.status, 200);
                Asked::Call(tokens.access)
            }
            Operation::CallWithKey => Asked::Call(self.key().await),
            Operation::CallWithKeyAgain => {
                let key = self.key().await;
                assert_eq!(self.ping(&key).await.status, 200);
                Asked::Call(key)
            }
            Operation::End => {
                let tokens = self.connected().await;
                let grant = world::claims(&tokens.access).1["grant"].as_str().unwrap().to_owned();
                let asked = self.ana.open(&format!("/admin/end?connection={grant}")).await;
                Asked::End(Form::find(&asked, "connection").unwrap(), tokens.access)
            }
            Operation::RevokeKey => {
                let (key, known) = self.world.makes_key(ANA, "acme", "skills:read", None).await;
                let asked = self.ana.open(&format!("/admin/acme/keys/revoke?key={}", known.id.to_text())).await;
                Asked::End(Form::find(&asked, "key").unwrap(), key)
            }
            Operation::Left => self.told(None).await,
            Operation::Demoted => self.told(Some("viewer")).await,
        }
    }

    /// A connection of a member's, of whom the product has something to tell.
    async fn told(&self, is: Option<&'static str>) -> Asked<'w> {
        self.world.gives_role("acme", BEN, "member").await;
        let (ask, code) = self.claude.approved("tools:execute offline_access", BEN, "acme").await;
        let tokens = self.claude.exchange(&ask, &code).await.tokens(self.world);
        assert_eq!(self.rolls(&tokens.access).await.status, 200);
        Asked::Told(tokens.access, is, self.changes.fetch_add(1, Ordering::SeqCst) + 1)
    }

    async fn rolls(&self, token: &str) -> Answer {
        self.claude.tool(token, "roll_dice", json!({})).await
    }

    /// A name that no client has had.
    fn a_name(&self) -> String {
        world::digest(&self.world.random())
    }

    async fn form(&self, connector: Connector<'w>) -> Asked<'w> {
        let ask = connector.ask(SCOPE);
        let form = Form::find(&self.ana.open(&ask.url).await, "decision").unwrap();
        Asked::Approve(connector, ask, form.with("tenant", "acme").with("decision", "approve"))
    }

    async fn connected(&self) -> Tokens {
        let (ask, code) = self.claude.approved(SCOPE, ANA, "acme").await;
        self.claude.exchange(&ask, &code).await.tokens(self.world)
    }

    /// A key that has not been used.
    async fn key(&self) -> String {
        self.world.makes_key(ANA, "acme", "skills:read", None).await.0
    }

    async fn ping(&self, token: &str) -> Answer {
        self.world.call(Some(token), "ping", json!({})).await
    }

    async fn send(&self, asked: &Asked<'_>) -> Answer {
        match asked {
            Asked::Register(name) => {
                let metadata = json!({ "client_name": name, "redirect_uris": [world::CALLBACK] });
                self.world.post_json("/oauth/register", &metadata).await
            }
            Asked::Page(ask) => self.ana.open(&ask.url).await,
            Asked::Approve(_, _, form) | Asked::End(form, _) => self.ana.submit(form).await,
            Asked::Exchange(ask, code) => self.claude.exchange(ask, code).await,
            Asked::Refresh(token) => self.claude.refresh(token).await,
            Asked::Revoke(tokens) => self.claude.revoke(&tokens.access).await,
            Asked::Call(token) => self.ping(token).await,
            Asked::Told(_, is, number) => self.world.tells(BEN, "acme", Some("member"), *is, *number).await,
        }
    }

    /// That the client has what it asked for, and that it works.
    async fn check(&self, asked: &Asked<'_>, answer: &Answer) {
        match asked {
            Asked::Register(_) => {
                assert_eq!(answer.status, 201, "{answer:?}");
                let id = answer.json()["client_id"].as_str().unwrap().to_owned();
                let ask = self.claude.ask_with(&[("client_id", Some(&id))]);
                assert_eq!(self.ana.open(&ask.url).await.status, 200);
            }
            Asked::Page(_) => assert!(answer.status == 200 && Form::find(answer, "decision").is_some(), "{answer:?}"),
            Asked::Approve(connector, ask, _) => {
                let landed = answer.redirected();
                assert_eq!(landed["state"], ask.state);
                self.world.remember(&landed["code"]);
                let tokens = connector.exchange(ask, &landed["code"]).await.tokens(self.world);
                assert_eq!(self.ping(&tokens.access).await.status, 200);
            }
            Asked::Exchange(..) | Asked::Refresh(_) => {
                let tokens = answer.tokens(self.world);
                assert_eq!(self.ping(&tokens.access).await.status, 200);
                if let Some(token) = &tokens.refresh {
                    let next = self.claude.refresh(token).await.tokens(self.world);
                    assert_ne!(next.refresh, tokens.refresh);
                }
            }
            Asked::Revoke(tokens) => {
                assert_eq!(answer.status, 200, "{answer:?}");
                assert_eq!(self.ping(&tokens.access).await.status, 401);
                let refused = self.claude.refresh(tokens.refresh.as_ref().unwrap()).await;
                assert_eq!(refused.json()["error"], "invalid_grant");
            }
            Asked::End(_, credential) => {
                let page = self.ana.open(answer.location()).await;
                // The second time, that it had been done before.
                let told = ["The connection ha", "The key is revoked", "The key was revoked"];
                assert!(page.status == 200 && told.iter().any(|told| page.body.contains(told)), "{page:?}");
                assert_eq!(self.ping(credential).await.status, 401);
            }
            Asked::Told(token, is, _) => {
                assert_eq!(answer.status, 204, "{answer:?}");
                assert_eq!(self.rolls(token).await.status, if is.is_some() { 403 } else { 401 });
            }
            Asked::Call(_) => {
                assert_eq!((answer.status, &answer.json()["result"]), (200, &Value::Object(serde_json::Map::new())));
            }
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self {
            Self::Before(_) => "fails before",
            Self::After(_) => "fails after",
            Self::Throttled(_) => "is throttled",
            Self::Refused => "is refused",
            Self::Crash => "crash after",
            Self::LostQuestion(_) => "never arrives",
            Self::LostAnswer(_) => "is never answered",
        };
        f.write_str(what)?;
        if self.times() > 1 { f.write_str(", and again") } else { Ok(()) }
    }
}

impl std::fmt::Display for Had {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "all, at once",
            Self::AllOnRetry => "all, on retry",
            Self::NewApproval => "a new approval, then all",
        })
    }
}
