use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, PutRequest, TransactWriteItem, WriteRequest};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use fakes::kms::Kms;
use shared::clock::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::aws::{Addresses, sdk_config};
use crate::in_process::InProcessConnector;

const TABLE: &str = "test-Things";
const OTHER: &str = "test-Others";

/// Tables, and a caller who tries nothing twice, at a clock that turns while everybody waits.
struct Tables {
    faults: Arc<TableFaults>,
    client: Client,
    clock: Arc<AtomicI64>,
}

impl Tables {
    fn new(settings: FaultSettings) -> Self {
        let definitions = [TABLE, OTHER].map(|name| TableDefinition {
            name: name.to_owned(),
            create: json!({
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    { "AttributeName": "id", "AttributeType": "S" },
                    { "AttributeName": "owner", "AttributeType": "S" },
                ],
                "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
                "GlobalSecondaryIndexes": [{
                    "IndexName": "by-owner",
                    "KeySchema": [{ "AttributeName": "owner", "KeyType": "HASH" }],
                    "Projection": { "ProjectionType": "ALL" },
                }],
            }),
            time_to_live: Some("expires".to_owned()),
        });
        let clock = Arc::new(AtomicI64::new(1000));
        let told = Arc::clone(&clock);
        let database = tables::open(&definitions, None).unwrap();
        let now = Clock::new(move || Timestamp::from_seconds(told.load(Ordering::SeqCst)));
        let faults = TableFaults::new(database.clone(), &definitions, now).unwrap();
        faults.configure(settings);
        let kms = Kms::new(crate::signing_key::open(None).unwrap(), Vec::new());
        let in_process = InProcessConnector::new(&database, Some(&faults), &kms);
        let nowhere = || "http://127.0.0.1:1".to_owned();
        let addresses = Addresses { dynamo: nowhere(), kms: nowhere(), lambda: nowhere(), secrets: nowhere() };
        let config = sdk_config("tester", &addresses, &SharedHttpConnector::new(in_process));
        let config = aws_sdk_dynamodb::config::Builder::from(&config).retry_config(RetryConfig::disabled());
        Self { faults, client: Client::from_conf(config.build()), clock }
    }

    async fn put(&self, id: &str, owner: &str) -> Result<(), String> {
        let put = self.client.put_item().table_name(TABLE).item("id", text(id)).item("owner", text(owner));
        put.send().await.map(drop).map_err(|error| told(&error))
    }

    async fn delete(&self, id: &str) -> Result<(), String> {
        let delete = self.client.delete_item().table_name(TABLE).key("id", text(id));
        delete.send().await.map(drop).map_err(|error| told(&error))
    }

    /// Puts each of them in one transaction; of a cancelled one, the codes of its reasons.
    async fn transact(&self, ids: &[&str], token: &str) -> Result<(), String> {
        let mut transact = self.client.transact_write_items().client_request_token(token);
        for id in ids {
            let put = Put::builder().table_name(TABLE).item("id", text(id)).item("owner", text("ana"));
            transact = transact.transact_items(TransactWriteItem::builder().put(put.build().unwrap()).build());
        }
        transact.send().await.map(drop).map_err(|error| match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let codes = cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or_default());
                codes.collect::<Vec<_>>().join(" ")
            }
            _ => told(&error),
        })
    }

    async fn batch_put(&self, ids: &[String]) -> Result<usize, String> {
        let writes = ids.iter().map(|id| {
            let put = PutRequest::builder().item("id", text(id)).item("owner", text("ana")).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        });
        let batch = self.client.batch_write_item().request_items(TABLE, writes.collect()).send().await;
        let left_over = batch.map_err(|error| told(&error))?.unprocessed_items.unwrap_or_default();
        Ok(left_over.values().map(Vec::len).sum())
    }

    /// How many there are, and how many are left over.
    async fn batch_get(&self, ids: &[&str], consistent: bool) -> (usize, usize) {
        let mut keys = KeysAndAttributes::builder().consistent_read(consistent);
        for id in ids {
            keys = keys.keys([("id".to_owned(), text(id))].into());
        }
        let got = self.client.batch_get_item().request_items(TABLE, keys.build().unwrap()).send().await.unwrap();
        let left_over = got.unprocessed_keys.unwrap_or_default();
        let found = got.responses.unwrap_or_default();
        (found.values().map(Vec::len).sum(), left_over.values().map(|keys| keys.keys.len()).sum())
    }

    async fn is_there(&self, id: &str, consistent: bool) -> bool {
        let get = self.client.get_item().table_name(TABLE).key("id", text(id)).consistent_read(consistent);
        get.send().await.unwrap().item.is_some()
    }

    /// Whose they are, as the index shows it.
    async fn of(&self, owner: &str) -> Vec<String> {
        let query = self.client.query().table_name(TABLE).index_name("by-owner").key_condition_expression("#o = :o");
        let query = query.expression_attribute_names("#o", "owner").expression_attribute_values(":o", text(owner));
        let found = query.send().await.unwrap();
        let mut ids: Vec<_> = found.items().iter().map(|item| item["id"].as_s().unwrap().clone()).collect();
        ids.sort();
        ids
    }

    fn count(&self, fault: FaultKind) -> usize {
        self.faults.count(Incident::Fault(fault))
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Status and code of a refusal; of what is never answered, that.
fn told<E: ProvideErrorMetadata>(
    error: &aws_sdk_dynamodb::error::SdkError<E, aws_sdk_dynamodb::config::http::HttpResponse>,
) -> String {
    match error.raw_response() {
        Some(answer) => format!("{} {}", answer.status().as_u16(), error.code().unwrap_or_default()),
        None => "no answer".to_owned(),
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn always(fault: FaultKind) -> FaultSettings {
    FaultSettings::default().with(fault, 1.0)
}

async fn pass(time: f64) {
    tokio::time::sleep(seconds(time)).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_by_default() {
    let tables = Tables::new(FaultSettings::default());
    let began = Instant::now();

    tables.put("a", "ana").await.unwrap();
    tables.transact(&["b", "c"], "one").await.unwrap();

    assert_eq!(tables.of("ana").await, ["a", "b", "c"]);
    assert!(tables.is_there("a", false).await);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(tables.faults.counts(), [(Incident::Call, 4), (Incident::IndexQuery, 1)].into());
}

#[tokio::test(start_paused = true)]
async fn an_index_shows_a_write_later() {
    let tables = Tables::new(FaultSettings { gsi_lag: seconds(0.2)..=seconds(1.5), ..FaultSettings::default() });

    tables.put("a", "ana").await.unwrap();
    pass(0.19).await;
    assert!(tables.of("ana").await.is_empty());
    assert!(tables.is_there("a", false).await);
    pass(1.32).await;
    assert_eq!(tables.of("ana").await, ["a"]);

    tables.delete("a").await.unwrap();
    assert_eq!(tables.of("ana").await, ["a"]);
    tables.faults.settled().await;
    assert!(tables.of("ana").await.is_empty());
}

/// Two items in any order, but the changes of one in theirs.
#[tokio::test(start_paused = true)]
async fn an_index_shows_the_changes_of_an_item_in_their_order() {
    for seed in 0..20 {
        let lag = Duration::ZERO..=seconds(1.0);
        let tables = Tables::new(FaultSettings { seed, gsi_lag: lag, ..FaultSettings::default() });
        for owner in ["ana", "ben", "cleo", "dora"] {
            tables.put("a", owner).await.unwrap();
        }
        let mut latest = 0;
        for _ in 0..110 {
            for (place, owner) in ["ana", "ben", "cleo", "dora"].into_iter().enumerate() {
                if !tables.of(owner).await.is_empty() {
                    assert!(place >= latest, "{owner} comes again");
                    latest = place;
                }
            }
            pass(0.01).await;
        }
        assert_eq!(latest, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_is_late_unless_it_is_consistent() {
    let lag = seconds(1.0)..=seconds(1.0);
    let tables = Tables::new(FaultSettings { gsi_lag: lag, base_lag: true, ..FaultSettings::default() });
    tables.put("a", "ana").await.unwrap();

    assert!(tables.is_there("a", true).await && !tables.is_there("a", false).await);
    assert_eq!(tables.batch_get(&["a"], true).await, (1, 0));
    assert_eq!(tables.batch_get(&["a"], false).await, (0, 0));
    let scan = tables.client.scan().table_name(TABLE);
    assert_eq!(scan.clone().send().await.unwrap().count, 0);
    assert_eq!(scan.consistent_read(true).send().await.unwrap().count, 1);
    assert_eq!(tables.faults.count(Incident::LateRead), 3);
    pass(1.1).await;
    assert!(tables.is_there("a", false).await);
    assert_eq!(tables.batch_get(&["a"], false).await, (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_index_shows_nothing_new_until_it_is_let_go() {
    let tables = Tables::new(FaultSettings::default());
    tables.put("a", "ana").await.unwrap();

    tables.faults.freeze();
    tables.put("b", "ana").await.unwrap();
    tables.delete("a").await.unwrap();
    pass(3600.0).await;
    assert_eq!(tables.of("ana").await, ["a"]);

    tables.faults.unfreeze();
    tables.faults.settled().await;
    assert_eq!(tables.of("ana").await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_holds_its_items() {
    let hold = seconds(0.1)..=seconds(0.1);
    let tables = Tables::new(FaultSettings { tx_hold: hold, ..FaultSettings::default() });
    let later = async {
        pass(0.05).await;
        assert!(!tables.is_there("a", true).await, "it is read as it was before");
        let of_the_batch = async {
            assert_eq!(tables.batch_put(&["a".to_owned()]).await, Ok(0), "a write of a batch waits");
            Instant::now()
        };
        let began = Instant::now();
        let (plain, free, another, the_same, waited) = tokio::join!(
            tables.put("a", "ben"),
            tables.put("c", "ben"),
            tables.transact(&["d", "b"], "another"),
            tables.transact(&["a", "b"], "one"),
            of_the_batch,
        );
        assert_eq!(plain, Err("400 TransactionConflictException".to_owned()));
        assert_eq!(free, Ok(()));
        assert_eq!(another, Err("None TransactionConflict".to_owned()));
        assert_eq!(the_same, Err("400 TransactionInProgressException".to_owned()));
        assert!(waited - began >= seconds(0.04));
    };

    let (first, ()) = tokio::join!(tables.transact(&["a", "b"], "one"), later);

    assert_eq!(first, Ok(()));
    assert_eq!(tables.faults.count(Incident::HeldItem), 2);
    assert_eq!(tables.faults.count(Incident::InProgress), 1);
    assert_eq!(tables.put("a", "ben").await, Ok(()));
    assert_eq!(tables.of("ana").await, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_is_not_carried_out() {
    for (fault, expected) in [
        (FaultKind::Throttle, "400 ProvisionedThroughputExceededException"),
        (FaultKind::Throttling, "400 ThrottlingException"),
        (FaultKind::RequestLimit, "400 RequestLimitExceeded"),
        (FaultKind::Internal, "500 InternalServerError"),
        (FaultKind::Unavailable, "503 ServiceUnavailable"),
        (FaultKind::WriteConflict, "400 TransactionConflictException"),
    ] {
        let tables = Tables::new(always(fault));
        assert_eq!(tables.put("a", "ana").await, Err(expected.to_owned()));
        tables.faults.configure(FaultSettings::default());
        assert!(!tables.is_there("a", true).await, "{fault:?}");
        assert_eq!(tables.count(fault), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_transaction_says_which_item_was_why() {
    let tables = Tables::new(always(FaultKind::TxThrottled));
    assert_eq!(tables.transact(&["a", "b"], "one").await, Err("ThrottlingError None".to_owned()));
    tables.faults.configure(always(FaultKind::TxConflict));
    let conflicts = ["TransactionConflict None".to_owned(), "None TransactionConflict".to_owned()];
    assert!(conflicts.contains(&tables.transact(&["a", "b"], "two").await.unwrap_err()));

    tables.faults.configure(FaultSettings::default());
    tables.faults.once(OneShot::new(FaultKind::TxConflict).item(1));
    assert_eq!(tables.transact(&["a", "b"], "three").await, Err("None TransactionConflict".to_owned()));
    assert!(!tables.is_there("a", true).await);
    assert_eq!(tables.transact(&["a", "b"], "three").await, Ok(()));
    assert!(tables.is_there("a", true).await);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_in_progress_is_carried_out_all_the_same() {
    let tables = Tables::new(FaultSettings::default());
    tables.faults.once(OneShot::new(FaultKind::TxInProgress));
    let refused = tables.transact(&["a"], "one").await;
    assert_eq!(refused, Err("400 TransactionInProgressException".to_owned()));
    pass(0.01).await;
    assert!(tables.is_there("a", true).await);
}

#[tokio::test(start_paused = true)]
async fn keys_and_writes_of_a_batch_are_left_over() {
    let ids: Vec<_> = (0..25).map(|id| format!("id-{id}")).collect();
    let tables = Tables::new(FaultSettings::default().with(FaultKind::UnprocessedWrite, 0.5));
    let left_over = tables.batch_put(&ids).await.unwrap();
    assert!((5..21).contains(&left_over), "{left_over}");
    let written = tables.client.scan().table_name(TABLE).send().await.unwrap().count;
    assert_eq!(usize::try_from(written).unwrap() + left_over, ids.len());

    tables.faults.configure(FaultSettings::default());
    assert_eq!(tables.batch_put(&ids).await, Ok(0));
    tables.faults.configure(FaultSettings::default().with(FaultKind::UnprocessedGet, 0.5));
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let (found, left_over) = tables.batch_get(&ids, true).await;
    assert!((5..21).contains(&left_over) && found + left_over == ids.len(), "{found} {left_over}");

    tables.faults.configure(FaultSettings::default());
    tables.faults.once(OneShot::new(FaultKind::UnprocessedGet));
    assert_eq!(tables.batch_get(&ids, true).await, (0, 25));
    assert_eq!(tables.batch_get(&ids, true).await, (25, 0));
}

#[tokio::test(start_paused = true)]
async fn a_page_is_cut() {
    let tables = Tables::new(FaultSettings::default());
    for id in 0..25 {
        tables.put(&format!("id-{id}"), "ana").await.unwrap();
    }
    let pages = async |limit: Option<i32>| {
        let (mut pages, mut from) = (Vec::new(), None);
        loop {
            let scan = tables.client.scan().table_name(TABLE).set_limit(limit).set_exclusive_start_key(from);
            let page = scan.send().await.unwrap();
            pages.push(page.count);
            from = page.last_evaluated_key;
            if from.is_none() {
                return pages;
            }
        }
    };
    assert_eq!(pages(None).await, [25]);

    tables.faults.configure(always(FaultKind::Cut));
    let cut = pages(None).await;
    assert!(cut.len() > 2 && cut.iter().all(|items| *items <= 12) && cut.iter().sum::<i32>() == 25, "{cut:?}");
    let of_limit = pages(Some(4)).await;
    assert!(of_limit.iter().all(|items| *items < 4) && of_limit.iter().sum::<i32>() == 25, "{of_limit:?}");

    tables.faults.configure(FaultSettings { cut_to: Some(10), ..FaultSettings::default() });
    assert_eq!(pages(None).await, [10, 10, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_of_a_call_that_was_carried_out() {
    for (fault, expected) in [(FaultKind::Lost, "no answer"), (FaultKind::Lost500, "500 InternalServerError")] {
        let tables = Tables::new(FaultSettings::default());
        tables.faults.once(OneShot::new(fault));
        assert_eq!(tables.put("a", "ana").await, Err(expected.to_owned()));
        assert!(tables.is_there("a", true).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_zombie_is_carried_out_after_its_caller_gave_up() {
    let tables = Tables::new(FaultSettings::default());
    tables.faults.once(OneShot::new(FaultKind::Zombie));
    let began = Instant::now();

    assert_eq!(tables.put("a", "ana").await, Err("no answer".to_owned()));
    assert!(began.elapsed() < seconds(1.5) && !tables.is_there("a", true).await);
    tables.put("a", "ben").await.unwrap();
    pass(1.0).await;
    assert_eq!(tables.of("ana").await, ["a"], "what came first was written last");
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_carried_out() {
    let tables = Tables::new(always(FaultKind::Slow));
    let began = Instant::now();
    tables.put("a", "ana").await.unwrap();
    assert!(began.elapsed() >= SLOW);
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_is_swept_in_tables_and_indexes() {
    let tables = Tables::new(FaultSettings::default());
    for (table, id, expires) in
        [(TABLE, "a", Some(1999)), (TABLE, "b", Some(2000)), (TABLE, "c", None), (OTHER, "d", Some(1))]
    {
        let put = tables.client.put_item().table_name(table).item("id", text(id)).item("owner", text("ana"));
        let expires = expires.map(|at: i64| AttributeValue::N(at.to_string()));
        expires.into_iter().fold(put, |put, at| put.item("expires", at)).send().await.unwrap();
    }
    assert_eq!(tables.faults.sweep(Some("things")).await, 0);
    tables.clock.store(2000, Ordering::SeqCst);

    assert_eq!(tables.faults.sweep(Some("things")).await, 1);
    assert_eq!(tables.of("ana").await, ["b", "c"]);
    tables.clock.store(2001, Ordering::SeqCst);
    tables.faults.configure(always(FaultKind::Sweep));
    assert!(!tables.is_there("b", true).await, "it is swept before it is read");
    assert_eq!(tables.faults.count(Incident::Swept), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_not_larger_than_aws_allows() {
    let tables = Tables::new(FaultSettings::default());
    let ids = |count| (0..count).map(|id| format!("id-{id}")).collect::<Vec<_>>();
    let refused = "400 ValidationException".to_owned();
    let put = |attribute: &str, value| {
        let put = tables.client.put_item().table_name(TABLE).item("id", text("a")).item(attribute, value);
        async { put.send().await.map(drop).map_err(|error| told(&error)) }
    };
    let digits = |count| AttributeValue::N("9".repeat(count));

    assert_eq!(put("text", text(&"x".repeat(400 << 10))).await, Err(refused.clone()));
    assert_eq!(put("text", text(&"x".repeat(300 << 10))).await, Ok(()));
    assert_eq!(put("number", digits(39)).await, Err(refused.clone()));
    assert_eq!(put("number", digits(38)).await, Ok(()));
    assert_eq!(put("owner", text("")).await, Err(refused.clone()));
    assert_eq!(tables.put(&"k".repeat(2049), "ana").await, Err(refused.clone()));
    assert_eq!(tables.put(&"k".repeat(2048), "ana").await, Ok(()));
    assert_eq!(tables.batch_put(&ids(26)).await, Err(refused.clone()));
    assert_eq!(tables.batch_put(&["a".to_owned(), "a".to_owned()]).await, Err(refused.clone()));
    assert_eq!(tables.transact(&["a", "a"], "one").await, Err(refused.clone()));
    assert_eq!(tables.transact(&["a"], &"t".repeat(37)).await, Err(refused.clone()));
    let many = ids(101);
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(tables.transact(&many, "one").await, Err(refused));
    assert_eq!(tables.transact(&many[1..], "one").await, Ok(()));
    assert_eq!(tables.faults.count(Incident::OverLimit), 9);
}

#[tokio::test(start_paused = true)]
async fn what_happens_once_happens_to_the_calls_that_were_meant() {
    let tables = Tables::new(FaultSettings::default());
    let (throttled, on) = (Err("400 ThrottlingException".to_owned()), || OneShot::new(FaultKind::Throttling));

    tables.faults.once(on().operation("DeleteItem").times(2));
    assert_eq!(tables.put("a", "ana").await, Ok(()));
    assert_eq!([tables.delete("a").await, tables.delete("a").await], [throttled.clone(), throttled.clone()]);
    assert_eq!(tables.delete("a").await, Ok(()));

    tables.faults.once(on().table("things").text("\"b\"").skip(1));
    assert_eq!([tables.put("a", "ana").await, tables.put("b", "ana").await], [Ok(()), Ok(())]);
    assert_eq!(tables.put("b", "ana").await, throttled);

    for never in [on().table("others"), on().not_table("things"), OneShot::new(FaultKind::Cut)] {
        tables.faults.once(never);
    }
    assert_eq!(tables.put("b", "ana").await, Ok(()));
    assert_eq!(tables.faults.pending(), 3);
    assert_eq!(tables.count(FaultKind::Throttling), 3);
}

#[tokio::test(start_paused = true)]
async fn a_seed_decides_alike() {
    let outcomes = async |seed| {
        let tables = Tables::new(FaultSettings { seed, ..FaultSettings::default() }.with(FaultKind::Throttle, 0.3));
        let mut outcomes = Vec::new();
        for _ in 0..100 {
            outcomes.push(tables.put("a", "ana").await.is_ok());
        }
        outcomes
    };
    let (one, again, another) = (outcomes(1).await, outcomes(1).await, outcomes(2).await);
    assert_eq!(one, again);
    assert_ne!(one, another);
    let failed = one.iter().filter(|succeeded| !**succeeded).count();
    assert!((15..45).contains(&failed), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn chances_are_for_the_calls_that_were_meant() {
    let throttled = || Err("400 ProvisionedThroughputExceededException".to_owned());
    for (settings, expected) in [
        (FaultSettings { operations: vec!["DeleteItem"], ..always(FaultKind::Throttle) }, [Ok(()), throttled()]),
        (FaultSettings { tables: vec!["others"], ..always(FaultKind::Throttle) }, [Ok(()), Ok(())]),
        (FaultSettings { tables: vec!["things"], ..always(FaultKind::Throttle) }, [throttled(), throttled()]),
        (FaultSettings { spared: vec!["tester"], ..always(FaultKind::Throttle) }, [Ok(()), Ok(())]),
    ] {
        let tables = Tables::new(settings);
        assert_eq!([tables.put("a", "ana").await, tables.delete("a").await], expected);
    }
}

/// Of a whole system: functions and operators alike, at a socket.
#[tokio::test]
async fn a_system_has_its_tables_behind_them() {
    let settings = FaultSettings { spared: vec!["operator"], ..always(FaultKind::Throttle) };
    let options = crate::Options { demo: true, table_faults: Some(settings), ..crate::Options::default() };
    let system = crate::System::start(options).await.unwrap();
    let faults = system.table_faults().unwrap();
    let before = system.items().unwrap().len();
    let register = async || {
        let event = include_str!("../../../../events/register/claude.json");
        let answer = system.invoke("register", event).await.unwrap().unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["statusCode"].clone()
    };

    assert_eq!(register().await, 503);
    assert_eq!(system.items().unwrap().len(), before);
    faults.change(|settings| settings.chances.clear());
    assert_eq!(register().await, 201);
    assert_eq!(system.items().unwrap().len(), before + 1);
    let acme = shared::oauth::tenant::TenantId::parse("acme").unwrap();
    let ana = shared::oauth::tenant::PersonId::parse("5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01").unwrap();
    let calls = faults.count(Incident::Call);
    assert!(system.directory().membership(&ana, &acme).await.unwrap().is_some());
    assert_eq!(faults.count(Incident::Call), calls + 1);
}
