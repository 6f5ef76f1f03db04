//! `/auth/…`: signs people in with Supabase Auth, for deployments whose product has no sign-in page on this origin.
//!
//! It keeps the session in cookies as `@supabase/ssr` would, so that `shared::identity` reads the cookies of both
//! kinds of deployment; over https under a name that no other host of the domain can set. After every error, the response is a page on which the person can continue. A person with a
//! second factor is signed in when they have shown both factors. Until then, only the page for the second factor
//! accepts their session.

mod callback;
mod captcha;
mod captcha_error;
mod captcha_token;
mod error;
mod error_page;
mod factor;
mod form;
mod hook;
mod login_page;
mod mail_error;
mod mail_link;
mod next;
mod notice;
mod opened_link;
mod otp;
mod page;
mod password;
mod provider;
mod rate_limiter;
mod retry_page;
mod session;
mod session_cookies;
mod sign_in_methods;
mod supabase_auth;
mod supabase_error;
mod supabase_flow;

use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::clock::Clock;
use shared::environment::{ConfigError, Environment};
use shared::http::layout::Layout;
use shared::http::parameters::ParameterError;
use shared::http::response::{empty, method_not_allowed, see_other};
use shared::identity::Identity;
use shared::lambda::{Function, Request, Response};
use shared::oauth::issuer::Issuer;

use crate::captcha::CaptchaWidget;
use crate::error::LoginError;
use crate::next::Next;
use crate::rate_limiter::RateLimiter;
use crate::sign_in_methods::SignInMethods;

/// The endpoint.
pub struct Login {
    identity: Identity,
    issuer: Issuer,
    layout: Layout,
    sign_in_methods: SignInMethods,
    captcha: Option<CaptchaWidget>,
    rate_limiter: RateLimiter,
    clock: Clock,
}

impl Login {
    /// Makes the endpoint.
    ///
    /// # Errors
    /// When a setting is missing or unusable.
    #[expect(clippy::unused_async, reason = "every endpoint is made this way; others fetch keys")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            identity: Identity::new(environment)?,
            issuer: environment.issuer()?,
            layout: Layout::new(environment)?,
            sign_in_methods: SignInMethods::default(),
            captcha: CaptchaWidget::new(environment)?,
            rate_limiter: RateLimiter::new(environment)?,
            clock: environment.clock(),
        })
    }
}

impl Function for Login {
    const NAME: &'static str = "login";

    async fn handle(&self, request: Request) -> Response {
        let now = self.clock.now();
        let result = match (request.method(), request.uri().path()) {
            (&Method::GET, "/auth/login") => self.show_login_page(&request, now).await,
            (&Method::POST, "/auth/login/password") => self.sign_in_with_password(&request, now).await,
            (&Method::POST, "/auth/login/code") => self.send_otp(&request, now).await,
            (&Method::GET, "/auth/login/code") => self.show_code_page(&request, now).await,
            (&Method::POST, "/auth/login/verify") => self.verify_otp(&request, now).await,
            (&Method::POST, "/auth/login/link") => self.verify_link(&request, now).await,
            (&Method::POST, "/auth/login/factor") => self.verify_factor(&request, now).await,
            (&Method::POST, "/auth/login/social") => self.choose_provider(&request, now).await,
            (&Method::GET, "/auth/login/social") => self.redirect_to_provider(&request, now).await,
            (&Method::GET, "/auth/callback") => self.handle_callback(&request, now).await,
            (&Method::POST, "/auth/logout") => self.sign_out(&request, now).await,
            // These addresses of forms have no page.
            (&Method::POST, "/auth/login")
            | (&Method::GET, "/auth/login/password" | "/auth/login/verify" | "/auth/login/factor") => {
                Ok(see_other(&self.login_url(form::submitted_from(&request).next.as_ref())))
            }
            (_, path) => Ok(not_routed(path)),
        };
        match result {
            Ok(response) => response,
            // A second click, or another tab: the first form has signed the person in.
            Err(error_page)
                if matches!(error_page.error, LoginError::OutOfDate) && self.is_signed_in(&request, now).await =>
            {
                self.continue_to(error_page.retry_page.next.as_ref())
            }
            Err(error_page) => self.error_page(&request, error_page, now).await,
        }
    }

    async fn handle_malformed(&self, request: Request, malformed: ParameterError) -> Response {
        self.error_page(&request, LoginError::Malformed(malformed).into(), self.clock.now()).await
    }
}

impl Login {
    /// The address of the sign-in page, which leads to `next`.
    fn login_url(&self, next: Option<&Next>) -> String {
        match next {
            Some(next) => format!("{}?next={}", self.at("/login"), encoded(next.as_str())),
            None => self.at("/login"),
        }
    }

    /// The address of what is at `rest` below `/auth`.
    fn at(&self, rest: &str) -> String {
        self.issuer.at(&self.layout.paths().auth(rest))
    }
}

/// The response to an unknown path (404) or method (405).
fn not_routed(path: &str) -> Response {
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
