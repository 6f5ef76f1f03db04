//! What `amble doctor` says of the Supabase project that people sign in with, and of the mails that it does not send.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fakes::supabase::config::{AccessTokenHook, Config};
use local::{Options, System};
use serde_json::{Value, json};
use shared::clock::{Clock, Timestamp};
use tokio::net::TcpListener;

use crate::program::Amble;

const ANA: [&str; 4] = ["--person", "ana@example.com", "--password-env", "ANAS_PASSWORD"];
const KEY: &str = "sb_publishable_local";

async fn system() -> System {
    System::start(Options { demo: true, ..Options::default() }).await.unwrap()
}

fn amble() -> Amble {
    Amble(Vec::new()).with("ANAS_PASSWORD", "ana-demo")
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name}: {report}"))
}

/// What it finds of the project, each by its code, with what it saw.
async fn findings(system: &System, project: &str, key: &str, with_ana: bool) -> (Value, Vec<String>) {
    let url = system.mcp_url();
    let mut words = vec!["doctor", &url, "--supabase", project, "--supabase-key", key, "--json"];
    words.extend(ANA.iter().filter(|_| with_ana));
    let ended = amble().run(&words).await;
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let check = check(&report, "supabase").clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found = check["findings"].as_array().unwrap().iter();
    let found = found.map(|it| format!("{} {}: {}", text(&it["verdict"]), text(&it["code"]), text(&it["seen"])));
    let found = found.map(|line| line.replace(system.supabase_url(), "{at}").replace(project, "{project}")).collect();
    (check, found)
}

#[tokio::test(flavor = "multi_thread")]
async fn project_settings_are_reported_by_their_names() {
    const NO_AMR: &str = "tokens do not say how people signed in (amr)";
    type Set = fn(&mut Config);
    let drops: Set = |config| config.access_token_hook = Some(AccessTokenHook::keeps_required());
    let system = system().await;
    let cases: [(&str, bool, Set, Vec<String>); 6] = [
        ("as it is", true, |_| {}, vec![]),
        (
            "sign-up off",
            true,
            |config| config.disable_signup = true,
            vec!["weak sign_up_off: sign-up is off (disable_signup)".to_owned()],
        ),
        ("e-mail off", false, |config| config.email_enabled = false, vec![]),
        ("a hook without amr", true, drops, vec![format!("weak amr_dropped: {NO_AMR}")]),
        (
            "the same, beside Supabase's own OAuth server",
            true,
            |config| {
                config.access_token_hook = Some(AccessTokenHook::keeps_required());
                config.oauth_server_enabled = true;
            },
            vec![format!("broken amr_dropped: {NO_AMR}, and the project's own OAuth server is on")],
        ),
        ("that server, and nothing dropped", true, |config| config.oauth_server_enabled = true, vec![]),
    ];
    for (name, with_ana, set, expected) in cases {
        system.supabase().unwrap().configure(|config| {
            *config = Config::default();
            set(config);
        });
        let (check, found) = findings(&system, system.supabase_url(), KEY, with_ana).await;
        assert_eq!(found, expected, "{name}: {check}");
        let verdict = expected.first().map_or("well", |line| line.split(' ').next().unwrap());
        assert_eq!(check["verdict"], verdict, "{name}: {check}");
    }
    // Without a person nobody can tell.
    let (check, _) = findings(&system, system.supabase_url(), KEY, false).await;
    assert_eq!(check["verdict"], "skipped", "{check}");
    assert!(check["seen"].to_string().contains("keeps the claims amr and client_id"), "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn misbehaving_project_is_reported() {
    const SERVER: &str = "/auth/v1/.well-known/oauth-authorization-server";
    let system = system().await;
    let at = system.supabase_url().to_owned();

    let (check, found) = findings(&system, &at, "sb_publishable_of_another", false).await;
    let refused = "broken supabase_refuses: GET {at}/auth/v1/settings answers 401 (application/json)";
    assert_eq!(found, [refused], "{check}");
    let elsewhere = at.replace("localhost", "127.0.0.1");
    let (check, found) = findings(&system, &elsewhere, KEY, false).await;
    let issuer =
        "broken supabase_issuer: its tokens name the issuer {at}/auth/v1, and the deployment accepts {project}/auth/v1";
    assert_eq!(found, [issuer], "{check}");
    let (check, found) = findings(&system, "http://127.0.0.1:1", KEY, true).await;
    assert!(found.len() == 1 && found[0].starts_with("broken supabase_no_answer: GET {project}"), "{check}");

    system.supabase().unwrap().set_path_down(SERVER, true);
    let (check, found) = findings(&system, &at, KEY, true).await;
    assert_eq!(found.len(), 1, "{check}");
    assert!(found[0].starts_with("weak oauth_server_unknown: GET {at}") && found[0].contains("answers 502"), "{check}");
    system.supabase().unwrap().set_path_down(SERVER, false);
    system.supabase().unwrap().use_shared_secret(true);
    let (check, found) = findings(&system, &at, KEY, true).await;
    assert_eq!(
        found,
        ["weak shared_secret: the project publishes no key (jwks.json): it signs with a shared secret"],
        "{check}"
    );

    // The doctor's sessions are gone.
    assert_eq!(system.supabase().unwrap().request_count("/auth/v1/logout"), 2);
}

/// Settings that the fake Supabase does not have.
#[tokio::test(flavor = "multi_thread")]
async fn project_without_sign_in_methods_is_reported() {
    let system = system().await;
    for (settings, expected) in [
        (
            json!({ "external": { "email": false, "phone": true, "github": false }, "disable_signup": true }),
            "broken no_way_to_sign_in: neither e-mail (external.email) nor any provider is on",
        ),
        (
            json!({ "external": { "email": true }, "disable_signup": false, "mailer_autoconfirm": true }),
            "weak addresses_unconfirmed: addresses count as confirmed without a mail (mailer_autoconfirm)",
        ),
    ] {
        let answer = move |request: Request| {
            let settings = settings.clone();
            async move {
                let path = request.uri().path().to_owned();
                if path.ends_with("/settings") { axum::Json(settings).into_response() } else { disabled() }
            }
        };
        let project = serve(answer).await;
        let (check, found) = findings(&system, &project, KEY, false).await;
        assert_eq!(found, [expected], "{check}");
    }
}

fn disabled() -> Response {
    let body = json!({ "code": "feature_disabled", "message": "x" });
    (StatusCode::NOT_FOUND, axum::Json(body)).into_response()
}

/// Serves `answer` at every path; the address.
async fn serve<A, F>(answer: A) -> String
where
    A: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    address
}

/// A stack of this project, and what the log of its function login has, by page; without pages one may not look.
async fn of_stack(system: &System, login_url: &str, pages: Option<Vec<Value>>) -> Amble {
    let parameters = [
        ("SupabaseUrl", system.supabase_url()),
        ("SupabasePublishableKey", KEY),
        ("SupabaseIssuer", ""),
        ("LoginUrl", login_url),
    ];
    let outputs = [("TableClients", "clients".to_owned()), ("ConnectorUrl", system.mcp_url())];
    let stack = described(&parameters, &outputs);
    let address = serve(move |request: Request| {
        let (stack, pages) = (stack.clone(), pages.clone());
        async move { aws(request, stack, pages).await }
    });
    Amble::of_environment(&address.await)
}

fn described(parameters: &[(&str, &str)], outputs: &[(&str, String)]) -> String {
    let member = |kind: &str, key: &str, value: &str| {
        format!("<member><{kind}Key>{key}</{kind}Key><{kind}Value>{value}</{kind}Value></member>")
    };
    let parameters: String = parameters.iter().map(|(key, value)| member("Parameter", key, value)).collect();
    let outputs: String = outputs.iter().map(|(key, value)| member("Output", key, value)).collect();
    format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks><member>\
         <StackName>amble</StackName><CreationTime>2026-11-29T00:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>\
         <Parameters>{parameters}</Parameters><Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult>\
         </DescribeStacksResponse>"
    )
}

async fn aws(request: Request, stack: String, pages: Option<Vec<Value>>) -> Response {
    let Some(target) = request.headers().get("x-amz-target").cloned() else { return stack.into_response() };
    assert_eq!(target, "Logs_20140328.FilterLogEvents");
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&asked["logGroupName"], &asked["filterPattern"]),
        (&json!("/aws/lambda/amble-login"), &json!("{ $.SignInMailFailed > 0 }"))
    );
    let kind = [("content-type", "application/x-amz-json-1.1")];
    let Some(pages) = pages else {
        let denied = json!({ "__type": "AccessDeniedException", "message": "not allowed" });
        return (StatusCode::BAD_REQUEST, kind, denied.to_string()).into_response();
    };
    let page: usize = asked["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let next = (page + 1 < pages.len()).then(|| (page + 1).to_string());
    let answer = json!({ "events": pages.get(page).cloned().unwrap_or(json!([])), "nextToken": next });
    (kind, answer.to_string()).into_response()
}

/// Nobody who asked for a mail was told: what the log has is told here, in words that name the setting.
#[tokio::test(flavor = "multi_thread")]
async fn failed_mails_are_reported_with_the_setting_to_change() {
    let system = system().await;
    let now = Clock::system().now().seconds();
    let event = |ago: i64, setting: &str| {
        let reason = format!("no code mailed: why; look at {setting}");
        let line = json!({ "target": "request", "function": "login", "SignInMailFailed": 1, "reason": reason });
        json!({ "timestamp": (now - ago) * 1000, "message": line.to_string() })
    };
    let pages = vec![
        json!([
            event(500, "EXTERNAL_EMAIL_MAGIC_LINK_ENABLED (x)"),
            event(400, "EXTERNAL_EMAIL_MAGIC_LINK_ENABLED (x)")
        ]),
        json!([]),
        json!([
            event(300, "SMTP_HOST (x)"),
            event(200, "EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES (x)"),
            event(100, "RATE_LIMIT_EMAIL_SENT (x)"),
            event(95, "MAILER_EMAIL_VALIDATION_EXTENDED (x)"),
            event(90, "HOOK_SEND_EMAIL (x)"),
            event(80, "SOMETHING_NEW"),
        ]),
    ];
    let report = of_stack(&system, "", Some(pages)).await.json(&["doctor", "--stack", "amble"]).await;

    let mails = check(&report, "sign_in_mails");
    let found: Vec<_> = mails["findings"].as_array().unwrap().iter().map(|it| (&it["code"], &it["seen"])).collect();
    let seen = |times: u8, ago: i64, setting: &str| {
        let last = Timestamp::from_seconds(now - ago).to_rfc3339();
        json!(format!("{times} failed in the last day, the last at {last}: no code mailed: why; look at {setting}"))
    };
    let expected = [
        (json!("mail_failed"), seen(1, 80, "SOMETHING_NEW")),
        (json!("mail_server"), seen(1, 300, "SMTP_HOST (x)")),
        (json!("mail_not_authorized"), seen(1, 200, "EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES (x)")),
        (json!("magic_link_off"), seen(2, 400, "EXTERNAL_EMAIL_MAGIC_LINK_ENABLED (x)")),
        (json!("mails_used_up"), seen(1, 100, "RATE_LIMIT_EMAIL_SENT (x)")),
        (json!("address_refused"), seen(1, 95, "MAILER_EMAIL_VALIDATION_EXTENDED (x)")),
        (json!("mail_hook"), seen(1, 90, "HOOK_SEND_EMAIL (x)")),
    ];
    let mut expected: Vec<_> = expected.iter().map(|(code, seen)| (code, seen)).collect();
    let mut found = found;
    expected.sort_by_key(|it| it.0.to_string());
    found.sort_by_key(|it| it.0.to_string());
    assert_eq!((&mails["verdict"], found), (&json!("weak"), expected), "{mails}");
    assert_eq!(check(&report, "supabase")["findings"], json!([]), "by the stack's parameters: {report}");

    for (pages, verdict, seen) in [
        (Some(vec![]), "well", "no mail failed in the last day"),
        (None, "skipped", "/aws/lambda/amble-login could not be read, which takes logs:FilterLogEvents: not allowed"),
    ] {
        let report = of_stack(&system, "", pages).await.json(&["doctor", "--stack", "amble"]).await;
        let mails = check(&report, "sign_in_mails");
        assert_eq!((&mails["verdict"], &mails["seen"][0]), (&json!(verdict), &json!(seen)));
    }
    // A page of the product's own sends its mails itself.
    let amble = of_stack(&system, "https://app.example.com/sign-in", None).await;
    let report = amble.json(&["doctor", "--stack", "amble"]).await;
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["check"] != "sign_in_mails"), "{report}");
    let without = Amble(Vec::new()).json(&["doctor", &system.mcp_url()]).await;
    assert!(check(&without, "supabase")["seen"][0].as_str().unwrap().starts_with("give --supabase"), "{without}");
}
