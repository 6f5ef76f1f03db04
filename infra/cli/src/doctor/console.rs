//! The console, where people find it (`AdminPath`): the proxy in front leads there, or another product's page is in its place.

use url::Url;

use super::finding::Check;
use super::probe::Probe;

/// It sends whoever is not signed in to the sign-in page, from which they come back to it.
pub(crate) async fn check(probe: &Probe, issuer_origin: String, admin_path: &str) -> Check {
    let mut check = Check::new("console");
    let address = format!("{issuer_origin}{admin_path}");
    let Some(response) = probe.get(&mut check, &address).await else { return check };
    let sign_in = response.header("location").and_then(|location| Url::parse(&address).ok()?.join(location).ok());
    let comes_back = |url: &Url| {
        let next = url.query_pairs().find(|(name, _)| name == "next").map(|(_, next)| next.into_owned());
        next.is_some_and(|next| next == admin_path || next == address)
    };
    match sign_in.filter(|_| response.is_redirect()).filter(comes_back) {
        Some(sign_in) => check.observed(format!("{admin_path}, behind the sign-in page at {}", sign_in.path())),
        None => check.broken(
            "console_elsewhere",
            response.summary(),
            "People do not find their connections, and nobody ends one: every link of ours leads to this page.",
            "Have the proxy in front pass AdminPath and what is below it on to /admin of the API (docs/placing.md).",
        ),
    }
    check
}
