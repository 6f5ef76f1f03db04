//! Tells Supabase where a person comes from (`Sb-Forwarded-For`), so that it limits each by their own address, and not all by ours.
//!
//! Supabase believes that of a holder of a secret key alone, in a project that has "IP address forwarding" switched on. Such a key opens
//! the whole project, so it is in no variable: it is read from Secrets Manager, and kept for minutes. Without it people sign in as
//! those of other deployments do.
//!
//! Supabase looks at no captcha of a holder of a secret key (GoTrue `verifyCaptcha`), and nothing that it publishes says whether the
//! project demands one. So a call that a captcha may guard has the key only for a minute after Supabase answered such a call that had
//! the publishable key and no captcha (docs/decisions/0055-address-forwarding.md).

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use crate::clock::{Clock, Timestamp};
use crate::environment::Environment;
use crate::stored_secret::StoredSecret;
use crate::telemetry::request_context::RequestContext;

/// How every secret key of a project begins.
pub(super) const SECRET_KEY_PREFIX: &str = "sb_secret_";

/// Errors of a password, or of who may have a code, which GoTrue looks at after the captcha.
const AFTER_CAPTCHA: [&str; 4] = ["invalid_credentials", "email_not_confirmed", "user_banned", "otp_disabled"];

/// The secret key, as long as it is kept.
pub(super) struct AddressForwarding {
    secret: StoredSecret,
    clock: Clock,
    kept: Mutex<Option<KeptKey>>,
    /// Until when the project counts as one that demands no captcha.
    no_captcha_until: Mutex<Timestamp>,
}

/// Whether Supabase hears of the person's address in place of ours, which takes the secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardsAddress {
    /// It does not limit the call by address, or a captcha's token in the call must be judged.
    Never,
    /// It limits the call by address.
    Always,
    /// The same, and there is no token in the call, although the project may demand a captcha for it.
    UnlessCaptcha,
}

struct KeptKey {
    /// None if it could not be read, or Supabase does not take it.
    key: Option<HeaderValue>,
    until: Timestamp,
}

/// What a call with an address has in place of the publishable key.
pub(super) struct Forwarded {
    pub(super) key: HeaderValue,
    pub(super) address: IpAddr,
}

impl AddressForwarding {
    /// A key that was replaced counts after this long.
    const KEPT: Duration = Duration::from_mins(5);
    /// Where there is none, Secrets Manager is not called for each person.
    const BACKOFF: Duration = Duration::from_secs(30);
    /// How long an answer shows that the project demands no captcha. Afterwards one more call goes with the publishable key.
    const NO_CAPTCHA: Duration = Duration::from_mins(1);

    /// From `FORWARDING_SECRET`, if it is set. Makes no call.
    pub(super) fn new(environment: &Environment) -> Option<Self> {
        let secret = environment.stored_secret("FORWARDING_SECRET")?;
        let no_captcha_until = Mutex::new(Timestamp::from_seconds(0));
        Some(Self { secret, clock: environment.clock(), kept: Mutex::default(), no_captcha_until })
    }

    /// For a call that the current request makes. Nothing where its address is not known, there is no key now, or the key could take a
    /// captcha away.
    pub(super) async fn of_current_request(&self, forwards_address: ForwardsAddress) -> Option<Forwarded> {
        let is_allowed = match forwards_address {
            ForwardsAddress::Never => false,
            ForwardsAddress::Always => true,
            ForwardsAddress::UnlessCaptcha => self.clock.now() < *self.no_captcha_until(),
        };
        if !is_allowed {
            return None;
        }
        let address = RequestContext::current()?.subscriber()?;
        Some(Forwarded { key: self.key().await?, address })
    }

    async fn key(&self) -> Option<HeaderValue> {
        let now = self.clock.now();
        if let Some(kept) = &*self.kept.lock().unwrap_or_else(PoisonError::into_inner)
            && now < kept.until
        {
            return kept.key.clone();
        }
        match self.secret.fetch(SECRET_KEY_PREFIX).await {
            Ok(key) => self.keep(Some(key), now.plus(Self::KEPT)),
            Err(error) => {
                tracing::warn!(%error, "people sign in without their address: the secret key cannot be read");
                self.keep(None, now.plus(Self::BACKOFF))
            }
        }
    }

    /// Learns from the status and the error code of a response to a call without a captcha's token that was made with the publishable
    /// key. Only what Supabase decides after it has looked for the token shows that it demands none. Its limits come before, and so does a
    /// body that it cannot read.
    pub(super) fn learn(&self, status: StatusCode, code: Option<&str>) {
        if status.is_success() || code.is_some_and(|code| AFTER_CAPTCHA.contains(&code)) {
            *self.no_captcha_until() = self.clock.now().plus(Self::NO_CAPTCHA);
        }
    }

    fn no_captcha_until(&self) -> MutexGuard<'_, Timestamp> {
        self.no_captcha_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Supabase did not take the key. A new one may be in Secrets Manager by now.
    pub(super) fn refused(&self) {
        tracing::warn!("people sign in without their address: Supabase does not take the secret key");
        self.keep(None, self.clock.now().plus(Self::BACKOFF));
    }

    fn keep(&self, key: Option<HeaderValue>, until: Timestamp) -> Option<HeaderValue> {
        let kept = KeptKey { key: key.clone(), until };
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        key
    }
}
