//! What this browser has approved a moment ago, so that the page says so when it comes again: back button, double click, opened twice.
//!
//! A cookie, and a hint: nothing depends on it, and approving again makes another connection, as it does elsewhere.

use shared::http::host_cookie;
use shared::http::parameters::Parameters;
use shared::identity::signed_in::SignedIn;
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;

use crate::request;

/// The last request that was approved.
pub(crate) struct RecentApproval;

impl RecentApproval {
    /// Seconds: after that, a client has long given up waiting.
    const MAX_AGE: u32 = 600;
    const NAME: &str = "mcp-approved";

    /// Whether this browser's last approval was of the same request, within the same session.
    pub(crate) fn matches(request: &Request, parameters: &Parameters, person: &SignedIn, issuer: &Issuer) -> bool {
        let kept = host_cookie::value(request, Self::NAME, issuer);
        kept.is_some_and(|kept| person.verify_csrf_token(&Self::purpose(parameters), kept))
    }

    /// `response`, from which the browser remembers the approval.
    pub(crate) fn remember(
        mut response: Response,
        parameters: &Parameters,
        person: &SignedIn,
        issuer: &Issuer,
    ) -> Response {
        let value = person.csrf_token(&Self::purpose(parameters));
        host_cookie::set(&mut response, Self::NAME, &value, Some(Self::MAX_AGE), issuer);
        response
    }

    /// Not that of the form: what a cookie holds must not be good for approving.
    fn purpose(parameters: &Parameters) -> String {
        format!("approved {}", request::return_to(parameters))
    }
}
