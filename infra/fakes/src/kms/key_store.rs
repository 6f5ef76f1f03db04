//! The keys, by the names that callers have for them.

use crate::kms::error::KmsError;
use crate::kms::key::{ARN_PREFIX, Key};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Every key, and which of them an administrator has disabled.
pub(super) struct KeyStore {
    keys: Vec<Key>,
    /// Ids.
    disabled: Mutex<BTreeSet<String>>,
}

impl KeyStore {
    pub(super) fn new(keys: Vec<Key>) -> Self {
        Self { keys, disabled: Mutex::default() }
    }

    /// The key that a `KeyId` means: id, key ARN, alias name or alias ARN.
    pub(super) fn find(&self, key_id: &str) -> Result<&Key, KmsError> {
        let name = key_id.strip_prefix(ARN_PREFIX).unwrap_or(key_id);
        let found = if name.starts_with("alias/") {
            self.keys.iter().find(|key| key.aliases().iter().any(|alias| alias == name))
        } else {
            // The prefix "key/" belongs to an ARN and to nothing else.
            let id = if name.len() == key_id.len() { Some(name) } else { name.strip_prefix("key/") };
            self.keys.iter().find(|key| Some(key.id()) == id)
        };
        let key = found.ok_or_else(|| KmsError::NotFound(key_id.to_owned()))?;
        if self.lock_disabled().contains(key.id()) {
            return Err(KmsError::Disabled(key.arn()));
        }
        Ok(key)
    }

    pub(super) fn disable(&self, id: &str) {
        self.lock_disabled().insert(id.to_owned());
    }

    pub(super) fn enable(&self, id: &str) {
        self.lock_disabled().remove(id);
    }

    fn lock_disabled(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.disabled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
