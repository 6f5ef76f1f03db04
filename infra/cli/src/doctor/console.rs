//! The console and the sign-in page, where people find them (`AdminPath`, `AuthPath`): the proxy in front leads there, or another
//! product's page is in their place.

use url::Url;

use super::finding::Check;
use super::probe::Probe;

/// What each form of our own pages has, and no page of another product's.
const OF_OUR_FORMS: &str = "name=\"confirmation\"";

/// It sends whoever is not signed in to the sign-in page, from which they come back to it. That is looked at where it is ours.
pub(crate) async fn check(probe: &Probe, issuer_origin: String, admin_path: &str, hosts_login: bool) -> Check {
    let mut check = Check::new("console");
    let address = format!("{issuer_origin}{admin_path}");
    let Some(response) = probe.get(&mut check, &address).await else { return check };
    let sign_in = response.header("location").and_then(|location| Url::parse(&address).ok()?.join(location).ok());
    let comes_back = |url: &Url| {
        let next = url.query_pairs().find(|(name, _)| name == "next").map(|(_, next)| next.into_owned());
        next.is_some_and(|next| next == admin_path || next == address)
    };
    let Some(sign_in) = sign_in.filter(|_| response.is_redirect()).filter(comes_back) else {
        check.broken(
            "console_elsewhere",
            response.summary(),
            "People do not find their connections, and nobody ends one: every link of ours leads to this page.",
            "Have the proxy in front pass AdminPath and what is below it on to /admin of the API (docs/placing.md).",
        );
        return check;
    };
    check.observed(format!("{admin_path}, behind the sign-in page at {}", sign_in.path()));
    if hosts_login
        && let Some(page) = probe.get(&mut check, sign_in.as_str()).await
        && !(page.status == 200 && page.body.contains(OF_OUR_FORMS))
    {
        check.broken(
            "sign_in_elsewhere",
            page.summary(),
            "Nobody can sign in, so nobody can approve a connection.",
            "Have the proxy in front pass what is below AuthPath on to /auth of the API (docs/placing.md).",
        );
    }
    check
}
