//! The hosts that an operator blocked: one item in the table of clients, so that it is read in the same call as a client.
//!
//! ```text
//! { id: "blocked hosts", kind: "blocked_hosts", hosts: { "evil.example": 1795… }, made_by: <16 bytes> }
//! ```
//!
//! No client has such an id: it has a blank. It is written as read, by operators alone.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use thiserror::Error;

use super::batch_get_items;
use super::clients::{BLOCKED_HOSTS, Clients};
use super::item::Value;
use super::item_update::{UpdateOutcome, write_as_read};
use crate::clock::Timestamp;
use crate::oauth::blocked_hosts::BlockedHosts;
use crate::upstream_error::UpstreamError;

/// The most hosts that can be blocked. Every request reads them all: 100 names of usual length are 4 KB.
pub const MAX_BLOCKED_HOSTS: usize = 100;

/// Why a host was not blocked.
#[derive(Debug, Error)]
pub enum BlockHostError {
    /// There are as many as there may be.
    #[error("{MAX_BLOCKED_HOSTS} hosts are blocked already")]
    TooMany,
    /// DynamoDB failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl Clients {
    /// The hosts that are blocked.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn blocked_hosts(&self) -> Result<BlockedHosts, UpstreamError> {
        let item = batch_get_items(&self.dynamo, &[self.blocked_hosts_key()]).await?.pop().flatten();
        self.read_blocked_hosts(item.as_ref())
    }

    /// Blocks a host and all below it. The time of one that is blocked already stays.
    ///
    /// # Errors
    /// When there are [`MAX_BLOCKED_HOSTS`] already, others changed them at the same time, or DynamoDB fails.
    pub async fn block_host(&self, host: &str, now: Timestamp) -> Result<(), BlockHostError> {
        let outcome = self.change_blocked_hosts(|hosts| {
            let is_new = !hosts.contains_key(host);
            hosts.entry(host.to_owned()).or_insert(now);
            !is_new || hosts.len() <= MAX_BLOCKED_HOSTS
        });
        if outcome.await?.is_applied() { Ok(()) } else { Err(BlockHostError::TooMany) }
    }

    /// Blocks a host no longer. Whether it was blocked by itself.
    ///
    /// # Errors
    /// When others changed them at the same time, or DynamoDB fails.
    pub async fn unblock_host(&self, host: &str) -> Result<bool, UpstreamError> {
        Ok(self.change_blocked_hosts(|hosts| hosts.remove(host).is_some()).await?.is_applied())
    }

    /// Writes what `change` makes of the hosts; nothing if it says so.
    async fn change_blocked_hosts(
        &self,
        change: impl Fn(&mut BTreeMap<String, Timestamp>) -> bool,
    ) -> Result<UpdateOutcome, UpstreamError> {
        write_as_read(&self.dynamo, &self.blocked_hosts_key(), |update, item| {
            let stored = self.read_blocked_hosts(item)?;
            let mut hosts = stored.iter().map(|(host, since)| (host.to_owned(), since)).collect();
            if !change(&mut hosts) {
                return Ok::<_, UpstreamError>(None);
            }
            let hosts = hosts.into_iter().map(|(host, since)| (host, Value::from(since).0)).collect();
            Ok(Some(update.set("kind", BLOCKED_HOSTS).set("hosts", Value(AttributeValue::M(hosts)))))
        })
        .await
    }
}
