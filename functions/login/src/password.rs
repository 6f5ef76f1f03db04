//! `POST /auth/login/password`: signs in with a password.

use shared::clock::Timestamp;
use shared::lambda::{Request, Response};

use crate::captcha_token::CaptchaToken;
use crate::form::SubmittedForm;
use crate::rate_limiter::Attempt;
use crate::retry_page::LoginErrorPage;
use crate::supabase_error::SupabaseError;
use crate::{Login, supabase_auth};

impl Login {
    pub(crate) async fn sign_in_with_password(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Result<Response, LoginErrorPage> {
        let form = SubmittedForm::parse(request, &self.issuer)?;
        let password = form.value("password").ok_or_else(|| form.retry_page.with_error(SupabaseError::Credentials))?;
        let email = form.email()?;
        let captcha =
            CaptchaToken::of(self.captcha.as_ref(), &form).map_err(|error| form.retry_page.with_error(error))?;
        let tokens = supabase_auth::sign_in_with_password(self.identity.supabase(), email, password, &captcha);
        let tokens = match self.rate_limiter.limit(Attempt::Password, tokens, now).await {
            Ok(tokens) => tokens,
            Err(error) => {
                let methods = self.sign_in_methods.offered(self.identity.supabase(), now).await;
                return Err(form.retry_page.with_error(methods.fitting_error(error)));
            }
        };
        self.start_session(request, tokens, &form.retry_page, now).await
    }
}
