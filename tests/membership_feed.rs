//! The product tells how memberships change: what was connected follows at once, in whatever order it is told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use local::interceptor::{Call, Decision, InjectedError, Service};
use serde_json::{Value, json};
use tokio::sync::Notify;
use world::World;
use world::answer::Answer;
use world::product::{HOOK, signed};

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const NORA: &str = "nora@example.com";
const SCOPE: &str = "tools:execute skills:read entities:write offline_access";

async fn reads(world: &World, token: &str) -> Answer {
    world.call(Some(token), "tools/call", json!({ "name": "list_skills", "arguments": {} })).await
}

async fn rolls(world: &World, token: &str) -> Answer {
    world.call(Some(token), "tools/call", json!({ "name": "roll_dice", "arguments": {} })).await
}

fn grant_of(token: &str) -> String {
    world::claims(token).1["grant"].as_str().unwrap().to_owned()
}

fn events(world: &World, event: &str, grant: &str) -> Vec<Value> {
    world.audit(event).into_iter().filter(|event| event["grant"] == grant).collect()
}

async fn role(world: &World, email: &str, tenant: &str) -> Option<String> {
    let tenant = shared::oauth::tenant::TenantId::parse(tenant).unwrap();
    let membership = world.system().directory().membership(&world.person_id(email), &tenant).await.unwrap();
    membership.map(|membership| membership.role.name)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_member_connected_ends_at_once() {
    let world = World::new().await;
    let (connector, tokens) = world.connected(BEN, "acme", SCOPE).await;
    let (_, once) = world.connected(BEN, "acme", "skills:read").await;
    let ask = connector.ask(SCOPE);
    let unused = world.person(BEN).code(&ask, "acme").await;
    let (_, anas) = world.connected(ANA, "acme", SCOPE).await;
    let (key, _) = world.makes_key(BEN, "acme", "skills:read", None).await;
    for token in [&tokens.access, &once.access, &anas.access, &key] {
        assert_eq!(reads(&world, token).await.status, 200);
    }

    let told = world.tells(BEN, "acme", Some("member"), None, 7).await;

    assert_eq!((told.status, told.body.as_str(), told.header("cache-control")), (204, "", Some("no-store")));
    for token in [&tokens.access, &once.access, &key] {
        assert_eq!((reads(&world, token).await.status, role(&world, BEN, "acme").await), (401, None));
    }
    let refreshed = connector.refresh(&tokens.refresh.unwrap()).await;
    assert_eq!((refreshed.status, &refreshed.json()["error"]), (400, &json!("invalid_grant")));
    let exchanged = connector.exchange(&ask, &unused).await;
    assert_eq!((exchanged.status, &exchanged.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(reads(&world, &anas.access).await.status, 200);
    let grant = grant_of(&tokens.access);
    for event in ["grant_ending", "grant_ended"] {
        let events = events(&world, event, &grant);
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["reason"], "membership_gone");
    }

    // Told again, and by an operator since: nothing happens twice, and nothing that was told comes back.
    assert_eq!(world.tells(BEN, "acme", Some("member"), None, 7).await.status, 204);
    assert_eq!(events(&world, "grant_ended", &grant).len(), 1);
    assert_eq!(world.tells(BEN, "acme", None, Some("member"), 6).await.status, 204);
    assert_eq!(role(&world, BEN, "acme").await, None);

    // Who comes back has to connect and make keys anew.
    assert_eq!(world.tells(BEN, "acme", None, Some("member"), 8).await.status, 204);
    for token in [&tokens.access, &key] {
        assert_eq!(
            (reads(&world, token).await.status, role(&world, BEN, "acme").await),
            (401, Some("member".to_owned()))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_allows_less_counts_at_the_next_call_and_one_that_allows_more_at_the_next_refresh() {
    let world = World::new().await;
    let (connector, tokens) = world.connected(BEN, "acme", SCOPE).await;
    let (_, reading) = world.connected(BEN, "acme", "skills:read").await;
    assert_eq!(rolls(&world, &tokens.access).await.status, 200);
    let ask = connector.ask(SCOPE);
    let unused = world.person(BEN).code(&ask, "acme").await;

    assert_eq!(world.tells(BEN, "acme", Some("member"), Some("viewer"), 1).await.status, 204);

    let refused = rolls(&world, &tokens.access).await;
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("insufficient_scope")));
    assert_eq!(reads(&world, &tokens.access).await.status, 200);
    let listed = world.call(Some(&tokens.access), "tools/list", json!({})).await.body;
    assert!(listed.contains("list_skills") && !listed.contains("roll_dice"), "{listed}");
    let limited = events(&world, "grant_limited", &grant_of(&tokens.access));
    assert_eq!(limited.len(), 1);
    assert_eq!(limited[0]["scope"], "skills:read views:read entities:read documents:read");

    // What was approved before, and is exchanged now.
    let late = connector.exchange(&ask, &unused).await.tokens(&world);
    assert_eq!(late.scope, "skills:read entities:read offline_access");
    assert_eq!((reads(&world, &late.access).await.status, rolls(&world, &late.access).await.status), (200, 403));

    // The token from before stays limited when a new one has been issued.
    let viewing = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&world);
    assert_eq!(viewing.scope, "skills:read entities:read offline_access");
    for token in [&tokens.access, &viewing.access] {
        assert_eq!((reads(&world, token).await.status, rolls(&world, token).await.status), (200, 403));
    }

    assert_eq!(world.tells(BEN, "acme", Some("viewer"), Some("member"), 2).await.status, 204);

    assert_eq!(rolls(&world, &viewing.access).await.status, 403, "it was issued to a viewer");
    let again = connector.refresh(&viewing.refresh.unwrap()).await.tokens(&world);
    assert_eq!(rolls(&world, &again.access).await.status, 200);
    assert_eq!(again.scope, "tools:execute skills:read entities:read entities:write offline_access");
    assert_eq!(rolls(&world, &reading.access).await.status, 403, "no more than was approved");
    assert_eq!(reads(&world, &reading.access).await.status, 200);
}

/// A refresh that read the old role, and turns the family after the change has been told.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_was_under_way_is_bound_as_well() {
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
    let world = World::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    let (connector, tokens) = world.connected(BEN, "acme", SCOPE).await;
    arm.store(true, Ordering::SeqCst);

    let refresh = connector.refresh(tokens.refresh.as_deref().unwrap());
    let change = async {
        wait.notified().await;
        let told = world.tells(BEN, "acme", Some("member"), Some("viewer"), 1).await;
        release.notify_one();
        told
    };
    let (refreshed, told) = tokio::join!(refresh, change);

    let refreshed = refreshed.tokens(&world);
    assert_eq!(told.status, 204);
    assert!(refreshed.scope.contains("tools:execute"), "it was not under way: {}", refreshed.scope);
    assert_eq!(
        (reads(&world, &refreshed.access).await.status, rolls(&world, &refreshed.access).await.status),
        (200, 403)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_change_counts_in_whatever_order_they_are_told() {
    let world = World::new().await;
    let leaving = [(None, Some("viewer")), (Some("viewer"), Some("editor")), (Some("editor"), None)];
    let coming = [(Some("member"), None), (None, Some("viewer")), (Some("viewer"), Some("editor"))];
    let mut number = 0;
    for (changes, end) in [(leaving, None), (coming, Some("editor"))] {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            // Each told twice, as if the first answer had been lost.
            for place in order.into_iter().chain(order) {
                let (was, is) = changes[place];
                assert_eq!(world.tells(NORA, "acme", was, is, number + 1 + place as u64).await.status, 204);
            }
            assert_eq!(role(&world, NORA, "acme").await.as_deref(), end, "{order:?}");
            number += 3;
        }
    }

    // What an operator says wins over what was told, and not over what is told next.
    world.gives_role("acme", NORA, "owner").await;
    assert_eq!(world.tells(NORA, "acme", None, Some("viewer"), number).await.status, 204);
    assert_eq!(role(&world, NORA, "acme").await.as_deref(), Some("owner"));
    world.removes("acme", NORA).await;
    assert_eq!(world.tells(NORA, "acme", None, Some("viewer"), number).await.status, 204);
    assert_eq!(role(&world, NORA, "acme").await, None);
    assert_eq!(world.tells(NORA, "acme", None, Some("viewer"), number + 1).await.status, 204);
    assert_eq!(role(&world, NORA, "acme").await.as_deref(), Some("viewer"));
}

/// Who has left is in no list: the page that offers tenants, the index that an operator's tool reads.
#[tokio::test(flavor = "multi_thread")]
async fn what_remembers_a_former_member_is_seen_by_nobody() {
    let world = World::new().await;
    assert_eq!(world.tells(ANA, "globex", Some("viewer"), None, 1).await.status, 204);

    let connector = world.connector("Claude").await;
    let page = world.person(ANA).signs_in(&connector.ask("skills:read").url).await;
    assert!(page.body.contains("acme") && !page.body.contains("globex"), "{}", page.body);
    let items = world.system().items().unwrap();
    let ana = world.person_id(ANA);
    let left = items
        .iter()
        .map(|(_, item)| item)
        .find(|item| item["pk"]["S"] == format!("person#{ana}") && item["sk"]["S"] == "tenant#globex");
    let left = left.unwrap();
    assert!(left["tenant"].is_null() && left["person"].is_null() && left["role"].is_null(), "{left}");
    let expires: i64 = left["expires"]["N"].as_str().unwrap().parse().unwrap();
    assert_eq!(expires, world.now() + 30 * 24 * 60 * 60);
}

/// A membership that becomes another's, in a tenant that nobody has heard of yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changes_its_tenant_is_two_changes() {
    let world = World::new().await;
    let mut change = world.change(BEN, "acme", Some("member"), Some("viewer"), 1);
    change["record"]["tenant"] = json!("initech");
    assert_eq!(world.delivers(&change.to_string(), |headers| headers).await.status, 204);
    assert_eq!((role(&world, BEN, "acme").await, role(&world, BEN, "initech").await), (None, None));

    let id = shared::oauth::tenant::TenantId::parse("initech").unwrap();
    let tenant = shared::store::directory::Tenant { id, name: "Initech".to_owned(), roles: Vec::new() };
    world.system().directory().put_tenant(&tenant).await.unwrap();
    assert_eq!(role(&world, BEN, "initech").await.as_deref(), Some("viewer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_is_believed() {
    const STALE: &str = "webhook-timestamp is more than five minutes off.";
    const UNSIGNED: &str = "The delivery is not signed as it must be.";
    let world = World::new().await;
    let body = &world.change(BEN, "acme", Some("member"), None, 1).to_string();
    let other = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcg==";
    let (now, ours) = (world.now(), local::MEMBERSHIP_SECRET);
    let without = |name: &'static str| {
        let headers = signed("change_1", now, body, ours).into_iter();
        headers.filter(|(known, _)| *known != name).collect::<Vec<_>>()
    };
    let with = |name: &'static str, value: &str| {
        let mut headers = signed("change_1", now, body, ours);
        headers.push((name, value.to_owned()));
        headers
    };
    for (headers, sentence) in [
        (Vec::new(), UNSIGNED),
        (signed("change_1", now, body, other), UNSIGNED),
        (signed("change_1", now, &body.replace("acme", "globex"), ours), UNSIGNED),
        (signed("change_1", now - 301, body, ours), STALE),
        (signed("change_1", now + 301, body, ours), STALE),
        (without("webhook-id"), UNSIGNED),
        (without("webhook-timestamp"), UNSIGNED),
        (without("webhook-signature"), UNSIGNED),
        (with("webhook-id", "change_1"), UNSIGNED),
        (with("webhook-timestamp", &now.to_string()), UNSIGNED),
        (with("webhook-signature", &signed("change_1", now, body, ours)[2].1), UNSIGNED),
    ] {
        let answer = world.delivers(body, |_| headers.clone()).await;
        assert_eq!(
            (answer.status, answer.json()),
            (403, json!({ "error": "access_denied", "error_description": sentence })),
            "{headers:?}"
        );
    }
    let large = format!("{body}{}", " ".repeat(16 * 1024));
    assert_eq!(world.delivers(&large, |headers| headers).await.status, 413);
    for (body, sentence) in [
        ("[]".to_owned(), "The body must be a JSON object with type, record, old_record and sequence."),
        (body.replace("DELETE", "INSERT"), "INSERT has a record, DELETE an old_record, and UPDATE both."),
        (body.replace("acme", "Acme"), "tenant must be 1 to 64 of a-z, 0-9, _ and -."),
        (body.replace("5c1f6b0a", "ben"), "person must be a UUID in lower case."),
    ] {
        let answer = world.delivers(&body, |headers| headers).await;
        let told = json!({ "error": "invalid_request", "error_description": sentence });
        assert_eq!((answer.status, answer.json()), (400, told), "{body}");
    }
    assert_eq!(role(&world, BEN, "acme").await.as_deref(), Some("member"));
    assert_eq!(world.get(HOOK).await.status, 404);
}

/// A secret is replaced without a gap; a deployment without any has no such route.
#[tokio::test(flavor = "multi_thread")]
async fn two_secrets_count_while_one_replaces_the_other() {
    let next = "whsec_bmV4dC1tZW1iZXJzaGlwLXdlYmhvb2stc2VjcmV0ISE=";
    let both = format!("{next},{}", local::MEMBERSHIP_SECRET);
    for (secrets, statuses) in [(both.as_str(), [204, 204]), (next, [204, 403]), ("", [404, 404])] {
        let world = World::with(|options| {
            options.parameters.insert("MembershipSecrets".to_owned(), secrets.to_owned());
        })
        .await;
        let body = world.change(BEN, "acme", Some("member"), Some("viewer"), 1).to_string();
        for (secret, status) in [next, local::MEMBERSHIP_SECRET].into_iter().zip(statuses) {
            let headers = signed("change_1", world.now(), &body, secret);
            assert_eq!(world.delivers(&body, |_| headers).await.status, status, "{secrets}");
        }
    }
}

/// What infra/supabase/membership.sql made on a database (infra/supabase/check.sql), as `pg_net` sends it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_signs_is_believed() {
    let world = World::new().await;
    let event = crate::events::event("feed/update");
    let recorded: Value = serde_json::from_str(&event).unwrap();
    let signed_at: i64 = recorded["headers"]["webhook-timestamp"].as_str().unwrap().parse().unwrap();
    world.advance(signed_at - world.now());

    let answer = world.system().invoke("feed", &event).await.unwrap().unwrap();

    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["statusCode"], 204, "{answer}");
    assert_eq!(role(&world, BEN, "acme").await.as_deref(), Some("viewer"));
}

/// Whatever call fails, the sender is told to come back, and then it is done.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_in_the_middle_is_finished_when_it_is_told_again() {
    for is in [None, Some("viewer")] {
        for late in [false, true] {
            let (made, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(usize::MAX)));
            let (calls, failing) = (Arc::clone(&made), Arc::clone(&fails));
            let interceptor = move |call: Call| {
                let ours = call.function == "feed" && call.service == Service::DynamoDb;
                let broken = ours && calls.fetch_add(1, Ordering::SeqCst) == failing.load(Ordering::SeqCst);
                let denied = if late {
                    Decision::FailAfter(InjectedError::DENIED)
                } else {
                    Decision::FailBefore(InjectedError::DENIED)
                };
                async move { if broken { denied } else { Decision::Pass } }
            };
            let world = World::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
            for broken in 0..5 {
                world.gives_role("acme", BEN, "member").await;
                let mut connected = Vec::new();
                for _ in 0..2 {
                    connected.push(world.connected(BEN, "acme", SCOPE).await.1);
                }
                made.store(0, Ordering::SeqCst);
                fails.store(broken, Ordering::SeqCst);
                let number = broken as u64 + 1;

                let failed = world.tells(BEN, "acme", Some("member"), is, number).await;

                assert_eq!((failed.status, failed.header("retry-after")), (503, Some("1")), "{broken}");
                fails.store(usize::MAX, Ordering::SeqCst);
                assert_eq!(world.tells(BEN, "acme", Some("member"), is, number).await.status, 204);
                for tokens in &connected {
                    let (read, roll) = (reads(&world, &tokens.access).await, rolls(&world, &tokens.access).await);
                    let expected = if is.is_some() { (200, 403) } else { (401, 401) };
                    assert_eq!((read.status, roll.status), expected, "{broken} {late} {is:?}");
                }
            }
        }
    }
}

/// Somebody may have connected more than one delivery is worked on for. Told again it goes on where it ended, and misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_connections_are_limited_over_several_deliveries() {
    const MANY: usize = 240;
    const SLOW: Duration = Duration::from_millis(400);
    let (limited, slow) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (heard, left) = (Arc::clone(&limited), Arc::clone(&slow));
    let interceptor = move |call: Call| {
        let ours = call.function == "feed" && call.operation == "UpdateItem";
        let waits = ours && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if ours {
            heard.lock().unwrap().push(call.body["Key"]["id"]["S"].as_str().unwrap().to_owned());
        }
        async move {
            if waits {
                tokio::time::sleep(SLOW).await;
            }
            Decision::Pass
        }
    };
    let world = World::with(|options| options.interceptor = Some(Arc::new(interceptor))).await;
    world.forgets_its_secrets();
    let connector = world.connector("Claude").await;
    let connects = async || {
        let (ask, code) = connector.approved(SCOPE, BEN, "acme").await;
        connector.exchange(&ask, &code).await.tokens(&world).access
    };
    let mut tokens = Vec::new();
    for _ in 0..MANY {
        world.advance(1);
        tokens.push(connects().await);
    }
    let take = || std::mem::take(&mut *limited.lock().unwrap());
    let tells = async |was, is, number| world.tells(BEN, "acme", Some(was), Some(is), number).await;
    // However slow this machine is, each delivery does some of it.
    let finishes = async |was, is, number| {
        let mut writes = 0;
        for _ in 0..20 {
            world.advance(60);
            let told = tells(was, is, number).await;
            let some = take();
            writes += some.len();
            match told.status {
                204 => return writes,
                503 => assert!(some.len() >= 25, "{}", some.len()),
                _ => panic!("{told:?}"),
            }
        }
        panic!("it never ends");
    };

    slow.store(11, Ordering::SeqCst);
    let told = tells("member", "viewer", 1).await;
    assert_eq!((told.status, told.header("retry-after")), (503, Some("1")), "{told:?}");
    let mut all = take();
    assert!(all.len() >= 25 && all.len() < MANY / 2, "{}", all.len());
    // Approved meanwhile by the membership as it was: before where the next one goes on.
    tokens.push(connects().await);
    slow.store(0, Ordering::SeqCst);
    let told = tells("member", "viewer", 1).await;
    let rest = take();
    assert!(rest.iter().take(25).all(|id| !all.contains(id)), "it began anew");
    all.extend(rest);
    let more = if told.status == 204 { 0 } else { finishes("member", "viewer", 1).await };
    // What was approved within half a minute of the beginning is met twice, and no more.
    let writes = all.len() + more;
    assert!(writes > MANY && writes < MANY + 100, "{} and {more}", all.len());
    for token in tokens.iter().step_by(40).chain(tokens.last()) {
        assert_eq!(rolls(&world, token).await.status, 403);
    }

    // Told once more, it begins anew; and so it does after an operator's word in between.
    let again = finishes("member", "viewer", 1).await;
    assert!(again > MANY, "{again}");
    slow.store(11, Ordering::SeqCst);
    assert_eq!(tells("viewer", "member", 2).await.status, 503);
    let begun = take();
    world.gives_role("acme", BEN, "viewer").await;
    slow.store(0, Ordering::SeqCst);
    tells("viewer", "member", 2).await;
    assert_eq!(take()[..25], begun[..25]);
}
