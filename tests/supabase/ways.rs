//! Every way of signing in that needs no person, from registration to a tool's answer, against any Supabase Auth.
//!
//! `tests/run sign-in` names a real one in `SIGN_IN_PROJECT`; otherwise each test has a fake Supabase of its own.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use world::person::{Form, Person};
use world::project::{Made, Project, unix_seconds};
use world::{World, claims};

use super::{approves_and_calls, fake_supabase, is_consent, signs_in};
use crate::script::Script;

const SCOPE: &str = "tools:execute skills:read";

/// The project that the tests are run against.
async fn project() -> Project {
    #[expect(clippy::disallowed_methods, reason = "it is of whoever runs the tests")]
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = variable("SIGN_IN_PROJECT") else { return fake_supabase().await };
    let [publishable_key, secret_key] = ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"]
        .map(|name| variable(name).unwrap_or_else(|| panic!("{name} is not set")));
    Project::at(&url, &publishable_key, &secret_key)
}

/// Somebody of the project, and a system in which they own Acme.
async fn owner(project: &Project) -> (Made, World) {
    let made = project.makes(&json!({})).await;
    let world = project.world(&[made.member("owner", "acme")]).await;
    (made, world)
}

/// Tells whoever runs the tests; not captured, unlike what is printed.
fn not_tried(way: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "not tried: {way}: {reason}");
}

/// The name and the text of the session that a browser keeps, joined from its chunks.
fn kept(person: &Person<'_>) -> Option<(String, Value)> {
    let header = person.cookie_header();
    let cookies: Vec<_> = header.split("; ").filter_map(|cookie| cookie.split_once('=')).collect();
    let named = |name: &str| cookies.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let (name, _) = cookies.iter().find(|(name, _)| name.starts_with("sb-"))?;
    let name = name.split('.').next()?;
    let text = named(name).unwrap_or_else(|| (0..9).map_while(|place| named(&format!("{name}.{place}"))).collect());
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.strip_prefix("base64-")?).ok()?;
    Some((name.to_owned(), serde_json::from_slice(&bytes).ok()?))
}

/// A session as `@supabase/ssr` keeps it: base64url behind a prefix, in chunks of 3,180 characters if it is longer.
fn keeps(person: &Person<'_>, project: &Project, session: &Value) {
    const CHUNK: usize = 3180;
    let host = url::Url::parse(&project.url).unwrap().host_str().unwrap().to_owned();
    let name = format!("sb-{}-auth-token", host.split('.').next().unwrap());
    let text = format!("base64-{}", BASE64_URL_SAFE_NO_PAD.encode(session.to_string()));
    if text.len() <= CHUNK {
        return person.has_cookie(&name, &text);
    }
    for (place, chunk) in text.as_bytes().chunks(CHUNK).enumerate() {
        person.has_cookie(&format!("{name}.{place}"), std::str::from_utf8(chunk).unwrap());
    }
}

/// What a person typed is wrong, then right; and signing out ends the session there too.
#[tokio::test(flavor = "multi_thread")]
async fn by_password_and_out_again() {
    project()
        .await
        .lends_people_to(async |project| {
            let (made, world) = owner(project).await;
            let (ana, connector) = (made.person(&world), world.connector("Claude").await);
            let ask = connector.ask(SCOPE);

            let refused = signs_in(&ana, "not the password", &ask.url).await;
            assert!(refused.body.contains("do not match"), "{refused:?}");
            assert_eq!(kept(&ana), None);
            let consent = signs_in(&ana, &made.password, &ask.url).await;
            approves_and_calls(&connector, &ana, &ask, &consent).await;

            let (_, session) = kept(&ana).unwrap();
            let token = session["access_token"].as_str().unwrap();
            assert_eq!(project.get("/user", Some(token)).await.status, 200);
            let page = ana.visit("/auth/login").await;
            ana.sends(&Form::find(&page, "confirmation").unwrap()).await;
            assert_eq!(kept(&ana), None);
            let gone = project.get("/user", Some(token)).await;
            assert_eq!((gone.status, &gone.json()["code"]), (403, &json!("session_not_found")));
            // A token that was asked about is believed for a minute.
            world.advance(61);
            keeps(&ana, project, &session);
            assert!(!is_consent(&ana.visit(&connector.ask(SCOPE).url).await));
        })
        .await;
}

/// The code that a mail would have, typed where our page asks for it. Whoever was not sent one types in vain.
#[tokio::test(flavor = "multi_thread")]
async fn by_the_code_of_a_mail() {
    project()
        .await
        .lends_people_to(async |project| {
            let (made, world) = owner(project).await;
            let (ana, connector) = (made.person(&world), world.connector("Claude").await);
            let ask = connector.ask(SCOPE);
            let (code, _) = project.link(&made).await;
            let page = ana.visit(&ask.url).await;
            let form = Form::find(&page, "password").unwrap().with("email", &made.email);
            let typed =
                |code: &str| Form { action: "/auth/login/verify".to_owned(), ..form.clone().with("token", code) };

            let wrong = ana.sends(&typed(if code == "000000" { "000001" } else { "000000" })).await;
            assert!(!is_consent(&wrong) && kept(&ana).is_none(), "{wrong:?}");
            let consent = ana.sends(&typed(&code)).await;

            approves_and_calls(&connector, &ana, &ask, &consent).await;
        })
        .await;
}

/// A mail that our page has sent: its link in the same browser, and the code of another one.
#[tokio::test(flavor = "multi_thread")]
async fn by_a_mail_as_it_arrives() {
    project()
        .await
        .lends_people_to(async |project| {
            if !project.has_inbox() {
                return not_tried("a mail as it arrives, its link and its code", "nobody here can read its inbox");
            }
            let (made, world) = owner(project).await;
            let (ana, connector) = (made.person(&world), world.connector("Claude").await);
            let other = project.makes(&json!({})).await;
            for (made, way) in [(&made, "link"), (&other, "code")] {
                let (browser, ask) = (made.person(&world), connector.ask(SCOPE));
                let form = Form::find(&browser.visit(&ask.url).await, "password").unwrap().with("email", &made.email);
                let asking = Form { action: "/auth/login/code".to_owned(), ..form };
                let page = browser.sends(&asking).await;
                let mail = project.inbox(made).await.pop().unwrap();
                let consent = if way == "link" {
                    browser.visit(browser.open(mail["link"].as_str().unwrap()).await.location()).await
                } else {
                    let form = Form::find(&page, "token").unwrap().with("token", mail["code"].as_str().unwrap());
                    browser.sends(&form).await
                };
                assert!(is_consent(&consent), "{way}: {consent:?}");
                if way == "link" {
                    approves_and_calls(&connector, &browser, &ask, &consent).await;
                }
            }
            assert!(kept(&ana).is_none());
        })
        .await;
}

/// The link of a mail by the template that we recommend. To open it spends nothing, elsewhere it is no use; its button signs in.
#[tokio::test(flavor = "multi_thread")]
async fn by_the_link_of_a_mail() {
    project()
        .await
        .lends_people_to(async |project| {
            if !project.is_on_this_machine() {
                let reason = "asking for one would have a mail sent to an address that nobody reads";
                return not_tried("the link of a mail", reason);
            }
            let (made, world) = owner(project).await;
            let (ana, connector) = (made.person(&world), world.connector("Claude").await);
            let ask = connector.ask(SCOPE);
            let form = Form::find(&ana.visit(&ask.url).await, "password").unwrap().with("email", &made.email);
            ana.sends(&Form { action: "/auth/login/code".to_owned(), ..form }).await;
            let cookies = ana.cookie_header();
            let flow = cookies.split("; ").find_map(|cookie| cookie.split_once("mcp-login-")?.1.split('=').next());
            let (_, hash) = project.link(&made).await;
            let link = world.at(&format!("/auth/callback?flow={}&token_hash={hash}", flow.unwrap()));

            let elsewhere = made.person(&world).open(&link).await;
            assert!(Form::find(&elsewhere, "token_hash").is_none() && elsewhere.status < 500, "{elsewhere:?}");
            let page = ana.open(&link).await;
            let form = Form::find(&page, "token_hash").unwrap_or_else(|| panic!("no button: {page:?}"));
            let consent = ana.sends(&form).await;

            approves_and_calls(&connector, &ana, &ask, &consent).await;
        })
        .await;
}

/// A person with a factor is signed in when both have been shown; a wrong code shows none.
#[tokio::test(flavor = "multi_thread")]
async fn with_an_authenticator() {
    project()
        .await
        .lends_people_to(async |project| {
            let (made, world) = owner(project).await;
            let (mia, connector) = (made.person(&world), world.connector("Claude").await);
            let ask = connector.ask(SCOPE);
            let key = project.enrolls(&made).await;

            let page = signs_in(&mia, &made.password, &ask.url).await;
            let form = Form::find(&page, "code").unwrap_or_else(|| panic!("no second step: {page:?}"));
            let shown = key.code(unix_seconds());
            let wrong = if shown == "000000" { "000001" } else { "000000" };
            let refused = mia.sends(&form.clone().with("code", wrong)).await;
            assert!(!is_consent(&refused) && Form::find(&refused, "code").is_some(), "{refused:?}");
            let consent = mia.sends(&form.with("code", &key.code(unix_seconds()))).await;

            let (_, session) = kept(&mia).unwrap();
            let (_, claims) = claims(session["access_token"].as_str().unwrap());
            assert_eq!(claims["aal"], "aal2");
            approves_and_calls(&connector, &mia, &ask, &consent).await;
        })
        .await;
}

/// Who has signed in at the product is signed in here, by the cookies of `@supabase/ssr`, in one piece or in several.
#[tokio::test(flavor = "multi_thread")]
async fn by_the_cookies_of_the_product() {
    project()
        .await
        .lends_people_to(async |project| {
            let (made, world) = owner(project).await;
            let long = project.makes(&json!({ "user_metadata": { "about": "x".repeat(600) } })).await;
            world.system().directory().put_member(&acme(), &person_id(&long), "member").await.unwrap();
            let connector = world.connector("Claude").await;
            for made in [made, long] {
                let (ana, ask) = (made.person(&world), connector.ask(SCOPE));
                keeps(&ana, project, &project.session(&made).await);
                let consent = ana.visit(&ask.url).await;
                approves_and_calls(&connector, &ana, &ask, &consent).await;
            }
        })
        .await;
}

/// An hour later the session goes on by its refresh token.
#[tokio::test(flavor = "multi_thread")]
async fn by_a_session_whose_token_has_run_out() {
    project()
        .await
        .lends_people_to(async |project| {
            let (made, world) = owner(project).await;
            let (ana, connector) = (made.person(&world), world.connector("Claude").await);
            assert!(is_consent(&signs_in(&ana, &made.password, &connector.ask(SCOPE).url).await));
            let (_, session) = kept(&ana).unwrap();
            let token = session["access_token"].as_str().unwrap();
            let (header, before) = claims(token);
            if header["alg"] == "HS256" {
                return not_tried("a session whose token has run out", "the project signs with a shared secret");
            }
            // The project's time goes on by itself, and only ours can be turned: to when that token has run out, and the next one,
            // which is two seconds younger, has not.
            tokio::time::sleep(Duration::from_secs(2)).await;
            world.advance(before["exp"].as_i64().unwrap() - world.now());

            let ask = connector.ask(SCOPE);
            let consent = ana.visit(&ask.url).await;

            approves_and_calls(&connector, &ana, &ask, &consent).await;
            let (_, next) = kept(&ana).unwrap();
            let (_, after) = claims(next["access_token"].as_str().unwrap());
            assert_eq!(after["session_id"], before["session_id"]);
            assert_ne!((&next["refresh_token"], &after["exp"]), (&session["refresh_token"], &before["exp"]));
        })
        .await;
}

/// Who is banned is not signed in, by whatever they have.
#[tokio::test(flavor = "multi_thread")]
async fn banned_in_no_way() {
    project()
        .await
        .lends_people_to(async |project| {
            let (made, world) = owner(project).await;
            let (ana, connector) = (made.person(&world), world.connector("Claude").await);
            let session = project.session(&made).await;
            let (code, _) = project.link(&made).await;
            project.changes(&made, json!({ "ban_duration": "24h" })).await;

            let by_password = signs_in(&ana, &made.password, &connector.ask(SCOPE).url).await;
            assert!(by_password.status < 500 && !is_consent(&by_password), "{by_password:?}");
            let page = ana.visit(&connector.ask(SCOPE).url).await;
            let form = Form::find(&page, "password").unwrap().with("email", &made.email).with("token", &code);
            let by_code = ana.sends(&Form { action: "/auth/login/verify".to_owned(), ..form }).await;
            assert!(by_code.status < 500 && !is_consent(&by_code), "{by_code:?}");
            assert_eq!(kept(&ana), None);
            keeps(&ana, project, &session);
            let by_session = ana.visit(&connector.ask(SCOPE).url).await;
            assert!(by_session.status < 500 && !is_consent(&by_session), "{by_session:?}");

            project.changes(&made, json!({ "ban_duration": "none" })).await;
            let ask = connector.ask(SCOPE);
            let free = made.person(&world);
            let consent = signs_in(&free, &made.password, &ask.url).await;
            approves_and_calls(&connector, &free, &ask, &consent).await;
        })
        .await;
}

/// Supabase's own client and ours share one session, each reading the cookies of the other.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn by_the_client_of_supabase_itself() {
    project()
        .await
        .lends_people_to(async |project| {
            let (made, world) = owner(project).await;
            let (ana, connector) = (made.person(&world), world.connector("Claude").await);
            let arguments = [&project.url, &project.publishable_key, &made.email, &made.password];
            let arguments = arguments.map(String::as_str);
            let mut product = Script::start("node", "tests/clients/supabase-js/session.mjs", &arguments);

            for (name, value) in product.hears().await["cookies"].as_object().unwrap() {
                ana.has_cookie(name, value.as_str().unwrap());
            }
            let ask = connector.ask(SCOPE);
            let consent = ana.visit(&ask.url).await;
            approves_and_calls(&connector, &ana, &ask, &consent).await;

            let other = made.person(&world);
            signs_in(&other, &made.password, "/auth/login").await;
            let header = other.cookie_header();
            let cookies: serde_json::Map<_, _> = header
                .split("; ")
                .filter_map(|cookie| cookie.split_once('='))
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            product.tells(&json!({ "cookies": cookies })).await;
            assert_eq!(product.hears().await, json!({ "event": "knows", "email": made.email }));
            product.ends().await;
        })
        .await;
}

fn acme() -> shared::oauth::tenant::TenantId {
    shared::oauth::tenant::TenantId::parse("acme").unwrap()
}

fn person_id(made: &Made) -> shared::oauth::tenant::PersonId {
    shared::oauth::tenant::PersonId::parse(&made.id).unwrap()
}
