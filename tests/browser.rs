//! A person in a real browser, from signing in to going back to the client.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::oauth::tenant::TenantId;
use shared::store::directory::Tenant;
use test_system::connector::{AuthorizationRequest, Connector};
use test_system::{CALLBACK, TestSystem, claims};

use crate::pages;
use crate::script::{Script, at};

pub(crate) const WITHOUT_JAVASCRIPT: &str = "--without-javascript";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn token_scope_is_what_was_approved_and_the_role_allows() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let test_system = TestSystem::new().await;
        let connector = test_system.connector("Claude").await;
        let ask = connector.authorization_request("tools:execute skills:read views:read entities:write offline_access");
        let mut browser = Browser::start(&test_system, arguments);

        browser.open(&ask.url).await;
        browser.sign_in("ana").await;
        browser.wait_for_page("Claude wants to").await;
        // Ana is the owner of Acme and a viewer in Globex.
        browser.act(json!({ "act": "choose", "label": "Globex" })).await;
        browser.act(json!({ "act": "untick", "label": "Read views" })).await;
        browser.press("Approve").await;
        let tokens = connector.exchange(&ask, &browser.code(&ask).await).await.tokens(&test_system);

        assert_eq!(tokens.scope, "skills:read entities:read offline_access");
        let (_, claims) = claims(&tokens.access);
        assert_eq!(claims["tenant"], "globex");
        assert_eq!(claims["scope"], "skills:read entities:read");
        browser.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn a_code_from_a_mail_signs_in() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let test_system = TestSystem::new().await;
        let connector = test_system.connector("Claude").await;
        let ask = connector.authorization_request("skills:read");
        let mut browser = Browser::start(&test_system, arguments);

        browser.open(&ask.url).await;
        browser.wait_for_page("Sign in to").await;
        browser.fill("E-mail address", "ben@example.com").await;
        browser.press("E-mail me a code").await;
        browser.wait_for_page("Check your e-mail").await;
        let inbox = format!("{}/inbox/ben@example.com", test_system.system().supabase_url());
        let mail = browser.act(json!({ "act": "peek", "url": inbox })).await;
        let code =
            mail["text"].as_str().unwrap().lines().find(|line| is_code(line)).expect("a mail with a code").to_owned();
        browser.fill("Code", "000000").await;
        browser.press("Continue").await;
        assert!(browser.wait_for_page("Check your e-mail").await.contains("code"), "a wrong code is said to be wrong");
        browser.fill("Code", &code).await;
        browser.press("Continue").await;
        assert!(browser.wait_for_page("Claude wants to").await.contains("ben@example.com"));
        browser.press("Approve").await;

        let tokens = connector.exchange(&ask, &browser.code(&ask).await).await.tokens(&test_system);
        assert_eq!(tokens.scope, "skills:read");
        browser.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn a_social_provider_signs_in() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let test_system = TestSystem::new().await;
        let connector = test_system.connector("Claude").await;
        let ask = connector.authorization_request("skills:read");
        let mut browser = Browser::start(&test_system, arguments);

        browser.open(&ask.url).await;
        browser.wait_for_page("Sign in to").await;
        browser.press("Continue with GitHub").await;
        browser.wait_for_page("Sign in with GitHub").await;
        browser.press("Vera vera@example.com").await;
        assert!(browser.wait_for_page("Claude wants to").await.contains("vera@example.com"));
        browser.press("Deny").await;

        let denied = browser.wait_for_redirect(&ask).await;
        assert_eq!(denied["error"], "access_denied");
        assert!(!denied.contains_key("code"));
        browser.finish().await;
    }
}

/// WCAG 2.2 §2.1.1, §2.4.7: all of it by keyboard, and at each step one sees where one is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn sign_in_and_consent_work_by_keyboard() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let test_system = TestSystem::new().await;
        let connector = test_system.connector("Claude").await;
        let ask = connector.authorization_request("tools:execute skills:read views:read offline_access");
        let mut browser = Browser::start(&test_system, arguments);

        browser.open(&ask.url).await;
        browser.wait_for_page("Sign in to").await;
        browser.tabs_to("E-mail address").await;
        browser.types("ana@example.com").await;
        browser.tabs_to("Password").await;
        browser.types("ana-demo").await;
        browser.tabs_to("Sign in").await;
        browser.act(json!({ "act": "enter" })).await;
        browser.wait_for_page("Claude wants to").await;
        // The button that gives something away is not there at once.
        browser.act(json!({ "act": "pause", "milliseconds": 800 })).await;
        browser.tabs_to("Acme").await;
        assert_eq!(browser.keys(&["Space"]).await["ticked"], true);
        browser.tabs_to("Read views").await;
        assert_eq!(browser.keys(&["Space"]).await["ticked"], false);
        browser.tabs_to("Approve").await;
        browser.act(json!({ "act": "enter" })).await;

        let tokens = connector.exchange(&ask, &browser.code(&ask).await).await.tokens(&test_system);
        assert_eq!(tokens.scope, "tools:execute skills:read offline_access");
        browser.finish().await;
    }
}

/// What a screen reader tells of the page on which people decide: one sentence, then where, what, for how long, and two buttons.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn consent_page_is_readable_by_a_screen_reader() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let mut browser = Browser::start(&test_system, &[]);
    browser.open(&connector.authorization_request("tools:execute skills:read entities:write offline_access").url).await;
    browser.sign_in("ana").await;
    browser.wait_for_page("Claude wants to").await;
    // The button that gives something away is not there at once.
    browser.act(json!({ "act": "pause", "milliseconds": 800 })).await;

    let told = browser.tree().await;
    let mut rest = told.as_str();
    for said in [
        "heading \"Claude wants to work in Amble as you\" [level=1]",
        "You will be sent back to",
        "claude.ai",
        "Verified:",
        "ana@example.com",
        "button \"Not you?\"",
        "group \"Which workspace?\"",
        "radio \"Acme Your role: owner.\"",
        "radio \"Globex Your role: viewer.\"",
        "group \"What may Claude do there?\"",
        "group \"See\"",
        "checkbox \"Read skills Look up how your team does things.\" [checked]",
        "group \"Create and change\"",
        "checkbox \"Change records Create, change and delete records.\" [checked]",
        "group \"Act through tools\"",
        "checkbox \"Run tools",
        "group \"For how long?\"",
        "checkbox \"Stay connected",
        "link \"your connections\"",
        "button \"Approve\"",
        "button \"Deny\"",
    ] {
        let (_, later) = rest.split_once(said).unwrap_or_else(|| panic!("{said} is not told, or too early:\n{told}"));
        rest = later;
    }

    // With a workspace chosen, what the role in it does not allow is said, and cannot be ticked; with another, it can again.
    browser.act(json!({ "act": "choose", "label": "Globex" })).await;
    let told = browser.tree().await;
    for said in [
        "checkbox \"Change records Create, change and delete records. Your role in Globex (viewer) does not allow this.\" [disabled]",
        "checkbox \"Read skills Look up how your team does things.\" [checked]",
        "Your role in Globex does not allow: ",
    ] {
        assert!(told.contains(said), "{said}:\n{told}");
    }
    browser.act(json!({ "act": "choose", "label": "Acme" })).await;
    let told = browser.tree().await;
    assert!(told.contains("delete records.\" [checked]") && !told.contains("[disabled]"), "{told}");
    browser.finish().await;
}

/// A second click is not a second connection.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn double_click_approves_once_and_going_back_says_so() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let mut browser = Browser::start(&test_system, &[]);
    browser.open(&ask.url).await;
    browser.sign_in("ben").await;
    browser.wait_for_page("Claude wants to").await;

    browser.act(json!({ "act": "press", "name": "Approve", "clicks": 2 })).await;

    browser.code(&ask).await;
    assert_eq!(test_system.count("grants").await, 1);
    browser.act(json!({ "act": "back" })).await;
    assert!(browser.wait_for_page("Claude wants to").await.contains("You have approved this already"));
    browser.pictures("consent-approved").await;
    browser.finish().await;
}

/// Double-clickjacking: a window closes under the first click, and the second lands on a page that the person has not seen. Whatever
/// presses, nothing is approved before the page was there for a moment; then it is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn press_that_did_not_begin_on_the_page_approves_nothing() {
    for (arguments, kinds) in [
        (&[][..], &["mouse", "touch", "keyboard", "held key", "script"][..]),
        (&[WITHOUT_JAVASCRIPT], &["mouse", "touch", "keyboard"]),
    ] {
        let test_system = TestSystem::new().await;
        let connector = test_system.connector("Claude").await;
        let mut browser = Browser::start(&test_system, arguments);
        browser.open(&connector.authorization_request("skills:read").url).await;
        browser.sign_in("ben").await;
        browser.wait_for_page("Claude wants to").await;

        for (approved, kind) in kinds.iter().enumerate() {
            let ask = connector.authorization_request("skills:read");
            // The fragment would scroll to what has that id.
            browser.open(&format!("{}#told", ask.url)).await;
            // As a game asks for them: quick presses that go on after the moment. Without JavaScript only the first can be told apart.
            let times = if arguments.is_empty() { 8 } else { 1 };
            browser.act(json!({ "act": "strike", "name": "Approve", "by": kind, "times": times })).await;
            browser.wait_for_page("Claude wants to").await;
            assert_eq!(test_system.count("grants").await, approved, "{kind} {arguments:?}");
            if arguments.is_empty() {
                // It has been there for long, but under another window.
                browser.act(json!({ "act": "pause", "milliseconds": 1800 })).await;
                browser.act(json!({ "act": "strike", "name": "Approve", "by": kind, "again": true })).await;
                browser.act(json!({ "act": "says", "text": "too quick to be sure" })).await;
                assert_eq!(test_system.count("grants").await, approved, "{kind}, again");
            }

            browser.act(json!({ "act": "pause", "milliseconds": 1800 })).await;
            let later = if *kind == "held key" { "keyboard" } else { kind };
            browser.act(json!({ "act": "strike", "name": "Approve", "by": later })).await;
            browser.code(&ask).await;
            assert_eq!(test_system.count("grants").await, approved + 1, "{kind} {arguments:?}");
        }
        browser.finish().await;
    }
}

/// Enter in a box sends the form by its first button, shown or not (HTML, "Implicit submission"). So it must not be that which approves:
/// keys that were meant for another window would do it, while the button itself is held back.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn enter_in_a_box_decides_nothing() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let test_system = TestSystem::new().await;
        let connector = test_system.connector("Claude").await;
        let ask = connector.authorization_request("skills:read views:read");
        let mut browser = Browser::start(&test_system, arguments);
        browser.open(&ask.url).await;
        browser.sign_in("ben").await;
        browser.wait_for_page("Claude wants to").await;

        for milliseconds in [0, 1800] {
            browser.act(json!({ "act": "pause", "milliseconds": milliseconds })).await;
            browser.tabs_to("Read views").await;
            assert_eq!(browser.keys(&["Space"]).await["ticked"], milliseconds != 0);
            browser.act(json!({ "act": "enter" })).await;
            browser.act(json!({ "act": "says", "text": "Choose Approve or Deny." })).await;
            assert_eq!(test_system.count("grants").await, 0, "{arguments:?}");
        }

        browser.press("Approve").await;
        let tokens = connector.exchange(&ask, &browser.code(&ask).await).await.tokens(&test_system);
        assert_eq!(tokens.scope, "skills:read views:read", "what was ticked stays");
        browser.finish().await;
    }
}

/// Hosts open the flow in a window of its own, and wait for it to tell them how it ended: it must still know who opened it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn window_of_a_connect_keeps_its_opener() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let mut browser = Browser::start(&test_system, &[]);
    browser.open(&connector.authorization_request("skills:read").url).await;
    browser.sign_in("ben").await;
    browser.wait_for_page("Claude wants to").await;

    let url = connector.authorization_request("skills:read").url;
    let told = browser.act(json!({ "act": "popup", "url": url, "name": "Approve" })).await;

    assert_eq!(told["opener"], true);
    browser.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn second_factor_is_asked_for_during_sign_in() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let test_system = pages::with_mia().await;
        let connector = test_system.connector("Claude").await;
        let ask = connector.authorization_request("skills:read");
        let mut browser = Browser::start(&test_system, arguments);

        browser.open(&ask.url).await;
        browser.sign_in("mia").await;
        browser.wait_for_page("One more step").await;
        browser.pictures("factor").await;
        browser.fill("Code", "000000").await;
        browser.press("Continue").await;
        assert!(browser.wait_for_page("One more step").await.contains("wrong or has run out"));
        browser.pictures("factor-refused").await;
        browser.fill("Code", &pages::shown(&test_system)).await;
        browser.press("Continue").await;
        assert!(browser.wait_for_page("Claude wants to").await.contains("mia@example.com"));
        browser.press("Approve").await;

        browser.code(&ask).await;
        browser.finish().await;
    }
}

/// Every state of signing in: it fits phones and desks, light and dark, and axe finds nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn sign_in_pages_are_accessible() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let mut browser = Browser::start(&test_system, &[]);

    browser.open(&ask.url).await;
    browser.wait_for_page("Sign in to").await;
    browser.pictures("sign-in").await;
    browser.fill("E-mail address", "ana@example.com").await;
    browser.fill("Password", "not hers").await;
    browser.press("Sign in").await;
    browser.wait_for_page("Sign in to").await;
    browser.pictures("sign-in-refused").await;
    browser.press("E-mail me a code").await;
    browser.wait_for_page("Check your e-mail").await;
    browser.pictures("code").await;
    browser.fill("Code", "000000").await;
    browser.press("Continue").await;
    browser.wait_for_page("Check your e-mail").await;
    browser.pictures("code-refused").await;
    test_system.supabase().set_rate_limited(true);
    browser.open(&ask.url).await;
    browser.wait_for_page("Sign in to").await;
    browser.fill("E-mail address", "ana@example.com").await;
    browser.fill("Password", "ana-demo").await;
    browser.press("Sign in").await;
    assert!(browser.wait_for_page("Sign in to").await.contains("Wait a minute"));
    browser.pictures("sign-in-limited").await;
    test_system.supabase().set_rate_limited(false);
    browser.open(&test_system.at("/auth/login")).await;
    browser.sign_in("ana").await;
    browser.wait_for_page("You are signed in").await;
    browser.pictures("signed-in").await;
    browser.finish().await;
}

/// Every state of the page on which people decide.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn consent_pages_are_accessible() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let everything = connector.authorization_request(EVERYTHING);
    let mut browser = Browser::start(&test_system, &[]);

    browser.open(&everything.url).await;
    browser.sign_in("ana").await;
    browser.wait_for_page("Claude wants to").await;
    browser.pictures("consent").await;
    browser.act(json!({ "act": "choose", "label": "Globex" })).await;
    browser.pictures("consent-chosen").await;
    let (old, tokens) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    for tool in ["list_views", "roll_dice"] {
        assert_eq!(old.tool(&tokens.access, tool, json!({})).await.status, 403);
    }
    browser.open(&old.authorization_request("skills:read").url).await;
    assert!(browser.wait_for_page("Claude wants to").await.contains("Only if you want it"));
    browser.pictures("consent-wanted").await;

    let local = test_system.connector_at("Claude Code", &["http://localhost:49163/callback"]).await;
    browser.open(&local.authorization_request("tools:execute skills:read views:read offline_access").url).await;
    assert!(browser.wait_for_page("Claude Code” wants to").await.contains("on your own computer"));
    browser.pictures("consent-loopback").await;
    let id = "https://claude.ai/oauth/client.json";
    test_system.store_metadata_document(id, "Claude", &[CALLBACK]).await;
    let known = Connector {
        test_system: &test_system,
        client_id: id.to_owned(),
        redirect_uri: CALLBACK.to_owned(),
        secret: None,
    };
    browser.open(&known.authorization_request(EVERYTHING).url).await;
    assert!(browser.wait_for_page("Claude wants to").await.contains("Verified"));
    browser.pictures("consent-verified").await;
    for (tenant, name) in [("globex", "consent-fixed"), ("nobody", "consent-outside")] {
        let url = test_system.mcp_url_of(tenant);
        browser
            .open(&connector.authorization_request_with(&[("scope", Some(EVERYTHING)), ("resource", Some(&url))]).url)
            .await;
        browser.wait_for_page("Claude wants to").await;
        browser.pictures(name).await;
    }

    for (id, title) in [("unknown", "not known here"), ("", "not complete")] {
        browser.open(&connector.authorization_request_with(&[("client_id", Some(id))]).url).await;
        browser.wait_for_page(title).await;
        browser.pictures(if id.is_empty() { "error-incomplete" } else { "error-unknown" }).await;
    }
    browser
        .open(&connector.authorization_request_with(&[("redirect_uri", Some("https://evil.example/callback"))]).url)
        .await;
    browser.wait_for_page("leads somewhere unexpected").await;
    browser.pictures("error-address").await;
    browser.finish().await;
}

/// The page as those with one workspace see it, with none, with nothing to give, and with more than one can look through.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn consent_pages_with_no_one_and_many_workspaces_are_accessible() {
    let test_system = TestSystem::with(|options| {
        for (name, value) in [("Logo", LOGO), ("AccentColor", "#0f766e"), ("SupportUrl", "mailto:help@example.com")] {
            options.parameters.insert(name.to_owned(), value.to_owned());
        }
    })
    .await;
    let connector = test_system.connector("Claude").await;
    for number in 1..=12 {
        let (id, name) = (format!("team-{number}"), format!("Team {number} of the Northern Region"));
        let tenant = Tenant { id: TenantId::parse(&id).unwrap(), name, roles: Vec::new() };
        test_system.system().directory().put_tenant(&tenant).await.unwrap();
        test_system.set_role(&id, "ben@example.com", if number % 2 == 0 { "viewer" } else { "member" }).await;
    }
    let useless = "tools:execute chat:create offline_access";
    for (name, scope, reads, picture) in [
        ("nora", EVERYTHING, "not in any workspace", "consent-nowhere"),
        ("vera", EVERYTHING, "Your role: viewer.", "consent-one"),
        ("vera", useless, "asks to: run tools, start conversations. No role of yours", "consent-useless"),
        ("ben", EVERYTHING, "Find a workspace", "consent-many"),
    ] {
        let ask = connector.authorization_request(scope);
        let mut browser = Browser::start(&test_system, &[]);
        browser.open(&ask.url).await;
        browser.sign_in(name).await;
        assert!(browser.wait_for_page("Claude wants to").await.contains(reads), "{name}");
        browser.pictures(picture).await;
        if name == "ben" {
            browser.fill("Find a workspace", "team 11").await;
            let told = browser.tree().await;
            assert!(
                told.contains("Team 11") && !told.contains("Team 12") && told.contains("1 of 13 workspaces"),
                "{told}"
            );
            browser.act(json!({ "act": "choose", "label": "Team 11" })).await;
            browser.press("Approve").await;
            browser.code(&ask).await;
        } else if picture != "consent-one" {
            browser.press("Go back").await;
            assert_eq!(browser.wait_for_redirect(&ask).await["error"], "access_denied");
        }
        browser.finish().await;
    }
    // Without JavaScript all of them are there.
    let mut browser = Browser::start(&test_system, &[WITHOUT_JAVASCRIPT]);
    browser.open(&connector.authorization_request(EVERYTHING).url).await;
    browser.sign_in("ben").await;
    let text = browser.wait_for_page("Claude wants to").await;
    assert!(text.contains("Team 12") && !text.contains("Find a workspace"), "{text}");
    browser.pictures("consent-many-without-javascript").await;
    browser.finish().await;
}

/// What was wrong with a form is told at an address that can be read again, with the choices, and with the focus where to go on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn refused_approval_keeps_the_choices() {
    for arguments in [&[][..], &[WITHOUT_JAVASCRIPT]] {
        let test_system = TestSystem::new().await;
        let connector = test_system.connector("Claude").await;
        let ask = connector.authorization_request("skills:read views:read");
        let mut browser = Browser::start(&test_system, arguments);
        browser.open(&ask.url).await;
        browser.sign_in("ana").await;
        browser.wait_for_page("Claude wants to").await;
        browser.act(json!({ "act": "choose", "label": "Globex" })).await;
        for scope in ["Read skills", "Read views"] {
            browser.act(json!({ "act": "untick", "label": scope })).await;
        }
        browser.press("Approve").await;

        browser.act(json!({ "act": "says", "text": "Leave at least one permission ticked" })).await;
        browser.wait_for_page("Claude wants to").await;
        let focused = browser.keys(&[]).await;
        assert_eq!((&focused["name"], &focused["ticked"]), (&json!("Read skills"), &json!(false)), "{focused}");
        browser.act(json!({ "act": "reload" })).await;
        browser.act(json!({ "act": "says", "text": "Leave at least one permission ticked" })).await;
        browser.pictures("consent-refused").await;
        browser.act(json!({ "act": "tick", "label": "Read skills" })).await;
        browser.press("Approve").await;
        let tokens = connector.exchange(&ask, &browser.code(&ask).await).await.tokens(&test_system);
        assert_eq!((tokens.scope.as_str(), &claims(&tokens.access).1["tenant"]), ("skills:read", &json!("globex")));
        browser.finish().await;
    }
}

/// What a person would tick box by box: what only reads of a request, and everything that their role allows.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn presets_tick_many_boxes_at_once() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    // What a granted scope implies is not named.
    let everything = "tools:execute skills:read views:read entities:write documents:write chat:create";
    for (presets, scope) in [
        (&["what only reads"][..], "skills:read entities:read"),
        (&["what only reads", "as requested"], "skills:read entities:write"),
        (&["Let it do more than it asks for", "everything your role allows"], everything),
        (
            &["Let it do more than it asks for", "everything your role allows", "what only reads"],
            "skills:read entities:read",
        ),
    ] {
        let ask = connector.authorization_request("skills:read entities:write");
        let mut browser = Browser::start(&test_system, &[]);
        browser.open(&ask.url).await;
        browser.sign_in("ben").await;
        for preset in presets {
            browser.wait_for_page("Claude wants to").await;
            if preset.starts_with("Let it") { browser.press_link(preset).await } else { browser.press(preset).await }
        }
        browser.pictures("consent-presets").await;
        browser.press("Approve").await;
        let tokens = connector.exchange(&ask, &browser.code(&ask).await).await.tokens(&test_system);
        assert_eq!(tokens.scope, scope, "{presets:?}");
        browser.finish().await;
    }
}

/// Between the page and the click another account has signed in.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and packages of npm, which tests/run installs"]
async fn consent_page_of_another_account_is_shown_again() {
    let test_system = TestSystem::new().await;
    let connector = test_system.connector("Claude").await;
    let ask = connector.authorization_request("skills:read");
    let mut browser = Browser::start(&test_system, &[]);
    browser.open(&ask.url).await;
    browser.sign_in("vera").await;
    browser.wait_for_page("Claude wants to").await;
    let ben = test_system.person("ben@example.com");
    ben.sign_in("/auth/login").await;
    browser.act(json!({ "act": "cookies", "header": ben.cookie_header(), "url": test_system.issuer() })).await;

    browser.press("Approve").await;

    let text = browser.wait_for_page("Claude wants to").await;
    assert!(text.contains("another account") && text.contains("ben@example.com"), "{text}");
    browser.pictures("consent-another-account").await;
    assert_eq!(test_system.count("grants").await, 0);
    browser.finish().await;
}

const EVERYTHING: &str = "tools:execute skills:read views:read entities:read entities:write documents:read documents:write \
                          chat:create offline_access";
/// A circle.
const LOGO: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyOCAyOCI+PGNpcmNsZSBjeD0iMTQiIGN5PSIxNCIgcj0iMTMiIGZpbGw9IiMwZjc2NmUiLz48L3N2Zz4=";

/// A browser in one person's hands.
pub(crate) struct Browser<'w> {
    test_system: &'w TestSystem,
    script: Script,
}

impl<'w> Browser<'w> {
    pub(crate) fn start(test_system: &'w TestSystem, arguments: &[&str]) -> Self {
        Self { test_system, script: Script::start("node", "tests/clients/browser/browser.mjs", arguments) }
    }

    pub(crate) async fn act(&mut self, act: Value) -> Value {
        self.script.send(&act).await;
        let done = self.script.receive().await;
        assert!(done.get("failed").is_none(), "{act}: {}", done["failed"].as_str().unwrap_or_default());
        done
    }

    pub(crate) async fn open(&mut self, url: &str) {
        self.act(json!({ "act": "open", "url": url })).await;
    }

    pub(crate) async fn fill(&mut self, label: &str, value: &str) {
        self.act(json!({ "act": "fill", "label": label, "value": value })).await;
    }

    pub(crate) async fn press(&mut self, name: &str) {
        self.act(json!({ "act": "press", "name": name })).await;
    }

    pub(crate) async fn press_link(&mut self, name: &str) {
        self.act(json!({ "act": "follow", "name": name })).await;
    }

    /// Waits for the page of that heading; what there is to read.
    pub(crate) async fn wait_for_page(&mut self, heading: &str) -> String {
        self.page(heading).await["text"].as_str().unwrap().to_owned()
    }

    /// The page of that heading, which its own content security policy must leave whole.
    pub(crate) async fn page(&mut self, heading: &str) -> Value {
        let page = self.act(json!({ "act": "reach", "heading": heading })).await;
        assert_eq!(page["violations"], json!([]), "{heading}");
        page
    }

    pub(crate) async fn sign_in(&mut self, name: &str) {
        self.wait_for_page("Sign in to").await;
        self.fill("E-mail address", &format!("{name}@example.com")).await;
        self.fill("Password", &format!("{name}-demo")).await;
        self.press("Sign in").await;
    }

    /// The parameters that the browser brings back to the client.
    pub(crate) async fn wait_for_redirect(&mut self, ask: &AuthorizationRequest) -> BTreeMap<String, String> {
        let page = self.page("Elsewhere").await;
        let url = url::Url::parse(page["url"].as_str().unwrap()).unwrap();
        assert!(url.as_str().starts_with(&format!("{CALLBACK}?")), "{url}");
        let parameters: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(parameters["state"], ask.state);
        assert_eq!(parameters["iss"], self.test_system.issuer());
        parameters
    }

    pub(crate) async fn code(&mut self, ask: &AuthorizationRequest) -> String {
        let code = self.wait_for_redirect(ask).await.remove("code").expect("a code");
        self.test_system.track_secret(&code);
        code
    }

    /// Presses keys; what has the focus then.
    pub(crate) async fn keys(&mut self, keys: &[&str]) -> Value {
        self.act(json!({ "act": "keys", "keys": keys })).await
    }

    pub(crate) async fn types(&mut self, text: &str) {
        self.act(json!({ "act": "type", "text": text })).await;
    }

    /// Goes on with the Tab key until what is labelled so has the focus; each stop on the way must be seen to have it.
    pub(crate) async fn tabs_to(&mut self, name: &str) {
        for _ in 0..40 {
            let focused = self.keys(&["Tab"]).await;
            assert!(focused["tag"] == "body" || focused["seen"] == true, "the focus is not seen: {focused}");
            if focused["name"] == name {
                return;
            }
        }
        panic!("{name} cannot be reached by Tab");
    }

    pub(crate) async fn tree(&mut self) -> String {
        self.act(json!({ "act": "tree" })).await["tree"].as_str().unwrap().to_owned()
    }

    /// Pictures for people to look at; nothing may be cut off at the side, and axe must find nothing.
    pub(crate) async fn pictures(&mut self, name: &str) {
        let path = at("target/screenshots").join(name);
        let done = self.act(json!({ "act": "picture", "path": path })).await;
        assert_eq!(done["wider"], json!([]), "{name}");
        assert_eq!(done["wrong"], json!([]), "{name}: {:#}", done["wrong"]);
    }

    pub(crate) async fn finish(self) {
        self.script.finish().await;
    }
}

fn is_code(line: &str) -> bool {
    line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit())
}
