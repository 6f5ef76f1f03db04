//! A Supabase project as its callers meet it: the gateway's key check, GoTrue under `/auth/v1`, a mailbox and a social
//! provider to sign in with. In memory, for loopback addresses only.
//!
//! Behaviour follows GoTrue v2.196.0: PKCE and implicit flows, refresh tokens with a reuse interval of 10 s, codes of 6
//! digits that live an hour, tokens that live an hour. [`Config`] holds what an operator can set. A test plays recordings
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
mod oauth_server;
mod otp;
mod parameters;
mod password;
mod pkce;
mod provider;
mod random;
mod rate_limit;
mod redirect;
mod refresh;
pub mod secret;
pub mod seed;
mod sessions;
mod settings;
mod signed_in;
mod state;
mod timestamp;
mod token;
mod token_response;
pub mod totp;
mod user;
mod verify;

use crate::supabase::config::Config;
use crate::supabase::mail::Mail;
use crate::supabase::secret::Secret;
use crate::supabase::seed::Seed;
use crate::supabase::state::State;
use axum::Router;
use axum::extract::{Request, State as AxumState};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::{Host, Url};
use uuid::Uuid;

/// The project.
pub struct Supabase {
    site: Site,
    providers: Vec<String>,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    state: Mutex<State>,
    request_counts: Mutex<BTreeMap<String, usize>>,
}

/// Where the project is and whom it sends people back to.
#[derive(Clone, Debug)]
pub struct Site {
    /// The address at which [`Supabase::router`] is served, without a path: `supabase_url` of its callers. Loopback only.
    /// The issuer of its tokens is this with `/auth/v1`.
    pub url: String,
    /// `SITE_URL`: where people land when the address they asked for is not allowed.
    pub site_url: String,
    /// `URI_ALLOW_LIST`: globs; `*` stops at `.` and `/`, `**` does not.
    pub allow_list: Vec<String>,
    /// `sb_publishable_…`
    pub publishable_key: String,
    /// `sb_secret_…`
    pub secret_key: Secret,
}

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Anyone who can reach this may become anyone: it stays on this machine.
    #[error("the address of the fake Supabase must be http:// on a loopback host, without a path")]
    NotLoopback,
    /// `site_url` is not an address.
    #[error("site_url is not a URL")]
    SiteUrl,
    /// Two people of the seed have one e-mail address or one id.
    #[error("two people of the seed are one")]
    DuplicatePerson,
    /// A factor's secret is not base32.
    #[error("a factor's secret is not base32")]
    Factor,
    /// The cryptographic library failed.
    #[error("no key could be made")]
    KeyGeneration,
    /// What [`Supabase::save`] wrote cannot be read.
    #[error("the saved state cannot be read")]
    InvalidState(#[from] serde_json::Error),
}

impl Supabase {
    /// A project in which nobody has signed in yet. `clock` gives Unix seconds.
    ///
    /// # Errors
    /// When the site or the seed is unusable, or no key can be made.
    pub fn new(seed: Seed, site: Site, clock: Arc<dyn Fn() -> i64 + Send + Sync>) -> Result<Arc<Self>, SetupError> {
        let state = State::new().map_err(|_| SetupError::KeyGeneration)?;
        Self::open(seed, site, clock, state)
    }

    /// The project as [`Supabase::save`] left it, with the people of `seed`: who is gone from it is signed out.
    ///
    /// # Errors
    /// As [`Supabase::new`], and when `saved` cannot be read.
    pub fn restore(
        seed: Seed,
        site: Site,
        clock: Arc<dyn Fn() -> i64 + Send + Sync>,
        saved: &str,
    ) -> Result<Arc<Self>, SetupError> {
        Self::open(seed, site, clock, serde_json::from_str(saved)?)
    }

    fn open(
        seed: Seed,
        site: Site,
        clock: Arc<dyn Fn() -> i64 + Send + Sync>,
        mut state: State,
    ) -> Result<Arc<Self>, SetupError> {
        let url = Url::parse(&site.url).map_err(|_| SetupError::NotLoopback)?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if !loopback || url.scheme() != "http" || url.path() != "/" || url.query().is_some() {
            return Err(SetupError::NotLoopback);
        }
        Url::parse(&site.site_url).map_err(|_| SetupError::SiteUrl)?;
        let site = Site { url: site.url.trim_end_matches('/').to_owned(), ..site };
        state.load_seed(seed.people, clock())?;
        Ok(Arc::new(Self {
            site,
            providers: seed.providers,
            clock,
            state: Mutex::new(state),
            request_counts: Mutex::default(),
        }))
    }

    /// Everything a restart must not lose, as JSON: keys, sessions, refresh tokens, one-time codes. It is as secret as they are.
    ///
    /// # Errors
    /// None that is known; serialisation has the type.
    pub fn save(&self) -> Result<String, SetupError> {
        Ok(serde_json::to_string(&*self.state())?)
    }

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
            .nest("/auth/v1", gated.merge(open))
            .route("/provider", get(provider::page).post(provider::choose))
            .route("/inbox/{email}", get(inbox::show))
            .fallback(|| async { (StatusCode::NOT_FOUND, "404 page not found\n") })
            .layer(from_fn(error::render_errors))
            .layer(from_fn_with_state(Arc::clone(self), count))
            .with_state(Arc::clone(self))
    }

    /// How often a path has been asked for: `/auth/v1/user` and so on.
    pub fn request_count(&self, path: &str) -> usize {
        self.request_counts.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or_default()
    }

    /// The mails sent to this address, oldest first.
    pub fn inbox(&self, email: &str) -> Vec<Mail> {
        self.state().mails.iter().filter(|mail| mail.to == email.to_lowercase()).cloned().collect()
    }

    /// Takes a new key into use. The old one stays listed, its tokens stay good.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn rotate_key(&self) -> Result<(), SetupError> {
        self.state().keyring.rotate().map_err(|_| SetupError::KeyGeneration)
    }

    /// Revokes every key but the one in use: gone from the JWKS, their tokens refused.
    pub fn revoke_old_keys(&self) {
        self.state().keyring.revoke_old();
    }

    /// From now on a project of the old kind (`true`): tokens are HS256 and the JWKS is empty; or of the new kind (`false`).
    pub fn use_shared_secret(&self, shared: bool) {
        self.state().keyring.use_shared_secret(shared);
    }

    /// Bans a person or lifts the ban. Sessions stay and are refused while it lasts, as in GoTrue.
    pub fn set_banned(&self, email: &str, banned: bool) {
        self.state().people.set_banned(email, banned);
    }

    /// Deletes a person with every session.
    pub fn remove(&self, email: &str) {
        let mut state = self.state();
        if let Some(id) = state.people.find_by_email(email).map(|account| account.id) {
            state.remove(id);
        }
    }

    /// Ends every session of a person, as a sign-out elsewhere with scope `global` does.
    pub fn sign_out_everywhere(&self, email: &str) {
        self.state().sign_out_everywhere(email);
    }

    /// Changes what an operator set, as a restart with another environment does. Nobody is signed out by it.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        change(&mut self.state().config);
    }

    /// While `true`, `/token`, `/otp` and `POST /verify` answer 429 `over_request_rate_limit`.
    pub fn set_rate_limited(&self, limited: bool) {
        self.state().rate_limited = limited;
    }

    /// While `true`, nothing behind its gateway answers: 502 to everything.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// While `true`, nothing answers at this path: 502.
    pub fn set_path_down(&self, path: &str, down: bool) {
        let mut state = self.state();
        if down {
            state.down_at.insert(path.to_owned());
        } else {
            state.down_at.remove(path);
        }
    }

    /// The next so many verifications of a factor come from another address than their challenges, as from a network
    /// with several ways out.
    pub fn mismatch_next_addresses(&self, times: u32) {
        self.state().addresses_changed = times;
    }

    /// The code that a person's authenticator would show now for this factor of the seed.
    pub fn totp_code(&self, factor: Uuid) -> Option<String> {
        let now = self.now();
        self.state().factor_key(factor).map(|key| key.code(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        (self.clock)()
    }

    fn issuer(&self) -> String {
        format!("{}/auth/v1", self.site.url)
    }
}

async fn count(AxumState(supabase): AxumState<Arc<Supabase>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    *supabase.request_counts.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default() += 1;
    let down = {
        let state = supabase.state();
        state.down || state.down_at.contains(request.uri().path())
    };
    if down { StatusCode::BAD_GATEWAY.into_response() } else { next.run(request).await }
}
