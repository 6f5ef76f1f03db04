//! Whether a form came from our own origin, as the browser says. This check complements the CSRF token, and
//! never replaces it.

use http::header::{HeaderName, ORIGIN};
use lambda_http::Request;

use crate::oauth::issuer::Issuer;

/// Whether the browser says so: by `Sec-Fetch-Site`, which no page can forge. Browsers from before 2023 send
/// only `Origin`. With `Referrer-Policy: no-referrer` our own pages send `Origin: null`.
#[must_use]
pub fn is_same_origin(request: &Request, issuer: &Issuer) -> bool {
    let header = |name: &HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let (site, origin) = (header(&HeaderName::from_static("sec-fetch-site")), header(&ORIGIN));
    (site.is_some() || origin.is_some())
        && site.is_none_or(|site| site == "same-origin")
        && origin.is_none_or(|origin| origin == issuer.as_str() || origin == "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_site_forms_are_not_same_origin() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let own = Some("https://connect.example.com");
        for (site, origin, good) in [
            (Some("same-origin"), own, true),
            (Some("same-origin"), Some("null"), true),
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("https://attacker.example"), false),
            (Some("same-site"), own, false),
            (Some("cross-site"), own, false),
            (Some("cross-site"), Some("null"), false),
            (Some("none"), None, false),
            (None, own, true),
            (None, Some("null"), true),
            (None, Some("https://connect.example.com.attacker.example"), false),
            (None, None, false),
        ] {
            let mut request = http::Request::post("/auth/login/password");
            for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let request = request.body(lambda_http::Body::Empty).unwrap();
            assert_eq!(is_same_origin(&request, &issuer), good, "{site:?} {origin:?}");
        }
    }
}
