//! The tables as AWS documents them: behind what the embedded ones answer, everything that DynamoDB may do besides.
//!
//! Every call to the tables goes through here, those of operators too. Nothing of it is in the way of a system without faults.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`fault_kind`], [`one_shot`], [`fault_settings`] | what may happen to a call: by chance, or once |
//! | [`incident`] | what did happen, for counting |
//! | `call_faults`, `random` | decides for one call; the same seed decides alike |
//! | `answer` | what AWS answers |
//! | `write` | the items that a call writes |
//! | `transaction_locks` | the items that transactions hold |
//! | `replica` | what indexes show |
//! | `size_limits` | what AWS refuses |
//! | `server` | all of it at a socket |

mod answer;
mod call_faults;
pub mod fault_kind;
pub mod fault_settings;
pub mod incident;
pub mod one_shot;
mod random;
mod replica;
pub(crate) mod server;
mod size_limits;
mod transaction_locks;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use serde_json::{Map, Value, json};
use shared::clock::Clock;

use crate::database_operation;
use crate::interceptor::Call;
use crate::tables::{self, TablesError};
use crate::template::TableDefinition;
use answer::{Answer, THROTTLING_ERROR, TRANSACTION_CONFLICT};
use call_faults::CallFaults;
use fault_kind::{FaultKind, is_paged, is_write};
use fault_settings::FaultSettings;
use incident::Incident;
use one_shot::OneShot;
use random::Random;
use replica::Replica;
use transaction_locks::{HoldError, TransactionLocks};
use write::{ItemKey, Schemas, batched, elements};

/// How long nothing is heard of a call whose answer is lost: longer than any caller waits.
const SILENCE: Duration = Duration::from_secs(10);
/// When a slow call is heard.
const SLOW: Duration = Duration::from_millis(700);
/// The seed's rows of random numbers for calls begin after this one, which is for the lags of writes.
const LAGS: u64 = 0;

/// Tables to which everything happens that AWS documents, as far as the settings say so.
pub struct TableFaults {
    database: Database,
    replica: Arc<Replica>,
    schemas: Schemas,
    /// Says what has expired.
    clock: Clock,
    state: Mutex<State>,
    locks: TransactionLocks,
    counts: Mutex<BTreeMap<Incident, usize>>,
    /// One write after another, so that the replica hears of each item's in their order.
    order: Mutex<()>,
}

struct State {
    settings: FaultSettings,
    calls: u64,
    lags: Random,
    one_shots: Vec<OneShot>,
}

impl TableFaults {
    /// Tables that nothing happens to yet, over those in `database`.
    pub(crate) fn new(
        database: Database,
        definitions: &[TableDefinition],
        clock: Clock,
    ) -> Result<Arc<Self>, TablesError> {
        let (replica, schemas) = (Replica::new(tables::open(definitions, None)?), Schemas::new(definitions));
        for (table, item) in tables::items(&database, definitions)? {
            if let Some(key) = schemas.key(&table, &item) {
                replica.follow(key, Some(item), Duration::ZERO);
            }
        }
        Ok(Arc::new(Self {
            database,
            replica,
            schemas,
            clock,
            state: Mutex::new(State::new(FaultSettings::default())),
            locks: TransactionLocks::default(),
            counts: Mutex::default(),
            order: Mutex::default(),
        }))
    }

    /// From now on it is so. What is to happen once still is.
    pub fn configure(&self, settings: FaultSettings) {
        let mut state = self.state();
        let one_shots = std::mem::take(&mut state.one_shots);
        *state = State { one_shots, ..State::new(settings) };
    }

    /// Changes the settings. The seed begins anew.
    pub fn change(&self, change: impl FnOnce(&mut FaultSettings)) {
        let mut settings = self.state().settings.clone();
        change(&mut settings);
        self.configure(settings);
    }

    /// Has this happen, besides what happens by chance.
    pub fn once(&self, one_shot: OneShot) {
        self.state().one_shots.push(one_shot);
    }

    /// How much of what was to happen once is still to happen.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state().one_shots.iter().filter(|one_shot| !one_shot.is_used_up()).count()
    }

    /// Keeps indexes, and reads that are not consistent, as they are until they are let go.
    pub fn freeze(&self) {
        self.replica.freeze(true);
    }

    /// Lets them go on.
    pub fn unfreeze(&self) {
        self.replica.freeze(false);
    }

    /// Waits until the indexes show everything that was written. Frozen ones never do.
    pub async fn settled(&self) {
        self.replica.settled().await;
    }

    /// Deletes what has expired, as DynamoDB does at its leisure: in all tables, or in that whose name ends so in lower case. How
    /// many items there were.
    pub async fn sweep(&self, table: Option<&str>) -> usize {
        let (now, mut swept) = (self.clock.now().seconds(), 0);
        let mut random = Random::new(self.state().settings.seed, LAGS);
        for (name, schema) in &self.schemas.0 {
            let Some(expires) = &schema.time_to_live else { continue };
            if table.is_some_and(|end| !name.to_ascii_lowercase().ends_with(end)) {
                continue;
            }
            for key in self.expired(name, expires, now) {
                let delete = json!({
                    "TableName": name, "Key": key.key, "ConditionExpression": "#e < :n",
                    "ExpressionAttributeNames": { "#e": expires },
                    "ExpressionAttributeValues": { ":n": { "N": now.to_string() } },
                });
                // What is held, or lives on, is for another time.
                if self.write("DeleteItem", &delete, &mut random).await.is_success() {
                    self.count_one(Incident::Swept);
                    swept += 1;
                }
            }
        }
        swept
    }

    /// How often that happened.
    #[must_use]
    pub fn count(&self, incident: Incident) -> usize {
        self.locked_counts().get(&incident).copied().unwrap_or_default()
    }

    /// Everything that happened, and how often.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Incident, usize> {
        self.locked_counts().clone()
    }

    /// What is answered to `call`, as status and JSON. It is carried out even if its caller does not wait for it.
    pub(crate) async fn answer(self: &Arc<Self>, call: Call) -> (u16, String) {
        let faults = Arc::clone(self);
        let answer = tokio::spawn(async move { faults.carry_out(call).await }).await;
        let Answer { status, body } = answer.unwrap_or_else(|_| Answer::internal());
        (status, body.to_string())
    }

    async fn carry_out(self: &Arc<Self>, Call { function, operation, mut body, .. }: Call) -> Answer {
        self.count_one(Incident::Call);
        let mut call_faults = self.call_faults(&function, &operation, &body);
        if let Some(refusal) = self.refuse(&mut call_faults, &operation) {
            return refusal;
        }
        if self.happens(&mut call_faults, FaultKind::Slow, &operation) {
            tokio::time::sleep(SLOW).await;
        }
        if self.happens(&mut call_faults, FaultKind::Sweep, &operation) {
            self.sweep(None).await;
        }
        if let Some(limit) = self.exceeded_limit(&operation, &body) {
            self.count_one(Incident::OverLimit);
            return Answer::invalid(&limit);
        }
        if let Some(conflict) = self.conflict(&mut call_faults, &operation, &body) {
            return conflict;
        }
        if self.happens(&mut call_faults, FaultKind::TxInProgress, &operation) {
            self.carry_out_after(Duration::ZERO, operation, body, call_faults.random);
            return Answer::transaction_in_progress();
        }
        if self.happens(&mut call_faults, FaultKind::Zombie, &operation) {
            let after = self.state().settings.zombie_after;
            self.carry_out_after(after, operation, body, call_faults.random);
            tokio::time::sleep(after + SILENCE).await;
            return Answer::internal();
        }
        let left_over = self.leave_over(&mut call_faults, &operation, &mut body);
        self.cut(&mut call_faults, &operation, &mut body);
        let mut answer = if left_over.is_some() && batched(&body).next().is_none() {
            Answer::of(json!({ "Responses": {} }))
        } else {
            self.perform(&operation, &body, &mut call_faults.random).await
        };
        if let (true, Some((name, left_over)), Some(members)) =
            (answer.is_success(), left_over, answer.body.as_object_mut())
        {
            members.insert(name.to_owned(), Value::Object(left_over));
        }
        if self.happens(&mut call_faults, FaultKind::Lost, &operation) {
            tokio::time::sleep(SILENCE).await;
            return Answer::internal();
        }
        if self.happens(&mut call_faults, FaultKind::Lost500, &operation) {
            return Answer::internal();
        }
        answer
    }

    /// What is to happen to a call, once or by chance.
    fn call_faults(&self, caller: &str, operation: &str, body: &Value) -> CallFaults {
        let tables = write::tables(body);
        let mut state = self.state();
        state.calls += 1;
        let (random, settings) = (Random::new(state.settings.seed, LAGS + state.calls), &state.settings);
        let named = |ends: &[&str]| tables.iter().any(|table| ends.iter().any(|end| table.ends_with(end)));
        let concerned = (settings.operations.is_empty() || settings.operations.contains(&operation))
            && (settings.tables.is_empty() || named(&settings.tables))
            && !settings.spared.contains(&caller);
        let chances = if concerned { settings.chances.clone() } else { BTreeMap::new() };
        let cut_to = settings.cut_to.filter(|_| concerned);
        let text = if state.one_shots.is_empty() { String::new() } else { body.to_string() };
        let mut takes = state.one_shots.iter_mut();
        let one_shot = takes.find_map(|one_shot| one_shot.take(operation, &tables, &text).then(|| one_shot.clone()));
        CallFaults { random, one_shot, chances, cut_to }
    }

    /// The faults because of which a call is not carried out.
    fn refuse(&self, call_faults: &mut CallFaults, operation: &str) -> Option<Answer> {
        let refusals = [
            FaultKind::Throttle,
            FaultKind::Throttling,
            FaultKind::RequestLimit,
            FaultKind::Internal,
            FaultKind::Unavailable,
        ];
        let fault = refusals.into_iter().find(|fault| self.happens(call_faults, *fault, operation))?;
        Answer::refusal(fault)
    }

    fn exceeded_limit(&self, operation: &str, body: &Value) -> Option<String> {
        let checked = self.state().settings.limits;
        if checked { size_limits::exceeded(operation, body, &self.schemas) } else { None }
    }

    /// Conflicts that nobody causes here.
    fn conflict(&self, call_faults: &mut CallFaults, operation: &str, body: &Value) -> Option<Answer> {
        let count = elements(body.get("TransactItems")).len();
        let cancelled = |which, reason| {
            let reasons: Vec<_> = (0..count).map(|item| (item == which).then_some(reason)).collect();
            Answer::transaction_cancelled(&reasons)
        };
        if self.happens(call_faults, FaultKind::TxConflict, operation) {
            return Some(cancelled(call_faults.conflicting_item(count), TRANSACTION_CONFLICT));
        }
        if self.happens(call_faults, FaultKind::TxThrottled, operation) {
            return Some(cancelled(0, THROTTLING_ERROR));
        }
        self.happens(call_faults, FaultKind::WriteConflict, operation).then(Answer::write_conflict)
    }

    /// Carries out what its caller hears nothing of.
    fn carry_out_after(self: &Arc<Self>, after: Duration, operation: String, body: Value, mut random: Random) {
        let faults = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            faults.write(&operation, &body, &mut random).await;
        });
    }

    /// Takes out of a batch what is left over; that, by table, and what AWS calls it.
    fn leave_over(
        &self,
        call_faults: &mut CallFaults,
        operation: &str,
        body: &mut Value,
    ) -> Option<(&'static str, Map<String, Value>)> {
        let (fault, name) = match operation {
            "BatchGetItem" => (FaultKind::UnprocessedGet, "UnprocessedKeys"),
            "BatchWriteItem" => (FaultKind::UnprocessedWrite, "UnprocessedItems"),
            _ => return None,
        };
        let (mut kept, mut left_over) = (Map::new(), Map::new());
        for (table, asked) in batched(body) {
            let entries = elements(Some(asked.get("Keys").unwrap_or(asked)));
            let is_left = call_faults.left_over(fault, entries.len());
            for (part, left) in [(&mut kept, false), (&mut left_over, true)] {
                let entries: Vec<_> = entries
                    .iter()
                    .zip(&is_left)
                    .filter(|(_, is_left)| **is_left == left)
                    .map(|(entry, _)| entry)
                    .collect();
                if entries.is_empty() {
                    continue;
                }
                let mut part_of_table = asked.clone();
                match part_of_table.get_mut("Keys") {
                    Some(keys) => *keys = json!(entries),
                    None => part_of_table = json!(entries),
                }
                part.insert(table.to_owned(), part_of_table);
            }
        }
        if left_over.is_empty() {
            return None;
        }
        self.count_one(Incident::Fault(fault));
        if let Some(members) = body.as_object_mut() {
            members.insert("RequestItems".to_owned(), Value::Object(kept));
        }
        Some((name, left_over))
    }

    /// Makes a page shorter.
    fn cut(&self, call_faults: &mut CallFaults, operation: &str, body: &mut Value) {
        const NO_LIMIT: u64 = 1000;

        if !is_paged(operation) {
            return;
        }
        let limit = body.get("Limit").and_then(Value::as_u64).unwrap_or(NO_LIMIT);
        if let (Some(cut), Some(members)) = (call_faults.cut(operation, limit), body.as_object_mut()) {
            self.count_one(Incident::Fault(FaultKind::Cut));
            members.insert("Limit".to_owned(), cut.into());
        }
    }

    /// What DynamoDB does with a call, conflicts and late reads included.
    async fn perform(&self, operation: &str, body: &Value, random: &mut Random) -> Answer {
        let is_late = |asked: &Value| asked.get("ConsistentRead").and_then(Value::as_bool) != Some(true);
        let base_lag = self.state().settings.base_lag;
        match operation {
            write if is_write(write) => self.write(write, body, random).await,
            "Query" if body.get("IndexName").is_some() => {
                self.count_one(Incident::IndexQuery);
                perform(&self.replica.database, operation, body)
            }
            "Query" | "Scan" | "GetItem" if base_lag && is_late(body) => {
                self.count_one(Incident::LateRead);
                perform(&self.replica.database, operation, body)
            }
            "BatchGetItem" if base_lag && batched(body).any(|(_, asked)| is_late(asked)) => {
                self.count_one(Incident::LateRead);
                let of = |late: bool| {
                    let asked = batched(body).filter(|(_, asked)| is_late(asked) == late);
                    asked.map(|(table, asked)| (table.to_owned(), asked.clone())).collect::<Map<_, _>>()
                };
                self.batch_get(body, of(false), of(true))
            }
            _ => perform(&self.database, operation, body),
        }
    }

    /// A batch of which some tables are read as they are, and some late.
    fn batch_get(&self, body: &Value, now: Map<String, Value>, late: Map<String, Value>) -> Answer {
        let mut merged = Map::new();
        for (database, asked) in [(&self.database, now), (&self.replica.database, late)] {
            if asked.is_empty() {
                continue;
            }
            let mut body = body.clone();
            if let Some(members) = body.as_object_mut() {
                members.insert("RequestItems".to_owned(), Value::Object(asked));
            }
            let answer = perform(database, "BatchGetItem", &body);
            if !answer.is_success() {
                return answer;
            }
            for (name, value) in answer.body.as_object().into_iter().flatten() {
                match (merged.get_mut(name), value) {
                    (Some(Value::Object(merged)), Value::Object(more)) => merged.extend(more.clone()),
                    (Some(Value::Array(merged)), Value::Array(more)) => merged.extend(more.iter().cloned()),
                    _ => drop(merged.insert(name.clone(), value.clone())),
                }
            }
        }
        Answer::of(Value::Object(merged))
    }

    async fn write(&self, operation: &str, body: &Value, random: &mut Random) -> Answer {
        let keys = self.schemas.written(operation, body);
        match operation {
            "TransactWriteItems" => return self.transact(body, &keys, random).await,
            // Each of its writes is one of its own, and waits for its turn.
            "BatchWriteItem" => self.locks.released(&keys).await,
            _ if self.locks.holds_any(&keys) => {
                self.count_one(Incident::HeldItem);
                return Answer::write_conflict();
            }
            _ => {}
        }
        self.commit(operation, body, keys)
    }

    async fn transact(&self, body: &Value, keys: &[ItemKey], random: &mut Random) -> Answer {
        let token = body.get("ClientRequestToken").and_then(Value::as_str);
        let hold = match self.locks.hold(keys, token) {
            Ok(hold) => hold,
            Err(HoldError::InProgress) => {
                self.count_one(Incident::InProgress);
                return Answer::transaction_in_progress();
            }
            Err(HoldError::Items(held)) => {
                self.count_one(Incident::HeldItem);
                let reasons: Vec<_> =
                    keys.iter().map(|key| held.contains(key).then_some(TRANSACTION_CONFLICT)).collect();
                return Answer::transaction_cancelled(&reasons);
            }
        };
        let duration = random.duration(&self.state().settings.tx_hold);
        if !duration.is_zero() {
            tokio::time::sleep(duration).await;
        }
        let answer = self.commit("TransactWriteItems", body, keys.to_vec());
        drop(hold);
        answer
    }

    /// Writes, and has the replica follow.
    fn commit(&self, operation: &str, body: &Value, keys: Vec<ItemKey>) -> Answer {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = perform(&self.database, operation, body);
        if answer.is_success() {
            for key in keys {
                let read = json!({ "TableName": key.table, "Key": key.key, "ConsistentRead": true });
                let item = perform(&self.database, "GetItem", &read).body.get("Item").cloned();
                let lag = self.state().next_lag();
                self.replica.follow(key, item, lag);
            }
        }
        answer
    }

    /// The keys of what had expired in a table.
    fn expired(&self, table: &str, expires: &str, now: i64) -> Vec<ItemKey> {
        let (mut keys, mut next) = (Vec::new(), Some(json!({ "TableName": table, "ConsistentRead": true })));
        while let Some(mut scan) = next {
            let page = perform(&self.database, "Scan", &scan).body;
            let over = elements(page.get("Items")).iter().filter(|item| {
                let at = item.get(expires).and_then(|at| at.get("N")?.as_str()?.parse::<i64>().ok());
                at.is_some_and(|at| at < now)
            });
            keys.extend(over.filter_map(|item| self.schemas.key(table, item)));
            next = page.get("LastEvaluatedKey").and_then(|last| {
                scan.as_object_mut()?.insert("ExclusiveStartKey".to_owned(), last.clone());
                Some(scan)
            });
        }
        keys
    }

    fn happens(&self, call_faults: &mut CallFaults, fault: FaultKind, operation: &str) -> bool {
        let happens = call_faults.roll(fault, operation);
        if happens {
            self.count_one(Incident::Fault(fault));
        }
        happens
    }

    fn count_one(&self, incident: Incident) {
        *self.locked_counts().entry(incident).or_default() += 1;
    }

    fn locked_counts(&self) -> MutexGuard<'_, BTreeMap<Incident, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(settings: FaultSettings) -> Self {
        Self { lags: Random::new(settings.seed, LAGS), settings, calls: 0, one_shots: Vec::new() }
    }

    fn next_lag(&mut self) -> Duration {
        self.lags.duration(&self.settings.gsi_lag)
    }
}

fn perform(database: &Database, operation: &str, body: &Value) -> Answer {
    let (status, answer) = database_operation::perform(database, operation, body.to_string().as_bytes());
    Answer { status, body: serde_json::from_str(&answer).unwrap_or_default() }
}

#[cfg(test)]
mod tests;
