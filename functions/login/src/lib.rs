//! `/auth/…`: signs people in with Supabase Auth, for deployments whose product has no sign-in page on this origin.
//!
//! It keeps the session as `@supabase/ssr` would, so that one reader serves both kinds of deployment. Whatever goes wrong, the
//! answer is a page on which one can go on. A person who has a second factor is signed in when both have been shown, and until then
//! has a session that nothing but the page for it accepts.

mod account;
mod arrival;
mod attempts;
mod callback;
mod captcha;
mod declined;
mod error_page;
mod factor;
mod flow;
mod form;
mod hook;
mod link;
mod mail;
mod next;
mod otp;
mod page;
mod password;
mod provider;
mod refusal;
mod session;
mod ways;

use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::clock::Clock;
use shared::environment::{Environment, Misconfigured};
use shared::http::answer::{empty, method_not_allowed, see_other};
use shared::http::parameters::Malformed;
use shared::http::shell::Shell;
use shared::identity::Identity;
use shared::lambda::{Function, Request, Response};
use shared::oauth::issuer::Issuer;

use crate::attempts::Attempts;
use crate::captcha::Widget;
use crate::next::Next;
use crate::refusal::Refusal;
use crate::ways::Ways;

/// The endpoint.
pub struct Login {
    identity: Identity,
    issuer: Issuer,
    shell: Shell,
    ways: Ways,
    captcha: Option<Widget>,
    attempts: Attempts,
    clock: Clock,
}

impl Login {
    /// With what it needs of the environment. Touches nothing on AWS.
    ///
    /// # Errors
    /// When a setting is missing or unusable.
    #[expect(clippy::unused_async, reason = "every endpoint is made this way; others fetch keys")]
    pub async fn new(environment: &Environment) -> Result<Self, Misconfigured> {
        Ok(Self {
            identity: Identity::new(environment)?,
            issuer: environment.issuer()?,
            shell: Shell::new(environment)?,
            ways: Ways::default(),
            captcha: Widget::new(environment)?,
            attempts: Attempts::default(),
            clock: environment.clock(),
        })
    }
}

impl Function for Login {
    const NAME: &'static str = "login";

    async fn handle(&self, request: Request) -> Response {
        let now = self.clock.now();
        let answered = match (request.method(), request.uri().path()) {
            (&Method::GET, "/auth/login") => self.arrive(&request, now).await,
            (&Method::POST, "/auth/login/password") => self.by_password(&request, now).await,
            (&Method::POST, "/auth/login/code") => self.send_code(&request, now).await,
            (&Method::GET, "/auth/login/code") => self.ask_for_code(&request, now).await,
            (&Method::POST, "/auth/login/verify") => self.by_code(&request, now).await,
            (&Method::POST, "/auth/login/link") => self.by_link(&request, now).await,
            (&Method::POST, "/auth/login/factor") => self.by_factor(&request, now).await,
            (&Method::POST, "/auth/login/social") => self.choose_provider(&request, now).await,
            (&Method::GET, "/auth/login/social") => self.leave_for_provider(&request, now).await,
            (&Method::GET, "/auth/callback") => self.come_back(&request, now).await,
            (&Method::POST, "/auth/logout") => self.sign_out(&request, now).await,
            // The addresses of forms have no page of their own.
            (&Method::POST, "/auth/login")
            | (&Method::GET, "/auth/login/password" | "/auth/login/verify" | "/auth/login/factor") => {
                Ok(see_other(&self.start(form::remembered(&request).next.as_ref())))
            }
            (_, path) => Ok(unserved(path)),
        };
        match answered {
            Ok(response) => response,
            // A second click, or another tab: the first one has signed them in.
            Err(refused) if matches!(refused.why, Refusal::OutOfDate) && self.is_signed_in(&request, now).await => {
                self.go_on(refused.back.next.as_ref())
            }
            Err(refused) => self.explain(&request, refused, now).await,
        }
    }

    async fn refuse(&self, request: Request, malformed: Malformed) -> Response {
        self.explain(&request, Refusal::Malformed(malformed).into(), self.clock.now()).await
    }
}

impl Login {
    /// The sign-in page, on the way to `next`.
    fn start(&self, next: Option<&Next>) -> String {
        match next {
            Some(next) => format!("{}?next={}", self.issuer.at("/auth/login"), encoded(next.as_str())),
            None => self.issuer.at("/auth/login"),
        }
    }
}

/// Another method is answered with those that there are.
fn unserved(path: &str) -> Response {
    let methods = match path {
        "/auth/login"
        | "/auth/login/password"
        | "/auth/login/code"
        | "/auth/login/verify"
        | "/auth/login/factor"
        | "/auth/login/social" => "GET, POST",
        "/auth/login/link" | "/auth/logout" => "POST",
        "/auth/callback" => "GET",
        _ => return empty(StatusCode::NOT_FOUND),
    };
    method_not_allowed(methods)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
