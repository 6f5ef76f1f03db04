//! AWS KMS as `aws-sdk-kms` speaks to it: awsJson1.1 over HTTP, one address, the operation in `X-Amz-Target`.
//!
//! `Sign`, `GetPublicKey` and `GenerateMac` are there, the rest of KMS is not. Credentials are asked for and not checked.

mod algorithm;
mod error;
mod generate_mac;
pub mod key;
pub mod key_spec;
mod key_store;
pub mod mac_key;
pub mod outage;
mod public_key;
mod sign;

use crate::kms::error::{CONTENT_TYPE, KmsError};
use crate::kms::key::Key;
use crate::kms::key_store::KeyStore;
use crate::kms::mac_key::MacKey;
use crate::kms::outage::Outage;
use crate::signature::is_signed;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The keys, and what a test may do to them.
pub struct Kms {
    keys: KeyStore,
    state: Mutex<KmsState>,
}

/// How often each operation was called, refused calls included: for tests of what a request may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls of `Sign`.
    pub sign: u64,
    /// Calls of `GetPublicKey`.
    pub get_public_key: u64,
    /// Calls of `GenerateMac`.
    pub generate_mac: u64,
}

#[derive(Default)]
struct KmsState {
    outages: VecDeque<Outage>,
    calls: Calls,
}

impl Kms {
    /// Answers for `keys`, which sign, and `mac_keys`.
    #[must_use]
    pub fn new(keys: Vec<Key>, mac_keys: Vec<MacKey>) -> Arc<Self> {
        Arc::new(Self { keys: KeyStore::new(keys, mac_keys), state: Mutex::default() })
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
        self.keys.disable(id);
    }

    /// Takes [`Kms::disable`] back.
    pub fn enable(&self, id: &str) {
        self.keys.enable(id);
    }

    /// The next `times` calls fail with `outage`. The SDK retries most outages three times per call of ours.
    pub fn fail_next(&self, outage: Outage, times: usize) {
        self.lock_state().outages.extend(std::iter::repeat_n(outage, times));
    }

    fn perform(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, KmsError> {
        if !headers.contains_key(header::AUTHORIZATION) {
            return Err(KmsError::NoCredentials);
        }
        if !is_signed(headers) {
            return Err(KmsError::ForeignCredentials);
        }
        let operation = Operation::from_headers(headers).ok_or(KmsError::UnknownOperation)?;
        self.lock_state().begin(&operation)?;
        match operation {
            Operation::Sign => sign::perform(&self.keys, body),
            Operation::GetPublicKey => public_key::perform(&self.keys, body),
            Operation::GenerateMac => generate_mac::perform(&self.keys, body),
        }
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
    GenerateMac,
}

impl Operation {
    fn from_headers(headers: &HeaderMap) -> Option<Self> {
        match headers.get("x-amz-target")?.as_bytes() {
            b"TrentService.Sign" => Some(Self::Sign),
            b"TrentService.GetPublicKey" => Some(Self::GetPublicKey),
            b"TrentService.GenerateMac" => Some(Self::GenerateMac),
            _ => None,
        }
    }
}

impl KmsState {
    fn begin(&mut self, operation: &Operation) -> Result<(), KmsError> {
        match operation {
            Operation::Sign => self.calls.sign += 1,
            Operation::GetPublicKey => self.calls.get_public_key += 1,
            Operation::GenerateMac => self.calls.generate_mac += 1,
        }
        self.outages.pop_front().map_or(Ok(()), |outage| Err(KmsError::Outage(outage)))
    }
}
