//! Tables as they are after years: connections of people, clients and a tenant that nobody in the course of requests has to do with,
//! and some that they do.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedCredentialsProvider};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use shared::aws::{http_connector, sdk_config};
use shared::oauth::secret::Secret;
use test_system::TestSystem;

/// The tenant of the course.
pub(crate) const TENANT: &str = "fifty";
/// People of whom an administrator ends everything, and how much that is: as much as one request ends.
pub(crate) const DEPARTING_PEOPLE: [&str; 4] = [
    "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4ea1",
    "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4ea2",
    "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4ea3",
    "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4ea4",
];
const GRANTS_PER_PERSON: usize = 25;

type Item = HashMap<String, AttributeValue>;

/// Adds so many grants, a tenth of them in the tenant of the course, and a tenth as many clients; and those of whoever leaves.
pub(crate) async fn seed_tables(test_system: &TestSystem, grants: usize) {
    let dynamo = dynamo(test_system);
    let variables = test_system.system().variables("token").expect("a function");
    let (of_grants, of_clients) = (&variables["TABLE_GRANTS"], &variables["TABLE_CLIENTS"]);
    let directory = &variables["TABLE_DIRECTORY"];
    let (_, _) = test_system.connect("ana@example.com", TENANT, "tools:execute skills:read offline_access").await;
    let grant = any(&dynamo, of_grants, |item| item.contains_key("client")).await;
    let client = any(&dynamo, of_clients, |_| true).await;
    let of_tenant = AttributeValue::S(format!("tenant#{TENANT}"));
    let membership = any(&dynamo, directory, |item| item.contains_key("role") && item["sk"] == of_tenant).await;

    let others = (0..grants).map(|number| {
        let tenant = if number % 10 == 0 { TENANT.to_owned() } else { format!("tenant-{}", number % 1000) };
        with(&grant, &[("id", id()), ("tenant", tenant), ("person", person()), ("client", client_id())])
    });
    let leaving = DEPARTING_PEOPLE.iter().flat_map(|person| {
        let theirs = |_| with(&grant, &[("id", id()), ("tenant", TENANT.to_owned()), ("person", (*person).to_owned())]);
        (0..GRANTS_PER_PERSON).map(theirs)
    });
    // Of the identity that the grants were approved under: without it they are over, and nothing is left to end.
    let members = DEPARTING_PEOPLE
        .iter()
        .map(|person| with(&membership, &[("pk", format!("person#{person}")), ("person", (*person).to_owned())]));
    put(&dynamo, directory, members).await;
    put(&dynamo, of_grants, others.chain(leaving)).await;
    put(&dynamo, of_clients, (0..grants / 10).map(|_| with(&client, &[("id", client_id())]))).await;
}

fn dynamo(test_system: &TestSystem) -> Client {
    let credentials = Credentials::new("filling", "local", None, None, "local");
    let config = sdk_config(&http_connector::without_tls())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(test_system.system().dynamo_url());
    Client::new(&config.build())
}

/// Any item of that kind.
async fn any(dynamo: &Client, table: &str, is_of_kind: impl Fn(&Item) -> bool) -> Item {
    let scanned = dynamo.scan().table_name(table).send().await.expect("a table");
    scanned.items.and_then(|items| items.into_iter().find(is_of_kind)).expect("an item")
}

fn with(item: &Item, changes: &[(&str, String)]) -> Item {
    let mut item = item.clone();
    for (name, value) in changes {
        item.insert((*name).to_owned(), AttributeValue::S(value.clone()));
    }
    item
}

async fn put(dynamo: &Client, table: &str, items: impl Iterator<Item = Item>) {
    /// DynamoDB takes no more at once.
    const AT_ONCE: usize = 25;

    let mut items = items.peekable();
    while items.peek().is_some() {
        let request = |item| {
            let put = PutRequest::builder().set_item(Some(item)).build().expect("an item");
            WriteRequest::builder().put_request(put).build()
        };
        let part = items.by_ref().take(AT_ONCE).map(request).collect();
        let put = dynamo.batch_write_item().request_items(table, part).send().await.expect("a table");
        assert!(put.unprocessed_items.is_none_or(|left| left.is_empty()), "some were not taken");
    }
}

fn id() -> String {
    shared::oauth::secret::to_text(Secret::<16>::random().expose())
}

fn client_id() -> String {
    format!("c_{}", id())
}

fn person() -> String {
    uuid::Uuid::from_bytes(*Secret::<16>::random().expose()).to_string()
}
