//! CSRF: whether a form came from our own origin, as the browser says. A check beside the CSRF token, never in its place.

use http::header::{HeaderName, ORIGIN};

use crate::lambda::Request;
use crate::oauth::issuer::Issuer;

/// Whether the browser says so: by `Sec-Fetch-Site`, which no page can forge, or, if it is from before 2023, by `Origin` alone. An
/// `Origin` of `null` is what `Referrer-Policy: no-referrer` makes of our own.
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
            let request = request.body(crate::lambda::Body::Empty).unwrap();
            assert_eq!(is_same_origin(&request, &issuer), good, "{site:?} {origin:?}");
        }
    }
}
