//! `amble member`: who is in a tenant, and as what.

use clap::Subcommand;
use serde_json::{Value, json};
use shared::oauth::role::Role;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::operator::Member;

use crate::arguments;
use crate::deed::Deed;
use crate::desk::Desk;
use crate::failed::Failed;
use crate::said::{Said, table};
use crate::{grant, key, tenant};

/// What can be done to members.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the members of a tenant
    List {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
    },
    /// Let a person in
    Add {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        #[arg(value_parser = arguments::person)]
        person: PersonId,
        /// owner, admin, member, viewer, or a role of the tenant's own
        #[arg(long, value_parser = arguments::role)]
        role: String,
    },
    /// Change a member's role. Counts at the next refresh of what they have connected, and never allows more than was approved
    Role {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        #[arg(value_parser = arguments::person)]
        person: PersonId,
        #[arg(value_parser = arguments::role)]
        role: String,
    },
    /// Take a person out: what they have connected there ends, and the keys that they made there are revoked
    Remove {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        #[arg(value_parser = arguments::person)]
        person: PersonId,
    },
}

pub(crate) async fn run(command: Command, desk: &Desk) -> Result<Said, Failed> {
    match command {
        Command::List { tenant } => list(desk, &tenant).await,
        Command::Add { tenant, person, role } => keep(desk, &tenant, person, role, true).await,
        Command::Role { tenant, person, role } => keep(desk, &tenant, person, role, false).await,
        Command::Remove { tenant, person } => {
            tenant::find(desk, &tenant).await?;
            let membership = desk.environment.directory()?.membership(&person, &tenant).await?;
            membership.ok_or_else(|| Failed::NoMember(tenant.clone(), person.clone()))?;
            let Removed { grants, keys } = remove(desk, &tenant, &person).await?;
            let text = format!(
                "{person} is no longer in tenant {tenant}. Connections that ended: {grants}, API keys revoked: {keys}.\n"
            );
            let json = json!({ "tenant": tenant.as_str(), "person": person.as_str(), "grants": grants, "keys": keys });
            Ok(Said { text, json })
        }
    }
}

/// What went with a member.
pub(crate) struct Removed {
    pub(crate) grants: usize,
    pub(crate) keys: usize,
}

/// Takes a person out. The membership first: from then on nothing new can be connected, and every refresh ends what there is.
pub(crate) async fn remove(desk: &Desk, tenant: &TenantId, person: &PersonId) -> Result<Removed, Failed> {
    // What the rest needs is not to be missed half-way.
    desk.environment.grants()?;
    desk.environment.keys()?;
    desk.environment.directory()?.remove_member(tenant, person, desk.now).await?;
    desk.note(&Deed::MemberRemoved { tenant: tenant.as_str(), person: person.as_str() });
    let keys = key::revoke_all(desk, tenant, |key| key.maker == *person).await?;
    let theirs = grant::Which { tenant: Some(tenant.clone()), person: Some(person.clone()), client: None };
    let grants = grant::end_which(desk, &theirs, grant::Why::Member).await?;
    Ok(Removed { grants, keys })
}

async fn list(desk: &Desk, id: &TenantId) -> Result<Said, Failed> {
    tenant::find(desk, id).await?;
    let members = desk.environment.directory()?.list_members(id).await?;
    let rows: Vec<_> = members.iter().map(|member| [member.person.to_string(), member.role.clone()]).collect();
    let text = if rows.is_empty() { format!("Nobody is in tenant {id}.\n") } else { table(["PERSON", "ROLE"], &rows) };
    let json: Vec<_> = members.iter().map(|member| described(id, member)).collect();
    Ok(Said { text, json: json!({ "members": json }) })
}

async fn keep(desk: &Desk, id: &TenantId, person: PersonId, role: String, new: bool) -> Result<Said, Failed> {
    let tenant = tenant::find(desk, id).await?;
    if Role::built_in(&role).is_none() && tenant.roles.iter().all(|known| known.name != role) {
        let own = tenant.roles.iter().map(|role| role.name.as_str());
        let known: Vec<_> = ["owner", "admin", "member", "viewer"].into_iter().chain(own).collect();
        return Err(Failed::NoRole(id.clone(), role, known.join(", ")));
    }
    let directory = desk.environment.directory()?;
    match (directory.membership(&person, id).await?, new) {
        (Some(membership), true) => return Err(Failed::MemberExists(id.clone(), person, membership.role.name)),
        (None, false) => return Err(Failed::NoMember(id.clone(), person)),
        _ => {}
    }
    directory.put_member(id, &person, &role).await?;
    let member = Member { person, role };
    let Member { person, role } = &member;
    let (tenant, whose) = (id.as_str(), person.as_str());
    desk.note(&if new {
        Deed::MemberAdded { tenant, person: whose, role }
    } else {
        Deed::MemberRoleSet { tenant, person: whose, role }
    });
    Ok(Said { text: format!("{person} is {role} in tenant {id}.\n"), json: described(id, &member) })
}

fn described(tenant: &TenantId, Member { person, role }: &Member) -> Value {
    json!({ "tenant": tenant.as_str(), "person": person.as_str(), "role": role })
}
