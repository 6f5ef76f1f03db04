//! Limits attempts to sign in, by the address that they come from. Supabase limits our requests by our own address, for all people
//! together. One address gets a third of what Supabase gives us, so that no single one uses it up.
//!
//! A token bucket for each address is kept in each process. What can be guessed, and mails, are counted in the table as well, by the
//! hour, for all processes together. An attempt that is refused costs nothing, and one that succeeds is given back. So whoever was
//! refused waits for seconds, however often they tried. Where the address is not known, nobody is limited by it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::secret::{Digest, Secret};
use shared::store::clients::Clients;
use shared::store::sign_in_attempts::{CountedSignIn, SignInStep};
use shared::telemetry::request_context::RequestContext;
use shared::token_bucket::{Limit, TokenBucket};

use crate::error::LoginError;
use crate::supabase_error::SupabaseError;

/// The limits of this process, and the table of what all have counted.
pub(crate) struct RateLimiter {
    buckets: Mutex<HashMap<(Bucket, IpAddr), TokenBucket>>,
    clients: Clients,
    /// Keys the digests of addresses. Nothing in the table tells it.
    key: Secret<32>,
}

/// What is attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Password,
    /// To have a mail sent. It counts whatever comes of it: its code needs a second call, and the project can send so many mails.
    Mail,
    Code,
    /// The hash in the link of a mail, which nobody guesses.
    Link,
    Factor,
    /// To exchange the code of a flow.
    Exchange,
    Refresh,
}

/// What Supabase limits as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Bucket {
    Token,
    Otp,
    Verify,
    Factor,
}

impl Attempt {
    const fn bucket(self) -> Bucket {
        match self {
            Self::Password | Self::Exchange | Self::Refresh => Bucket::Token,
            Self::Mail => Bucket::Otp,
            Self::Code | Self::Link => Bucket::Verify,
            Self::Factor => Bucket::Factor,
        }
    }

    /// What is counted in the table.
    const fn step(self) -> Option<SignInStep> {
        match self {
            Self::Password => Some(SignInStep::Password),
            Self::Mail => Some(SignInStep::Mail),
            Self::Code => Some(SignInStep::Code),
            Self::Factor => Some(SignInStep::Factor),
            Self::Link | Self::Exchange | Self::Refresh => None,
        }
    }

    /// Whether an attempt with this outcome is given back.
    const fn is_free<T>(self, outcome: &Result<T, LoginError>) -> bool {
        match outcome {
            Ok(_) => !matches!(self, Self::Mail),
            Err(error) => error.is_temporary(),
        }
    }
}

impl Bucket {
    /// A third of Supabase's own limits (`RATE_LIMIT_…`): 30 at once, and in five minutes 150 of `/token`, 30 of `/otp`, 30 of
    /// `/verify`, 75 of the factors.
    const fn limit(self) -> Limit {
        let seconds = match self {
            Self::Token => 6,
            Self::Otp | Self::Verify => 30,
            Self::Factor => 12,
        };
        Limit { burst: 10, refill: 1, period: Duration::from_secs(seconds) }
    }

    /// The same for an hour.
    const fn in_an_hour(self) -> u32 {
        match self {
            Self::Token => 600,
            Self::Otp | Self::Verify => 120,
            Self::Factor => 300,
        }
    }
}

impl RateLimiter {
    /// The most buckets. One process sees fewer that are not full.
    const MAX_BUCKETS: usize = 4096;

    /// From `TABLE_CLIENTS` and `STACK_ID`.
    ///
    /// # Errors
    /// When one is missing or unusable.
    pub(crate) fn new(environment: &Environment) -> Result<Self, ConfigError> {
        let stack = environment.required("STACK_ID")?;
        Ok(Self {
            buckets: Mutex::default(),
            clients: environment.clients()?,
            key: Secret::from_bytes(*Digest::of(stack.as_bytes()).as_bytes()),
        })
    }

    /// The result of `future`, or `RateLimited` if too much was attempted from where the current request came from.
    pub(crate) async fn limit<T>(
        &self,
        attempt: Attempt,
        future: impl Future<Output = Result<T, LoginError>>,
        now: Timestamp,
    ) -> Result<T, LoginError> {
        let Some(address) = RequestContext::current().and_then(|context| context.subscriber()) else {
            return future.await;
        };
        if !self.try_take(attempt.bucket(), address, now) {
            return Err(SupabaseError::RateLimited.into());
        }
        let Ok(counted) = self.count(attempt, address, now).await else {
            self.put_back(attempt.bucket(), address);
            return Err(SupabaseError::RateLimited.into());
        };
        let outcome = future.await;
        if attempt.is_free(&outcome) {
            self.put_back(attempt.bucket(), address);
            self.uncount(counted).await;
        }
        outcome
    }

    /// Counts in the table what is counted there. An error if there were too many. If the table fails, this process alone limits:
    /// a limit must not keep people out.
    async fn count(
        &self,
        attempt: Attempt,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Option<CountedSignIn>, TooManyAttempts> {
        let Some(step) = attempt.step() else { return Ok(None) };
        let digest = self.key.mac(&[b"address\0", address.to_string().as_bytes()]);
        match self.clients.count_sign_in(&digest, step, attempt.bucket().in_an_hour(), now).await {
            Ok(Some(counted)) => Ok(Some(counted)),
            Ok(None) => Err(TooManyAttempts),
            Err(error) => {
                tracing::warn!(%error, "an attempt to sign in is not counted");
                Ok(None)
            }
        }
    }

    async fn uncount(&self, counted: Option<CountedSignIn>) {
        if let Some(counted) = counted
            && let Err(error) = self.clients.uncount_sign_in(counted).await
        {
            tracing::warn!(%error, "an attempt to sign in stays counted");
        }
    }

    fn try_take(&self, kind: Bucket, address: IpAddr, now: Timestamp) -> bool {
        let limit = kind.limit();
        let mut buckets = self.buckets();
        if buckets.len() >= Self::MAX_BUCKETS {
            buckets.retain(|(kind, _), bucket| !bucket.is_full(kind.limit(), now));
        }
        // If there are too many, further addresses are not limited.
        if buckets.len() >= Self::MAX_BUCKETS && !buckets.contains_key(&(kind, address)) {
            return true;
        }
        buckets.entry((kind, address)).or_insert(TokenBucket::full(limit, now)).try_take(limit, now)
    }

    fn put_back(&self, kind: Bucket, address: IpAddr) {
        if let Some(bucket) = self.buckets().get_mut(&(kind, address)) {
            bucket.put_back(kind.limit());
        }
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<(Bucket, IpAddr), TokenBucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many were attempted in this hour that no more may be.
struct TooManyAttempts;
