//! The code of a mail: asked for, and typed in (Supabase: `POST /otp`, `POST /verify`).

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::answer::{because, see_other};
use shared::http::notice;
use shared::http::parameters::Parameters;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};
use shared::metrics;
use tokio::time::Instant;

use crate::account::Sent;
use crate::captcha::CaptchaToken;
use crate::declined::Declined;
use crate::error_page::Told;
use crate::flow::Flow;
use crate::form::{Door, Form};
use crate::next::Next;
use crate::page::{COUNTDOWN_SCRIPT, CodePage, with_captcha};
use crate::refusal::{Problem, Refusal, Refused};
use crate::{Login, account, encoded, mail};

impl Login {
    /// Sends a mail with a code, and a link that works in this browser. The answer is the same whether or not there is anybody
    /// to send it to.
    pub(crate) async fn send_code(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let answer_at = Instant::now() + mail::FLOOR;
        let form = Form::read(request, &self.issuer)?;
        let email = form.email()?;
        if !self.ways.offered(self.identity.supabase(), now).await.email {
            return Err(form.back.refused(Declined::ByEmail));
        }
        let captcha = CaptchaToken::of(self.captcha.as_ref(), &form).map_err(|why| form.back.refused(why))?;
        let (jar, door) = (Jar::of(request), Door::of(request, &self.issuer));
        let flow = Flow::by_mail(&jar, &door, email, form.back.next.clone(), &self.issuer, now);
        let callback = self.callback(&flow);
        let challenge = flow.challenge();
        let sent = account::send_code(self.identity.supabase(), email, &callback, &challenge, &captcha);
        let sent = self.attempts.of(sent, now).await;
        // Whether or not there is anybody: a code that is used costs a second call.
        self.attempts.count_this(now);
        let sent = sent.map_err(|refusal| form.back.refused(refusal))?;
        if matches!(sent, Sent::Failed(_)) {
            metrics::sign_in_mail_failed();
        }
        tokio::time::sleep_until(answer_at).await;
        let mut response = see_other(&self.code_address(&flow.id));
        flow.keep(&mut response, &jar, &self.issuer, now);
        Ok(because(response, &sent))
    }

    /// The page on which the code of a mail is typed in.
    pub(crate) async fn ask_for_code(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let query = Parameters::of_query(request).map_err(Refusal::Malformed)?;
        let Some(id) = query.value("flow") else { return Ok(see_other(&self.start(None))) };
        let flow = Flow::of(&Jar::of(request), id, &self.issuer, now).ok_or(Refusal::NoFlow)?;
        // The code was right the first time, and the second click was told that it is spent.
        if self.is_signed_in(request, now).await {
            return Ok(self.go_on(flow.next.as_ref()));
        }
        let problem: Option<Problem> = notice::of(request, &self.issuer);
        let told = Told { problem: problem.as_ref(), status: StatusCode::OK };
        Ok(self.code_page(request, &flow, told, now).await)
    }

    pub(crate) async fn by_code(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = Form::read(request, &self.issuer)?;
        form.email()?;
        let code: String = form.value("token").unwrap_or_default().split_whitespace().collect();
        if !(6..=10).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form.back.refused(Declined::Code));
        }
        let tokens = account::by_code(self.identity.supabase(), form.email()?, &code);
        let tokens = self.attempts.of(tokens, now).await;
        self.welcome(request, tokens.map_err(|refusal| form.back.refused(refusal))?, &form.back, now).await
    }

    pub(crate) async fn code_page(&self, request: &Request, flow: &Flow, told: Told<'_>, now: Timestamp) -> Response {
        let (door, captcha) = (Door::of(request, &self.issuer), self.captcha.as_ref());
        let page = CodePage {
            shell: &self.shell,
            script: COUNTDOWN_SCRIPT,
            problem: told.problem,
            flow: &flow.id,
            next: flow.next.as_ref().map_or("", Next::as_str),
            email: flow.email.as_deref().unwrap_or_default(),
            confirmation: &door.confirmation(),
            start: &self.start(flow.next.as_ref()),
            mail_in: flow.mail_in(now),
            confirms: self.ways.offered(self.identity.supabase(), now).await.confirms,
            captcha,
        };
        let mut response = with_captcha(captcha, &self.shell, told.status, flow.next.as_ref(), COUNTDOWN_SCRIPT, &page);
        door.open(&mut response, &self.issuer);
        response
    }

    pub(crate) fn code_address(&self, flow: &str) -> String {
        format!("{}?flow={}", self.issuer.at("/auth/login/code"), encoded(flow))
    }
}
