//! `amble doctor`: all well where all is well; and whatever is broken on purpose is found, named, and nothing else is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use local::front::Front;
use local::{Data, Options, System};
use serde_json::{Value, json};
use shared::clock::{Clock, Timestamp};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::workspace_layout::WorkspaceLayout;

use crate::program::{Amble, TempDir};
use crate::response_proxy::{Answer, Change, ProxiedRequest, ResponseProxy};

const WITH_ANA: [&str; 4] = ["--person", "ana@example.com", "--password-env", "ANAS_PASSWORD"];

fn amble() -> Amble {
    Amble(Vec::new()).with("ANAS_PASSWORD", "ana-demo")
}

/// How long answers take is this machine's affair while tests run.
fn findings(report: &Value) -> Vec<Value> {
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["check"] != "speed");
    let found = checks.flat_map(|check| check["findings"].as_array().unwrap().iter().map(move |it| (check, it)));
    found
        .map(|(check, it)| {
            json!(format!(
                "{} {}: {}: {}",
                it["verdict"].as_str().unwrap(),
                check["check"].as_str().unwrap(),
                it["code"].as_str().unwrap(),
                it["seen"].as_str().unwrap()
            ))
        })
        .collect()
}

/// The system as it is: nothing is found, whoever asks and however.
#[tokio::test(flavor = "multi_thread")]
async fn healthy_local_system_passes_every_check() {
    let folder = TempDir::new("doctor");
    let data = Data::Directory(folder.0.clone());
    let system = System::start(Options { demo: true, data, ..Options::default() }).await.unwrap();
    let local = format!("--local={}", folder.0.display());

    let report = amble().json(&["doctor", &local]).await;
    assert_eq!((findings(&report), &report["well"], &report["url"]), (vec![], &json!(true), &json!(system.mcp_url())));
    let looked_at: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (check["check"].as_str().unwrap(), check["verdict"].as_str().unwrap()))
        .collect();
    let well = |name| (name, "well");
    let expected = [
        "address",
        "challenge",
        "resource",
        "metadata",
        "keys",
        "browsers",
        "registration",
        "authorize",
        "tokens",
        "console",
        "connect",
        "clock",
    ];
    assert_eq!(looked_at[..12], expected.map(well), "{report}");
    let supabase = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "supabase").unwrap();
    let issuer = format!("tokens of {}/auth/v1", system.supabase_url());
    let seen = [
        "e-mail sign-in on (external.email)",
        "providers: github, google",
        &issuer,
        "its own OAuth server off",
        "tokens say how people signed in (amr)",
    ];
    assert_eq!((&supabase["verdict"], &supabase["seen"]), (&json!("well"), &json!(seen)));

    let roles = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "roles").unwrap();
    let seen = ["4 members, each of a role that allows something"];
    assert_eq!((&roles["verdict"], &roles["seen"]), (&json!("well"), &json!(seen)));

    let layouts = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "layouts").unwrap();
    let seen = ["2 tenants, each with a partition for each kind"];
    assert_eq!((&layouts["verdict"], &layouts["seen"]), (&json!("well"), &json!(seen)));

    let text = amble().text(&["doctor", &system.mcp_url()]).await;
    assert!(!text.contains("roles"), "a URL leads to no tables: {text}");
    assert!(
        text.starts_with(&format!("{}\n\nwell     address       on this machine, without TLS\n", system.mcp_url())),
        "{text}"
    );
    assert!(
        text.contains("\nskipped  connect       give --person and --password-env to try a whole connection\n"),
        "{text}"
    );
    let of_a_tenant = amble().json(&[&["doctor", &format!("{}/acme", system.mcp_url())], &WITH_ANA[..]].concat()).await;
    assert_eq!(findings(&of_a_tenant), [] as [Value; 0]);

    // One client for all of them, and no connection is left.
    let items = system.items().unwrap();
    let clients = items.iter().filter(|(_, item)| item["kind"]["S"] == "registered").count();
    let grants: Vec<_> = items.iter().filter(|(_, item)| item["state"]["S"] == "active").collect();
    assert_eq!((clients, grants), (1, vec![]));
}

/// A role that was removed while it was given: each member is named, in whatever tenant.
#[tokio::test(flavor = "multi_thread")]
async fn member_whose_role_allows_nothing_is_named() {
    const BEN: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02";
    let folder = TempDir::new("doctor-roles");
    let data = Data::Directory(folder.0.clone());
    let system = System::start(Options { demo: true, data, ..Options::default() }).await.unwrap();
    let (tenant, ben) = (TenantId::parse("globex").unwrap(), PersonId::parse(BEN).unwrap());
    system.directory().put_member(&tenant, &ben, "clerk").await.unwrap();
    let local = format!("--local={}", folder.0.display());

    let report = amble().json(&["doctor", &local]).await;

    let found =
        format!("weak roles: role_undefined: {BEN} has the role clerk in tenant globex, which has no such role");
    assert_eq!((findings(&report), &report["well"]), (vec![json!(found)], &json!(true)));
    amble().text(&["member", "role", BEN, "--tenant", "globex", "--role", "viewer", &local]).await;
    assert_eq!(findings(&amble().json(&["doctor", &local]).await), [] as [Value; 0]);
}

/// Those that an earlier version made, and those whose move broke off.
#[tokio::test(flavor = "multi_thread")]
async fn tenant_that_does_not_lie_by_kind_is_named() {
    let folder = TempDir::new("doctor-layouts");
    let data = Data::Directory(folder.0.clone());
    let system = System::start(Options { demo: true, data, ..Options::default() }).await.unwrap();
    let (acme, globex) = (TenantId::parse("acme").unwrap(), TenantId::parse("globex").unwrap());
    system.directory().change_layout(&acme, |_| Some(WorkspaceLayout::Splitting)).await.unwrap();
    system.directory().change_layout(&globex, |_| Some(WorkspaceLayout::Whole)).await.unwrap();
    let local = format!("--local={}", folder.0.display());

    let report = amble().json(&["doctor", &local]).await;

    let found = [
        "weak layouts: workspace_moving: what tenant acme has is being moved",
        "weak layouts: workspace_whole: tenants with one partition for all that they have: 1, such as globex",
    ];
    assert_eq!((findings(&report), &report["well"]), (found.map(Value::from).to_vec(), &json!(true)));
    amble().text(&["tenant", "migrate", "--all", "--wait", "0s", &local]).await;
    assert_eq!(findings(&amble().json(&["doctor", &local]).await), [] as [Value; 0]);
}

/// A tool that was stored before hosts' rules were: it is left out of the list, which nobody else is told.
#[tokio::test(flavor = "multi_thread")]
async fn unlisted_tool_is_named_with_its_tenant() {
    let folder = TempDir::new("doctor-tools");
    let data = Data::Directory(folder.0.clone());
    let system = System::start(Options { demo: true, data, ..Options::default() }).await.unwrap();
    let local = format!("--local={}", folder.0.display());
    let tools = |report: &Value| {
        report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "tools").unwrap().clone()
    };
    let well = tools(&amble().json(&["doctor", &local]).await);
    assert_eq!((&well["verdict"], &well["findings"]), (&json!("well"), &json!([])));

    let (table, mut item) =
        system.items().unwrap().into_iter().find(|(_, item)| item["item"]["S"] == "tool#roll_dice").unwrap();
    item["input_schema"] = json!({ "S": json!({ "type": "object", "properties": { "$dice": {} } }).to_string() });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let signed = "AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/dynamodb/aws4_request, SignedHeaders=host, \
                  Signature=0000000000000000000000000000000000000000000000000000000000000000";
    let request =
        http.post(system.dynamo_url()).header("authorization", signed).header("x-amz-date", "20261122T000000Z");
    let request = request.header("x-amz-target", "DynamoDB_20120810.PutItem");
    let body = json!({ "TableName": table, "Item": item }).to_string();
    let put = request.header("content-type", "application/x-amz-json-1.0").body(body).send().await.unwrap();
    assert_eq!(put.status(), 200);

    let weak = tools(&amble().json(&["doctor", &local]).await);

    let [finding] = weak["findings"].as_array().unwrap().as_slice() else { panic!("{weak}") };
    assert_eq!((&finding["verdict"], &finding["code"]), (&json!("weak"), &json!("tool_unlisted")));
    assert_eq!(
        finding["seen"],
        "the tool roll_dice of the tenant acme is not listed: a property must have a name of 1 to 64 of A-Z, a-z, 0-9, _, . \
         and -: hosts refuse every tool for another"
    );
}

/// Through the front that changes nothing, all is well too: what is found later is what was broken.
#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_found_and_named() {
    let proxy = ResponseProxy::start().await;
    let url = proxy.url();
    let well = amble().json(&[&["doctor", &url], &WITH_ANA[..]].concat()).await;
    assert_eq!(findings(&well), [] as [Value; 0]);

    let mut wrong = Vec::new();
    for Case { name, whole, change, expected } in cases() {
        proxy.set_change(Some(change));
        let words =
            if whole { [&["doctor", &url, "--json"], &WITH_ANA[..]].concat() } else { vec!["doctor", &url, "--json"] };
        let ended = amble().run(&words).await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{name}: {ended:?}"));
        let found: Vec<_> = findings(&report).into_iter().map(|line| json!(settled(line.as_str().unwrap()))).collect();
        let expected: Vec<_> = expected.iter().map(|line| json!(line.replace("{at}", &proxy.origin))).collect();
        if found != expected {
            wrong.push(format!("{name}:\nexpected {}\nfound    {}", json!(expected), json!(found)));
        }
        let broken = expected.iter().any(|line| line.as_str().unwrap().starts_with("broken"));
        assert_eq!((ended.status, &report["well"]), (i32::from(broken), &json!(!broken)), "{name}");
        for finding in
            report["checks"].as_array().unwrap().iter().flat_map(|check| check["findings"].as_array().unwrap())
        {
            for sentence in [&finding["breaks"], &finding["remedy"]] {
                let sentence = sentence.as_str().unwrap();
                assert!(sentence.len() > 10 && sentence.ends_with(['.', '?']), "{name}: {sentence}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What differs from run to run and machine to machine, by a name.
fn settled(line: &str) -> String {
    let cut = |from: &str, to: &str, name: &str| {
        let (before, rest) = line.split_once(from)?;
        let after = rest.split_once(to).map_or("", |(_, after)| after);
        Some(format!("{before}{from}{name}{}{after}", if after.is_empty() { "" } else { to }))
    };
    cut("oauth/revoke: ", "\0", "{dns}")
        .filter(|_| line.contains("no_answer"))
        .or_else(|| cut("signed with the key ", ", which", "{kid}"))
        .or_else(|| cut("clock_skew: ", "\0", "{clock}"))
        .unwrap_or_else(|| line.to_owned())
}

/// A certificate that is about to end is told of before it does, and when it has.
#[tokio::test(flavor = "multi_thread")]
async fn expiring_certificate_is_reported() {
    let folder = TempDir::new("certificate");
    std::fs::create_dir_all(&folder.0).unwrap();
    let authority = folder.0.join("authority.pem");
    let now = Clock::system().now().seconds();
    for (days, found) in [
        (22, None),
        (20, Some("weak address: certificate_expires: the certificate of 0.0.0.0 holds until ")),
        (-1, Some("broken address: certificate_expired: the certificate of 0.0.0.0 holds no longer")),
    ] {
        let end = now + days * 24 * 3600;
        let tls = test_system::certificate_authority::certify_until("0.0.0.0", &authority, end);
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        let url = format!("https://0.0.0.0:{}/api/mcp/server", listener.local_addr().unwrap().port());
        // Greets whoever comes, and says no more.
        let greeting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                drop(tls.accept(stream).await);
            }
        });

        let amble = Amble(Vec::new()).with("SSL_CERT_FILE", authority.to_str().unwrap());
        let ended = amble.run(&["doctor", &url, "--json"]).await;

        greeting.abort();
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        let all = findings(&report);
        let told: Vec<_> =
            all.iter().map(|line| line.as_str().unwrap()).filter(|line| line.contains(" address: ")).collect();
        // It is at no place where Claude looks; of the certificate there is one finding, or none.
        let [port, place, of_certificate @ ..] = &told[..] else { panic!("{told:?}") };
        assert!(port.contains(" port: ") && place.contains(" not_public: "), "{told:?}");
        let end = found.map(|found| {
            let until = Timestamp::from_seconds(end).to_rfc3339();
            if found.ends_with(' ') { format!("{found}{until}") } else { found.to_owned() }
        });
        assert_eq!(of_certificate, end.as_deref().as_slice(), "{days} days");
    }
}

/// Where nobody answers, that is what is said, and not a word more than needed.
#[tokio::test(flavor = "multi_thread")]
async fn unreachable_deployments_are_reported() {
    let ended = amble().run(&["doctor", "http://127.0.0.1:1/api/mcp/server"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(ended.stdout.contains("[no_answer]") && ended.stdout.contains("Connection refused"), "{ended:?}");
    assert!(ended.stdout.ends_with("\n1 broken, 0 weak.\n"), "one thing is said: {ended:?}");
    let ended = amble().run(&["doctor", "http://amble-doctor.invalid/Api/"]).await;
    assert_eq!(ended.status, 1, "{ended:?}");
    for code in ["[url_written]", "[insecure]", "[no_answer]"] {
        assert!(ended.stdout.contains(code), "{code} {ended:?}");
    }
    let ended = amble().run(&["doctor", "https://amble-doctor.invalid/api/mcp/server"]).await;
    assert!(ended.stdout.contains("[no_such_name]") && ended.stdout.ends_with("\n1 broken, 0 weak.\n"), "{ended:?}");

    // TLS, where there is none.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let ended = amble().run(&["doctor", &format!("https://127.0.0.1:{port}/api/mcp/server")]).await;
    assert!(ended.status == 1 && ended.stdout.contains("[no_answer]"), "{ended:?}");
}

/// Who gives the origin alone is told which URL they meant, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn bare_origin_is_answered_with_the_url_that_was_meant() {
    let proxy = ResponseProxy::start().await;
    for url in [proxy.origin.clone(), format!("{}/", proxy.origin)] {
        let ended = amble().run(&["doctor", &url, "--json"]).await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let expected = format!(
            "broken address: bare_origin: {url} is the origin alone; the URL that people paste is {}",
            proxy.url()
        );
        assert_eq!((ended.status, findings(&report)), (1, vec![json!(expected)]));
    }

    proxy.set_change(Some(Arc::new(|_, _| Answer::page(404, "Not Found"))));
    let ended = amble().run(&["doctor", &proxy.origin]).await;
    let guessed = format!("the URL that people paste is most likely {} [bare_origin]", proxy.url());
    assert!(ended.stdout.contains(&guessed) && ended.stdout.ends_with("\n1 broken, 0 weak.\n"), "{ended:?}");
}

/// Where the platform of the product's host keeps `/.well-known` to itself, discovery hangs on the challenge.
#[tokio::test(flavor = "multi_thread")]
async fn resource_on_another_host_needs_its_challenge_or_its_documents() {
    let proxy = ResponseProxy::start_with(|options, origin| {
        options.parameters.insert("ResourceUrl".to_owned(), format!("{origin}/api/mcp/server"));
    })
    .await;
    let reserved = |asked: &ProxiedRequest, answer: Answer| {
        if asked.path.starts_with("/.well-known/") { Answer::page(404, "Not Found") } else { answer }
    };
    let renamed = |answer: Answer| match answer.header(CHALLENGE).map(str::to_owned) {
        Some(text) => answer.without(CHALLENGE).with("x-amzn-remapped-www-authenticate", &text),
        None => answer,
    };
    let (also, none) =
        (format!("also on {}", proxy.origin), format!("none on {}, so discovery hangs on the challenge", proxy.origin));
    let changes: [(Change, Option<&str>, &[&str]); 4] = [
        (Arc::new(|_, answer| answer), Some(&also), &[]),
        (Arc::new(reserved), Some(&none), &[]),
        (Arc::new(move |_, answer| renamed(answer)), Some(&also), &["challenge_renamed"; 3]),
        (
            Arc::new(move |asked, answer| renamed(reserved(asked, answer))),
            None,
            &["challenge_renamed", "challenge_renamed", "challenge_renamed", "undiscoverable"],
        ),
    ];
    for (change, seen, codes) in changes {
        proxy.set_change(Some(change));
        let ended = amble().run(&[&["doctor", &proxy.url(), "--json"], &WITH_ANA[..]].concat()).await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));

        let found = findings(&report);
        let found_codes: Vec<_> = found.iter().map(|line| line.as_str().unwrap().split(": ").nth(1).unwrap()).collect();
        assert_eq!((ended.status, &*found_codes), (i32::from(!codes.is_empty()), codes), "{found:?}");
        let resource = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "resource").unwrap();
        if let Some(seen) = seen {
            assert!(resource["seen"].as_array().unwrap().contains(&json!(seen)), "{resource}");
        }
    }
}

/// The proxy in front must rewrite: what it passes on as it is, the API does not have.
#[tokio::test(flavor = "multi_thread")]
async fn console_that_the_proxy_does_not_lead_to_is_named() {
    for (rewrites, expected) in [
        (true, vec![]),
        (false, vec!["broken console: console_elsewhere: GET {at}/connect/admin answers 404 (application/json)"]),
    ] {
        let folder = TempDir::new("doctor-console");
        let proxy = ResponseProxy::start_with(|options, origin| {
            options.data = Data::Directory(folder.0.clone());
            options.parameters.insert("AdminPath".to_owned(), "/connect/admin".to_owned());
            options.front = if rewrites { Front::Nothing } else { Front::Proxy(origin.to_owned()) };
        })
        .await;
        let ended = amble().run(&["doctor", &format!("--local={}", folder.0.display()), "--json"]).await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));

        let expected: Vec<_> = expected.iter().map(|line| json!(line.replace("{at}", &proxy.origin))).collect();
        assert_eq!((ended.status, findings(&report)), (i32::from(!rewrites), expected));
        let text = report.to_string();
        assert!(!rewrites || text.contains("/connect/admin, behind the sign-in page at /auth/login"), "{text}");
    }
}

/// It passes on the console alone: where people are sent to sign in, another product answers.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_page_that_the_proxy_does_not_lead_to_is_named() {
    let folder = TempDir::new("doctor-sign-in");
    let proxy = ResponseProxy::start_with(|options, origin| {
        options.data = Data::Directory(folder.0.clone());
        options.front = Front::Proxy(origin.to_owned());
    })
    .await;
    for (status, said) in [(404, "404 (text/html)"), (200, "200 (text/html)")] {
        proxy.set_change(Some(Arc::new(move |asked: &ProxiedRequest, answer| {
            let is_sign_in = asked.path.starts_with("/auth/login");
            if is_sign_in { Answer::page(status, "Another product") } else { answer }
        })));
        let ended = amble().run(&["doctor", &format!("--local={}", folder.0.display()), "--json"]).await;
        let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));

        let found = findings(&report);
        let found: Vec<_> = found.iter().map(|finding| finding.as_str().unwrap()).collect();
        let missing =
            format!("broken console: sign_in_elsewhere: GET {}/auth/login?next=/admin answers {said}", proxy.origin);
        let [of_console, of_connection] = found.as_slice() else { panic!("{report}") };
        assert_eq!(*of_console, missing);
        assert!(of_connection.starts_with("broken connect: no_sign_in_form: "), "{of_connection}");
        assert_eq!(ended.status, 1);
    }
}

struct Case {
    name: &'static str,
    /// With a whole connection.
    whole: bool,
    change: Change,
    expected: Vec<&'static str>,
}

fn case(
    name: &'static str,
    change: impl Fn(&ProxiedRequest, Answer) -> Answer + Send + Sync + 'static,
    expected: &[&'static str],
) -> Case {
    Case { name, whole: false, change: Arc::new(change), expected: expected.to_vec() }
}

fn whole(
    name: &'static str,
    change: impl Fn(&ProxiedRequest, Answer) -> Answer + Send + Sync + 'static,
    expected: &[&'static str],
) -> Case {
    Case { whole: true, ..case(name, change, expected) }
}

const MCP: &str = "/api/mcp/server";
const RESOURCE: &str = "/.well-known/oauth-protected-resource/api/mcp/server";
const RESOURCE_ROOT: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const JWKS: &str = "/.well-known/jwks.json";
const CHALLENGE: &str = "www-authenticate";

fn is_server(asked: &ProxiedRequest) -> bool {
    asked.method == "GET" && asked.path.starts_with(SERVER)
}

fn is_resource(asked: &ProxiedRequest) -> bool {
    asked.method == "GET" && asked.path.starts_with(RESOURCE_ROOT)
}

fn is_mcp(asked: &ProxiedRequest) -> bool {
    asked.path == MCP && asked.method != "OPTIONS"
}

fn is(asked: &ProxiedRequest, method: &str, path: &str) -> bool {
    asked.method == method && asked.path == path
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let registered = AtomicUsize::new(0);
    vec![
        // The challenge.
        case(
            "API Gateway renames the challenge, and nothing maps it back",
            |_, answer| match answer.header(CHALLENGE).map(str::to_owned) {
                Some(text) => answer.without(CHALLENGE).with("x-amzn-remapped-www-authenticate", &text),
                None => answer,
            },
            &[
                "broken challenge: challenge_renamed: POST {at}/api/mcp/server is answered with x-amzn-remapped-www-authenticate in place of WWW-Authenticate",
                "broken challenge: challenge_renamed: GET {at}/api/mcp/server is answered with x-amzn-remapped-www-authenticate in place of WWW-Authenticate",
                "broken challenge: challenge_renamed: DELETE {at}/api/mcp/server is answered with x-amzn-remapped-www-authenticate in place of WWW-Authenticate",
            ],
        ),
        case(
            "a CDN drops the challenge of GET",
            |asked, answer| if is(asked, "GET", MCP) { answer.without(CHALLENGE) } else { answer },
            &["broken challenge: challenge_missing: GET {at}/api/mcp/server is answered 401 without WWW-Authenticate"],
        ),
        case(
            "an authorizer writes a challenge of its own",
            |asked, answer| if is_mcp(asked) { answer.with(CHALLENGE, "Bearer") } else { answer },
            &[
                "broken challenge: challenge_without_metadata: WWW-Authenticate is Bearer, without resource_metadata",
                "broken challenge: challenge_scheme: WWW-Authenticate is Bearer, which is not Bearer",
                "weak challenge: invalid_token_unnamed: a token that is none is refused without error=\"invalid_token\"",
            ],
        ),
        case(
            "the challenge names a relative address",
            |asked, answer| {
                let text = format!("Bearer error=\"invalid_token\", resource_metadata=\"{RESOURCE}\"");
                if is_mcp(asked) { answer.with(CHALLENGE, &text) } else { answer }
            },
            &[
                "broken challenge: challenge_relative: resource_metadata is /.well-known/oauth-protected-resource/api/mcp/server, which is not absolute",
            ],
        ),
        case(
            "the challenge names the document of something else",
            |asked, answer| {
                let text =
                    format!("Bearer error=\"invalid_token\", resource_metadata=\"{}{RESOURCE_ROOT}\"", asked.origin);
                if is_mcp(asked) { answer.with(CHALLENGE, &text) } else { answer }
            },
            &[
                "broken challenge: challenge_elsewhere: resource_metadata is {at}/.well-known/oauth-protected-resource, not {at}/.well-known/oauth-protected-resource/api/mcp/server",
            ],
        ),
        case(
            "the mapping is not in force",
            |asked, answer| if is(asked, "POST", MCP) { answer.with("x-challenge", "Bearer") } else { answer },
            &[
                "weak challenge: challenge_unmapped: POST {at}/api/mcp/server is answered with X-Challenge beside WWW-Authenticate",
            ],
        ),
        case(
            "a firewall answers 403",
            |asked, answer| if is_mcp(asked) { Answer::page(403, "Forbidden") } else { answer },
            &[
                "broken challenge: forbidden: POST {at}/api/mcp/server answers 403 (text/html)",
                "broken challenge: forbidden: GET {at}/api/mcp/server answers 403 (text/html)",
                "broken challenge: forbidden: DELETE {at}/api/mcp/server answers 403 (text/html)",
            ],
        ),
        case(
            "GET is not routed",
            |asked, answer| if is(asked, "GET", MCP) { answer.status(404) } else { answer },
            &["broken challenge: not_challenged: GET {at}/api/mcp/server answers 404 (application/json)"],
        ),
        case(
            "the server is redirected to a slash",
            |asked, answer| if is(asked, "POST", MCP) { Answer::redirect(301, "/api/mcp/server/") } else { answer },
            &[
                "broken challenge: redirected: POST {at}/api/mcp/server answers 301 to /api/mcp/server/ (no content type)",
            ],
        ),
        case(
            "anybody is let in",
            |asked, answer| if is(asked, "POST", MCP) { answer.status(200) } else { answer },
            &["broken challenge: open: POST {at}/api/mcp/server answers 200 (application/json)"],
        ),
        case(
            "the function fails",
            |asked, answer| if is(asked, "DELETE", MCP) { answer.status(502) } else { answer },
            &["broken challenge: failing: DELETE {at}/api/mcp/server answers 502 (application/json)"],
        ),
        // The documents.
        case(
            "the resource's metadata is redirected",
            |asked, answer| {
                if is(asked, "GET", RESOURCE) {
                    Answer::redirect(302, &format!("{}{RESOURCE}/", asked.origin))
                } else {
                    answer
                }
            },
            &[
                "broken resource: redirected: GET {at}/.well-known/oauth-protected-resource/api/mcp/server answers 302 to {at}/.well-known/oauth-protected-resource/api/mcp/server/ (no content type)",
                "broken browsers: cors_missing: GET {at}/.well-known/oauth-protected-resource/api/mcp/server has no Access-Control-Allow-Origin",
            ],
        ),
        case(
            "a single-page application answers for the documents",
            |asked, answer| if is_resource(asked) { Answer::page(200, "App") } else { answer },
            &[
                "broken resource: not_json: GET {at}/.well-known/oauth-protected-resource/api/mcp/server answers 200 (text/html)",
                "broken resource: not_json: GET {at}/.well-known/oauth-protected-resource answers 200 (text/html)",
                "broken browsers: cors_missing: GET {at}/.well-known/oauth-protected-resource/api/mcp/server has no Access-Control-Allow-Origin",
            ],
        ),
        case(
            "what is not there is a page",
            |asked, answer| {
                if asked.path == "/.well-known/openid-configuration" { Answer::page(200, "App") } else { answer }
            },
            &["broken metadata: page_for_unknown: GET {at}/.well-known/openid-configuration answers 200 (text/html)"],
        ),
        case(
            "a document has the wrong content type",
            |asked, answer| {
                if asked.path == JWKS { answer.with("content-type", "application/octet-stream") } else { answer }
            },
            &["broken keys: not_json: GET {at}/.well-known/jwks.json answers 200 (application/octet-stream)"],
        ),
        case(
            "the resource's metadata is at one place only",
            |asked, answer| if is(asked, "GET", RESOURCE_ROOT) { answer.status(404) } else { answer },
            &[
                "broken resource: document_missing: GET {at}/.well-known/oauth-protected-resource answers 404 (application/json)",
            ],
        ),
        case(
            "the server's metadata is at one place only",
            |asked, answer| if is_server(asked) && asked.path != SERVER { answer.status(404) } else { answer },
            &[
                "broken metadata: document_missing: GET {at}/.well-known/oauth-authorization-server/api/mcp/server answers 404 (application/json)",
            ],
        ),
        case(
            "the two places disagree",
            |asked, answer| {
                if is(asked, "GET", SERVER) { answer.replacing("/oauth/revoke", "/oauth/end") } else { answer }
            },
            &[
                "broken metadata: documents_disagree: the two documents differ in revocation_endpoint",
                "broken browsers: preflight_refused: OPTIONS {at}/oauth/end answers 404 (application/json)",
                "broken tokens: revocation_refused: a token that is none is answered 404 when it is revoked",
            ],
        ),
        case(
            "the metadata is of another issuer",
            |asked, answer| {
                let (from, to) = (format!("\"issuer\":\"{}\"", asked.origin), "\"issuer\":\"https://old.example.com\"");
                if is_server(asked) { answer.replacing(&from, to) } else { answer }
            },
            &[
                "broken metadata: issuer_differs: the document names the issuer “https://old.example.com”, and the protected resource names {at}",
            ],
        ),
        case(
            "the issuer has a slash at its end, everywhere",
            |asked, answer| {
                let (from, to) = (format!("{}\"", asked.origin), format!("{}/\"", asked.origin));
                if is_server(asked) || is_resource(asked) { answer.replacing(&from, &to) } else { answer }
            },
            &["broken resource: issuer_slash: the issuer is {at}/, with a slash at its end"],
        ),
        case(
            "the resource has a slash at its end",
            |asked, answer| {
                if is_resource(asked) { answer.replacing("/api/mcp/server\"", "/api/mcp/server/\"") } else { answer }
            },
            &[
                "broken resource: resource_differs: resource is “{at}/api/mcp/server/”, and the URL that people paste is {at}/api/mcp/server",
            ],
        ),
        case(
            "the resource names no authorization server",
            |asked, answer| {
                if is_resource(asked) { answer.replacing(&format!("[\"{}\"]", asked.origin), "[]") } else { answer }
            },
            &[
                "broken resource: empty_member: authorization_servers is [] in {at}/.well-known/oauth-protected-resource/api/mcp/server",
                "broken resource: empty_member: authorization_servers is [] in {at}/.well-known/oauth-protected-resource",
                "broken resource: no_authorization_server: authorization_servers is missing or empty",
            ],
        ),
        case(
            "a member is null",
            |asked, answer| {
                if is_server(asked) {
                    answer.replacing("{\"issuer\"", "{\"op_policy_uri\":null,\"issuer\"")
                } else {
                    answer
                }
            },
            &[
                "broken metadata: empty_member: op_policy_uri is null in {at}/.well-known/oauth-authorization-server",
                "broken metadata: empty_member: op_policy_uri is null in {at}/.well-known/oauth-authorization-server/api/mcp/server",
            ],
        ),
        case(
            "an endpoint is named without TLS, on another host",
            |asked, answer| {
                if is_server(asked) {
                    replaced(answer, "revocation_endpoint", "http://connect.example.com/oauth/revoke")
                } else {
                    answer
                }
            },
            &[
                "broken metadata: insecure: revocation_endpoint is http://connect.example.com/oauth/revoke",
                "broken metadata: endpoint_elsewhere: revocation_endpoint is http://connect.example.com/oauth/revoke, which is not on {at}",
                "broken browsers: no_answer: OPTIONS http://connect.example.com/oauth/revoke: {dns}",
                "broken tokens: no_answer: POST http://connect.example.com/oauth/revoke: {dns}",
            ],
        ),
        case(
            "PKCE is not offered",
            |asked, answer| if is_server(asked) { answer.replacing("\"S256\"", "\"plain\"") } else { answer },
            &["broken metadata: no_s256: code_challenge_methods_supported does not have S256"],
        ),
        case(
            "public clients are not offered",
            |asked, answer| if is_server(asked) { answer.replacing("\"none\",", "") } else { answer },
            &["broken metadata: no_public_clients: token_endpoint_auth_methods_supported does not have none"],
        ),
        case(
            "staying connected is not offered",
            |asked, answer| {
                if is_server(asked) {
                    answer.replacing(",\"offline_access\"", "").replacing(",\"refresh_token\"", "")
                } else {
                    answer
                }
            },
            &[
                "broken metadata: no_refresh: grant_types_supported does not have refresh_token",
                "broken metadata: no_offline_access: scopes_supported does not have offline_access",
            ],
        ),
        case(
            "clients that describe themselves are not taken, and answers are not named",
            |asked, answer| {
                if is_server(asked) { answer.replacing("supported\":true", "supported\":false") } else { answer }
            },
            &[
                "weak metadata: no_client_documents: client_id_metadata_document_supported is not true",
                "weak metadata: no_iss: authorization_response_iss_parameter_supported is not true",
            ],
        ),
        case(
            "a cache keeps the documents for a year",
            |asked, answer| {
                if is(asked, "GET", JWKS) { answer.with("cache-control", "public, max-age=31536000") } else { answer }
            },
            &["weak keys: cached_for_long: GET {at}/.well-known/jwks.json may be kept: public, max-age=31536000"],
        ),
        // The keys.
        case(
            "there is no key",
            |asked, answer| {
                if asked.path == JWKS { Answer { body: own_body("{\"keys\":[]}"), ..answer } } else { answer }
            },
            &["broken keys: jwks_empty: {at}/.well-known/jwks.json has no key"],
        ),
        case(
            "a key shows its private part",
            |asked, answer| {
                let key = "{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"k\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"d\":\"AQAB\"}]}";
                if asked.path == JWKS { Answer { body: own_body(key), ..answer } } else { answer }
            },
            &["broken keys: jwks_private: the key “k” shows its private member d"],
        ),
        case(
            "two keys have one name, and one is for something else",
            |asked, answer| {
                let keys = "{\"keys\":[{\"kty\":\"EC\",\"alg\":\"ES256\",\"kid\":\"k\"},{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"k\"}]}";
                if asked.path == JWKS { Answer { body: own_body(keys), ..answer } } else { answer }
            },
            &[
                "broken keys: jwks_kid: the kid “k” is missing or occurs twice",
                "broken keys: jwks_alg: the key “k” is “oct” for “HS256”",
            ],
        ),
        // Browsers.
        case(
            "CORS is dropped from answers",
            |asked, answer| {
                if asked.method == "OPTIONS" { answer } else { answer.without("access-control-allow-origin") }
            },
            &[
                "broken browsers: cors_missing: GET {at}/.well-known/oauth-protected-resource/api/mcp/server has no Access-Control-Allow-Origin",
            ],
        ),
        case(
            "OPTIONS is not routed at the token endpoint",
            |asked, answer| if is(asked, "OPTIONS", "/oauth/token") { answer.status(405) } else { answer },
            &["broken browsers: preflight_refused: OPTIONS {at}/oauth/token answers 405 (no content type)"],
        ),
        case(
            "the API's own CORS answers preflights",
            |asked, answer| {
                if is(asked, "OPTIONS", MCP) {
                    answer.with("access-control-allow-headers", "content-type")
                } else {
                    answer
                }
            },
            &[
                "broken browsers: preflight_narrow: OPTIONS {at}/api/mcp/server does not allow POST with authorization, mcp-protocol-version, mcp-method, mcp-name",
            ],
        ),
        case(
            "the challenge is not exposed",
            |asked, answer| if is_mcp(asked) { answer.without("access-control-expose-headers") } else { answer },
            &["broken browsers: challenge_unexposed: POST {at}/api/mcp/server does not expose WWW-Authenticate"],
        ),
        case(
            "CORS covers the consent page",
            |asked, answer| {
                if asked.path == "/oauth/authorize" { answer.with("access-control-allow-origin", "*") } else { answer }
            },
            &["broken browsers: open_consent: OPTIONS {at}/oauth/authorize lets scripts of other origins in"],
        ),
        case(
            "pages of Claude are not admitted",
            |asked, answer| if is(asked, "OPTIONS", MCP) { answer.status(403) } else { answer },
            &["weak browsers: origin_refused: OPTIONS {at}/api/mcp/server refuses pages of https://claude.ai"],
        ),
        // Registration.
        case(
            "each registration is another client",
            move |asked, answer| {
                let number = registered.fetch_add(usize::from(asked.path == "/oauth/register"), Ordering::SeqCst);
                if is(asked, "POST", "/oauth/register") {
                    replaced(answer, "client_id", &format!("c_{number}"))
                } else {
                    answer
                }
            },
            &[
                "broken registration: not_idempotent: the same registration gave c_1 and then c_2",
                "broken authorize: no_sign_in: a good request is answered 400 (text/html; charset=utf-8)",
                "broken tokens: invalid_grant_unsaid: a code that is none is answered 401 invalid_client, not 400 invalid_grant",
            ],
        ),
        case(
            "registration is refused",
            |asked, answer| if is(asked, "POST", "/oauth/register") { answer.status(429) } else { answer },
            &["broken registration: registration_refused: POST {at}/oauth/register answers 429 (application/json)"],
        ),
        case(
            "a registration has a null and may be cached",
            |asked, answer| {
                if is(asked, "POST", "/oauth/register") {
                    answer.replacing("{\"client_id\"", "{\"client_uri\":null,\"client_id\"").without("cache-control")
                } else {
                    answer
                }
            },
            &[
                "broken registration: empty_member: client_uri is null",
                "weak registration: registration_cached: POST {at}/oauth/register may be kept by caches",
            ],
        ),
        // Errors.
        case(
            "strangers are redirected",
            |asked, answer| {
                let to = "https://claude.ai/api/mcp/auth_callback?error=invalid_client";
                if is(asked, "GET", "/oauth/authorize") && answer.status == 400 {
                    Answer::redirect(302, to)
                } else {
                    answer
                }
            },
            &[
                "broken authorize: redirects_strangers: an unknown client is answered 302 with a redirect to https://claude.ai",
                "broken authorize: redirects_strangers: an address that was not registered is answered 302 with a redirect to https://claude.ai",
            ],
        ),
        case(
            "people are sent on with 307, and errors are JSON",
            |asked, answer| match (asked.path.as_str(), answer.status) {
                ("/oauth/authorize", 303) => answer.status(307),
                ("/oauth/authorize", 400) => answer.with("content-type", "application/json"),
                _ => answer,
            },
            &[
                "broken authorize: no_page_for_people: an unknown client is answered 400 (application/json)",
                "broken authorize: no_page_for_people: an address that was not registered is answered 400 (application/json)",
                "broken authorize: repeats_forms: people are sent on with 307",
            ],
        ),
        case(
            "pages may be framed",
            |_, answer| answer.without("x-frame-options").without("content-security-policy"),
            &["broken authorize: framable: GET {at}/oauth/authorize may be shown inside another page"],
        ),
        case(
            "answers of the token endpoint are cached",
            |asked, answer| {
                if is(asked, "POST", "/oauth/token") { answer.with("cache-control", "max-age=60") } else { answer }
            },
            &["broken tokens: token_cached: answers of POST {at}/oauth/token may be kept: max-age=60"],
        ),
        case(
            "an unknown client is a bad request",
            |asked, answer| {
                if is(asked, "POST", "/oauth/token") && answer.status == 401 { answer.status(400) } else { answer }
            },
            &[
                "broken tokens: invalid_client_unsaid: an unknown client is answered 400 invalid_client, not 401 invalid_client",
            ],
        ),
        case(
            "a code that is none is a page",
            |asked, answer| {
                if is(asked, "POST", "/oauth/token") && answer.status == 400 {
                    Answer::page(400, "Bad Request")
                } else {
                    answer
                }
            },
            &[
                "broken tokens: invalid_grant_unsaid: a code that is none is answered 400 without an error that can be read, not 400 invalid_grant",
                "broken tokens: invalid_grant_unsaid: a refresh token that is none is answered 400 without an error that can be read, not 400 invalid_grant",
            ],
        ),
        case(
            "the token endpoint fails",
            |asked, answer| if is(asked, "POST", "/oauth/token") { answer.status(500) } else { answer },
            &[
                "broken tokens: token_failing: an unknown client is answered 500 invalid_client, not 401 invalid_client",
                "broken tokens: token_failing: a code that is none is answered 500 invalid_grant, not 400 invalid_grant",
                "broken tokens: token_failing: a refresh token that is none is answered 500 invalid_grant, not 400 invalid_grant",
            ],
        ),
        // Whole connections.
        whole(
            "approval is answered with 307",
            |asked, answer| if is(asked, "POST", "/oauth/authorize") { answer.status(307) } else { answer },
            &["broken connect: repeats_forms: approving is answered 307 without a heading"],
        ),
        whole(
            "the answer is of another issuer",
            |asked, answer| {
                let location = answer.header("location").unwrap_or_default().to_owned();
                match location.split_once("&iss=") {
                    Some((before, _)) if asked.method == "POST" => {
                        answer.with("location", &format!("{before}&iss=https%3A%2F%2Fevil.example"))
                    }
                    _ => answer,
                }
            },
            &["broken connect: iss_differs: iss of the answer is https://evil.example, not {at}"],
        ),
        whole(
            "a firewall stops the sign-in form",
            |asked, answer| {
                if asked.path == "/auth/login/password" { Answer::page(403, "Request blocked") } else { answer }
            },
            &["broken connect: not_signed_in: ana@example.com cannot sign in: 403 “Request blocked”"],
        ),
        whole(
            "the password is wrong",
            |asked, answer| {
                if asked.path == "/auth/login/password" {
                    answer.without("set-cookie").with("location", "/auth/login?notice=AAAAAAAA")
                } else {
                    answer
                }
            },
            &["broken connect: not_signed_in: ana@example.com cannot sign in: the sign-in page refuses the form"],
        ),
        whole(
            "cookies are dropped",
            |asked, answer| if asked.path == "/auth/login/password" { answer.without("set-cookie") } else { answer },
            &["broken connect: no_consent_page: after signing in there is 200 “Sign in to Amble” at /auth/login"],
        ),
        whole(
            "the exchange fails",
            |asked, answer| {
                if asked.body.contains("code_verifier") && answer.status == 200 {
                    Answer::page(502, "Bad Gateway")
                } else {
                    answer
                }
            },
            &["broken connect: exchange_failed: the exchange of the code is answered 502 without an access token"],
        ),
        whole(
            "refreshing at once fails",
            |asked, answer| {
                let failing = asked.body.contains("grant_type=refresh_token") && answer.status == 200;
                let json = "{\"error\":\"invalid_grant\"}";
                if failing { Answer { status: 400, body: own_body(json), ..answer } } else { answer }
            },
            // The successor was made, and lost on its way: what it left is revoked all the same.
            &["broken connect: refresh_failed: refreshing is answered 400 invalid_grant"],
        ),
        whole(
            "calls with a good token are refused",
            |asked, answer| if asked.body.contains("tools/list") { answer.status(401) } else { answer },
            &["broken connect: call_refused: a call with a fresh token is answered 401"],
        ),
        whole(
            "what was ended goes on",
            |asked, answer| {
                if asked.body.contains("tools/list") {
                    Answer { status: 200, body: own_body("{\"tools\":[]}"), ..answer }
                } else {
                    answer
                }
            },
            &["broken connect: still_let_in: a call after disconnecting is answered 200"],
        ),
        whole(
            "another key set is served than tokens are signed with",
            |asked, answer| if asked.path == JWKS { replaced_key(answer) } else { answer },
            &[
                "broken connect: unknown_key: the access token is signed with the key {kid}, which the key set does not have",
            ],
        ),
        // The clock.
        case(
            "the clock is off",
            |_, answer| answer.with("date", "Sat, 01 Jan 2000 00:00:00 GMT"),
            &["broken clock: clock_skew: {clock}"],
        ),
    ]
}

/// With another value in a member.
fn replaced(answer: Answer, member: &str, value: &str) -> Answer {
    let Ok(mut body) = serde_json::from_str::<Value>(&answer.body) else { return answer };
    body[member] = json!(value);
    Answer { body: body.to_string(), ..answer }
}

/// With another id of the first key.
fn replaced_key(answer: Answer) -> Answer {
    let Ok(mut body) = serde_json::from_str::<Value>(&answer.body) else { return answer };
    body["keys"][0]["kid"] = json!("another");
    Answer { body: body.to_string(), ..answer }
}

fn own_body(text: &str) -> String {
    text.to_owned()
}
