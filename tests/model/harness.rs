//! The system that histories are run on: in memory, without sockets, at a clock that each history sets anew.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request as Http;
use fakes::kms::key_spec::KeySpec;
use local::interceptor::{Call, Decision, InjectedError, Interceptor};
use local::{Options, System};
use serde_json::Value;
use shared::clock::{Clock, Timestamp};
use shared::oauth::client::{Client, ClientId, ClientKind};
use shared::oauth::grant::{Approval, Grant};
use shared::oauth::grant_id::GrantId;
use shared::oauth::pkce::CodeChallenge;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::resource::Resource;
use shared::oauth::scope::Scopes;
use shared::oauth::secret::{Digest, Secret, to_text};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::directory::Tenant;
use shared::store::pending_scopes::PendingScopes;
use test_system::CALLBACK;
use test_system::scheduler::Scheduler;

use crate::captured_audit::CapturedAudit;
use crate::history::{Approved, FaultKind, InjectedFault, Role};

/// When every history begins.
pub(crate) const BEGINNING: i64 = 1_795_339_800;

const TENANT: &str = "acme";
const CLIENT: &str = "the-client";
const ANOTHER_CLIENT: &str = "another-client";

/// The system and its surroundings.
pub(crate) struct ModelHarness {
    system: System,
    clock: Arc<AtomicI64>,
    /// Where two requests meet.
    pub(crate) scheduler: Scheduler,
    injector: FaultInjector,
    pub(crate) audit: CapturedAudit,
    #[expect(dead_code, reason = "the audit is heard until it is dropped")]
    subscriber_guard: tracing::subscriber::DefaultGuard,
}

/// A grant that has just been approved, and what its client has.
pub(crate) struct IssuedCode {
    pub(crate) id: GrantId,
    pub(crate) person: PersonId,
    pub(crate) code: String,
    pub(crate) verifier: String,
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
                id: ClientId::parse(id).expect("an id"),
                name: None,
                redirect_uris: vec![RedirectUri::parse(CALLBACK).expect("an address")],
                refreshes: true,
                // Never forgotten: what a client lives by is another test's.
                kind: ClientKind::Registered { expires: Timestamp::from_seconds(2 * BEGINNING) },
            };
            system.clients().put(&client).await.expect("kept");
        }
        let tenant = Tenant { id: tenant(), name: "Acme".to_owned(), roles: Vec::new() };
        system.directory().put_tenant(&tenant).await.expect("kept");
        Self { system, clock, scheduler, injector, audit, subscriber_guard }
    }

    /// Begins a history: at the same time as all, with a new person.
    pub(crate) async fn approve(&self, approved: Approved, role: Role) -> IssuedCode {
        self.clock.store(BEGINNING, Ordering::SeqCst);
        let person = PersonId::parse(&uuid()).expect("an id");
        self.give_role(&person, Some(role)).await;
        let now = Timestamp::from_seconds(BEGINNING);
        let id = ClientId::parse(CLIENT).expect("an id");
        let client = self.system.clients().find(&id, now).await.expect("the table answers").expect("it is known");
        let scopes = Scopes::parse(approved.scope());
        let membership = self.system.directory().membership(&person, &tenant()).await.expect("the table answers");
        let approval = Approval {
            client: id,
            person: person.clone(),
            tenant: tenant(),
            resource: Resource::from_stored(&self.system.mcp_url()).expect("ours"),
            scopes,
            at: now,
            email: None,
            basis: membership.expect("a member").basis.approval,
        };
        let verifier = to_text(Secret::<32>::random().expose());
        let challenge = CodeChallenge::from_digest(Digest::of(verifier.as_bytes()));
        let redirect_uri = RedirectUri::parse(CALLBACK).expect("an address");
        let effective = scopes.permissions().iter().map(shared::oauth::scope::Scope::as_str);
        let effective = Scopes::from_names(effective.filter(|scope| role.allows(scope)));
        let (grant, code) = Grant::approve(approval, challenge, redirect_uri);
        let (clients, pending) = ((self.system.clients(), &client), PendingScopes::default());
        self.system.grants().put(&grant, effective, clients, &pending, now).await.expect("kept");
        IssuedCode { id: grant.id, person, code: code.to_text(), verifier }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn give_role(&self, person: &PersonId, role: Option<Role>) {
        let directory = self.system.directory();
        match role {
            Some(role) => directory.put_member(&tenant(), person, role.name()).await.expect("kept"),
            None => directory.remove_member(&tenant(), person, self.system.clock().now()).await.expect("removed"),
        }
    }

    pub(crate) async fn revoke_grant(&self, id: &GrantId) {
        let now = Timestamp::from_seconds(self.now());
        let why = shared::oauth::grant::RevocationReason::Administrator;
        self.system.grants().revoke(id, why, now).await.expect("ended");
    }

    pub(crate) async fn stored(&self, id: &GrantId) -> Grant {
        self.system.grants().find(id).await.expect("the table answers").expect("it is there")
    }

    /// Until it is told otherwise, this goes wrong; the calls to AWS are counted anew.
    pub(crate) fn inject_fault(&self, fault: Option<InjectedFault>) {
        *self.injector.0.lock().expect("unpoisoned") = (0, fault);
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

/// The calls to AWS of one request, of which one or two fail.
#[derive(Clone, Default)]
struct FaultInjector(Arc<Mutex<(usize, Option<InjectedFault>)>>);

impl FaultInjector {
    fn wire(&self, scheduler: &Scheduler) -> Arc<dyn Interceptor> {
        let (injector, scheduler) = (self.clone(), scheduler.clone());
        Arc::new(move |call: Call| {
            let (injector, scheduler) = (injector.clone(), scheduler.clone());
            async move {
                scheduler.step(&call.operation).await;
                let mut injector = injector.0.lock().expect("unpoisoned");
                let place = injector.0;
                injector.0 += 1;
                let fault = injector.1.filter(|fault| (fault.place..fault.place + fault.times).contains(&place));
                match fault.map(|fault| fault.kind) {
                    None => Decision::Pass,
                    Some(FaultKind::Before) => Decision::FailBefore(InjectedError::INTERNAL),
                    Some(FaultKind::After) => Decision::FailAfter(InjectedError::INTERNAL),
                    Some(FaultKind::Refused) => Decision::FailBefore(InjectedError::DENIED),
                    Some(FaultKind::Crash) => Decision::FailAfter(InjectedError::DENIED),
                    Some(FaultKind::Silence) => Decision::DropResponse,
                }
            }
        })
    }
}

fn tenant() -> TenantId {
    TenantId::parse(TENANT).expect("a tenant")
}

const fn client_id(as_client: bool) -> &'static str {
    if as_client { CLIENT } else { ANOTHER_CLIENT }
}

/// Version 4, as Supabase makes them.
fn uuid() -> String {
    let random = Secret::<16>::random();
    let hex = random.expose().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
