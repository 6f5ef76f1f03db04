//! Resources, prompts and completion, in both eras, for tokens and for keys (MCP 2026-07-28, 2025-11-25).

use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::oauth::tenant::TenantId;
use shared::store::workspace::skill::{Argument, Skill};
use shared::store::workspace::{Name, Workspace};
use test_system::TestSystem;
use test_system::http_response::HttpResponse;

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProtocolVersion {
    Modern,
    Legacy,
}

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::Modern, ProtocolVersion::Legacy];

async fn call(
    test_system: &TestSystem,
    version: ProtocolVersion,
    credential: &str,
    method: &str,
    params: Value,
) -> HttpResponse {
    match version {
        ProtocolVersion::Modern => test_system.call_modern(credential, method, params).await,
        ProtocolVersion::Legacy => test_system.call(Some(credential), method, params).await,
    }
}

/// The result, without what the era adds to every one.
async fn result(
    test_system: &TestSystem,
    version: ProtocolVersion,
    credential: &str,
    method: &str,
    params: Value,
) -> Value {
    let answer = call(test_system, version, credential, method, params).await;
    assert_eq!(answer.status, 200, "{version:?} {method} {answer:?}");
    let mut result = answer.json()["result"].clone();
    let members = result.as_object_mut().unwrap_or_else(|| panic!("{version:?} {method} {answer:?}"));
    let cacheable = method.ends_with("/list") || method == "resources/read";
    match version {
        ProtocolVersion::Modern => {
            assert_eq!(members.remove("resultType"), Some(json!("complete")), "{method}");
            let meta = members.remove("_meta").unwrap();
            assert_eq!(meta["io.modelcontextprotocol/serverInfo"]["name"], "amble-connect", "{method}");
            assert_eq!(members.remove("cacheScope"), cacheable.then(|| json!("private")), "{method}");
            assert_eq!(members.remove("ttlMs").is_some_and(|ttl| ttl.is_u64()), cacheable, "{method}");
        }
        ProtocolVersion::Legacy => {
            for added in ["resultType", "_meta", "cacheScope", "ttlMs"] {
                assert_eq!(members.get(added), None, "{method}");
            }
        }
    }
    result
}

/// The code and sentence of an error.
async fn error(
    test_system: &TestSystem,
    version: ProtocolVersion,
    credential: &str,
    method: &str,
    params: Value,
) -> (i64, String, Value) {
    let answer = call(test_system, version, credential, method, params).await;
    assert_eq!(answer.status, 200, "{version:?} {method} {answer:?}");
    let error = answer.json()["error"].clone();
    let sentence = error["message"].as_str().unwrap_or_else(|| panic!("{version:?} {method} {answer:?}")).to_owned();
    (error["code"].as_i64().unwrap(), sentence, error["data"].clone())
}

/// A token and a key that may do the same.
async fn credentials(test_system: &TestSystem, scopes: &str) -> [String; 2] {
    let (_, tokens) = test_system.connect("ana@example.com", "acme", scopes).await;
    [tokens.access, test_system.create_api_key("ana@example.com", "acme", scopes, None).await.0]
}

fn acme(test_system: &TestSystem) -> Workspace {
    test_system.system().workspaces().as_operator(&TenantId::parse("acme").unwrap())
}

fn skill(name: &str) -> Skill {
    Skill {
        name: Name::parse(name).unwrap(),
        title: "Skill".to_owned(),
        description: "When to use it".to_owned(),
        content: "# How".to_owned(),
        arguments: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocol_versions_list_the_capabilities() {
    let test_system = TestSystem::new().await;
    let key = test_system.api_key();
    let served = json!({ "tools": {}, "prompts": {}, "resources": {}, "completions": {} });

    let discovered = call(&test_system, ProtocolVersion::Modern, &key, "server/discover", json!({})).await.json();
    let client = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
    let initialized = call(&test_system, ProtocolVersion::Legacy, &key, "initialize", params).await.json();

    assert_eq!(discovered["result"]["capabilities"], served);
    assert_eq!(initialized["result"]["capabilities"], served);
}

/// All that is listed, on however many pages.
async fn every_resource(test_system: &TestSystem, version: ProtocolVersion, credential: &str) -> Vec<Value> {
    every_page(test_system, version, credential, "resources/list", "resources").await
}

#[tokio::test(flavor = "multi_thread")]
async fn skills_and_documents_are_resources() {
    let test_system = TestSystem::new().await;
    let one = |uri: &str, name: &str, title: &str, more: Value| {
        let mut resource = json!({ "uri": uri, "name": name, "title": title, "mimeType": "text/markdown" });
        resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        resource
    };
    for credential in credentials(&test_system, "skills:read documents:read").await {
        for version in VERSIONS {
            let all = &every_resource(&test_system, version, &credential).await;
            let uris: Vec<_> = all.iter().map(|resource| resource["uri"].as_str().unwrap()).collect();
            let expected = [
                "skill://house-style",
                "skill://weekly-report",
                "document://office-handbook",
                "document://refund-policy",
            ];
            assert_eq!(uris, expected);
            let described = "How Acme writes to customers. Use it before drafting any message that leaves the house.";
            let style = one("skill://house-style", "house-style", "House style", json!({ "description": described }));
            assert_eq!(all[0], style);
            let size = all[3]["size"].as_u64().unwrap();
            let more = json!({ "size": size, "annotations": { "lastModified": "2026-11-22T09:30:00Z" } });
            assert_eq!(all[3], one("document://refund-policy", "refund-policy", "Refund policy", more));

            let templates = result(&test_system, version, &credential, "resources/templates/list", json!({})).await;
            let templates = templates["resourceTemplates"].as_array().unwrap();
            let uris: Vec<_> = templates.iter().map(|template| &template["uriTemplate"]).collect();
            assert_eq!(uris, ["skill://{name}", "document://{id}"]);

            for (uri, beginning) in
                [("skill://house-style", "# House style\n"), ("document://refund-policy", "# Refund policy\n")]
            {
                let read = result(&test_system, version, &credential, "resources/read", json!({ "uri": uri })).await;
                let text = read["contents"][0]["text"].as_str().unwrap();
                assert!(text.starts_with(beginning), "{read}");
                let contents = json!([{ "uri": uri, "mimeType": "text/markdown", "text": text }]);
                assert_eq!(read, json!({ "contents": contents }));
                if uri == "document://refund-policy" {
                    assert_eq!(text.len(), usize::try_from(size).unwrap());
                }
            }
        }
    }
    let read = test_system.audit("resource_read");
    let ours = read.iter().filter(|line| line["resource"] == "skill://house-style" && line["outcome"] == "answered");
    assert!(ours.clone().any(|line| line["credential"].as_str().unwrap().starts_with("grant ")), "{read:?}");
    assert!(ours.clone().any(|line| line["credential"].as_str().unwrap().starts_with("key ")), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_version_of_a_document_is_a_resource_too() {
    let test_system = TestSystem::new().await;
    let [token, _] = credentials(&test_system, "documents:write").await;
    let arguments = json!({ "id": "refund-policy", "version": 1, "content": "None." });
    let updated =
        test_system.call(Some(&token), "tools/call", json!({ "name": "update_document", "arguments": arguments }));
    assert_eq!(updated.await.json()["result"]["structuredContent"]["version"], 2);

    for version in VERSIONS {
        for (uri, text) in [
            ("document://refund-policy", "None."),
            ("document://refund-policy?version=2", "None."),
            ("document://refund-policy?version=1", "# Refund policy"),
        ] {
            let read = result(&test_system, version, &token, "resources/read", json!({ "uri": uri })).await;
            assert!(read["contents"][0]["text"].as_str().unwrap().starts_with(text), "{uri} {read}");
            assert_eq!(read["contents"][0]["uri"], uri);
        }
    }
}

/// SEP-2164: -32602 since 2026-07-28, -32002 before, and which one it was.
#[tokio::test(flavor = "multi_thread")]
async fn missing_resource_has_the_error_code_of_its_protocol_version() {
    let test_system = TestSystem::new().await;
    test_system.set_role("globex", "ana@example.com", "owner").await;
    let globex = test_system.create_api_key("ana@example.com", "globex", "skills:read documents:read", None).await.0;

    for credential in credentials(&test_system, "skills:read documents:read").await.iter().chain([&globex]) {
        for (version, code) in [(ProtocolVersion::Modern, -32602), (ProtocolVersion::Legacy, -32002)] {
            for uri in [
                "skill://made-up",
                "document://made-up",
                "document://refund-policy?version=7",
                "document://refund-policy?version=0",
                "document://refund-policy?version=01",
                "skill://a/../b",
                "file:///etc/passwd",
                "https://example.com/",
                "weekly-report",
                "",
            ] {
                let told = error(&test_system, version, credential, "resources/read", json!({ "uri": uri })).await;
                assert_eq!(told, (code, "There is no such resource".to_owned(), json!({ "uri": uri })), "{version:?}");
            }
        }
    }
    // Another tenant's is not there either.
    for uri in ["skill://weekly-report", "document://refund-policy"] {
        let told = error(&test_system, ProtocolVersion::Legacy, &globex, "resources/read", json!({ "uri": uri })).await;
        assert_eq!(told.0, -32002, "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_and_prompts_are_paginated_in_order() {
    let test_system = TestSystem::new().await;
    let acme = acme(&test_system);
    for number in 0..150 {
        acme.put_skill(&skill(&format!("s-{number:03}"))).await.unwrap();
        let id = Name::parse(&format!("d-{number:03}")).unwrap();
        acme.put_document(&id, "Document", "…", Timestamp::from_seconds(test_system.now())).await.unwrap();
    }
    let skills = (0..150).map(|number| format!("s-{number:03}"));
    let skills: Vec<_> =
        ["house-style".to_owned()].into_iter().chain(skills).chain(["weekly-report".to_owned()]).collect();
    let documents = (0..150).map(|number| format!("d-{number:03}"));
    let documents: Vec<_> = documents.chain(["office-handbook".to_owned(), "refund-policy".to_owned()]).collect();
    let [token, key] = credentials(&test_system, "skills:read documents:read").await;
    let all = async |version, credential: &str, method: &str, things: &str| {
        let listed = every_page(&test_system, version, credential, method, things).await;
        listed.iter().map(|thing| thing["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    for (version, credential) in [(ProtocolVersion::Modern, &token), (ProtocolVersion::Legacy, &key)] {
        assert_eq!(all(version, credential, "prompts/list", "prompts").await, skills);
        let both: Vec<_> = skills.iter().chain(&documents).cloned().collect();
        assert_eq!(all(version, credential, "resources/list", "resources").await, both);

        for (method, cursor) in [
            ("resources/list", "nonsense"),
            ("resources/list", ""),
            // A cursor of prompts, and one that would lead elsewhere.
            ("resources/list", "aG91c2Utc3R5bGU"),
            ("resources/list", "ZmlsZTovLy9ldGMvcGFzc3dk"),
            ("resources/templates/list", "aG91c2Utc3R5bGU"),
            ("prompts/list", "!"),
            ("prompts/list", "YSNi"),
        ] {
            let (code, sentence, _) =
                error(&test_system, version, credential, method, json!({ "cursor": cursor })).await;
            assert_eq!((code, sentence.as_str()), (-32602, "The cursor is not one of ours"), "{method} {cursor}");
        }
    }

    // Completion shows a hundred at most, of one page, and says that there are more.
    test_system.stop_cutting_pages();
    let reference = json!({ "type": "ref/resource", "uri": "skill://{name}" });
    let complete = async |typed: &str| {
        let params = json!({ "ref": reference, "argument": { "name": "name", "value": typed } });
        result(&test_system, ProtocolVersion::Modern, &token, "completion/complete", params).await["completion"].clone()
    };
    let hundred: Vec<_> = (0..100).map(|number| format!("s-{number:03}")).collect();
    assert_eq!(complete("s-").await, json!({ "values": hundred, "hasMore": true }));
    let ten: Vec<_> = (20..30).map(|number| format!("s-{number:03}")).collect();
    assert_eq!(complete("s-02").await, json!({ "values": ten, "total": 10, "hasMore": false }));
}

/// What a list shows, to its end.
async fn every_page(
    test_system: &TestSystem,
    version: ProtocolVersion,
    credential: &str,
    method: &str,
    things: &str,
) -> Vec<Value> {
    let (mut all, mut params) = (Vec::new(), json!({}));
    loop {
        let page = result(test_system, version, credential, method, params).await;
        let listed = page[things].as_array().unwrap();
        assert!(listed.len() <= 200, "{}", listed.len());
        all.extend(listed.iter().cloned());
        match page.get("nextCursor") {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skill_is_a_prompt_with_its_arguments_filled_in() {
    let test_system = TestSystem::new().await;
    for credential in credentials(&test_system, "skills:read").await {
        for version in VERSIONS {
            let listed = every_page(&test_system, version, &credential, "prompts/list", "prompts").await;
            let report = json!({
                "name": "weekly-report",
                "title": "Weekly report",
                "description": "How Acme writes its report of the week. Use it when asked for a weekly report or status.",
                "arguments": [
                    { "name": "week", "description": "Which week, such as 2026-W47", "required": true },
                    { "name": "audience", "description": "Who reads it, if not the whole house", "required": false },
                ],
            });
            assert_eq!(listed[1], report);
            assert_eq!(listed[0].get("arguments"), None, "house-style has none");

            let arguments = json!({ "week": "2026-W47", "unknown": "ignored" });
            let params = json!({ "name": "weekly-report", "arguments": arguments });
            let got = result(&test_system, version, &credential, "prompts/get", params).await;
            let text = got["messages"][0]["content"]["text"].as_str().unwrap();
            assert!(text.starts_with("# Weekly report\n\nFor 2026-W47. "), "{text}");
            assert!(!text.contains("{{") && !text.contains("ignored"), "{text}");
            let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
            assert_eq!(got, json!({ "description": report["description"], "messages": [message] }));
            let plain =
                result(&test_system, version, &credential, "prompts/get", json!({ "name": "house-style" })).await;
            assert!(plain["messages"][0]["content"]["text"].as_str().unwrap().starts_with("# House style\n"));

            let long = json!({ "week": "a".repeat(900_000), "audience": "b".repeat(200_000) });
            for (params, sentence) in [
                (json!({ "name": "weekly-report" }), "A required argument is missing"),
                (
                    json!({ "name": "weekly-report", "arguments": { "audience": "us" } }),
                    "A required argument is missing",
                ),
                (
                    json!({ "name": "weekly-report", "arguments": { "week": 47 } }),
                    "The arguments of a prompt must be strings",
                ),
                (json!({ "name": "made-up" }), "There is no such prompt"),
                (json!({ "name": "not a name" }), "There is no such prompt"),
                (json!({ "name": "incident-response" }), "There is no such prompt"),
            ] {
                let told = error(&test_system, version, &credential, "prompts/get", params.clone()).await;
                assert_eq!(told, (-32602, sentence.to_owned(), Value::Null), "{params}");
            }
            let large = call(
                &test_system,
                version,
                &credential,
                "prompts/get",
                json!({ "name": "weekly-report", "arguments": long }),
            );
            assert_eq!(large.await.status, 413);
        }
        let read = json!({ "name": "read_skill", "arguments": { "name": "weekly-report" } });
        let read = result(&test_system, ProtocolVersion::Legacy, &credential, "tools/call", read).await;
        assert_eq!(read["structuredContent"]["arguments"][0]["name"], "week");
        assert!(read["structuredContent"]["content"].as_str().unwrap().contains("{{week}}"), "{read}");
    }
    let taken = test_system.audit("prompt_taken");
    for outcome in ["answered", "invalid_params"] {
        assert!(taken.iter().any(|line| line["prompt"] == "weekly-report" && line["outcome"] == outcome), "{taken:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completion_suggests_existing_values() {
    let test_system = TestSystem::new().await;
    let skill = json!({ "type": "ref/resource", "uri": "skill://{name}" });
    let document = json!({ "type": "ref/resource", "uri": "document://{id}" });
    let prompt = json!({ "type": "ref/prompt", "name": "weekly-report" });
    for credential in credentials(&test_system, "skills:read documents:read").await {
        for version in VERSIONS {
            for (reference, argument, typed, values) in [
                (&skill, "name", "", json!(["house-style", "weekly-report"])),
                (&skill, "name", "we", json!(["weekly-report"])),
                (&skill, "name", "x", json!([])),
                (&skill, "name", "not a name#", json!([])),
                (&document, "id", "re", json!(["refund-policy"])),
                (&prompt, "week", "2026", json!([])),
            ] {
                let params = json!({ "ref": reference, "argument": { "name": argument, "value": typed } });
                let completed = result(&test_system, version, &credential, "completion/complete", params).await;
                let total = values.as_array().unwrap().len();
                let expected = json!({ "values": values, "total": total, "hasMore": false });
                assert_eq!(completed, json!({ "completion": expected }), "{reference} {typed}");
            }
            for (reference, argument) in [
                (&skill, "id"),
                (&json!({ "type": "ref/resource", "uri": "file:///{path}" }), "path"),
                (&json!({ "type": "ref/prompt", "name": "made-up" }), "week"),
                (&prompt, "made_up"),
                (&json!({ "type": "ref/made-up", "name": "weekly-report" }), "week"),
            ] {
                let params = json!({ "ref": reference, "argument": { "name": argument, "value": "" } });
                let (code, ..) = error(&test_system, version, &credential, "completion/complete", params).await;
                assert_eq!(code, -32602, "{reference} {argument}");
            }
        }
    }
}

/// Lists show what the scopes allow; beyond them, HTTP 403 names the scopes granted and needed.
#[tokio::test(flavor = "multi_thread")]
async fn scopes_decide_what_is_listed_and_read() {
    let test_system = TestSystem::new().await;
    test_system.stop_cutting_pages();
    let complete = |uri: &str, variable: &str| json!({ "ref": { "type": "ref/resource", "uri": uri }, "argument": { "name": variable, "value": "" } });
    let of_prompt = json!({ "ref": { "type": "ref/prompt", "name": "weekly-report" }, "argument": { "name": "week", "value": "" } });
    for (granted, kind, prompts, refused) in [
        (
            "skills:read",
            "skill://",
            2,
            vec![
                ("resources/read", json!({ "uri": "document://refund-policy" })),
                ("resources/read", json!({ "uri": "document://made-up" })),
                ("completion/complete", complete("document://{id}", "id")),
            ],
        ),
        (
            "documents:read",
            "document://",
            0,
            vec![
                ("resources/read", json!({ "uri": "skill://house-style" })),
                ("prompts/get", json!({ "name": "house-style" })),
                ("prompts/get", json!({ "name": "made-up" })),
                ("completion/complete", complete("skill://{name}", "name")),
                ("completion/complete", of_prompt),
            ],
        ),
    ] {
        for credential in credentials(&test_system, granted).await {
            for version in VERSIONS {
                let listed = every_resource(&test_system, version, &credential).await;
                let uris: Vec<_> = listed.iter().map(|one| one["uri"].as_str().unwrap()).collect();
                assert_eq!(uris.len(), 2);
                assert!(uris.iter().all(|uri| uri.starts_with(kind)), "{uris:?}");
                let templates = result(&test_system, version, &credential, "resources/templates/list", json!({})).await;
                assert_eq!(templates["resourceTemplates"].as_array().unwrap().len(), 1);
                let listed = every_page(&test_system, version, &credential, "prompts/list", "prompts").await;
                assert_eq!(listed.len(), prompts);

                for (method, params) in &refused {
                    let answer = call(&test_system, version, &credential, method, params.clone()).await;

                    assert_eq!(answer.status, 403, "{version:?} {method} {answer:?}");
                    let challenge = answer.header("www-authenticate").unwrap();
                    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\", "), "{challenge}");
                    assert!(challenge.contains("scope=\"skills:read documents:read\""), "{challenge}");
                    assert_eq!(answer.json()["scope"], "skills:read documents:read");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn skill_with_invalid_arguments_is_not_stored() {
    let test_system = TestSystem::new().await;
    let argument = || Argument { name: Name::parse("week").unwrap(), description: "Which".to_owned(), required: true };

    let kept = acme(&test_system).put_skill(&Skill { arguments: vec![argument(), argument()], ..skill("twice") }).await;

    let why = kept.unwrap_err().to_string();
    assert_eq!(why, "there must be at most 16 arguments, each of another name and described in 1 to 512 bytes");
}
