//! Origins at which the local system may call tools although they are on its own machine or in its network.
//!
//! ```yaml
//! local:                                      # for `cargo run -- --workspace FILE` alone
//!   outbound_allow: [http://localhost:3000]
//! ```
//!
//! The functions know nothing of it: there it is the parameter `OutboundAllow`, whose pattern in `template.yaml` takes no name or
//! address of the own machine. CloudFormation checks that pattern and the local system does not, so no deployment can be given what
//! stands here. `amble apply` leaves it alone.

use std::fmt;

use shared::outbound::origin;

use crate::reader::{Entry, Reader};
use crate::yaml::{Node, Value};

/// `http://localhost:3000`: scheme, host and port, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin(String);

impl AllowedOrigin {
    /// An origin of http or https, with or without a slash at its end. A comma separates them in the parameter, so none is in one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        origin(text.strip_suffix('/').unwrap_or(text)).filter(|origin| !origin.contains(',')).map(Self)
    }

    /// As the guard compares it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The origins under `local`.
pub(crate) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<AllowedOrigin> {
    const KEY: &str = "outbound_allow";

    if matches!(node.value, Value::Null) {
        return Vec::new();
    }
    let entry = Entry { name: "local", subject: "the local system".to_owned(), location: node.location, node };
    let Some(fields) = reader.fields(&entry, &[KEY]) else { return Vec::new() };
    let nodes = match fields.optional(KEY).map(|node| (node, &node.value)) {
        None | Some((_, Value::Null)) => &[],
        Some((_, Value::List(nodes))) => nodes.as_slice(),
        Some((node, _)) => {
            let what = format!("`{KEY}` must be a list of origins, not {}", node.kind());
            reader.report(node.location, &entry.subject, what);
            &[]
        }
    };
    let mut origins = Vec::new();
    for node in nodes {
        let Value::Text(text) = &node.value else {
            reader.report(node.location, &entry.subject, format!("an origin must be text, not {}", node.kind()));
            continue;
        };
        if let Some(origin) = AllowedOrigin::parse(text) {
            origins.push(origin);
        } else {
            let what =
                format!("`{text}` is no origin: http or https, a host and a port, such as http://localhost:3000");
            reader.report(node.location, &entry.subject, what);
        }
    }
    origins
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_origin_is_an_origin_and_nothing_else() {
        for (text, origin) in [
            ("http://localhost:3000", "http://localhost:3000"),
            ("HTTP://LocalHost:80/", "http://localhost"),
            ("https://192.168.1.5:8443", "https://192.168.1.5:8443"),
            ("http://[::1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(AllowedOrigin::parse(text).unwrap().as_str(), origin, "{text}");
        }
        for text in [
            "",
            "*",
            "localhost:3000",
            "http://localhost:3000/tools",
            "http://localhost:3000?x",
            "http://me@localhost:3000",
            "ftp://localhost",
            "http://a,b",
        ] {
            assert_eq!(AllowedOrigin::parse(text), None, "{text}");
        }
    }
}
