//! Signing in with the code of a mail: requests the mail and verifies the code (Supabase: `POST /otp`, `POST /verify`).

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::flash;
use shared::http::parameters::Parameters;
use shared::http::response::{see_other, with_reason};
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};
use shared::telemetry::request_counts;
use tokio::time::Instant;

use crate::captcha_token::CaptchaToken;
use crate::error::LoginError;
use crate::error_page::FormFeedback;
use crate::form::{CsrfToken, SubmittedForm};
use crate::next::Next;
use crate::notice::Notice;
use crate::page::{COUNTDOWN_SCRIPT, CodePage, with_captcha};
use crate::rate_limiter::Attempt;
use crate::retry_page::LoginErrorPage;
use crate::supabase_auth::OtpOutcome;
use crate::supabase_error::SupabaseError;
use crate::supabase_flow::SupabaseFlow;
use crate::{Login, encoded, mail_error, supabase_auth};

impl Login {
    /// Sends a mail with a code, and a link that works in this browser. The response is the same whether or not
    /// anybody has the address.
    pub(crate) async fn send_otp(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let respond_at = Instant::now() + mail_error::MIN_RESPONSE_TIME;
        let form = SubmittedForm::parse(request, &self.issuer)?;
        let email = form.email()?;
        if !self.sign_in_methods.offered(self.identity.supabase(), now).await.email {
            return Err(form.retry_page.with_error(SupabaseError::EmailDisabled));
        }
        let captcha =
            CaptchaToken::of(self.captcha.as_ref(), &form).map_err(|error| form.retry_page.with_error(error))?;
        let (jar, csrf_token) = (Jar::of(request), CsrfToken::of(request, &self.issuer));
        let flow = SupabaseFlow::for_email(&jar, &csrf_token, email, form.retry_page.next.clone(), &self.issuer, now);
        let callback = self.callback(&flow);
        let challenge = flow.challenge();
        let outcome = supabase_auth::send_otp(self.identity.supabase(), email, &callback, &challenge, &captcha);
        let outcome = self.rate_limiter.limit(Attempt::Mail, outcome, now).await;
        let outcome = outcome.map_err(|error| form.retry_page.with_error(error))?;
        if matches!(outcome, OtpOutcome::Failed(_)) {
            request_counts::sign_in_mail_failed();
        }
        tokio::time::sleep_until(respond_at).await;
        let mut response = see_other(&self.code_address(&flow.id));
        flow.set_cookie(&mut response, &jar, &self.issuer, now);
        Ok(with_reason(response, &outcome))
    }

    /// Shows the page for the code of a mail.
    pub(crate) async fn show_code_page(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let query = Parameters::of_query(request).map_err(LoginError::Malformed)?;
        let Some(id) = query.value("flow") else { return Ok(see_other(&self.login_url(None))) };
        let flow = SupabaseFlow::from_cookies(&Jar::of(request), id, &self.issuer, now).ok_or(LoginError::NoFlow)?;
        // After a double click, the first form has signed the person in, and the second failed because the code was used.
        if self.is_signed_in(request, now).await {
            return Ok(self.continue_to(flow.next.as_ref()));
        }
        let notice: Option<Notice> = flash::read(request, &self.issuer);
        let feedback = FormFeedback { notice: notice.as_ref(), status: StatusCode::OK };
        Ok(self.code_page(request, &flow, feedback, now).await)
    }

    pub(crate) async fn verify_otp(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let form = SubmittedForm::parse(request, &self.issuer)?;
        form.email()?;
        let code: String = form.value("token").unwrap_or_default().split_whitespace().collect();
        if !(6..=10).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form.retry_page.with_error(SupabaseError::Code));
        }
        let tokens = supabase_auth::verify_otp(self.identity.supabase(), form.email()?, &code);
        let tokens = self.rate_limiter.limit(Attempt::Code, tokens, now).await;
        self.start_session(request, tokens.map_err(|error| form.retry_page.with_error(error))?, &form.retry_page, now)
            .await
    }

    pub(crate) async fn code_page(
        &self,
        request: &Request,
        flow: &SupabaseFlow,
        feedback: FormFeedback<'_>,
        now: Timestamp,
    ) -> Response {
        let (csrf_token, captcha) = (CsrfToken::of(request, &self.issuer), self.captcha.as_ref());
        let page = CodePage {
            layout: &self.layout,
            script: COUNTDOWN_SCRIPT,
            notice: feedback.notice,
            flow: &flow.id,
            next: flow.next.as_ref().map_or("", Next::as_str),
            email: flow.email.as_deref().unwrap_or_default(),
            confirmation: &csrf_token.confirmation(),
            start: &self.login_url(flow.next.as_ref()),
            mail_in: flow.mail_in(now),
            confirms: self.sign_in_methods.offered(self.identity.supabase(), now).await.confirms,
            captcha,
        };
        let mut response =
            with_captcha(captcha, &self.layout, feedback.status, flow.next.as_ref(), COUNTDOWN_SCRIPT, &page);
        csrf_token.set_cookie(&mut response, &self.issuer);
        response
    }

    pub(crate) fn code_address(&self, flow: &str) -> String {
        format!("{}?flow={}", self.at("/login/code"), encoded(flow))
    }
}
