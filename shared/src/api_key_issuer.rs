//! The one place that creates API keys and records it in the audit.

use crate::clock::Timestamp;
use crate::oauth::api_key::{ApiKey, ApiKeyRecord};
use crate::store::api_keys::{Actor, ApiKeys, CreateApiKeyError, NewApiKey};
use crate::telemetry::audit::{Event, LogRecorder, Recorder};

/// Creates API keys, and records it.
#[derive(Clone, Copy)]
pub struct ApiKeyIssuer<'a, R = LogRecorder> {
    keys: &'a ApiKeys,
    recorder: R,
}

impl<'a> ApiKeyIssuer<'a> {
    /// Records in the log, as functions do.
    #[must_use]
    pub const fn new(keys: &'a ApiKeys) -> Self {
        Self::with_recorder(keys, LogRecorder)
    }
}

impl<'a, R> ApiKeyIssuer<'a, R> {
    /// Records by `recorder`.
    #[must_use]
    pub const fn with_recorder(keys: &'a ApiKeys, recorder: R) -> Self {
        Self { keys, recorder }
    }
}

impl<R: Recorder> ApiKeyIssuer<'_, R> {
    /// Creates a key, which is handed out here and never again. Whether the maker may make keys is for the caller to know.
    ///
    /// # Errors
    /// When it could do nothing, or too much; it was created before; or DynamoDB fails.
    pub async fn create(
        &self,
        actor: Actor<'_>,
        new: NewApiKey<'_>,
        now: Timestamp,
    ) -> Result<(ApiKey, ApiKeyRecord), CreateApiKeyError> {
        let (key, record) = self.keys.create(actor, new, now).await?;
        self.recorder.record_event(&Event::KeyMade {
            key: &record.id.to_text(),
            tenant: record.tenant.as_str(),
            person: record.maker.as_str(),
            scope: &record.scopes.to_string(),
            by: actor.audit_name().as_deref(),
        });
        Ok((key, record))
    }
}
