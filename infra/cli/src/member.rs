//! `amble member`: who is in a tenant, and as what.

use clap::Subcommand;
use serde_json::{Value, json};
use shared::oauth::api_key::ApiKeyRecord;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::role::Role;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::connections::ConnectionFilter;
use supabase_users::person_selector::PersonSelector;

use crate::arguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::operator_event::OperatorEvent;
use crate::output::{Output, table};
use crate::second_search::SecondSearch;
use crate::{grant, key};

/// What can be done to members.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the members of a tenant
    List {
        /// Of which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
    },
    /// Let a person in
    Add {
        /// Who, by user id or e-mail address
        #[arg(value_parser = PersonSelector::parse)]
        person: PersonSelector,
        /// Into which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
        /// As what: owner, admin, member, viewer, or a role of the tenant's own
        #[arg(long, value_parser = arguments::role)]
        role: String,
    },
    /// Change a member's role. Less counts at the next call of what they have connected, more at the next refresh, and never more than was approved
    Role {
        /// Whose, by user id or e-mail address
        #[arg(value_parser = PersonSelector::parse)]
        person: PersonSelector,
        /// In which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
        /// Which: owner, admin, member, viewer, or a role of the tenant's own
        #[arg(long, value_parser = arguments::role)]
        role: String,
    },
    /// Take a person out: what they have connected there ends, and the keys that they made there are revoked
    Remove {
        /// Whom, by user id or e-mail address
        #[arg(value_parser = PersonSelector::parse)]
        person: PersonSelector,
        /// Out of which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
        #[command(flatten)]
        second_search: SecondSearch,
    },
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<Output, CommandError> {
    match command {
        Command::List { tenant } => list(context, &tenant).await,
        Command::Add { person, tenant, role } => set_role(context, &tenant, &person, role, true).await,
        Command::Role { person, tenant, role } => set_role(context, &tenant, &person, role, false).await,
        Command::Remove { person, tenant, second_search } => {
            context.find_tenant(&tenant).await?;
            let person = context.find_person(&person).await?;
            let membership = context.environment.directory()?.membership(&person, &tenant).await?;
            membership.ok_or_else(|| CommandError::NoMember(tenant.clone(), person.clone()))?;
            let Removed { grants, keys } = remove(context, &tenant, &person, &second_search).await?;
            let text = format!(
                "{person} is no longer in tenant {tenant}. Connections that ended: {grants}, API keys revoked: {keys}.\n"
            );
            let json = json!({ "tenant": tenant.as_str(), "person": person.as_str(), "grants": grants, "keys": keys });
            Ok(Output { text, json })
        }
    }
}

/// What went with a member.
pub(crate) struct Removed {
    pub(crate) grants: usize,
    pub(crate) keys: usize,
}

/// Takes a person out. From that write on all that they have connected is over and their keys are refused. The rest is for lists and the
/// audit.
pub(crate) async fn remove(
    context: &Context,
    tenant: &TenantId,
    person: &PersonId,
    second_search: &SecondSearch,
) -> Result<Removed, CommandError> {
    // What the rest needs is not to be missed half-way.
    let (directory, grants) = (context.environment.directory()?, context.environment.grants()?);
    context.environment.keys()?;
    directory.remove_member(tenant, person, context.now).await?;
    context.record(&OperatorEvent::MemberRemoved { tenant: tenant.as_str(), person: person.as_str() });
    let mut keys = key::revoke_all(context, tenant, |key| key.maker == *person).await?;
    let joint = grant::joint_revocation(context, (&directory, &grants), RevocationReason::MembershipGone);
    let filter = ConnectionFilter::Tenant { tenant, person: Some(person), client: None };
    let mut grants = joint.mark_listed(filter, usize::MAX).await?.count;
    if context.wait_for_index(second_search).await {
        grants += joint.mark_listed(filter, usize::MAX).await?.count;
        // Those of a membership that has begun meanwhile stay.
        let current = directory.membership(person, tenant).await?;
        let current = current.map(|membership| membership.basis.approval.membership);
        let is_old = |key: &ApiKeyRecord| key.maker == *person && current != Some(key.membership);
        keys += key::revoke_all(context, tenant, is_old).await?;
    }
    Ok(Removed { grants, keys })
}

async fn list(context: &Context, id: &TenantId) -> Result<Output, CommandError> {
    context.find_tenant(id).await?;
    let members = context.environment.directory()?.list_members(id).await?;
    let role = |Role { name, permissions }: &Role| {
        if permissions.is_empty() {
            format!("{name} (allows nothing: the tenant has no such role)")
        } else {
            name.clone()
        }
    };
    let rows: Vec<_> = members.iter().map(|member| [member.person.to_string(), role(&member.role)]).collect();
    let text = if rows.is_empty() { format!("Nobody is in tenant {id}.\n") } else { table(["PERSON", "ROLE"], &rows) };
    let json: Vec<_> = members.iter().map(|member| to_json(id, &member.person, &member.role.name)).collect();
    Ok(Output { text, json: json!({ "members": json }) })
}

async fn set_role(
    context: &Context,
    id: &TenantId,
    person: &PersonSelector,
    role: String,
    new: bool,
) -> Result<Output, CommandError> {
    let tenant = context.find_tenant(id).await?;
    if Role::built_in(&role).is_none() && tenant.roles.iter().all(|known| known.name != role) {
        let own = tenant.roles.iter().map(|role| role.name.as_str());
        let known: Vec<_> = ["owner", "admin", "member", "viewer"].into_iter().chain(own).collect();
        return Err(CommandError::NoRole(id.clone(), role, known.join(", ")));
    }
    let person = context.find_person(person).await?;
    let directory = context.environment.directory()?;
    match (directory.membership(&person, id).await?, new) {
        (Some(membership), true) => return Err(CommandError::MemberExists(id.clone(), person, membership.role.name)),
        (None, false) => return Err(CommandError::NoMember(id.clone(), person)),
        _ => {}
    }
    // As it is at the moment of the write: the product may have changed it.
    if !directory.put_member_if(id, &person, &role, |is_member| is_member != new).await? {
        return Err(match directory.membership(&person, id).await? {
            Some(membership) => CommandError::MemberExists(id.clone(), person, membership.role.name),
            None => CommandError::NoMember(id.clone(), person),
        });
    }
    let (tenant, whose) = (id.as_str(), person.as_str());
    context.record(&if new {
        OperatorEvent::MemberAdded { tenant, person: whose, role: &role }
    } else {
        OperatorEvent::MemberRoleSet { tenant, person: whose, role: &role }
    });
    Ok(Output { text: format!("{person} is {role} in tenant {id}.\n"), json: to_json(id, &person, &role) })
}

fn to_json(tenant: &TenantId, person: &PersonId, role: &str) -> Value {
    json!({ "tenant": tenant.as_str(), "person": person.as_str(), "role": role })
}
