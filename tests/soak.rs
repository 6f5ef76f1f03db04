//! A soak: honest connections, and people who end others, at once and for long, with tables as AWS documents them.
//!
//! About every tenth call to the tables is faulty, in each way that AWS may show: late writes and lost answers among them, and indexes
//! that lag. What is honest is never refused, only asked to come again. What has ended is tried again and again, and never let in. What
//! was written once is there once. `SOAK_SECONDS` says how long it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use local::table_faults::fault_kind::FaultKind;
use local::table_faults::fault_settings::FaultSettings;
use local::table_faults::incident::Incident;
use serde_json::{Value, json};
use shared::api_key_issuer::ApiKeyIssuer;
use shared::joint_revocation::JointRevocation;
use shared::oauth::api_key::{ApiKey, ApiKeyName};
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::TenantId;
use shared::store::api_keys::{Actor, NewApiKey};
use shared::store::directory::{Membership, Tenant};
use test_system::connector::{AuthorizationRequest, Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};
use test_system::{CALLBACK, TestSystem};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const VERA: &str = "vera@example.com";
const NORA: &str = "nora@example.com";
const SCOPE: &str = "skills:read documents:write offline_access";
/// Where nothing ends but single connections and keys, beside the honest ones.
const HONEST: &str = "acme";
/// Each is one lane's: what ends there ends nothing of another's.
const LANES: [&str; 6] = ["own", "person", "client", "feed", "whole", "removed"];

/// How often somebody sends the same request before they give up.
const TRIES: usize = 12;
const PAUSE: Duration = Duration::from_millis(300);
/// Honest programs, and the connections that each of them comes to hold.
const HOLDERS: usize = 15;
const MOST: usize = 7;
/// When a first try arrives, if it is late.
const LATE: Duration = Duration::from_millis(2500);
/// Of a thousand calls to the tables, how many are faulty at least.
const FAULTY: usize = 80;

type Lane<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes: tests/run soak"]
async fn what_ended_stays_ended_and_what_is_honest_lives_on() {
    #[expect(clippy::disallowed_methods, reason = "it is of whoever runs the tests")]
    let seconds = std::env::var("SOAK_SECONDS").map_or(20, |text| text.parse::<u64>().expect("seconds"));
    let test_system = TestSystem::with(|options| options.table_faults = Some(FaultSettings::default())).await;
    let soak = Soak::prepare(&test_system).await;
    let keys = [administrator_key(&test_system, HONEST).await, administrator_key(&test_system, "client").await];
    let holders = test_system::all((0..HOLDERS).map(|number| Holder::new(&soak, number))).await;
    let lanes = soak.lanes(&keys).await;
    test_system.settled().await;
    let (faults, before) = (test_system.table_faults(), test_system.table_faults().counts());

    faults.configure(as_aws());
    *soak.until.lock().unwrap() = Some(Instant::now() + Duration::from_secs(seconds));
    let probes = (0..4).map(|number| -> Lane<'_> { Box::pin(soak.probe(number)) });
    let others = lanes.into_iter().chain(probes).chain([Box::pin(soak.tick()) as Lane<'_>]);
    let (holders, _) = tokio::join!(
        test_system::all(holders.into_iter().map(|holder| Box::pin(holder.run()))),
        test_system::all(others)
    );
    let happened = difference(&before, &faults.counts());
    faults.configure(FaultSettings::default());
    tokio::time::sleep(2 * LATE).await;
    test_system.settled().await;

    for holder in &holders {
        holder.check().await;
    }
    soak.check_ended().await;
    soak.check_documents(&holders).await;
    test_system.forget_secrets();
    soak.conclude(seconds, &holders, &happened);
}

/// Every kind of fault that AWS may show.
fn as_aws() -> FaultSettings {
    let chances = [
        (FaultKind::Throttle, 0.012),
        (FaultKind::Throttling, 0.008),
        (FaultKind::RequestLimit, 0.006),
        (FaultKind::Internal, 0.012),
        (FaultKind::Unavailable, 0.008),
        (FaultKind::Slow, 0.006),
        (FaultKind::Sweep, 0.003),
        (FaultKind::TxConflict, 0.06),
        (FaultKind::TxThrottled, 0.06),
        (FaultKind::TxInProgress, 0.06),
        (FaultKind::WriteConflict, 0.02),
        (FaultKind::Zombie, 0.06),
        (FaultKind::UnprocessedGet, 0.015),
        (FaultKind::UnprocessedWrite, 0.03),
        (FaultKind::Cut, 0.3),
        (FaultKind::Lost, 0.008),
        (FaultKind::Lost500, 0.015),
    ];
    FaultSettings {
        chances: chances.into(),
        gsi_lag: Duration::from_millis(200)..=Duration::from_millis(1500),
        base_lag: true,
        tx_hold: Duration::from_millis(5)..=Duration::from_millis(20),
        zombie_after: LATE,
        spared: vec!["tests"],
        ..FaultSettings::default()
    }
}

/// What every actor shares.
struct Soak<'w> {
    test_system: &'w TestSystem,
    until: Mutex<Option<Instant>>,
    ended: Mutex<Vec<Arc<EndedCredential<'w>>>>,
    /// Changes that the product has told.
    changes: AtomicU64,
    /// Numbers for what must differ.
    numbers: AtomicUsize,
    figures: Mutex<BTreeMap<&'static str, usize>>,
    endings: Mutex<BTreeMap<&'static str, usize>>,
    wrong: Mutex<Vec<String>>,
    /// Lines that were added to the document that all write, and its id.
    lines: Mutex<Vec<String>>,
    shared_document: String,
    /// The cookies of each person who has signed in, by their e-mail address.
    sessions: tokio::sync::Mutex<BTreeMap<String, String>>,
}

/// What somebody holds and shows.
enum Credential<'w> {
    Access(String),
    Key(String),
    Refresh(Arc<Connector<'w>>, String),
    Code(Arc<Connector<'w>>, AuthorizationRequest, String),
}

/// Something that an ending named, which was answered.
struct EndedCredential<'w> {
    how: &'static str,
    credential: Credential<'w>,
    /// Nobody shows it earlier: at its first use it is marked, and from then on its own item tells.
    from: Instant,
}

type Code = (AuthorizationRequest, String);

/// What an ending is about to name: connections, with the codes that led to them, and codes that nobody has exchanged.
struct Victims<'w> {
    connector: Arc<Connector<'w>>,
    held: Vec<Tokens>,
    spent: Vec<Code>,
    codes: Vec<Code>,
}

/// What becomes of an approval that meets the ending.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MetApproval {
    /// It was of a membership that is gone.
    IsOver,
    /// It came before the ending or after it.
    MayLive,
    /// The ending names another connection.
    NotMade,
}

impl<'w> Soak<'w> {
    async fn prepare(test_system: &'w TestSystem) -> Self {
        let directory = test_system.system().directory();
        for id in LANES {
            directory.put_tenant(&tenant(id)).await.unwrap();
            test_system.set_role(id, ANA, "owner").await;
        }
        test_system.set_role("own", NORA, "member").await;
        for (id, email) in [("person", BEN), ("client", VERA), ("feed", BEN), ("whole", VERA), ("removed", BEN)] {
            test_system.set_role(id, email, "member").await;
        }
        let (connector, tokens) = test_system.connect(ANA, HONEST, SCOPE).await;
        let made = json!({ "title": "Shared", "content": "" });
        let made = connector.tool(&tokens.access, "create_document", made).await.json();
        Self {
            test_system,
            until: Mutex::default(),
            ended: Mutex::default(),
            changes: AtomicU64::new(0),
            numbers: AtomicUsize::new(0),
            figures: Mutex::default(),
            endings: Mutex::default(),
            wrong: Mutex::default(),
            lines: Mutex::default(),
            shared_document: made["result"]["structuredContent"]["id"].as_str().unwrap().to_owned(),
            sessions: tokio::sync::Mutex::default(),
        }
    }

    /// Whoever ends others, each in a lane of their own.
    async fn lanes<'s>(&'s self, keys: &'s [String; 2]) -> Vec<Lane<'s>> {
        let [(ana, nora), (ben, vera)] = [(ANA, NORA), (BEN, VERA)];
        let [administrator, owner, veras_other] =
            [self.browser(ana).await, self.browser(nora).await, self.browser(vera).await];
        let browsers = test_system::all([nora, ben, vera, ben, vera, ben, vera].map(|email| self.browser(email))).await;
        let [own, person, client, feed, whole, removed, single] =
            <[Person<'_>; 7]>::try_from(browsers).unwrap_or_else(|_| panic!("seven"));
        let [at_honest, at_client] = keys;
        vec![
            Box::pin(async move {
                let end = async |_: &Victims<'_>| self.confirmed(&owner, "/admin/end?all=yes").await;
                self.lane("own console, all", &own, "own", MetApproval::MayLive, end, async || {}).await;
            }),
            Box::pin(async move {
                let url = format!("/admin/person/connections/end?person={}", self.test_system.person_id(BEN));
                let end = async |_: &Victims<'_>| self.confirmed(&administrator, &url).await;
                self.lane("console, person", &person, "person", MetApproval::MayLive, end, async || {}).await;
            }),
            Box::pin(async move {
                let end = async |victims: &Victims<'_>| {
                    let ended = match self.number() % 2 {
                        0 => json!({ "client": victims.connector.client_id }),
                        _ => json!({ "person": self.test_system.person_id(VERA).as_str() }),
                    };
                    self.by_api("client", "connections/end", at_client, &ended).await;
                };
                self.lane("API, client or person", &client, "client", MetApproval::MayLive, end, async || {}).await;
            }),
            Box::pin(async move {
                let end = async |_: &Victims<'_>| self.told(BEN, "feed", Some("member"), None).await;
                let again = async || self.told(BEN, "feed", None, Some("member")).await;
                self.lane("feed", &feed, "feed", MetApproval::IsOver, end, again).await;
            }),
            Box::pin(async move {
                let end = async |_: &Victims<'_>| self.end_all_in("whole").await;
                self.lane("operator, tenant", &whole, "whole", MetApproval::MayLive, end, async || {}).await;
            }),
            Box::pin(async move {
                let (directory, id) = (self.test_system.system().directory(), TenantId::parse("removed").unwrap());
                let now = || self.test_system.system().clock().now();
                let end =
                    async |_: &Victims<'_>| self.operated(async || directory.remove_tenant(&id, now()).await).await;
                let again = async || {
                    self.operated(async || directory.put_tenant(&tenant("removed")).await).await;
                    self.told(BEN, "removed", None, Some("member")).await;
                };
                self.lane("operator, tenant removed", &removed, "removed", MetApproval::IsOver, end, again).await;
            }),
            Box::pin(async move {
                let end = async |victims: &Victims<'_>| self.end_one(victims, &veras_other, at_honest).await;
                self.lane("one", &single, HONEST, MetApproval::NotMade, end, async || {}).await;
            }),
            Box::pin(self.keys_lane(at_honest)),
        ]
    }

    /// Connects, ends, and begins anew. While it ends, a code is exchanged, a connection refreshed and another approval given.
    async fn lane(
        &self,
        how: &'static str,
        person: &Person<'w>,
        tenant: &str,
        met: MetApproval,
        end: impl AsyncFn(&Victims<'w>),
        again: impl AsyncFn(),
    ) {
        while !self.is_over() {
            let is_single = met == MetApproval::NotMade;
            let name = format!("Claude {}", how.replace(", ", " "));
            let Some(mut victims) = self.victims(person, &name, tenant, is_single).await else { continue };
            let ask = victims.connector.authorization_request(SCOPE);
            let form = if is_single { None } else { self.consent_form(person, &ask).await.ok() };
            // Who leaves takes their keys along.
            let key = if how == "feed" { self.made_key(BEN, tenant).await } else { None };

            let meets = async {
                // In the middle of it, and not always at its beginning.
                tokio::time::sleep(Duration::from_millis(self.number() as u64 * 37 % 120)).await;
                let refreshed = victims.connector.refresh(victims.held[0].refresh.as_ref().unwrap());
                let exchanged = async {
                    let (ask, code) = victims.codes.first()?;
                    Some(victims.connector.exchange(ask, code).await)
                };
                let approved = async {
                    let form = form.as_ref()?.clone().with("tenant", tenant).with("decision", "approve");
                    code_of(&person.submit(&form).await)
                };
                tokio::join!(refreshed, exchanged, approved)
            };
            let ((), (refreshed, exchanged, approved)) = tokio::join!(end(&victims), meets);
            *self.endings.lock().unwrap().entry(how).or_default() += 1;

            for answer in [Some(refreshed), exchanged].into_iter().flatten().filter(|answer| answer.status == 200) {
                self.count("met an ending and was answered", 1);
                victims.held.push(answer.tokens(self.test_system));
            }
            let mut over = Vec::from_iter(key.map(Credential::Key));
            if let Some(code) = approved {
                match met {
                    MetApproval::IsOver => victims.codes.push((ask, code)),
                    MetApproval::MayLive => over.extend(self.settle(&victims.connector, ask, code).await),
                    MetApproval::NotMade => {}
                }
            }
            over.extend(victims.credentials());
            self.name(how, over).await;
            again().await;
        }
    }

    /// Two connections and two codes; one connection if it is to end alone.
    async fn victims(&self, person: &Person<'w>, name: &str, tenant: &str, is_single: bool) -> Option<Victims<'w>> {
        let connector = Arc::new(self.registered(name).await?);
        let (mut held, mut spent, mut codes) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..if is_single { 1 } else { 2 } {
            let (tokens, code) = self.connected(person, &connector, tenant).await?;
            held.push(tokens);
            spent.push(code);
        }
        while !is_single && codes.len() < 2 {
            let ask = connector.authorization_request(SCOPE);
            let code = self.approved(person, &ask, tenant).await?;
            codes.push((ask, code));
        }
        Some(Victims { connector, held, spent, codes })
    }

    /// An approval that met an ending: if it is over it stays so; if it lives, its client gives it back.
    async fn settle(
        &self,
        connector: &Arc<Connector<'w>>,
        ask: AuthorizationRequest,
        code: String,
    ) -> Vec<Credential<'w>> {
        let (answer, _) = self.answered("exchange", async || connector.exchange(&ask, &code).await).await;
        let mut over = Vec::new();
        if answer.status == 200 {
            self.count("approvals after an ending", 1);
            let tokens = answer.tokens(self.test_system);
            self.given_back(connector, &tokens).await;
            over.extend(of_tokens(connector, tokens));
        }
        over.push(Credential::Code(Arc::clone(connector), ask, code));
        over
    }

    /// Ends one connection, each time in another way.
    async fn end_one(&self, victims: &Victims<'_>, owner: &Person<'_>, key: &str) {
        let grant = grant_of(&victims.held[0]);
        match self.number() % 3 {
            0 => self.confirmed(owner, &format!("/admin/end?connection={grant}")).await,
            1 => self.by_api(HONEST, "connections/end", key, &json!({ "connection": grant })).await,
            _ => self.given_back(&victims.connector, &victims.held[0]).await,
        }
    }

    /// Keys are made, used and revoked.
    async fn keys_lane(&self, administrator: &str) {
        while !self.is_over() {
            let asked = json!({ "name": "a script", "scopes": ["skills:read"] });
            let made = self.api(HONEST, "keys", administrator, &asked).await.0;
            if made.status != 201 {
                self.found(format!("a key: {}", short(&made)));
                continue;
            }
            let (key, id) = (text(&made.json()["key"]), text(&made.json()["id"]));
            self.honest("call by key", async || self.call(&key).await).await;
            self.by_api(HONEST, "keys/revoke", administrator, &json!({ "key": id })).await;
            *self.endings.lock().unwrap().entry("API, key").or_default() += 1;
            self.name("API, key", vec![Credential::Key(key)]).await;
        }
    }

    /// From now on that is over. Half of it is shown at once, the rest within some seconds.
    async fn name(&self, how: &'static str, over: Vec<Credential<'w>>) {
        let (now, mut at_once) = (Instant::now(), Vec::new());
        for (place, credential) in over.into_iter().enumerate() {
            let number = self.number();
            let later = if (place + number).is_multiple_of(2) { 0 } else { number as u64 * 1733 % 9000 };
            let ended = Arc::new(EndedCredential { how, credential, from: now + Duration::from_millis(later) });
            if later == 0 {
                at_once.push(Arc::clone(&ended));
            }
            self.ended.lock().unwrap().push(ended);
        }
        test_system::all(at_once.iter().map(|ended| self.show(ended, false))).await;
    }

    /// Shows what has ended again and again: what ended lately, and all in turn.
    async fn probe(&self, number: usize) {
        const LATELY: usize = 40;
        let mut turn = number;
        while !self.is_over() {
            let ended = {
                let all = self.ended.lock().unwrap();
                let lately = all.len().saturating_sub(LATELY);
                let place = if turn.is_multiple_of(2) { turn / 2 } else { lately + turn % LATELY };
                all.get(place % all.len().max(1)).cloned()
            };
            turn += 3;
            match ended.filter(|ended| ended.from <= Instant::now()) {
                Some(ended) => self.show(&ended, false).await,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Shows it. `strictly`: nothing fails any more.
    async fn show(&self, ended: &EndedCredential<'w>, strictly: bool) {
        let EndedCredential { how, credential, .. } = ended;
        let (what, answer) = match credential {
            Credential::Access(token) => ("access token", self.call(token).await),
            Credential::Key(key) => ("key", self.call(key).await),
            Credential::Refresh(connector, token) => ("refresh token", connector.refresh(token).await),
            Credential::Code(connector, ask, code) => ("code", connector.exchange(ask, code).await),
        };
        self.count("shown after their end", 1);
        let is_refused = match credential {
            Credential::Access(_) | Credential::Key(_) => answer.status == 401,
            Credential::Refresh(..) | Credential::Code(..) => {
                answer.status == 400 && answer.json()["error"] == "invalid_grant"
            }
        };
        if !is_refused && (strictly || !self.is_unavailable(&answer)) {
            self.count("ended and alive", 1);
            self.found(format!("{how}: {what} although it has ended: {}", short(&answer)));
        }
    }

    /// The same client each time that it says the same.
    async fn registered(&self, name: &str) -> Option<Connector<'w>> {
        let metadata = json!({
            "client_name": name, "redirect_uris": [CALLBACK], "response_types": ["code"],
            "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none",
        });
        let register = async || self.test_system.post_json("/oauth/register", &metadata).await;
        let (answer, _) = self.answered("registration", register).await;
        if answer.status != 201 {
            self.found(format!("registration: {}", short(&answer)));
            return None;
        }
        let client_id = text(&answer.json()["client_id"]);
        Some(Connector { test_system: self.test_system, client_id, redirect_uri: CALLBACK.to_owned(), secret: None })
    }

    /// Approves and exchanges. A code whose exchange failed may be spent: then the person approves again.
    async fn connected(&self, person: &Person<'_>, connector: &Connector<'_>, tenant: &str) -> Option<(Tokens, Code)> {
        for _ in 0..TRIES {
            let ask = connector.authorization_request(SCOPE);
            let code = self.approved(person, &ask, tenant).await?;
            let (answer, failed_before) =
                self.answered("exchange", async || connector.exchange(&ask, &code).await).await;
            if answer.status == 200 {
                self.count("connections", 1);
                return Some((answer.tokens(self.test_system), (ask, code)));
            }
            if !failed_before || answer.json()["error"] != "invalid_grant" {
                self.found(format!("an honest code: {}", short(&answer)));
                return None;
            }
            self.count("approved again after a 503", 1);
        }
        self.found("no code led to tokens".to_owned());
        None
    }

    async fn approved(&self, person: &Person<'_>, ask: &AuthorizationRequest, tenant: &str) -> Option<String> {
        let mut last = None;
        for _ in 0..TRIES {
            let answer = match self.consent_form(person, ask).await {
                Ok(form) => person.submit(&form.with("tenant", tenant).with("decision", "approve")).await,
                Err(page) => page,
            };
            if let Some(code) = code_of(&answer) {
                return Some(code);
            }
            let page = person.follow_redirects(answer).await;
            let is_unavailable = self.is_unavailable(&page);
            last = Some(page);
            if !is_unavailable {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.found(format!("{} cannot approve in {tenant}: {:?}", person.email, last.as_ref().map(short)));
        None
    }

    async fn consent_form(&self, person: &Person<'_>, ask: &AuthorizationRequest) -> Result<Form, HttpResponse> {
        let open = async || person.open_following_redirects(&ask.url).await;
        let (page, _) = self.answered("consent page", open).await;
        Form::find(&page, "decision").ok_or(page)
    }

    /// Opens a question of the console and says yes, until a page says that it is done.
    async fn confirmed(&self, person: &Person<'_>, url: &str) {
        let mut failed = false;
        for _ in 0..TRIES {
            let (question, failed_before) =
                self.answered("question", async || person.open_following_redirects(url).await).await;
            failed |= failed_before;
            let form = Form::find(&question, "numbers").or_else(|| Form::find(&question, "connection"));
            let Some(form) = form else {
                // It was done, and the page that says so was lost.
                if !failed {
                    self.found(format!("{url}: no question: {}", short(&question)));
                }
                return;
            };
            let page = person.submit_and_follow(&form).await;
            let said = ["has ended", "have ended", "had ended before"];
            if page.status == 200 && said.iter().any(|said| page.body.contains(said)) {
                return;
            }
            failed = true;
            if !self.is_unavailable(&page) {
                return self.found(format!("{url}: {}", short(&page)));
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.found(format!("{url}: never done"));
    }

    /// Has the console's API do that. Afterwards "there is no such" is an answer too, if it may have been done before.
    async fn by_api(&self, tenant: &str, operation: &str, key: &str, body: &Value) {
        let (answer, failed_before) = self.api(tenant, operation, key, body).await;
        if answer.status != 200 && !(failed_before && answer.status == 404) {
            self.found(format!("{operation} {body}: {}", short(&answer)));
        }
    }

    async fn api(&self, tenant: &str, operation: &str, key: &str, body: &Value) -> (HttpResponse, bool) {
        let url = self.test_system.at(&format!("/admin/api/tenants/{tenant}/{operation}"));
        let post = async || {
            let request =
                self.test_system.http().post(&url).header("authorization", format!("Bearer {key}")).json(body);
            self.test_system.send(request).await
        };
        self.answered("API", post).await
    }

    /// The product tells a change, until it is heard.
    async fn told(&self, email: &str, tenant: &str, was: Option<&str>, is: Option<&str>) {
        let number = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        let deliver = async || self.test_system.deliver_change(email, tenant, was, is, number).await;
        let (answer, _) = self.answered("feed", deliver).await;
        if answer.status != 204 {
            self.found(format!("feed: {}", short(&answer)));
        }
    }

    async fn given_back(&self, connector: &Connector<'_>, tokens: &Tokens) {
        let token = tokens.refresh.as_ref().unwrap();
        self.honest("revocation", async || connector.revoke(token).await).await;
    }

    /// As `amble grant end --tenant` does.
    async fn end_all_in(&self, id: &str) {
        let (system, id) = (self.test_system.system(), TenantId::parse(id).unwrap());
        let (directory, grants) = (system.directory(), system.grants());
        self.operated(async || {
            let numbers = directory.tenant_numbers(&id).await?.expect("the tenant is there");
            let (reason, now) = (RevocationReason::Administrator, system.clock().now());
            JointRevocation::new((directory, grants), reason, None, now).in_tenant(&id, &numbers, None).await
        })
        .await;
    }

    /// A key of a member, by which they have called; none if nobody answers.
    async fn made_key(&self, email: &str, tenant: &str) -> Option<String> {
        let (system, id, person) =
            (self.test_system.system(), TenantId::parse(tenant).unwrap(), self.test_system.person_id(email));
        let mut maker: Option<Membership> = None;
        for _ in 0..TRIES {
            if maker.is_none() {
                maker = system.directory().membership(&person, &id).await.unwrap_or_default();
            }
            let Some(maker) = &maker else { continue };
            let (name, scopes) = (ApiKeyName::parse("a script").unwrap(), Scopes::parse("skills:read"));
            let new =
                NewApiKey { maker, name, scopes, expiry: KeyLifetime::UNTIL_REVOKED.expiry(system.clock().now()) };
            if let Ok((key, _)) =
                ApiKeyIssuer::new(system.keys()).create(Actor::Person, new, system.clock().now()).await
            {
                let key = ApiKey::to_text(&key);
                self.honest("call by key", async || self.call(&key).await).await;
                return Some(key);
            }
        }
        None
    }

    /// An operator does it again until it is done.
    async fn operated<T, E: std::fmt::Debug>(&self, act: impl AsyncFn() -> Result<T, E>) {
        for _ in 0..TRIES {
            match act().await {
                Ok(_) => return,
                Err(_) => self.count("failures at operators", 1),
            }
        }
        self.found("an operator could not do it".to_owned());
    }

    async fn call(&self, token: &str) -> HttpResponse {
        let list = json!({ "name": "list_skills", "arguments": {} });
        self.test_system.call(Some(token), "tools/call", list).await
    }

    /// It must be answered by 200.
    async fn honest(&self, what: &'static str, send: impl AsyncFn() -> HttpResponse) -> HttpResponse {
        let (answer, _) = self.answered(what, send).await;
        if answer.status != 200 {
            self.count("honest and refused", 1);
            self.found(format!("{what}: {}", short(&answer)));
        }
        answer
    }

    /// Sends the same request until it is answered otherwise than by "not now". The answer, and whether it failed before.
    async fn answered(&self, what: &'static str, send: impl AsyncFn() -> HttpResponse) -> (HttpResponse, bool) {
        for tried in 0..TRIES {
            let answer = send().await;
            if !self.is_unavailable(&answer) {
                return (answer, tried > 0);
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.found(format!("{what}: not answered in {TRIES} tries"));
        (send().await, true)
    }

    fn is_unavailable(&self, answer: &HttpResponse) -> bool {
        let is_unavailable = answer.status >= 500 || answer.status == 429;
        self.count("answered", 1);
        self.count("answered 5xx", usize::from(is_unavailable));
        is_unavailable
    }

    /// A second is a second. But what a person may approve and make in an hour, they may in seconds here, as four people do in minutes
    /// what many do in days.
    async fn tick(&self) {
        let test_system = self.test_system;
        let people = [ANA, NORA, BEN, VERA].map(|email| test_system.person_id(email));
        let variables = test_system.system().variables("admin").unwrap();
        while !self.is_over() {
            let now = test_system.now();
            for person in people.iter().filter(|_| now % 5 == 0) {
                for (table, kind) in [("TABLE_GRANTS", "approvals"), ("TABLE_KEYS", "made")] {
                    let id = format!("{kind}#{person}#{}", now / 3600);
                    let expires = (now + 7200).to_string();
                    let item = json!({
                        "id": { "S": id }, "kind": { "S": kind }, kind: { "N": "0" }, "expires": { "N": expires },
                    });
                    test_system.put_item(&variables[table], &item).await;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            test_system.advance(1);
        }
    }

    /// A tab of the person's own browser, in which they have signed in. Nobody signs in for each tab, and the limiter of an address
    /// would keep them from it.
    async fn browser(&self, email: &str) -> Person<'w> {
        let person = self.test_system.person(email);
        let mut sessions = self.sessions.lock().await;
        if let Some(cookies) = sessions.get(email) {
            for (name, value) in cookies.split("; ").filter_map(|cookie| cookie.split_once('=')) {
                person.set_cookie(name, value);
            }
        } else {
            let page = person.sign_in("/auth/login").await;
            assert!(Form::find(&page, "password").is_none(), "{email} is not signed in: {page:?}");
            sessions.insert(email.to_owned(), person.cookie_header());
        }
        person
    }

    async fn check_ended(&self) {
        const AT_ONCE: usize = 16;
        let all = self.ended.lock().unwrap().clone();
        self.count("credentials that ended", all.len());
        for some in all.chunks(AT_ONCE) {
            test_system::all(some.iter().map(|ended| self.show(ended, true))).await;
        }
    }

    /// Each document is there once, with the versions that were written, and none else.
    async fn check_documents(&self, holders: &[Holder<'_>]) {
        let (connector, tokens) = self.test_system.connect(ANA, HONEST, SCOPE).await;
        let read = async |tool: &str, arguments: Value| {
            connector.tool(&tokens.access, tool, arguments).await.json()["result"]["structuredContent"].clone()
        };
        let (mut titles, mut cursor): (BTreeMap<String, usize>, Value) = (BTreeMap::new(), Value::Null);
        loop {
            let arguments = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
            let page = read("list_documents", arguments).await;
            for document in page["documents"].as_array().unwrap() {
                *titles.entry(text(&document["title"])).or_default() += 1;
            }
            cursor = page["nextCursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        let written = holders.iter().flat_map(|holder| &holder.documents);
        let sure: BTreeMap<_, _> = written.map(|document| (document.title.as_str(), document)).collect();
        let unsure: BTreeSet<_> = holders.iter().flat_map(|holder| &holder.unsure).map(String::as_str).collect();
        for (title, times) in &titles {
            let ours = sure.contains_key(title.as_str()) || unsure.contains(title.as_str());
            if *times != 1 || !ours && !["Shared", "Refund policy", "Office handbook"].contains(&title.as_str()) {
                self.count("documents doubled", 1);
                self.found(format!("document {title:?} is there {times} times"));
            }
        }
        for (title, Document { id, contents, .. }) in &sure {
            if !titles.contains_key(*title) {
                self.found(format!("document {title:?} is not there"));
            }
            self.check_versions(&read, id, contents).await;
        }
        // Each line once, and each version adds one.
        let lines = self.lines.lock().unwrap().clone();
        let content = read("read_document", json!({ "id": self.shared_document })).await;
        let (content, version) = (text(&content["content"]), content["version"].as_u64().unwrap());
        let mut stored: Vec<_> = content.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let mut expected = lines;
        stored.sort();
        expected.sort();
        if stored != expected || version != 1 + expected.len() as u64 {
            self.count("documents doubled", 1);
            self.found(format!("version {version} of the shared document: {stored:?}, not {expected:?}"));
        }
        self.count("lines in the shared document", expected.len());
    }

    async fn check_versions(&self, read: &impl AsyncFn(&str, Value) -> Value, id: &str, contents: &[String]) {
        let current = read("read_document", json!({ "id": id })).await;
        if current["version"] != contents.len() {
            self.count("documents doubled", 1);
            self.found(format!("document {id} is at {}, not at {}", current["version"], contents.len()));
        }
        for (content, version) in contents.iter().zip(1..) {
            let past = read("read_document", json!({ "id": id, "version": version })).await;
            if past["content"] != content.as_str() {
                self.found(format!("version {version} of document {id}: {past}, not {content:?}"));
            }
        }
        self.count("versions of documents", contents.len());
    }

    /// The line of figures, and the verdict.
    fn conclude(&self, seconds: u64, holders: &[Holder<'_>], happened: &BTreeMap<Incident, usize>) {
        let of = |incident| happened.get(&incident).copied().unwrap_or_default();
        let kinds = as_aws().chances.into_keys();
        let kinds: BTreeMap<_, _> = kinds.map(|kind| (kind, of(Incident::Fault(kind)))).collect();
        // A short page is no fault, and neither is what is deleted when it has expired.
        let harmless = [FaultKind::Cut, FaultKind::Sweep];
        let faulty: usize = kinds.iter().filter(|(kind, _)| !harmless.contains(kind)).map(|(_, times)| times).sum();
        let share = 1000 * faulty / of(Incident::Call).max(1);
        let (figures, endings) = (self.figures.lock().unwrap().clone(), self.endings.lock().unwrap().clone());
        let (documents, unsure): (usize, usize) =
            holders.iter().fold((0, 0), |sum, holder| (sum.0 + holder.documents.len(), sum.1 + holder.unsure.len()));
        let honest: usize = holders.iter().map(|holder| holder.held.len()).sum();
        let _ = writeln!(
            std::io::stderr(),
            "soak of {seconds} s: {honest} honest connections at the end, {figures:?}, documents {documents} (and {unsure} answered \
             by 5xx), endings {endings:?}, calls to the tables {}, faulty {}.{} %: {kinds:?}",
            of(Incident::Call),
            share / 10,
            share % 10,
        );

        let wrong = self.wrong.lock().unwrap();
        let first = wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty(), "{} things went wrong:\n{first}", wrong.len());
        for never in ["ended and alive", "honest and refused", "documents doubled"] {
            assert_eq!(figures.get(never), None, "{never}");
        }
        assert!(share >= FAULTY, "only {share} of a thousand calls were faulty");
        // Of transactions there are few.
        assert!(seconds < 60 || kinds.values().all(|times| *times > 0), "{kinds:?}");
        assert_eq!(endings.len(), LANES.len() + 2, "{endings:?}");
        assert!(endings.values().all(|times| *times > 0), "{endings:?}");
        let ended: usize = endings.values().sum();
        assert!(ended as u64 >= seconds, "{ended} endings");
        for (figure, least) in [
            ("calls", 10 * seconds),
            ("calls by key", seconds),
            ("refreshes", 3 * seconds),
            ("versions of documents", seconds),
            ("lines in the shared document", seconds / 5),
            ("shown after their end", 10 * seconds),
            ("answered 5xx", 1),
            ("met an ending and was answered", 1),
        ] {
            let times = figures.get(figure).copied().unwrap_or_default() as u64;
            assert!(times >= least, "{figure}: {times}, and not {least}");
        }
    }

    fn is_over(&self) -> bool {
        self.until.lock().unwrap().is_none_or(|until| Instant::now() >= until)
    }

    fn number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    fn count(&self, figure: &'static str, times: usize) {
        if times > 0 {
            *self.figures.lock().unwrap().entry(figure).or_default() += times;
        }
    }

    fn found(&self, wrong: String) {
        self.wrong.lock().unwrap().push(wrong);
    }
}

impl<'w> Victims<'w> {
    fn credentials(self) -> Vec<Credential<'w>> {
        let Self { connector, held, spent, codes } = self;
        let codes =
            spent.into_iter().chain(codes).map(|(ask, code)| Credential::Code(Arc::clone(&connector), ask, code));
        held.into_iter().flat_map(|tokens| of_tokens(&connector, tokens)).chain(codes).collect()
    }
}

/// An honest program of one person: it holds connections, calls, refreshes and writes documents.
struct Holder<'w> {
    soak: &'w Soak<'w>,
    name: String,
    person: Person<'w>,
    held: Vec<(Connector<'w>, Tokens)>,
    documents: Vec<Document>,
    /// Titles of documents of which nobody has said whether they were written.
    unsure: Vec<String>,
}

/// A document as it was written.
struct Document {
    id: String,
    title: String,
    /// Of each version.
    contents: Vec<String>,
}

impl<'w> Holder<'w> {
    async fn new(soak: &'w Soak<'w>, number: usize) -> Self {
        let email = [ANA, BEN, VERA][number % 3];
        let (name, person) = (format!("Cursor {number}"), soak.browser(email).await);
        Self { soak, name, person, held: Vec::new(), documents: Vec::new(), unsure: Vec::new() }
    }

    async fn run(mut self) -> Self {
        let soak = self.soak;
        // A viewer writes nothing.
        let writes = self.person.email != VERA;
        for step in 0.. {
            if soak.is_over() {
                break;
            }
            if self.held.len() < MOST && step % 8 == 0 {
                self.connect().await;
            }
            if self.held.is_empty() {
                continue;
            }
            let place = step % self.held.len();
            self.call(place).await;
            match step % 4 {
                1 => self.refresh(place, step % 3).await,
                2 if writes && step % 5 == 0 => self.add_line(place).await,
                2 if writes => self.write(place, step).await,
                3 => self.call_by_key().await,
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(soak.number() as u64 * 31 % 150)).await;
        }
        self
    }

    async fn connect(&mut self) {
        let Some(connector) = self.soak.registered(&self.name).await else { return };
        let tokens = self.soak.connected(&self.person, &connector, HONEST).await;
        self.held.extend(tokens.map(|(tokens, _)| (connector, tokens)));
    }

    async fn call(&self, place: usize) {
        self.soak.count("calls", 1);
        self.soak.honest("honest call", async || self.soak.call(&self.held[place].1.access).await).await;
    }

    /// By a key that nobody revokes.
    async fn call_by_key(&self) {
        self.soak.count("calls by key", 1);
        let key = self.soak.test_system.api_key();
        self.soak.honest("honest call by key", async || self.soak.call(&key).await).await;
    }

    /// Once, or twice at once, or once more because the answer never arrived. One token leads to one successor.
    async fn refresh(&mut self, place: usize, how: usize) {
        let (connector, tokens) = &self.held[place];
        let token = tokens.refresh.as_ref().unwrap();
        let refresh = async || {
            self.soak.count("refreshes", 1);
            self.soak.honest("honest refresh", async || connector.refresh(token).await).await
        };
        let answers = match how {
            0 => vec![refresh().await],
            1 => vec![refresh().await, refresh().await],
            _ => Vec::from(<[_; 2]>::from(tokio::join!(refresh(), refresh()))),
        };
        let successors: Vec<_> = answers
            .iter()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.tokens(self.soak.test_system))
            .collect();
        if successors.iter().any(|tokens| tokens.refresh != successors[0].refresh) {
            self.soak.found("one refresh token has two successors".to_owned());
        }
        if let Some(tokens) = successors.into_iter().next_back() {
            self.held[place].1 = tokens;
        }
    }

    /// Creates a document, or writes the next version of one. What was answered by 5xx is not created again under the same title;
    /// an update is sent again, as its version decides.
    async fn write(&mut self, place: usize, step: usize) {
        let (soak, access) = (self.soak, self.held[place].1.access.clone());
        let number = soak.number();
        let content = format!("written by {} as {number}", self.name);
        let count = self.documents.len();
        if count == 0 || step.is_multiple_of(3) {
            let title = format!("{} {number}", self.name);
            let made = self.tool(place, "create_document", json!({ "title": title, "content": content })).await;
            match made {
                Ok(made) => {
                    let id = text(&made["id"]);
                    self.documents.push(Document { id, title, contents: vec![content] });
                }
                Err(None) => self.unsure.push(title),
                Err(Some(said)) => soak.found(format!("create_document: {said}")),
            }
            return;
        }
        let document = step % count;
        let (id, base) = (self.documents[document].id.clone(), self.documents[document].contents.len());
        let update = json!({ "id": id, "version": base, "content": content });
        let update = json!({ "name": "update_document", "arguments": update });
        let send = async || soak.test_system.call(Some(&access), "tools/call", update.clone()).await;
        let (answer, failed_before) = soak.answered("update_document", send).await;
        let result = answer.json()["result"].clone();
        if result["structuredContent"]["version"] != base + 1 {
            // The first try may have been carried out.
            let read = json!({ "name": "read_document", "arguments": { "id": id } });
            let read = async || soak.test_system.call(Some(&access), "tools/call", read.clone()).await;
            let now = soak.honest("read_document", read).await.json()["result"]["structuredContent"].clone();
            if !failed_before || now["content"] != content.as_str() || now["version"] != base + 1 {
                soak.found(format!("update of {id} from {base}: {}, and it is {now}", short(&answer)));
                return;
            }
        }
        self.documents[document].contents.push(content);
    }

    /// Adds a line to the document that all write: reads, writes, and begins anew when another one was faster.
    async fn add_line(&self, place: usize) {
        let (soak, line) = (self.soak, format!("line {}", self.soak.number()));
        let id = &soak.shared_document;
        for _ in 0..4 * TRIES {
            let Ok(read) = self.tool(place, "read_document", json!({ "id": id })).await else { continue };
            let content = text(&read["content"]);
            if content.lines().any(|known| known == line) {
                return soak.lines.lock().unwrap().push(line);
            }
            let update = json!({ "id": id, "version": read["version"], "content": format!("{content}\n{line}") });
            if self.tool(place, "update_document", update).await.is_ok() {
                return soak.lines.lock().unwrap().push(line);
            }
        }
        soak.found("a line could not be added".to_owned());
    }

    /// Once. `Err(None)`: nobody knows.
    async fn tool(&self, place: usize, tool: &str, arguments: Value) -> Result<Value, Option<String>> {
        let (connector, tokens) = &self.held[place];
        let answer = connector.tool(&tokens.access, tool, arguments).await;
        if self.soak.is_unavailable(&answer) {
            tokio::time::sleep(PAUSE).await;
            return Err(None);
        }
        if answer.status != 200 {
            self.soak.count("honest and refused", 1);
            self.soak.found(format!("{tool}: {}", short(&answer)));
            return Err(Some(answer.body));
        }
        let result = answer.json()["result"].clone();
        if result["isError"] == true { Err(Some(answer.body)) } else { Ok(result["structuredContent"].clone()) }
    }

    /// When nothing fails any more, everything works at once.
    async fn check(&self) {
        for (connector, tokens) in &self.held {
            let called = self.soak.call(&tokens.access).await;
            let refreshed = connector.refresh(tokens.refresh.as_ref().unwrap()).await;
            let anew = match refreshed.status {
                200 => self.soak.call(&refreshed.tokens(self.soak.test_system).access).await.status,
                status => status,
            };
            if (called.status, anew) != (200, 200) {
                self.soak.count("honest and refused", 1);
                self.soak.found(format!("{} at the end: {}, {}, {anew}", self.name, short(&called), short(&refreshed)));
            }
        }
    }
}

/// As much of an answer as says what went wrong.
fn short(answer: &HttpResponse) -> String {
    // Of a page, what comes after the head.
    let body = answer.body.split_once("<main").map_or(answer.body.as_str(), |(_, main)| main);
    format!("{} {}", answer.status, body.chars().take(600).collect::<String>())
}

/// What a redirect to the client hands over.
fn code_of(answer: &HttpResponse) -> Option<String> {
    answer.header("location").filter(|to| to.starts_with(CALLBACK))?;
    answer.redirect_parameters().remove("code")
}

async fn administrator_key(test_system: &TestSystem, tenant: &str) -> String {
    test_system.create_api_key(ANA, tenant, "skills:read connections:manage", None).await.0
}

fn of_tokens<'w>(connector: &Arc<Connector<'w>>, tokens: Tokens) -> Vec<Credential<'w>> {
    let refresh = tokens.refresh.map(|token| Credential::Refresh(Arc::clone(connector), token));
    [Some(Credential::Access(tokens.access)), refresh].into_iter().flatten().collect()
}

fn grant_of(tokens: &Tokens) -> String {
    text(&test_system::claims(&tokens.access).1["grant"])
}

fn tenant(id: &str) -> Tenant {
    Tenant { id: TenantId::parse(id).unwrap(), name: format!("Tenant {id}"), roles: Vec::new() }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn difference(before: &BTreeMap<Incident, usize>, after: &BTreeMap<Incident, usize>) -> BTreeMap<Incident, usize> {
    let since = |incident: &Incident, times: &usize| times - before.get(incident).copied().unwrap_or_default();
    after.iter().map(|(incident, times)| (*incident, since(incident, times))).collect()
}
