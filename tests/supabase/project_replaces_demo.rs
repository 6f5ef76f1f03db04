//! `cargo run -- --supabase`: a project of one's own in place of the fake Supabase, here a fake Supabase that is another program.

use std::net::TcpListener;
use std::path::PathBuf;

use local::error::LocalError;
use local::{Data, Options, System};
use serde_json::json;
use shared::oauth::tenant::{PersonId, TenantId};
use test_system::TestSystem;
use test_system::supabase_project::SupabaseProject;

use super::{approve_and_call, fake_supabase, is_consent, sign_in};

/// Ana of the demo.
const ANA: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01";
/// The project that is the fake Supabase of another system in here.
const PUBLISHABLE_KEY: &str = "sb_publishable_local";

fn options(project: &SupabaseProject, members: &[String]) -> Options {
    let mut options = Options { demo: true, ..Options::default() };
    project.replace_demo(&mut options, members);
    options
}

/// Why a system does not start.
async fn refused(options: Options) -> String {
    match Box::pin(System::start(options)).await {
        Err(failure) => failure.to_string(),
        Ok(system) => panic!("it starts at {}", system.issuer()),
    }
}

/// From registration to a tool's answer; of the demo there are the workspaces, and neither the people nor their key.
#[tokio::test(flavor = "multi_thread")]
async fn project_user_connects() {
    let project = fake_supabase().await;
    let made = project.create_user(&json!({})).await;
    let test_system = project.start_test_system(&[made.member("owner", "acme")]).await;
    let (person, connector) = (made.person(&test_system), test_system.connector("Claude").await);
    let ask = connector.authorization_request("tools:execute skills:read");

    let consent = sign_in(&person, &made.password, &ask.url).await;
    approve_and_call(&connector, &person, &ask, &consent).await;

    let system = test_system.system();
    assert!(system.demo().is_none() && system.supabase().is_none());
    assert_eq!(system.supabase_url(), project.url);
    let members = serde_json::to_value(system.memberships()).unwrap();
    assert_eq!(members, json!([{ "person": made.id, "role": "owner", "tenant": "acme", "name": "Acme" }]));
    let (ana, acme) = (PersonId::parse(ANA).unwrap(), TenantId::parse("acme").unwrap());
    assert!(system.directory().membership(&ana, &acme).await.unwrap().is_none());
    assert_eq!(test_system.count("keys").await, 0);
}

/// Whoever is in no workspace is shown the id that `--member` takes.
#[tokio::test(flavor = "multi_thread")]
async fn person_without_a_workspace_sees_their_user_id() {
    let project = fake_supabase().await;
    let made = project.create_user(&json!({})).await;
    let test_system = project.start_test_system(&[]).await;
    let (person, connector) = (made.person(&test_system), test_system.connector("Claude").await);
    let shown = format!("Your user id is <code>{}</code>", made.id);

    let nowhere = sign_in(&person, &made.password, &connector.authorization_request("skills:read").url).await;
    assert!(nowhere.body.contains("You are not in any workspace yet"), "{nowhere:?}");
    assert!(nowhere.body.contains(&shown), "{nowhere:?}");
    let elsewhere = connector.authorization_request_with(&[("resource", Some(&test_system.mcp_url_of("acme")))]);
    let outside = person.open_following_redirects(&elsewhere.url).await;
    assert!(outside.body.contains("you are not in one with that id"), "{outside:?}");
    assert!(outside.body.contains(&shown), "{outside:?}");

    let test_system = project.start_test_system(&[made.member("viewer", "globex")]).await;
    let (person, connector) = (made.person(&test_system), test_system.connector("Claude").await);
    let consent = sign_in(&person, &made.password, &connector.authorization_request("skills:read").url).await;
    assert!(is_consent(&consent) && consent.body.contains("Globex"), "{consent:?}");
}

/// A workspace file names members by user id.
#[tokio::test(flavor = "multi_thread")]
async fn workspace_file_names_project_users() {
    let project = fake_supabase().await;
    let made = project.create_user(&json!({})).await;
    let file = format!("tenants:\n  initech:\n    name: Initech\n    members:\n      {}: {{ role: admin }}\n", made.id);
    let path = temporary("members.yaml");
    std::fs::write(&path, file).unwrap();
    let options = Options { workspace: Some(path.clone()), ..options(&project, &[made.member("viewer", "initech")]) };

    let system = Box::pin(System::start(options)).await.unwrap();

    // The command line comes last.
    let members = serde_json::to_value(system.memberships()).unwrap();
    assert_eq!(members, json!([{ "person": made.id, "role": "viewer", "tenant": "initech", "name": "Initech" }]));
    std::fs::remove_file(path).unwrap();
}

/// Whoever can take an address would be owner: only who has confirmed it is found by it.
#[tokio::test(flavor = "multi_thread")]
async fn only_confirmed_addresses_identify_a_user() {
    let project = fake_supabase().await;
    let (made, taken) =
        (project.create_user(&json!({})).await, project.create_user(&json!({ "email_confirm": false })).await);
    let by_address = |email: &str| format!("{}=owner@acme", email.to_uppercase());

    let test_system = project.start_test_system(&[by_address(&made.email)]).await;
    assert_eq!(test_system.system().memberships()[0].person, made.id);
    let unconfirmed = refused(options(&project, &[by_address(&taken.email)])).await;
    let said = "yet, so it may be anybody's: confirm it, or name the person by user id";
    assert_eq!(unconfirmed, format!("nobody has confirmed the address {} {said}", taken.email));
    let nobody = refused(options(&project, &["nobody@example.com=owner@acme".to_owned()])).await;
    let said = "has the address nobody@example.com: let them sign up first, or name them by user id";
    assert_eq!(nobody, format!("nobody in the project at {} {said}", project.url));
    let forged = SupabaseProject::at(&project.url, &project.publishable_key, "sb_secret_other");
    let forged = refused(options(&forged, &[by_address(&made.email)])).await;
    let said = "does not take the key in SUPABASE_SECRET_KEY: copy a secret key of this project";
    assert_eq!(forged, format!("the project at {} {said}", project.url));
}

/// A project that takes addresses without a mail confirms nothing.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_rejected_with_autoconfirm() {
    let apart = TestSystem::new().await;
    apart.supabase().configure(|config| config.mailer_autoconfirm = true);
    let project = SupabaseProject::at(apart.system().supabase_url(), PUBLISHABLE_KEY, "sb_secret_local");

    let said = refused(options(&project, &["ana@example.com=owner@acme".to_owned()])).await;
    assert!(said.contains("takes every address as confirmed without a mail"), "{said}");
    let by_id = Box::pin(System::start(options(&project, &[format!("{ANA}=owner@acme")]))).await.unwrap();
    assert_eq!(by_id.memberships()[0].person, ANA);
}

/// What cannot be used is told before anything is begun, in a sentence that says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn unusable_project_is_reported_at_start() {
    let apart = TestSystem::new().await;
    let url = apart.system().supabase_url().to_owned();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = format!("http://{free}");
    let elsewhere = apart.issuer();

    for (url, key, begins, ends) in [
        (&url, "sb_publishable_other", "does not take this publishable key", "check that it is of this project"),
        (&silent, PUBLISHABLE_KEY, "nothing answers at", "`supabase start` if it is on this machine"),
        (&elsewhere, PUBLISHABLE_KEY, "is not Supabase Auth", "check the address"),
    ] {
        let said = refused(options(&SupabaseProject::at(url, key, "sb_secret_local"), &[])).await;
        assert!(said.contains(begins) && said.ends_with(ends) && said.contains(url.as_str()), "{said}");
        assert!(!said.contains(key), "{said}");
    }
    apart.supabase().set_down(true);
    let said = refused(options(&SupabaseProject::at(&url, PUBLISHABLE_KEY, "sb_secret_local"), &[])).await;
    assert_eq!(
        said,
        format!(
            "the project at {url} does not work at the moment (502 Bad Gateway): try again in a minute, and restore it if it \
             is paused"
        )
    );
}

/// Nobody is let in where one of several cannot be.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_workspace_or_role_is_reported() {
    let apart = TestSystem::new().await;
    let project = SupabaseProject::at(apart.system().supabase_url(), PUBLISHABLE_KEY, "sb_secret_local");
    for (member, said) in [
        (
            "owner@initech",
            "--member names the workspace initech, and there is none of that id; there are: acme, globex",
        ),
        (
            "clerk@acme",
            "--member names the role clerk, which workspace acme does not have; it has: owner, admin, member, viewer, editor",
        ),
    ] {
        let members = [format!("{ANA}=owner@acme"), format!("{ANA}={member}")];
        assert_eq!(refused(options(&project, &members)).await, said);
    }
}

/// The demo's people and their key open nothing in a folder that was begun for a project, and a project's people nothing in the
/// demo's.
#[tokio::test(flavor = "multi_thread")]
async fn data_dir_is_bound_to_one_project() {
    let project = fake_supabase().await;
    let made = project.create_user(&json!({})).await;
    let (demos, theirs) = (temporary("demo"), temporary("project"));
    let start = |options: Options, path: &PathBuf| {
        Box::pin(System::start(Options { data: Data::Directory(path.clone()), ..options }))
    };
    let demo = || Options { demo: true, ..Options::default() };
    start(demo(), &demos).await.unwrap().shutdown().await.unwrap();
    let member = [made.member("owner", "acme")];
    start(options(&project, &member), &theirs).await.unwrap().shutdown().await.unwrap();

    let apart = TestSystem::new().await;
    let other = SupabaseProject::at(apart.system().supabase_url(), PUBLISHABLE_KEY, "sb_secret_local");
    let kept = format!("the project at {}", project.url);
    for (options, path, of) in [
        (options(&project, &[]), &demos, "the people of the demo"),
        (demo(), &theirs, kept.as_str()),
        (options(&other, &[]), &theirs, kept.as_str()),
    ] {
        let Err(failure) = start(options, path).await else { panic!("it starts") };
        assert!(matches!(failure, LocalError::SupabaseProject(_)), "{failure}");
        let said = "whose people are not those that would sign in now: choose another one with --data-dir DIR";
        assert_eq!(failure.to_string(), format!("the folder is kept for {of}, {said}"));
    }
    let again = start(options(&project, &[]), &theirs).await.unwrap();
    assert_eq!(again.memberships()[0].person, made.id);
    again.shutdown().await.unwrap();
    for folder in [demos, theirs] {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("amble-{}-{name}", std::process::id()))
}
