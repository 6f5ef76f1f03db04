//! A person decides again what a connection of theirs may do, in the console at `/admin/permissions`.

use scraper::{Html, Selector};
use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::connector::{Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::person::Person;

use crate::console::{activity_pages, grant_of, heading, in_console, question, texts};

const BEN: &str = "ben@example.com";
const VERA: &str = "vera@example.com";
const NOTHING: &str = "There is nothing here";
const CHANGED: &str = "What the application may do is changed";

async fn connected<'w>(test_system: &'w TestSystem, scope: &str) -> (Connector<'w>, Tokens) {
    let claude = test_system.connector("Claude").await;
    let (ask, code) = claude.approve_directly(scope, BEN, "acme").await;
    let tokens = claude.exchange(&ask, &code).await.tokens(test_system);
    (claude, tokens)
}

fn form_url(tokens: &Tokens) -> String {
    format!("/admin/permissions?connection={}", grant_of(tokens))
}

/// What says that a choice was made on that page.
pub(crate) fn chosen_on(page: &HttpResponse) -> String {
    let (html, selector) =
        (Html::parse_document(&page.body), Selector::parse("main form[method=get] [name=confirmation]"));
    let found = html.select(&selector.unwrap()).next().unwrap_or_else(|| panic!("no choice: {page:?}"));
    found.value().attr("value").unwrap().to_owned()
}

/// The confirmation after exactly `ticked` was left.
async fn asked(person: &Person<'_>, tokens: &Tokens, ticked: &[&str]) -> HttpResponse {
    let mut url =
        format!("{}&step=confirm&confirmation={}", form_url(tokens), chosen_on(&person.open(&form_url(tokens)).await));
    for scope in ticked {
        url.extend(["&may:", scope, "=1"]);
    }
    person.open(&url).await
}

async fn decides(person: &Person<'_>, tokens: &Tokens, ticked: &[&str]) -> HttpResponse {
    let page = asked(person, tokens, ticked).await;
    assert_eq!(page.status, 200, "{page:?}");
    person.submit_and_follow(&question(&page)).await
}

async fn status(claude: &Connector<'_>, access: &str, tool: &str) -> u16 {
    claude.tool(access, tool, json!({})).await.status
}

/// What the audit says of the change: what was approved before, and what is.
fn changes(test_system: &TestSystem, event: &str, tokens: &Tokens) -> Vec<(String, String)> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let lines = test_system.audit(event).into_iter().filter(|line| line["grant"] == grant_of(tokens));
    lines.map(|line| (text(&line, "before"), text(&line, "scope"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_shows_what_the_connection_may_and_could_do() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = connected(&test_system, "skills:read documents:write offline_access").await;
    let ben = in_console(&test_system, BEN).await;
    test_system.settled().await;

    let list = ben.open("/admin").await;
    assert!(list.body.contains(&format!("href=\"{}\"", form_url(&tokens))), "{list:?}");
    let page = ben.open(&form_url(&tokens)).await;

    assert_eq!((page.status, heading(&page).as_str()), (200, "What Claude (claude.ai) may do"));
    assert_eq!(
        texts(&page, "label.choice"),
        [
            "Run tools",
            "Read skills",
            "Read views with the records in them, if your role may read records",
            "Read records",
            "Change records",
            "Read documents",
            "Change documents",
            "Start conversations",
        ]
    );
    let ticked: Vec<_> = page.body.split("<label").filter(|label| label.contains(" checked")).collect();
    let names = ["may:skills:read", "may:documents:read", "may:documents:write"];
    assert!(ticked.len() == names.len() && names.iter().zip(&ticked).all(|(name, label)| label.contains(name)));

    // What the role does not allow any more stays approved until it is unticked, and cannot be added.
    test_system.set_role("acme", BEN, "viewer").await;
    let page = ben.open(&form_url(&tokens)).await;
    assert_eq!(
        texts(&page, "label.choice"),
        [
            "Read skills",
            "Read views with the records in them, if your role may read records",
            "Read records",
            "Read documents",
            "Change documents approved, but not allowed by your role now",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn less_counts_at_the_next_call() {
    let test_system = TestSystem::new().await;
    let (claude, tokens) = connected(&test_system, "skills:read views:read offline_access").await;
    let ben = in_console(&test_system, BEN).await;
    assert_eq!(status(&claude, &tokens.access, "list_views").await, 200);

    let page = asked(&ben, &tokens, &["skills:read"]).await;
    assert_eq!(heading(&page), "Change what Claude (claude.ai) may do?");
    let told = ["It may no longer do this: Read views.", "That counts at its next call."];
    assert_eq!(texts(&page, "section.panel > p"), told);
    assert_eq!(status(&claude, &tokens.access, "list_views").await, 200, "only the form changes anything");
    let done = ben.submit_and_follow(&question(&page)).await;

    assert_eq!((done.status, heading(&done).as_str()), (200, CHANGED));
    assert_eq!(status(&claude, &tokens.access, "list_views").await, 403);
    assert_eq!(status(&claude, &tokens.access, "list_skills").await, 200);
    let next = claude.refresh(tokens.refresh.as_ref().unwrap()).await;
    assert_eq!(next.json()["scope"], "skills:read offline_access");
    let change = [("skills:read views:read offline_access".to_owned(), "skills:read offline_access".to_owned())];
    assert_eq!(changes(&test_system, "grant_changing", &tokens), change);
    assert_eq!(changes(&test_system, "grant_changed", &tokens), change);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_counts_at_the_next_rotation() {
    let test_system = TestSystem::new().await;
    let (claude, tokens) = connected(&test_system, "skills:read offline_access").await;
    let ben = in_console(&test_system, BEN).await;

    let page = asked(&ben, &tokens, &["skills:read", "entities:write"]).await;
    let told = [
        "It may also do this in Acme, as you: Read records, Change records.",
        "That counts when it next renews its access, within an hour.",
    ];
    assert_eq!(texts(&page, "section.panel > p"), told);
    assert!(page.body.contains("<button data-deliberate>Change it</button>"), "it gives something away: {page:?}");
    let done = ben.submit_and_follow(&question(&page)).await;

    assert_eq!(heading(&done), CHANGED);
    assert_eq!(status(&claude, &tokens.access, "list_entity_types").await, 403, "the token is as it was");
    let next = claude.refresh(tokens.refresh.as_ref().unwrap()).await.tokens(&test_system);
    assert_eq!(status(&claude, &next.access, "list_entity_types").await, 200);
    let change =
        ("skills:read offline_access".to_owned(), "skills:read entities:read entities:write offline_access".to_owned());
    assert_eq!(changes(&test_system, "grant_changed", &tokens), [change]);
    test_system.system().audit_log().await;
    test_system.settled().await;
    let ana = in_console(&test_system, "ana@example.com").await;
    let row = activity_pages(&ana, "event=grant_changed").await.concat().concat();
    assert!(row.contains("may do was changed") && row.contains("more: Read records, Change records"), "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_and_no_change_are_asked_again() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = connected(&test_system, "skills:read offline_access").await;
    let ben = in_console(&test_system, BEN).await;

    for (ticked, title) in [(&[][..], "Nothing is ticked"), (&["skills:read"][..], "Nothing is changed")] {
        let page = asked(&ben, &tokens, ticked).await;

        assert_eq!((page.status, heading(&page).as_str()), (400, "What Claude (claude.ai) may do"));
        assert_eq!(texts(&page, "[role=alert] h2"), [title]);
    }
}

/// Two windows show the same connection: what the second was asked about is no longer so.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_from_an_older_page_changes_nothing() {
    let test_system = TestSystem::new().await;
    let (claude, tokens) = connected(&test_system, "skills:read views:read offline_access").await;
    let ben = in_console(&test_system, BEN).await;
    let older = question(&asked(&ben, &tokens, &["skills:read", "views:read", "entities:read"]).await);
    assert_eq!(heading(&decides(&ben, &tokens, &["skills:read"]).await), CHANGED);
    // There and back again: the number of changes tells, not what there is.
    assert_eq!(heading(&decides(&ben, &tokens, &["skills:read", "views:read"]).await), CHANGED);

    let answer = ben.submit_and_follow(&older).await;

    assert_eq!((answer.status, heading(&answer).as_str()), (200, "Nothing was changed"));
    let next = claude.refresh(tokens.refresh.as_ref().unwrap()).await;
    assert_eq!(next.json()["scope"], "skills:read views:read offline_access");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_person_changes_it_and_only_within_their_role() {
    let test_system = TestSystem::new().await;
    let (claude, tokens) = connected(&test_system, "skills:read offline_access").await;
    let (ana, vera) = (in_console(&test_system, "ana@example.com").await, in_console(&test_system, VERA).await);
    let ben = in_console(&test_system, BEN).await;
    let form = question(&asked(&ben, &tokens, &["skills:read", "entities:write"]).await);

    for other in [&ana, &vera] {
        assert_eq!(other.open(&form_url(&tokens)).await.status, 404);
        assert_eq!(heading(&other.submit_and_follow(&form).await), NOTHING);
    }
    // Each field is part of what was confirmed.
    let mut told = Vec::new();
    for (name, value) in [
        ("scope", "tools:execute skills:read entities:write offline_access"),
        ("scope", "skills:read connections:manage"),
        ("changes", "1"),
        ("confirmation", "x"),
    ] {
        told.push(heading(&ben.submit_and_follow(&form.clone().with(name, value)).await));
    }
    // What gives more says so.
    told.push(heading(&ben.submit_and_follow(&form.clone().without("grants")).await));
    let forged = "That did not come from this page";
    assert_eq!(told, [forged, forged, "Nothing was changed", forged, "This link or form is not complete"]);
    // The role has become lower since the question.
    test_system.set_role("acme", BEN, "viewer").await;
    assert_eq!(heading(&ben.submit_and_follow(&form).await), "This link or form is not complete");
    assert!(changes(&test_system, "grant_changed", &tokens).is_empty());

    claude.revoke(&tokens.access).await;
    assert_eq!(ben.open(&form_url(&tokens)).await.status, 404, "what has ended cannot be changed");
    assert_eq!(heading(&ben.submit_and_follow(&form).await), NOTHING);
}

/// As everywhere in the console: what takes power away works when Supabase does not; what gives it waits.
#[tokio::test(flavor = "multi_thread")]
async fn more_needs_an_active_session_and_less_does_not() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = connected(&test_system, "skills:read views:read offline_access").await;
    let ben = in_console(&test_system, BEN).await;
    let more = question(&asked(&ben, &tokens, &["skills:read", "views:read", "entities:read"]).await);
    let less = question(&asked(&ben, &tokens, &["skills:read"]).await);
    test_system.supabase().set_down(true);

    let waits = ben.submit_and_follow(&more).await;
    assert_eq!((waits.status, heading(&waits).as_str()), (503, "That did not work just now"));
    assert_eq!(heading(&ben.submit_and_follow(&less).await), CHANGED);

    test_system.supabase().set_down(false);
    let more = question(&asked(&ben, &tokens, &["skills:read", "entities:read"]).await);
    test_system.supabase().sign_out_everywhere(BEN);
    assert_eq!(heading(&ben.submit_and_follow(&more).await), "Your session had ended");
    assert_eq!(changes(&test_system, "grant_changed", &tokens).len(), 1);
}

/// What is taken away is a no, like a box that was unticked on the consent page: it is not listed, and no call asks for it, until it is
/// given again. What was never given is none.
#[tokio::test(flavor = "multi_thread")]
async fn scope_that_is_taken_away_starts_no_step_up_until_it_is_given_again() {
    let test_system = TestSystem::new().await;
    let claude = test_system.connector("Claude").await;
    let ask = claude.authorization_request("skills:read views:read chat:create offline_access");
    let landed = test_system.person(BEN).approve_without(&ask, "acme", &["chat:create"]).await;
    let tokens = claude.exchange(&ask, &landed.redirect_parameters()["code"]).await.tokens(&test_system);
    let ben = in_console(&test_system, BEN).await;
    let why = async |tool: &str| {
        let listed = claude.call(&tokens.access, "tools/list", json!({})).await.json();
        let tools = listed["result"]["tools"].as_array().unwrap().clone();
        let answer = claude.tool(&tokens.access, tool, json!({})).await.json();
        (tools.iter().any(|listed| listed["name"] == tool), answer["error"]["data"]["error"].clone())
    };
    let (denied, unasked, allowed) =
        ((false, json!("access_denied")), (true, json!("insufficient_scope")), (true, Value::Null));

    assert_eq!((why("list_views").await, why("create_chat").await), (allowed.clone(), denied.clone()));
    for (ticked, views, chats) in [
        (&["skills:read"][..], &denied, &denied),
        (&["skills:read", "chat:create"], &denied, &unasked),
        (&["skills:read", "views:read", "chat:create"], &allowed, &unasked),
        (&["skills:read", "views:read"], &allowed, &denied),
    ] {
        assert_eq!(heading(&decides(&ben, &tokens, ticked).await), CHANGED, "{ticked:?}");
        assert_eq!(why("list_views").await, *views, "{ticked:?}");
        assert_eq!(why("create_chat").await, *chats, "{ticked:?}");
        assert_eq!(why("list_documents").await, unasked, "{ticked:?}");
    }
}

/// A client knows the id of its connection, and can send the person a link: it must not choose for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_everything_ticked_shows_the_connection_as_it_is() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = connected(&test_system, "skills:read offline_access").await;
    let ben = in_console(&test_system, BEN).await;

    let page = ben.open(&format!("{}&step=confirm&may:skills:read=1&may:entities:write=1", form_url(&tokens))).await;

    assert_eq!((page.status, heading(&page).as_str()), (200, "What Claude (claude.ai) may do"));
    let ticked: Vec<_> = page.body.split("<label").filter(|label| label.contains(" checked")).collect();
    assert!(ticked.len() == 1 && ticked[0].contains("may:skills:read"), "{ticked:?}");
}
