//! The items that transactions hold while they are carried out.

use std::collections::HashSet;

use tokio::sync::watch;

use super::write::ItemKey;

/// What is held.
#[derive(Default)]
pub(super) struct TransactionLocks(watch::Sender<Held>);

#[derive(Default)]
struct Held {
    items: HashSet<ItemKey>,
    /// Of the transactions that hold, their `ClientRequestToken`s.
    tokens: HashSet<String>,
}

/// Why a transaction cannot hold its items.
pub(super) enum HoldError {
    /// The same one is being carried out.
    InProgress,
    /// Others hold these.
    Items(HashSet<ItemKey>),
}

/// A transaction's items. Dropped, they are free.
pub(super) struct Hold<'a> {
    locks: &'a TransactionLocks,
    items: &'a [ItemKey],
    token: Option<&'a str>,
}

impl TransactionLocks {
    /// Holds all of `items`, or none.
    pub(super) fn hold<'a>(&'a self, items: &'a [ItemKey], token: Option<&'a str>) -> Result<Hold<'a>, HoldError> {
        let mut refused = None;
        self.0.send_if_modified(|held| {
            let others: HashSet<_> = items.iter().filter(|item| held.items.contains(item)).cloned().collect();
            if token.is_some_and(|token| held.tokens.contains(token)) {
                refused = Some(HoldError::InProgress);
            } else if !others.is_empty() {
                refused = Some(HoldError::Items(others));
            } else {
                held.items.extend(items.iter().cloned());
                held.tokens.extend(token.map(str::to_owned));
            }
            refused.is_none()
        });
        match refused {
            Some(refused) => Err(refused),
            None => Ok(Hold { locks: self, items, token }),
        }
    }

    /// Whether a transaction holds any of `items`.
    pub(super) fn holds_any(&self, items: &[ItemKey]) -> bool {
        self.0.borrow().holds_any(items)
    }

    /// Waits until no transaction holds any of `items`.
    pub(super) async fn released(&self, items: &[ItemKey]) {
        // The sender is here: it cannot be gone.
        drop(self.0.subscribe().wait_for(|held| !held.holds_any(items)).await);
    }
}

impl Held {
    fn holds_any(&self, items: &[ItemKey]) -> bool {
        items.iter().any(|item| self.items.contains(item))
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.locks.0.send_modify(|held| {
            for item in self.items {
                held.items.remove(item);
            }
            if let Some(token) = self.token {
                held.tokens.remove(token);
            }
        });
    }
}
