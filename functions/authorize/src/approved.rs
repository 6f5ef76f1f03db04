//! What this browser has approved a moment ago, so that the page says so when it comes again: back button, double click, opened twice.
//!
//! A cookie, and a hint: nothing depends on it, and approving again makes another connection, as it does elsewhere.

use shared::http::own_cookie;
use shared::http::parameters::Parameters;
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
    pub(crate) fn is_of(request: &Request, parameters: &Parameters, person: &SignedIn, issuer: &Issuer) -> bool {
        let kept = own_cookie::value(request, Self::NAME, issuer);
        kept.is_some_and(|kept| person.allows(&Self::purpose(parameters), kept))
    }

    /// `response`, from which the browser remembers the approval.
    pub(crate) fn remembered(
        mut response: Response,
        parameters: &Parameters,
        person: &SignedIn,
        issuer: &Issuer,
    ) -> Response {
        let value = person.anti_forgery(&Self::purpose(parameters));
        own_cookie::set(&mut response, Self::NAME, &value, Some(Self::LIFE), issuer);
        response
    }

    /// Not that of the form: what a cookie holds must not be good for approving.
    fn purpose(parameters: &Parameters) -> String {
        format!("approved {}", asked::way_back(parameters))
    }
}
