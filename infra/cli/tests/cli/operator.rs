//! Tenants, members, keys, grants and the audit: what an operator does takes effect at once, and is told.

use local::Data;
use serde_json::{Value, json};
use test_system::TestSystem;

use crate::program::{Amble, TempDir, test_system};

const ANA: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01";
const BEN: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02";

/// From nothing to a working connection and back, all from the command line.
#[tokio::test(flavor = "multi_thread")]
async fn tenant_is_created_used_and_removed() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);

    let added = amble.json(&["tenant", "add", "initech", "Initech"]).await;
    assert_eq!(added, json!({ "tenant": "initech", "name": "Initech", "roles": {} }));
    amble.text(&["tenant", "rename", "initech", "Initech, Inc."]).await;
    let set =
        amble.json(&["tenant", "role", "set", "clerk", "--tenant", "initech", "skills:read", "entities:write"]).await;
    assert_eq!(set["roles"], json!({ "clerk": "skills:read entities:read entities:write" }));
    amble.text(&["member", "add", "Ben@example.com", "--tenant", "initech", "--role", "clerk"]).await;
    assert_eq!(
        amble.text(&["member", "list", "--tenant", "initech"]).await,
        format!("PERSON                                ROLE\n{BEN}  clerk\n")
    );
    let listed = amble.json(&["tenant", "list"]).await;
    let ids: Vec<_> = listed["tenants"].as_array().unwrap().iter().map(|it| it["tenant"].clone()).collect();
    assert_eq!(ids, ["acme", "globex", "initech"]);

    let (connector, tokens) = test_system.connect("ben@example.com", "initech", "skills:read").await;
    let made = amble
        .json(&[
            "key",
            "add",
            "--tenant",
            "initech",
            "--person",
            "ben@example.com",
            "--name",
            "export",
            "--expires-in",
            "90d",
            "skills:read",
        ])
        .await;
    let key = made["api_key"].as_str().unwrap().to_owned();
    test_system.track_secret(&key);
    for credential in [&tokens.access, &key] {
        assert_eq!(test_system.call(Some(credential), "tools/list", json!({})).await.status, 200);
    }
    amble.text(&["member", "role", BEN, "--tenant", "initech", "--role", "viewer"]).await;
    amble.text(&["tenant", "role", "remove", "clerk", "--tenant", "initech"]).await;
    let shown = amble.json(&["tenant", "show", "initech"]).await;
    assert_eq!(
        shown,
        json!({
            "tenant": "initech", "name": "Initech, Inc.", "roles": {}, "members": 1, "grants": 1, "keys": 1, "things": 0,
            "layout": "by kind",
        })
    );

    let complaint = amble.fails_with(1, &["tenant", "remove", "initech"]).await;
    let what =
        "this removes tenant initech (Initech, Inc.) with members: 1, connections: 1, API keys: 1, stored things: 0";
    assert_eq!(complaint, format!("amble: not done: {what}; add --yes to do it without being asked\n"));
    let removed = amble.json(&["tenant", "remove", "initech", "--yes", "--search-again-after", "0s"]).await;
    assert_eq!(removed, json!({ "tenant": "initech", "members": 1, "grants": 1, "keys": 1, "things": 0 }));
    for credential in [&tokens.access, &key] {
        assert_eq!(test_system.call(Some(credential), "tools/list", json!({})).await.status, 401);
    }
    assert_eq!(connector.refresh(&tokens.refresh.unwrap()).await.json()["error"], "invalid_grant");
    assert!(amble.fails_with(1, &["tenant", "show", "initech"]).await.contains("there is no tenant initech"));

    let done = amble.json(&["audit", "show", "--tenant", "initech", "--since", "1h"]).await;
    let events: Vec<_> =
        done["events"].as_array().unwrap().iter().map(|line| line["event"].as_str().unwrap()).collect();
    let of_amble: Vec<_> = events.into_iter().filter(|event| !event.starts_with("grant_a")).collect();
    for event in [
        "tenant_added",
        "tenant_renamed",
        "role_set",
        "member_added",
        "key_made",
        "member_role_set",
        "role_removed",
        "member_removed",
        "key_revoked",
        "grant_ended",
        "tenant_removed",
    ] {
        assert!(of_amble.contains(&event), "{event}: {of_amble:?}");
    }
    let schema = serde_json::from_str(include_str!("../../../../functions/audit/schema.json")).unwrap();
    let mine: Vec<_> = done["events"].as_array().unwrap().iter().filter(|line| line["function"] == "amble").collect();
    assert!(mine.len() > 10, "{mine:?}");
    for line in mine {
        jsonschema::validate(&schema, line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert!(!done.to_string().contains(&key), "{done}");
}

/// All that a tenant has goes with it: nobody finds it under the same name.
#[tokio::test(flavor = "multi_thread")]
async fn removing_a_tenant_deletes_all_its_data() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let scopes = "entities:write documents:write chat:create";
    let (key, _) = test_system.create_api_key("ana@example.com", "acme", scopes, None).await;
    let call = async |tool: &str, arguments: Value| {
        let answer = test_system.call(Some(&key), "tools/call", json!({ "name": tool, "arguments": arguments })).await;
        answer.json()["result"]["structuredContent"].clone()
    };
    // What lies in partitions of its own: a version, a message, and the tombstones of a document and a record.
    call("create_chat", json!({ "message": "Hello" })).await;
    let made = call("create_document", json!({ "title": "Plan", "content": "a" })).await;
    call("update_document", json!({ "id": made["id"], "version": 1, "content": "b" })).await;
    let gone = call("delete_document", json!({ "id": made["id"], "version": 2 })).await;
    assert_eq!(gone["version"], 2);
    let listed = call("list_entities", json!({ "type": "invoice" })).await["entities"][0].clone();
    let gone = json!({ "type": "invoice", "id": listed["id"], "version": listed["version"] });
    assert_eq!(call("delete_entity", gone).await["deleted"], listed);
    let before = amble.json(&["tenant", "show", "acme"]).await;
    assert!(before["things"].as_u64().unwrap() > 10, "{before}");
    let removed = amble.json(&["tenant", "remove", "acme", "--yes", "--search-again-after", "0s"]).await;
    assert_eq!(removed["things"], before["things"]);

    amble.text(&["tenant", "add", "acme", "Acme"]).await;
    let after = amble.json(&["tenant", "show", "acme"]).await;
    assert_eq!(
        after,
        json!({
            "tenant": "acme", "name": "Acme", "roles": {}, "members": 0, "grants": 0, "keys": 0, "things": 0,
            "layout": "by kind",
        })
    );
    let items = test_system.system().items().unwrap();
    let left: Vec<_> = items
        .iter()
        .filter(|(_, item)| {
            let partition = item["tenant"]["S"].as_str().unwrap_or_default();
            let is_of_acme = partition == "acme" || partition.starts_with("tenant#acme#");
            is_of_acme && item.get("state").is_none() && item.get("line").is_none()
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_member_revokes_only_their_access_to_that_tenant() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (_, here) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let (_, elsewhere) = test_system.connect("ana@example.com", "globex", "skills:read").await;
    let (_, others) = test_system.connect("ben@example.com", "acme", "skills:read").await;

    let removed = amble.json(&["member", "remove", ANA, "--tenant", "acme", "--search-again-after", "0s"]).await;

    // The demo's own key is Ana's.
    assert_eq!(removed, json!({ "tenant": "acme", "person": ANA, "grants": 1, "keys": 1 }));
    for (token, status) in
        [(&here.access, 401), (&test_system.api_key(), 401), (&elsewhere.access, 200), (&others.access, 200)]
    {
        assert_eq!(test_system.call(Some(token), "tools/list", json!({})).await.status, status);
    }
    assert!(
        amble
            .fails_with(1, &["member", "remove", ANA, "--tenant", "acme"])
            .await
            .contains("is no member of tenant acme")
    );
}

/// Everywhere at once; whoever they are elsewhere, they are still.
#[tokio::test(flavor = "multi_thread")]
async fn ending_a_person_ends_their_grants_and_keys_in_every_tenant() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (connector, here) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let (_, elsewhere) = test_system.connect("ana@example.com", "globex", "skills:read").await;
    let (_, others) = test_system.connect("ben@example.com", "acme", "skills:read").await;
    let works = async |token: &str| test_system.call(Some(token), "tools/list", json!({})).await.status;

    let told = amble.text(&["person", "end", "Ana@example.com", "--dry-run"]).await;
    let what = format!("everything of {ANA} in acme, globex; connections: 2, API keys: 1");
    assert_eq!(told, format!("This would end {what}.\n"));
    let complaint = amble.fails_with(1, &["person", "end", ANA]).await;
    assert_eq!(complaint, format!("amble: not done: this ends {what}; add --yes to do it without being asked\n"));
    assert_eq!((works(&here.access).await, works(&test_system.api_key()).await), (200, 200));

    // The demo's own key is Ana's.
    let ended = amble.json(&["person", "end", ANA, "--yes", "--search-again-after", "0s"]).await;

    let expected = json!({ "person": ANA, "tenants": ["acme", "globex"], "grants": 2, "keys": 1, "dry_run": false });
    assert_eq!(ended, expected);
    for (token, status) in
        [(&here.access, 401), (&elsewhere.access, 401), (&test_system.api_key(), 401), (&others.access, 200)]
    {
        assert_eq!(works(token).await, status);
    }
    assert_eq!(connector.refresh(&here.refresh.unwrap()).await.json()["error"], "invalid_grant");
    let members = amble.json(&["member", "list", "--tenant", "acme"]).await;
    assert!(members.to_string().contains(ANA), "they stay a member: {members}");
    let (_, again) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    assert_eq!(works(&again.access).await, 200);
    let done = amble.json(&["audit", "show", "--tenant", "globex", "--since", "1h"]).await.to_string();
    assert!(done.contains("connections_ended") && done.contains("person_ended"), "{done}");
}

/// By person, tenant and client, together and alone; ended ones are told apart.
#[tokio::test(flavor = "multi_thread")]
async fn grants_are_listed_shown_and_revoked() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (claude, ana) = test_system.connect("ana@example.com", "acme", "skills:read").await;
    let (_, elsewhere) = test_system.connect("ana@example.com", "globex", "skills:read").await;
    let other = test_system.connector("Cursor").await;
    let ask = other.authorization_request("skills:read");
    let code = test_system.person("ben@example.com").code(&ask, "acme").await;
    let ben = other.exchange(&ask, &code).await.tokens(&test_system);

    for (words, count) in [
        (&["--tenant", "acme"][..], 2),
        (&["--person", ANA], 2),
        (&["--client", &claude.client_id], 2),
        (&["--client", &other.client_id], 1),
        (&["--tenant", "acme", "--person", ANA], 1),
        (&["--tenant", "acme", "--person", "Ana@example.com"], 1),
        (&["--tenant", "globex", "--client", &other.client_id], 0),
    ] {
        let listed = amble.json(&[&["grant", "list"], words].concat()).await;
        assert_eq!(listed["grants"].as_array().unwrap().len(), count, "{words:?} {listed}");
    }
    let listed = amble.json(&["grant", "list", "--tenant", "acme", "--person", ANA]).await;
    let grant = &listed["grants"][0];
    let id = grant["grant"].as_str().unwrap();
    assert_eq!(
        (&grant["state"], &grant["scope"], &grant["host"]),
        (&json!("active"), &json!("skills:read offline_access"), &json!("claude.ai"))
    );
    assert_eq!(&amble.json(&["grant", "show", id]).await, grant);
    let shown = amble.text(&["grant", "show", id]).await;
    assert!(shown.contains("\nState            active\n") && shown.contains("\nTenant           acme\n"), "{shown}");
    let text = amble.text(&["grant", "list", "--tenant", "acme"]).await;
    assert!(text.starts_with("GRANT                   STATE   TENANT  PERSON"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");

    assert_eq!(amble.json(&["grant", "end", id]).await, json!({ "ended": 1 }));
    assert_eq!(test_system.call(Some(&ana.access), "tools/list", json!({})).await.status, 401);
    assert!(amble.fails_with(1, &["grant", "end", id]).await.contains("has ended already: administrator"));
    let ended = amble.json(&["grant", "show", id]).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("ended"), &json!("administrator")));
    let all = amble.json(&["grant", "list", "--tenant", "acme", "--all"]).await;
    assert_eq!(all["grants"].as_array().unwrap().len(), 2, "{all}");

    let complaint = amble.fails_with(1, &["grant", "end", "--tenant", "acme"]).await;
    assert_eq!(
        complaint,
        "amble: not done: this ends every connection in acme; listed: 1; add --yes to do it without being asked\n"
    );
    assert_eq!(
        amble.json(&["grant", "end", "--tenant", "acme", "--yes", "--search-again-after", "0s"]).await,
        json!({ "ended": 1 })
    );
    assert_eq!(
        amble.json(&["grant", "end", "--tenant", "acme", "--search-again-after", "0s"]).await,
        json!({ "ended": 0 })
    );
    for (token, status) in [(&ben.access, 401), (&elsewhere.access, 200)] {
        assert_eq!(test_system.call(Some(token), "tools/list", json!({})).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_commands_change_nothing() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let before = test_system.system().items().unwrap();
    for words in [
        &["tenant", "add", "Ac me", "Acme"][..],
        &["tenant", "add", "initech", ""],
        &["tenant", "role", "set", "clerk", "--tenant", "acme", "entities:wirte"],
        &["tenant", "role", "set", "clerk", "--tenant", "acme"],
        &["member", "add", "ana", "--tenant", "acme", "--role", "member"],
        &["member", "add", ANA, "--tenant", "acme"],
        &["member", "add", "acme", ANA, "--role", "member"],
        &["key", "add", "--tenant", "acme", "--person", ANA, "--name", "x", "--expires-in", "soon", "skills:read"],
        &["key", "add", "--tenant", "acme", "--person", ANA, "--name", "x", "--expires-in", "0s", "skills:read"],
        &["key", "add", "--tenant", "acme", "--person", ANA, "--name", "x", "--expires-in", "3651d", "skills:read"],
        &["key", "add", "--tenant", "acme", "--person", ANA, "--name", "x", "offline_access"],
        &["key", "revoke", "x", "--tenant", "acme"],
        &["grant", "show", "x"],
        &["grant", "end", "AAAAAAAAAAAAAAAAAAAAAA", "--tenant", "acme"],
        &["audit", "show", "--since", "0h"],
        &["completions", "tcsh"],
    ] {
        let complaint = amble.fails_with(2, words).await;
        assert!(complaint.starts_with("error: ") && complaint.contains("--help"), "{words:?} {complaint}");
    }
    for (words, sentence) in [
        (&["tenant", "add", "acme", "Acme"][..], "there is a tenant acme already"),
        (&["tenant", "show", "nowhere"], "there is no tenant nowhere; `amble tenant list` tells which there are"),
        (
            &["tenant", "role", "set", "owner", "--tenant", "acme", "skills:read"],
            "owner is a role that every tenant has",
        ),
        (&["tenant", "role", "remove", "clerk", "--tenant", "acme"], "tenant acme has no role clerk"),
        (&["member", "list", "--tenant", "nowhere"], "there is no tenant nowhere"),
        (
            &["member", "add", ANA, "--tenant", "acme", "--role", "viewer"],
            "is owner in tenant acme already; `amble member role` changes that",
        ),
        (
            &["member", "add", BEN, "--tenant", "globex", "--role", "boss"],
            "tenant globex has no role boss; it has owner, admin, member, viewer",
        ),
        (&["key", "list", "--tenant", "nowhere"], "there is no tenant nowhere"),
        (&["key", "revoke", "AAAAAAAAAAAAAAAA", "--tenant", "acme"], "tenant acme has no key AAAAAAAAAAAAAAAA"),
        (&["grant", "show", "AAAAAAAAAAAAAAAAAAAAAA"], "there is no grant AAAAAAAAAAAAAAAAAAAAAA"),
        // One id in 64 begins with a hyphen, and is no option.
        (&["key", "revoke", "-xAAAAAAAAAAAAAA", "--tenant", "acme"], "tenant acme has no key -xAAAAAAAAAAAAAA"),
        (&["grant", "show", "-xAAAAAAAAAAAAAAAAAAAA"], "there is no grant -xAAAAAAAAAAAAAAAAAAAA"),
        (&["grant", "end", "-xAAAAAAAAAAAAAAAAAAAA", "--yes"], "there is no grant -xAAAAAAAAAAAAAAAAAAAA"),
        (&["client", "secret", "remove", "nobody", "-xxHd07c"], "there is no client nobody"),
        (&["grant", "list"], "say which grants"),
        (&["grant", "end"], "say which grants"),
        (&["audit", "show"], "say --tenant"),
        (&["apply", "nowhere.yaml", "--yes"], "nowhere.yaml: cannot be read"),
        (&["doctor"], "say which URL"),
        (&["doctor", "example.com"], "is no URL"),
    ] {
        let complaint = amble.fails_with(1, words).await;
        assert!(complaint.starts_with("amble: ") && complaint.contains(sentence), "{words:?} {complaint}");
    }
    assert_eq!(test_system.system().items().unwrap(), before);

    let clients = &test_system.system().tables()["TABLE_CLIENTS"];
    let few = Amble::of_environment(test_system.system().dynamo_url()).with("TABLE_CLIENTS", clients);
    let complaint = few.fails_with(1, &["tenant", "list"]).await;
    assert!(
        complaint.contains("TABLE_DIRECTORY is not set; name it in the environment, or say --stack"),
        "{complaint}"
    );
    // Nothing is done by halves.
    for words in [&["client", "block", "c_bad"][..], &["member", "remove", ANA, "--tenant", "acme"]] {
        assert!(few.fails_with(1, words).await.contains("is not set"), "{words:?}");
    }
    assert_eq!(test_system.system().items().unwrap(), before);
}

/// An address names whoever has confirmed it, and needs a key that may ask who that is; a user id needs none.
#[tokio::test(flavor = "multi_thread")]
async fn person_named_by_address_is_looked_up() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let grants = |email| ["grant", "list", "--person", email];

    let complaint = amble.fails_with(1, &grants("nobody@example.com")).await;
    let project = test_system.system().supabase_url();
    assert_eq!(complaint, format!("amble: nobody in the project at {project} has the address nobody@example.com\n"));
    test_system.supabase().configure(|config| config.mailer_autoconfirm = true);
    let complaint = amble.fails_with(1, &grants("ana@example.com")).await;
    assert!(complaint.contains("may be anybody's: name the person by user id"), "{complaint}");
    test_system.supabase().configure(|config| config.mailer_autoconfirm = false);

    let other_key = Amble::of(&test_system).with("SUPABASE_SECRET_KEY", "sb_secret_other");
    let complaint = other_key.fails_with(1, &grants("ana@example.com")).await;
    assert!(complaint.contains("does not take the key in SUPABASE_SECRET_KEY"), "{complaint}");
    assert!(!complaint.contains("sb_secret_other"), "{complaint}");
    for (name, sentence) in [
        ("SUPABASE_SECRET_KEY", "must put a secret key of the Supabase project in SUPABASE_SECRET_KEY"),
        ("SUPABASE_URL", "must say where the Supabase project is, in SUPABASE_URL"),
    ] {
        let without = Amble::of(&test_system).with(name, "");
        let complaint = without.fails_with(1, &grants("ana@example.com")).await;
        assert!(complaint.contains(sentence) && complaint.contains("a user id needs no more"), "{complaint}");
        without.text(&grants(ANA)).await;
    }
}

/// One grammar: whatever a command is about comes first, the tenant is always `--tenant`, and each word is explained.
#[tokio::test(flavor = "multi_thread")]
async fn every_command_explains_its_words_and_takes_the_tenant_as_an_option() {
    let amble = Amble(Vec::new());
    let mut left = vec![Vec::<String>::new()];
    let mut commands = 0;
    while let Some(words) = left.pop() {
        let asked = words.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>();
        let help = amble.text(&asked).await;
        let section = |title: &str| -> Vec<String> {
            let rest = help.split_once(&format!("\n{title}:\n")).map_or("", |(_, rest)| rest);
            rest.lines().take_while(|line| line.starts_with(' ')).map(str::to_owned).collect()
        };
        for line in [section("Arguments"), section("Options"), section("Commands")].concat() {
            let explained = line.trim().split_once("  ").is_some_and(|(_, what)| !what.trim().is_empty());
            assert!(explained, "{words:?}: {line}");
        }
        let below: Vec<_> =
            section("Commands").iter().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
        commands += usize::from(below.is_empty());
        left.extend(below.into_iter().filter(|name| name != "help").map(|name| [&words[..], &[name]].concat()));
        if section("Arguments").iter().any(|line| line.contains("TENANT>")) {
            assert!(words[0] == "tenant" && words.len() == 2, "{words:?} takes the tenant at another place");
        }
        let usage = help.lines().find(|line| line.starts_with("Usage: ")).unwrap();
        assert!(!usage.contains("<PERSON>") || help.contains("by user id or e-mail address"), "{help}");
    }
    assert!(commands > 25, "{commands}");
}

/// Every shell gets a script that knows the commands.
#[tokio::test(flavor = "multi_thread")]
async fn shell_completions_know_the_commands() {
    let amble = Amble(Vec::new());
    for shell in ["bash", "zsh", "fish"] {
        let script = amble.text(&["completions", shell]).await;
        for word in ["apply", "tenant", "member", "client", "grant", "key", "audit", "doctor", "unblock"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

/// What functions did and what an operator did, in one list, live and afterwards, on a local system.
#[tokio::test(flavor = "multi_thread")]
async fn audit_log_of_a_local_system_is_followed() {
    use tokio::io::{AsyncBufReadExt, BufReader};

    let folder = TempDir::new("audit");
    let _world = TestSystem::with(|options| {
        options.data = Data::Directory(folder.0.clone());
        options.clock = shared::clock::Clock::system();
    })
    .await;
    let local = format!("--local={}", folder.0.display());
    let amble = Amble(Vec::new());
    let words = ["audit", "follow", "--tenant", "acme", "--person", "ben@example.com", "--json", &local];
    let mut following = amble.command(&words);
    let mut following = following.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();

    amble.text(&["member", "role", "ana@example.com", "--tenant", "acme", "--role", "admin", &local]).await;
    amble.text(&["member", "role", BEN, "--tenant", "acme", "--role", "viewer", &local]).await;
    let line =
        tokio::time::timeout(std::time::Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["event"], &line["person"], &line["role"], &line["by"]),
        (&json!("member_role_set"), &json!(BEN), &json!("viewer"), &json!("operator"))
    );
    following.kill().await.unwrap();

    let shown = amble.text(&["audit", "show", "--tenant", "acme", &local]).await;
    // To the second, which they may share.
    for (person, role) in [(ANA, "admin"), (BEN, "viewer")] {
        let told =
            format!("  member_role_set         by=operator  function=amble  person={person}  role={role}  tenant=acme");
        assert!(shown.lines().any(|line| line.ends_with(&told)), "{shown}");
    }
}

/// On a stack the audit is a log group: what an operator did stands there, with who they are for AWS.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto at MOTO_URL: tests/run starts it"]
#[expect(clippy::disallowed_methods, reason = "the address is a setting of the test run")]
async fn audit_log_of_a_stack_is_its_log_group() {
    let test_system = test_system().await;
    let moto = std::env::var("MOTO_URL").unwrap();
    let stack = format!("amble-audit-{}", std::process::id());
    let table = |keys: &[(&str, &str)]| {
        let attributes: Vec<_> =
            keys.iter().map(|(name, _)| json!({ "AttributeName": name, "AttributeType": "S" })).collect();
        let keys: Vec<_> = keys.iter().map(|(name, kind)| json!({ "AttributeName": name, "KeyType": kind })).collect();
        let properties =
            json!({ "AttributeDefinitions": attributes, "KeySchema": keys, "BillingMode": "PAY_PER_REQUEST" });
        json!({ "Type": "AWS::DynamoDB::Table", "Properties": properties })
    };
    let output = |name: &str| json!({ "Value": { "Ref": name } });
    let template = json!({
        "Resources": {
            "Clients": table(&[("id", "HASH")]),
            "Grants": table(&[("id", "HASH")]),
            "Directory": table(&[("pk", "HASH"), ("sk", "RANGE")]),
            "Activity": table(&[("tenant", "HASH"), ("at", "RANGE")]),
            "Audit": { "Type": "AWS::Logs::LogGroup", "Properties": { "LogGroupName": format!("/{stack}/audit") } },
        },
        "Outputs": {
            "TableClients": output("Clients"),
            "TableGrants": output("Grants"),
            "TableDirectory": output("Directory"),
            "TableActivity": output("Activity"),
            "AuditLogGroup": output("Audit"),
        },
    });
    let template = template.to_string();
    let form =
        [("Action", "CreateStack"), ("StackName", &stack), ("TemplateBody", &template), ("Version", "2010-05-15")];
    let scope = "AWS4-HMAC-SHA256 Credential=operator/20260101/us-east-1/cloudformation/aws4_request";
    let request = test_system.http().post(&moto).header("authorization", scope);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let made = test_system.send(request.body(test_system::person::encoded(&form))).await;
    assert_eq!(made.status, 200, "{made:?}");
    let (amble, at) = (Amble::of_environment(&moto), ["--stack", stack.as_str()]);

    amble.text(&[&["tenant", "add", "initech", "Initech"], &at[..]].concat()).await;
    amble.text(&[&["client", "block", "c_bad"], &at[..]].concat()).await;

    let told = amble.json(&[&["audit", "show"], &at[..]].concat()).await;
    let events: Vec<_> = told["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["event"], &line["tenant"], &line["client"]))
        .collect();
    let nothing = Value::Null;
    assert_eq!(
        events,
        [
            (&json!("tenant_added"), &json!("initech"), &nothing),
            (&json!("client_blocking"), &nothing, &json!("c_bad")),
            (&json!("client_blocked"), &nothing, &json!("c_bad")),
        ],
        "{told}"
    );
    for line in told["events"].as_array().unwrap() {
        assert!(line["by"].as_str().unwrap().starts_with("operator arn:aws:"), "{line}");
    }
}
