//! The signing key is replaced while people work (docs/operating/rotate-the-signing-key.md).
//!
//! A deployment replaces one function after another, in an order that nobody knows. The parameter `SigningKeys` names keys: the first
//! signs, all verify. Three deployments, each of which must be safe in every order: the new key verifies, the new key signs, and,
//! when what the old one signed has expired, it is dropped.

use fakes::kms::key_spec::KeySpec;
use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::connector::Connector;

const BEN: &str = "ben@example.com";
/// Who knows keys.
const FUNCTIONS: [&str; 4] = ["mcp", "revoke", "token", "wellknown"];

/// Someone at work: the tokens that have not expired, and the one that brings the next.
struct ActiveClient<'w> {
    connector: Connector<'w>,
    access: Vec<String>,
    refresh: String,
}

impl<'w> ActiveClient<'w> {
    async fn new(test_system: &'w TestSystem) -> Self {
        let connector = test_system.connector("Claude").await;
        let (ask, code) = connector.approve_directly("skills:read offline_access", BEN, "acme").await;
        let tokens = connector.exchange(&ask, &code).await.tokens(test_system);
        Self { connector, access: vec![tokens.access], refresh: tokens.refresh.unwrap() }
    }

    /// Refreshes, and calls with what that brought and with the oldest token that has not expired.
    async fn works(&mut self) {
        let answer = self.connector.refresh(&self.refresh).await;
        assert_eq!(answer.status, 200, "a refresh failed: {answer:?}");
        let tokens = answer.tokens(self.connector.test_system);
        self.refresh = tokens.refresh.unwrap();
        self.access.push(tokens.access);
        for token in [&self.access[0], &self.access[self.access.len() - 1]] {
            self.calls(token, 200).await;
        }
    }

    async fn calls(&self, token: &str, status: u16) {
        let answer = self.connector.call(token, "ping", json!({})).await;
        assert_eq!(answer.status, status, "signed by {}: {answer:?}", test_system::claims(token).0);
    }
}

async fn published(test_system: &TestSystem) -> Vec<String> {
    let keys = test_system.get("/.well-known/jwks.json").await.json()["keys"].clone();
    keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid(token: &str) -> String {
    test_system::claims(token).0["kid"].as_str().unwrap().to_owned()
}

/// One function after another, while both go on working; what they hold is published at every moment.
async fn deploy(
    test_system: &TestSystem,
    keys: &str,
    order: &[&str],
    (one, other): (&mut ActiveClient<'_>, &mut ActiveClient<'_>),
) {
    for function in order {
        let changes = [("SigningKeys", keys)];
        let (deployed, ()) = tokio::join!(test_system.system().redeploy(function, &changes), other.works());
        deployed.unwrap();
        one.works().await;
        let published = published(test_system).await;
        assert!(
            one.access.iter().all(|token| published.contains(&kid(token))),
            "{function} of {order:?}: {published:?}"
        );
    }
}

fn orders(of: &[&'static str]) -> Vec<Vec<&'static str>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let first_and_rest = |place: usize| {
        let rest: Vec<_> = of.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, name)| *name).collect();
        orders(&rest).into_iter().map(move |rest| [vec![of[place]], rest].concat())
    };
    (0..of.len()).flat_map(first_and_rest).collect()
}

async fn test_system() -> TestSystem {
    TestSystem::with(|options| options.in_process = true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_fails_no_request_in_any_deployment_order() {
    let test_system = test_system().await;
    let (mut one, mut other) = (ActiveClient::new(&test_system).await, ActiveClient::new(&test_system).await);
    let (mut old, mut new) = ("first", "second");
    for order in orders(&FUNCTIONS) {
        // From RSA to ECC and back, each time in another order.
        deploy(&test_system, &format!("{old},{new}"), &order, (&mut one, &mut other)).await;
        let before = kid(&one.access[0]);
        deploy(&test_system, &format!("{new},{old}"), &order, (&mut one, &mut other)).await;
        let kids: std::collections::BTreeSet<_> = one.access.iter().map(|token| kid(token)).collect();
        assert!(kids.len() == 2 && kids.contains(&before), "tokens of both keys are alive: {kids:?}");
        // A token of the old key can still be given back.
        let third = ActiveClient::new(&test_system).await;
        third.connector.revoke(&third.access[0]).await;
        third.calls(&third.access[0], 401).await;

        test_system.advance(60 * 60);
        for at_work in [&mut one, &mut other] {
            let expired = std::mem::take(&mut at_work.access);
            at_work.calls(&expired[0], 401).await;
            let tokens = at_work.connector.refresh(&at_work.refresh).await.tokens(&test_system);
            (at_work.access, at_work.refresh) = (vec![tokens.access], tokens.refresh.unwrap());
        }
        deploy(&test_system, new, &order, (&mut one, &mut other)).await;
        assert_eq!(published(&test_system).await, [kid(&one.access[0])]);
        (old, new) = (new, old);
    }
}

/// Why it takes three deployments: in one, some order has mcp refuse what token has signed.
#[tokio::test(flavor = "multi_thread")]
async fn key_that_signs_before_it_is_deployed_everywhere_is_rejected() {
    let test_system = test_system().await;
    let at_work = ActiveClient::new(&test_system).await;
    let keys = [("SigningKeys", "second,first")];
    test_system.system().redeploy("token", &keys).await.unwrap();

    let tokens = at_work.connector.refresh(&at_work.refresh).await.tokens(&test_system);

    at_work.calls(&tokens.access, 401).await;
    test_system.system().redeploy("mcp", &keys).await.unwrap();
    at_work.calls(&tokens.access, 200).await;
}

/// A key that has been stolen is dropped without waiting: what it signed is worth nothing, and clients go on by their next refresh.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_removed_key_are_rejected() {
    let test_system = test_system().await;
    let mut at_work = ActiveClient::new(&test_system).await;
    let gone = at_work.access[0].clone();
    at_work.calls(&gone, 200).await;
    for function in FUNCTIONS {
        test_system.system().redeploy(function, &[("SigningKeys", "second")]).await.unwrap();
    }

    let refused = at_work.connector.call(&gone, "ping", json!({})).await;

    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_token")));
    assert_eq!(at_work.connector.revoke(&gone).await.status, 200);
    at_work.access.clear();
    at_work.works().await;
    at_work.calls(&gone, 401).await;
}

/// RFC 7638 §3: the name of a key is the digest of its required members in lexical order, whoever computes it.
#[tokio::test(flavor = "multi_thread")]
async fn kid_is_the_jwk_thumbprint() {
    for spec in [KeySpec::Rsa2048, KeySpec::EccNistP256] {
        let test_system = TestSystem::with(|options| options.key_spec = spec).await;
        let keys = test_system.get("/.well-known/jwks.json").await.json()["keys"].clone();
        let key = &keys[0];
        let members: &[&str] = if key["kty"] == "RSA" { &["e", "kty", "n"] } else { &["crv", "kty", "x", "y"] };
        let required: serde_json::Map<String, Value> =
            members.iter().map(|name| ((*name).to_owned(), key[*name].clone())).collect();
        assert_eq!(key["kid"], test_system::digest(&Value::Object(required).to_string()), "{key}");
        let (_, tokens) = test_system.connect(BEN, "acme", "skills:read").await;
        assert_eq!(key["kid"], kid(&tokens.access));
    }
}
