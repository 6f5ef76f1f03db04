//! `POST /hooks/membership`: the product's database sends each change of a membership. From the answer on it counts: a call reads the
//! membership that its grant or key rests on.
//!
//! Each change has a number. A change may arrive twice, late, or out of order, so the table keeps the number of the last change
//! that counts. The sender repeats a delivery until the response is 2xx, and repeats each delivery once more after a minute. Then the
//! index lists what a former member connected in their last second, and it is marked as revoked too.

mod change;
mod error;
mod propagation;
mod signature;

use std::time::Instant;

use http::{Method, StatusCode};
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::error_response;
use shared::http::parameters::ParameterError;
use shared::http::{body, response};
use shared::lambda::{Function, Request, Response};
use shared::store::api_keys::ApiKeys;
use shared::store::directory::Directory;
use shared::store::grants::Grants;
use shared::store::membership_changes::ChangeOutcome;
use shared::telemetry::audit::{self, Event};

use change::{Change, Delivery};
use error::FeedError;
use propagation::{Propagation, TIME_LIMIT};
use signature::Secrets;

/// Applies the product's changes of memberships to grants and API keys.
pub struct ProductFeed {
    directory: Directory,
    grants: Grants,
    keys: ApiKeys,
    secrets: Secrets,
    clock: Clock,
}

impl ProductFeed {
    /// The longest body. A delivery has some 300 bytes.
    const LIMIT: usize = 16 * 1024;

    /// Makes the endpoint with the tables of members, grants and keys, and the secrets that deliveries are signed with.
    ///
    /// # Errors
    /// When a setting is missing, or a secret is malformed.
    #[expect(clippy::unused_async, reason = "every function is made in the same way")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        const SECRETS: &str = "MEMBERSHIP_SECRETS";
        let secrets = Secrets::parse(&environment.required(SECRETS)?);
        Ok(Self {
            directory: environment.directory()?,
            grants: environment.grants()?,
            keys: environment.keys()?,
            secrets: secrets.ok_or(ConfigError::Unusable(SECRETS, "whsec_ and base64 of 24 to 64 bytes, each"))?,
            clock: environment.clock(),
        })
    }

    async fn process(&self, request: &Request, now: Timestamp) -> Result<(), FeedError> {
        let deadline = Instant::now() + TIME_LIMIT;
        let body = body::bytes(request);
        if body.len() > Self::LIMIT {
            return Err(FeedError::TooLarge);
        }
        let signed = self.secrets.verify(request.headers(), body, now)?;
        let Delivery { changes, sequence } = Delivery::read(request, signed)?;
        for change in &changes {
            let Change { person, tenant, role } = change;
            let applied = self.directory.apply_change((person, tenant), role.as_deref(), sequence, now).await?;
            audit::record(&Event::MembershipFollowed {
                tenant: tenant.as_str(),
                person: person.as_str(),
                role: role.as_deref(),
                change: sequence,
                outcome: match applied {
                    ChangeOutcome::Applied => "applied",
                    ChangeOutcome::Repeated => "repeated",
                    ChangeOutcome::Superseded => "superseded",
                    ChangeOutcome::Stale => "stale",
                },
            });
            // A repeated change is propagated again, as the first time may have stopped in the middle. A superseded
            // change is not: the sender also repeats the change that superseded it.
            if role.is_some() || !matches!(applied, ChangeOutcome::Applied | ChangeOutcome::Repeated) {
                continue;
            }
            let (directory, grants, keys) = (&self.directory, &self.grants, &self.keys);
            let propagation = Propagation { directory, grants, keys, change, deadline, now };
            propagation.mark_grants().await?;
            propagation.revoke_keys().await?;
        }
        Ok(())
    }
}

impl Function for ProductFeed {
    const NAME: &'static str = "membership";

    async fn handle(&self, request: Request) -> Response {
        match *request.method() {
            Method::POST => match self.process(&request, self.clock.now()).await {
                // 204 for every outcome, also a stale one: the sender need not repeat the delivery.
                Ok(()) => response::no_store(response::empty(StatusCode::NO_CONTENT)),
                Err(error) => error.to_response(&request),
            },
            _ => response::method_not_allowed("POST"),
        }
    }

    /// Answers without CORS headers: the sender is no browser.
    async fn handle_malformed(&self, request: Request, malformed: ParameterError) -> Response {
        error_response::ErrorResponse::from(malformed).into_response(&request, &malformed)
    }
}
