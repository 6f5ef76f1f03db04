//! Remembers in a cookie the request that this browser approved a moment ago. When the same request comes again (back
//! button, double click, second tab), the consent page says that it is approved already.
//!
//! The cookie is only a hint. The page that is shown again has a confirmation of its own, so a second approval makes a second
//! connection. The same page sent twice does not ([`crate::confirmation`]).

use shared::http::host_cookie;
use shared::http::parameters::Parameters;
use shared::identity::signed_in::SignedIn;
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;

use crate::request;

/// The last request that was approved.
pub(crate) struct RecentApproval;

impl RecentApproval {
    /// Seconds. No client waits longer for the response.
    const MAX_AGE: u32 = 600;
    const NAME: &str = "mcp-approved";

    /// Whether this browser's last approval was of the same request, within the same session.
    pub(crate) fn matches(request: &Request, parameters: &Parameters, person: &SignedIn, issuer: &Issuer) -> bool {
        let token = host_cookie::value(request, Self::NAME, issuer);
        token.is_some_and(|token| person.verify_csrf_token(&Self::purpose(parameters), token))
    }

    /// Adds the cookie to `response`.
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

    /// The purpose differs from that of the form: the token in the cookie must not approve anything.
    fn purpose(parameters: &Parameters) -> String {
        format!("approved {}", request::return_to(parameters))
    }
}
