//! How our pages look, and the content security policy that lets them look so and do nothing else.

use std::fmt::Write;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The one stylesheet. A page holds it as `<style>…</style>`, to the byte: [`policy`] names its digest.
pub const STYLE: &str = include_str!("style.css");

/// The policy of a page whose forms go to our own origin and, after a redirect, to the origins of `form_action`:
/// Chromium holds the redirect after a form to `form-action` too (w3c/webappsec-csp issue 8).
///
/// A source is an origin (`https://claude.ai`) or a scheme (`cursor:`).
#[must_use]
pub fn policy(form_action: &[&str]) -> String {
    let mut policy = policy_leading_anywhere();
    policy.push_str("; form-action 'self'");
    for source in form_action {
        let source = expressible(source);
        // What could end the directive is not a source: a policy must not be written by a client.
        if !source.is_empty() && source.bytes().all(|b| b.is_ascii_alphanumeric() || b":/.-+_".contains(&b)) {
            let _ = write!(policy, " {source}");
        }
    }
    policy
}

/// The policy of a page whose form leads to an application that may send the browser on, who knows where: with any
/// `form-action`, Chromium would stop it there, after the person has approved.
#[must_use]
pub fn policy_leading_anywhere() -> String {
    format!("default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; frame-ancestors 'none'", *DIGEST)
}

/// CSP3 §2.3.1 knows no IPv6 address: there only the scheme can be named.
fn expressible(source: &str) -> &str {
    match source.split_once("//[") {
        Some((scheme, _)) => scheme,
        None => source,
    }
}

static DIGEST: LazyLock<String> = LazyLock::new(|| STANDARD.encode(Sha256::digest(STYLE)));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_where_forms_lead_and_nothing_a_client_could_smuggle_in() {
        let own = policy(&[]);
        assert!(own.starts_with("default-src 'none'; style-src 'sha256-"), "{own}");
        for (source, ending) in [
            ("https://claude.ai", "form-action 'self' https://claude.ai"),
            ("http://localhost:33418", "form-action 'self' http://localhost:33418"),
            ("http://[::1]:33418", "form-action 'self' http:"),
            ("cursor:", "form-action 'self' cursor:"),
            ("https://a; script-src *", "form-action 'self'"),
            ("https://a 'unsafe-inline'", "form-action 'self'"),
            ("*", "form-action 'self'"),
            ("", "form-action 'self'"),
        ] {
            assert!(policy(&[source]).ends_with(ending), "{source}: {}", policy(&[source]));
        }
    }
}
