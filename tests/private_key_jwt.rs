//! Clients that prove themselves by a key (`private_key_jwt`, RFC 7523), as `ChatGPT` does, by a metadata document or by hand.

use serde_json::{Value, json};
use test_system::client_key::{ASSERTION_TYPE, ClientKey, key_set};
use test_system::connector::{AuthorizationRequest, Connector, UNKNOWN_REFRESH_TOKEN};
use test_system::http_response::HttpResponse;
use test_system::metadata_document_host::{Behaviour, MetadataDocumentHost, http};
use test_system::recorded_calls::RecordedCalls;
use test_system::{TestSystem, all, claims};

const ANA: &str = "ana@example.com";
const SCOPE: &str = "skills:read offline_access";
const DOCUMENT: &str = "/oauth/ABCDEFGHIJKL/client.json";
const KEYS: &str = "/oauth/jwks.json";
const REDIRECT_URI: &str = "https://assistant.example/connector/oauth/ABCDEFGHIJKL";
const HOUR: i64 = 3600;

/// The document of a hosted assistant, with changes; what is null is left out.
fn document(documents: &MetadataDocumentHost, changes: &[(&str, Value)]) -> Value {
    let mut document = json!({
        "client_id": documents.at(DOCUMENT),
        "client_name": "Assistant",
        "client_uri": "https://assistant.example/",
        "redirect_uris": [REDIRECT_URI],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": documents.at(KEYS),
    });
    for (name, value) in changes {
        document[*name] = value.clone();
    }
    document.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    document
}

/// The client of the document that is published, once a person has opened its page.
async fn assistant<'w>(
    test_system: &'w TestSystem,
    documents: &MetadataDocumentHost,
    document: &Value,
) -> Connector<'w> {
    documents.publish(DOCUMENT, document);
    let connector = Connector {
        test_system,
        client_id: documents.at(DOCUMENT),
        redirect_uri: REDIRECT_URI.to_owned(),
        secret: None,
    };
    let page = test_system.person(ANA).sign_in(&connector.authorization_request(SCOPE).url).await;
    assert_eq!(page.status, 200, "{page:?}");
    connector
}

async fn approved(connector: &Connector<'_>) -> (AuthorizationRequest, String) {
    connector.approve_directly(SCOPE, ANA, "acme").await
}

/// The refresh token of a connection that was made with `key`.
async fn connected(connector: &Connector<'_>, key: &ClientKey) -> String {
    let (ask, code) = approved(connector).await;
    let tokens = connector.exchange_by(&key.assertion(connector), &ask, &code).await.tokens(connector.test_system);
    tokens.refresh.unwrap()
}

#[track_caller]
fn is_invalid_client(answer: &HttpResponse, why: &str) {
    assert_eq!(answer.status, 401, "{why}: {answer:?}");
    assert_eq!(
        answer.json(),
        json!({
            "error": "invalid_client",
            "error_description": "The client is not known here, or did not prove itself.",
        }),
        "{why}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{why}");
}

#[track_caller]
fn is_told_to_come_back(answer: &HttpResponse) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(
        answer.json(),
        json!({ "error": "temporarily_unavailable", "error_description": "Try again in a moment." })
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
}

/// From its document to a call, a refresh and an end, with either kind of key, at an address or in the document, and for either
/// audience. The audit says how it proved itself.
#[tokio::test(flavor = "multi_thread")]
async fn client_connects_by_its_key() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let ana = test_system.person(ANA);
    let (token_endpoint, issuer) = (json!(test_system.at("/oauth/token")), json!(test_system.at("")));
    let (rsa, p256) = (ClientKey::rsa("one"), ClientKey::p256("two"));
    for (key, inline, aud, audience) in [
        (&rsa, false, token_endpoint.clone(), "token_endpoint"),
        (&p256, false, issuer.clone(), "issuer"),
        (&rsa, true, json!([issuer]), "issuer"),
        (&p256, true, json!([token_endpoint]), "token_endpoint"),
    ] {
        documents.publish(KEYS, &key_set(&[key]));
        let mut changes = vec![("token_endpoint_auth_signing_alg", json!(key.algorithm()))];
        if inline {
            changes.extend([("jwks", key_set(&[key])), ("jwks_uri", Value::Null)]);
        }
        // An hour later, so that the document and the keys are fetched again.
        test_system.advance(HOUR);
        let connector = assistant(&test_system, &documents, &document(&documents, &changes)).await;
        let assertion = || key.assertion_with(&connector, &[("aud", aud.clone())]);
        let ask = connector.authorization_request(SCOPE);
        let code = ana.code(&ask, "acme").await;

        let tokens = connector.exchange_by(&assertion(), &ask, &code).await.tokens(&test_system);
        assert_eq!(connector.tool(&tokens.access, "list_skills", json!({})).await.status, 200);
        let tokens = connector.refresh_by(&assertion(), &tokens.refresh.unwrap()).await.tokens(&test_system);
        let ended = connector.revoke_by(&assertion(), &tokens.access).await;

        assert_eq!((ended.status, ended.json()), (200, json!({})));
        assert_eq!(connector.tool(&tokens.access, "list_skills", json!({})).await.status, 401);
        let grant = claims(&tokens.access).1["grant"].clone();
        for (event, verdict, generation) in [("code_judged", "proven", None), ("refresh_judged", "current", Some(1))] {
            let told = test_system.audit(event).into_iter().find(|line| line["grant"] == grant).unwrap();
            let mut expected = json!({
                "event": event,
                "grant": grant,
                "client": connector.client_id,
                "tenant": "acme",
                "person": test_system.person_id(ANA).as_str(),
                "verdict": verdict,
                "authentication": "private_key_jwt",
                "audience": audience,
            });
            if let Some(generation) = generation {
                expected["generation"] = json!(generation);
            }
            assert_eq!(told, expected);
        }
    }
}

/// Whatever does not prove the client is refused, at the exchange, the refresh and the revocation, and spends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn assertion_that_does_not_prove_the_client_is_refused() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let (key, foreign) = (ClientKey::rsa("one"), ClientKey::rsa("one"));
    documents.publish(KEYS, &key_set(&[&key]));
    let connector = assistant(&test_system, &documents, &document(&documents, &[])).await;
    let refresh_token = connected(&connector, &key).await;
    let (ask, code) = approved(&connector).await;

    let now = test_system.now();
    let (token_endpoint, issuer) = (test_system.at("/oauth/token"), test_system.at(""));
    let changed = |name: &'static str, value: Value| key.assertion_with(&connector, &[(name, value)]);
    let claims = ClientKey::claims(&connector).to_string();
    let header = |header: Value| key.sign(&header.to_string(), &claims);
    let public = key_set(&[&key]).to_string();
    let with_hmac = {
        let message = key.sign(r#"{"alg":"HS256","kid":"one"}"#, &claims);
        let (message, _) = message.rsplit_once('.').unwrap();
        let secret = jsonwebtoken::EncodingKey::from_secret(public.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, jsonwebtoken::Algorithm::HS256);
        format!("{message}.{}", signature.unwrap())
    };
    let unsigned = header(json!({ "alg": "none" })).rsplit_once('.').unwrap().0.to_owned() + ".";
    let cases = [
        ("expired", changed("exp", json!(now))),
        ("long expired", changed("exp", json!(now - HOUR))),
        ("exp too far", changed("exp", json!(now + HOUR + 1))),
        ("no exp", changed("exp", Value::Null)),
        ("exp as text", changed("exp", json!((now + 60).to_string()))),
        ("not yet", changed("nbf", json!(now + 61))),
        ("issued ahead", changed("iat", json!(now + 61))),
        ("wrong aud", changed("aud", json!("https://other.example"))),
        ("aud of the mcp server", changed("aud", json!(test_system.mcp_url()))),
        ("aud with a slash", changed("aud", json!(format!("{issuer}/")))),
        ("aud of two", changed("aud", json!([issuer, "https://other.example"]))),
        ("aud of two of ours", changed("aud", json!([issuer, token_endpoint]))),
        ("aud of none", changed("aud", json!([]))),
        ("no aud", changed("aud", Value::Null)),
        ("another iss", changed("iss", json!("https://assistant.example/other.json"))),
        ("another sub", changed("sub", json!("https://assistant.example/other.json"))),
        ("no iss", changed("iss", Value::Null)),
        ("no jti", changed("jti", Value::Null)),
        ("an empty jti", changed("jti", json!(""))),
        ("a jti that is a number", changed("jti", json!(7))),
        ("a claim twice", {
            let twice = claims.replacen('{', "{\"aud\":\"https://other.example\",", 1);
            key.sign(r#"{"alg":"RS256","kid":"one"}"#, &twice)
        }),
        ("alg none", unsigned),
        ("HS256 with the public key", with_hmac),
        ("PS256", header(json!({ "alg": "PS256", "kid": "one" }))),
        ("no alg", header(json!({ "kid": "one" }))),
        ("an access token", header(json!({ "alg": "RS256", "kid": "one", "typ": "at+jwt" }))),
        ("crit", header(json!({ "alg": "RS256", "kid": "one", "crit": ["x"] }))),
        ("a key in the header", foreign.sign(&json!({ "alg": "RS256", "jwk": foreign.public() }).to_string(), &claims)),
        ("another key of the same name", foreign.assertion(&connector)),
        ("not JSON", key.sign("{", &claims)),
        ("two parts", claims.clone()),
        ("nonsense", "nonsense".to_owned()),
    ];
    for (why, assertion) in &cases {
        test_system.track_secret(assertion);
        is_invalid_client(&connector.exchange_by(assertion, &ask, &code).await, why);
        is_invalid_client(&connector.refresh_by(assertion, &refresh_token).await, why);
        is_invalid_client(&connector.revoke_by(assertion, &refresh_token).await, why);
    }
    for (why, proof) in [
        ("nothing", &[][..]),
        ("a secret", &[("client_secret", "made up")]),
        ("a blank assertion", &[("client_assertion_type", ASSERTION_TYPE), ("client_assertion", "")]),
        (
            "another type",
            &[
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
                ("client_assertion", "x"),
            ],
        ),
    ] {
        is_invalid_client(&connector.refresh_with(&refresh_token, proof).await, why);
        let as_changes: Vec<_> = proof.iter().map(|(name, value)| (*name, Some(*value))).collect();
        is_invalid_client(&connector.exchange_with(&ask, &code, &as_changes).await, why);
        let form = [&[("token", refresh_token.as_str()), ("client_id", &connector.client_id)], proof].concat();
        is_invalid_client(&test_system.post_form("/oauth/revoke", &form).await, why);
    }

    // Nothing of all that has spent anything.
    let tokens = connector.exchange_by(&key.assertion(&connector), &ask, &code).await.tokens(&test_system);
    assert!(tokens.refresh.is_some());
    // At the bounds, and without what may be left out.
    let token = connector.refresh_by(&changed("exp", json!(now + HOUR)), &refresh_token).await;
    let token = token.tokens(&test_system).refresh.unwrap();
    let plain =
        [("iat", Value::Null), ("nbf", json!(now + 60)), ("exp", json!(f64::from(i32::try_from(now).unwrap()) + 60.5))];
    let token = connector.refresh_by(&key.assertion_with(&connector, &plain), &token).await;
    let token = token.tokens(&test_system).refresh.unwrap();
    let unnamed = key.sign(r#"{"alg":"RS256"}"#, &ClientKey::claims(&connector).to_string());
    test_system.track_secret(&unnamed);
    assert_eq!(connector.refresh_by(&unnamed, &token).await.status, 200, "a key without a name is found");
}

/// RFC 6749 §2.3: one kind of credentials. What must not be repeated is refused, as is an assertion that does not say of what
/// type it is.
#[tokio::test(flavor = "multi_thread")]
async fn client_shows_one_kind_of_credentials() {
    let test_system = TestSystem::new().await;
    let key = ClientKey::p256("one");
    let connector = test_system.client_with_keys("acme-agent", &[&key]).await;
    let token = connected(&connector, &key).await;
    let assertion = key.assertion(&connector);
    let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", "acme-agent")];
    let basic = [("authorization", "Basic YWNtZS1hZ2VudDp4")];
    let twice = "Authenticate the client in one way only.";
    let repeated = "A parameter is repeated.";
    let missing = "client_assertion_type is missing.";
    let [kind, sent] = proof;
    for (more, headers, sentence) in [
        (vec![kind, sent, ("client_secret", "x")], &[][..], twice),
        (vec![kind, sent], &basic[..], twice),
        (vec![kind, sent, sent], &[], repeated),
        (vec![kind, kind, sent], &[], repeated),
        (vec![sent], &[], missing),
        (vec![("client_assertion_type", ""), sent], &[], missing),
    ] {
        for (path, form) in [
            ("/oauth/token", form.to_vec()),
            ("/oauth/revoke", vec![("token", token.as_str()), ("client_id", "acme-agent")]),
        ] {
            let form = [form, more.clone()].concat();
            let answer = test_system.post_form_with(path, &form, headers).await;

            assert_eq!(answer.status, 400, "{path} {more:?}");
            assert_eq!(answer.json(), json!({ "error": "invalid_request", "error_description": sentence }), "{path}");
        }
    }
    // The id may be left out: the assertion names the client (RFC 7521 §4.2).
    let answer = test_system.post_form("/oauth/token", &[&form[..2], &proof[..]].concat()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// `jti` once, whatever it is used for: the write that uses it is that which exchanges or rotates.
#[tokio::test(flavor = "multi_thread")]
async fn assertion_is_used_once() {
    let test_system = TestSystem::new().await;
    let key = ClientKey::p256("one");
    let connector = test_system.client_with_keys("acme-agent", &[&key]).await;
    let other = test_system.client_with_keys("acme-other", &[&key]).await;
    let (ask, code) = approved(&connector).await;
    let (second_ask, second_code) = approved(&connector).await;
    let jti = test_system.random();
    let assertion = key.assertion_with(&connector, &[("jti", json!(jti))]);

    let first = connector.exchange_by(&assertion, &ask, &code).await.tokens(&test_system).refresh.unwrap();
    is_invalid_client(&connector.exchange_by(&assertion, &second_ask, &second_code).await, "another code");
    is_invalid_client(&connector.refresh_by(&assertion, &first).await, "a refresh");
    let again = key.assertion_with(&connector, &[("jti", json!(jti)), ("exp", json!(test_system.now() + 600))]);
    is_invalid_client(&connector.refresh_by(&again, &first).await, "the same jti in another assertion");
    let refresh = key.assertion(&connector);
    let second = connector.refresh_by(&refresh, &first).await.tokens(&test_system).refresh.unwrap();
    is_invalid_client(&connector.refresh_by(&refresh, &second).await, "the successor");
    is_invalid_client(&connector.refresh_by(&refresh, &first).await, "the same request");

    // Nothing was spent by what was refused, and a retry that is signed anew gets the pair again.
    let retried = connector.refresh_by(&key.assertion(&connector), &first).await.tokens(&test_system);
    assert_eq!(retried.refresh.as_ref(), Some(&second));
    assert_eq!(connector.exchange_by(&key.assertion(&connector), &second_ask, &second_code).await.status, 200);
    // Of another client, the same jti is another.
    let (ask, code) = approved(&other).await;
    let of_other = key.assertion_with(&other, &[("jti", json!(jti))]);
    assert_eq!(other.exchange_by(&of_other, &ask, &code).await.status, 200);
    // A code that is shown twice has leaked, however its client proves itself.
    let replayed = connector.exchange_by(&key.assertion(&connector), &second_ask, &second_code).await;
    assert_eq!((replayed.status, &replayed.json()["error"]), (400, &json!("invalid_grant")));
}

/// At the same moment: two assertions get the same successor, and one that is sent twice gets one.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refreshes_use_an_assertion_once() {
    let test_system = TestSystem::new().await;
    let key = ClientKey::p256("one");
    let connector = test_system.client_with_keys("acme-agent", &[&key]).await;
    for _ in 0..8 {
        let token = connected(&connector, &key).await;
        let (one, other) = (key.assertion(&connector), key.assertion(&connector));
        let answers = all([&one, &other].map(|assertion| connector.refresh_by(assertion, &token))).await;
        let successors: Vec<_> = answers.iter().map(|answer| answer.tokens(&test_system).refresh.unwrap()).collect();
        assert_eq!(successors[0], successors[1]);

        let twice = key.assertion(&connector);
        let answers = all([&twice, &twice].map(|assertion| connector.refresh_by(assertion, &successors[0]))).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{answers:?}");
    }
}

/// A client replaces its key at its address: it is found at once, and what nobody knows makes us ask once a minute.
#[tokio::test(flavor = "multi_thread")]
async fn replaced_key_is_fetched_once_a_minute() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let (old, new, foreign) = (ClientKey::rsa("2026-04"), ClientKey::rsa("2026-10"), ClientKey::rsa("nobody's"));
    documents.publish(KEYS, &key_set(&[&old]));
    let connector = assistant(&test_system, &documents, &document(&documents, &[])).await;
    let mut token = connected(&connector, &old).await;
    assert_eq!(documents.request_count(KEYS), 1);
    token = connector.refresh_by(&old.assertion(&connector), &token).await.tokens(&test_system).refresh.unwrap();
    assert_eq!(documents.request_count(KEYS), 1, "kept");

    documents.publish(KEYS, &key_set(&[&new]));
    token = connector.refresh_by(&new.assertion(&connector), &token).await.tokens(&test_system).refresh.unwrap();
    assert_eq!(documents.request_count(KEYS), 2, "the new key");
    is_invalid_client(&connector.refresh_by(&old.assertion(&connector), &token).await, "the key that was replaced");
    for answer in
        all((0..5).map(|_| async { connector.refresh_by(&foreign.assertion(&connector), &token).await })).await
    {
        is_invalid_client(&answer, "nobody's key");
    }
    test_system.advance(59);
    is_invalid_client(&connector.refresh_by(&foreign.assertion(&connector), &token).await, "nobody's key");
    assert_eq!(documents.request_count(KEYS), 2, "again within a minute");
    test_system.advance(1);
    for answer in
        all((0..5).map(|_| async { connector.refresh_by(&foreign.assertion(&connector), &token).await })).await
    {
        // Whoever asks while another fetches does not know yet.
        assert!(answer.status == 401 || answer.status == 503, "{answer:?}");
    }
    assert_eq!(documents.request_count(KEYS), 3, "once a minute");
    // Not for what is refused whatever the keys are.
    test_system.advance(60);
    let for_another = foreign.assertion_with(&connector, &[("aud", json!("https://other.example"))]);
    is_invalid_client(&connector.refresh_by(&for_another, &token).await, "for another server");
    assert_eq!(documents.request_count(KEYS), 3);
    // The same name for another key: it is found within a minute too.
    let renewed = ClientKey::rsa("2026-10");
    documents.publish(KEYS, &key_set(&[&renewed]));
    assert_eq!(connector.refresh_by(&renewed.assertion(&connector), &token).await.status, 200);
}

/// A host that never answers would hold us up for everybody who can sign something. So it is asked for the client's own codes and tokens
/// alone.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_fetched_for_a_code_or_token_of_the_client_alone() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let key = ClientKey::rsa("2026-04");
    documents.publish(KEYS, &key_set(&[&key]));
    let connector = assistant(&test_system, &documents, &document(&documents, &[])).await;
    let (_, of_another) = test_system.connect(ANA, "acme", SCOPE).await;
    let (ask, code) = approved(&connector).await;

    for token in [UNKNOWN_REFRESH_TOKEN, of_another.refresh.as_ref().unwrap()] {
        let refused = connector.refresh_by(&key.assertion(&connector), token).await;
        let description = "The code or refresh token is not valid. The person has to connect again.";
        let body = json!({ "error": "invalid_grant", "error_description": description });
        assert_eq!((refused.status, refused.json()), (400, body), "{token}");
        assert_eq!(connector.revoke_by(&key.assertion(&connector), token).await.status, 200, "{token}");
    }
    let (_, code_of_another) = test_system.connector("Another").await.approve_directly(SCOPE, ANA, "acme").await;
    let refused = connector.exchange_by(&key.assertion(&connector), &ask, &code_of_another).await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(connector.revoke_by(&key.assertion(&connector), "x").await.status, 200);
    assert_eq!(documents.request_count(KEYS), 0);

    let tokens = connector.exchange_by(&key.assertion(&connector), &ask, &code).await.tokens(&test_system);
    assert_eq!(documents.request_count(KEYS), 1);
    assert_eq!(connector.refresh_by(&key.assertion(&connector), &tokens.refresh.unwrap()).await.status, 200);
}

/// A key set that cannot be fetched: what was fetched counts for a day, then 503, and never `invalid_client`.
#[tokio::test(flavor = "multi_thread")]
async fn unreachable_key_set_is_no_fault_of_the_client() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let (key, new) = (ClientKey::rsa("one"), ClientKey::rsa("two"));
    let good = http(200, &[("content-type", "application/jwk-set+json")], key_set(&[&key]).to_string().as_bytes());
    let with_private = json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] }).to_string();
    let connector = assistant(&test_system, &documents, &document(&documents, &[])).await;
    let (ask, code) = approved(&connector).await;

    // Never fetched: whatever is wrong with it.
    for behaviour in [
        Behaviour::HangUp,
        Behaviour::Respond(http(500, &[], b"")),
        Behaviour::Respond(http(302, &[("location", "/elsewhere")], b"")),
        Behaviour::Respond(http(200, &[], b"<html>")),
        Behaviour::Respond(http(200, &[], b"{}")),
        Behaviour::Respond(http(200, &[], br#"{"keys":[]}"#)),
        Behaviour::Respond(http(200, &[], br#"{"keys":[],"keys":[]}"#)),
        Behaviour::Respond(http(200, &[], with_private.as_bytes())),
        Behaviour::Respond(http(200, &[], &vec![b' '; 70_000])),
    ] {
        documents.set_behaviour(KEYS, behaviour);
        is_told_to_come_back(&connector.exchange_by(&key.assertion(&connector), &ask, &code).await);
        is_told_to_come_back(&connector.exchange_by(&key.assertion(&connector), &ask, &code).await);
        test_system.advance(5);
    }
    let asked = documents.request_count(KEYS);
    assert_eq!(asked, 9, "each once: there is a pause");
    let failed = test_system.audit("client_keys_failed");
    let failed = failed.iter().filter(|line| line["client"] == connector.client_id).collect::<Vec<_>>();
    assert_eq!(failed.len(), 9, "{failed:?}");
    assert_eq!(
        failed[0],
        &json!({
            "event": "client_keys_failed",
            "client": connector.client_id,
            "reason": "it cannot be reached",
            "instead": "nothing",
        })
    );

    // The code is good still.
    documents.set_behaviour(KEYS, Behaviour::Respond(good.clone()));
    let tokens = connector.exchange_by(&key.assertion(&connector), &ask, &code).await.tokens(&test_system);
    let mut token = tokens.refresh.unwrap();
    documents.set_behaviour(KEYS, Behaviour::HangUp);
    for hours in 1..24 {
        test_system.advance(HOUR);
        let asked = documents.request_count(KEYS);
        let answer = connector.refresh_by(&key.assertion(&connector), &token).await;
        token = answer.tokens(&test_system).refresh.unwrap();
        assert_eq!(documents.request_count(KEYS), asked + 1, "after {hours} hours");
    }
    is_told_to_come_back(&connector.refresh_by(&new.assertion(&connector), &token).await);
    test_system.advance(HOUR);
    is_told_to_come_back(&connector.refresh_by(&key.assertion(&connector), &token).await);
    documents.set_behaviour(KEYS, Behaviour::Respond(good));
    test_system.advance(5);
    assert_eq!(connector.refresh_by(&key.assertion(&connector), &token).await.status, 200);
}

/// A document's own method is required; of a list alone, any member is taken.
#[tokio::test(flavor = "multi_thread")]
async fn document_decides_how_its_client_proves_itself() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let key = ClientKey::rsa("one");
    documents.publish(KEYS, &key_set(&[&key, &ClientKey::p256("two")]));
    let (one, many) = ("token_endpoint_auth_method", "token_endpoint_auth_methods_supported");
    let (alg, both) = ("token_endpoint_auth_signing_alg", json!(["none", "private_key_jwt"]));
    for (changes, by_none, by_key) in [
        (vec![(one, json!("private_key_jwt"))], 401, 200),
        // As ChatGPT's.
        (vec![(one, json!("private_key_jwt")), (many, both.clone())], 401, 200),
        (vec![(one, json!("none")), (many, both.clone())], 200, 401),
        (vec![(one, Value::Null), (many, both.clone())], 200, 200),
        (vec![(one, Value::Null), (many, json!(["client_secret_post", "private_key_jwt"]))], 401, 200),
        (vec![(one, Value::Null), (many, json!(["none"]))], 200, 401),
        (vec![(one, Value::Null)], 200, 401),
        // Its first choice is none that a document can have here.
        (vec![(one, json!("tls_client_auth")), (many, both.clone())], 200, 200),
        // Another algorithm than it said.
        (vec![(alg, json!("ES256"))], 401, 401),
        (vec![(alg, Value::Null)], 401, 200),
    ] {
        test_system.advance(HOUR);
        let connector = assistant(&test_system, &documents, &document(&documents, &changes)).await;
        for (proof, expected) in [(None, by_none), (Some(&key), by_key)] {
            let (ask, code) = approved(&connector).await;
            let answer = match proof {
                None => connector.exchange(&ask, &code).await,
                Some(key) => connector.exchange_by(&key.assertion(&connector), &ask, &code).await,
            };
            assert_eq!(answer.status, expected, "{changes:?} {}: {answer:?}", proof.is_some());
            if expected == 401 {
                is_invalid_client(&answer, &format!("{changes:?}"));
            }
        }
    }
    for (changes, reason) in [
        (vec![(one, Value::Null), (many, json!(["client_secret_post"]))], "is neither none nor private_key_jwt"),
        (vec![(alg, json!("PS256"))], "its token_endpoint_auth_signing_alg is neither RS256 nor ES256"),
        (vec![("jwks_uri", Value::Null)], "it needs either jwks or jwks_uri for private_key_jwt"),
        (vec![("jwks", key_set(&[&key]))], "it needs either jwks or jwks_uri for private_key_jwt"),
        (vec![("jwks_uri", Value::Null), ("jwks", json!({ "keys": [] }))], "its jwks has no RSA key of 2048 bits"),
        (vec![("jwks_uri", Value::Null), ("jwks", json!([]))], "its member jwks is missing or not of the right type"),
        (
            vec![("jwks_uri", json!("http://assistant.example/keys"))],
            "its jwks_uri cannot be used: its address is not https",
        ),
        (vec![("jwks_uri", json!("https://10.0.0.1/keys"))], "its address is not on the public internet"),
    ] {
        test_system.advance(8 * 24 * HOUR);
        documents.publish(DOCUMENT, &document(&documents, &changes));
        let connector =
            Connector { redirect_uri: REDIRECT_URI.to_owned(), ..documents.connector_at(&test_system, DOCUMENT) };
        let page = test_system.person(ANA).sign_in(&connector.authorization_request(SCOPE).url).await;
        assert!(page.status == 400 && page.body.contains(reason), "{reason}: {page:?}");
    }
}

/// A grant remembers how its client proved itself, and never takes less.
#[tokio::test(flavor = "multi_thread")]
async fn grant_never_takes_less_than_its_client_proved() {
    let documents = MetadataDocumentHost::serve().await;
    let test_system = documents.start_test_system().await;
    let key = ClientKey::rsa("one");
    documents.publish(KEYS, &key_set(&[&key]));
    let either = [
        ("token_endpoint_auth_method", Value::Null),
        ("token_endpoint_auth_methods_supported", json!(["none", "private_key_jwt"])),
    ];
    let connector = assistant(&test_system, &documents, &document(&documents, &either)).await;
    let by_key = connected(&connector, &key).await;
    let (ask, code) = approved(&connector).await;
    let by_none = connector.exchange(&ask, &code).await.tokens(&test_system).refresh.unwrap();

    is_invalid_client(&connector.refresh(&by_key).await, "none after a key");
    is_invalid_client(&connector.revoke(&by_key).await, "none after a key");
    let next = connector.refresh_by(&key.assertion(&connector), &by_key).await.tokens(&test_system);
    is_invalid_client(&connector.revoke(&next.access).await, "none after a key, with the access token");
    // A token that was replaced, without the key, ends nothing.
    let last = connector.refresh_by(&key.assertion(&connector), &next.refresh.unwrap()).await.tokens(&test_system);
    test_system.advance(61);
    is_invalid_client(&connector.refresh(&by_key).await, "a replaced token without the key");
    assert_eq!(connector.tool(&last.access, "list_skills", json!({})).await.status, 200);
    // What proves nothing of the grant learns nothing of it.
    let forged = format!("{}{}", &by_key[..25], "A".repeat(by_key.len() - 25));
    assert_eq!(connector.refresh(&forged).await.json()["error"], "invalid_grant");

    // More than it proved is welcome.
    let more = connector.refresh_by(&key.assertion(&connector), &by_none).await.tokens(&test_system);
    let more = connector.refresh(&more.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(connector.revoke(&more.access).await.status, 200);

    // The document does without a key from now on. The grant does not.
    test_system.advance(HOUR);
    let public = [("token_endpoint_auth_method", json!("none"))];
    let connector = assistant(&test_system, &documents, &document(&documents, &public)).await;
    is_invalid_client(&connector.refresh(last.refresh.as_ref().unwrap()).await, "none by the new document");
    is_invalid_client(&connector.refresh_by(&key.assertion(&connector), &last.refresh.unwrap()).await, "a key no more");
}

/// What nobody has proven makes us do no more than it may, and what is proven costs no call more.
#[tokio::test(flavor = "multi_thread")]
async fn proof_by_a_key_costs_no_extra_aws_call() {
    let (documents, calls) = (MetadataDocumentHost::serve().await, RecordedCalls::default());
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(calls.wire());
        options.document_origins.push(documents.origin().to_owned());
    })
    .await;
    let spent = || {
        let made = calls.take();
        (calls.requests(), made.iter().filter(|call| call.action.starts_with("kms:")).count())
    };
    let (key, foreign) = (ClientKey::rsa("one"), ClientKey::rsa("two"));
    documents.publish(KEYS, &key_set(&[&key]));
    let connector = assistant(&test_system, &documents, &document(&documents, &[])).await;
    let (ask, code) = approved(&connector).await;
    let (second_ask, second_code) = approved(&connector).await;
    spent();

    assert_eq!(connector.exchange_by(&key.assertion(&connector), &ask, &code).await.status, 200);
    assert_eq!(spent(), (6, 1), "the first: its keys are claimed, fetched and kept");
    let answer = connector.exchange_by(&key.assertion(&connector), &second_ask, &second_code).await;
    let token = answer.tokens(&test_system).refresh.unwrap();
    assert_eq!(spent(), (4, 1), "token, code");
    assert_eq!(connector.refresh_by(&key.assertion(&connector), &token).await.status, 200);
    assert_eq!(spent(), (4, 1), "token, refresh");
    assert_eq!(connector.refresh_by(&key.assertion(&connector), &token).await.status, 200);
    assert_eq!(spent(), (4, 1), "token, refresh again");
    for _ in 0..2 {
        for requests in [3, 1, 1] {
            is_invalid_client(&connector.refresh_by(&foreign.assertion(&connector), &token).await, "nobody's key");
            assert_eq!(spent(), (requests, 0), "nobody's key, once a minute");
        }
        test_system.advance(60);
    }
    assert_eq!(connector.revoke_by(&key.assertion(&connector), &token).await.status, 200);
    assert_eq!(spent(), (2, 0), "revoke");
}
