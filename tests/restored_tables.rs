//! The worst day of an operator: the table of grants restored to an earlier minute. A refresh token says which of its family it is, so
//! that one that is newer than the table is known from one that was replaced long ago.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use test_system::connector::{Connector, Tokens};
use test_system::{TestSystem, claims};

const DAY: i64 = 24 * 3600;

/// A connection, and what the table holds of it at one minute.
struct Restorable<'s> {
    test_system: &'s TestSystem,
    client: Connector<'s>,
    tokens: Tokens,
    table: String,
    item: Value,
}

impl<'s> Restorable<'s> {
    /// Connects, refreshes once, and notes what the table has.
    async fn new(test_system: &'s TestSystem) -> Self {
        let (client, first) = test_system.connect("ana@example.com", "acme", "skills:read").await;
        let tokens = client.refresh(first.refresh.as_ref().unwrap()).await.tokens(test_system);
        let grant = json!({ "S": claims(&tokens.access).1["grant"] });
        let items = test_system.system().items().unwrap();
        let (table, item) =
            items.into_iter().find(|(_, item)| item["id"] == grant && item.get("salt").is_some()).unwrap();
        Self { test_system, client, tokens, table, item }
    }

    /// Refreshes so often, each an hour after the one before.
    async fn refreshed(&self, times: usize) -> Tokens {
        let mut refresh = self.tokens.refresh.clone().unwrap();
        for again in 1.. {
            self.test_system.advance(3600);
            let tokens = self.client.refresh(&refresh).await.tokens(self.test_system);
            if again == times {
                return tokens;
            }
            refresh = tokens.refresh.unwrap();
        }
        unreachable!("times is at least one")
    }

    async fn restore(&self) {
        self.test_system.put_item(&self.table, &self.item).await;
    }

    async fn refresh(&self, tokens: &Tokens) -> Tokens {
        self.client.refresh(tokens.refresh.as_ref().unwrap()).await.tokens(self.test_system)
    }

    async fn is_refused(&self, tokens: &Tokens) {
        let refused = self.client.refresh(tokens.refresh.as_ref().unwrap()).await;
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")));
    }

    async fn call(&self, tokens: &Tokens) -> u16 {
        self.client.call(&tokens.access, "tools/list", json!({})).await.status
    }

    /// Verdict and generation of each refresh that was judged, the newest last.
    fn judged(&self) -> Vec<(String, Value)> {
        let lines = self.test_system.lines().into_iter().filter(|line| line["event"] == "refresh_judged");
        lines.map(|line| (line["verdict"].as_str().unwrap().to_owned(), line["generation"].clone())).collect()
    }
}

/// However many tokens the table knows nothing of.
#[tokio::test(flavor = "multi_thread")]
async fn connection_goes_on_after_a_restore() {
    for times in [1, 2, 5] {
        let test_system = TestSystem::new().await;
        let held = Restorable::new(&test_system).await;
        let newest = held.refreshed(times).await;
        held.restore().await;
        assert_eq!(held.call(&newest).await, 200, "{times}");
        test_system.advance(3600);

        let next = held.refresh(&newest).await;

        let generation = i64::try_from(times).unwrap() + 2;
        assert_eq!(held.judged().pop().unwrap(), ("newer".to_owned(), json!(generation)), "{times}");
        assert_eq!(claims(&next.access).1["generation"], generation + 1, "{times}");
        assert_eq!(held.call(&next).await, 200, "{times}");
        let later = held.refresh(&next).await;
        assert_eq!(held.judged().pop().unwrap(), ("current".to_owned(), json!(generation + 1)), "{times}");
        assert_eq!(held.call(&later).await, 200, "{times}");
    }
}

/// The first refresh after a restore is one as any other: its answer may be lost, and it may come twice at once.
#[tokio::test(flavor = "multi_thread")]
async fn first_refresh_after_a_restore_may_be_repeated() {
    let test_system = TestSystem::new().await;
    let held = Restorable::new(&test_system).await;
    let newest = held.refreshed(2).await;
    held.restore().await;

    let (one, other) = tokio::join!(held.refresh(&newest), held.refresh(&newest));
    test_system.advance(60);
    let again = held.refresh(&newest).await;
    test_system.advance(1);
    let anew = held.refresh(&newest).await;

    assert_eq!((&one.refresh, &one.refresh), (&other.refresh, &again.refresh));
    assert_ne!(anew.refresh, again.refresh);
    assert_eq!(claims(&anew.access).1["generation"], 6);
    assert_eq!(held.judged().pop().unwrap(), ("lost_response".to_owned(), json!(4)));
    assert_eq!((held.call(&anew).await, held.call(&one).await), (200, 401), "the pair that was lost is superseded");
    let next = held.refresh(&anew).await;
    assert_eq!(held.call(&next).await, 200);
}

/// What was replaced before the restore is known as such by what came after it.
#[tokio::test(flavor = "multi_thread")]
async fn replaced_token_ends_the_grant_after_a_restore() {
    for shown in ["refresh token", "access token", "refresh token, for another resource"] {
        let test_system = TestSystem::new().await;
        let held = Restorable::new(&test_system).await;
        let newest = held.refreshed(2).await;
        held.restore().await;
        match shown {
            "refresh token" => drop(held.refresh(&newest).await),
            "access token" => assert_eq!(held.call(&newest).await, 200),
            _ => {
                let elsewhere = [("resource", "https://a.example")];
                let refused = held.client.refresh_with(newest.refresh.as_ref().unwrap(), &elsewhere).await;
                assert_eq!(refused.json()["error"], "invalid_target");
            }
        }
        test_system.advance(61);

        // In the table it was the current one.
        held.is_refused(&held.tokens).await;

        assert_eq!(held.judged().pop().unwrap(), ("replayed".to_owned(), json!(2)), "{shown}");
        held.is_refused(&newest).await;
        assert_eq!(held.call(&newest).await, 401, "{shown}");
    }
}

/// How long a connection has been idle is counted from its newest token, and not from what the table remembers.
#[tokio::test(flavor = "multi_thread")]
async fn idle_time_is_counted_from_the_newest_token_after_a_restore() {
    for (idle, status) in [(30 * DAY - 1, 200), (30 * DAY, 400)] {
        let test_system = TestSystem::new().await;
        let held = Restorable::new(&test_system).await;
        test_system.advance(20 * DAY);
        let newest = held.refreshed(1).await;
        held.restore().await;
        test_system.advance(idle);

        let answer = held.client.refresh(newest.refresh.as_ref().unwrap()).await;

        assert_eq!(answer.status, status, "{idle}");
    }
}

/// Tokens of earlier versions say nothing of themselves. The table alone judges them, and they are replaced by such that do.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_earlier_versions_are_accepted() {
    let test_system = TestSystem::new().await;
    let held = Restorable::new(&test_system).await;
    let newest = held.refreshed(1).await.refresh.unwrap();

    let next = held.client.refresh(&changed(&newest, |bytes| bytes.truncate(80))).await.tokens(&test_system);

    assert_eq!(held.judged().pop().unwrap(), ("current".to_owned(), Value::Null));
    assert_eq!(bytes_of(next.refresh.as_ref().unwrap()).len(), 124);
    assert_eq!(held.call(&next).await, 200);
    let older = Tokens { refresh: Some(changed(&newest, |bytes| bytes.truncate(80))), ..held.tokens.clone() };
    test_system.advance(61);
    held.is_refused(&older).await;
    assert_eq!(held.judged().pop().unwrap(), ("replayed".to_owned(), Value::Null));
}

/// Whoever has an old token cannot make it newer.
#[tokio::test(flavor = "multi_thread")]
async fn token_that_claims_another_generation_is_judged_by_the_table_alone() {
    let test_system = TestSystem::new().await;
    let held = Restorable::new(&test_system).await;
    let newest = held.refreshed(2).await;
    let newer = changed(held.tokens.refresh.as_ref().unwrap(), |bytes| bytes[83] = 200);

    let refused = held.client.refresh(&newer).await;

    assert_eq!(refused.json()["error"], "invalid_grant");
    assert_eq!(held.judged().pop().unwrap(), ("replayed".to_owned(), Value::Null));
    assert_eq!(held.call(&newest).await, 401);
}

fn bytes_of(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.strip_prefix("rt_").unwrap()).unwrap()
}

fn changed(token: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = bytes_of(token);
    change(&mut bytes);
    format!("rt_{}", URL_SAFE_NO_PAD.encode(bytes))
}
