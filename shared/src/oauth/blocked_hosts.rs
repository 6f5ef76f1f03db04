//! The hosts that an operator blocked, each with all below it: no client that is answered there or described there counts.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::oauth::client::{Client, ClientId, ClientKind};

/// Blocked hosts, and since when each is.
#[derive(Clone, Debug, Default)]
pub struct BlockedHosts(BTreeMap<String, Timestamp>);

impl BlockedHosts {
    /// From hosts and times.
    #[must_use]
    pub const fn new(hosts: BTreeMap<String, Timestamp>) -> Self {
        Self(hosts)
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.0.iter().map(|(host, since)| (host.as_str(), *since))
    }

    /// Whether that very host is blocked.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        self.0.contains_key(host)
    }

    /// Since when `host` is blocked, by itself or by one above it; `None` if it is not.
    #[must_use]
    pub fn since(&self, host: &str) -> Option<Timestamp> {
        self.0.iter().filter(|(blocked, _)| covers(blocked, host)).map(|(_, since)| *since).min()
    }

    /// Since when the client is blocked: one of its redirect addresses lies on a blocked host, or its metadata document does. It may
    /// call itself as it likes.
    #[must_use]
    pub fn since_of_client(&self, client: &Client) -> Option<Timestamp> {
        let redirect_hosts = client.redirect_uris.iter().filter_map(|uri| self.since(&uri.host()));
        redirect_hosts.chain(self.since_of_document(&client.id)).min()
    }

    /// The client as it counts while these hosts are blocked.
    #[must_use]
    pub fn apply(&self, client: Client) -> Client {
        match (&client.kind, self.since_of_client(&client)) {
            (ClientKind::Blocked { .. }, _) | (_, None) => client,
            (_, Some(since)) => Client { kind: ClientKind::Blocked { since }, ..client },
        }
    }

    /// Since when the host of the metadata document is blocked that `id` is the address of.
    #[must_use]
    pub fn since_of_document(&self, id: &ClientId) -> Option<Timestamp> {
        self.since(&id.metadata_document_host()?)
    }
}

/// Whether blocking `host` blocks `other`: the same host, or one below it. Earlier versions took addresses whose host ends in a dot.
#[must_use]
pub fn covers(host: &str, other: &str) -> bool {
    other.trim_end_matches('.').strip_suffix(host).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_blocked_with_all_below_it() {
        for (host, other, covered) in [
            ("evil.example", "evil.example", true),
            ("evil.example", "evil.example.", true),
            ("evil.example", "a.evil.example", true),
            ("evil.example", "a.b.evil.example", true),
            ("evil.example", "notevil.example", false),
            ("evil.example", "evil.example.com", false),
            ("a.evil.example", "evil.example", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "2.192.0.2", false),
        ] {
            assert_eq!(covers(host, other), covered, "{host} {other}");
        }
    }
}
