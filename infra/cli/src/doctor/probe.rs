//! Asks as Claude asks: no redirect is followed, an answer is waited for as long as Claude waits, and nothing is kept between two
//! requests.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Version};
use serde_json::{Map, Value};
use supabase_users::is_loopback;
use url::Url;

use super::finding::Check;

/// How long Claude waits for discovery, registration and tokens.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// As Claude calls itself when it looks at a server.
const AGENT: &str = "Claude-User (amble doctor)";

/// A way to a deployment, and how long its answers took.
pub(crate) struct Probe {
    client: Client,
    took: RefCell<Vec<(String, Duration)>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct ProbeResponse {
    /// What was asked, for whoever reads of it.
    pub(crate) what: String,
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) body: String,
    headers: HeaderMap,
}

/// What is asked.
pub(crate) struct ProbeRequest<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<String>,
}

impl Probe {
    pub(crate) fn new(url: &Url) -> Result<Self, reqwest::Error> {
        // Fails only when it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT).user_agent(AGENT);
        // What is on this machine is not asked for through a proxy.
        let client = if is_loopback(url) { client.no_proxy() } else { client };
        Ok(Self { client: client.build()?, took: RefCell::default() })
    }

    /// Asks; an answer that does not come is a finding.
    pub(crate) async fn send(&self, check: &mut Check, request: ProbeRequest<'_>) -> Option<ProbeResponse> {
        match self.try_send(request).await {
            Ok(response) => Some(response),
            Err(reason) => {
                check.broken(
                    "no_answer",
                    reason,
                    "Claude cannot connect: it waits ten seconds for an answer and then gives up.",
                    "Look whether the address leads to the deployment, and at the function's log for that time.",
                );
                None
            }
        }
    }

    /// Asks; what was asked, and why no answer came.
    pub(crate) async fn try_send(&self, request: ProbeRequest<'_>) -> Result<ProbeResponse, String> {
        let ProbeRequest { method, url, headers, body } = request;
        let what = format!("{method} {url}");
        let request = headers
            .iter()
            .fold(self.client.request(method, url), |request, (name, value)| request.header(*name, *value));
        let begun = Instant::now();
        let response = async {
            let response = request.body(body.unwrap_or_default()).send().await?;
            let (status, version, headers) =
                (response.status().as_u16(), response.version(), response.headers().clone());
            let body = response.text().await?;
            Ok::<_, reqwest::Error>(ProbeResponse { what: what.clone(), status, version, body, headers })
        };
        match response.await {
            Ok(response) => {
                self.took.borrow_mut().push((what, begun.elapsed()));
                Ok(response)
            }
            Err(error) => Err(format!("{what}: {}", reason(&error))),
        }
    }

    pub(crate) async fn get(&self, check: &mut Check, url: &str) -> Option<ProbeResponse> {
        self.send(check, ProbeRequest { method: Method::GET, url, headers: &[], body: None }).await
    }

    pub(crate) async fn post_form(
        &self,
        check: &mut Check,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Option<ProbeResponse> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(check, ProbeRequest { method: Method::POST, url, headers: &headers, body: Some(body) }).await
    }

    /// How long answers took, the slowest last.
    pub(crate) fn took(&self) -> Vec<(String, Duration)> {
        let mut took = self.took.borrow().clone();
        took.sort_by_key(|(_, took)| *took);
        took
    }
}

impl ProbeResponse {
    /// The value of a header; those that cannot be read are not there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn cookies(&self) -> impl Iterator<Item = &str> {
        self.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok())
    }

    pub(crate) fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status)
    }

    /// Whether it says that it is of that media type.
    pub(crate) fn is_of_type(&self, essence: &str) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(essence)
    }

    /// The body, if it says that it is JSON and is an object.
    pub(crate) fn object(&self) -> Option<Map<String, Value>> {
        if !self.is_of_type("application/json") {
            return None;
        }
        serde_json::from_str(&self.body).ok()
    }

    /// What it is, for whoever reads that it is not what it should be.
    pub(crate) fn summary(&self) -> String {
        let kind = self.header("content-type").unwrap_or("no content type");
        let location = self.header("location").map_or_else(String::new, |location| format!(" to {location}"));
        format!("{} answers {}{location} ({kind})", self.what, self.status)
    }

    pub(crate) fn is_kept_from_caches(&self) -> bool {
        self.header("cache-control").is_some_and(|value| value.to_ascii_lowercase().contains("no-store"))
    }
}

/// The innermost of the reasons says most.
fn reason(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    if error.is_timeout() { "no answer within ten seconds".to_owned() } else { reason.to_string() }
}
