//! Every way of signing in that needs no person, from registration to a tool's answer, against any Supabase Auth.
//!
//! `tests/run sign-in` names a real one in `SIGN_IN_PROJECT`; otherwise each test has a fake Supabase of its own.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use test_system::person::{Form, Person};
use test_system::supabase_project::{ProjectUser, SupabaseProject, unix_seconds};
use test_system::{TestSystem, claims};

use super::{approve_and_call, fake_supabase, is_consent, sign_in};
use crate::script::Script;

const SCOPE: &str = "tools:execute skills:read";

/// The project that the tests are run against.
async fn project() -> SupabaseProject {
    #[expect(clippy::disallowed_methods, reason = "it is of whoever runs the tests")]
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = variable("SIGN_IN_PROJECT") else { return fake_supabase().await };
    let [publishable_key, secret_key] = ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"]
        .map(|name| variable(name).unwrap_or_else(|| panic!("{name} is not set")));
    SupabaseProject::at(&url, &publishable_key, &secret_key)
}

/// Somebody of the project, and a system in which they own Acme.
async fn owner(project: &SupabaseProject) -> (ProjectUser, TestSystem) {
    let made = project.create_user(&json!({})).await;
    let test_system = project.start_test_system(&[made.member("owner", "acme")]).await;
    (made, test_system)
}

/// Tells whoever runs the tests; not captured, unlike what is printed.
fn not_tried(way: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "not tried: {way}: {reason}");
}

/// The name and the text of the session that a browser keeps, joined from its chunks.
fn stored_session(person: &Person<'_>) -> Option<(String, Value)> {
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
fn store_session_cookies(person: &Person<'_>, project: &SupabaseProject, session: &Value) {
    const CHUNK: usize = 3180;
    let host = url::Url::parse(&project.url).unwrap().host_str().unwrap().to_owned();
    let name = format!("sb-{}-auth-token", host.split('.').next().unwrap());
    let text = format!("base64-{}", BASE64_URL_SAFE_NO_PAD.encode(session.to_string()));
    if text.len() <= CHUNK {
        return person.set_cookie(&name, &text);
    }
    for (place, chunk) in text.as_bytes().chunks(CHUNK).enumerate() {
        person.set_cookie(&format!("{name}.{place}"), std::str::from_utf8(chunk).unwrap());
    }
}

/// What a person typed is wrong, then right; and signing out ends the session there too.
#[tokio::test(flavor = "multi_thread")]
async fn password_signs_in_and_sign_out_ends_the_session() {
    project()
        .await
        .run_with_cleanup(async |project| {
            let (made, test_system) = owner(project).await;
            let (ana, connector) = (made.person(&test_system), test_system.connector("Claude").await);
            let ask = connector.authorization_request(SCOPE);

            let refused = sign_in(&ana, "not the password", &ask.url).await;
            assert!(refused.body.contains("do not match"), "{refused:?}");
            assert_eq!(stored_session(&ana), None);
            let consent = sign_in(&ana, &made.password, &ask.url).await;
            approve_and_call(&connector, &ana, &ask, &consent).await;

            let (_, session) = stored_session(&ana).unwrap();
            let token = session["access_token"].as_str().unwrap();
            assert_eq!(project.get("/user", Some(token)).await.status, 200);
            let page = ana.open_following_redirects("/auth/login").await;
            ana.submit_and_follow(&Form::find(&page, "confirmation").unwrap()).await;
            assert_eq!(stored_session(&ana), None);
            let gone = project.get("/user", Some(token)).await;
            assert_eq!((gone.status, &gone.json()["code"]), (403, &json!("session_not_found")));
            // A token that was asked about is believed for a minute.
            test_system.advance(61);
            store_session_cookies(&ana, project, &session);
            assert!(!is_consent(&ana.open_following_redirects(&connector.authorization_request(SCOPE).url).await));
        })
        .await;
}

/// The code that a mail would have, typed where our page asks for it. Whoever was not sent one types in vain.
#[tokio::test(flavor = "multi_thread")]
async fn mail_code_signs_in() {
    project()
        .await
        .run_with_cleanup(async |project| {
            let (made, test_system) = owner(project).await;
            let (ana, connector) = (made.person(&test_system), test_system.connector("Claude").await);
            let ask = connector.authorization_request(SCOPE);
            let (code, _) = project.generate_link(&made).await;
            let page = ana.open_following_redirects(&ask.url).await;
            let form = Form::find(&page, "password").unwrap().with("email", &made.email);
            let typed =
                |code: &str| Form { action: "/auth/login/verify".to_owned(), ..form.clone().with("token", code) };

            let wrong = ana.submit_and_follow(&typed(if code == "000000" { "000001" } else { "000000" })).await;
            assert!(!is_consent(&wrong) && stored_session(&ana).is_none(), "{wrong:?}");
            let consent = ana.submit_and_follow(&typed(&code)).await;

            approve_and_call(&connector, &ana, &ask, &consent).await;
        })
        .await;
}

/// A mail that our page has sent: its link in the same browser, and the code of another one.
#[tokio::test(flavor = "multi_thread")]
async fn received_mail_signs_in() {
    project()
        .await
        .run_with_cleanup(async |project| {
            if !project.has_inbox() {
                return not_tried("a mail as it arrives, its link and its code", "nobody here can read its inbox");
            }
            let (made, test_system) = owner(project).await;
            let (ana, connector) = (made.person(&test_system), test_system.connector("Claude").await);
            let other = project.create_user(&json!({})).await;
            for (made, way) in [(&made, "link"), (&other, "code")] {
                let (browser, ask) = (made.person(&test_system), connector.authorization_request(SCOPE));
                let form = Form::find(&browser.open_following_redirects(&ask.url).await, "password")
                    .unwrap()
                    .with("email", &made.email);
                let asking = Form { action: "/auth/login/code".to_owned(), ..form };
                let page = browser.submit_and_follow(&asking).await;
                let mail = project.inbox(made).await.pop().unwrap();
                let consent = if way == "link" {
                    browser
                        .open_following_redirects(browser.open(mail["link"].as_str().unwrap()).await.location())
                        .await
                } else {
                    let form = Form::find(&page, "token").unwrap().with("token", mail["code"].as_str().unwrap());
                    browser.submit_and_follow(&form).await
                };
                assert!(is_consent(&consent), "{way}: {consent:?}");
                if way == "link" {
                    approve_and_call(&connector, &browser, &ask, &consent).await;
                }
            }
            assert!(stored_session(&ana).is_none());
        })
        .await;
}

/// The link of a mail by the template that we recommend. To open it spends nothing, elsewhere it is no use; its button signs in.
#[tokio::test(flavor = "multi_thread")]
async fn mail_link_signs_in() {
    project()
        .await
        .run_with_cleanup(async |project| {
            if !project.is_on_this_machine() {
                let reason = "asking for one would have a mail sent to an address that nobody reads";
                return not_tried("the link of a mail", reason);
            }
            let (made, test_system) = owner(project).await;
            let (ana, connector) = (made.person(&test_system), test_system.connector("Claude").await);
            let ask = connector.authorization_request(SCOPE);
            let form = Form::find(&ana.open_following_redirects(&ask.url).await, "password")
                .unwrap()
                .with("email", &made.email);
            ana.submit_and_follow(&Form { action: "/auth/login/code".to_owned(), ..form }).await;
            let cookies = ana.cookie_header();
            let flow = cookies.split("; ").find_map(|cookie| cookie.split_once("mcp-login-")?.1.split('=').next());
            let (_, hash) = project.generate_link(&made).await;
            let link = test_system.at(&format!("/auth/callback?flow={}&token_hash={hash}", flow.unwrap()));

            let elsewhere = made.person(&test_system).open(&link).await;
            assert!(Form::find(&elsewhere, "token_hash").is_none() && elsewhere.status < 500, "{elsewhere:?}");
            let page = ana.open(&link).await;
            let form = Form::find(&page, "token_hash").unwrap_or_else(|| panic!("no button: {page:?}"));
            let consent = ana.submit_and_follow(&form).await;

            approve_and_call(&connector, &ana, &ask, &consent).await;
        })
        .await;
}

/// A person with a factor is signed in when both have been shown; a wrong code shows none.
#[tokio::test(flavor = "multi_thread")]
async fn totp_is_required_to_sign_in() {
    project()
        .await
        .run_with_cleanup(async |project| {
            let (made, test_system) = owner(project).await;
            let (mia, connector) = (made.person(&test_system), test_system.connector("Claude").await);
            let ask = connector.authorization_request(SCOPE);
            let key = project.enroll_totp(&made).await;

            let page = sign_in(&mia, &made.password, &ask.url).await;
            let form = Form::find(&page, "code").unwrap_or_else(|| panic!("no second step: {page:?}"));
            let shown = key.code(unix_seconds());
            let wrong = if shown == "000000" { "000001" } else { "000000" };
            let refused = mia.submit_and_follow(&form.clone().with("code", wrong)).await;
            assert!(!is_consent(&refused) && Form::find(&refused, "code").is_some(), "{refused:?}");
            let consent = mia.submit_and_follow(&form.with("code", &key.code(unix_seconds()))).await;

            let (_, session) = stored_session(&mia).unwrap();
            let (_, claims) = claims(session["access_token"].as_str().unwrap());
            assert_eq!(claims["aal"], "aal2");
            approve_and_call(&connector, &mia, &ask, &consent).await;
        })
        .await;
}

/// Who has signed in at the product is signed in here, by the cookies of `@supabase/ssr`, in one piece or in several.
#[tokio::test(flavor = "multi_thread")]
async fn product_cookies_sign_in() {
    project()
        .await
        .run_with_cleanup(async |project| {
            let (made, test_system) = owner(project).await;
            let long = project.create_user(&json!({ "user_metadata": { "about": "x".repeat(600) } })).await;
            test_system.system().directory().put_member(&acme(), &person_id(&long), "member").await.unwrap();
            let connector = test_system.connector("Claude").await;
            for made in [made, long] {
                let (ana, ask) = (made.person(&test_system), connector.authorization_request(SCOPE));
                store_session_cookies(&ana, project, &project.session(&made).await);
                let consent = ana.open_following_redirects(&ask.url).await;
                approve_and_call(&connector, &ana, &ask, &consent).await;
            }
        })
        .await;
}

/// An hour later the session goes on by its refresh token.
#[tokio::test(flavor = "multi_thread")]
async fn expired_session_is_refreshed() {
    project()
        .await
        .run_with_cleanup(async |project| {
            let (made, test_system) = owner(project).await;
            let (ana, connector) = (made.person(&test_system), test_system.connector("Claude").await);
            assert!(is_consent(&sign_in(&ana, &made.password, &connector.authorization_request(SCOPE).url).await));
            let (_, session) = stored_session(&ana).unwrap();
            let token = session["access_token"].as_str().unwrap();
            let (header, before) = claims(token);
            if header["alg"] == "HS256" {
                return not_tried("a session whose token has run out", "the project signs with a shared secret");
            }
            // The project's time goes on by itself, and only ours can be turned: to when that token has run out, and the next one,
            // which is two seconds younger, has not.
            tokio::time::sleep(Duration::from_secs(2)).await;
            test_system.advance(before["exp"].as_i64().unwrap() - test_system.now());

            let ask = connector.authorization_request(SCOPE);
            let consent = ana.open_following_redirects(&ask.url).await;

            approve_and_call(&connector, &ana, &ask, &consent).await;
            let (_, next) = stored_session(&ana).unwrap();
            let (_, after) = claims(next["access_token"].as_str().unwrap());
            assert_eq!(after["session_id"], before["session_id"]);
            assert_ne!((&next["refresh_token"], &after["exp"]), (&session["refresh_token"], &before["exp"]));
        })
        .await;
}

/// Who is banned is not signed in, by whatever they have.
#[tokio::test(flavor = "multi_thread")]
async fn banned_user_cannot_sign_in() {
    project()
        .await
        .run_with_cleanup(async |project| {
            let (made, test_system) = owner(project).await;
            let (ana, connector) = (made.person(&test_system), test_system.connector("Claude").await);
            let session = project.session(&made).await;
            let (code, _) = project.generate_link(&made).await;
            project.update_user(&made, json!({ "ban_duration": "24h" })).await;

            let by_password = sign_in(&ana, &made.password, &connector.authorization_request(SCOPE).url).await;
            assert!(by_password.status < 500 && !is_consent(&by_password), "{by_password:?}");
            let page = ana.open_following_redirects(&connector.authorization_request(SCOPE).url).await;
            let form = Form::find(&page, "password").unwrap().with("email", &made.email).with("token", &code);
            let by_code = ana.submit_and_follow(&Form { action: "/auth/login/verify".to_owned(), ..form }).await;
            assert!(by_code.status < 500 && !is_consent(&by_code), "{by_code:?}");
            assert_eq!(stored_session(&ana), None);
            store_session_cookies(&ana, project, &session);
            let by_session = ana.open_following_redirects(&connector.authorization_request(SCOPE).url).await;
            assert!(by_session.status < 500 && !is_consent(&by_session), "{by_session:?}");

            project.update_user(&made, json!({ "ban_duration": "none" })).await;
            let ask = connector.authorization_request(SCOPE);
            let free = made.person(&test_system);
            let consent = sign_in(&free, &made.password, &ask.url).await;
            approve_and_call(&connector, &free, &ask, &consent).await;
        })
        .await;
}

/// Supabase's own client and ours share one session, each reading the cookies of the other.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs packages of npm, which tests/run installs"]
async fn supabase_js_shares_the_session() {
    project()
        .await
        .run_with_cleanup(async |project| {
            let (made, test_system) = owner(project).await;
            let (ana, connector) = (made.person(&test_system), test_system.connector("Claude").await);
            let arguments = [&project.url, &project.publishable_key, &made.email, &made.password];
            let arguments = arguments.map(String::as_str);
            let mut product = Script::start("node", "tests/clients/supabase-js/session.mjs", &arguments);

            for (name, value) in product.receive().await["cookies"].as_object().unwrap() {
                ana.set_cookie(name, value.as_str().unwrap());
            }
            let ask = connector.authorization_request(SCOPE);
            let consent = ana.open_following_redirects(&ask.url).await;
            approve_and_call(&connector, &ana, &ask, &consent).await;

            let other = made.person(&test_system);
            sign_in(&other, &made.password, "/auth/login").await;
            let header = other.cookie_header();
            let cookies: serde_json::Map<_, _> = header
                .split("; ")
                .filter_map(|cookie| cookie.split_once('='))
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .collect();
            product.send(&json!({ "cookies": cookies })).await;
            assert_eq!(product.receive().await, json!({ "event": "knows", "email": made.email }));
            product.finish().await;
        })
        .await;
}

fn acme() -> shared::oauth::tenant::TenantId {
    shared::oauth::tenant::TenantId::parse("acme").unwrap()
}

fn person_id(made: &ProjectUser) -> shared::oauth::tenant::PersonId {
    shared::oauth::tenant::PersonId::parse(&made.id).unwrap()
}
