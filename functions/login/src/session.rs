//! The start and the end of a session.

use http::Method;
use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::http::response::{see_other, with_reason};
use shared::identity::cookies::Jar;
use shared::identity::signed_in::SIGN_OUT;
use shared::identity::supabase::Bearer;
use shared::identity::{SessionError, SessionStatus};
use shared::lambda::{Request, Response};
use shared::upstream_call;

use crate::error::LoginError;
use crate::form::CsrfToken;
use crate::next::Next;
use crate::retry_page::{LoginErrorPage, RetryPage};
use crate::session_cookies::{forget, keep};
use crate::supabase_auth::Tokens;
use crate::supabase_error::SupabaseError;
use crate::{Login, form, supabase_auth};

impl Login {
    /// Keeps the session and continues to `next`, by way of the second factor if the person has one.
    pub(crate) async fn start_session(
        &self,
        request: &Request,
        tokens: Tokens,
        retry_page: &RetryPage,
        now: Timestamp,
    ) -> Result<Response, LoginErrorPage> {
        // The token is verified now. Otherwise an unusable token would send the person here again and again.
        let status = self.identity.verify_token(Bearer::new(tokens.access_token.clone()), now).await;
        let to = match (status, &retry_page.next) {
            (Err(error), next) => {
                // Supabase has made the session, and the code is used up. Only the verification of the token failed,
                // so the session is kept.
                let (start, error) = (self.login_url(next.as_ref()), LoginError::Upstream(error));
                let mut response = if request.method() == Method::POST {
                    with_reason(see_other(&start), &error)
                } else {
                    self.temporary_error_page(&start, retry_page, &error)
                };
                self.keep_session(&mut response, request, &tokens, now);
                return Ok(response);
            }
            (Ok(SessionStatus::SignedOut(SessionError::Unrecognized)), _) => {
                return Err(retry_page.with_error(upstream_call::failed(
                    "Supabase.Token",
                    "its token is not one that we accept: are SUPABASE_ISSUER and SUPABASE_SHARED_SECRET right, the key that signs among those that the project publishes (or none published at all), and the token that of a person?",
                )));
            }
            (Ok(SessionStatus::SignedOut(error)), _) => {
                return Err(retry_page.with_error(SupabaseError::of_session(error)));
            }
            (Ok(SessionStatus::SignedIn(_)), Some(next)) => next.on(&self.issuer),
            (Ok(SessionStatus::SignedIn(_) | SessionStatus::MfaPending(_)), next) => self.login_url(next.as_ref()),
        };
        let mut response = see_other(&to);
        self.keep_session(&mut response, request, &tokens, now);
        CsrfToken::clear_cookie(&mut response, &self.issuer);
        Ok(response)
    }

    fn keep_session(&self, response: &mut Response, request: &Request, tokens: &Tokens, now: Timestamp) {
        let jar = Jar::of(request);
        keep(response, tokens, &jar, self.identity.cookie(), &self.issuer, now);
        self.forget_former_session(response, &jar);
    }

    /// Removes every session that came with `request` from the browser.
    pub(crate) fn without_session(&self, request: &Request, mut response: Response) -> Response {
        let jar = Jar::of(request);
        for key in self.identity.session_keys(&jar) {
            forget(&mut response, &jar, &key, &self.issuer);
        }
        self.forget_former_session(&mut response, &jar);
        response
    }

    /// Clears what our page kept under a name that other hosts can set. It counts no more, and API Gateway takes 10 KB of headers.
    fn forget_former_session(&self, response: &mut Response, jar: &Jar) {
        if let Some(former) = self.identity.former_cookie() {
            forget(response, jar, former, &self.issuer);
        }
    }

    /// Ends the session in this browser, and at Supabase.
    pub(crate) async fn sign_out(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        form::check_same_origin(request, &self.issuer)?;
        let fields = Parameters::of_body(request).map_err(LoginError::Malformed)?;
        let retry_page = RetryPage { next: fields.value("next").and_then(Next::parse), ..RetryPage::default() };
        let status = self.identity.session_status(request, now).await.map_err(|error| retry_page.with_error(error))?;
        let csrf_token = fields.value("confirmation").unwrap_or_default();
        let session = match &status {
            SessionStatus::SignedIn(person) => Some((&person.bearer, person.verify_csrf_token(SIGN_OUT, csrf_token))),
            SessionStatus::MfaPending(person) => {
                Some((person.bearer(), person.verify_csrf_token(SIGN_OUT, csrf_token)))
            }
            SessionStatus::SignedOut(_) => None,
        };
        let mut response = self.without_session(request, see_other(&self.login_url(retry_page.next.as_ref())));
        // Without a valid session a forged form can do no harm: the browser only forgets cookies that it cannot use.
        if let Some((bearer, allowed)) = session {
            if !allowed {
                return Err(RetryPage::default().with_error(LoginError::NotSignedOut));
            }
            // This browser is signed out even if Supabase cannot be reached.
            if let Err(error) = supabase_auth::sign_out(self.identity.supabase(), bearer).await {
                response = with_reason(response, &error);
            }
        }
        Ok(response)
    }
}
