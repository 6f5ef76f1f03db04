//! `POST /hooks/membership`: the product's database tells how memberships change, and what people have connected follows at once.
//!
//! Each change has a number. It may arrive twice, late, or out of order: the table keeps the number of the last one that counts.
//! The sender repeats what was not answered 2xx, and everything once more after a minute: that catches what was being approved,
//! by the membership as it was, while the change arrived.

mod change;
mod reaction;
mod refusal;
mod signature;

use std::time::Instant;

use http::{Method, StatusCode};
use shared::audit::{self, Event};
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::error_response;
use shared::http::parameters::ParameterError;
use shared::http::{body, response};
use shared::lambda::{Function, Request, Response};
use shared::store::api_keys::ApiKeys;
use shared::store::directory::{ChangeOutcome, Directory};
use shared::store::grants::Grants;

use change::{Change, Told};
use reaction::{PATIENCE, Reaction};
use refusal::Refusal;
use signature::Secrets;

/// Follows the product's memberships.
pub struct Membership {
    directory: Directory,
    grants: Grants,
    keys: ApiKeys,
    secrets: Secrets,
    clock: Clock,
}

impl Membership {
    /// A delivery of ours has some 300 bytes.
    const LIMIT: usize = 16 * 1024;

    /// With the tables of members, grants and keys, and the secrets that deliveries are signed with.
    ///
    /// # Errors
    /// When a setting is missing, or a secret is none.
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

    async fn follow(&self, request: &Request, now: Timestamp) -> Result<(), Refusal> {
        let until = Instant::now() + PATIENCE;
        let body = body::bytes(request);
        if body.len() > Self::LIMIT {
            return Err(Refusal::TooLarge);
        }
        let signed = self.secrets.open(request.headers(), body, now)?;
        let Told { changes, number } = Told::read(request, signed)?;
        for change in &changes {
            let Change { person, tenant, role } = change;
            let followed = self.directory.apply_change((person, tenant), role.as_deref(), number, now).await?;
            audit::record(&Event::MembershipFollowed {
                tenant: tenant.as_str(),
                person: person.as_str(),
                role: role.as_deref(),
                change: number,
                outcome: match followed {
                    ChangeOutcome::Applied => "applied",
                    ChangeOutcome::Repeated(_) => "repeated",
                    ChangeOutcome::Superseded => "superseded",
                    ChangeOutcome::Stale => "stale",
                },
            });
            // Again if it is repeated: the first time may have ended in the middle. Whatever superseded it is repeated as well.
            let reached = match followed {
                ChangeOutcome::Applied => None,
                ChangeOutcome::Repeated(reached) => reached,
                ChangeOutcome::Superseded | ChangeOutcome::Stale => continue,
            };
            let reaction = Reaction { change, number, reached, until, now };
            self.react(&reaction).await?;
            if role.is_none() {
                self.revoke_keys(&reaction).await?;
            }
        }
        Ok(())
    }
}

impl Function for Membership {
    const NAME: &'static str = "membership";

    async fn handle(&self, request: Request) -> Response {
        match *request.method() {
            Method::POST => match self.follow(&request, self.clock.now()).await {
                // Whatever has become of it, the sender need not come back.
                Ok(()) => response::no_store(response::empty(StatusCode::NO_CONTENT)),
                Err(refusal) => refusal.answer(&request),
            },
            _ => response::method_not_allowed("POST"),
        }
    }

    /// Not for browsers, and so without CORS.
    async fn handle_malformed(&self, request: Request, malformed: ParameterError) -> Response {
        error_response::ErrorResponse::from(malformed).into_response(&request, &malformed)
    }
}
