//! The whole black box on a host whose every other path is another product's, which has `/admin` and `/auth` itself: `PLACEMENT`.
//!
//! | value | what is in front |
//! | --- | --- |
//! | `moved` | nothing: the gateway has the console and the sign-in page elsewhere |
//! | `nginx` | nginx, one for each system, as `docs/placing.md` configures it |
//! | `next` | a Next.js application with the rewrites of `docs/placing.md`, one for all systems; `tests/run` starts it |
//!
//! Tests say `/admin` and `/auth`, as they do without. What is sent is written as that host has it, and what comes back is read as the
//! tests say it. An answer of ours that leads to the product's own `/admin` or `/auth` ends its test.

mod next;
pub mod nginx;

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};

use local::{Options, front};
use reqwest::{Method, RequestBuilder};
use shared::http::public_paths::PublicPaths;

use crate::edge_digest;
use crate::tunnel::Tunnel;
use nginx::Nginx;

/// Where the console and the sign-in page are.
const ADMIN: &str = "/connect/admin";
const AUTH: &str = "/connect/auth";

/// What whoever runs the tests wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placement {
    Moved,
    Nginx,
    Next,
}

static PLACEMENT: LazyLock<Option<Placement>> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "it is of whoever runs the tests")]
    let placement = std::env::var("PLACEMENT").ok()?;
    Some(match placement.as_str() {
        "" => return None,
        "moved" => Placement::Moved,
        "nginx" => Placement::Nginx,
        "next" => Placement::Next,
        other => panic!("PLACEMENT={other}: moved, nginx or next"),
    })
});

/// Where the systems are that are where their tests want them, whatever `PLACEMENT` says.
static UNPLACED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// What is in front of one system.
pub(crate) enum Front {
    /// Nothing, or what a test has put there itself.
    Nothing,
    /// Nothing, but the paths are moved.
    Moved,
    Nginx(Nginx),
    Next,
    /// What shows it on the internet, as the test wants it.
    Tunnel(Tunnel),
}

impl Front {
    /// Of a system with these options, which learn of it. A test that says itself where its system is has it there.
    pub(crate) fn of(options: &mut Options) -> Self {
        let own = ["Issuer", "ResourceUrl", "AdminPath", "AuthPath"];
        match &options.front {
            front::Front::Tunnel(url) => return Self::Tunnel(Tunnel::open(url.host())),
            front::Front::Proxy(_) => return Self::Nothing,
            front::Front::Nothing if own.into_iter().any(|name| options.parameters.contains_key(name)) => {
                return Self::Nothing;
            }
            front::Front::Nothing => {}
        }
        let Some(placement) = *PLACEMENT else { return Self::Nothing };
        for (name, path) in [("AdminPath", ADMIN), ("AuthPath", AUTH)] {
            options.parameters.insert(name.to_owned(), path.to_owned());
        }
        // A test that sets who says where a request comes from, or who proves what, does that itself in place of a proxy.
        let of_proxy = ["ClientAddress", "EdgeSecretDigests"];
        let speaks_for_proxy = of_proxy.into_iter().any(|name| options.parameters.contains_key(name));
        let (front, origin, client_address) = match placement {
            Placement::Moved => return Self::Moved,
            _ if speaks_for_proxy => return Self::Moved,
            Placement::Nginx => {
                let nginx = Nginx::reserve();
                let origin = nginx.origin();
                options.parameters.insert("EdgeSecretDigests".to_owned(), edge_digest(nginx::SECRET));
                (Self::Nginx(nginx), origin, "forwarded")
            }
            Placement::Next => (Self::Next, next::origin(), "unknown"),
        };
        options.front = front::Front::Proxy(origin);
        options.parameters.insert("ClientAddress".to_owned(), client_address.to_owned());
        front
    }

    /// It leads to the system at `address` from now on.
    pub(crate) async fn lead_to(&mut self, address: &str) {
        match self {
            Self::Nothing | Self::Moved => {}
            Self::Nginx(nginx) => nginx.start(address),
            Self::Next => next::dispatch().await,
            Self::Tunnel(tunnel) => tunnel.lead_to(address),
        }
    }

    /// A client that reaches what is in front.
    pub(crate) fn client(&self) -> reqwest::Client {
        match self {
            Self::Tunnel(tunnel) => tunnel.client(),
            _ => client_builder().build().expect("a client"),
        }
    }

    /// Whether the console and the sign-in page are elsewhere.
    const fn moves_paths(&self) -> bool {
        matches!(self, Self::Moved | Self::Nginx(_) | Self::Next)
    }
}

/// Sends requests to one system, by what is in front of it.
#[derive(Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    /// The origin of the system, if its paths are moved.
    moved_at: Option<String>,
    /// By which Next.js's destination knows the system: the port of its gateway.
    system: Option<String>,
}

impl HttpClient {
    /// To the system at `address`, which is reached at `origin`.
    pub(crate) fn new(front: &Front, origin: &str, address: &str) -> Self {
        let moved_at = front.moves_paths().then(|| origin.to_owned());
        if moved_at.is_none() && PLACEMENT.is_some() {
            UNPLACED.lock().expect("unpoisoned").extend([origin, address].map(str::to_owned));
        }
        let system = matches!(front, Front::Next).then(|| port(address).to_owned());
        Self { client: front.client(), moved_at, system }
    }

    /// GET.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// POST.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Any method.
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        let request = self.client.request(method, self.placed(url.as_ref()));
        match &self.system {
            Some(system) => request.header(next::SYSTEM, system),
            None => request,
        }
    }

    /// The client itself, for others than the system.
    #[must_use]
    pub const fn inner(&self) -> &reqwest::Client {
        &self.client
    }

    /// An address as the host has it.
    pub(crate) fn placed(&self, url: &str) -> String {
        let rest = self.moved_at.as_deref().and_then(|origin| Some((origin, url.strip_prefix(origin)?)));
        let Some((origin, rest)) = rest else { return url.to_owned() };
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let path = paths().of(path).into_owned();
        match query {
            Some(query) => format!("{origin}{path}?{}", moved_next(query)),
            None => format!("{origin}{path}"),
        }
    }

    /// The body of a form as a page of that host sends it.
    pub(crate) fn placed_form(&self, body: String) -> String {
        if self.moved_at.is_some() { moved_next(&body) } else { body }
    }
}

/// A query whose `next` leads to the console or the sign-in page.
fn moved_next(query: &str) -> String {
    let mut query = query.to_owned();
    for (of_api, public) in [(PublicPaths::ADMIN, ADMIN), (PublicPaths::AUTH, AUTH)] {
        for slash in ["/", "%2F"] {
            let [of_api, public] = [of_api, public].map(|path| format!("next={}", path.replace('/', slash)));
            query = query.replace(&of_api, &public);
        }
    }
    query
}

/// What came back from `url`, as the tests say it.
///
/// # Panics
/// When it leads to the product's own console or sign-in page.
pub(crate) fn as_tests_say(text: &str, origin: &str, leads: bool) -> String {
    if PLACEMENT.is_none() || UNPLACED.lock().expect("unpoisoned").contains(origin) {
        return text.to_owned();
    }
    if leads {
        for of_product in ["/admin", "/auth/log", "/auth/callback"] {
            let (relative, absolute) = (format!("\"{of_product}"), format!("{origin}{of_product}"));
            let is_there = text.contains(&relative) || text.contains(&absolute) || text.starts_with(of_product);
            assert!(!is_there, "it leads to the product's own {of_product}: {text}");
        }
    }
    let mut text = text.to_owned();
    for (public, of_api) in [(ADMIN, PublicPaths::ADMIN), (AUTH, PublicPaths::AUTH)] {
        for slash in ["/", "%2F", "%252F"] {
            text = text.replace(&public.replace('/', slash), &of_api.replace('/', slash));
        }
    }
    text
}

/// A client that follows no redirect, and asks nobody on the way.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy()
}

fn paths() -> PublicPaths {
    PublicPaths::parse(ADMIN, AUTH).expect("paths")
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().expect("a port")
}
