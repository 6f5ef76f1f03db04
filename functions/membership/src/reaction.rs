//! What people have connected follows what they may do now, without waiting for the next refresh.

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::fault::Fault;
use shared::oauth::grant::Ending;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::connections::{Open, Whose};

use crate::Membership;

impl Membership {
    /// Ends what a former member has connected in `tenant`; limits what a member has to what their role allows. Repeated, it goes on
    /// where it ended.
    pub(crate) async fn react(&self, person: &PersonId, tenant: &TenantId, now: Timestamp) -> Result<(), Fault> {
        const AT_ONCE: usize = 100;

        let whose = Whose::Tenant { tenant, person: Some(person), client: None };
        let mut after = None;
        loop {
            let (open, next) = self.grants.open(whose, after.as_ref(), AT_ONCE, now).await?;
            if !open.is_empty() {
                // After the list, not before: whatever is in it was approved by this membership, or by an earlier one.
                let (standing, change) = self.directory.standing_and_change(person, tenant).await?;
                for open in &open {
                    let grant = &open.id.to_text();
                    let (client, tenant, person) = (open.client.as_str(), tenant.as_str(), person.as_str());
                    if let Some(standing) = &standing {
                        let allowed = standing.role.permissions;
                        if self.grants.limit(&open.id, allowed, change).await? {
                            let scope = &allowed.to_string();
                            audit::record(&Event::GrantLimited { grant, client, tenant, person, scope });
                        }
                    } else {
                        self.end(open, now).await?;
                    }
                }
            }
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }

    /// Revokes the keys that a former member made in `tenant`. They open nothing meanwhile, but would again if the person came back.
    pub(crate) async fn revoke_keys(&self, person: &PersonId, tenant: &TenantId, now: Timestamp) -> Result<(), Fault> {
        if self.directory.standing(person, tenant).await?.is_some() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let (keys, next) = self.keys.of_tenant(tenant, after.as_ref(), now).await?;
            for key in keys.iter().filter(|key| key.maker == *person) {
                self.keys.revoke(tenant, &key.id, None).await?;
            }
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }

    /// Says so before, as no crash may hide it, and after.
    async fn end(&self, open: &Open, now: Timestamp) -> Result<(), Fault> {
        let (grant, client) = (&open.id.to_text(), open.client.as_str());
        let (tenant, person) = (open.tenant.as_str(), open.person.as_str());
        let reason = Ending::MembershipGone.as_str();
        audit::record(&Event::GrantEnding { grant, client, tenant, person, reason, by: None });
        if self.grants.end(&open.id, Ending::MembershipGone, now).await? {
            audit::record(&Event::GrantEnded { grant, client, tenant, person, reason, by: None });
        }
        Ok(())
    }
}
