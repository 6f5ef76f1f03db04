//! The tables as they were some time ago: what an index shows, and a read that is not consistent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::write::ItemKey;
use crate::database_operation;

/// A second database, in which every write arrives later: item by item, each item's in their own order.
pub(super) struct Replica {
    pub(super) database: Database,
    queues: Mutex<HashMap<ItemKey, VecDeque<Change>>>,
    /// How many changes have not arrived.
    waiting: watch::Sender<usize>,
    frozen: watch::Sender<bool>,
}

/// What an item has become; nothing if it was deleted.
struct Change {
    due: Instant,
    item: Option<Value>,
}

impl Replica {
    pub(super) fn new(database: Database) -> Arc<Self> {
        let (waiting, frozen) = (watch::Sender::new(0), watch::Sender::new(false));
        Arc::new(Self { database, queues: Mutex::default(), waiting, frozen })
    }

    /// Lets an item arrive after `lag`, though not before an earlier change of the same item.
    pub(super) fn follow(self: &Arc<Self>, key: ItemKey, item: Option<Value>, lag: Duration) {
        let mut queues = self.queues();
        let due = Instant::now() + lag;
        if let Some(queue) = queues.get_mut(&key) {
            let due = queue.back().map_or(due, |last| last.due.max(due));
            queue.push_back(Change { due, item });
        } else if lag.is_zero() && !*self.frozen.borrow() {
            self.write(&key, item);
            return;
        } else {
            queues.insert(key.clone(), VecDeque::from([Change { due, item }]));
            tokio::spawn(Arc::clone(self).drain(key, due));
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
    }

    /// Whether nothing arrives any more.
    pub(super) fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Waits until everything that was written has arrived.
    pub(super) async fn settled(&self) {
        // The sender is here: it cannot be gone.
        drop(self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await);
    }

    async fn drain(self: Arc<Self>, key: ItemKey, first: Instant) {
        let (mut next, mut frozen) = (Some(first), self.frozen.subscribe());
        while let Some(due) = next {
            tokio::time::sleep_until(due).await;
            drop(frozen.wait_for(|frozen| !frozen).await);
            next = self.arrive(&key);
        }
    }

    /// Writes an item's first change; when its next is due, if there is one.
    fn arrive(&self, key: &ItemKey) -> Option<Instant> {
        let mut queues = self.queues();
        let queue = queues.get_mut(key)?;
        if let Some(change) = queue.pop_front() {
            self.write(key, change.item);
        }
        let next = queue.front().map(|change| change.due);
        if next.is_none() {
            queues.remove(key);
        }
        self.waiting.send_modify(|waiting| *waiting -= 1);
        next
    }

    fn write(&self, key: &ItemKey, item: Option<Value>) {
        let (operation, body) = match item {
            Some(item) => ("PutItem", json!({ "TableName": key.table, "Item": item })),
            None => ("DeleteItem", json!({ "TableName": key.table, "Key": key.key })),
        };
        let (status, answer) = database_operation::perform(&self.database, operation, body.to_string().as_bytes());
        if status != 200 {
            tracing::error!(table = key.table, answer, "an item does not arrive in the indexes");
        }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<ItemKey, VecDeque<Change>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
