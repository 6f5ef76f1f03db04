//! `amble tenant migrate`: what a tenant has is moved between the layouts, and an earlier version can come back.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::clock::Timestamp;
use shared::oauth::tenant::TenantId;
use shared::store::workspace::entity_type::EntityType;
use shared::store::workspace::{Name, document::DocumentLookup};
use shared::store::workspace_layout::WorkspaceLayout;
use test_system::TestSystem;

use crate::aws_proxy::AwsProxy;
use crate::program::{Amble, test_system};

/// The items of acme, by partition and sort key, without what counts for minutes.
fn stored(test_system: &TestSystem) -> BTreeMap<(String, String), Value> {
    stored_of("acme", test_system)
}

/// The same of another tenant.
fn stored_of(tenant: &str, test_system: &TestSystem) -> BTreeMap<(String, String), Value> {
    let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    let items = test_system.system().items().unwrap().into_iter().map(|(_, item)| item);
    let items = items.map(|item| ((text(&item, "tenant"), text(&item, "item")), item));
    let by_kind = format!("tenant#{tenant}#");
    let is_its_own = |partition: &str| partition == tenant || partition.starts_with(&by_kind);
    items
        .filter(|((partition, item), _)| is_its_own(partition) && !item.is_empty() && !item.starts_with("budget#"))
        .collect()
}

/// As an earlier version has it.
fn layout_of_acme(test_system: &TestSystem) -> Option<Value> {
    let items = test_system.system().items().unwrap();
    let tenant = items.into_iter().find(|(_, item)| item["pk"]["S"] == "tenant#acme").unwrap().1;
    tenant.get("layout").cloned()
}

async fn skills(test_system: &TestSystem) -> Value {
    let listed = json!({ "name": "list_skills", "arguments": {} });
    test_system.call(Some(&test_system.api_key()), "tools/call", listed).await.json()["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_is_moved_back_and_forth() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (skills_before, before) = (skills(&test_system).await, stored(&test_system));
    assert!(before.keys().all(|(partition, _)| partition.starts_with("tenant#acme#")));

    let back = amble.json(&["tenant", "migrate", "acme", "--back", "--wait", "0s"]).await;
    let told = |layout: &str, moved: usize| json!({ "tenant": "acme", "layout": layout, "moved": moved, "left": [] });
    assert_eq!(back, json!({ "tenants": [told("whole", before.len())] }));
    let whole = stored(&test_system);
    assert_eq!(whole.len(), before.len());
    assert!(whole.keys().all(|(partition, _)| partition == "acme"));
    assert_eq!(layout_of_acme(&test_system), None);
    assert_eq!(amble.json(&["tenant", "show", "acme"]).await["layout"], "whole");
    assert_eq!(skills(&test_system).await, skills_before);

    let all = amble.json(&["tenant", "migrate", "--all", "--wait", "0s"]).await;
    let globex = json!({ "tenant": "globex", "layout": "by kind", "moved": 0, "left": [] });
    assert_eq!(all, json!({ "tenants": [told("by kind", before.len()), globex] }));
    assert_eq!(stored(&test_system), before);
    assert_eq!(skills(&test_system).await, skills_before);
    assert_eq!(
        amble.text(&["tenant", "migrate", "acme", "--wait", "0s"]).await,
        "Tenant acme lies by kind now; items moved: 0.\n",
        "once more"
    );

    let audit = amble.json(&["audit", "show", "--tenant", "acme", "--since", "1h"]).await;
    let lines: Vec<_> = audit["events"].as_array().unwrap().iter().filter(|line| line["function"] == "amble").collect();
    let events: Vec<_> = lines.iter().map(|line| (line["event"].as_str().unwrap(), line["layout"].clone())).collect();
    for event in [
        ("tenant_migrating", json!("whole")),
        ("tenant_migrated", json!("whole")),
        ("tenant_migrating", json!("by kind")),
        ("tenant_migrated", json!("by kind")),
    ] {
        assert!(events.contains(&event), "{event:?} {events:?}");
    }
    let schema = serde_json::from_str(include_str!("../../../../functions/audit/schema.json")).unwrap();
    for line in lines {
        jsonschema::validate(&schema, line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

/// A move that was interrupted is only gone on with, and what is in the way of a move back is named before anything is moved.
#[tokio::test(flavor = "multi_thread")]
async fn migration_that_cannot_be_made_changes_nothing() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (acme, directory) = (TenantId::parse("acme").unwrap(), test_system.system().directory());
    let before = stored(&test_system);

    let complaint = amble.fails_with(2, &["tenant", "migrate"]).await;
    assert!(complaint.contains("the following required arguments were not provided"), "{complaint}");
    let complaint = amble.fails_with(1, &["tenant", "migrate", "acme", "nobody"]).await;
    assert!(complaint.contains("there is no tenant nobody"), "{complaint}");

    let items = test_system.system().items().unwrap();
    let (table, mut skill) =
        items.into_iter().find(|(_, item)| item["tenant"]["S"] == "tenant#acme#skill").expect("a skill of the demo");
    skill["tenant"] = json!({ "S": "acme" });
    let name = skill["item"]["S"].as_str().unwrap().to_owned();
    test_system.put_unchecked(&table, &skill).await;
    let complaint = amble.fails_with(1, &["tenant", "migrate", "acme", "--back", "--wait", "0s"]).await;
    let told = "what tenant acme has cannot go where other items are; there are 1, such as";
    assert_eq!(complaint, format!("amble: {told} {name}: see docs/operating/partitions.md\n"));
    let told = amble.text(&["tenant", "migrate", "acme", "--wait", "0s"]).await;
    assert_eq!(
        told,
        format!("Tenant acme lies by kind now; items moved: 0.\nItems left, as others have their place: 1\n  {name}\n")
    );

    for (layout, option, other) in
        [(WorkspaceLayout::Splitting, "", " --back"), (WorkspaceLayout::Joining, " --back", "")]
    {
        directory.change_layout(&acme, |_| Some(layout)).await.unwrap();
        let arguments: Vec<_> = ["tenant", "migrate", "acme"].into_iter().chain(other.split_whitespace()).collect();
        let complaint = amble.fails_with(1, &arguments).await;
        let told = format!("end that first, with `amble tenant migrate acme{option}`\n");
        assert!(complaint.ends_with(&told), "{complaint}");
    }
    let mut after = stored(&test_system);
    assert!(after.remove(&("acme".to_owned(), name)).is_some());
    assert_eq!(after, before);
}

/// A tenant whose directory lost its layout has items in both places, and two documents of one id. Moved back, they would be mixed.
#[tokio::test(flavor = "multi_thread")]
async fn move_back_is_refused_where_both_places_have_items() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (acme, directory) = (TenantId::parse("acme").unwrap(), test_system.system().directory());
    let (paper, now) = (Name::parse("paper").unwrap(), Timestamp::from_seconds(test_system.now()));
    let put = async |content: &str| {
        let workspace = test_system.system().workspaces().as_operator(&acme);
        workspace.put_document(&paper, "Paper", content, now).await.unwrap();
    };
    for content in ["a", "b", "c"] {
        put(content).await;
    }
    directory.change_layout(&acme, |_| Some(WorkspaceLayout::Whole)).await.unwrap();
    put("another").await;
    let before = stored(&test_system);

    let complaint = amble.fails_with(1, &["tenant", "migrate", "--all", "--back", "--wait", "0s"]).await;

    let told = "what tenant acme has cannot go where other items are; there are 2, such as document#paper";
    assert_eq!(complaint, format!("amble: {told}: see docs/operating/partitions.md\n"));
    assert_eq!((stored(&test_system), layout_of_acme(&test_system)), (before, None));
    let moved = amble.json(&["tenant", "migrate", "acme", "--wait", "0s"]).await;
    assert_eq!(moved["tenants"][0]["left"], json!(["document#paper", "edition#paper#0000000001"]));
    let workspace = test_system.system().workspaces().as_operator(&acme);
    let DocumentLookup::Found(document, 3) = workspace.document(&paper, None).await.unwrap() else { panic!("not 3") };
    assert_eq!(document.content, "c");
}

/// A move that was interrupted among the records has moved some of them, and not their type.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_tenant_whose_move_was_interrupted() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (initech, directory) = (TenantId::parse("initech").unwrap(), test_system.system().directory());
    let (letter, now) = (Name::parse("letter").unwrap(), Timestamp::from_seconds(test_system.now()));
    let workspace = || test_system.system().workspaces().as_operator(&initech);
    let letters = EntityType {
        name: letter.clone(),
        title: "Letter".to_owned(),
        description: "Letters".to_owned(),
        schema: json!({ "type": "object" }).as_object().unwrap().clone(),
    };
    let set_layout =
        async |layout| assert!(directory.change_layout(&initech, |_| Some(layout)).await.unwrap().is_some());
    amble.text(&["tenant", "add", "initech", "Initech"]).await;
    workspace().put_entity(&letter, &Name::parse("moved").unwrap(), &Map::new(), now).await.unwrap();
    set_layout(WorkspaceLayout::Whole).await;
    workspace().put_entity_type(&letters).await.unwrap();
    workspace().put_entity(&letter, &Name::parse("not-moved").unwrap(), &Map::new(), now).await.unwrap();
    set_layout(WorkspaceLayout::Splitting).await;
    assert_eq!(stored_of("initech", &test_system).len(), 3);

    let removed = amble.json(&["tenant", "remove", "initech", "--yes", "--search-again-after", "0s"]).await;

    assert_eq!(removed["things"], 3);
    assert_eq!(stored_of("initech", &test_system), BTreeMap::new());
    amble.text(&["tenant", "add", "initech", "Initech"]).await;
    workspace().put_entity_type(&letters).await.unwrap();
    assert_eq!(workspace().entities(&letter, None, 10).await.unwrap().entities, []);
}

/// Of the tenants that are moved together, those that can be are, and every other one is named: nobody can write there.
#[tokio::test(flavor = "multi_thread")]
async fn tenant_that_fails_keeps_no_other_from_being_written() {
    let test_system = test_system().await;
    let (proxy, amble) = (AwsProxy::start(&test_system).await, Amble::of(&test_system));
    amble.text(&["tenant", "add", "hooli", "With nothing to move"]).await;
    amble.text(&["tenant", "add", "initech", "Initech"]).await;
    let initech = test_system.system().workspaces().as_operator(&TenantId::parse("initech").unwrap());
    let now = Timestamp::from_seconds(test_system.now());
    initech.put_document(&Name::parse("paper").unwrap(), "Paper", "a", now).await.unwrap();
    amble.text(&["tenant", "migrate", "--all", "--back", "--wait", "0s"]).await;
    let all = ["tenant", "migrate", "--all", "--wait", "0s"];

    proxy.refuse_transactions(true);
    let complaint = proxy.amble(&test_system).fails_with(1, &all).await;

    assert!(complaint.starts_with("amble: tenant acme: DynamoDB.TransactWriteItems: AccessDenied"), "{complaint}");
    let still = "nothing is lost: run the same command again; until then nobody can write in acme, globex, initech\n";
    assert!(complaint.ends_with(still), "{complaint}");
    for (tenant, layout) in [("acme", "being moved, to lie by kind"), ("hooli", "by kind")] {
        assert_eq!(amble.json(&["tenant", "show", tenant]).await["layout"], layout, "{tenant}");
    }
    proxy.refuse_transactions(false);
    let told = proxy.amble(&test_system).json(&all).await;
    for tenant in told["tenants"].as_array().unwrap() {
        assert_eq!(tenant["layout"], "by kind", "{told}");
    }
    assert_eq!(amble.json(&["tenant", "show", "initech"]).await["layout"], "by kind");
}

/// A tenant that is removed while others are moved with it is not moved, and keeps none of them.
#[tokio::test(flavor = "multi_thread")]
async fn tenant_that_is_removed_meanwhile_is_passed_over() {
    let test_system = test_system().await;
    let amble = Amble::of(&test_system);
    let (acme, directory) = (TenantId::parse("acme").unwrap(), test_system.system().directory());
    amble.text(&["tenant", "add", "aaa", "Removed meanwhile"]).await;
    amble.text(&["tenant", "migrate", "--all", "--back", "--wait", "0s"]).await;
    let removing = async {
        while directory.workspace_layout(&acme).await.unwrap() != WorkspaceLayout::Splitting {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        directory.remove_tenant(&TenantId::parse("aaa").unwrap(), test_system.system().clock().now()).await.unwrap();
    };

    let (told, ()) = tokio::join!(amble.json(&["tenant", "migrate", "--all", "--wait", "2s"]), removing);

    let rows = told["tenants"].as_array().unwrap();
    assert_eq!(rows[0], json!({ "tenant": "aaa", "removed": true }));
    assert_eq!((&rows[1]["tenant"], &rows[1]["layout"]), (&json!("acme"), &json!("by kind")), "{told}");
    assert_eq!((&rows[2]["tenant"], &rows[2]["layout"]), (&json!("globex"), &json!("by kind")), "{told}");
}
