//! A Supabase project as its callers meet it: the gateway's key check, GoTrue under `/auth/v1`, a mailbox and a social
//! provider to sign in with. In memory, for loopback addresses only.
//!
//! Behaviour follows GoTrue v2.196.0: PKCE and implicit flows, refresh tokens with a reuse interval of 10 s, codes of 6
//! digits that live an hour, tokens that live an hour. [`config::Config`] holds what an operator can set. A test plays recordings
//! of the real server against it (`tests/supabase/recordings.rs`).
//! Not there: sign-up, recovery, phone, SSO, passkeys, factors other than TOTP, `PostgREST`.

mod account;
mod admin;
mod authorize;
mod callback;
mod captcha;
pub mod config;
mod enroll;
mod error;
mod factors;
mod flow_state;
mod gateway;
mod health;
mod inbox;
mod jwks;
mod keyring;
mod logout;
pub mod mail;
mod mail_sender;
mod mfa_challenge;
mod oauth_server;
mod one_time_code;
mod otp;
mod parameters;
mod password;
mod pkce;
pub mod project;
mod provider;
mod random;
mod rate_limit;
mod rate_limit_bucket;
mod redirect;
mod refresh;
pub mod secret;
pub mod seed;
mod session_headers;
mod sessions;
mod settings;
pub mod setup_error;
mod signed_in;
mod state;
mod timestamp;
mod token;
mod token_response;
pub mod totp;
mod user;
mod verify;

use crate::supabase::project::Supabase;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::{Arc, PoisonError};

impl Supabase {
    /// The routes: `/auth/v1/…` as Supabase has them, `/inbox/{email}` and `/provider` as only a fake can.
    pub fn router(self: &Arc<Self>) -> Router {
        let gated = Router::new()
            .route("/token", post(token::issue))
            .route("/otp", post(otp::send))
            .route("/user", get(user::show))
            .route("/logout", post(logout::end))
            .route("/factors/{id}/challenge", post(factors::challenge))
            .route("/factors/{id}/verify", post(factors::verify))
            .route("/factors", post(enroll::enroll))
            .route("/admin/users", get(admin::users).post(admin::create))
            .route("/admin/users/{id}", get(admin::user).put(admin::update).delete(admin::delete))
            .route("/admin/generate_link", post(admin::generate_link))
            .route("/settings", get(settings::show))
            .route("/health", get(health::show))
            .route("/.well-known/openid-configuration", get(jwks::openid_configuration))
            .route("/.well-known/oauth-authorization-server", get(oauth_server::metadata))
            .route_layer(from_fn_with_state(Arc::clone(self), gateway::require_api_key));
        let open = Router::new()
            .route("/authorize", get(authorize::begin))
            .route("/callback", get(callback::end))
            .route("/verify", get(verify::follow).post(verify::redeem))
            .route("/.well-known/jwks.json", get(jwks::show));
        Router::new()
            .nest(
                "/auth/v1",
                gated.merge(open).layer(from_fn_with_state(Arc::clone(self), gateway::keep_forwarded_for)),
            )
            .route("/provider", get(provider::page).post(provider::choose))
            .route("/inbox/{email}", get(inbox::show))
            .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found\n") })
            .layer(from_fn(error::render_errors))
            .layer(from_fn_with_state(Arc::clone(self), count))
            .with_state(Arc::clone(self))
    }
}

async fn count(State(supabase): State<Arc<Supabase>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    *supabase.request_counts.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default() += 1;
    let refusal = {
        let (state, path) = (supabase.state(), request.uri().path());
        if state.down || state.down_at.contains(path) {
            Some(StatusCode::BAD_GATEWAY)
        } else {
            state.rate_limited_at.contains(path).then_some(StatusCode::TOO_MANY_REQUESTS)
        }
    };
    match refusal {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}
