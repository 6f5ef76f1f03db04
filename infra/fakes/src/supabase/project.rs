//! A project: where it is, all that it knows, and what a test may do to it.

use crate::supabase::config::Config;
use crate::supabase::mail::Mail;
use crate::supabase::secret::Secret;
use crate::supabase::seed::Seed;
use crate::supabase::setup_error::SetupError;
use crate::supabase::state::State;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::{Host, Url};
use uuid::Uuid;

/// The project.
pub struct Supabase {
    pub(super) site: Site,
    pub(super) providers: Vec<String>,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    state: Mutex<State>,
    pub(super) request_counts: Mutex<BTreeMap<String, usize>>,
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

    /// How often a path has been asked for: `/auth/v1/user` and so on.
    pub fn request_count(&self, path: &str) -> usize {
        self.request_counts.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or_default()
    }

    /// How often anything has been asked for.
    pub fn total_request_count(&self) -> usize {
        self.request_counts.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
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

    /// While `true`, this path answers 429: of a gateway before GoTrue, which has no code for it.
    pub fn set_path_rate_limited(&self, path: &str, limited: bool) {
        let mut state = self.state();
        if limited {
            state.rate_limited_at.insert(path.to_owned());
        } else {
            state.rate_limited_at.remove(path);
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

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> i64 {
        (self.clock)()
    }

    pub(super) fn issuer(&self) -> String {
        format!("{}/auth/v1", self.site.url)
    }
}
