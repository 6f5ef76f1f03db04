//! `POST /auth/login/password`.

use shared::clock::Timestamp;
use shared::lambda::{Request, Response};

use crate::captcha::CaptchaToken;
use crate::declined::Declined;
use crate::form::Form;
use crate::refusal::Refused;
use crate::{Login, account};

impl Login {
    pub(crate) async fn by_password(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = Form::read(request, &self.issuer)?;
        let password = form.value("password").ok_or_else(|| form.back.refused(Declined::Credentials))?;
        let email = form.email()?;
        let captcha = CaptchaToken::of(self.captcha.as_ref(), &form).map_err(|why| form.back.refused(why))?;
        let tokens = account::by_password(self.identity.supabase(), email, password, &captcha);
        let tokens = match self.attempts.of(tokens, now).await {
            Ok(tokens) => tokens,
            Err(refusal) => {
                let offered = self.ways.offered(self.identity.supabase(), now).await;
                return Err(form.back.refused(offered.suited(refusal)));
            }
        };
        self.welcome(request, tokens, &form.back, now).await
    }
}
