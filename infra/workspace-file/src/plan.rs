//! What applying a file will do, and doing it.

use std::collections::BTreeSet;
use std::fmt;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value, json};
use shared::clock::Timestamp;
use shared::oauth::tenant::TenantId;
use shared::store::directory::{Directory, PutTenantError, Tenant};
use shared::store::workspace::{Workspace, Workspaces, WriteError};
use shared::upstream_error::UpstreamError;
use thiserror::Error;

use crate::tenant::{Member, TenantDefinition};
use crate::workspace_item::WorkspaceItem;

/// What differs between a file and what there is, in the order in which it is written.
#[derive(Debug)]
pub struct Plan<'f> {
    changes: Vec<Change<'f>>,
    unchanged: usize,
}

/// One item that will be written.
#[derive(Debug)]
pub struct Change<'f> {
    tenant: &'f TenantId,
    subject: Subject<'f>,
    effect: Effect,
}

/// What writing it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is not there yet.
    Creates,
    /// It is there, and differs in this.
    Changes(Vec<String>),
}

#[derive(Debug)]
enum Subject<'f> {
    /// As the file has it.
    Tenant(&'f Tenant),
    Member(&'f Member),
    WorkspaceItem(&'f WorkspaceItem),
}

/// Why something was not written. What stood before it in the plan was.
#[derive(Debug, Error)]
#[error("{what}: {reason}")]
pub struct ApplyError {
    what: String,
    reason: ApplyFailure,
}

#[derive(Debug, Error)]
enum ApplyFailure {
    #[error(transparent)]
    Tenant(#[from] PutTenantError),
    #[error("it was removed since the plan was made")]
    Removed,
    #[error("they have left since the plan was made")]
    Left,
    #[error(transparent)]
    Item(#[from] WriteError),
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// How many items are read at once.
const CONCURRENT_READS: usize = 16;

impl<'f> Plan<'f> {
    pub(crate) async fn of(
        tenants: &'f [TenantDefinition],
        directory: &Directory,
        workspaces: &Workspaces,
    ) -> Result<Self, UpstreamError> {
        let mut plan = Self { changes: Vec::new(), unchanged: 0 };
        for TenantDefinition { tenant, members, items } in tenants {
            let now = directory.find(&tenant.id).await?;
            let wanted = with_other_roles(tenant, now.as_ref());
            let (comparable, stored_comparable) = (comparable_tenant(&wanted), now.as_ref().map(comparable_tenant));
            plan.add(&tenant.id, Subject::Tenant(tenant), &comparable, stored_comparable.as_ref());

            let found = stream::iter(members).map(|member| directory.membership(&member.person, &tenant.id));
            let found: Vec<_> = found.buffered(CONCURRENT_READS).try_collect().await?;
            for (member, membership) in members.iter().zip(found) {
                let now = membership.map(|membership| json!({ "role": membership.role.name }));
                plan.add(&tenant.id, Subject::Member(member), &json!({ "role": member.role }), now.as_ref());
            }

            let workspace = &workspaces.as_operator(&tenant.id);
            let found = stream::iter(items).map(|item| item.stored_comparable(workspace));
            let found: Vec<_> = found.buffered(CONCURRENT_READS).try_collect().await?;
            for (item, now) in items.iter().zip(found) {
                plan.add(&tenant.id, Subject::WorkspaceItem(item), &item.comparable(), now.as_ref());
            }
        }
        Ok(plan)
    }

    fn add(&mut self, tenant: &'f TenantId, subject: Subject<'f>, wanted: &Value, now: Option<&Value>) {
        let effect = match now {
            None => Effect::Creates,
            Some(now) => {
                let keys = [wanted, now].into_iter().filter_map(Value::as_object).flat_map(Map::keys).cloned();
                let differing: BTreeSet<_> = keys.filter(|key| wanted.get(key) != now.get(key)).collect();
                Effect::Changes(differing.into_iter().collect())
            }
        };
        match effect {
            Effect::Changes(differing) if differing.is_empty() => self.unchanged += 1,
            effect => self.changes.push(Change { tenant, subject, effect }),
        }
    }

    /// What will be written, in order.
    #[must_use]
    pub fn changes(&self) -> &[Change<'f>] {
        &self.changes
    }

    /// How many items are already as the file wants them.
    #[must_use]
    pub const fn unchanged(&self) -> usize {
        self.unchanged
    }

    /// Keeps only the changes of tools: where those are is what differs between two starts of one system.
    #[must_use]
    pub fn only_tools(mut self) -> Self {
        self.changes.retain(|change| matches!(change.subject, Subject::WorkspaceItem(WorkspaceItem::Tool(_))));
        self
    }

    /// Leaves the members out, whose ids are of another sign-in service.
    #[must_use]
    pub fn without_members(mut self) -> Self {
        self.changes.retain(|change| !matches!(change.subject, Subject::Member(_)));
        self
    }

    /// Does it, telling of each change when it is done. Whoever is interrupted plans again, and goes on where it ended.
    ///
    /// # Errors
    /// At the first that fails.
    pub async fn apply(
        &self,
        directory: &Directory,
        workspaces: &Workspaces,
        now: Timestamp,
        mut done: impl FnMut(&Change<'f>),
    ) -> Result<(), ApplyError> {
        // One for all changes of a tenant: it reads only once where the items lie.
        let mut of_tenant: Option<Workspace> = None;
        for change in &self.changes {
            let written = match &change.subject {
                Subject::Tenant(tenant) => {
                    // Roles that the file does not name are left as they are at the moment of the write.
                    let begins = change.effect == Effect::Creates;
                    let merge = |there: Option<Tenant>| {
                        (begins || there.is_some()).then(|| with_other_roles(tenant, there.as_ref()))
                    };
                    match directory.change_tenant(&tenant.id, merge).await {
                        Ok(Some(_)) => Ok(()),
                        Ok(None) => Err(ApplyFailure::Removed),
                        Err(error) => Err(error.into()),
                    }
                }
                Subject::Member(Member { person, role, .. }) => {
                    // Who has left since the plan was made is not let in again.
                    let begins = change.effect == Effect::Creates;
                    let written =
                        directory.put_member_if(change.tenant, person, role, |is_member| begins || is_member).await;
                    match written {
                        Ok(true) => Ok(()),
                        Ok(false) => Err(ApplyFailure::Left),
                        Err(error) => Err(error.into()),
                    }
                }
                Subject::WorkspaceItem(item) => {
                    let known = of_tenant.take().filter(|workspace| workspace.tenant() == change.tenant);
                    let workspace = of_tenant.insert(known.unwrap_or_else(|| workspaces.as_operator(change.tenant)));
                    item.save(workspace, now).await.map_err(ApplyFailure::from)
                }
            };
            written.map_err(|reason| ApplyError { what: change.label(), reason })?;
            done(change);
        }
        Ok(())
    }
}

/// Roles that the file does not name are left alone, like everything else; in the table all of a tenant's are one item.
fn with_other_roles(wanted: &Tenant, now: Option<&Tenant>) -> Tenant {
    let mut tenant = wanted.clone();
    let others = now.into_iter().flat_map(|now| &now.roles);
    tenant.roles.extend(others.filter(|role| wanted.roles.iter().all(|wanted| wanted.name != role.name)).cloned());
    tenant
}

fn comparable_tenant(tenant: &Tenant) -> Value {
    let roles: Map<_, _> =
        tenant.roles.iter().map(|role| (role.name.clone(), json!(role.permissions.to_string()))).collect();
    json!({ "name": tenant.name, "roles": roles })
}

impl Change<'_> {
    /// What writing it does.
    #[must_use]
    pub const fn effect(&self) -> &Effect {
        &self.effect
    }

    /// The tenant that it concerns.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        self.tenant
    }

    /// What is written, in words that name it: `tenant acme: skill weekly-report`.
    #[must_use]
    pub fn label(&self) -> String {
        let id = self.tenant;
        match &self.subject {
            Subject::Tenant(_) => format!("tenant {id}"),
            Subject::Member(Member { person, name: Some(name), role }) => {
                format!("tenant {id}: member {person} ({name}) as {role}")
            }
            Subject::Member(Member { person, name: None, role }) => format!("tenant {id}: member {person} as {role}"),
            Subject::WorkspaceItem(item) => format!("tenant {id}: {}", item.label()),
        }
    }
}

/// `+ tenant acme: skill weekly-report`, or `~` and in brackets what differs.
impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.effect {
            Effect::Creates => write!(f, "+ {}", self.label()),
            Effect::Changes(differing) => write!(f, "~ {} [{}]", self.label(), differing.join(", ")),
        }
    }
}

/// A line for each change, and how many there are.
impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        let created = self.changes.iter().filter(|change| change.effect == Effect::Creates).count();
        let changed = self.changes.len() - created;
        write!(f, "{created} to create, {changed} to change, {} as they are", self.unchanged)
    }
}
