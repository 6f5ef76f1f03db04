//! A person in a real browser, from signing in to going back to the client.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use world::connector::Ask;
use world::{CALLBACK, World, claims};

use crate::script::{Script, at};

const WITHOUT_JAVASCRIPT: &str = "--without-javascript";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and a package of npm, which tests/run installs"]
async fn the_token_carries_what_was_left_and_the_role_allows() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let world = World::new().await;
        let connector = world.connector("Claude").await;
        let ask = connector.ask("tools:execute skills:read views:read entities:write offline_access");
        let mut browser = Browser::start(&world, arguments);

        browser.open(&ask.url).await;
        browser.signs_in("ana").await;
        browser.reaches("Claude wants to").await;
        // Ana is the owner of Acme and a viewer in Globex.
        browser.act(json!({ "act": "choose", "label": "Globex" })).await;
        browser.act(json!({ "act": "untick", "label": "Read views" })).await;
        browser.press("Approve").await;
        let tokens = connector.exchange(&ask, &browser.code(&ask).await).await.tokens(&world);

        assert_eq!(tokens.scope, "skills:read entities:read offline_access");
        let (_, claims) = claims(&tokens.access);
        assert_eq!(claims["tenant"], "globex");
        assert_eq!(claims["scope"], "skills:read entities:read");
        browser.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and a package of npm, which tests/run installs"]
async fn a_code_from_a_mail_signs_in() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let world = World::new().await;
        let connector = world.connector("Claude").await;
        let ask = connector.ask("skills:read");
        let mut browser = Browser::start(&world, arguments);

        browser.open(&ask.url).await;
        browser.reaches("Sign in to").await;
        browser.fill("E-mail address", "ben@example.com").await;
        browser.press("E-mail me a code").await;
        browser.reaches("Check your e-mail").await;
        let inbox = format!("{}/inbox/ben@example.com", world.system().supabase_url());
        let mail = browser.act(json!({ "act": "peek", "url": inbox })).await;
        let code =
            mail["text"].as_str().unwrap().lines().find(|line| is_code(line)).expect("a mail with a code").to_owned();
        browser.fill("Code", "000000").await;
        browser.press("Continue").await;
        assert!(browser.reaches("Check your e-mail").await.contains("code"), "a wrong code is said to be wrong");
        browser.fill("Code", &code).await;
        browser.press("Continue").await;
        assert!(browser.reaches("Claude wants to").await.contains("ben@example.com"));
        browser.press("Approve").await;

        let tokens = connector.exchange(&ask, &browser.code(&ask).await).await.tokens(&world);
        assert_eq!(tokens.scope, "skills:read offline_access");
        browser.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and a package of npm, which tests/run installs"]
async fn a_social_provider_signs_in() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let world = World::new().await;
        let connector = world.connector("Claude").await;
        let ask = connector.ask("skills:read");
        let mut browser = Browser::start(&world, arguments);

        browser.open(&ask.url).await;
        browser.reaches("Sign in to").await;
        browser.press("Continue with GitHub").await;
        browser.reaches("Sign in with GitHub").await;
        browser.press("Vera vera@example.com").await;
        assert!(browser.reaches("Claude wants to").await.contains("vera@example.com"));
        browser.press("Deny").await;

        let denied = browser.lands(&ask).await;
        assert_eq!(denied["error"], "access_denied");
        assert!(!denied.contains_key("code"));
        browser.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and a package of npm, which tests/run installs"]
async fn pages_fit_phones_and_desks_light_and_dark() {
    let world = World::new().await;
    let connector = world.connector("Claude").await;
    let everything = connector.ask(
        "tools:execute skills:read views:read entities:read entities:write documents:read documents:write chat:create \
         offline_access",
    );
    let mut browser = Browser::start(&world, &[]);

    browser.open(&everything.url).await;
    browser.reaches("Sign in to").await;
    browser.pictures("sign-in").await;
    browser.fill("E-mail address", "ana@example.com").await;
    browser.fill("Password", "not hers").await;
    browser.press("Sign in").await;
    browser.reaches("Sign in to").await;
    browser.pictures("sign-in-refused").await;
    browser.fill("E-mail address", "ana@example.com").await;
    browser.press("E-mail me a code").await;
    browser.reaches("Check your e-mail").await;
    browser.pictures("code").await;

    browser.open(&everything.url).await;
    browser.signs_in("ana").await;
    browser.reaches("Claude wants to").await;
    browser.pictures("consent").await;
    let local = world.connector_at("Claude Code", &["http://localhost:49163/callback"]).await;
    browser.open(&local.ask("tools:execute skills:read views:read offline_access").url).await;
    assert!(browser.reaches("Claude Code wants to").await.contains("on your own computer"));
    browser.pictures("consent-loopback").await;

    browser.open(&connector.ask_with(&[("client_id", Some("unknown"))]).url).await;
    browser.reaches("This application is not known here").await;
    browser.pictures("error").await;
    browser.open(&world.at("/auth/login")).await;
    browser.reaches("You are signed in").await;
    browser.pictures("signed-in").await;
    browser.ends().await;

    let mut browser = Browser::start(&world, &[]);
    browser.open(&everything.url).await;
    browser.signs_in("nora").await;
    assert!(browser.reaches("Claude wants to").await.contains("not in any workspace"));
    browser.pictures("no-tenant").await;
    browser.press("Go back").await;
    assert_eq!(browser.lands(&everything).await["error"], "access_denied");
    browser.ends().await;
}

/// A browser in one person's hands.
struct Browser<'w> {
    world: &'w World,
    script: Script,
}

impl<'w> Browser<'w> {
    fn start(world: &'w World, arguments: &[&str]) -> Self {
        Self { world, script: Script::start("node", "tests/clients/browser/browser.mjs", arguments) }
    }

    async fn act(&mut self, act: Value) -> Value {
        self.script.tells(&act).await;
        let done = self.script.hears().await;
        assert!(done.get("failed").is_none(), "{act}: {}", done["failed"].as_str().unwrap_or_default());
        done
    }

    async fn open(&mut self, url: &str) {
        self.act(json!({ "act": "open", "url": url })).await;
    }

    async fn fill(&mut self, label: &str, value: &str) {
        self.act(json!({ "act": "fill", "label": label, "value": value })).await;
    }

    async fn press(&mut self, name: &str) {
        self.act(json!({ "act": "press", "name": name })).await;
    }

    /// Waits for the page of that heading; what there is to read.
    async fn reaches(&mut self, heading: &str) -> String {
        self.page(heading).await["text"].as_str().unwrap().to_owned()
    }

    /// The page of that heading, which its own content security policy must leave whole.
    async fn page(&mut self, heading: &str) -> Value {
        let page = self.act(json!({ "act": "reach", "heading": heading })).await;
        assert_eq!(page["violations"], json!([]), "{heading}");
        page
    }

    async fn signs_in(&mut self, name: &str) {
        self.reaches("Sign in to").await;
        self.fill("E-mail address", &format!("{name}@example.com")).await;
        self.fill("Password", &format!("{name}-demo")).await;
        self.press("Sign in").await;
    }

    /// The parameters that the browser brings back to the client.
    async fn lands(&mut self, ask: &Ask) -> BTreeMap<String, String> {
        let page = self.page("Elsewhere").await;
        let url = url::Url::parse(page["url"].as_str().unwrap()).unwrap();
        assert!(url.as_str().starts_with(&format!("{CALLBACK}?")), "{url}");
        let parameters: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(parameters["state"], ask.state);
        assert_eq!(parameters["iss"], self.world.issuer());
        parameters
    }

    async fn code(&mut self, ask: &Ask) -> String {
        let code = self.lands(ask).await.remove("code").expect("a code");
        self.world.remember(&code);
        code
    }

    /// Pictures for people to look at; nothing may be cut off at the side.
    async fn pictures(&mut self, name: &str) {
        let path = at("target/screenshots").join(name);
        let done = self.act(json!({ "act": "picture", "path": path })).await;
        assert_eq!(done["wider"], json!([]), "{name}");
    }

    async fn ends(self) {
        self.script.ends().await;
    }
}

fn is_code(line: &str) -> bool {
    line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit())
}
