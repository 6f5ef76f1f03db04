//! AWS KMS as `aws-sdk-kms` speaks to it: awsJson1.1 over HTTP, one address, the operation in `X-Amz-Target`.
//!
//! `Sign` and `GetPublicKey` are there, the rest of KMS is not. Credentials are asked for and not checked.

mod algorithm;
mod error;
pub mod key;
mod public_key;
mod sign;

use crate::kms::error::KmsError;
use crate::kms::key::{ARN_PREFIX, Key};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The keys, and what a test may do to them.
pub struct Kms {
    keys: Vec<Key>,
    state: Mutex<KmsState>,
}

/// How often each operation was called, refused calls included: for tests of what a request may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls of `Sign`.
    pub sign: u64,
    /// Calls of `GetPublicKey`.
    pub get_public_key: u64,
}

/// A failure of the service that a test asks for, where it wants to see what the caller makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// 400 `ThrottlingException`, which the SDK retries.
    Throttled,
    /// 500 `KMSInternalException`, which the SDK retries.
    Internal,
    /// 400 `KMSInvalidStateException`, which the SDK does not retry.
    InvalidState,
}

#[derive(Default)]
struct KmsState {
    disabled: BTreeSet<String>,
    outages: VecDeque<Outage>,
    calls: Calls,
}

impl Kms {
    /// Answers for `keys`.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Arc<Self> {
        Arc::new(Self { keys, state: Mutex::default() })
    }

    /// `POST /`, the only address KMS has.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/", post(answer)).with_state(Arc::clone(self))
    }

    /// Answers one request: for those who have it in hand.
    pub fn answer(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        match self.perform(headers, body) {
            Ok(output) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], output.to_string()).into_response(),
            Err(error) => {
                tracing::info!(?error, "fake KMS refused");
                error.into_response()
            }
        }
    }

    /// What has been called so far.
    pub fn calls(&self) -> Calls {
        self.lock_state().calls
    }

    /// Disables the key with this id, as an administrator would: every use is refused with `DisabledException`.
    pub fn disable(&self, id: &str) {
        self.lock_state().disabled.insert(id.to_owned());
    }

    /// Takes [`Kms::disable`] back.
    pub fn enable(&self, id: &str) {
        self.lock_state().disabled.remove(id);
    }

    /// The next `times` calls fail with `outage`. The SDK retries most outages three times per call of ours.
    pub fn fail_next(&self, outage: Outage, times: usize) {
        self.lock_state().outages.extend(std::iter::repeat_n(outage, times));
    }

    fn perform(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, KmsError> {
        let credentials = headers.get(header::AUTHORIZATION).ok_or(KmsError::NoCredentials)?;
        if !credentials.as_bytes().starts_with(b"AWS4-HMAC-SHA256 ") {
            return Err(KmsError::ForeignCredentials);
        }
        let operation = Operation::from_headers(headers).ok_or(KmsError::UnknownOperation)?;
        self.lock_state().begin(&operation)?;
        match operation {
            Operation::Sign => sign::perform(self, body),
            Operation::GetPublicKey => public_key::perform(self, body),
        }
    }

    /// The key that a `KeyId` means: id, key ARN, alias name or alias ARN.
    fn key(&self, key_id: &str) -> Result<&Key, KmsError> {
        let name = key_id.strip_prefix(ARN_PREFIX).unwrap_or(key_id);
        let found = if name.starts_with("alias/") {
            self.keys.iter().find(|key| key.aliases().iter().any(|alias| alias == name))
        } else {
            // The prefix "key/" belongs to an ARN and to nothing else.
            let id = if name.len() == key_id.len() { Some(name) } else { name.strip_prefix("key/") };
            self.keys.iter().find(|key| Some(key.id()) == id)
        };
        let key = found.ok_or_else(|| KmsError::NotFound(key_id.to_owned()))?;
        if self.lock_state().disabled.contains(key.id()) {
            return Err(KmsError::Disabled(key.arn()));
        }
        Ok(key)
    }

    fn lock_state(&self) -> MutexGuard<'_, KmsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(kms): State<Arc<Kms>>, headers: HeaderMap, body: Bytes) -> Response {
    kms.answer(&headers, &body)
}

enum Operation {
    Sign,
    GetPublicKey,
}

impl Operation {
    fn from_headers(headers: &HeaderMap) -> Option<Self> {
        match headers.get("x-amz-target")?.as_bytes() {
            b"TrentService.Sign" => Some(Self::Sign),
            b"TrentService.GetPublicKey" => Some(Self::GetPublicKey),
            _ => None,
        }
    }
}

impl KmsState {
    fn begin(&mut self, operation: &Operation) -> Result<(), KmsError> {
        match operation {
            Operation::Sign => self.calls.sign += 1,
            Operation::GetPublicKey => self.calls.get_public_key += 1,
        }
        self.outages.pop_front().map_or(Ok(()), |outage| Err(KmsError::Outage(outage)))
    }
}

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
