//! The provider of a captcha, as a page and a server meet it: the widget's script and frame, at the paths of Cloudflare's
//! Turnstile and of hCaptcha, and the check of a token. Nobody is asked anything: the widget has its token after a moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;

/// The provider, who remembers its tokens.
#[derive(Debug, Default)]
pub struct Captcha(Mutex<BTreeMap<String, TokenStatus>>);

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenStatus {
    Good,
    /// Checked once, or too old: the provider's answer is the same.
    Used,
}

/// What the real widgets give for the site keys that are for tests. Good as often as one likes.
pub const TEST_TOKENS: [&str; 2] = ["XXXX.DUMMY.TOKEN.XXXX", "10000000-aaaa-bbbb-cccc-000000000001"];
/// Turnstile's site key for tests that always passes.
pub const TURNSTILE_TEST_SITE_KEY: &str = "1x00000000000000000000AA";
/// hCaptcha's site key for tests.
pub const HCAPTCHA_TEST_SITE_KEY: &str = "10000000-ffff-ffff-ffff-000000000001";

impl Captcha {
    /// One that has given no token yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A new token, as the widget has it when the person has passed.
    pub fn token(&self) -> String {
        let mut tokens = self.tokens();
        let token = format!("0.fake.{}", tokens.len());
        tokens.insert(token.clone(), TokenStatus::Good);
        token
    }

    /// Lets five minutes pass for every token so far.
    pub fn expire(&self) {
        self.tokens().values_mut().for_each(|status| *status = TokenStatus::Used);
    }

    /// Checks a token, which counts once.
    ///
    /// # Errors
    /// When it is not good, with the provider's code.
    pub fn check(&self, token: &str) -> Result<(), &'static str> {
        if TEST_TOKENS.contains(&token) {
            return Ok(());
        }
        match self.tokens().get_mut(token) {
            Some(status @ TokenStatus::Good) => {
                *status = TokenStatus::Used;
                Ok(())
            }
            Some(TokenStatus::Used) => Err("timeout-or-duplicate"),
            None => Err("invalid-input-response"),
        }
    }

    /// What its hosts serve to browsers.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/turnstile/v0/api.js", get(script))
            .route("/1/api.js", get(script))
            .route("/widget.css", get(style))
            .route("/checksiteconfig", get(|| async { ([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], "{}") }))
            .route("/frame", get(frame))
            .with_state(Arc::clone(self))
    }

    fn tokens(&self) -> MutexGuard<'_, BTreeMap<String, TokenStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript")], include_str!("widget.js"))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], ".h-captcha iframe { border-radius: 4px }")
}

/// Hands a token to the page around it. Real widgets do so too, by messages.
async fn frame(State(captcha): State<Arc<Captcha>>) -> impl IntoResponse {
    Html(format!(
        "<!doctype html><html lang=\"en\"><title>Captcha</title><p>Checked.</p>\
         <script>setTimeout(() => parent.postMessage({{ token: '{}' }}, '*'), 600)</script></html>",
        captcha.token()
    ))
}
