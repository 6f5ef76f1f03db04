//! `amble tenant migrate`: what a tenant has is moved between the layouts, and an earlier version can come back.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::oauth::tenant::TenantId;
use shared::store::workspace_layout::WorkspaceLayout;
use test_system::TestSystem;

use crate::program::{Amble, test_system};

/// The items of acme, by partition and sort key, without what counts for minutes.
fn stored(test_system: &TestSystem) -> BTreeMap<(String, String), Value> {
    let text = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    let items = test_system.system().items().unwrap().into_iter().map(|(_, item)| item);
    let items = items.map(|item| ((text(&item, "tenant"), text(&item, "item")), item));
    let is_of_acme = |partition: &str| partition == "acme" || partition.starts_with("tenant#acme#");
    items
        .filter(|((partition, item), _)| is_of_acme(partition) && !item.is_empty() && !item.starts_with("budget#"))
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

    let complaint = amble.fails_with(1, &["tenant", "migrate"]).await;
    assert_eq!(complaint, "amble: say which tenants, or --all\n");
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
