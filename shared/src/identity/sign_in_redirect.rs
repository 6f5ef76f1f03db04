//! The redirect to the sign-in page. A browser must not be redirected between us and that page in a loop.

use lambda_http::{Body, Request, Response};

use super::cookies::Jar;
use super::{Identity, NotSignedInError, SessionError};
use crate::http::host_cookie;
use crate::http::response::see_other;
use crate::oauth::secret::{Digest, to_text};

/// The browser was sent to sign in a moment ago, and came back with a session that is not valid here; or its sessions cannot be told
/// apart.
#[derive(Debug, thiserror::Error)]
#[error("came back from sign-in with a session that is not recognised")]
pub struct UnrecognizedSessionError(pub NotSignedInError);

impl Identity {
    /// Sends the browser of `request` to sign in and to come back to `return_to`. `why` says why nobody is
    /// signed in.
    ///
    /// # Errors
    /// When the same request was sent there within the last minute and came back with a session that is not
    /// valid here: it would be a loop. And when the product's page cannot help: there are sessions of two people.
    pub fn redirect_to_sign_in(
        &self,
        request: &Request,
        return_to: &str,
        why: NotSignedInError,
    ) -> Result<Response<Body>, UnrecognizedSessionError> {
        let (jar, mark) = (Jar::of(request), to_text(Digest::of(return_to.as_bytes()).as_bytes()));
        let has_session = self.session_keys(&jar).iter().any(|key| jar.chunk_names(key).next().is_some());
        // No page of a product can clear what another host has set, and ours says it itself.
        if why == NotSignedInError::NoSession(SessionError::SeveralPeople) && !self.hosts_login() {
            return Err(UnrecognizedSessionError(why));
        }
        // Our own page asks for the second factor, and does not redirect before.
        let is_asked_for_more = why == NotSignedInError::MfaPending && self.hosts_login();
        if has_session && !is_asked_for_more && host_cookie::value(request, NAME, &self.issuer) == Some(mark.as_str()) {
            return Err(UnrecognizedSessionError(why));
        }
        let mut response = see_other(&self.login_url(return_to));
        host_cookie::set(&mut response, NAME, &mark, Some(MAX_AGE), &self.issuer);
        Ok(response)
    }

    /// Clears the mark of the redirect, in `response` to a person who is signed in.
    #[must_use]
    pub fn clear_sign_in_mark(&self, request: &Request, mut response: Response<Body>) -> Response<Body> {
        if host_cookie::value(request, NAME, &self.issuer).is_some() {
            host_cookie::set(&mut response, NAME, "", Some(0), &self.issuer);
        }
        response
    }
}

const NAME: &str = "mcp-sign-in";
/// Seconds. A loop is faster than this, and a person who tries again is slower.
const MAX_AGE: u32 = 60;
