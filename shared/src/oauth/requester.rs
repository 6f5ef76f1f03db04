//! Who refreshed, as far as it can be compared later: the network that they came from, and the product that their user agent names.
//! The table has digests of both, by a key that is in no table, and the audit those of networks.

use std::net::IpAddr;

use crate::oauth::refresh_token::RefreshTokenKey;
use crate::oauth::secret::to_text;

/// Digests of a network and of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    network: NetworkDigest,
    product: [u8; 8],
}

/// A digest of a network: of 256 IPv4 addresses, or of an IPv6 site (RFC 6177 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkDigest([u8; 8]);

impl Requester {
    /// Whoever asks from `address` by `user_agent`. Nothing if it names no product (RFC 9110 §10.1.5).
    #[must_use]
    pub fn new(address: IpAddr, user_agent: &str, key: &RefreshTokenKey) -> Option<Self> {
        let product = user_agent.split(['/', ' ']).next().filter(|product| !product.is_empty())?;
        let network = match address.to_canonical() {
            IpAddr::V4(address) => (u128::from(address.to_bits()) >> 8).to_be_bytes(),
            IpAddr::V6(address) => (address.to_bits() >> 80 << 80).to_be_bytes(),
        };
        let digest = |kind: &str, value: &[u8]| key.digest(kind, value);
        Some(Self {
            network: NetworkDigest(digest("network", &network)),
            product: digest("product", product.as_bytes()),
        })
    }

    /// From the table.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (network, product) = bytes.split_first_chunk::<8>()?;
        Some(Self { network: NetworkDigest(*network), product: product.try_into().ok()? })
    }

    /// For the table.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (network, product) = bytes.split_at_mut(8);
        network.copy_from_slice(&self.network.0);
        product.copy_from_slice(&self.product);
        bytes
    }

    /// Where they came from.
    #[must_use]
    pub const fn network(self) -> NetworkDigest {
        self.network
    }
}

impl NetworkDigest {
    /// From the table.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// For the table.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// For the audit.
    #[must_use]
    pub fn to_text(self) -> String {
        to_text(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::secret::Secret;

    #[test]
    fn requester_is_a_network_and_a_product() {
        let key = RefreshTokenKey::new(Secret::from_bytes([1; 32]));
        let of = |address: &str, agent: &str| Requester::new(address.parse().unwrap(), agent, &key);
        let one = of("198.51.100.7", "python-httpx/0.28.1").unwrap();

        for (address, agent) in [
            ("198.51.100.200", "python-httpx/0.28.1"),
            ("198.51.100.7", "python-httpx/0.29 (linux)"),
            ("::ffff:198.51.100.9", "python-httpx"),
        ] {
            assert_eq!(of(address, agent), Some(one), "{address} {agent}");
        }
        assert_ne!(of("198.51.101.7", "python-httpx/0.28.1").unwrap().network(), one.network());
        let another = of("198.51.100.7", "Bun/1.3").unwrap();
        assert!(another != one && another.network() == one.network());
        assert_eq!(of("2001:db8:1:2::1", "Bun/1"), of("2001:db8:1:ffff::9", "Bun/1"));
        assert_ne!(of("2001:db8:1::1", "Bun/1"), of("2001:db8:2::1", "Bun/1"));
        assert_eq!(of("198.51.100.7", ""), None);
        assert_eq!(Requester::from_bytes(&one.to_bytes()), Some(one));
        let elsewhere = RefreshTokenKey::new(Secret::from_bytes([2; 32]));
        assert_ne!(Requester::new("198.51.100.7".parse().unwrap(), "python-httpx/0.28.1", &elsewhere), Some(one));
    }
}
