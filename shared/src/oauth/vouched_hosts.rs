//! The hosts that a deployment vouches for: a client all of whose redirect addresses lie there can pass a code on to nobody else.
//!
//! What a client calls itself proves nothing, and neither does a document at an address of its own. Where its codes go does.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::oauth::client::{Client, ClientKind};
use crate::oauth::client_name;
use crate::oauth::redirect_uri::RedirectUri;

/// The hosts of redirect addresses that are vouched for.
#[derive(Clone, Debug)]
pub struct VouchedHosts {
    hosts: Vec<String>,
}

/// A widely used client.
struct KnownClient {
    name: &'static str,
    /// The hosts where it is answered, besides loopback.
    hosts: &'static [&'static str],
}

/// The clients whose documents are pinned, by the names that people know them by.
const KNOWN: [KnownClient; 6] = [
    KnownClient { name: "Claude", hosts: &["claude.ai", "claude.com"] },
    KnownClient { name: "Claude Code", hosts: &["claude.ai", "claude.com"] },
    KnownClient { name: "ChatGPT", hosts: &["chatgpt.com"] },
    KnownClient { name: "Codex", hosts: &["chatgpt.com"] },
    KnownClient { name: "Visual Studio Code", hosts: &["vscode.dev"] },
    KnownClient { name: "Visual Studio Code - Insiders", hosts: &["insiders.vscode.dev"] },
];

/// Pages that send whoever comes on to another address, with the code: host, and first segment of the path.
const PASSING_ON: [(&str, &str); 2] = [("vscode.dev", "redirect"), ("insiders.vscode.dev", "redirect")];

/// A client that a deployment vouches for.
#[derive(Clone, Copy)]
pub struct VouchedClient<'c>(&'c Client);

impl VouchedHosts {
    /// The hosts of the pinned documents, for a deployment that lists none.
    pub const DEFAULT: [&str; 3] = ["claude.ai", "chatgpt.com", "vscode.dev"];

    /// From hosts in lower case, separated by commas. None if one of them is no host, or leads to the person's own machine.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hosts: Vec<_> = text.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect();
        hosts.iter().all(|host| is_plain(host) && !is_loopback(host)).then_some(Self { hosts })
    }

    /// Whether the deployment lists `host`.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        self.hosts.iter().any(|listed| listed == host)
    }

    /// In the order of the setting.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }

    /// Whether every redirect address of the client lies on a listed host. It does not matter how the client became known. Loopback
    /// never counts, as any program listens there, and neither does a page that passes codes on.
    #[must_use]
    pub fn is_vouched_for(&self, client: &Client) -> bool {
        self.vouch_for(client).is_some()
    }

    /// The client, if it [is vouched for](Self::is_vouched_for).
    #[must_use]
    pub fn vouch_for<'c>(&self, client: &'c Client) -> Option<VouchedClient<'c>> {
        let is_blocked = matches!(client.kind, ClientKind::Blocked { .. });
        let is_covered = !client.redirect_uris.is_empty() && client.redirect_uris.iter().all(|uri| self.covers(uri));
        (!is_blocked && is_covered).then_some(VouchedClient(client))
    }

    fn covers(&self, redirect_uri: &RedirectUri) -> bool {
        let Ok(url) = Url::parse(redirect_uri.as_str()) else { return false };
        let Some(host) = url.host_str() else { return false };
        // How a server reads an encoded path, a parameter of a segment, or a query, only that server knows: the address of a client
        // that is vouched for needs none.
        let is_plain = url.query().is_none() && !url.path().contains(['%', ';', '\\']);
        !redirect_uri.is_loopback() && url.port().is_none() && is_plain && self.contains(host) && !passes_on(&url)
    }

    /// The widely used client that this one takes the name of, although it is answered at another host. On loopback a name says
    /// nothing, and the name of a client with a secret is the operator's.
    #[must_use]
    pub fn impersonated_by(&self, client: &Client, redirect_uri: &RedirectUri) -> Option<&'static str> {
        if redirect_uri.is_loopback() || client.is_added_by_operator() {
            return None;
        }
        let known = known(client.name.as_deref()?)?;
        let host = redirect_uri.host();
        let is_of = |known: &KnownClient| known.hosts.contains(&host.as_str());
        // A host that the deployment lists by itself may be where its own people are answered.
        let is_own = self.contains(&host) && !KNOWN.iter().any(is_of);
        (!is_of(known) && !is_own).then_some(known.name)
    }
}

impl Default for VouchedHosts {
    fn default() -> Self {
        Self { hosts: Self::DEFAULT.map(str::to_owned).to_vec() }
    }
}

impl VouchedClient<'_> {
    /// The name by which it is known: that of the widely used client that it names itself after, if that one is answered at the host of
    /// `redirect_uri`. Any other name is its own word: whoever may choose an address on a listed host, such as the server of a
    /// connector, registers with it under any name.
    #[must_use]
    pub fn known_name(&self, redirect_uri: &RedirectUri) -> Option<&'static str> {
        let known = known(self.0.name.as_deref()?)?;
        known.hosts.contains(&redirect_uri.host().as_str()).then_some(known.name)
    }
}

fn known(name: &str) -> Option<&'static KnownClient> {
    let folded = client_name::fold(name);
    KNOWN.iter().find(|known| client_name::fold(known.name) == folded)
}

/// Whether `host` is written as the URL standard writes it.
fn is_plain(host: &str) -> bool {
    let written = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'[' | b']' | b':')
    };
    host.bytes().all(written)
        && !host.ends_with('.')
        && Host::parse(host).is_ok_and(|parsed| parsed.to_string() == *host)
}

/// Whether `host` leads to the person's own machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}

fn passes_on(url: &Url) -> bool {
    let decoded = percent_decode_str(url.path()).decode_utf8_lossy().to_ascii_lowercase();
    let first = decoded.split(['/', '\\']).find(|segment| !segment.is_empty() && *segment != ".");
    PASSING_ON.iter().any(|(host, page)| url.host_str() == Some(host) && first == Some(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::oauth::client::ClientId;

    fn client(name: &str, redirect_uris: &[&str]) -> Client {
        Client {
            id: ClientId::parse("c_any").unwrap(),
            name: Some(name.to_owned()),
            redirect_uris: redirect_uris.iter().map(|uri| RedirectUri::parse(uri).unwrap()).collect(),
            refreshes: true,
            kind: ClientKind::Registered { expires: Timestamp::from_seconds(0) },
        }
    }

    #[test]
    fn client_is_vouched_for_when_every_redirect_uri_is() {
        const CLAUDE: &str = "https://claude.ai/api/mcp/auth_callback";
        let hosts = VouchedHosts::parse("claude.ai,vscode.dev,insiders.vscode.dev,apps.example.com").unwrap();
        for (redirect_uris, vouched) in [
            (&[CLAUDE][..], true),
            (&[CLAUDE, "https://apps.example.com/cb"], true),
            (&["https://apps.example.com/cb?x=1"], false),
            (&["https://vscode.dev/other"], true),
            (&["https://vscode.dev/redirector"], true),
            (&[], false),
            (&[CLAUDE, "https://evil.example/cb"], false),
            (&[CLAUDE, "http://localhost/callback"], false),
            (&["http://127.0.0.1/callback"], false),
            (&["https://a.claude.ai/cb"], false),
            (&["https://claude.ai.evil.example/cb"], false),
            (&["https://claude.ai:8443/cb"], false),
            (&["https://claude.ai/cb?next=https://evil.example"], false),
            (&["https://vscode.dev/redirect;x"], false),
            (&["https://vscode.dev/%2572edirect"], false),
            (&["https://vscode.dev/x%2f..%2fredirect"], false),
            (&["https://vscode.dev/redirect"], false),
            (&["https://vscode.dev/redirect?url=https://a.example"], false),
            (&["https://vscode.dev/redirect/x"], false),
            (&["https://vscode.dev//Redirect"], false),
            (&["https://vscode.dev/%72edirect"], false),
            (&["https://insiders.vscode.dev/redirect"], false),
        ] {
            assert_eq!(hosts.is_vouched_for(&client("Any", redirect_uris)), vouched, "{redirect_uris:?}");
        }
    }

    #[test]
    fn listed_hosts_are_hosts_beyond_the_own_machine() {
        for text in ["", "claude.ai", "claude.ai, apps.example.com", "192.0.2.1"] {
            assert!(VouchedHosts::parse(text).is_some(), "{text}");
        }
        for text in
            ["Claude.ai", "https://claude.ai", "claude.ai.", "claude.ai:443", "*.claude.ai", "localhost", "127.0.0.1"]
        {
            assert!(VouchedHosts::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn name_is_known_only_at_its_own_host() {
        const CLAUDE: &str = "https://claude.ai/api/mcp/auth_callback";
        const CHATGPT: &str = "https://chatgpt.com/connector_platform_oauth_redirect";
        let hosts = VouchedHosts::parse("claude.ai,chatgpt.com,apps.example.com").unwrap();
        for (name, redirect_uris, known) in [
            ("Claude", &[CLAUDE][..], Some("Claude")),
            ("claude CODE", &[CLAUDE], Some("Claude Code")),
            ("ChatGPT", &[CHATGPT], Some("ChatGPT")),
            ("Claude", &[CLAUDE, CHATGPT], Some("Claude")),
            ("Claude", &[CHATGPT, CLAUDE], None),
            ("ChatGPT", &[CLAUDE], None),
            ("Claude", &["https://apps.example.com/cb"], None),
            ("Claude", &[CLAUDE, "https://evil.example/cb"], None),
            ("Claude", &["https://claude.com/api/mcp/auth_callback"], None),
            ("Amble Security Update", &[CLAUDE], None),
        ] {
            let (client, redirect_uri) = (client(name, redirect_uris), RedirectUri::parse(redirect_uris[0]).unwrap());
            let shown = hosts.vouch_for(&client).and_then(|client| client.known_name(&redirect_uri));
            assert_eq!(shown, known, "{name} {redirect_uris:?}");
        }
    }

    #[test]
    fn known_name_at_another_host_is_an_impostor() {
        let hosts = VouchedHosts::parse("claude.ai,chatgpt.com,relay.example.com").unwrap();
        for (name, redirect_uri, impersonated) in [
            ("Claude", "https://claude.ai/api/mcp/auth_callback", None),
            ("Claude", "https://claude.com/api/mcp/auth_callback", None),
            ("Claude", "https://relay.example.com/cb", None),
            ("Claude", "http://localhost:5/cb", None),
            ("Acme", "https://evil.example/cb", None),
            ("Claudette", "https://evil.example/cb", None),
            ("Claude", "https://evil.example/cb", Some("Claude")),
            ("claude  code", "https://evil.example/cb", Some("Claude Code")),
            ("С\u{6c}аud\u{435}", "https://evil.example/cb", Some("Claude")),
            ("CIaude", "https://evil.example/cb", Some("Claude")),
            ("Ｃｌäｕｄｅ ✔", "https://evil.example/cb", Some("Claude")),
            ("ChatGPT", "https://claude.ai/api/mcp/auth_callback", Some("ChatGPT")),
            ("Chat-GPT", "https://chatgpt.com.evil.example/cb", Some("ChatGPT")),
        ] {
            let uri = RedirectUri::parse(redirect_uri).unwrap();
            let judged = hosts.impersonated_by(&client(name, &[redirect_uri]), &uri);
            assert_eq!(judged, impersonated, "{name} {redirect_uri}");
        }
    }
}
