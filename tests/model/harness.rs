//! The system that histories are run on: in memory, without sockets, at a clock that each history sets anew.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request as Http;
use fakes::kms::key_spec::KeySpec;
use local::interceptor::{Call, Decision, InjectedError, Interceptor};
use local::{Options, System};
use serde_json::Value;
use shared::api_key_issuer::ApiKeyIssuer;
use shared::clock::{Clock, Timestamp};
use shared::joint_revocation::JointRevocation;
use shared::oauth::api_key::{ApiKey, ApiKeyId, ApiKeyName};
use shared::oauth::client::{Client, ClientId, ClientKind};
use shared::oauth::grant::{Approval, Grant};
use shared::oauth::grant_id::GrantId;
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::pkce::CodeChallenge;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::resource::Resource;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::scope::Scopes;
use shared::oauth::secret::{Digest, Secret, to_text};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::revocation::Revocation;
use shared::store::api_keys::{Actor, ApiKeys, CreateApiKeyError, NewApiKey};
use shared::store::connections::ConnectionFilter;
use shared::store::directory::{ConsentItems, Directory, PutTenantError, Tenant};
use shared::store::grants::{Grants, NewGrant};
use shared::upstream_error::UpstreamError;
use test_system::CALLBACK;
use test_system::scheduler::Scheduler;

use crate::captured_audit::CapturedAudit;
use crate::history::{Action, Administration, FaultKind, InjectedFault, NewApproval, Role, Together};

/// When every history begins.
pub(crate) const BEGINNING: i64 = 1_795_339_800;

const CLIENT: &str = "the-client";
const ANOTHER_CLIENT: &str = "another-client";
const ANOTHER_TENANT: &str = "elsewhere";

/// The system and its surroundings.
pub(crate) struct ModelHarness {
    system: System,
    clock: Arc<AtomicI64>,
    /// Where two requests meet.
    pub(crate) scheduler: Scheduler,
    injector: FaultInjector,
    /// The tables, for whoever administers: by the injector.
    directory: Directory,
    grants: Grants,
    keys: ApiKeys,
    /// Tenants so far.
    tenants: AtomicUsize,
    another_person: PersonId,
    pub(crate) audit: CapturedAudit,
    #[expect(dead_code, reason = "the audit is heard until it is dropped")]
    subscriber_guard: tracing::subscriber::DefaultGuard,
}

/// The person of a history, and their tenant.
pub(crate) struct Member {
    pub(crate) person: PersonId,
    tenant: TenantId,
}

/// A grant that has just been approved, and what its client has.
pub(crate) struct IssuedCode {
    pub(crate) id: GrantId,
    pub(crate) code: String,
    pub(crate) verifier: String,
}

/// What became of a first try that arrived late.
#[derive(Debug)]
pub(crate) struct LateWrite {
    pub(crate) operation: String,
    /// Whether it changed anything.
    pub(crate) applied: bool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl ModelHarness {
    /// Starts the system.
    pub(crate) async fn start() -> Self {
        let (scheduler, injector, audit) = (Scheduler::default(), FaultInjector::default(), CapturedAudit::default());
        let subscriber_guard = tracing::subscriber::set_default(audit.clone());
        let clock = Arc::new(AtomicI64::new(BEGINNING));
        let told = Arc::clone(&clock);
        let options = Options {
            clock: Clock::new(move || Timestamp::from_seconds(told.load(Ordering::SeqCst))),
            interceptor: Some(injector.wire(&scheduler)),
            in_process: true,
            // Signs in a fraction of RSA's time.
            key_spec: KeySpec::EccNistP256,
            ..Options::default()
        };
        let system = System::start(options).await.expect("the system starts");
        for id in [CLIENT, ANOTHER_CLIENT] {
            let client = Client {
                id: client_id_of(id),
                name: None,
                redirect_uris: vec![RedirectUri::parse(CALLBACK).expect("an address")],
                refreshes: true,
                // Never forgotten: what a client lives by is another test's.
                kind: ClientKind::Registered { expires: Timestamp::from_seconds(2 * BEGINNING) },
            };
            system.clients().put(&client).await.expect("kept");
        }
        system.directory().put_tenant(&tenant(&another_tenant())).await.expect("kept");
        let intercepted = system.intercepted();
        let (directory, grants) = (intercepted.directory().expect("a table"), intercepted.grants().expect("a table"));
        let keys = intercepted.keys().expect("a table");
        let (tenants, another_person) = (AtomicUsize::new(0), random_person());
        Self {
            system,
            clock,
            scheduler,
            injector,
            directory,
            grants,
            keys,
            tenants,
            another_person,
            audit,
            subscriber_guard,
        }
    }

    /// Begins a history: at the same time as all, with a new person in a new tenant.
    pub(crate) async fn begin(&self, role: Role) -> Member {
        self.clock.store(BEGINNING, Ordering::SeqCst);
        self.injector.forget();
        let number = self.tenants.fetch_add(1, Ordering::SeqCst);
        let member =
            Member { person: random_person(), tenant: TenantId::parse(&format!("acme-{number}")).expect("a tenant") };
        let directory = self.system.directory();
        directory.put_tenant(&tenant(&member.tenant)).await.expect("kept");
        directory.put_member(&member.tenant, &member.person, role.name()).await.expect("kept");
        member
    }

    /// The person approves, and tries again if that fails.
    pub(crate) async fn approve(
        &self,
        member: &Member,
        approval: NewApproval,
        role: Role,
    ) -> Result<IssuedCode, String> {
        let fault = approval.fault;
        self.inject_fault(fault);
        let mut approved = self.try_to_approve(member, approval, role).await;
        self.inject_fault(None);
        // A transaction is tried again until the conflict has passed.
        let must_succeed =
            |fault: InjectedFault| fault.goes_unnoticed() || approval.settles && fault.kind == FaultKind::Conflict;
        if approved.is_err() && fault.is_some_and(|fault| !must_succeed(fault)) {
            approved = self.try_to_approve(member, approval, role).await;
        }
        approved.map_err(|error| format!("nothing can be approved: {error}"))
    }

    async fn try_to_approve(
        &self,
        member: &Member,
        NewApproval { approved, settles, .. }: NewApproval,
        role: Role,
    ) -> Result<IssuedCode, UpstreamError> {
        let (system, now, id) = (&self.system, Timestamp::from_seconds(self.now()), client_id_of(CLIENT));
        let (grants, clients, Member { person, tenant }) = (system.grants(), system.clients(), member);
        let scopes = Scopes::parse(approved.scope());
        if settles {
            grants.record_pending_scopes(person, &id, tenant, scopes, now).await?;
        }
        let items = system.directory().memberships_with_client(person, clients, &id, grants, now).await?;
        let ConsentItems { client, memberships, pending_scopes: pending, .. } = items;
        let membership = memberships.into_iter().find(|membership| membership.tenant == *tenant).expect("a member");
        let approval = Approval {
            client: id,
            person: person.clone(),
            tenant: tenant.clone(),
            resource: Resource::from_stored(&self.system.mcp_url()).expect("ours"),
            scopes,
            at: now,
            email: None,
            basis: membership.basis.approval,
        };
        let verifier = to_text(Secret::<32>::random().expose());
        let challenge = CodeChallenge::from_digest(Digest::of(verifier.as_bytes()));
        let redirect_uri = RedirectUri::parse(CALLBACK).expect("an address");
        let effective = scopes.permissions().iter().map(shared::oauth::scope::Scope::as_str);
        let effective = Scopes::from_names(effective.filter(|scope| role.allows(scope)));
        let (grant, code) = Grant::approve(approval, challenge, redirect_uri);
        let client = client.expect("it is known");
        let new = NewGrant { grant: &grant, effective, client: (clients, &client), pending: &pending };
        let stored = self.grants.put(new, None, now).await;
        if stored.is_err() {
            // Perhaps it is there all the same. Nobody has its code, so it is nobody's.
            grants.revoke(&grant.id, RevocationReason::Administrator, now).await?;
        }
        stored?;
        Ok(IssuedCode { id: grant.id, code: code.to_text(), verifier })
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn timestamp(&self) -> Timestamp {
        Timestamp::from_seconds(self.now())
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Does that, as the console, the command line and the product's feed do. `newest` is the newest grant, and `change` the number of
    /// this change. How many grants were marked, if an index was asked for those that end by it.
    pub(crate) async fn administer(
        &self,
        member: &Member,
        Administration { action, listed, .. }: Administration,
        newest: &GrantId,
        change: u64,
    ) -> Result<Option<usize>, UpstreamError> {
        let (directory, now, Member { person, tenant: id }) = (&self.directory, self.timestamp(), member);
        let ours = ConnectionFilter::Tenant { tenant: id, person: Some(person), client: None };
        let (reason, filter) = match action {
            Action::Role(Some(role)) => {
                directory.put_member(id, person, role.name()).await?;
                return Ok(None);
            }
            Action::Role(None) => {
                directory.remove_member(id, person, now).await?;
                (RevocationReason::MembershipGone, ours)
            }
            Action::Change(role) => {
                directory.apply_change((person, id), role.map(Role::name), change, now).await?;
                if role.is_some() {
                    return Ok(None);
                }
                (RevocationReason::MembershipGone, ours)
            }
            Action::Revoke => {
                let grant = self.stored(newest).await;
                let revocation = Revocation::new(&self.grants);
                revocation.revoke((&grant).into(), RevocationReason::Administrator, None, now).await?;
                return Ok(None);
            }
            Action::RevokeTogether(together) => return self.revoke_together(member, together, listed).await,
            Action::RemoveTenant => {
                directory.remove_tenant(id, now).await?;
                (RevocationReason::MembershipGone, ConnectionFilter::Tenant { tenant: id, person: None, client: None })
            }
            Action::PutTenant => {
                return match directory.put_tenant(&tenant(id)).await {
                    Ok(()) => Ok(None),
                    Err(PutTenantError::Upstream(error)) => Err(error),
                    Err(PutTenantError::TooLarge) => unreachable!("a short name"),
                };
            }
        };
        self.mark(filter, reason, listed).await
    }

    async fn revoke_together(
        &self,
        Member { person, tenant }: &Member,
        together: Together,
        listed: bool,
    ) -> Result<Option<usize>, UpstreamError> {
        let (clients, elsewhere) = ([CLIENT, ANOTHER_CLIENT].map(client_id_of), another_tenant());
        let joint = |reason| JointRevocation::new((&self.directory, &self.grants), reason, None, self.timestamp());
        let (by_person, by_administrator) = (joint(RevocationReason::Person), joint(RevocationReason::Administrator));
        let operators = self.system.directory();
        let (of, at) = match together {
            Together::Person => (person, tenant),
            Together::AnotherPerson => {
                operators.put_member(tenant, &self.another_person, Role::Member.name()).await?;
                (&self.another_person, tenant)
            }
            Together::AnotherTenant => {
                operators.put_member(&elsewhere, person, Role::Member.name()).await?;
                (person, &elsewhere)
            }
            Together::Client | Together::AnotherClient | Together::Tenant => {
                let client = match together {
                    Together::Client => Some(&clients[0]),
                    Together::AnotherClient => Some(&clients[1]),
                    _ => None,
                };
                if let Some(numbers) = self.directory.tenant_numbers(tenant).await? {
                    by_administrator.in_tenant(tenant, &numbers, client).await?;
                }
                let filter = ConnectionFilter::Tenant { tenant, person: None, client };
                return self.mark(filter, RevocationReason::Administrator, listed).await;
            }
        };
        if let Some(membership) = operators.membership(of, at).await? {
            by_person.of_member(&membership).await?;
        }
        let filter = ConnectionFilter::Tenant { tenant: at, person: Some(of), client: None };
        self.mark(filter, RevocationReason::Person, listed).await
    }

    async fn mark(
        &self,
        filter: ConnectionFilter<'_>,
        reason: RevocationReason,
        listed: bool,
    ) -> Result<Option<usize>, UpstreamError> {
        if !listed {
            return Ok(None);
        }
        let joint = JointRevocation::new((&self.directory, &self.grants), reason, None, self.timestamp());
        Ok(Some(joint.mark_listed(filter, usize::MAX).await?.count))
    }

    /// Makes a key of the person, who is a member.
    pub(crate) async fn make_key(&self, Member { person, tenant }: &Member) -> Result<ApiKey, CreateApiKeyError> {
        let membership = self.system.directory().membership(person, tenant).await?.expect("a member");
        let (name, scopes) = (ApiKeyName::parse("a script").expect("a name"), Scopes::parse("skills:read"));
        let new =
            NewApiKey { maker: &membership, name, scopes, expiry: KeyLifetime::UNTIL_REVOKED.expiry(self.timestamp()) };
        let made = ApiKeyIssuer::new(&self.keys).create(Actor::Person, new, self.timestamp()).await?;
        Ok(made.0)
    }

    /// Revokes a key.
    pub(crate) async fn revoke_key(&self, member: &Member, id: &ApiKeyId) -> Result<bool, UpstreamError> {
        let revocation = Revocation::new(&self.keys);
        revocation.revoke(Actor::Person, &member.tenant, id, Some(&member.person), self.timestamp()).await
    }

    /// Whether the tables have a key that is not revoked.
    pub(crate) async fn has_key(&self, id: &ApiKeyId) -> bool {
        self.system.keys().find(id, self.timestamp()).await.expect("the table answers").is_some()
    }

    /// The person's role as the tables have it.
    pub(crate) async fn stored_role(&self, Member { person, tenant }: &Member) -> Option<String> {
        let membership = self.system.directory().membership(person, tenant).await.expect("the table answers");
        membership.map(|membership| membership.role.name)
    }

    /// How many first tries are under way.
    pub(crate) fn late_writes(&self) -> usize {
        self.injector.0.lock().expect("unpoisoned").held.len()
    }

    /// One of them arrives at the tables.
    pub(crate) fn arrive(&self, nth: usize) -> LateWrite {
        let Call { operation, mut body, .. } = self.injector.0.lock().expect("unpoisoned").held.remove(nth);
        if let Some(body) = body.as_object_mut() {
            // It is forgotten after ten minutes.
            body.remove("ClientRequestToken");
        }
        let (status, said) = self.system.call_tables(&operation, &body);
        let applied = status == 200;
        assert!(applied || said.contains("ConditionalCheckFailed"), "{operation} arrived late: {said}");
        LateWrite { operation, applied }
    }

    pub(crate) async fn stored(&self, id: &GrantId) -> Grant {
        self.system.grants().find(id).await.expect("the table answers").expect("it is there")
    }

    /// Until it is told otherwise, this goes wrong; the calls to AWS are counted anew.
    pub(crate) fn inject_fault(&self, fault: Option<InjectedFault>) {
        self.injector.inject(fault);
    }

    /// Exchanges a code.
    pub(crate) async fn exchange(&self, code: &str, verifier: &str, as_client: bool) -> HttpResponse {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", CALLBACK),
            ("client_id", client_id(as_client)),
        ];
        self.post_form("/oauth/token", &fields).await
    }

    /// Refreshes.
    pub(crate) async fn refresh(&self, token: &str, scope: Option<&str>, as_client: bool) -> HttpResponse {
        let mut fields =
            vec![("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client_id(as_client))];
        fields.extend(scope.map(|scope| ("scope", scope)));
        self.post_form("/oauth/token", &fields).await
    }

    /// Gives a token back.
    pub(crate) async fn revoke(&self, token: &str, as_client: bool) -> HttpResponse {
        self.post_form("/oauth/revoke", &[("token", token), ("client_id", client_id(as_client))]).await
    }

    /// Asks the MCP server for something that needs no scope, or for something that needs `skills:read`.
    pub(crate) async fn call(&self, token: &str, skills: bool) -> HttpResponse {
        let asked = if skills {
            r#""method":"tools/call","params":{"name":"list_skills","arguments":{}}"#
        } else {
            r#""method":"ping","params":{}"#
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,{asked}}}"#);
        let request = Http::post(shared::oauth::resource::PATH)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .header("authorization", format!("Bearer {token}"));
        self.send(request, body).await
    }

    async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> HttpResponse {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(Http::post(path).header("content-type", "application/x-www-form-urlencoded"), body).await
    }

    async fn send(&self, request: axum::http::request::Builder, body: String) -> HttpResponse {
        let request = request.header("host", "localhost").body(Body::from(body)).expect("a request");
        let answer = self.system.ask(request).await;
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        HttpResponse { status, body: serde_json::from_slice(&body).unwrap_or_default() }
    }
}

/// The calls to AWS of one request, of which some fail.
#[derive(Clone, Default)]
struct FaultInjector(Arc<Mutex<Injection>>);

#[derive(Default)]
struct Injection {
    fault: Option<InjectedFault>,
    calls: usize,
    writes: usize,
    /// First tries that have not arrived yet.
    held: Vec<Call>,
}

impl FaultInjector {
    fn wire(&self, scheduler: &Scheduler) -> Arc<dyn Interceptor> {
        let (injector, scheduler) = (self.clone(), scheduler.clone());
        Arc::new(move |call: Call| {
            let (injector, scheduler) = (injector.clone(), scheduler.clone());
            async move {
                scheduler.step(&call.operation).await;
                injector.0.lock().expect("unpoisoned").decide(call)
            }
        })
    }

    fn inject(&self, fault: Option<InjectedFault>) {
        let mut injection = self.0.lock().expect("unpoisoned");
        (injection.fault, injection.calls, injection.writes) = (fault, 0, 0);
    }

    fn forget(&self) {
        *self.0.lock().expect("unpoisoned") = Injection::default();
    }
}

impl Injection {
    fn decide(&mut self, call: Call) -> Decision {
        let is_write = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"].contains(&call.operation.as_str());
        let (called, written) = (self.calls, self.writes);
        self.calls += 1;
        self.writes += usize::from(is_write);
        let Some(InjectedFault { place, times, kind }) = self.fault else { return Decision::Pass };
        let is_met = if kind.is_of_writes() {
            is_write && (place..place + times).contains(&written)
        } else {
            (place..place + times).contains(&called)
        };
        if !is_met {
            return Decision::Pass;
        }
        match kind {
            FaultKind::Before => Decision::FailBefore(InjectedError::INTERNAL),
            FaultKind::After => Decision::FailAfter(InjectedError::INTERNAL),
            FaultKind::Refused => Decision::FailBefore(InjectedError::DENIED),
            FaultKind::Crash => Decision::FailAfter(InjectedError::DENIED),
            FaultKind::Silence => Decision::DropResponse,
            FaultKind::Conflict if call.operation == "TransactWriteItems" => {
                Decision::FailBefore(InjectedError::TRANSACTION_CONFLICT)
            }
            FaultKind::Conflict => {
                Decision::FailBefore(InjectedError { status: 400, kind: "TransactionConflictException" })
            }
            FaultKind::Late => {
                self.held.push(call);
                self.fault = None;
                Decision::FailBefore(InjectedError::INTERNAL)
            }
        }
    }
}

fn tenant(id: &TenantId) -> Tenant {
    Tenant { id: id.clone(), name: "Acme".to_owned(), roles: Vec::new() }
}

fn another_tenant() -> TenantId {
    TenantId::parse(ANOTHER_TENANT).expect("a tenant")
}

fn client_id_of(id: &str) -> ClientId {
    ClientId::parse(id).expect("an id")
}

const fn client_id(as_client: bool) -> &'static str {
    if as_client { CLIENT } else { ANOTHER_CLIENT }
}

/// With an id of version 4, as Supabase makes them.
fn random_person() -> PersonId {
    let random = Secret::<16>::random();
    let hex = random.expose().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let id = format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]);
    PersonId::parse(&id).expect("an id")
}
