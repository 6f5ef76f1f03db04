//! In which partitions the items of a tenant lie, and how those of a tenant that an earlier version wrote are moved there and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use local::interceptor::{Call, Decision, InjectedError};
use serde_json::{Map, Value, json};
use shared::clock::Timestamp;
use shared::oauth::tenant::TenantId;
use shared::store::workspace::skill::Skill;
use shared::store::workspace::tool::ToolEndpoint;
use shared::store::workspace::{Name, Workspace};
use shared::store::workspace_layout::WorkspaceLayout;
use shared::store::workspace_move::{MoveError, MovedItems};
use test_system::TestSystem;
use test_system::recorded_calls::RecordedCalls;

const ANA: &str = "ana@example.com";
const EVERYTHING: &str = "tools:execute skills:read views:read entities:write documents:write chat:create";
const MOVING: &str =
    "Nothing was changed: the data of this workspace is being moved, and can only be read. Try again in a few minutes.";
/// How many invoices the tenant has.
const INVOICES: usize = 130;

/// A tenant `initech` as an earlier version has written it, and somebody in it.
struct Initech<'w> {
    test_system: &'w TestSystem,
    key: String,
}

impl<'w> Initech<'w> {
    async fn new(test_system: &'w TestSystem) -> Self {
        let ana = test_system.person_id(ANA).to_string();
        let directory = &test_system.system().tables()["TABLE_DIRECTORY"];
        let tenant = json!({ "pk": "tenant#initech", "sk": "tenant", "name": "Initech" });
        let membership = json!({
            "pk": format!("person#{ana}"), "sk": "tenant#initech", "tenant": "initech", "person": ana, "role": "owner",
        });
        for item in [tenant, membership] {
            test_system.put_unchecked(directory, &attributes(&item)).await;
        }
        let (key, _) = test_system.create_api_key(ANA, "initech", EVERYTHING, None).await;
        let initech = Self { test_system, key };
        initech.put_whole(&items_of_an_earlier_version(&ana)).await;
        initech
    }

    /// Puts items where an earlier version puts them.
    async fn put_whole(&self, items: &[Value]) {
        let table = &self.test_system.system().tables()["TABLE_WORKSPACE"];
        for item in items {
            self.test_system.put_unchecked(table, &attributes(item)).await;
        }
    }

    fn id() -> TenantId {
        TenantId::parse("initech").unwrap()
    }

    /// What a tool gives, or what it says instead.
    async fn tool(&self, tool: &str, arguments: Value) -> Result<Value, String> {
        let answer =
            self.test_system.call(Some(&self.key), "tools/call", json!({ "name": tool, "arguments": arguments })).await;
        assert_eq!(answer.status, 200, "{tool}: {answer:?}");
        let result = answer.json()["result"].clone();
        if result["isError"] == true {
            return Err(result["content"][0]["text"].as_str().unwrap().to_owned());
        }
        Ok(result["structuredContent"].clone())
    }

    async fn done(&self, tool: &str, arguments: Value) -> Value {
        self.tool(tool, arguments).await.unwrap_or_else(|said| panic!("{tool}: {said}"))
    }

    /// The rows of all pages.
    async fn rows(&self, tool: &str, mut arguments: Value, rows: &str) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let page = self.done(tool, arguments.clone()).await;
            all.extend(page[rows].as_array().unwrap().iter().cloned());
            let Some(cursor) = page.get("nextCursor") else { return all };
            arguments["cursor"] = cursor.clone();
        }
    }

    async fn names(&self, tool: &str, arguments: Value, rows: &str, name: &str) -> Vec<String> {
        let rows = self.rows(tool, arguments, rows).await;
        rows.iter().map(|row| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned)).collect()
    }

    /// Every list, in its order.
    async fn lists(&self) -> BTreeMap<&'static str, Vec<String>> {
        let invoices = json!({ "type": "invoice", "limit": 40 });
        let by_due = json!({ "type": "invoice", "sort": [{ "field": "amount", "direction": "desc" }], "limit": 40 });
        BTreeMap::from([
            ("skills", self.names("list_skills", json!({}), "skills", "name").await),
            ("views", self.names("list_views", json!({}), "views", "name").await),
            ("types", self.names("list_entity_types", json!({}), "types", "name").await),
            ("invoices", self.names("list_entities", invoices, "entities", "id").await),
            ("by amount", self.names("search_entities", by_due, "entities", "id").await),
            ("documents", self.names("list_documents", json!({}), "documents", "id").await),
            ("found", self.names("search_documents", json!({ "query": "line" }), "documents", "id").await),
            ("versions", self.names("list_document_versions", json!({ "id": "log" }), "versions", "version").await),
        ])
    }

    /// Everything that can be read.
    async fn shown(&self) -> Value {
        let listed = async |rows: &str| {
            let (mut all, mut params) = (Vec::new(), json!({}));
            loop {
                let page = self.test_system.call(Some(&self.key), &format!("{rows}/list"), params).await.json();
                all.extend(page["result"][rows].as_array().unwrap().iter().cloned());
                let Some(cursor) = page["result"].get("nextCursor") else { return all };
                params = json!({ "cursor": cursor });
            }
        };
        json!({
            "lists": self.lists().await,
            "skill": self.done("read_skill", json!({ "name": "report-1" })).await,
            "view": self.rows("read_view", json!({ "name": "open" }), "rows").await,
            "invoice": self.done("read_entity", json!({ "type": "invoice", "id": "in-007" })).await,
            "note": self.done("read_entity", json!({ "type": "note", "id": "n-1" })).await,
            "gone": self.tool("read_entity", json!({ "type": "invoice", "id": "gone" })).await.unwrap_err(),
            "handbook": self.done("read_document", json!({ "id": "handbook" })).await,
            "its first version": self.done("read_document", json!({ "id": "handbook", "version": 1 })).await,
            "deleted": self.tool("read_document", json!({ "id": "old" })).await.unwrap_err(),
            "tools": listed("tools").await,
            "resources": listed("resources").await,
            "prompts": listed("prompts").await,
        })
    }

    async fn set_layout(&self, layout: WorkspaceLayout) {
        let directory = self.test_system.system().directory();
        assert_eq!(directory.change_layout(&Self::id(), |_| Some(layout)).await.unwrap(), Some(layout));
    }

    async fn move_items(&self, layout: WorkspaceLayout) -> Result<MovedItems, MoveError> {
        let workspaces = self.test_system.system().intercepted().workspaces().unwrap();
        workspaces.move_items(&Self::id(), layout, |_| {}).await
    }

    /// All at once, as `amble tenant migrate` does it. What was left.
    async fn migrate(&self, by: WorkspaceLayout, to: WorkspaceLayout) -> Vec<String> {
        self.set_layout(by).await;
        let moved = self.move_items(by).await.unwrap();
        self.set_layout(to).await;
        moved.left
    }

    fn as_operator(&self) -> Workspace {
        self.test_system.system().workspaces().as_operator(&Self::id())
    }

    /// Its items, each by its partition and its sort key.
    fn stored(&self) -> BTreeMap<(String, String), Value> {
        let items = self.test_system.system().items().unwrap();
        let key = |item: &Value, name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
        let items = items.into_iter().filter(|(table, _)| table.to_lowercase().contains("workspace"));
        let items = items.map(|(_, item)| ((key(&item, "tenant"), key(&item, "item")), item));
        let is_own = |partition: &str| partition == "initech" || partition.starts_with("tenant#initech#");
        items.filter(|((partition, item), _)| is_own(partition) && !item.starts_with("budget#")).collect()
    }

    /// The same without the partitions, in which each sort key must be once.
    fn contents(&self) -> BTreeMap<String, Value> {
        let stored = self.stored();
        let count = stored.len();
        let without = |mut item: Value| {
            item.as_object_mut().unwrap().remove("tenant");
            item
        };
        let contents: BTreeMap<_, _> = stored.into_iter().map(|((_, item), value)| (item, without(value))).collect();
        assert_eq!(contents.len(), count, "an item is in two places");
        contents
    }

    fn partitions(&self) -> BTreeSet<String> {
        self.stored().into_keys().map(|(partition, _)| partition).collect()
    }
}

/// An item in DynamoDB's own JSON.
fn attributes(item: &Value) -> Value {
    let typed = |value: &Value| match value {
        Value::String(text) => json!({ "S": text }),
        Value::Bool(flag) => json!({ "BOOL": flag }),
        number => json!({ "N": number.to_string() }),
    };
    item.as_object().unwrap().iter().map(|(name, value)| (name.clone(), typed(value))).collect::<Map<_, _>>().into()
}

/// What versions before this one wrote, of every kind: in one partition, without a mark of the write and without `oldest`.
fn items_of_an_earlier_version(person: &str) -> Vec<Value> {
    const WRITTEN: i64 = 1_795_000_000;
    let mut items = Vec::new();
    let mut add = |item: String, rest: Value| {
        let mut whole = json!({ "tenant": "initech", "item": item });
        whole.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        items.push(whole);
    };
    for number in 1..=3 {
        let content = format!("# How to report {number}");
        add(
            format!("skill#report-{number}"),
            json!({ "title": "Report", "description": "How to", "content": content }),
        );
    }
    add(
        "tool#find_part".to_owned(),
        json!({
            "title": "Find a part", "description": "Finds one", "input_schema": "{\"type\":\"object\"}",
            "url": "https://tools.initech.example/parts", "timeout": 10,
            "read_only": true, "destructive": false, "idempotent": true, "open_world": false,
        }),
    );
    let definition = "{\"type\":\"invoice\",\"filter\":[{\"field\":\"paid\",\"op\":\"eq\",\"value\":false}],\"sort\":[],\"columns\":[]}";
    add("view#open".to_owned(), json!({ "title": "Open", "description": "Unpaid", "definition": definition }));
    for kind in ["invoice", "note"] {
        add(
            format!("entity-type#{kind}"),
            json!({ "title": "A thing", "description": "Anything", "schema": "{\"type\":\"object\"}" }),
        );
    }
    let entity = |fields: Value| {
        let fields = fields.to_string();
        json!({ "version": 2, "fields": fields, "created": WRITTEN, "updated": WRITTEN, "updated_by": person })
    };
    for number in 0..INVOICES {
        let fields = json!({ "amount": (number * 37) % 101, "paid": number % 2 == 0 });
        add(format!("entity#invoice#in-{number:03}"), entity(fields));
    }
    add("entity#note#n-1".to_owned(), entity(json!({ "text": "a note" })));
    add("deleted-entity#invoice#gone".to_owned(), json!({ "version": 5 }));
    for (id, kind, last) in [("handbook", "document", 3), ("log", "document", 60), ("old", "deleted-document", 2)] {
        let of =
            |version: u32| json!({ "title": id, "version": version, "size": 6, "written": WRITTEN, "writer": person });
        for version in 1..=last {
            let mut edition = of(version);
            edition["content"] = json!(format!("line {version}"));
            add(format!("edition#{id}#{version:010}"), edition);
        }
        let mut head = of(last);
        if kind == "deleted-document" {
            head["deleted"] = json!(WRITTEN);
            head["deleter"] = json!(person);
        }
        add(format!("{kind}#{id}"), head);
    }
    add("chat#c1".to_owned(), json!({ "title": "Figures", "created": WRITTEN, "creator": person }));
    let message = json!({ "role": "user", "text": "How many?", "written": WRITTEN, "writer": person });
    add("chat-message#c1#0000000001".to_owned(), message);
    items
}

/// Deployed over an earlier version, this one reads and writes what is there, where it is: the earlier one can come back.
#[tokio::test(flavor = "multi_thread")]
async fn workspace_of_an_earlier_version_is_read_and_written_where_it_is() {
    let test_system = TestSystem::new().await;
    let initech = Initech::new(&test_system).await;
    let count = initech.stored().len();

    let shown = initech.shown().await;
    assert_eq!(shown["lists"]["invoices"].as_array().unwrap().len(), INVOICES);
    assert_eq!(shown["lists"]["documents"], json!(["handbook", "log"]));
    assert_eq!(shown["its first version"]["content"], "line 1");
    let made = json!({ "type": "note", "id": "n-2", "fields": { "text": "another" } });
    assert_eq!(initech.done("create_entity", made).await["version"], 1);
    let again = json!({ "type": "invoice", "id": "gone", "fields": { "amount": 1 } });
    assert_eq!(initech.done("create_entity", again).await["version"], 6, "after the last that was deleted");
    let update = json!({ "id": "handbook", "version": 3, "content": "line 4" });
    assert_eq!(initech.done("update_document", update).await["version"], 4);
    initech.done("create_chat", json!({ "message": "Hello" })).await;

    assert_eq!(initech.partitions(), BTreeSet::from(["initech".to_owned()]));
    // An entity, another one in place of its tombstone, a version, a chat and its message.
    assert_eq!(initech.stored().len(), count + 4);
}

/// After the move all is as it was, each kind by itself, and what goes on goes on: versions, tombstones, and how many versions are kept.
#[tokio::test(flavor = "multi_thread")]
async fn moved_workspace_shows_the_same_and_goes_on() {
    let test_system = TestSystem::new().await;
    let initech = Initech::new(&test_system).await;
    let (shown, contents) = (initech.shown().await, initech.contents());

    initech.set_layout(WorkspaceLayout::Splitting).await;
    assert_eq!(initech.shown().await, shown, "before anything is moved");
    let moved = initech.move_items(WorkspaceLayout::Splitting).await.unwrap();
    assert_eq!((moved.count, moved.left.len()), (contents.len(), 0));
    assert_eq!(initech.shown().await, shown, "when all is moved");
    initech.set_layout(WorkspaceLayout::ByKind).await;

    assert_eq!(initech.shown().await, shown);
    assert_eq!(initech.contents(), contents);
    let partitions = [
        "chat",
        "chat-message#c1",
        "deleted-document",
        "deleted-entity#invoice",
        "document",
        "edition#handbook",
        "edition#log",
        "edition#old",
        "entity#invoice",
        "entity#note",
        "entity-type",
        "skill",
        "tool",
        "view",
    ];
    assert_eq!(initech.partitions(), partitions.iter().map(|kind| format!("tenant#initech#{kind}")).collect());

    let again = json!({ "type": "invoice", "id": "gone", "fields": { "amount": 1 } });
    assert_eq!(initech.done("create_entity", again).await["version"], 6, "after the last that was deleted");
    let late = json!({ "type": "invoice", "id": "in-007", "version": 1, "fields": { "amount": 1 } });
    assert!(initech.tool("update_entity", late).await.unwrap_err().starts_with("Nothing was written"));
    let update = json!({ "type": "invoice", "id": "in-007", "version": 2, "fields": { "amount": 1 } });
    assert_eq!(initech.done("update_entity", update).await["version"], 3);
    // An earlier version kept all 60: each write removes eight, until 50 are left.
    for (version, oldest) in [(60, 9), (61, 13)] {
        let update = json!({ "id": "log", "version": version, "content": "line" });
        initech.done("update_document", update).await;
        let versions = initech.names("list_document_versions", json!({ "id": "log" }), "versions", "version").await;
        assert_eq!(versions.last(), Some(&oldest.to_string()));
    }
    let old = Name::parse("old").unwrap();
    assert!(initech.as_operator().restore_document(&old).await.unwrap());
    let now = Timestamp::from_seconds(test_system.now());
    initech.as_operator().put_document(&old, "old", "line 3", now).await.unwrap();
    assert_eq!(initech.done("read_document", json!({ "id": "old" })).await["version"], 3);
    assert!(initech.partitions().iter().all(|partition| partition.starts_with("tenant#initech#")));
}

/// Whoever reads while items are moved finds each item once, in every list, page by page.
#[tokio::test(flavor = "multi_thread")]
async fn each_list_is_complete_while_items_are_moved() {
    let test_system = TestSystem::new().await;
    let initech = Initech::new(&test_system).await;
    let lists = initech.lists().await;

    for (by, to) in
        [(WorkspaceLayout::Splitting, WorkspaceLayout::ByKind), (WorkspaceLayout::Joining, WorkspaceLayout::Whole)]
    {
        initech.set_layout(by).await;
        let is_moved = AtomicBool::new(false);
        let reading = async {
            let mut times = 0;
            while !is_moved.load(Ordering::SeqCst) || times == 0 {
                assert_eq!(initech.lists().await, lists, "{by:?}");
                times += 1;
            }
        };
        let moving = async {
            let moved = initech.move_items(by).await.unwrap();
            is_moved.store(true, Ordering::SeqCst);
            assert!(moved.left.is_empty());
        };
        tokio::join!(reading, moving);
        initech.set_layout(to).await;
        assert_eq!(initech.lists().await, lists, "{to:?}");
    }
}

/// A move that breaks off after any of its transactions, with the answer lost, goes on: and meanwhile nothing is missing.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_move_goes_on_in_both_directions() {
    let allowed = Arc::new(AtomicUsize::new(usize::MAX));
    let left = Arc::clone(&allowed);
    let test_system = TestSystem::with(|options| {
        options.interceptor = Some(Arc::new(move |call: Call| {
            let is_move = call.operation == "TransactWriteItems" && call.body.to_string().contains("ConditionCheck");
            let decision = match left.load(Ordering::SeqCst) {
                0 if is_move => Decision::FailBefore(InjectedError::INTERNAL),
                1 if is_move => {
                    left.store(0, Ordering::SeqCst);
                    Decision::FailAfter(InjectedError::INTERNAL)
                }
                _ => Decision::Pass,
            };
            async move { decision }
        }));
    })
    .await;
    let initech = Initech::new(&test_system).await;
    let (lists, stored, contents) = (initech.lists().await, initech.stored(), initech.contents());

    for (by, to) in
        [(WorkspaceLayout::Splitting, WorkspaceLayout::ByKind), (WorkspaceLayout::Joining, WorkspaceLayout::Whole)]
    {
        initech.set_layout(by).await;
        let mut times = 0;
        loop {
            allowed.store(1, Ordering::SeqCst);
            let moved = initech.move_items(by).await;
            assert_eq!(initech.contents(), contents, "{by:?}, {times}");
            match moved {
                // Nothing was left to be moved.
                Ok(MovedItems { count: 0, .. }) => break,
                Ok(moved) => panic!("{moved:?}"),
                Err(MoveError::Upstream(_)) => times += 1,
                Err(error) => panic!("{error}"),
            }
            assert_eq!(initech.lists().await, lists, "{by:?}, {times}");
        }
        assert!(times > 5, "{times}");
        initech.set_layout(to).await;
        assert_eq!(initech.lists().await, lists, "{to:?}");
    }
    assert_eq!(initech.stored(), stored, "as the earlier version wrote it");
}

/// Nothing is written while items are moved, nor counted; all can be read, and tools of the tenant's own can be called.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_items_are_moved() {
    let test_system = TestSystem::new().await;
    let initech = Initech::new(&test_system).await;
    let stored = initech.stored();
    let skill = Skill {
        name: Name::parse("report-1").unwrap(),
        title: "Another".to_owned(),
        description: "Another".to_owned(),
        content: "another".to_owned(),
        arguments: Vec::new(),
    };

    for layout in [WorkspaceLayout::Splitting, WorkspaceLayout::Joining] {
        initech.set_layout(layout).await;
        for (tool, arguments) in [
            ("create_entity", json!({ "type": "note", "fields": {} })),
            ("update_entity", json!({ "type": "note", "id": "n-1", "version": 2, "fields": { "text": "b" } })),
            ("delete_entity", json!({ "type": "note", "id": "n-1", "version": 2 })),
            ("create_document", json!({ "title": "a", "content": "b" })),
            ("update_document", json!({ "id": "handbook", "version": 3, "content": "b" })),
            ("delete_document", json!({ "id": "handbook", "version": 3 })),
            ("create_chat", json!({ "message": "Hello" })),
        ] {
            assert_eq!(initech.tool(tool, arguments).await.unwrap_err(), MOVING, "{tool}");
        }
        let (operator, now) = (initech.as_operator(), Timestamp::from_seconds(test_system.now()));
        let fields = json!({ "text": "b" }).as_object().unwrap().clone();
        let refused = [
            operator.put_skill(&skill).await.unwrap_err().to_string(),
            operator.put_document(&Name::parse("handbook").unwrap(), "a", "b", now).await.unwrap_err().to_string(),
            operator
                .put_entity(&Name::parse("note").unwrap(), &Name::parse("n-1").unwrap(), &fields, now)
                .await
                .unwrap_err()
                .to_string(),
        ];
        for refused in refused {
            assert_eq!(refused, "the workspace of initech is being moved, and can only be read");
        }
    }
    assert_eq!(initech.stored(), stored);
    initech.set_layout(WorkspaceLayout::Whole).await;
    operator_write(&initech, &skill).await;
}

async fn operator_write(initech: &Initech<'_>, skill: &Skill) {
    initech.as_operator().put_skill(skill).await.unwrap();
    assert_eq!(initech.done("read_skill", json!({ "name": "report-1" })).await["content"], "another");
}

/// The tenant decides: whoever moves on after somebody else has ended the move, or turned it, moves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn move_of_another_layout_does_nothing() {
    let test_system = TestSystem::new().await;
    let initech = Initech::new(&test_system).await;
    let stored = initech.stored();

    for layout in [WorkspaceLayout::Whole, WorkspaceLayout::Joining] {
        initech.set_layout(layout).await;
        let moved = initech.move_items(WorkspaceLayout::Splitting).await;
        assert!(matches!(moved, Err(MoveError::LayoutChanged)), "{moved:?}");
        assert_eq!(initech.stored(), stored);
    }
}

/// An earlier version that came back knows nothing of what lies by kind. What it wrote comes in, unless that is in the place of something
/// or contradicts it: then it is left and reported. Nothing is overwritten, and no version counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_left_and_reported() {
    let test_system = TestSystem::new().await;
    let initech = Initech::new(&test_system).await;
    assert!(initech.migrate(WorkspaceLayout::Splitting, WorkspaceLayout::ByKind).await.is_empty());
    let (shown, contents) = (initech.shown().await, initech.contents());
    let ana = test_system.person_id(ANA).to_string();
    let mut written = items_of_an_earlier_version(&ana);
    let left: BTreeSet<_> = [
        "skill#report-1",
        "entity#invoice#in-007",
        "entity#invoice#gone",
        "document#handbook",
        "edition#handbook#0000000001",
        "document#old",
        "edition#old#0000000001",
    ]
    .into();
    written.retain(|item| left.contains(item["item"].as_str().unwrap()));
    let like = |item: &str| written.iter().find(|known| known["item"] == item).unwrap().clone();
    // What was deleted before is made anew there, from version 1.
    let (mut gone, mut old) = (like("entity#invoice#in-007"), like("document#handbook"));
    gone["item"] = json!("entity#invoice#gone");
    gone["version"] = json!(1);
    old["item"] = json!("document#old");
    old["version"] = json!(1);
    let (mut fresh, mut paper, mut page) =
        (gone.clone(), like("document#handbook"), like("edition#handbook#0000000001"));
    fresh["item"] = json!("entity#invoice#in-200");
    paper["item"] = json!("document#paper");
    paper["version"] = json!(1);
    page["item"] = json!("edition#paper#0000000001");
    written.extend([gone, old, fresh, paper, page]);
    initech.put_whole(&written).await;
    assert_eq!(initech.shown().await, shown, "nobody looks there");
    let misplaced = test_system.system().workspaces().misplaced(&Initech::id(), WorkspaceLayout::ByKind).await.unwrap();
    assert_eq!(misplaced.len(), written.len());

    for _ in 0..2 {
        let reported = initech.migrate(WorkspaceLayout::Splitting, WorkspaceLayout::ByKind).await;

        assert_eq!(reported.iter().map(String::as_str).collect::<BTreeSet<_>>(), left);
        assert_eq!(initech.done("read_document", json!({ "id": "paper" })).await["content"], "line 1");
        let invoices = initech.names("list_entities", json!({ "type": "invoice" }), "entities", "id").await;
        assert_eq!(invoices.len(), INVOICES + 1);
        let stored = initech.stored();
        for (item, value) in &contents {
            let now: Vec<_> =
                stored.iter().filter(|((partition, key), _)| partition != "initech" && key == item).collect();
            assert_eq!(now.len(), 1, "{item}");
            assert_eq!(now[0].1.as_object().unwrap().len(), value.as_object().unwrap().len() + 1, "{item}");
        }
        let still: BTreeSet<_> =
            stored.keys().filter(|(partition, _)| partition == "initech").map(|(_, item)| item.as_str()).collect();
        assert_eq!(still, left);
    }
}

/// The same at any moment of a move that is made again: what an earlier version left beside what counts hides nothing of it, brings
/// nothing back that was deleted, and adds no version.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_not_read_while_items_are_moved_again() {
    let test_system = TestSystem::new().await;
    let initech = Initech::new(&test_system).await;
    assert!(initech.migrate(WorkspaceLayout::Splitting, WorkspaceLayout::ByKind).await.is_empty());
    let known = items_of_an_earlier_version(&test_system.person_id(ANA).to_string());
    let like = |item: &str, name: &str, changed: &[(&str, Value)]| {
        let mut like = known.iter().find(|known| known["item"] == item).unwrap().clone();
        like["item"] = json!(name);
        like.as_object_mut().unwrap().extend(changed.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        like
    };
    let version = |document: &str, version: u32| {
        let content = ("content", json!("of the earlier version"));
        let name = format!("edition#{document}#{version:010}");
        like("edition#handbook#0000000001", &name, &[("version", json!(version)), content])
    };
    let left = [
        like("skill#report-1", "skill#report-1", &[("content", json!("# Stale"))]),
        like(
            "tool#find_part",
            "tool#find_part",
            &[("url", json!("https://stale.example/")), ("title", json!("Stale"))],
        ),
        like("view#open", "view#open", &[("title", json!("Stale"))]),
        like("entity-type#note", "entity-type#note", &[("title", json!("Stale"))]),
        like("entity#invoice#in-007", "entity#invoice#in-007", &[("fields", json!("{\"amount\":7000}"))]),
        like("entity#invoice#in-007", "entity#invoice#gone", &[]),
        like("deleted-entity#invoice#gone", "deleted-entity#invoice#in-008", &[]),
        like("document#handbook", "document#handbook", &[("version", json!(5)), ("title", json!("Stale"))]),
        like("document#handbook", "document#old", &[("version", json!(1))]),
        like("deleted-document#old", "deleted-document#log", &[]),
        version("handbook", 1),
        version("handbook", 4),
        version("handbook", 5),
        version("old", 1),
        version("old", 9),
        version("log", 61),
    ];
    initech.put_whole(&left).await;
    // What takes a while to be moved, and is in no list.
    let message = |number: u32| like("chat-message#c1#0000000001", &format!("chat-message#c2#{number:010}"), &[]);
    let chat: Vec<_> = (1..=200).map(message).chain([like("chat#c1", "chat#c2", &[])]).collect();
    initech.put_whole(&chat).await;
    let shown = async || {
        let operator = initech.as_operator();
        let ToolEndpoint::Http { url } = operator.tool(&Name::parse("find_part").unwrap()).await.unwrap().unwrap().kind
        else {
            panic!("no url")
        };
        let deleted = operator.deleted_documents(None).await.unwrap().items;
        let versions = initech.names("list_document_versions", json!({ "id": "handbook" }), "versions", "version");
        json!({
            "all": initech.shown().await,
            "url": url,
            "deleted documents": deleted.iter().map(|document| document.id.as_str()).collect::<Vec<_>>(),
            "versions": versions.await,
            "the fourth": initech.tool("read_document", json!({ "id": "handbook", "version": 4 })).await.unwrap_err(),
            "deleted version": initech.tool("read_document", json!({ "id": "old", "version": 9 })).await.unwrap_err(),
        })
    };
    let before = shown().await;
    assert_eq!(before["versions"], json!(["3", "2", "1"]));
    assert_eq!(before["deleted documents"], json!(["old"]));

    initech.set_layout(WorkspaceLayout::Splitting).await;
    assert_eq!(shown().await, before, "before anything is moved");
    let is_moved = AtomicBool::new(false);
    let reading = async {
        while !is_moved.load(Ordering::SeqCst) {
            assert_eq!(shown().await, before, "meanwhile");
        }
    };
    let moving = async {
        let moved = initech.move_items(WorkspaceLayout::Splitting).await.unwrap();
        is_moved.store(true, Ordering::SeqCst);
        moved
    };
    let ((), moved) = tokio::join!(reading, moving);
    assert_eq!(shown().await, before, "when all is moved");
    initech.set_layout(WorkspaceLayout::ByKind).await;

    assert_eq!(shown().await, before);
    assert_eq!(moved.count, chat.len());
    let left: BTreeSet<_> = left.iter().map(|item| item["item"].as_str().unwrap()).collect();
    assert_eq!(moved.left.iter().map(String::as_str).collect::<BTreeSet<_>>(), left);
}

/// Back in one partition, a document has the versions that were its own. Where another one has its id, all of it is left.
#[tokio::test(flavor = "multi_thread")]
async fn move_back_mixes_no_two_documents() {
    let test_system = TestSystem::new().await;
    let initech = Initech::new(&test_system).await;
    assert!(initech.migrate(WorkspaceLayout::Splitting, WorkspaceLayout::ByKind).await.is_empty());
    let known = items_of_an_earlier_version(&test_system.person_id(ANA).to_string());
    let item = |name: &str| known.iter().find(|known| known["item"] == name).unwrap().clone();
    let (mut head, version) = (item("document#handbook"), item("edition#handbook#0000000001"));
    head["version"] = json!(1);
    initech.put_whole(&[head, version]).await;
    let stored = initech.stored();
    let is_of_handbook = |item: &str| item.split('#').nth(1) == Some("handbook");
    let of_handbook: BTreeMap<_, _> = stored.iter().filter(|((_, item), _)| is_of_handbook(item)).collect();
    assert_eq!(of_handbook.len(), 6);

    for _ in 0..2 {
        let left = initech.migrate(WorkspaceLayout::Joining, WorkspaceLayout::Whole).await;

        let versions = (1..=3).map(|version| format!("edition#handbook#{version:010}"));
        assert_eq!(left, ["document#handbook".to_owned()].into_iter().chain(versions).collect::<Vec<_>>());
        let stored = initech.stored();
        let still: BTreeMap<_, _> = stored.iter().filter(|((_, item), _)| is_of_handbook(item)).collect();
        assert_eq!(still, of_handbook);
        assert_eq!(initech.done("read_document", json!({ "id": "log" })).await["version"], 60);
    }
}

/// What a tenant has that was made with this version: a partition for each kind, and one for what each thing has many of. A list is one
/// query.
#[tokio::test(flavor = "multi_thread")]
async fn each_list_is_one_query_of_its_own_partition() {
    let calls = RecordedCalls::default();
    let test_system = TestSystem::with(|options| options.interceptor = Some(calls.wire())).await;
    let (key, _) = test_system.create_api_key(ANA, "acme", EVERYTHING, None).await;
    let call = async |tool: &str, arguments: Value| {
        let answer = test_system.call(Some(&key), "tools/call", json!({ "name": tool, "arguments": arguments })).await;
        let result = answer.json()["result"].clone();
        assert_ne!(result["isError"], true, "{tool}: {answer:?}");
        result["structuredContent"].clone()
    };
    let made = call("create_document", json!({ "title": "Plan", "content": "a" })).await;
    let (id, chat) = (made["id"].clone(), call("create_chat", json!({ "message": "Hello" })).await);
    let note = json!({ "type": "invoice", "id": "in-x", "fields": {
        "customer": "Acme", "amount": 12.5, "currency": "EUR", "issued": "2026-11-01", "due": "2026-12-01", "paid": false,
    } });
    call("create_entity", note).await;
    call("delete_entity", json!({ "type": "invoice", "id": "in-x", "version": 1 })).await;

    for (tool, arguments, reads) in [
        ("list_skills", json!({}), &["Query"][..]),
        ("list_views", json!({}), &["Query"]),
        ("list_entity_types", json!({}), &["Query"]),
        ("list_documents", json!({}), &["Query"]),
        ("list_entities", json!({ "type": "invoice" }), &["Query"]),
        ("list_document_versions", json!({ "id": id }), &["GetItem", "Query"]),
        ("read_document", json!({ "id": id }), &["GetItem", "BatchGetItem"]),
        ("read_document", json!({ "id": id, "version": 1 }), &["BatchGetItem"]),
        ("search_documents", json!({ "query": "a" }), &["Query", "BatchGetItem"]),
    ] {
        calls.clear();
        call(tool, arguments).await;
        let made = calls.take();
        let of_workspace = made.iter().filter(|call| call.on.to_lowercase().contains("workspace"));
        let made: Vec<_> = of_workspace.map(|call| call.action.trim_start_matches("dynamodb:")).collect();
        assert_eq!(made, reads, "{tool}");
    }
    let items = test_system.system().items().unwrap();
    let partition_of = |item: &str| {
        let found = items.iter().find(|(_, known)| known["item"]["S"] == item);
        found.unwrap_or_else(|| panic!("{item}")).1["tenant"]["S"].as_str().unwrap().to_owned()
    };
    let (id, chat) = (id.as_str().unwrap(), chat["id"].as_str().unwrap());
    for (item, partition) in [
        (format!("document#{id}"), "tenant#acme#document".to_owned()),
        (format!("edition#{id}#0000000001"), format!("tenant#acme#edition#{id}")),
        (format!("chat#{chat}"), "tenant#acme#chat".to_owned()),
        (format!("chat-message#{chat}#0000000001"), format!("tenant#acme#chat-message#{chat}")),
        ("deleted-entity#invoice#in-x".to_owned(), "tenant#acme#deleted-entity#invoice".to_owned()),
        ("entity-type#invoice".to_owned(), "tenant#acme#entity-type".to_owned()),
    ] {
        assert_eq!(partition_of(&item), partition);
    }
    assert!(!items.iter().any(|(_, item)| item["tenant"]["S"] == "acme" && item.get("item").is_some()));
}
