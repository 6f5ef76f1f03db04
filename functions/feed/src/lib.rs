//! `POST /hooks/membership`: the product's database sends each change of a membership, and who was banned or deleted. From the answer on
//! it counts: a call reads the membership that its grant or key rests on.
//!
//! Each change has a number. A change may arrive twice, late, or out of order, so the table keeps the number of the last change
//! that counts. The sender repeats a delivery until the response is 2xx, and repeats each delivery once more after a minute. Then the
//! index lists what a former member connected in their last second, and it is marked as revoked too.

mod change;
mod error;
mod signature;

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Method, StatusCode};
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::oauth_error_response;
use shared::http::parameters::ParameterError;
use shared::http::{body, response};
use shared::joint_revocation::JointRevocation;
use shared::lambda::{Function, Request, Response};
use shared::member_revocation::MemberRevocation;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::tenant::PersonId;
use shared::store::api_keys::ApiKeys;
use shared::store::directory::Directory;
use shared::store::grants::Grants;
use shared::store::membership_changes::ChangeOutcome;
use shared::telemetry::audit::{self, Event};

use change::{Change, Content, Delivery};
use error::FeedError;
use signature::{Secrets, VerifiedDelivery};

/// How long one delivery may be processed. The sender waits 10 seconds, and a batch that has begun is finished.
const TIME_LIMIT: Duration = Duration::from_secs(4);

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

    /// Follows what was delivered. The id of the delivery, for the answer.
    async fn process<'a>(&self, request: &'a Request, now: Timestamp) -> Result<&'a HeaderValue, FeedError> {
        let deadline = Instant::now() + TIME_LIMIT;
        let body = body::bytes(request);
        if body.len() > Self::LIMIT {
            return Err(FeedError::TooLarge);
        }
        let VerifiedDelivery { id, body } = self.secrets.verify(request.headers(), body, now)?;
        let Delivery { content, sequence } = Delivery::read(request, body)?;
        match content {
            Content::Memberships(changes) => {
                let reason = RevocationReason::MembershipGone;
                self.apply(&changes, reason, sequence, deadline, now).await?;
            }
            Content::PersonBanned(person) => self.ban(&person, sequence, deadline, now).await?,
            // Their memberships end, also those that the product has told of and whose end did not get through.
            Content::PersonDeleted(person) => {
                let reason = RevocationReason::PersonDeleted;
                let tenants = self.directory.known_tenants(&person).await?;
                record_person(&person, reason, sequence, tenants.len());
                let changes = tenants.into_iter().map(|tenant| Change { person: person.clone(), tenant, role: None });
                self.apply(&changes.collect::<Vec<_>>(), reason, sequence, deadline, now).await?;
            }
        }
        Ok(id)
    }

    async fn apply(
        &self,
        changes: &[Change],
        reason: RevocationReason,
        sequence: u64,
        deadline: Instant,
        now: Timestamp,
    ) -> Result<(), FeedError> {
        let left = MemberRevocation::new((&self.directory, &self.grants, &self.keys), reason, now);
        // All end before the first is marked: that takes time, and may have to go on at the next delivery.
        let mut ended = Vec::new();
        for Change { person, tenant, role } in changes {
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
            // What is repeated is marked again, as the first time may have stopped in the middle. A superseded change is not: the
            // sender also repeats the change that superseded it.
            if role.is_none() && matches!(applied, ChangeOutcome::Applied | ChangeOutcome::Repeated) {
                ended.push((person, tenant));
            }
        }
        for (person, tenant) in ended {
            left.mark(person, tenant, Some(deadline)).await?;
        }
        Ok(())
    }

    /// Ends what a person has connected, and their API keys, in every tenant. They stay a member: a ban may be lifted, and then they
    /// connect again.
    async fn ban(&self, person: &PersonId, sequence: u64, deadline: Instant, now: Timestamp) -> Result<(), FeedError> {
        let reason = RevocationReason::PersonBanned;
        let memberships = self.directory.memberships(person).await?;
        record_person(person, reason, sequence, memberships.len());
        let joint = JointRevocation::new((&self.directory, &self.grants), reason, None, now);
        let left = MemberRevocation::new((&self.directory, &self.grants, &self.keys), reason, now);
        let mut ended = Vec::new();
        for membership in &memberships {
            match joint.renew_member(membership, Some(sequence)).await? {
                ChangeOutcome::Applied | ChangeOutcome::Repeated => ended.push(&membership.tenant),
                ChangeOutcome::Superseded | ChangeOutcome::Stale => {}
            }
        }
        for tenant in ended {
            left.mark(person, tenant, Some(deadline)).await?;
        }
        Ok(())
    }
}

/// 204 for every outcome, also a stale one: the sender need not repeat the delivery. With its id: `pg_net` numbers its requests anew
/// after a crash of the database, so by the number alone a sender may take the answer for that of another delivery.
fn delivered(id: &HeaderValue) -> Response {
    const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
    let mut response = response::no_store(response::empty(StatusCode::NO_CONTENT));
    response::set_header(&mut response, WEBHOOK_ID, id.clone());
    response
}

fn record_person(person: &PersonId, reason: RevocationReason, change: u64, tenants: usize) {
    let (person, reason, tenants) = (person.as_str(), reason.as_str(), tenants as u64);
    audit::record(&Event::PersonFollowed { person, reason, change: Some(change), tenants });
}

impl Function for ProductFeed {
    const NAME: &'static str = "membership";

    async fn handle(&self, request: Request) -> Response {
        match *request.method() {
            Method::POST => match self.process(&request, self.clock.now()).await {
                Ok(id) => delivered(id),
                Err(error) => error.to_response(&request),
            },
            _ => response::method_not_allowed("POST"),
        }
    }

    /// Answers without CORS headers: the sender is no browser.
    async fn handle_malformed(&self, request: Request, malformed: ParameterError) -> Response {
        oauth_error_response::OAuthErrorResponse::from(malformed).into_response(&request, &malformed)
    }
}
