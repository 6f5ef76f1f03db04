//! A system that a tunnel shows on the internet (`cargo run -- --public-url`) is a deployment for clients there, and what is well
//! known on one machine opens nothing of it.

use local::front::Front;
use local::public_url::PublicUrl;
use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};
use test_system::tunnel;

const ORIGIN: &str = "https://amble.tunnel.example";
const ANA: &str = "ana@example.com";

async fn behind_a_tunnel() -> TestSystem {
    TestSystem::with(|options| options.front = Front::Tunnel(PublicUrl::parse(ORIGIN).unwrap())).await
}

/// Everything that a client and a browser are told is of the public address; the whole way works there.
#[tokio::test(flavor = "multi_thread")]
async fn hosted_client_connects_through_a_tunnel() {
    let test_system = behind_a_tunnel().await;
    assert_eq!(test_system.mcp_url(), format!("{ORIGIN}/api/mcp/server"));

    let challenged = test_system.call(None, "tools/list", json!({})).await;
    assert_eq!(challenged.status, 401);
    let document = format!("{ORIGIN}/.well-known/oauth-protected-resource/api/mcp/server");
    assert_eq!(
        challenged.header("www-authenticate").unwrap(),
        format!("Bearer resource_metadata=\"{document}\", scope=\"tools:execute skills:read views:read\"")
    );
    let resource = test_system.get(&document).await.json();
    assert_eq!(resource["resource"], test_system.mcp_url());
    assert_eq!(resource["authorization_servers"], json!([ORIGIN]));
    let server = test_system.get("/.well-known/oauth-authorization-server").await.json();
    let endpoints = server.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint"));
    let elsewhere: Vec<_> = endpoints.filter(|(_, url)| !url.as_str().unwrap().starts_with(ORIGIN)).collect();
    assert_eq!((&server["issuer"], elsewhere), (&json!(ORIGIN), Vec::new()));

    let connector = test_system.connector("Claude").await;
    let ana = test_system.person(ANA);
    let ask = connector.authorization_request("tools:execute skills:read views:read");
    let landed = ana.approve(&ask, "acme").await;
    assert_eq!((landed.status, landed.redirect_parameters()["iss"].as_str()), (303, ORIGIN), "{landed:?}");
    let cookies = ana.cookie_header();
    assert!(cookies.split("; ").all(|cookie| cookie.starts_with("__Host-")), "{cookies}");

    let tokens = connector.exchange(&ask, &landed.redirect_parameters()["code"]).await.tokens(&test_system);
    let (_, claims) = test_system::claims(&tokens.access);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ORIGIN), &json!(test_system.mcp_url())));
    let answered = connector.tool(&tokens.access, "roll_dice", json!({ "dice": 2 })).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_ne!(answered.json()["result"]["isError"], true, "{answered:?}");

    test_system.advance(3600);
    let fresh = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(connector.call(&fresh.access, "tools/list", json!({})).await.status, 200);
    assert_eq!(connector.revoke(&fresh.refresh.unwrap()).await.status, 200);
    assert_eq!(connector.call(&fresh.access, "tools/list", json!({})).await.status, 401);
}

/// Each cookie is for this host alone, and never sent in the clear.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_a_public_system_are_secure() {
    let test_system = behind_a_tunnel().await;
    let page = test_system.get("/auth/login").await;
    let cookies: Vec<_> = page.headers("set-cookie").collect();
    assert!(!cookies.is_empty(), "{page:?}");
    for cookie in cookies {
        assert!(cookie.starts_with("__Host-") && cookie.ends_with("; Secure"), "{cookie}");
    }
}

/// The documents tell `ana-demo` to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn well_known_passwords_do_not_open_a_public_system() {
    let test_system = behind_a_tunnel().await;
    for person in &test_system.system().demo().unwrap().people {
        let name = person.email.split('@').next().unwrap();
        assert!(person.password.len() >= 16 && person.password != format!("{name}-demo"), "{}", person.email);
        let guess = Person::new(&test_system, &person.email, &format!("{name}-demo"));
        let form = Form::find(&guess.open("/auth/login").await, "password").unwrap();
        let form = form.with("email", &person.email).with("password", &format!("{name}-demo"));
        let refused = guess.submit_and_follow(&form).await;
        assert!(!refused.body.contains("You are signed in"), "{refused:?}");
    }
    assert!(test_system.person(ANA).sign_in("/auth/login").await.body.contains("You are signed in"));

    // No two systems have the same.
    let other = behind_a_tunnel().await;
    let password = |system: &TestSystem| system.system().demo().unwrap().people[0].password.clone();
    assert_ne!(password(&test_system), password(&other));
}

/// So does the source tell what deliveries are signed with, which make anybody an owner.
#[tokio::test(flavor = "multi_thread")]
async fn well_known_feed_secret_does_not_open_a_public_system() {
    let test_system = behind_a_tunnel().await;
    let change = test_system.membership_change("nora@example.com", "acme", None, Some("owner"), 1).to_string();

    let forged = test_system.deliver_webhook(&change, |headers| headers).await;
    let secret = test_system.system().membership_secret().to_owned();
    let signed = test_system
        .deliver_webhook(&change, |_| {
            test_system::product_feed::webhook_headers("change_1", test_system.now(), &change, &secret)
        })
        .await;

    assert_eq!((forged.status, signed.status), (403, 204), "{forged:?} {signed:?}");
}

/// All come from the tunnel: whom the tunnel names is limited, whatever they say of themselves, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn client_address_is_whom_the_tunnel_names() {
    let test_system = behind_a_tunnel().await;
    let eve = test_system.person(ANA);
    let form = Form::find(&eve.open("/auth/login").await, "password").unwrap();
    let form = form.with("email", ANA).with("password", "guessed");
    let asked = || test_system.supabase().request_count("/auth/v1/token");
    for hop in 0..15 {
        let said = if hop % 2 == 0 { format!("192.0.2.{hop}") } else { format!("\u{fc}{hop}") };
        eve.submit_with(&form, &[("sec-fetch-site", "same-origin"), ("x-forwarded-for", &said)]).await;
    }
    assert_eq!(asked(), 10);

    // By another tunnel, or the same from elsewhere.
    let local = format!("{}/auth/login/password", test_system.system().local_origin());
    let headers = [("sec-fetch-site", "same-origin"), ("x-forwarded-for", "198.51.100.8")];
    let request = test_system.http().post(local).header("cookie", eve.cookie_header());
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = test_system.send(request.body(test_system::person::encoded(&form.fields))).await;
    assert_eq!((answer.status, asked()), (303, 11), "{answer:?}");
    assert_ne!(tunnel::CLIENT, "198.51.100.8");
}

/// A tunnel may name this machine in `Host` in place of itself. What it names besides is not ours (DNS rebinding).
#[tokio::test(flavor = "multi_thread")]
async fn public_system_has_its_own_hosts_alone() {
    let test_system = behind_a_tunnel().await;
    let document = format!("{}/.well-known/oauth-authorization-server", test_system.system().local_origin());
    for (host, status) in [
        ("amble.tunnel.example", 200),
        ("localhost:8787", 200),
        ("127.0.0.1", 200),
        ("tunnel.example", 403),
        ("amble.tunnel.example.evil.example", 403),
    ] {
        let answer = test_system.send(test_system.http().get(&document).header("host", host)).await;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
        if status == 200 {
            assert_eq!(answer.json()["issuer"], ORIGIN, "{host}");
        }
    }
}

/// Providers and mails lead back to the public address; the sign-in service itself stays on this machine.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_service_sends_people_back_to_the_public_address() {
    let test_system = behind_a_tunnel().await;
    assert!(test_system.system().supabase_url().starts_with("http://localhost:"));
    let ana = test_system.person(ANA);
    let page = ana.open("/auth/login").await;
    let form = Form::find(&page, "provider").unwrap_or_else(|| panic!("no provider: {page:?}"));
    let leaving = ana.submit_and_follow(&form.with("provider", "google")).await;
    let button = scraper::Selector::parse("a.button").unwrap();
    let document = scraper::Html::parse_document(&leaving.body);
    let to = document.select(&button).next().unwrap().attr("href").unwrap().to_owned();
    drop(document);

    // The provider asks who it is; the answer goes back by way of the sign-in service.
    let page = redirect(test_system.http().get(to)).await;
    let state = page.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let choice = test_system::person::encoded(&[("state", state), ("person", test_system.person_id(ANA).as_str())]);
    let choice = test_system.http().post(page.split('?').next().unwrap()).body(choice);
    let answer = redirect(choice.header("content-type", "application/x-www-form-urlencoded")).await;
    let back = redirect(test_system.http().get(answer)).await;

    assert!(back.starts_with(&format!("{ORIGIN}/auth/callback")), "{back}");
    let signed_in = ana.open_following_redirects(&back).await;
    assert!(signed_in.body.contains("You are signed in"), "{signed_in:?}");
}

/// Where an answer sends the browser.
async fn redirect(request: reqwest::RequestBuilder) -> String {
    HttpResponse::read(request.send().await.unwrap()).await.location().to_owned()
}

/// A client on the person's own machine is answered on its loopback, and nobody vouches for it there either.
#[tokio::test(flavor = "multi_thread")]
async fn loopback_clients_connect_to_a_public_system() {
    let test_system = behind_a_tunnel().await;
    let connector = test_system.connector_at("Claude Code", &["http://localhost:41234/callback"]).await;
    let ask = connector.authorization_request("tools:execute");
    let page = test_system.person(ANA).sign_in(&ask.url).await;
    assert!(page.body.contains("localhost"), "{page:?}");
    assert!(Form::find(&page, "decision").is_some(), "{page:?}");
    let origin: Value = json!("http://localhost:6274");
    let preflight = test_system.http().request(reqwest::Method::OPTIONS, test_system.mcp_url());
    let preflight = preflight.header("origin", "http://localhost:6274").header("access-control-request-method", "POST");
    let preflight = test_system.send(preflight).await;
    let allowed = preflight.header("access-control-allow-origin").map(|value| json!(value));
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert!(allowed == Some(origin) || allowed == Some(json!("*")), "{preflight:?}");
}
