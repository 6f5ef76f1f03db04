//! `POST /auth/login/factor`: the second factor.

use shared::clock::Timestamp;
use shared::http::response::see_other;
use shared::identity::SessionStatus;
use shared::identity::mfa::MfaPending;
use shared::identity::signed_in::SIGN_OUT;
use shared::lambda::{Request, Response};

use crate::error_page::FormFeedback;
use crate::form::{CsrfToken, SubmittedForm};
use crate::next::Next;
use crate::page::{FactorPage, with_form};
use crate::rate_limiter::Attempt;
use crate::retry_page::{LoginErrorPage, RetryPage};
use crate::supabase_error::SupabaseError;
use crate::{Login, supabase_auth};

impl Login {
    pub(crate) async fn verify_factor(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let form = SubmittedForm::parse(request, &self.issuer)?;
        let retry_page = &form.retry_page;
        let person =
            match self.identity.session_status(request, now).await.map_err(|error| retry_page.with_error(error))? {
                SessionStatus::MfaPending(person) => person,
                // The factor was shown already, in another tab or by a double click.
                SessionStatus::SignedIn(_) => return Ok(see_other(&self.login_url(retry_page.next.as_ref()))),
                SessionStatus::SignedOut(error) => return Err(retry_page.with_error(SupabaseError::of_session(error))),
            };
        let code: String = form.value("code").unwrap_or_default().split_whitespace().collect();
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(retry_page.with_error(SupabaseError::Factor));
        }
        let chosen = form.value("factor").unwrap_or_default();
        let factor = person.authenticators().find(|factor| factor.id.as_str() == chosen);
        let factor = factor.ok_or_else(|| retry_page.with_error(SupabaseError::NoAuthenticator))?;
        let tokens = supabase_auth::verify_factor(self.identity.supabase(), person.bearer(), &factor.id, &code);
        let tokens = self.rate_limiter.limit(Attempt::Factor, tokens, now).await;
        self.start_session(request, tokens.map_err(|error| retry_page.with_error(error))?, retry_page, now).await
    }

    pub(crate) fn factor_page(
        &self,
        request: &Request,
        person: &MfaPending,
        retry_page: &RetryPage,
        feedback: FormFeedback<'_>,
    ) -> Response {
        let csrf_token = CsrfToken::of(request, &self.issuer);
        let page = FactorPage {
            layout: &self.layout,
            notice: feedback.notice,
            next: retry_page.next.as_ref().map_or("", Next::as_str),
            who: person.display_name(),
            authenticators: person.authenticators().collect(),
            confirmation: &csrf_token.confirmation(),
            sign_out: &person.csrf_token(SIGN_OUT),
        };
        let mut response = with_form(&self.layout, feedback.status, retry_page.next.as_ref(), &page);
        csrf_token.set_cookie(&mut response, &self.issuer);
        response
    }
}
