//! The product tells how memberships change: what was connected follows at once, in whatever order it is told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use local::interceptor::{Call, Decision, InjectedError, Service};
use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::product_feed::{WEBHOOK_PATH, webhook_headers};
use tokio::sync::Notify;

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const NORA: &str = "nora@example.com";
const SCOPE: &str = "tools:execute skills:read entities:write offline_access";

async fn reads(test_system: &TestSystem, token: &str) -> HttpResponse {
    test_system.call(Some(token), "tools/call", json!({ "name": "list_skills", "arguments": {} })).await
}

async fn rolls(test_system: &TestSystem, token: &str) -> HttpResponse {
    test_system.call(Some(token), "tools/call", json!({ "name": "roll_dice", "arguments": {} })).await
}

fn grant_of(token: &str) -> String {
    test_system::claims(token).1["grant"].as_str().unwrap().to_owned()
}

fn events(test_system: &TestSystem, event: &str, grant: &str) -> Vec<Value> {
    test_system.audit(event).into_iter().filter(|event| event["grant"] == grant).collect()
}

async fn role(test_system: &TestSystem, email: &str, tenant: &str) -> Option<String> {
    let tenant = shared::oauth::tenant::TenantId::parse(tenant).unwrap();
    let membership = test_system.system().directory().membership(&test_system.person_id(email), &tenant).await.unwrap();
    membership.map(|membership| membership.role.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_members_grants_are_revoked_at_once() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(BEN, "acme", SCOPE).await;
    let (_, once) = test_system.connect(BEN, "acme", "skills:read").await;
    let ask = connector.authorization_request(SCOPE);
    let unused = test_system.person(BEN).code(&ask, "acme").await;
    let (_, anas) = test_system.connect(ANA, "acme", SCOPE).await;
    let (key, _) = test_system.create_api_key(BEN, "acme", "skills:read", None).await;
    for token in [&tokens.access, &once.access, &anas.access, &key] {
        assert_eq!(reads(&test_system, token).await.status, 200);
    }

    let told = test_system.deliver_change(BEN, "acme", Some("member"), None, 7).await;

    assert_eq!((told.status, told.body.as_str(), told.header("cache-control")), (204, "", Some("no-store")));
    assert_eq!(told.header("webhook-id"), Some("change_1"), "it names the delivery");
    for token in [&tokens.access, &once.access, &key] {
        assert_eq!((reads(&test_system, token).await.status, role(&test_system, BEN, "acme").await), (401, None));
    }
    let refreshed = connector.refresh(&tokens.refresh.unwrap()).await;
    assert_eq!((refreshed.status, &refreshed.json()["error"]), (400, &json!("invalid_grant")));
    let exchanged = connector.exchange(&ask, &unused).await;
    assert_eq!((exchanged.status, &exchanged.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(reads(&test_system, &anas.access).await.status, 200);
    let grant = grant_of(&tokens.access);
    for event in ["grant_ending", "grant_ended"] {
        let events = events(&test_system, event, &grant);
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["reason"], "membership_gone");
    }

    // Told again, and by an operator since: nothing happens twice, and nothing that was told comes back.
    assert_eq!(test_system.deliver_change(BEN, "acme", Some("member"), None, 7).await.status, 204);
    assert_eq!(events(&test_system, "grant_ended", &grant).len(), 1);
    assert_eq!(test_system.deliver_change(BEN, "acme", None, Some("member"), 6).await.status, 204);
    assert_eq!(role(&test_system, BEN, "acme").await, None);

    // Who comes back has to connect and make keys anew.
    assert_eq!(test_system.deliver_change(BEN, "acme", None, Some("member"), 8).await.status, 204);
    for token in [&tokens.access, &key] {
        assert_eq!(
            (reads(&test_system, token).await.status, role(&test_system, BEN, "acme").await),
            (401, Some("member".to_owned()))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn demotion_applies_at_the_next_call_and_promotion_at_the_next_refresh() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(BEN, "acme", SCOPE).await;
    let (_, reading) = test_system.connect(BEN, "acme", "skills:read").await;
    assert_eq!(rolls(&test_system, &tokens.access).await.status, 200);
    let ask = connector.authorization_request(SCOPE);
    let unused = test_system.person(BEN).code(&ask, "acme").await;

    assert_eq!(test_system.deliver_change(BEN, "acme", Some("member"), Some("viewer"), 1).await.status, 204);

    let refused = rolls(&test_system, &tokens.access).await;
    assert_eq!((refused.status, &refused.json()["error"]["data"]["error"]), (403, &json!("access_denied")));
    assert_eq!(reads(&test_system, &tokens.access).await.status, 200);
    let listed = test_system.call(Some(&tokens.access), "tools/list", json!({})).await.body;
    assert!(listed.contains("list_skills") && !listed.contains("roll_dice"), "{listed}");
    // What was approved before, and is exchanged now.
    let late = connector.exchange(&ask, &unused).await.tokens(&test_system);
    assert_eq!(late.scope, "skills:read entities:read offline_access");
    assert_eq!(
        (reads(&test_system, &late.access).await.status, rolls(&test_system, &late.access).await.status),
        (200, 403)
    );

    // The token from before stays limited when a new one has been issued.
    let viewing = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(viewing.scope, "skills:read entities:read offline_access");
    for token in [&tokens.access, &viewing.access] {
        assert_eq!((reads(&test_system, token).await.status, rolls(&test_system, token).await.status), (200, 403));
    }

    assert_eq!(test_system.deliver_change(BEN, "acme", Some("viewer"), Some("member"), 2).await.status, 204);

    assert_eq!(rolls(&test_system, &viewing.access).await.status, 403, "it was issued to a viewer");
    let again = connector.refresh(&viewing.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(rolls(&test_system, &again.access).await.status, 200);
    assert_eq!(again.scope, "tools:execute skills:read entities:write offline_access");
    assert_eq!(rolls(&test_system, &reading.access).await.status, 403, "no more than was approved");
    assert_eq!(reads(&test_system, &reading.access).await.status, 200);
}

/// A refresh that read the old role, and turns the family after the change has been told.
#[tokio::test(flavor = "multi_thread")]
async fn refresh_in_flight_gets_the_new_role() {
    let (armed, reached, go) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (arm, wait, release) = (Arc::clone(&armed), Arc::clone(&reached), Arc::clone(&go));
    let interceptor = move |call: Call| {
        let turns = call.function == "token" && call.operation == "UpdateItem" && armed.swap(false, Ordering::SeqCst);
        let (reached, go) = (Arc::clone(&reached), Arc::clone(&go));
        async move {
            if turns {
                reached.notify_one();
                // Less than a function's patience.
                let _ = tokio::time::timeout(Duration::from_millis(700), go.notified()).await;
            }
            Decision::Pass
        }
    };
    let test_system = TestSystem::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    let (connector, tokens) = test_system.connect(BEN, "acme", SCOPE).await;
    arm.store(true, Ordering::SeqCst);

    let refresh = connector.refresh(tokens.refresh.as_deref().unwrap());
    let change = async {
        wait.notified().await;
        let told = test_system.deliver_change(BEN, "acme", Some("member"), Some("viewer"), 1).await;
        release.notify_one();
        told
    };
    let (refreshed, told) = tokio::join!(refresh, change);

    let refreshed = refreshed.tokens(&test_system);
    assert_eq!(told.status, 204);
    assert!(refreshed.scope.contains("tools:execute"), "it was not under way: {}", refreshed.scope);
    assert_eq!(
        (reads(&test_system, &refreshed.access).await.status, rolls(&test_system, &refreshed.access).await.status),
        (200, 403)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_change_wins_in_any_delivery_order() {
    let test_system = TestSystem::new().await;
    let leaving = [(None, Some("viewer")), (Some("viewer"), Some("editor")), (Some("editor"), None)];
    let coming = [(Some("member"), None), (None, Some("viewer")), (Some("viewer"), Some("editor"))];
    let mut number = 0;
    for (changes, end) in [(leaving, None), (coming, Some("editor"))] {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            // Each told twice, as if the first answer had been lost.
            for place in order.into_iter().chain(order) {
                let (was, is) = changes[place];
                assert_eq!(
                    test_system.deliver_change(NORA, "acme", was, is, number + 1 + place as u64).await.status,
                    204
                );
            }
            assert_eq!(role(&test_system, NORA, "acme").await.as_deref(), end, "{order:?}");
            number += 3;
        }
    }

    // What an operator says wins over what was told, and not over what is told next.
    test_system.set_role("acme", NORA, "owner").await;
    assert_eq!(test_system.deliver_change(NORA, "acme", None, Some("viewer"), number).await.status, 204);
    assert_eq!(role(&test_system, NORA, "acme").await.as_deref(), Some("owner"));
    test_system.remove_member("acme", NORA).await;
    assert_eq!(test_system.deliver_change(NORA, "acme", None, Some("viewer"), number).await.status, 204);
    assert_eq!(role(&test_system, NORA, "acme").await, None);
    assert_eq!(test_system.deliver_change(NORA, "acme", None, Some("viewer"), number + 1).await.status, 204);
    assert_eq!(role(&test_system, NORA, "acme").await.as_deref(), Some("viewer"));
}

/// Who has left is in no list: the page that offers tenants, the index that an operator's tool reads.
#[tokio::test(flavor = "multi_thread")]
async fn removed_members_are_in_no_list() {
    let test_system = TestSystem::new().await;
    assert_eq!(test_system.deliver_change(ANA, "globex", Some("viewer"), None, 1).await.status, 204);

    let connector = test_system.connector("Claude").await;
    let page = test_system.person(ANA).sign_in(&connector.authorization_request("skills:read").url).await;
    assert!(page.body.contains("acme") && !page.body.contains("globex"), "{}", page.body);
    let items = test_system.system().items().unwrap();
    let ana = test_system.person_id(ANA);
    let left = items
        .iter()
        .map(|(_, item)| item)
        .find(|item| item["pk"]["S"] == format!("person#{ana}") && item["sk"]["S"] == "tenant#globex");
    let left = left.unwrap();
    assert!(left["tenant"].is_null() && left["person"].is_null() && left["role"].is_null(), "{left}");
    let expires: i64 = left["expires"]["N"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires, test_system.now() + 30 * 24 * 60 * 60);
}

/// Who is banned or deleted at the sign-in service has nothing left that works: in no tenant, of no kind, whatever an index shows.
#[tokio::test(flavor = "multi_thread")]
async fn banned_or_deleted_person_has_nothing_left_that_works() {
    for (kind, reason, stays) in
        [("PERSON_BANNED", "person_banned", Some("owner")), ("PERSON_DELETED", "person_deleted", None)]
    {
        let test_system = TestSystem::new().await;
        let (connector, here) = test_system.connect(ANA, "acme", SCOPE).await;
        let (_, elsewhere) = test_system.connect(ANA, "globex", SCOPE).await;
        let (_, bens) = test_system.connect(BEN, "acme", SCOPE).await;
        let ask = connector.authorization_request(SCOPE);
        let unused = test_system.person(ANA).code(&ask, "acme").await;
        let (key, made) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;
        let (bens_key, _) = test_system.create_api_key(BEN, "acme", "skills:read", None).await;
        for token in [&here.access, &elsewhere.access, &bens.access, &key, &bens_key] {
            assert_eq!(reads(&test_system, token).await.status, 200);
        }
        // What an index hid would be marked later, with another reason.
        test_system.settled().await;

        let told = test_system.deliver_person(kind, ANA, 7).await;

        assert_eq!((told.status, told.body.as_str(), told.header("cache-control")), (204, "", Some("no-store")));
        for token in [&here.access, &elsewhere.access, &key] {
            assert_eq!(reads(&test_system, token).await.status, 401, "{kind}");
        }
        let refreshed = connector.refresh(here.refresh.as_ref().unwrap()).await;
        assert_eq!((refreshed.status, &refreshed.json()["error"]), (400, &json!("invalid_grant")));
        let exchanged = connector.exchange(&ask, &unused).await;
        assert_eq!((exchanged.status, &exchanged.json()["error"]), (400, &json!("invalid_grant")));
        for token in [&bens.access, &bens_key] {
            assert_eq!(reads(&test_system, token).await.status, 200, "{kind}");
        }
        assert_eq!(role(&test_system, ANA, "acme").await.as_deref(), stays);
        for token in [&here.access, &elsewhere.access] {
            let ended = events(&test_system, "grant_ended", &grant_of(token));
            assert_eq!(ended.len(), 1, "{ended:?}");
            assert_eq!(ended[0]["reason"], reason);
        }
        let key_id = made.id.to_text();
        let revoked: Vec<_> =
            test_system.audit("key_revoked").into_iter().filter(|event| event["key"] == key_id.as_str()).collect();
        assert_eq!(revoked.len(), 1, "{revoked:?}");
        let person = test_system.person_id(ANA);
        let expected = json!({
            "event": "person_followed", "person": person.as_str(), "reason": reason, "change": 7, "tenants": 2,
        });
        // The audit is of all test systems.
        assert!(test_system.audit("person_followed").contains(&expected), "{expected}");

        // It comes again, as it always does, and ends nothing that has begun since.
        test_system.set_role("acme", ANA, "owner").await;
        let (_, again) = test_system.connect(ANA, "acme", SCOPE).await;
        let (another_key, _) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;
        assert_eq!(test_system.deliver_person(kind, ANA, 7).await.status, 204);
        for token in [&again.access, &another_key] {
            assert_eq!(reads(&test_system, token).await.status, 200, "{kind}");
        }
        assert_eq!(test_system.deliver_person(kind, ANA, 6).await.status, 204);
        assert_eq!(reads(&test_system, &again.access).await.status, 200, "{kind}: an earlier change, late");
        // The next change counts.
        assert_eq!(test_system.deliver_person(kind, ANA, 8).await.status, 204);
        for token in [&again.access, &another_key] {
            assert_eq!(reads(&test_system, token).await.status, 401, "{kind}");
        }
    }
}

/// A system in which one call of the feed to the tables fails, before or after it takes effect; with how many it has made, and which
/// of them fails.
async fn with_failing_call(late: bool) -> (TestSystem, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (made, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(usize::MAX)));
    let (calls, failing) = (Arc::clone(&made), Arc::clone(&fails));
    let interceptor = move |call: Call| {
        let ours = call.function == "feed" && call.service == Service::DynamoDb;
        let broken = ours && calls.fetch_add(1, Ordering::SeqCst) == failing.load(Ordering::SeqCst);
        let denied =
            if late { Decision::FailAfter(InjectedError::DENIED) } else { Decision::FailBefore(InjectedError::DENIED) };
        async move { if broken { denied } else { Decision::Pass } }
    };
    (TestSystem::with(|options| options.interceptor = Some(Arc::new(interceptor))).await, made, fails)
}

/// Whatever call fails, the sender is told to come back, and then nothing is left.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_end_of_a_person_is_completed_by_redelivery() {
    for kind in ["PERSON_BANNED", "PERSON_DELETED"] {
        for late in [false, true] {
            let (test_system, made, fails) = with_failing_call(late).await;
            for (broken, number) in (0..).zip(1..) {
                let mut connected = Vec::new();
                for (tenant, role) in [("acme", "owner"), ("globex", "viewer")] {
                    test_system.set_role(tenant, ANA, role).await;
                    connected.push(test_system.connect(ANA, tenant, "skills:read").await.1.access);
                }
                connected.push(test_system.create_api_key(ANA, "acme", "skills:read", None).await.0);
                made.store(0, Ordering::SeqCst);
                fails.store(broken, Ordering::SeqCst);

                let first = test_system.deliver_person(kind, ANA, number).await;

                fails.store(usize::MAX, Ordering::SeqCst);
                if first.status == 503 {
                    assert_eq!(test_system.deliver_person(kind, ANA, number).await.status, 204, "{kind} {broken}");
                }
                for token in &connected {
                    assert_eq!(reads(&test_system, token).await.status, 401, "{kind} {broken} {late}");
                }
                // Every one of its calls has failed once.
                if first.status == 204 {
                    assert!(broken > 8, "{kind}: {broken}");
                    break;
                }
            }
        }
    }
}

/// A membership that becomes another's, in a tenant that nobody has heard of yet.
#[tokio::test(flavor = "multi_thread")]
async fn row_moved_to_another_tenant_is_two_changes() {
    let test_system = TestSystem::new().await;
    let mut change = test_system.membership_change(BEN, "acme", Some("member"), Some("viewer"), 1);
    change["record"]["tenant"] = json!("initech");
    assert_eq!(test_system.deliver_webhook(&change.to_string(), |headers| headers).await.status, 204);
    assert_eq!((role(&test_system, BEN, "acme").await, role(&test_system, BEN, "initech").await), (None, None));

    let id = shared::oauth::tenant::TenantId::parse("initech").unwrap();
    let tenant = shared::store::directory::Tenant { id, name: "Initech".to_owned(), roles: Vec::new() };
    test_system.system().directory().put_tenant(&tenant).await.unwrap();
    assert_eq!(role(&test_system, BEN, "initech").await.as_deref(), Some("viewer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_or_stale_deliveries_are_rejected() {
    const STALE: &str = "webhook-timestamp is more than five minutes off.";
    const UNSIGNED: &str = "The delivery is not signed as it must be.";
    const ROWS: &str =
        "INSERT has a record, DELETE an old_record, and UPDATE both. What is of a person has a person alone.";
    let test_system = TestSystem::new().await;
    let body = &test_system.membership_change(BEN, "acme", Some("member"), None, 1).to_string();
    let other = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcg==";
    let (now, ours) = (test_system.now(), local::MEMBERSHIP_SECRET);
    let without = |name: &'static str| {
        let headers = webhook_headers("change_1", now, body, ours).into_iter();
        headers.filter(|(known, _)| *known != name).collect::<Vec<_>>()
    };
    let with = |name: &'static str, value: &str| {
        let mut headers = webhook_headers("change_1", now, body, ours);
        headers.push((name, value.to_owned()));
        headers
    };
    for (headers, sentence) in [
        (Vec::new(), UNSIGNED),
        (webhook_headers("change_1", now, body, other), UNSIGNED),
        (webhook_headers("change_1", now, &body.replace("acme", "globex"), ours), UNSIGNED),
        (webhook_headers("change_1", now - 301, body, ours), STALE),
        (webhook_headers("change_1", now + 301, body, ours), STALE),
        (without("webhook-id"), UNSIGNED),
        (without("webhook-timestamp"), UNSIGNED),
        (without("webhook-signature"), UNSIGNED),
        (with("webhook-id", "change_1"), UNSIGNED),
        (with("webhook-timestamp", &now.to_string()), UNSIGNED),
        (with("webhook-signature", &webhook_headers("change_1", now, body, ours)[2].1), UNSIGNED),
    ] {
        let answer = test_system.deliver_webhook(body, |_| headers.clone()).await;
        assert_eq!(
            (answer.status, answer.json()),
            (403, json!({ "error": "access_denied", "error_description": sentence })),
            "{headers:?}"
        );
    }
    let large = format!("{body}{}", " ".repeat(16 * 1024));
    assert_eq!(test_system.deliver_webhook(&large, |headers| headers).await.status, 413);
    for (body, sentence) in [
        ("[]".to_owned(), "The body must be a JSON object with type, record, old_record or person, and sequence."),
        (body.replace("DELETE", "INSERT"), ROWS),
        (body.replace("DELETE", "PERSON_BANNED"), ROWS),
        (body.replace("acme", "Acme"), "tenant must be 1 to 64 of a-z, 0-9, _ and -."),
        (body.replace("5c1f6b0a", "ben"), "person must be a UUID in lower case."),
    ] {
        let answer = test_system.deliver_webhook(&body, |headers| headers).await;
        let told = json!({ "error": "invalid_request", "error_description": sentence });
        assert_eq!((answer.status, answer.json()), (400, told), "{body}");
    }
    assert_eq!(role(&test_system, BEN, "acme").await.as_deref(), Some("member"));
    assert_eq!(test_system.get(WEBHOOK_PATH).await.status, 404);
}

/// A secret is replaced without a gap; a deployment without any has no such route.
#[tokio::test(flavor = "multi_thread")]
async fn both_webhook_secrets_are_accepted_during_rotation() {
    let next = "whsec_bmV4dC1tZW1iZXJzaGlwLXdlYmhvb2stc2VjcmV0ISE=";
    let both = format!("{next},{}", local::MEMBERSHIP_SECRET);
    for (secrets, statuses) in [(both.as_str(), [204, 204]), (next, [204, 403]), ("", [404, 404])] {
        let test_system = TestSystem::with(|options| {
            options.parameters.insert("MembershipSecrets".to_owned(), secrets.to_owned());
        })
        .await;
        let body = test_system.membership_change(BEN, "acme", Some("member"), Some("viewer"), 1).to_string();
        for (secret, status) in [next, local::MEMBERSHIP_SECRET].into_iter().zip(statuses) {
            let headers = webhook_headers("change_1", test_system.now(), &body, secret);
            assert_eq!(test_system.deliver_webhook(&body, |_| headers).await.status, status, "{secrets}");
        }
    }
}

/// What infra/supabase/membership.sql made on a database (infra/supabase/check.sql), as `pg_net` sends it.
#[tokio::test(flavor = "multi_thread")]
async fn delivery_signed_by_the_database_is_accepted() {
    let test_system = TestSystem::new().await;
    let event = crate::events::event("feed/update");
    let recorded: Value = serde_json::from_str(&event).unwrap();
    let signed_at: i64 = recorded["headers"]["webhook-timestamp"].as_str().unwrap().parse().unwrap();
    test_system.advance(signed_at - test_system.now());

    let answer = test_system.system().invoke("feed", &event).await.unwrap().unwrap();

    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["statusCode"], 204, "{answer}");
    assert_eq!(role(&test_system, BEN, "acme").await.as_deref(), Some("viewer"));
}

/// Whatever call fails, the sender is told to come back, and then it is done.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_delivery_is_completed_by_redelivery() {
    for is in [None, Some("viewer")] {
        for late in [false, true] {
            let (test_system, made, fails) = with_failing_call(late).await;
            // A role: the tenant and the membership are read, and the membership is written.
            for broken in 0..if is.is_some() { 3 } else { 5 } {
                test_system.set_role("acme", BEN, "member").await;
                let mut connected = Vec::new();
                for _ in 0..2 {
                    connected.push(test_system.connect(BEN, "acme", SCOPE).await.1);
                }
                made.store(0, Ordering::SeqCst);
                fails.store(broken, Ordering::SeqCst);
                let number = broken as u64 + 1;

                let failed = test_system.deliver_change(BEN, "acme", Some("member"), is, number).await;

                assert_eq!((failed.status, failed.header("retry-after")), (503, Some("1")), "{broken}");
                fails.store(usize::MAX, Ordering::SeqCst);
                assert_eq!(test_system.deliver_change(BEN, "acme", Some("member"), is, number).await.status, 204);
                for tokens in &connected {
                    let (read, roll) =
                        (reads(&test_system, &tokens.access).await, rolls(&test_system, &tokens.access).await);
                    let expected = if is.is_some() { (200, 403) } else { (401, 401) };
                    assert_eq!((read.status, roll.status), expected, "{broken} {late} {is:?}");
                }
            }
        }
    }
}

/// Somebody may have connected more than one delivery is worked on for. All of it is over from the first on. Sent again, the feed marks
/// the rest, and no grant twice.
#[tokio::test(flavor = "multi_thread")]
async fn many_grants_end_at_once_and_are_marked_over_several_deliveries() {
    const MANY: usize = 120;
    const SLOW: Duration = Duration::from_millis(400);
    let (marked, slow) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (heard, left) = (Arc::clone(&marked), Arc::clone(&slow));
    let interceptor = move |call: Call| {
        let grant = call.body["Key"]["id"]["S"].as_str().filter(|_| call.function == "feed").map(str::to_owned);
        let marks = call.operation == "UpdateItem" && grant.is_some();
        let waits = marks && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        heard.lock().unwrap().extend(grant.filter(|_| marks));
        async move {
            if waits {
                tokio::time::sleep(SLOW).await;
            }
            Decision::Pass
        }
    };
    let test_system = TestSystem::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    test_system.forget_secrets();
    let connector = test_system.connector("Claude").await;
    let mut tokens = Vec::new();
    for _ in 0..MANY {
        test_system.advance(1);
        let (ask, code) = connector.approve_directly(SCOPE, BEN, "acme").await;
        tokens.push(connector.exchange(&ask, &code).await.tokens(&test_system).access);
    }
    let take = || std::mem::take(&mut *marked.lock().unwrap());

    slow.store(11, Ordering::SeqCst);
    let told = test_system.deliver_change(BEN, "acme", Some("member"), None, 1).await;
    assert_eq!((told.status, told.header("retry-after")), (503, Some("1")), "{told:?}");
    let mut all = take();
    assert!(all.len() >= 25 && all.len() < MANY / 2, "{}", all.len());
    for token in &tokens {
        assert_eq!(reads(&test_system, token).await.status, 401, "whatever is marked");
    }

    slow.store(0, Ordering::SeqCst);
    for _ in 0..20 {
        let told = test_system.deliver_change(BEN, "acme", Some("member"), None, 1).await;
        all.extend(take());
        match told.status {
            204 => break,
            503 => {}
            _ => panic!("{told:?}"),
        }
    }
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "one was marked twice");
    let ended = test_system.audit("grant_ended");
    let of = |token: &String| ended.iter().filter(|event| event["grant"] == grant_of(token)).count();
    assert!(tokens.iter().all(|token| of(token) == 1), "each is recorded once");
}
