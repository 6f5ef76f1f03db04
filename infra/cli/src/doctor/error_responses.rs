//! Error responses: Claude does something else after each kind.

use super::documents::Documents;
use super::finding::Check;
use super::probe::{Probe, ProbeResponse};
use super::registration::CALLBACK;
use super::target::Target;
use url::Url;

/// A client that nobody can have registered.
const NOBODY: &str = "c_amble-doctor-knows-nobody-of-this-name";
const PKCE: [(&str, &str); 2] =
    [("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("code_challenge_method", "S256")];

const AUTHORIZE: &str = "Serve it with the function authorize, and lead nothing else to this path.";
const TOKEN: &str = "Serve it with the function token, and let its answers through unchanged.";

/// The authorization endpoint: errors are pages until the client and its address are known.
pub(crate) async fn authorize(probe: &Probe, target: &Target, documents: &Documents, client: Option<&str>) -> Check {
    let mut check = Check::new("authorize");
    let mut cases = vec![(NOBODY, CALLBACK, "an unknown client")];
    cases.extend(
        client.map(|client| (client, "https://amble-doctor.invalid/callback", "an address that was not registered")),
    );
    for (client, address, what) in cases {
        let url = request(target, documents, client, address);
        let Some(response) = probe.get(&mut check, &url).await else { continue };
        if response.is_redirect() {
            check.broken(
                "redirects_strangers",
                format!(
                    "{what} is answered {} with a redirect to {}",
                    response.status,
                    origin(response.header("location").unwrap_or_default())
                ),
                "People and codes could be sent wherever somebody wants (OAuth 2.1 §4.1.2.1).",
                AUTHORIZE,
            );
        } else if !(400..500).contains(&response.status) || !response.is_of_type("text/html") {
            let short = format!(
                "{what} is answered {} ({})",
                response.status,
                response.header("content-type").unwrap_or("no content type")
            );
            check.broken(
                "no_page_for_people",
                short,
                "People whose application is not known see something that they cannot read.",
                AUTHORIZE,
            );
        } else {
            check_framing(&mut check, &response);
        }
    }
    if let Some(client) = client {
        let Some(response) = probe.get(&mut check, &request(target, documents, client, CALLBACK)).await else {
            return check;
        };
        match response.status {
            302 | 303 => check.observed(format!(
                "people are sent to sign in at {}",
                origin(response.header("location").unwrap_or_default())
            )),
            307 | 308 => check.broken(
                "repeats_forms",
                format!("people are sent on with {}", response.status),
                "Browsers repeat forms after it, with passwords; and Claude's callback takes only GET.",
                AUTHORIZE,
            ),
            _ => check.broken(
                "no_sign_in",
                format!(
                    "a good request is answered {} ({})",
                    response.status,
                    response.header("content-type").unwrap_or("no content type")
                ),
                "People cannot sign in, so that nobody can connect.",
                AUTHORIZE,
            ),
        }
    }
    check
}

/// The token and revocation endpoints: `invalid_client` makes Claude register again, `invalid_grant` makes it ask the person again.
pub(crate) async fn tokens(probe: &Probe, documents: &Documents, client: Option<&str>) -> Check {
    let mut check = Check::new("tokens");
    let code = format!("ac_{}", "A".repeat(64));
    let refresh = format!("rt_{}", "A".repeat(64));
    let verifier = "A".repeat(43);
    let exchange = |client| {
        [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("client_id", client),
            ("code_verifier", verifier.as_str()),
        ]
    };
    if let Some(response) = probe.post_form(&mut check, &documents.token, &exchange(NOBODY)).await {
        expect_error(&mut check, &response, "an unknown client", 401, "invalid_client");
    }
    let Some(client) = client else {
        check.skip("the rest needs a registered client");
        return check;
    };
    if let Some(response) = probe.post_form(&mut check, &documents.token, &exchange(client)).await {
        expect_error(&mut check, &response, "a code that is none", 400, "invalid_grant");
    }
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("client_id", client)];
    if let Some(response) = probe.post_form(&mut check, &documents.token, &fields).await {
        expect_error(&mut check, &response, "a refresh token that is none", 400, "invalid_grant");
    }
    let fields = [("token", refresh.as_str()), ("client_id", client)];
    if let Some(response) = probe.post_form(&mut check, &documents.revoke, &fields).await
        && response.status != 200
    {
        check.broken(
            "revocation_refused",
            format!("a token that is none is answered {} when it is revoked", response.status),
            "Clients that disconnect take it for a failure (RFC 7009 §2.2).",
            "Serve it with the function revoke, and let its answers through unchanged.",
        );
    }
    if check.is_well() {
        check.observed("invalid_client with 401, invalid_grant with 400");
    }
    check
}

fn expect_error(check: &mut Check, response: &ProbeResponse, what: &str, status: u16, error: &str) {
    let answer = response.object();
    let named = answer.as_ref().and_then(|answer| answer.get("error")?.as_str());
    if (response.status, named) == (status, Some(error)) {
        if !response.is_kept_from_caches() {
            check.broken(
                "token_cached",
                format!(
                    "answers of {} may be kept: {}",
                    response.what,
                    response.header("cache-control").unwrap_or("no Cache-Control")
                ),
                "A cache could give one client the tokens of another (OAuth 2.1 §3.2.3).",
                "Have caches leave the endpoint alone, and let Cache-Control: no-store through.",
            );
        }
        return;
    }
    let seen = format!(
        "{what} is answered {} {}, not {status} {error}",
        response.status,
        named.unwrap_or("without an error that can be read")
    );
    let (code, breaks) = match (response.status, error) {
        (500.., _) => ("token_failing", "Claude tries again and again, and nobody is asked to connect anew."),
        (_, "invalid_client") => {
            ("invalid_client_unsaid", "Claude does not register again after its client is gone: it stays disconnected.")
        }
        _ => (
            "invalid_grant_unsaid",
            "Claude does not ask the person again after a connection has ended: it stays disconnected.",
        ),
    };
    check.broken(code, seen, breaks, TOKEN);
}

fn check_framing(check: &mut Check, response: &ProbeResponse) {
    let policy = response.header("content-security-policy").unwrap_or_default();
    if !policy.contains("frame-ancestors") && response.header("x-frame-options").is_none() {
        check.broken(
            "framable",
            format!("{} may be shown inside another page", response.what.split('?').next().unwrap_or_default()),
            "People could be made to approve without seeing it.",
            "Let Content-Security-Policy and X-Frame-Options through unchanged.",
        );
    }
}

fn request(target: &Target, documents: &Documents, client: &str, address: &str) -> String {
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", address),
        ("state", "amble-doctor"),
        ("resource", target.url.as_str()),
    ];
    parameters.extend(PKCE);
    Url::parse_with_params(&documents.authorize, parameters).map_or_else(|_| documents.authorize.clone(), String::from)
}

/// Where an address leads, without what it carries.
fn origin(address: &str) -> String {
    match Url::parse(address) {
        Ok(url) => url.origin().ascii_serialization(),
        Err(_) => address.split('?').next().unwrap_or_default().to_owned(),
    }
}
