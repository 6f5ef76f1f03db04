//! `GET /auth/login`: the sign-in page, or a redirect for a person who is signed in.

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::flash;
use shared::http::parameters::Parameters;
use shared::http::response::see_other;
use shared::identity::sign_in_age::{MAX_AGE, SignInAge};
use shared::identity::signed_in::SIGN_OUT;
use shared::identity::{SessionError, SessionStatus};
use shared::lambda::{Request, Response};

use crate::error::LoginError;
use crate::error_page::FormFeedback;
use crate::form::CsrfToken;
use crate::next::Next;
use crate::notice::Notice;
use crate::page::{COOKIES_SCRIPT, SignInPage, SignedInPage, page_response, with_captcha};
use crate::rate_limiter::Attempt;
use crate::retry_page::{LoginErrorPage, RetryPage};
use crate::supabase_error::SupabaseError;
use crate::{Login, supabase_auth};

impl Login {
    /// Shows the sign-in page, unless the person is signed in or their session can be refreshed.
    pub(crate) async fn show_login_page(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let query = Parameters::of_query(request).map_err(LoginError::Malformed)?;
        let notice: Option<Notice> = flash::read(request, &self.issuer);
        let email = notice.as_ref().and_then(|notice| notice.email.clone());
        let retry_page = RetryPage { next: query.value("next").and_then(Next::parse), email, ..RetryPage::default() };
        let feedback = FormFeedback { notice: notice.as_ref(), status: StatusCode::OK };
        let hook_message = notice.as_ref().and_then(|notice| notice.hook.as_ref());
        match (
            self.identity.session_status(request, now).await.map_err(|error| retry_page.with_error(error))?,
            hook_message,
        ) {
            (SessionStatus::MfaPending(_) | SessionStatus::SignedOut(_), Some(message)) => {
                Ok(self.hook_page(message, &retry_page, StatusCode::OK))
            }
            (SessionStatus::MfaPending(person), _) => Ok(self.factor_page(request, &person, &retry_page, feedback)),
            // For something lasting, as the parameter says: nobody is sent here so otherwise.
            (SessionStatus::SignedIn(person), _)
                if query.value(MAX_AGE).is_some() && self.identity.sign_in_age(&person, now) == SignInAge::TooOld =>
            {
                Ok(self.sign_in_again(request, &retry_page, feedback, LoginError::TooOld, now).await)
            }
            (SessionStatus::SignedIn(person), _) => {
                // Asks Supabase, because authorize may have sent the person here for a session that ended before its token.
                let signed_out =
                    self.identity.signed_out(&person).await.map_err(|error| retry_page.with_error(error))?;
                match (signed_out, &retry_page.next) {
                    (None, Some(next)) => Ok(see_other(&next.on(&self.issuer))),
                    (None, None) => Ok(page_response(
                        &self.layout,
                        StatusCode::OK,
                        None,
                        &SignedInPage {
                            layout: &self.layout,
                            notice: feedback.notice,
                            who: person.display_name(),
                            confirmation: &person.csrf_token(SIGN_OUT),
                        },
                    )),
                    (Some(error), _) => {
                        let error = SupabaseError::of_session(error).into();
                        Ok(self.sign_in_again(request, &retry_page, feedback, error, now).await)
                    }
                }
            }
            (SessionStatus::SignedOut(SessionError::Unrecognized), _) => {
                self.refresh_session(request, &retry_page, feedback, now).await
            }
            (SessionStatus::SignedOut(error), _) => {
                let error = SupabaseError::of_session(error).into();
                Ok(self.sign_in_again(request, &retry_page, feedback, error, now).await)
            }
        }
    }

    /// Refreshes the session. Its cookie outlives its access token by far, and the refresh token in it makes a new
    /// access token. Only this function may do so, as it can set the cookies; elsewhere a refresh would end the
    /// session.
    pub(crate) async fn refresh_session(
        &self,
        request: &Request,
        retry_page: &RetryPage,
        feedback: FormFeedback<'_>,
        now: Timestamp,
    ) -> Result<Response, LoginErrorPage> {
        let refreshable =
            self.identity.refreshable_token(request, now).await.map_err(|error| retry_page.with_error(error))?;
        let Some(token) = refreshable else {
            return Ok(self.without_session(request, self.sign_in_page(request, retry_page, feedback, now).await));
        };
        let tokens = supabase_auth::refresh_session(self.identity.supabase(), &token);
        match self.rate_limiter.limit(Attempt::Refresh, tokens, now).await {
            Ok(tokens) => self.start_session(request, tokens, retry_page, now).await,
            Err(error) if error.is_temporary() => Err(retry_page.with_error(error)),
            Err(error @ LoginError::Supabase(_)) => {
                Ok(self.sign_in_again(request, retry_page, feedback, error, now).await)
            }
            Err(error) => {
                Ok(self.without_session(request, self.error_page(request, retry_page.with_error(error), now).await))
            }
        }
    }

    /// The sign-in page for a person whose session counts no more, with the reason. It removes the session from the browser.
    pub(crate) async fn sign_in_again(
        &self,
        request: &Request,
        retry_page: &RetryPage,
        feedback: FormFeedback<'_>,
        error: LoginError,
        now: Timestamp,
    ) -> Response {
        let notice = Notice::of(&error, retry_page);
        let feedback = FormFeedback { notice: feedback.notice.or(Some(&notice)), ..feedback };
        self.without_session(request, self.sign_in_page(request, retry_page, feedback, now).await)
    }

    pub(crate) async fn is_signed_in(&self, request: &Request, now: Timestamp) -> bool {
        matches!(
            self.identity.session_status(request, now).await,
            Ok(SessionStatus::SignedIn(_) | SessionStatus::MfaPending(_))
        )
    }

    /// Continues to `next`, by way of the login page, which asks for a second factor if it is missing.
    pub(crate) fn continue_to(&self, next: Option<&Next>) -> Response {
        see_other(&self.login_url(next))
    }

    pub(crate) async fn sign_in_page(
        &self,
        request: &Request,
        retry_page: &RetryPage,
        feedback: FormFeedback<'_>,
        now: Timestamp,
    ) -> Response {
        let methods = self.sign_in_methods.offered(self.identity.supabase(), now).await;
        let captcha = self.captcha.as_ref().filter(|_| methods.email);
        let csrf_token = CsrfToken::of(request, &self.issuer);
        let page = SignInPage {
            layout: &self.layout,
            script: COOKIES_SCRIPT,
            connecting: retry_page.next.as_ref().is_some_and(Next::is_a_connection),
            notice: feedback.notice,
            methods: &methods,
            next: retry_page.next.as_ref().map_or("", Next::as_str),
            email: retry_page.email.as_deref().unwrap_or_default(),
            confirmation: &csrf_token.confirmation(),
            captcha,
        };
        let mut response =
            with_captcha(captcha, &self.layout, feedback.status, retry_page.next.as_ref(), COOKIES_SCRIPT, &page);
        csrf_token.set_cookie(&mut response, &self.issuer);
        response
    }
}
