//! Supabase projects apart from the system: the fake Supabase as a program of its own or, by `tests/run sign-in`, a real one.

mod in_place_of_the_demo;
mod ways;

use serde_json::json;
use world::answer::Answer;
use world::connector::{Ask, Connector};
use world::person::{Form, Person};
use world::project::Project;

/// The fake Supabase, for one test.
async fn fake_supabase() -> Project {
    Project::start(env!("CARGO_BIN_EXE_fake-supabase")).await
}

/// Signs in by password.
async fn signs_in(person: &Person<'_>, password: &str, url: &str) -> Answer {
    let page = person.visit(url).await;
    let form = Form::find(&page, "password").unwrap_or_else(|| panic!("no sign-in page: {page:?}"));
    person.sends(&form.with("email", &person.email).with("password", password)).await
}

fn is_consent(page: &Answer) -> bool {
    Form::find(page, "decision").is_some()
}

/// From the consent page to a tool's answer.
async fn approves_and_calls(connector: &Connector<'_>, person: &Person<'_>, ask: &Ask, consent: &Answer) {
    let form = Form::find(consent, "decision").unwrap_or_else(|| panic!("no consent page: {consent:?}"));
    let landed = person.submit(&form.with("tenant", "acme").with("decision", "approve")).await;
    let code = landed.redirected().remove("code").unwrap_or_else(|| panic!("no code: {landed:?}"));
    let tokens = connector.exchange(ask, &code).await.tokens(connector.world);
    let answered = connector.tool(&tokens.access, "roll_dice", json!({ "dice": 2, "sides": 6 })).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert!(answered.json()["result"]["structuredContent"]["total"].is_i64(), "{answered:?}");
}
