//! Every hour: asks Supabase about people whose connections or API keys were in use within a day, and ends everything of those who are
//! banned or deleted there.
//!
//! It is for a deployment that gives it a secret key, and for people of whom the feed did not hear. No request waits for it. What is not
//! a clear answer ends nothing: no answer, an error, and too many people at once who are said to be gone.

mod account;
mod batch;
mod error;

use std::time::Duration;

use serde_json::Value;
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::identity::supabase::Supabase;
use shared::joint_revocation::JointRevocation;
use shared::lambda::{Error, Listener};
use shared::member_revocation::MemberRevocation;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::tenant::PersonId;
use shared::store::api_keys::ApiKeys;
use shared::store::directory::Directory;
use shared::store::grants::Grants;
use shared::telemetry::audit::{self, Event};
use shared::telemetry::request_context;

use batch::Answers;
use error::PeopleError;

/// Ends what banned and deleted people have.
pub struct People {
    directory: Directory,
    grants: Grants,
    keys: ApiKeys,
    supabase: Supabase,
    clock: Clock,
}

impl People {
    /// Connections and keys count that were in use this long ago.
    const SEEN_WITHIN: Duration = Duration::from_hours(24);

    /// With the tables and a secret key of the Supabase project.
    ///
    /// # Errors
    /// When a setting is missing or unusable.
    #[expect(clippy::unused_async, reason = "every function is made in the same way")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            directory: environment.directory()?,
            grants: environment.grants()?,
            keys: environment.keys()?,
            supabase: Supabase::with_secret_key(environment)?,
            clock: environment.clock(),
        })
    }

    async fn check(&self, now: Timestamp) -> Result<(), PeopleError> {
        let since = now.minus(Self::SEEN_WITHIN);
        let mut seen = self.grants.people_since(since).await?;
        seen.extend(self.keys.makers_since(since).await?);
        let batch = batch::of(seen, now);
        let answers = Box::pin(batch::ask(&self.supabase, &batch, now)).await;
        let Answers { banned, deleted, active, failure } = answers;
        let answered = active + banned.len() + deleted.len();
        let (people, unknown) = (batch.len(), batch.len() - answered);
        tracing::info!(people, active, banned = banned.len(), deleted = deleted.len(), unknown, "people checked");
        // Of another project, or of one that was restored to an earlier day, nobody would be known, and bans would be those of then.
        let implausible = deleted.len() > 3 && deleted.len() > active + banned.len();
        if implausible {
            return Err(PeopleError::Implausible { deleted: deleted.len(), answered });
        }
        for person in &banned {
            Box::pin(self.end(person, RevocationReason::PersonBanned, now)).await?;
        }
        for person in &deleted {
            Box::pin(self.end(person, RevocationReason::PersonDeleted, now)).await?;
        }
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Ends everything of a person: each membership begins anew, or, of whoever is deleted, is over.
    async fn end(&self, person: &PersonId, reason: RevocationReason, now: Timestamp) -> Result<(), PeopleError> {
        let memberships = self.directory.memberships(person).await?;
        audit::record(&Event::PersonFollowed {
            person: person.as_str(),
            reason: reason.as_str(),
            change: None,
            tenants: memberships.len() as u64,
        });
        let joint = JointRevocation::new((&self.directory, &self.grants), reason, None, now);
        for membership in &memberships {
            match reason {
                RevocationReason::PersonDeleted => joint.remove_member(membership).await?,
                _ => {
                    joint.renew_member(membership, None).await?;
                }
            }
        }
        let left = MemberRevocation::new((&self.directory, &self.grants, &self.keys), reason, now);
        for membership in &memberships {
            left.mark(person, &membership.tenant, None).await?;
        }
        Ok(())
    }
}

impl Listener for People {
    async fn handle(&self, _: Value) -> Result<(), Error> {
        // Boxed, as its parts are: what a compiler knows of a future has a limit of depth.
        Ok(request_context::without_request("people", Box::pin(self.check(self.clock.now()))).await?)
    }
}
