//! The console at `/admin`: what people and administrators see of connections and keys, and how they end them.

use std::collections::BTreeSet;

use scraper::{Html, Selector};
use serde_json::{Value, json};
use shared::oauth::role::Role;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::directory::Tenant;
use test_system::TestSystem;
use test_system::connector::{Connector, Tokens};
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};
use test_system::recorded_calls::RecordedCalls;

const ANA: &str = "ana@example.com";
const BEN: &str = "ben@example.com";
const VERA: &str = "vera@example.com";
const NORA: &str = "nora@example.com";
const SCOPE: &str = "skills:read views:read offline_access";
/// The most connections of one page, and of one ending.
const PAGE: usize = shared::store::connections::PAGE;
const BATCH: usize = 25;

/// The pages of the activity of Acme, each as its rows. Where the tables cut their answers, a page may have few of what is asked for, or
/// none, although more follow.
pub(crate) async fn activity_pages(person: &Person<'_>, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = format!("/admin/acme/activity?{query}");
    while !next.is_empty() {
        let page = person.open(&next).await;
        pages.push(rows(&page));
        next = links(&page, "nav.pages a[rel=next]").concat();
    }
    pages
}

pub(crate) async fn in_console<'w>(test_system: &'w TestSystem, email: &str) -> Person<'w> {
    let person = test_system.person(email);
    let page = person.sign_in("/admin").await;
    assert_eq!(page.status, 200, "{page:?}");
    person
}

/// Mia, an owner of Acme, signed in to the console with both of her factors.
async fn mia_in_console(test_system: &TestSystem) -> Person<'_> {
    let (acme, id) = (TenantId::parse("acme").unwrap(), PersonId::parse(crate::pages::MIA_ID).unwrap());
    test_system.system().directory().put_member(&acme, &id, "owner").await.unwrap();
    let mia = Person::new(test_system, crate::pages::MIA, "mia-demo");
    let page = mia.sign_in("/admin").await;
    let factor = Form::find(&page, "code").unwrap().with("code", &crate::pages::shown(test_system));
    assert_eq!(mia.submit(&factor).await.status, 303);
    mia
}

/// The texts of what `selector` finds, spaces collapsed.
pub(crate) fn texts(page: &HttpResponse, selector: &str) -> Vec<String> {
    let (html, selector) = (Html::parse_document(&page.body), Selector::parse(selector).unwrap());
    let text = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    html.select(&selector).map(|element| text(element.text().collect())).collect()
}

fn rows(page: &HttpResponse) -> Vec<String> {
    assert_eq!(page.status, 200, "{page:?}");
    texts(page, ".panel:not([aria-label='Budgets of this hour']) table.rows tbody tr")
}

fn links(page: &HttpResponse, selector: &str) -> Vec<String> {
    let (html, selector) = (Html::parse_document(&page.body), Selector::parse(selector).unwrap());
    html.select(&selector).map(|link| link.value().attr("href").unwrap().to_owned()).collect()
}

/// How many elements `selector` finds.
fn count_of(page: &HttpResponse, selector: &str) -> usize {
    Html::parse_document(&page.body).select(&Selector::parse(selector).unwrap()).count()
}

/// The heading of the page after many connections have ended.
const ENDED: &str = "The connections have ended";

/// The heading of a page, and the first two sentences of its status.
fn outcome(page: &HttpResponse) -> (&'static str, String) {
    let heading = heading(page);
    assert_eq!(heading, ENDED);
    let status = texts(page, "[role=status]").concat();
    let told = status.strip_suffix(" Applications that use one are refused from the next call on.");
    let told = told.unwrap_or_else(|| {
        assert!(status.contains(" What was connected since stays."), "{status}");
        &status
    });
    (ENDED, told.to_owned())
}

pub(crate) fn heading(page: &HttpResponse) -> String {
    texts(page, "h1").concat()
}

/// Opens a question and says yes.
async fn confirms(person: &Person<'_>, url: &str) -> HttpResponse {
    let page = person.open(url).await;
    assert_eq!(page.status, 200, "{page:?}");
    person.submit_and_follow(&question(&page)).await
}

/// The form of a question: beside it there may be that for signing out.
pub(crate) fn question(page: &HttpResponse) -> Form {
    let html = Html::parse_document(&page.body);
    let selector = Selector::parse("main form[method=post]").unwrap();
    let form = html.select(&selector).next().unwrap_or_else(|| panic!("no question: {page:?}"));
    let inputs = Selector::parse("input[type=hidden]").unwrap();
    let fields = form.select(&inputs).map(|input| {
        let attribute = |name| input.value().attr(name).unwrap_or_default().to_owned();
        (attribute("name"), attribute("value"))
    });
    Form { action: form.value().attr("action").unwrap().to_owned(), fields: fields.collect() }
}

async fn works(connector: &Connector<'_>, tokens: &Tokens) -> bool {
    match connector.call(&tokens.access, "ping", json!({})).await.status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

/// That the client's next call is refused, and so is its next refresh.
async fn has_ended(connector: &Connector<'_>, tokens: &Tokens) {
    assert!(!works(connector, tokens).await, "its next call counts");
    let refreshed = connector.refresh(tokens.refresh.as_ref().unwrap()).await;
    assert_eq!((refreshed.status, &refreshed.json()["error"]), (400, &json!("invalid_grant")));
}

/// A connection, approved without its pages.
async fn connects(test_system: &TestSystem, connector: &Connector<'_>, email: &str, tenant: &str) -> Tokens {
    let (ask, code) = connector.approve_directly(SCOPE, email, tenant).await;
    connector.exchange(&ask, &code).await.tokens(test_system)
}

pub(crate) fn grant_of(tokens: &Tokens) -> String {
    test_system::claims(&tokens.access).1["grant"].as_str().unwrap().to_owned()
}

/// What the audit says of a grant's end.
fn ends(test_system: &TestSystem, grant: &str) -> Vec<(String, String)> {
    let events = test_system.audit("grant_ended").into_iter().filter(|event| event["grant"] == grant);
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    events.map(|event| (text(&event, "reason"), text(&event, "by"))).collect()
}

/// What has happened until now is in the activity.
async fn is_heard(test_system: &TestSystem) {
    test_system.system().audit_log().await;
    test_system.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn person_lists_and_revokes_their_own_connections() {
    let test_system = TestSystem::new().await;
    let (claude, kept) = test_system.connect(ANA, "acme", SCOPE).await;
    test_system.advance(60);
    let cursor = test_system.connector("Cursor").await;
    let ended = connects(&test_system, &cursor, ANA, "acme").await;
    let other = connects(&test_system, &cursor, BEN, "acme").await;
    assert!(works(&claude, &kept).await);
    let used = test_system.now();
    test_system.advance(60);
    test_system.settled().await;

    let ana = test_system.person(ANA);
    let asked = test_system.get("/admin?after=").await;
    assert_eq!(asked.status, 303);
    assert!(asked.location().ends_with("/auth/login?next=/admin%3Fafter%3D"), "{}", asked.location());
    let page = ana.sign_in("/admin").await;
    let listed = rows(&page);
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed[0].starts_with("Cursor claude.ai Acme your role: owner Read skills, Read views"), "{}", listed[0]);
    assert!(listed[0].contains("never used"), "{}", listed[0]);
    assert!(
        listed[1].contains("Claude") && listed[1].contains("last used 2026-11-22 09:31 UTC or up to an hour later"),
        "{used} {}",
        listed[1]
    );
    assert_eq!(texts(&page, "nav.tabs a"), ["Your connections", "Acme"], "Ana is a viewer in Globex");

    let question_page = ana.open(&links(&page, "td.act a")[0]).await;
    assert_eq!(heading(&question_page), "End the connection of Cursor (claude.ai)?");
    assert!(works(&cursor, &ended).await, "asking changes nothing");
    let told = ana.submit_and_follow(&question(&question_page)).await;
    assert_eq!((told.status, heading(&told).as_str()), (200, "The connection has ended"));

    has_ended(&cursor, &ended).await;
    assert!(works(&claude, &kept).await && works(&cursor, &other).await);
    assert_eq!(ends(&test_system, &grant_of(&ended)), [("person".to_owned(), test_system.person_id(ANA).to_string())]);
    assert_eq!(rows(&ana.open("/admin").await).len(), 1);

    // Of another person, there is nothing to end.
    let theirs = ana.open(&format!("/admin/end?connection={}", grant_of(&other))).await;
    assert_eq!(theirs.status, 404);

    let told = confirms(&ana, "/admin/end?all=yes").await;
    assert_eq!(
        outcome(&told),
        (ENDED, "Every connection of yours has ended, in every workspace. 1 was listed.".to_owned())
    );
    has_ended(&claude, &kept).await;
    assert!(works(&cursor, &other).await);
    let empty = ana.open("/admin").await;
    assert_eq!(texts(&empty, ".empty"), ["You have not connected any application."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn administrator_lists_and_revokes_what_is_the_tenants() {
    let test_system = TestSystem::new().await;
    let [claude, cursor] = [test_system.connector("Claude").await, test_system.connector("Cursor").await];
    let bens = connects(&test_system, &claude, BEN, "acme").await;
    let veras = connects(&test_system, &claude, VERA, "acme").await;
    let bens_other = connects(&test_system, &cursor, BEN, "acme").await;
    let elsewhere = connects(&test_system, &claude, ANA, "globex").await;
    let ana = in_console(&test_system, ANA).await;
    test_system.settled().await;

    let page = ana.open("/admin/acme/connections").await;
    let listed = rows(&page);
    assert_eq!(listed.len(), 3, "{listed:?}");
    let (ben, vera) = (test_system.person_id(BEN), test_system.person_id(VERA));
    assert!(listed.iter().any(|row| row.contains(BEN) && row.contains(ben.as_str()) && row.contains("role: member")));
    assert!(!page.body.contains(&grant_of(&elsewhere)), "another tenant's");
    let only = async |query: &str| rows(&ana.open(&format!("/admin/acme/connections?{query}")).await).len();
    assert_eq!(only(&format!("person={ben}")).await, 2);
    assert_eq!(only(&format!("client={}", cursor.client_id)).await, 1);
    assert_eq!(only(&format!("person={vera}&client={}", claude.client_id)).await, 1);
    assert_eq!(only(&format!("person={vera}&client={}", cursor.client_id)).await, 0);
    let wrong = ana.open("/admin/acme/connections?person=ben").await;
    assert_eq!((wrong.status, texts(&wrong, "[role=alert]").len()), (400, 1));

    // What the role allows now, and what it does not.
    test_system.set_role("acme", BEN, "painter").await;
    test_system.remove_member("acme", VERA).await;
    let listed = rows(&ana.open("/admin/acme/connections").await);
    let of = |email: &str| listed.iter().find(|row| row.contains(email)).unwrap().clone();
    assert!(
        of(BEN).contains("nothing now Approved, but not allowed by the role now: Read skills, Read views"),
        "{}",
        of(BEN)
    );
    assert!(of(BEN).contains("role: painter, which allows nothing"), "{}", of(BEN));
    assert!(listed.iter().all(|row| !row.contains(VERA)), "who is no member has no connection: {listed:?}");
    assert!(!works(&claude, &veras).await && works(&claude, &bens).await);
    assert_eq!(ends(&test_system, &grant_of(&veras)), [("membership_gone".to_owned(), String::new())]);

    let told = confirms(&ana, &format!("/admin/acme/connections/end?connection={}", grant_of(&bens_other))).await;
    assert_eq!(heading(&told), "The connection has ended");
    let again = confirms(&ana, &format!("/admin/acme/connections/end?connection={}", grant_of(&bens_other))).await;
    assert_eq!(heading(&again), "The connection had ended before");
    let third = connects(&test_system, &cursor, BEN, "acme").await;
    test_system.settled().await;
    let told = confirms(&ana, &format!("/admin/acme/connections/end?person={ben}")).await;
    assert_eq!(outcome(&told), (ENDED, "Every connection of this person in Acme has ended. 2 were listed.".to_owned()));
    has_ended(&cursor, &third).await;
    for (connector, tokens) in [(&claude, &bens), (&cursor, &bens_other)] {
        has_ended(connector, tokens).await;
        let by = test_system.person_id(ANA).to_string();
        assert_eq!(ends(&test_system, &grant_of(tokens)), [("administrator".to_owned(), by)]);
    }
    test_system.set_role("acme", VERA, "viewer").await;
    let (again, others) =
        (connects(&test_system, &claude, VERA, "acme").await, connects(&test_system, &cursor, VERA, "acme").await);
    test_system.settled().await;
    let told = confirms(&ana, &format!("/admin/acme/connections/end?client={}", claude.client_id)).await;
    let sentence = "Every connection of this application in Acme has ended. 1 was listed.".to_owned();
    assert_eq!(outcome(&told), (ENDED, sentence));
    has_ended(&claude, &again).await;
    assert!(works(&cursor, &others).await && works(&claude, &elsewhere).await);

    // A code that nobody has exchanged is no connection yet, and never becomes one.
    let (ask, code) = cursor.approve_directly(SCOPE, VERA, "acme").await;
    test_system.settled().await;
    let told = confirms(&ana, &format!("/admin/acme/connections/end?person={vera}")).await;
    assert_eq!(outcome(&told), (ENDED, "Every connection of this person in Acme has ended. 2 were listed.".to_owned()));
    assert_eq!(cursor.exchange(&ask, &code).await.json()["error"], "invalid_grant");

    is_heard(&test_system).await;
    test_system.stop_cutting_pages();
    let activity = rows(&ana.open("/admin/acme/activity").await);
    let ended =
        activity.iter().filter(|row| row.contains("The connection of Claude (claude.ai) ended by an administrator"));
    assert_eq!(ended.count(), 2, "{activity:#?}");
    for told in ["Every connection of a member ended", "Every connection of Claude (claude.ai) ended"] {
        assert!(activity.iter().any(|row| row.contains(told)), "{told}: {activity:#?}");
    }
    assert!(activity.iter().all(|row| !row.contains("globex")), "{activity:#?}");
}

/// Another tenant, whether it is there or not, looks the same from outside; and nothing in it can be reached.
#[tokio::test(flavor = "multi_thread")]
async fn administrator_of_one_tenant_can_do_nothing_in_another() {
    let test_system = TestSystem::new().await;
    test_system.set_role("globex", NORA, "owner").await;
    let claude = test_system.connector("Claude").await;
    let theirs = connects(&test_system, &claude, BEN, "acme").await;
    let (key, known) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;
    let nora = in_console(&test_system, NORA).await;
    let (grant, ben, key_id) = (grant_of(&theirs), test_system.person_id(BEN), known.id.to_text());
    let before = test_system.system().items().unwrap();

    for page in [
        "connections".to_owned(),
        format!("connections?person={ben}"),
        format!("connections/end?connection={grant}"),
        format!("connections/end?person={ben}"),
        format!("connections/end?client={}", claude.client_id),
        "keys".to_owned(),
        "keys/new".to_owned(),
        format!("keys/revoke?key={key_id}"),
        "activity".to_owned(),
    ] {
        let [there, not_there] =
            [nora.open(&format!("/admin/acme/{page}")).await, nora.open(&format!("/admin/no-such/{page}")).await];
        let [there, not_there] = [there, not_there].map(|it| (it.status, it.body_without_request_id()));
        assert_eq!((there.0, &there), (404, &not_there), "{page}");
    }
    // By way of her own tenant.
    for page in [format!("connections/end?connection={grant}"), format!("keys/revoke?key={key_id}")] {
        assert_eq!(nora.open(&format!("/admin/globex/{page}")).await.status, 404, "{page}");
    }
    // With a value of her own pages, for what is not hers.
    let own = question(&nora.open(&format!("/admin/globex/connections/end?person={ben}")).await);
    for (action, field, value) in [
        ("/admin/acme/connections/end", "person", ben.as_str()),
        ("/admin/acme/connections/end", "connection", &grant),
        ("/admin/acme/keys/revoke", "key", &key_id),
    ] {
        let form = Form { action: action.to_owned(), ..own.clone().without("person") }.with(field, value);
        assert_eq!(heading(&nora.submit_and_follow(&form).await), "There is nothing here", "{action}");
    }
    let told = nora.submit_and_follow(&own).await;
    let sentence =
        "Every connection of this person in Globex that the page was about has ended. What was connected since stays. \
                    None was listed."
            .to_owned();
    assert_eq!(outcome(&told), (ENDED, sentence), "those of Ben are in Acme");
    assert_eq!(test_system.system().items().unwrap(), before);
    assert!(works(&claude, &theirs).await);
    assert_eq!(test_system.call(Some(&key), "ping", json!({})).await.status, 200);
}

/// Who is in the tenant, and may not.
#[tokio::test(flavor = "multi_thread")]
async fn role_without_permission_manages_nothing() {
    let test_system = TestSystem::new().await;
    let vera = in_console(&test_system, VERA).await;
    let ana = in_console(&test_system, ANA).await;
    for (person, email, role) in [(&vera, VERA, "viewer"), (&vera, VERA, "member"), (&ana, ANA, "painter")] {
        test_system.set_role("acme", email, role).await;
        for page in ["connections", "connections/end?all=yes", "keys", "keys/new", "activity"] {
            let refused = person.open(&format!("/admin/acme/{page}")).await;
            assert_eq!((refused.status, heading(&refused).as_str()), (403, "Your role does not allow this"), "{page}");
        }
    }
    // Taken out between page and form.
    test_system.set_role("acme", ANA, "owner").await;
    let question_page = ana.open(&format!("/admin/acme/connections/end?person={}", test_system.person_id(BEN))).await;
    test_system.remove_member("acme", ANA).await;
    assert_eq!(heading(&ana.submit_and_follow(&question(&question_page)).await), "There is nothing here");
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_of_another_site_or_session_change_nothing() {
    let test_system = TestSystem::new().await;
    let (claude, tokens) = test_system.connect(ANA, "acme", SCOPE).await;
    let second = connects(&test_system, &claude, ANA, "acme").await;
    let (ana, ben) = (in_console(&test_system, ANA).await, in_console(&test_system, BEN).await);
    let url = format!("/admin/end?connection={}", grant_of(&tokens));
    let form = question(&ana.open(&url).await);
    let other_form = question(&ana.open(&format!("/admin/end?connection={}", grant_of(&second))).await);
    let all = question(&ana.open("/admin/end?all=yes").await);
    let value = |form: &Form| form.fields.iter().find(|(name, _)| name == "confirmation").unwrap().1.clone();
    let bens = question(&ben.open("/admin/end?all=yes").await);

    for (what, forged) in [
        ("none", form.clone().without("confirmation")),
        ("made up", form.clone().with("confirmation", "made-up")),
        ("of another connection", form.clone().with("confirmation", &value(&other_form))),
        ("of another question", form.clone().with("confirmation", &value(&all))),
        ("of one, for all", all.clone().with("confirmation", &value(&form))),
        ("of another page", Form { action: "/admin/acme/connections/end".to_owned(), ..form.clone() }),
        ("of all, with other numbers", all.clone().with("numbers", "of acme..7")),
        ("of another person", all.clone().with("confirmation", &value(&bens))),
    ] {
        assert_eq!(heading(&ana.submit_and_follow(&forged).await), "That did not come from this page", "{what}");
    }
    for headers in [
        &[("origin", "https://attacker.example"), ("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://attacker.example")],
        &[],
    ] {
        assert_eq!(ana.submit_with(&form, headers).await.status, 403, "{headers:?}");
    }
    // In another session: one's own after signing in again, and another's.
    let again = in_console(&test_system, ANA).await;
    assert_eq!(heading(&again.submit_and_follow(&form).await), "That did not come from this page");
    assert_eq!(heading(&ben.submit_and_follow(&form).await), "There is nothing here", "Ben has no such connection");
    let nobody = test_system.person(ANA);
    assert_eq!(nobody.submit(&form).await.location(), test_system.at("/auth/login?next=/admin"));
    assert_eq!(ana.open(&url.replace('?', "?confirm=yes&")).await.status, 200);
    assert!(works(&claude, &tokens).await && works(&claude, &second).await);

    let told = ana.submit_and_follow(&form).await;
    assert_eq!(heading(&told), "The connection has ended");
    // In the other tab, and by going back.
    assert_eq!(heading(&ana.submit_and_follow(&form).await), "The connection had ended before");
    assert_eq!(ends(&test_system, &grant_of(&tokens)).len(), 1);
    for answer in [&told, &ana.open("/admin").await, &ana.open("/admin/acme/keys").await] {
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.contains("form-action 'self'") && !policy.contains("script-src"), "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_supplied_text_is_escaped() {
    const EVIL: &str = "<img src=x onerror=alert(1)>\"'\u{202e}";
    let test_system = TestSystem::new().await;
    let acme = Tenant {
        id: TenantId::parse("acme").unwrap(),
        name: format!("Acme {EVIL}"),
        roles: vec![Role { name: EVIL.to_owned(), permissions: Scopes::ALL_PERMISSIONS }],
    };
    test_system.system().directory().put_tenant(&acme).await.unwrap();
    let client = test_system.connector("</title><script>alert(1)</script>").await;
    connects(&test_system, &client, BEN, "acme").await;
    let document = "https://app.example/client.json?%22%3E%3Cscript%3E";
    test_system.store_metadata_document(document, EVIL, &[test_system::CALLBACK]).await;
    let by_document = Connector {
        test_system: &test_system,
        client_id: document.to_owned(),
        redirect_uri: test_system::CALLBACK.to_owned(),
        secret: None,
    };
    let tokens = connects(&test_system, &by_document, ANA, "acme").await;
    test_system.set_role("acme", ANA, EVIL).await;
    let ana = in_console(&test_system, ANA).await;

    let form = question(&ana.open("/admin/acme/keys/new").await);
    let named = |name: &str| form.clone().with("name", name).with("may:skills:read", "1").with("life", "7");
    let wrong = ana.submit_and_follow(&named(EVIL)).await;
    assert_eq!((wrong.status, texts(&wrong, "[role=alert] li").len()), (200, 1), "{wrong:?}");
    let asked = ana.submit_and_follow(&named("\"><script>alert(1)</script>")).await;
    let made = ana.submit(&question(&asked)).await;
    test_system.track_secret(&texts(&made, "code.secret").concat());
    is_heard(&test_system).await;

    let mut pages = vec![wrong, asked, made];
    for path in [
        "/admin".to_owned(),
        "/admin/acme/connections".to_owned(),
        "/admin/acme/connections?person=%3Cscript%3E&client=%22%3E%3Cscript%3E".to_owned(),
        format!("/admin/acme/connections/end?connection={}", grant_of(&tokens)),
        format!("/admin/end?connection={}", grant_of(&tokens)),
        "/admin/acme/keys".to_owned(),
        "/admin/acme/activity".to_owned(),
    ] {
        pages.push(ana.open(&path).await);
    }
    test_system.set_role("acme", ANA, "painter\u{202e}<script>").await;
    pages.push(ana.open("/admin/acme/keys").await);
    for page in &pages {
        assert!(page.status < 404, "{page:?}");
        let html = Html::parse_document(&page.body);
        for element in ["img", "[onerror]"] {
            assert!(html.select(&Selector::parse(element).unwrap()).next().is_none(), "{element}: {}", page.body);
        }
        assert!(texts(page, "script").iter().all(|script| script.starts_with("'use strict' ")), "{}", page.body);
        // But for what a form repeats, within its value.
        let shown: String = texts(page, "body").concat();
        assert!(!shown.contains('\u{202e}'), "{shown}");
    }
    assert!(rows(&pages[4]).iter().any(|row| row.contains("</title><script>alert(1)</script>")));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_list_is_paginated_and_revoked_in_batches() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let [claude, cursor] = [test_system.connector("Claude").await, test_system.connector("Cursor").await];
    let (mut made, mut held) = (Vec::new(), Vec::new());
    for number in 0..PAGE + BATCH {
        // Some in the same second.
        test_system.advance(i64::from(number % 3 == 0));
        let tokens = connects(&test_system, &claude, BEN, "acme").await;
        made.push(grant_of(&tokens));
        held.push(tokens);
    }
    let others = connects(&test_system, &cursor, VERA, "acme").await;
    // What has ended, or never began, is not there.
    for number in 0..5 {
        let ended = connects(&test_system, &cursor, BEN, "acme").await;
        cursor.revoke(&ended.access).await;
        cursor.approve_directly(SCOPE, if number % 2 == 0 { BEN } else { ANA }, "acme").await;
    }
    test_system.advance(61);
    let ana = in_console(&test_system, ANA).await;
    let ben = test_system.person_id(BEN);
    calls.clear();

    let (mut url, mut found) = (format!("/admin/acme/connections?person={ben}"), Vec::new());
    let mut pages = 0;
    loop {
        let page = ana.open(&url).await;
        assert!(rows(&page).len() <= PAGE);
        let of_page = links(&page, "td.act a").into_iter().map(|link| link.split_once('=').unwrap().1.to_owned());
        found.extend(of_page);
        pages += 1;
        let Some(next) = links(&page, "nav.pages a[rel=next]").pop() else { break };
        url = next;
    }
    let (distinct, all): (BTreeSet<_>, BTreeSet<_>) = (found.iter().collect(), made.iter().collect());
    assert_eq!((found.len(), pages), (made.len(), 2));
    assert_eq!(distinct, all);
    let second = |id: &String| made.iter().position(|known| known == id).unwrap() / 3;
    assert!(found.iter().map(second).is_sorted_by(|one, next| one >= next), "the newest first");
    let _ = calls.take();
    assert_eq!(calls.requests(), 4 * pages, "one to be let in, one to find, one to read, one for the budget");
    for cursor in ["x", "!", "MTc5NTMzOTgwMA", &"A".repeat(600)] {
        assert_eq!(ana.open(&format!("/admin/acme/connections?after={cursor}")).await.status, 400, "{cursor}");
        assert_eq!(ana.open(&format!("/admin?after={cursor}")).await.status, 400, "{cursor}");
    }

    // All of Ben's by one write; what marking them costs is what is his.
    calls.clear();
    let told = confirms(&ana, &format!("/admin/acme/connections/end?person={ben}")).await;
    assert_eq!(
        outcome(&told),
        (ENDED, "Every connection of this person in Acme has ended. 58 were listed.".to_owned())
    );
    let writes = calls.take().iter().filter(|call| call.action == "dynamodb:UpdateItem").count();
    // Three codes that may be exchanged at this moment end with them.
    assert_eq!(writes, made.len() + 3 + 1);
    for tokens in &held {
        assert!(!works(&claude, tokens).await);
    }
    assert!(works(&cursor, &others).await);
    assert_eq!(rows(&ana.open("/admin/acme/connections").await).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_is_created_and_shown_once() {
    let test_system = TestSystem::new().await;
    let ana = in_console(&test_system, ANA).await;
    let count = async || test_system.count("keys").await;
    let before = count().await;
    let form = question(&ana.open("/admin/acme/keys/new").await);
    let described = form.with("name", "nightly export").with("may:skills:read", "1").with("life", "30");

    for (changed, field) in [
        (described.clone().with("name", " \u{200b} "), "#name"),
        (described.clone().without("may:skills:read"), "#may"),
        (described.clone().with("life", "36500"), "#life"),
    ] {
        let wrong = ana.submit_and_follow(&changed).await;
        assert_eq!((wrong.status, links(&wrong, "[role=alert] a")), (200, vec![field.to_owned()]));
        let (kept, typed) =
            (Form::find(&wrong, "step").unwrap(), |name: &str| changed.fields.iter().any(|it| it.0 == name));
        assert_eq!(kept.fields.iter().any(|(name, _)| name == "may:skills:read"), typed("may:skills:read"), "{kept:?}");
        let focus = if field == "#may" { "[type=checkbox][autofocus]" } else { "[autofocus]" };
        assert_eq!((count_of(&wrong, focus), count_of(&wrong, "[autofocus]")), (1, 1), "{field}: {wrong:?}");
    }
    let asked = ana.submit_and_follow(&described).await;
    assert_eq!(heading(&asked), "Make the API key “nightly export”?");
    let agreed = question(&asked);
    // What was agreed to is what is made.
    for (field, value) in
        [("may", "skills:read tools:execute"), ("life", "never"), ("name", "other"), ("shown", "1999999999")]
    {
        let refused = ana.submit_and_follow(&agreed.clone().with(field, value)).await;
        assert_eq!(heading(&refused), "That did not come from this page", "{field}");
    }
    assert_eq!(count().await, before, "describing makes nothing");

    let answers = test_system::all((0..4).map(|_| ana.submit(&agreed))).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(made.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    assert_eq!(made[0].header("cache-control"), Some("no-store"));
    let key = texts(made[0], "code.secret").concat();
    test_system.track_secret(&key);
    assert_eq!(count().await, before + 1, "the key");
    assert_eq!(test_system.call(Some(&key), "tools/list", json!({})).await.status, 200);

    let again = ana.submit_and_follow(&agreed).await;
    assert_eq!(heading(&again), "This key has been made already");
    test_system.settled().await;
    test_system.stop_cutting_pages();
    let page = ana.open("/admin/acme/keys").await;
    for page in [&page, &again] {
        assert!(!page.body.contains("sk_"), "{page:?}");
    }
    let row = rows(&page).into_iter().find(|row| row.contains("nightly export")).unwrap();
    assert!(row.contains("Read skills") && row.contains("by you; works until 2026-12-22"), "{row}");
    assert!(row.contains("2026-11-22 09:30 UTC or up to an hour later"), "{row}");

    let id = shared::oauth::api_key::ApiKey::parse(&key).unwrap().id.to_text();
    let told = confirms(&ana, &format!("/admin/acme/keys/revoke?key={id}")).await;
    assert_eq!(heading(&told), "The key is revoked");
    assert_eq!(test_system.call(Some(&key), "tools/list", json!({})).await.status, 401);
    // Nor does reloading the page bring it, or another, back.
    let again = ana.submit_and_follow(&agreed).await;
    assert_eq!(heading(&again), "This key has been made already");
    assert!(again.body.contains("and has been revoked or has expired since"), "{again:?}");
    assert_eq!(count().await, before + 1);
    let person = test_system.person_id(ANA).to_string();
    let revoked: Vec<_> =
        test_system.audit("key_revoked").into_iter().filter(|event| event["key"] == id.as_str()).collect();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0]["person"], person.as_str());
    is_heard(&test_system).await;
    let activity = rows(&ana.open("/admin/acme/activity").await);
    for what in ["An API key was made", "An API key was revoked"] {
        assert!(
            activity.iter().any(|row| row.contains(what) && row.contains(&id) && row.contains(&person)),
            "{activity:#?}"
        );
    }

    // A form that lay open for an hour; and a session that was ended elsewhere.
    let fresh = async || question(&ana.submit_and_follow(&described).await);
    let stale = fresh().await;
    test_system.advance(3601);
    let ana = in_console(&test_system, ANA).await;
    assert_eq!(heading(&ana.submit_and_follow(&stale).await), "That did not come from this page", "another session");
    let form = question(&ana.open("/admin/acme/keys/new").await);
    let described = form.with("name", "nightly export").with("may:skills:read", "1").with("life", "30");
    let form = question(&ana.submit_and_follow(&described).await);
    let cookies = ana.cookie_header();
    let out = Form::find(&ana.open("/admin").await, "next").unwrap();
    ana.submit(&out).await;
    let request = test_system.http().post(test_system.at("/admin/acme/keys/new")).header("cookie", cookies);
    let request =
        request.header("content-type", "application/x-www-form-urlencoded").header("sec-fetch-site", "same-origin");
    let refused = test_system.send(request.body(test_system::person::encoded(&form.fields))).await;
    assert_eq!(refused.status, 303, "{refused:?}");
    assert!(!refused.body.contains("sk_"), "{refused:?}");
    assert_eq!(count().await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_scopes_are_limited_to_its_makers() {
    let test_system = TestSystem::new().await;
    let keeper = Role { name: "keeper".to_owned(), permissions: Scopes::parse("skills:read connections:manage") };
    let acme = Tenant { id: TenantId::parse("acme").unwrap(), name: "Acme".to_owned(), roles: vec![keeper] };
    test_system.system().directory().put_tenant(&acme).await.unwrap();
    test_system.set_role("acme", VERA, "keeper").await;
    let vera = in_console(&test_system, VERA).await;
    let page = vera.open("/admin/acme/keys/new").await;
    assert_eq!(texts(&page, "label.choice"), ["Read skills", "Manage connections and keys"]);

    let described = question(&page).with("name", "a").with("life", "7").with("may:tools:execute", "1");
    let wrong = vera.submit_and_follow(&described).await;
    assert_eq!(links(&wrong, "[role=alert] a"), ["#may"], "what is not offered cannot be ticked");
    let described = described.with("may:skills:read", "1").with("may:connections:manage", "1");
    let asked = question(&vera.submit_and_follow(&described).await);
    assert!(asked.fields.contains(&("may".to_owned(), "skills:read connections:manage".to_owned())), "{asked:?}");
    // Her role becomes less before she confirms.
    let less = Role { name: "keeper".to_owned(), permissions: Scopes::parse("connections:manage") };
    let acme = Tenant { roles: vec![less], ..acme };
    test_system.system().directory().put_tenant(&acme).await.unwrap();
    assert_eq!(heading(&vera.submit_and_follow(&asked).await), "This link or form is not complete");
}

/// What changed connections and keys stays on the first page however much a viewer calls, and what there was nothing of is told nowhere.
/// Both can be shown by event and by person.
#[tokio::test(flavor = "multi_thread")]
async fn calls_push_no_change_off_the_activity() {
    const MANY: usize = 60;
    let test_system = TestSystem::new().await;
    let (claude, of_ana) = test_system.connect(ANA, "acme", "skills:read").await;
    let (cursor, of_vera) = test_system.connect(VERA, "acme", "skills:read entities:read").await;
    let (ana_id, vera_id) = (test_system.person_id(ANA), test_system.person_id(VERA));
    let ana = in_console(&test_system, ANA).await;
    for _ in 0..MANY {
        let nothing = json!({ "type": "invoice", "id": "none" });
        assert_eq!(cursor.tool(&of_vera.access, "read_entity", nothing).await.status, 200);
        let nothing = json!({ "name": "none", "arguments": {} });
        assert_eq!(cursor.call(&of_vera.access, "prompts/get", nothing).await.json()["error"]["code"], -32602);
        let style = json!({ "name": "house-style" });
        assert_eq!(cursor.tool(&of_vera.access, "read_skill", style).await.status, 200);
    }
    assert_eq!(claude.tool(&of_ana.access, "read_skill", json!({ "name": "house-style" })).await.status, 200);
    is_heard(&test_system).await;
    let shown = async |query: &str| activity_pages(&ana, query).await.concat();
    let count = |rows: &[String], what: &str| rows.iter().filter(|row| row.contains(what)).count();

    let changes = shown("").await;
    assert_eq!(count(&changes, "was approved"), 2, "{changes:#?}");
    assert_eq!((count(&changes, "was called"), count(&changes, "was used")), (0, 0), "{changes:#?}");

    let pages = activity_pages(&ana, "section=calls").await;
    assert!(pages.len() > 1 && pages.iter().all(|page| page.len() <= 50), "{pages:#?}");
    let calls = pages.concat();
    assert_eq!(count(&calls, "The tool read_skill was called"), MANY + 1, "{calls:#?}");
    assert_eq!((count(&calls, "was approved"), count(&calls, "not found")), (0, 0), "{calls:#?}");

    let of_person = shown(&format!("section=calls&event=tool_called&person={ana_id}")).await;
    assert_eq!((of_person.len(), count(&of_person, ana_id.as_str())), (1, 1), "{of_person:#?}");
    let approved = shown(&format!("event=grant_approved&person={vera_id}")).await;
    assert_eq!((approved.len(), count(&approved, vera_id.as_str())), (1, 1), "{approved:#?}");
    assert_eq!(shown("event=key_made").await.len(), 0);
    let wrong = ana.open("/admin/acme/activity?person=ana").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("A person's id is what stands in the column"), "{wrong:?}");
    for query in ["section=all", "event=Grant"] {
        assert_eq!(ana.open(&format!("/admin/acme/activity?{query}")).await.status, 404, "{query}");
    }

    // For scripts it is the same.
    let (key, _) = test_system.create_api_key(ANA, "acme", "connections:manage", None).await;
    let listed = async |query: &str| {
        let url = test_system.at(&format!("/admin/api/tenants/acme/activity?{query}"));
        test_system.send(test_system.http().get(url).bearer_auth(&key)).await
    };
    let events = async |query: &str| {
        let (mut events, mut next) = (Vec::new(), query.to_owned());
        loop {
            let page = listed(&next).await.json();
            events.extend(page["events"].as_array().unwrap().iter().map(|it| it["event"].as_str().unwrap().to_owned()));
            let Some(after) = page["next"].as_str() else { return events };
            next = format!("{query}&after={after}");
        }
    };
    let changes = events("section=changes").await;
    assert!(changes.iter().any(|event| event == "grant_approved"), "{changes:?}");
    assert!(changes.iter().all(|event| event != "tool_called"), "{changes:?}");
    assert_eq!(events(&format!("event=grant_approved&person={vera_id}")).await, ["grant_approved"]);
    let both = events("").await;
    assert_eq!(both[..3], ["tool_called", "grant_used", "tool_called"].map(str::to_owned), "{both:?}");
    assert_eq!(both.iter().filter(|event| *event == "grant_approved").count(), 2, "{both:?}");
    for query in ["section=all", "event=Grant", "person=ana"] {
        assert_eq!(listed(query).await.status, 400, "{query}");
    }
}

/// One rule for one factor and for two: what others have is shown to a session that Supabase confirmed at most a minute ago.
#[tokio::test(flavor = "multi_thread")]
async fn session_ended_elsewhere_shows_nothing_after_a_minute() {
    let test_system = crate::pages::with_mia().await;
    let mia = mia_in_console(&test_system).await;
    let ana = in_console(&test_system, ANA).await;
    let pages = ["/admin", "/admin/acme/connections", "/admin/acme/keys", "/admin/acme/activity"];
    for (person, email) in [(&mia, crate::pages::MIA), (&ana, ANA)] {
        for page in pages {
            assert_eq!(person.open(page).await.status, 200, "{email} {page}");
        }

        test_system.supabase().sign_out_everywhere(email);
        test_system.advance(60);

        for page in pages {
            let answer = person.open(page).await;
            assert_eq!(answer.status, 303, "{email} {page}");
            assert!(answer.location().contains("/auth/login?next="), "{email} {page}: {}", answer.location());
        }
    }
}

/// A session that has ended elsewhere is good for a minute, with two factors as with one: enough to look, and to change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn session_ended_elsewhere_changes_nothing() {
    const USER: &str = "/auth/v1/user";
    let test_system = crate::pages::with_mia().await;
    let mia = mia_in_console(&test_system).await;
    let claude = test_system.connector("Claude").await;
    let ask = claude.authorization_request(SCOPE);
    let code = mia.code(&ask, "acme").await;
    let kept =
        [claude.exchange(&ask, &code).await.tokens(&test_system), connects(&test_system, &claude, BEN, "acme").await];
    let (key, known) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;
    let describing = question(&mia.open("/admin/acme/keys/new").await);
    let described = describing.with("name", "nightly").with("may:skills:read", "1").with("life", "30");
    let mut forms = vec![described.clone(), question(&mia.submit_and_follow(&described).await)];
    for page in [
        format!("/admin/end?connection={}", grant_of(&kept[0])),
        "/admin/end?all=yes".to_owned(),
        format!("/admin/acme/connections/end?connection={}", grant_of(&kept[1])),
        format!("/admin/acme/connections/end?person={}", test_system.person_id(BEN)),
        format!("/admin/acme/connections/end?client={}", claude.client_id),
        format!("/admin/acme/keys/revoke?key={}", known.id.to_text()),
    ] {
        forms.push(question(&mia.open(&page).await));
    }
    let asked = test_system.supabase().request_count(USER);
    assert_eq!(mia.submit(&described).await.status, 303);
    assert_eq!(test_system.supabase().request_count(USER), asked + 1, "a change asks once");
    assert_eq!(mia.open("/admin/acme/connections").await.status, 200);
    assert_eq!(test_system.supabase().request_count(USER), asked + 1, "a page does not");

    // What takes power away works when Supabase does not; what gives it, or may, waits.
    test_system.supabase().set_down(true);
    let waits = mia.submit_and_follow(&described).await;
    assert_eq!((waits.status, heading(&waits).as_str()), (503, "That did not work just now"));
    let spare = connects(&test_system, &claude, BEN, "acme").await;
    let end = question(&mia.open(&format!("/admin/acme/connections/end?connection={}", grant_of(&spare))).await);
    assert_eq!(heading(&mia.submit_and_follow(&end).await), "The connection has ended");
    has_ended(&claude, &spare).await;
    test_system.supabase().set_down(false);

    test_system.supabase().sign_out_everywhere(crate::pages::MIA);

    // What happened before may still be on its way to the table of activity.
    let stored = || test_system.system().items().unwrap().into_iter().filter(|(table, _)| !table.ends_with("Activity"));
    let before: Vec<_> = stored().collect();
    for form in &forms {
        assert_eq!(heading(&mia.submit_and_follow(form).await), "Your session had ended", "{form:?}");
    }
    assert_eq!(stored().collect::<Vec<_>>(), before);
    assert!(works(&claude, &kept[0]).await && works(&claude, &kept[1]).await);
    assert_eq!(test_system.call(Some(&key), "ping", json!({})).await.status, 200);

    // One factor: asked in letting them in, and not a second time.
    let ana = in_console(&test_system, ANA).await;
    let form = question(&ana.open("/admin/end?all=yes").await);
    for seconds in [0, 61] {
        test_system.advance(seconds);
        let asked = test_system.supabase().request_count(USER);
        assert_eq!(ana.submit(&form).await.status, 303);
        assert_eq!(test_system.supabase().request_count(USER), asked + 1);
    }
}

/// Back and reload send no form: whatever a form is answered with stands at an address that is read. Browsers would ask, show nothing,
/// or send it again without a word. The page with a new key is the one exception.
#[tokio::test(flavor = "multi_thread")]
async fn form_responses_redirect_to_readable_pages() {
    let test_system = TestSystem::new().await;
    let (claude, first) = test_system.connect(ANA, "acme", SCOPE).await;
    connects(&test_system, &claude, BEN, "acme").await;
    let (_, known) = test_system.create_api_key(ANA, "acme", "skills:read", None).await;
    test_system.settled().await;
    let ana = in_console(&test_system, ANA).await;
    let describing = question(&ana.open("/admin/acme/keys/new").await);
    let described = describing.clone().with("name", "nightly").with("may:skills:read", "1").with("life", "30");
    let end = question(&ana.open(&format!("/admin/end?connection={}", grant_of(&first))).await);

    let mut addresses = BTreeSet::new();
    for (form, told) in [
        (end.clone().with("confirmation", "made-up"), "That did not come from this page"),
        (end.clone().with("connection", "none"), "There is nothing here"),
        (end.clone(), "The connection has ended"),
        (end, "The connection had ended before"),
        (question(&ana.open("/admin/end?all=yes").await), ENDED),
        (
            question(&ana.open(&format!("/admin/acme/connections/end?person={}", test_system.person_id(BEN))).await),
            ENDED,
        ),
        (
            question(&ana.open(&format!("/admin/acme/keys/revoke?key={}", known.id.to_text())).await),
            "The key is revoked",
        ),
        (describing.clone().without("step"), "This link or form is not complete"),
        (describing, "Make an API key"),
        (described, "Make the API key “nightly”?"),
    ] {
        let answer = ana.submit(&form).await;
        let (address, _) = answer.location().split_once("?notice=").unwrap_or_else(|| panic!("{told}: {answer:?}"));
        assert_eq!((answer.status, address), (303, test_system.at(&form.action).as_str()), "{told}");
        assert_eq!((answer.body.as_str(), answer.header("cache-control")), ("", Some("no-store")), "{told}");
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.ends_with("; Path=/; Max-Age=300; HttpOnly; SameSite=Lax"), "{cookie}");
        let [page, again] = [ana.open(answer.location()).await, ana.open(answer.location()).await];
        assert_eq!((page.status, heading(&page).as_str()), (200, told));
        assert_eq!(page.body, again.body, "{told}: a reload");
        // The reason is in the lines of the form's request.
        let reference = page.body.split_once("give this reference and the time: <code>").map(|(_, rest)| rest);
        let reference = reference.and_then(|rest| rest.split_once("</code>")).map(|(reference, _)| reference);
        let refused =
            ["That did not come from this page", "There is nothing here", "This link or form is not complete"];
        assert_eq!(reference, answer.header("apigw-requestid").filter(|_| refused.contains(&told)), "{told}");
        addresses.insert(answer.location().to_owned());
    }
    // What nobody remembers any more leads to the list, or to the form.
    ana.set_cookie("mcp-notice", "x");
    for address in addresses {
        let page = ana.open_following_redirects(&address).await;
        let (path, heading) = (address.split('?').next().unwrap().to_owned(), heading(&page));
        let known = ["Your connections", "Connections of Acme", "API keys of Acme", "Make an API key"];
        assert!(page.status == 200 && known.contains(&heading.as_str()), "{path}: {page:?}");
    }
}

/// Going back sends the form of "End all" again, in a browser that does not ask: what was connected since is not what was agreed to.
#[tokio::test(flavor = "multi_thread")]
async fn confirmation_form_is_accepted_once() {
    let test_system = TestSystem::new().await;
    let (claude, first) = test_system.connect(ANA, "acme", SCOPE).await;
    let ana = in_console(&test_system, ANA).await;
    let id = test_system.person_id(ANA);
    let mut tokens = first;
    for (url, whose, everywhere) in [
        ("/admin/end?all=yes".to_owned(), "of yours", ", in every workspace"),
        (format!("/admin/acme/connections/end?person={id}"), "of this person in Acme", ""),
        (format!("/admin/acme/connections/end?client={}", claude.client_id), "of this application in Acme", ""),
    ] {
        test_system.settled().await;
        let form = question(&ana.open(&url).await);
        let ended = format!("Every connection {whose} has ended{everywhere}. 1 was listed.");
        assert_eq!(outcome(&ana.submit_and_follow(&form).await), (ENDED, ended));
        has_ended(&claude, &tokens).await;
        tokens = connects(&test_system, &claude, ANA, "acme").await;

        let had_ended = format!(
            "Every connection {whose} that the page was about has ended. What was connected since stays. None was listed."
        );
        assert_eq!(outcome(&ana.submit_and_follow(&form).await), (ENDED, had_ended));
        assert!(works(&claude, &tokens).await, "{url}");
        // The numbers are part of what was agreed to.
        let later =
            question(&ana.open(&url).await).fields.iter().find(|(name, _)| name == "numbers").unwrap().1.clone();
        let later = form.with("numbers", &later);
        assert_eq!(heading(&ana.submit_and_follow(&later).await), "That did not come from this page", "{url}");
        assert!(works(&claude, &tokens).await, "{url}");
    }
}

/// The page of a new key is the answer to its form, as the key waits nowhere. Sent again, the form makes no other, also when one goes
/// back to the question and agrees again.
#[tokio::test(flavor = "multi_thread")]
async fn api_key_form_is_accepted_once() {
    let test_system = TestSystem::new().await;
    let ana = in_console(&test_system, ANA).await;
    let describing = question(&ana.open("/admin/acme/keys/new").await);
    let described = describing.with("name", "nightly").with("may:skills:read", "1").with("life", "30");
    let asked = ana.submit(&described).await;
    let agreed = question(&ana.open(asked.location()).await);
    let before = test_system.count("keys").await;
    let made = ana.submit(&agreed).await;
    assert_eq!((made.status, made.header("set-cookie")), (200, None), "{made:?}");
    let key = texts(&made, "code.secret").concat();
    test_system.track_secret(&key);
    let kept = test_system.count("keys").await;
    assert_eq!(kept, before + 1, "the key");

    let back = question(&ana.open(asked.location()).await);
    assert_eq!(back.fields, agreed.fields, "the question is the same");
    for form in [&agreed, &back] {
        let again = ana.submit_and_follow(form).await;
        assert_eq!(heading(&again), "This key has been made already");
        assert!(!again.body.contains(&key), "{again:?}");
        // Which, when, and how to replace it.
        let id = shared::oauth::api_key::ApiKey::parse(&key).unwrap().id.to_text();
        let told = texts(&again, "[role=status]").concat();
        assert_eq!(told, format!("The key nightly {id} was made on 2026-11-22 09:30 UTC. No other was made."));
        let ways = links(&again, ".actions a");
        assert_eq!(
            ways,
            [&format!("/admin/acme/keys/revoke?key={id}"), "/admin/acme/keys/new", "/admin/acme/keys"],
            "{again:?}"
        );
        assert_eq!(heading(&ana.open(&ways[0]).await), "Revoke the API key “nightly”?");
    }
    assert_eq!(test_system.count("keys").await, kept);
    // It is selected as a whole in WebKit too; what copies it shows itself where there is JavaScript.
    assert!(made.body.contains("-webkit-user-select: all; user-select: all;"), "{made:?}");
    assert_eq!(
        (texts(&made, "button[hidden]#copy").len(), texts(&made, "[role=status]#copied")),
        (1, vec![String::new()])
    );
    let policy = made.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'sha256-"), "{policy}");
}
