//! Wanting more than was granted (MCP 2025-11-25 "Step-Up Authorization Flow"; RFC 6750 §3.1).

use std::sync::Arc;

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Value, json};
use test_system::connector::{AuthorizationRequest, Connector, Tokens};
use test_system::person::{Form, Person};
use test_system::{TestSystem, claims};

const ANA: &str = "ana@example.com";
const TRIED: &str = "has tried to do this since you connected it";

/// What the page offers beside what is asked for, as `also:tenant:scope`; none of it is ticked.
async fn also(person: &Person<'_>, ask: &AuthorizationRequest) -> Vec<String> {
    let page = person.sign_in(&ask.url).await;
    let form = Form::find(&page, "decision").unwrap_or_else(|| panic!("{page:?}"));
    assert!(!form.fields.iter().any(|(name, _)| name.starts_with("also:")), "ticked for them: {form:?}");
    let offered = page.body.split("name=\"also:").skip(1).filter_map(|rest| rest.split('"').next());
    let offered: Vec<_> = offered.map(|rest| format!("also:{rest}")).collect();
    assert_eq!(page.body.contains(TRIED), !offered.is_empty(), "{page:?}");
    offered
}

/// Approves what the page proposes in a tenant, with `changes` to the form.
async fn approved(
    test_system: &TestSystem,
    (connector, person): (&Connector<'_>, &Person<'_>),
    tenant: &str,
    change: impl FnOnce(Form) -> Form,
) -> Tokens {
    let ask = connector.authorization_request("skills:read");
    let page = person.sign_in(&ask.url).await;
    let form = change(Form::find(&page, "decision").unwrap().with("tenant", tenant).with("decision", "approve"));
    let code = person.submit(&form).await.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    connector.exchange(&ask, &code).await.tokens(test_system)
}

async fn is_refused(connector: &Connector<'_>, tokens: &Tokens, tool: &str) {
    assert_eq!(connector.tool(&tokens.access, tool, json!({})).await.status, 403, "{tool}");
}

/// The body of a 403: a JSON-RPC error for the request `id`, and what the challenge says.
pub(crate) fn refusal(id: &Value, sentence: &str, scope: &str, document: &str) -> Value {
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "error": {
            "code": 403,
            "message": sentence,
            "data": { "error": "insufficient_scope", "scope": scope, "resource_metadata": document },
        },
        "resource_metadata": document,
        "scope": scope,
    })
}

/// RFC 6750 §3.1, MCP 2025-11-25: 403, with all that was granted and what is needed; where a gateway renames the header too.
#[tokio::test(flavor = "multi_thread")]
async fn insufficient_scope_names_granted_and_needed_scopes() {
    for renaming in [false, true] {
        let test_system = TestSystem::with(|options| options.rename_challenge = renaming).await;
        let (_, tokens) = test_system.connect(ANA, "acme", "skills:read entities:write").await;
        let (key, _) = test_system.create_api_key(ANA, "acme", "skills:read entities:write", None).await;
        let document = test_system.at("/.well-known/oauth-protected-resource/api/mcp/server");
        let sentence = "This needs a permission that the connection does not have";
        // `write` implies `read` of its kind; staying connected is no permission.
        let scope = "skills:read views:read entities:read entities:write";
        let challenge = format!(
            "Bearer error=\"insufficient_scope\", error_description=\"{sentence}\", resource_metadata=\"{document}\", scope=\"{scope}\""
        );
        let call = json!({ "name": "list_views", "arguments": {} });

        for (era, answer) in [
            ("legacy", test_system.call(Some(&tokens.access), "tools/call", call.clone()).await),
            ("modern", test_system.call_modern(&tokens.access, "tools/call", call.clone()).await),
            ("key", test_system.call(Some(&key), "tools/call", call.clone()).await),
        ] {
            assert_eq!(answer.status, 403, "{era}");
            assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()), "{era}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{era}");
            assert_eq!(answer.json(), refusal(&json!(1), sentence, scope, &document), "{era}");
        }
    }
}

/// JSON-RPC 2.0 §5: the refusal is the answer to the request, with its id, whatever form that has and whatever was asked. The official
/// Go SDK ends its session at an answer that is none.
#[tokio::test(flavor = "multi_thread")]
async fn refusal_is_a_json_rpc_error_with_the_id_of_the_request() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect(ANA, "acme", "documents:read").await;
    let (key, _) = test_system.create_api_key(ANA, "acme", "documents:read", None).await;
    let document = test_system.at("/.well-known/oauth-protected-resource/api/mcp/server");
    for credential in [&tokens.access, &key] {
        for (id, method, params, scope) in [
            (
                json!(7),
                "tools/call",
                json!({ "name": "list_entities", "arguments": {} }),
                "entities:read documents:read",
            ),
            (json!("a-7"), "tools/call", json!({ "name": "create_chat" }), "documents:read chat:create"),
            (json!(0), "tools/call", json!({ "name": "roll_dice" }), "tools:execute documents:read"),
            (json!(-1), "resources/read", json!({ "uri": "skill://weekly-report" }), "skills:read documents:read"),
            (json!(""), "prompts/get", json!({ "name": "weekly-report" }), "skills:read documents:read"),
        ] {
            let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            let request = test_system.http().post(test_system.mcp_url()).header("content-type", "application/json");
            let request = request.header("authorization", format!("Bearer {credential}"));
            let answer = test_system.send(request.body(body.to_string())).await;

            let sentence = "This needs a permission that the connection does not have";
            assert_eq!(answer.status, 403, "{id} {method}");
            assert_eq!(
                answer.header("www-authenticate").unwrap(),
                format!(
                    "Bearer error=\"insufficient_scope\", error_description=\"{sentence}\", resource_metadata=\"{document}\", scope=\"{scope}\""
                )
            );
            assert_eq!(answer.json(), refusal(&id, sentence, scope, &document), "{id} {method}");
        }
    }
}

/// Claude asks the person for more at every challenge. Where the role does not allow it, consent would lead to the same refusal: so
/// it says that it is the role, and challenges nobody. It says no more of what there is.
#[tokio::test(flavor = "multi_thread")]
async fn no_challenge_where_the_role_does_not_allow_it() {
    let test_system = TestSystem::new().await;
    let (_, tokens) = test_system.connect("vera@example.com", "acme", "skills:read").await;
    let (key, _) = test_system.create_api_key("vera@example.com", "acme", "skills:read", None).await;
    for credential in [&tokens.access, &key] {
        for tool in ["roll_dice", "no_such_tool", "create_entity", "create_document", "create_chat"] {
            let call = json!({ "name": tool, "arguments": {} });
            for answer in [
                test_system.call(Some(credential), "tools/call", call.clone()).await,
                test_system.call_modern(credential, "tools/call", call.clone()).await,
            ] {
                assert_eq!((answer.status, answer.header("www-authenticate")), (403, None), "{tool}");
                assert_eq!(
                    answer.json(),
                    json!({
                        "jsonrpc": "2.0",
                        "id": 1,
                        "error": {
                            "code": 403,
                            "message": "The role in this workspace does not allow this. \
                                        An administrator of the workspace can change it.",
                            "data": { "error": "access_denied" },
                        },
                    }),
                    "{tool}"
                );
            }
        }
        // What the role allows can be approved.
        let answer = test_system.call(Some(credential), "tools/call", json!({ "name": "list_views" })).await;
        assert_eq!(answer.json()["error"]["data"]["error"], "insufficient_scope");
    }
    // A role that was lowered since, too.
    let (_, tokens) = test_system.connect("ben@example.com", "acme", "tools:execute skills:read").await;
    test_system.set_role("acme", "ben@example.com", "viewer").await;
    let answer = test_system.call(Some(&tokens.access), "tools/call", json!({ "name": "roll_dice" })).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (403, None));
    assert_eq!(answer.json()["error"]["data"], json!({ "error": "access_denied" }));
}

/// A client that asks for no more than before is offered what it lacked; approved, the call works, and nothing is left to offer.
#[tokio::test(flavor = "multi_thread")]
async fn pending_scopes_are_offered_at_the_next_connection() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let ana = test_system.person(ANA);
    let ask = connector.authorization_request("skills:read");
    assert_eq!(also(&ana, &ask).await, [""; 0]);

    is_refused(&connector, &tokens, "list_views").await;
    let refused =
        test_system.call_modern(&tokens.access, "tools/call", json!({ "name": "roll_dice", "arguments": {} })).await;
    assert_eq!(refused.status, 403);

    assert_eq!(also(&ana, &ask).await, ["also:acme:tools:execute", "also:acme:views:read"]);
    let page = ana.open(&ask.url).await;
    assert!(page.body.contains("Read views, in <bdi>Acme</bdi> only"), "{page:?}");
    let asked_for = connector.authorization_request("skills:read views:read");
    assert_eq!(also(&ana, &asked_for).await, ["also:acme:tools:execute"], "what is asked for is offered once");

    let both = |form: Form| form.with("also:acme:tools:execute", "1").with("also:acme:views:read", "1");
    let tokens = approved(&test_system, (&connector, &ana), "acme", both).await;
    assert_eq!(tokens.scope, "tools:execute skills:read views:read");
    for tool in ["list_views", "roll_dice"] {
        assert_eq!(connector.tool(&tokens.access, tool, json!({})).await.status, 200, "{tool}");
    }
    let refreshed = connector.refresh(&tokens.refresh.unwrap()).await.tokens(&test_system);
    assert_eq!(refreshed.scope, tokens.scope);
    assert_eq!(also(&ana, &ask).await, [""; 0]);
}

/// RS-27: an elevation can be followed, from the call that wanted it to the approval that gave it.
#[tokio::test(flavor = "multi_thread")]
async fn elevation_is_audited_from_call_to_approval() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let grant = claims(&tokens.access).1["grant"].clone();

    is_refused(&connector, &tokens, "list_views").await;

    let told: Vec<_> = test_system.audit("scope_wanted").into_iter().filter(|event| event["grant"] == grant).collect();
    assert_eq!(
        told,
        [json!({
            "event": "scope_wanted",
            "grant": grant,
            "client": connector.client_id,
            "tenant": "acme",
            "person": test_system.person_id(ANA).as_str(),
            "scope": "views:read",
        })]
    );
}

/// Only the person, client and tenant whose token it was.
#[tokio::test(flavor = "multi_thread")]
async fn pending_scopes_are_bound_to_person_client_and_tenant() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let (ana, ben) = (test_system.person(ANA), test_system.person("ben@example.com"));
    let other = test_system.connector("Another client").await;
    is_refused(&connector, &tokens, "list_views").await;
    let (key, _) = test_system.create_api_key("ben@example.com", "acme", "skills:read", None).await;
    let by_key = test_system.call(Some(&key), "tools/call", json!({ "name": "list_views", "arguments": {} })).await;
    assert_eq!(by_key.status, 403);

    assert_eq!(also(&ben, &connector.authorization_request("skills:read")).await, [""; 0]);
    assert_eq!(also(&ana, &other.authorization_request("skills:read")).await, [""; 0]);
    assert_eq!(also(&ana, &connector.authorization_request("skills:read")).await, ["also:acme:views:read"]);
    // In another tenant it does not count, ticked or not, nor under another name; and it stays wanted where it was.
    let smuggled = |form: Form| form.with("also:globex:views:read", "1").with("allow:views:read", "1");
    let elsewhere = approved(&test_system, (&connector, &ana), "globex", smuggled).await;
    assert_eq!(elsewhere.scope, "skills:read");
    assert_eq!(also(&ana, &connector.authorization_request("skills:read")).await, ["also:acme:views:read"]);
    let unwanted = |form: Form| {
        form.with("also:acme:views:read", "1").with("also:acme:chat:create", "1").with("allow:chat:create", "1")
    };
    let here = approved(&test_system, (&connector, &ana), "acme", unwanted).await;
    assert_eq!(here.scope, "skills:read views:read");
}

/// What a person has left unticked is not granted, and they are not asked again until it is wanted again: whoever can make a call that is
/// refused does not choose what they approve, nor nag them.
#[tokio::test(flavor = "multi_thread")]
async fn declined_pending_scopes_are_not_offered_again() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let (ana, ask) = (test_system.person(ANA), connector.authorization_request("skills:read"));
    is_refused(&connector, &tokens, "list_views").await;
    is_refused(&connector, &tokens, "roll_dice").await;

    let untouched = approved(&test_system, (&connector, &ana), "acme", |form| form).await;
    assert_eq!(untouched.scope, "skills:read");
    assert_eq!(also(&ana, &ask).await, [""; 0]);

    is_refused(&connector, &untouched, "list_views").await;
    is_refused(&connector, &untouched, "roll_dice").await;
    let one = approved(&test_system, (&connector, &ana), "acme", |form| form.with("also:acme:views:read", "1")).await;
    assert_eq!(one.scope, "skills:read views:read");
    assert_eq!(also(&ana, &ask).await, [""; 0]);
    is_refused(&connector, &one, "roll_dice").await;
    assert_eq!(also(&ana, &ask).await, ["also:acme:tools:execute"]);

    // A page that comes again keeps what they ticked.
    let form = Form::find(&ana.open(&ask.url).await, "decision").unwrap().with("decision", "approve");
    for ticks in [true, false] {
        let form = if ticks { form.clone().with("also:acme:tools:execute", "1") } else { form.clone() };
        let again = ana.submit_and_follow(&form).await;
        let again = Form::find(&again, "decision").unwrap();
        assert_eq!(again.fields.iter().any(|(name, _)| name == "also:acme:tools:execute"), ticks, "{again:?}");
    }
}

/// What there is not, nobody wants: a model's slip asks no person for the right to run tools. It is answered like what there is.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_tool_records_no_pending_scopes() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let ana = test_system.person(ANA);

    let unknown = connector.tool(&tokens.access, "no_such_tool", json!({})).await;
    assert_eq!(also(&ana, &connector.authorization_request("skills:read")).await, [""; 0]);
    let grant = claims(&tokens.access).1["grant"].clone();
    assert!(test_system.audit("scope_wanted").iter().all(|event| event["grant"] != grant));

    let known = connector.tool(&tokens.access, "roll_dice", json!({})).await;
    assert_eq!((unknown.status, unknown.body), (known.status, known.body));
    assert_eq!(also(&ana, &connector.authorization_request("skills:read")).await, ["also:acme:tools:execute"]);
}

/// What the role forbids is not offered; when the role changes, it is.
#[tokio::test(flavor = "multi_thread")]
async fn pending_scopes_are_limited_to_the_role() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("vera@example.com", "acme", "skills:read").await;
    let vera = test_system.person("vera@example.com");
    is_refused(&connector, &tokens, "roll_dice").await;
    is_refused(&connector, &tokens, "list_views").await;
    let ask = connector.authorization_request("skills:read");

    assert_eq!(also(&vera, &ask).await, ["also:acme:views:read"]);
    let forced = |form: Form| form.with("also:acme:tools:execute", "1").with("also:acme:views:read", "1");
    let tokens = approved(&test_system, (&connector, &vera), "acme", forced).await;
    assert_eq!(tokens.scope, "skills:read views:read");
    is_refused(&connector, &tokens, "roll_dice").await;
    assert_eq!(also(&vera, &ask).await, [""; 0]);

    test_system.set_role("acme", "vera@example.com", "member").await;
    assert_eq!(also(&vera, &ask).await, ["also:acme:tools:execute"]);
}

/// A tenant whose role allows nothing of what is asked can be chosen for what was wanted there.
#[tokio::test(flavor = "multi_thread")]
async fn tenant_with_only_pending_scopes_can_be_chosen() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect("vera@example.com", "acme", "skills:read").await;
    let vera = test_system.person("vera@example.com");
    let ask = connector.authorization_request("tools:execute");
    assert!(Form::find(&vera.sign_in(&ask.url).await, "decision").is_some());
    assert!(!vera.open(&ask.url).await.body.contains("value=\"approve\""));

    is_refused(&connector, &tokens, "list_views").await;

    assert!(vera.open(&ask.url).await.body.contains("value=\"approve\""));
    let form = Form::find(&vera.open(&ask.url).await, "decision").unwrap();
    let form = form.with("tenant", "acme").with("also:acme:views:read", "1").with("decision", "approve");
    let code = vera.submit(&form).await.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    assert_eq!(connector.exchange(&ask, &code).await.tokens(&test_system).scope, "views:read");
}

/// Thirty days after the last time it is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn pending_scopes_expire_after_thirty_days() {
    const DAYS: i64 = 24 * 3600;
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let ana = test_system.person(ANA);
    is_refused(&connector, &tokens, "list_views").await;

    test_system.advance(30 * DAYS - 1);
    assert_eq!(also(&ana, &connector.authorization_request("skills:read")).await, ["also:acme:views:read"]);
    test_system.advance(1);
    assert_eq!(also(&ana, &connector.authorization_request("skills:read")).await, [""; 0]);
}

/// The refusal does not depend on its being remembered.
#[tokio::test(flavor = "multi_thread")]
async fn insufficient_scope_is_returned_even_if_recording_fails() {
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(|call: Call| async move {
            let wanting = call.body["Key"]["id"]["S"].as_str().is_some_and(|id| id.starts_with("wanted#"));
            if wanting { Decision::FailBefore(InjectedError::DENIED) } else { Decision::Pass }
        }));
    })
    .await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;

    let refused = connector.tool(&tokens.access, "list_views", json!({})).await;

    assert_eq!((refused.status, &refused.json()["scope"]), (403, &json!("skills:read views:read")));
    assert_eq!(also(&test_system.person(ANA), &connector.authorization_request("skills:read")).await, [""; 0]);
}

/// A person who wants, connects and wants again, all at once, loses neither a grant nor an answer.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_recording_and_approval_lose_nothing() {
    let test_system = TestSystem::new().await;
    let (connector, tokens) = test_system.connect(ANA, "acme", "skills:read").await;
    let ana = test_system.person(ANA);
    is_refused(&connector, &tokens, "list_views").await;
    let ask = connector.authorization_request("skills:read");
    let form = Form::find(&ana.sign_in(&ask.url).await, "decision").unwrap();
    let form = form.with("tenant", "acme").with("also:acme:views:read", "1").with("decision", "approve");

    let wanting = test_system::all((0..6).map(|_| connector.tool(&tokens.access, "roll_dice", json!({}))));
    let (refused, granted) = tokio::join!(wanting, ana.submit(&form));

    assert!(refused.iter().all(|answer| answer.status == 403), "{refused:?}");
    let code = granted.redirect_parameters()["code"].clone();
    test_system.track_secret(&code);
    let granted = connector.exchange(&ask, &code).await.tokens(&test_system).scope;
    assert!(granted.contains("views:read"), "{granted}");
    assert!(!granted.contains("tools:execute"), "nobody ticked it: {granted}");
    is_refused(&connector, &tokens, "roll_dice").await;
    assert!(also(&ana, &ask).await.contains(&"also:acme:tools:execute".to_owned()));
}
