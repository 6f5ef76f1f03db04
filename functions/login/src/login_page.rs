//! `GET /auth/login`: who comes, and where they go on.

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::flash;
use shared::http::parameters::Parameters;
use shared::http::response::see_other;
use shared::identity::signed_in::SIGN_OUT;
use shared::identity::{SessionError, SessionStatus};
use shared::lambda::{Request, Response};

use crate::error::{LoginError, LoginErrorPage, Problem, RetryPage};
use crate::error_page::FormFeedback;
use crate::form::CsrfToken;
use crate::next::Next;
use crate::page::{COOKIES_SCRIPT, SignInPage, SignedInPage, page_response, with_captcha};
use crate::supabase_error::SupabaseError;
use crate::{Login, supabase_auth};

impl Login {
    /// The sign-in page, unless the person is signed in already, or was until an hour ago.
    pub(crate) async fn show_login_page(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let query = Parameters::of_query(request).map_err(LoginError::Malformed)?;
        let problem: Option<Problem> = flash::read(request, &self.issuer);
        let email = problem.as_ref().and_then(|problem| problem.email.clone());
        let retry_page = RetryPage { next: query.value("next").and_then(Next::parse), email, ..RetryPage::default() };
        let feedback = FormFeedback { problem: problem.as_ref(), status: StatusCode::OK };
        let by_hook = problem.as_ref().and_then(|problem| problem.hook.as_ref());
        match (self.identity.session_status(request, now).await.map_err(|error| retry_page.with_error(error))?, by_hook)
        {
            (SessionStatus::MfaPending(_) | SessionStatus::SignedOut(_), Some(message)) => {
                Ok(self.hook_page(message, &retry_page, StatusCode::OK))
            }
            (SessionStatus::MfaPending(person), _) => Ok(self.factor_page(request, &person, &retry_page, feedback)),
            (SessionStatus::SignedIn(person), _) => {
                // Online, because authorize may have sent them here for a session that ended before its token did.
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
                            problem: feedback.problem,
                            who: person.display_name(),
                            confirmation: &person.csrf_token(SIGN_OUT),
                        },
                    )),
                    (Some(why), _) => Ok(self
                        .sign_in_again(request, &retry_page, feedback, SupabaseError::of_session(why), now)
                        .await),
                }
            }
            (SessionStatus::SignedOut(SessionError::Unrecognized), _) => {
                self.refresh_session(request, &retry_page, feedback, now).await
            }
            (SessionStatus::SignedOut(why), _) => {
                Ok(self.sign_in_again(request, &retry_page, feedback, SupabaseError::of_session(why), now).await)
            }
        }
    }

    /// The session's cookie outlives its access token by far: the refresh token in it makes a new one. Only here, where the
    /// cookies are ours; anywhere else a refresh would end the session.
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
        match self.rate_limiter.limit(supabase_auth::refresh_session(self.identity.supabase(), &token), now).await {
            Ok(tokens) => self.start_session(request, tokens, retry_page, now).await,
            Err(error) if error.is_temporary() => Err(retry_page.with_error(error)),
            Err(LoginError::Supabase(error)) => Ok(self.sign_in_again(request, retry_page, feedback, error, now).await),
            Err(error) => {
                Ok(self.without_session(request, self.error_page(request, retry_page.with_error(error), now).await))
            }
        }
    }

    /// The sign-in page for somebody whose session is over, which the browser forgets.
    pub(crate) async fn sign_in_again(
        &self,
        request: &Request,
        retry_page: &RetryPage,
        feedback: FormFeedback<'_>,
        why: SupabaseError,
        now: Timestamp,
    ) -> Response {
        let problem = Problem::of(&why.into(), retry_page);
        let feedback = FormFeedback { problem: feedback.problem.or(Some(&problem)), ..feedback };
        self.without_session(request, self.sign_in_page(request, retry_page, feedback, now).await)
    }

    pub(crate) async fn is_signed_in(&self, request: &Request, now: Timestamp) -> bool {
        matches!(
            self.identity.session_status(request, now).await,
            Ok(SessionStatus::SignedIn(_) | SessionStatus::MfaPending(_))
        )
    }

    /// To where they were going; who has yet to show a second factor does so on the way.
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
        let offered = self.sign_in_methods.offered(self.identity.supabase(), now).await;
        let captcha = self.captcha.as_ref().filter(|_| offered.email);
        let csrf_token = CsrfToken::of(request, &self.issuer);
        let page = SignInPage {
            layout: &self.layout,
            script: COOKIES_SCRIPT,
            connecting: retry_page.next.as_ref().is_some_and(Next::is_a_connection),
            problem: feedback.problem,
            offered: &offered,
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
