//! What this browser has approved a moment ago, so that the page says so when it comes again: back button, double click, opened twice.
//!
//! A cookie, and a hint: nothing depends on it, and approving again makes another connection, as it does elsewhere.

use http::header::{HeaderValue, SET_COOKIE};
use shared::http::parameters::Parameters;
use shared::identity::cookies::Jar;
use shared::identity::signed_in::SignedIn;
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;

use crate::asked;

/// The last request that was approved.
pub(crate) struct Approved;

impl Approved {
    /// Seconds: after that, a client has long given up waiting.
    const LIFE: u32 = 600;
    const NAME: &str = "mcp-approved";

    /// Whether this browser's last approval was of the same request, within the same session.
    pub(crate) fn is_of(request: &Request, parameters: &Parameters, person: &SignedIn) -> bool {
        let jar = Jar::of(request);
        let kept = [&format!("__Host-{}", Self::NAME), Self::NAME].into_iter().find_map(|name| jar.value(name));
        kept.is_some_and(|kept| person.allows(&Self::purpose(parameters), kept))
    }

    /// `response`, from which the browser remembers the approval.
    pub(crate) fn remembered(
        mut response: Response,
        parameters: &Parameters,
        person: &SignedIn,
        issuer: &Issuer,
    ) -> Response {
        // As for every cookie of ours: only this host can have set it, but for loopback in the clear (RFC 6265bis §4.1.3.2).
        let (prefix, secure) = if issuer.is_plain_http() { ("", "") } else { ("__Host-", "; Secure") };
        let (value, life) = (person.anti_forgery(&Self::purpose(parameters)), Self::LIFE);
        let cookie = format!("{prefix}{}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Lax{secure}", Self::NAME);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }

    /// Not that of the form: what a cookie holds must not be good for approving.
    fn purpose(parameters: &Parameters) -> String {
        format!("approved {}", asked::way_back(parameters))
    }
}
