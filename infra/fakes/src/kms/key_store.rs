//! The keys, by the names that callers have for them.

use crate::kms::error::KmsError;
use crate::kms::key::{ARN_PREFIX, Key};
use crate::kms::mac_key::MacKey;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Every key, and which of them an administrator has disabled.
pub(super) struct KeyStore {
    keys: Vec<Key>,
    mac_keys: Vec<MacKey>,
    /// Ids.
    disabled: Mutex<BTreeSet<String>>,
}

impl KeyStore {
    pub(super) fn new(keys: Vec<Key>, mac_keys: Vec<MacKey>) -> Self {
        Self { keys, mac_keys, disabled: Mutex::default() }
    }

    /// The key that a `KeyId` means: id, key ARN, alias name or alias ARN.
    pub(super) fn find(&self, key_id: &str) -> Result<&Key, KmsError> {
        let name = key_id.strip_prefix(ARN_PREFIX).unwrap_or(key_id);
        let found = if name.starts_with("alias/") {
            self.keys.iter().find(|key| key.aliases().iter().any(|alias| alias == name))
        } else {
            let id = id_of(key_id);
            self.keys.iter().find(|key| Some(key.id()) == id)
        };
        let key = found.ok_or_else(|| KmsError::NotFound(key_id.to_owned()))?;
        if self.lock_disabled().contains(key.id()) {
            return Err(KmsError::Disabled(key.arn()));
        }
        Ok(key)
    }

    /// The HMAC key that a `KeyId` means: id or key ARN.
    pub(super) fn find_mac_key(&self, key_id: &str) -> Result<&MacKey, KmsError> {
        let id = id_of(key_id);
        let key = self.mac_keys.iter().find(|key| Some(key.id()) == id);
        let key = key.ok_or_else(|| KmsError::NotFound(key_id.to_owned()))?;
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

/// The id in an id or a key ARN: the prefix "key/" belongs to an ARN and to nothing else.
fn id_of(key_id: &str) -> Option<&str> {
    match key_id.strip_prefix(ARN_PREFIX) {
        Some(name) => name.strip_prefix("key/"),
        None => Some(key_id),
    }
}
