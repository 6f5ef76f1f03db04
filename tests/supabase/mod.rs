//! Supabase projects apart from the system: the fake Supabase as a program of its own or, by `tests/run sign-in`, a real one.

mod project_replaces_demo;
mod sign_in_methods;

use serde_json::json;
use test_system::connector::{AuthorizationRequest, Connector};
use test_system::http_response::HttpResponse;
use test_system::person::{Form, Person};
use test_system::supabase_project::SupabaseProject;

/// The fake Supabase, for one test.
async fn fake_supabase() -> SupabaseProject {
    SupabaseProject::start(env!("CARGO_BIN_EXE_fake-supabase")).await
}

/// Signs in by password.
async fn sign_in(person: &Person<'_>, password: &str, url: &str) -> HttpResponse {
    let page = person.open_following_redirects(url).await;
    let form = Form::find(&page, "password").unwrap_or_else(|| panic!("no sign-in page: {page:?}"));
    person.submit_and_follow(&form.with("email", &person.email).with("password", password)).await
}

fn is_consent(page: &HttpResponse) -> bool {
    Form::find(page, "decision").is_some()
}

/// From the consent page to a tool's answer.
async fn approve_and_call(
    connector: &Connector<'_>,
    person: &Person<'_>,
    ask: &AuthorizationRequest,
    consent: &HttpResponse,
) {
    let form = Form::find(consent, "decision").unwrap_or_else(|| panic!("no consent page: {consent:?}"));
    let landed = person.submit(&form.with("tenant", "acme").with("decision", "approve")).await;
    let code = landed.redirect_parameters().remove("code").unwrap_or_else(|| panic!("no code: {landed:?}"));
    let tokens = connector.exchange(ask, &code).await.tokens(connector.test_system);
    let answered = connector.tool(&tokens.access, "roll_dice", json!({ "dice": 2, "sides": 6 })).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert!(answered.json()["result"]["structuredContent"]["total"].is_i64(), "{answered:?}");
}
