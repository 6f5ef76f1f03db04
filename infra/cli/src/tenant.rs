//! `amble tenant`: the workspaces of the product, as far as connections know them.

use clap::Subcommand;
use serde_json::{Value, json};
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::role::Role;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::TenantId;
use shared::store::connections::ConnectionFilter;
use shared::store::directory::Tenant;
use shared::store::operator::GrantFilter;

use crate::arguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::grant;
use crate::key;
use crate::migration::{self, Migration};
use crate::operator_event::OperatorEvent;
use crate::output::{Output, fields, table};
use crate::second_search::SecondSearch;

/// What can be done to tenants.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List all tenants; reads the whole directory
    List,
    /// Show one: its roles, and how much it has
    Show {
        /// Its id
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
    },
    /// Add one, with nobody in it
    Add {
        /// The id that it is to have: 1 to 64 of `a-z 0-9 _ -`
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        /// What people call it
        #[arg(value_parser = arguments::title)]
        name: String,
    },
    /// Change what people call it
    Rename {
        /// Its id, which stays
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        /// What people are to call it
        #[arg(value_parser = arguments::title)]
        name: String,
    },
    /// Remove it with its members, connections, keys and all that it has; asks first
    Remove {
        /// Its id
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        #[command(flatten)]
        second_search: SecondSearch,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Move what tenants have into partitions by kind, which share no capacity. Meanwhile nothing can be written there
    Migrate(Migration),
    /// Roles of its own, besides owner, admin, member and viewer
    #[command(subcommand)]
    Role(RoleCommand),
}

/// What can be done to a tenant's own roles.
#[derive(Subcommand)]
pub(crate) enum RoleCommand {
    /// Set what a role allows; makes it if there is none. Less counts at the next call of all who have it, more at their next refresh
    Set {
        /// The role's name: 1 to 64 of `a-z 0-9 _ -`
        #[arg(value_parser = arguments::role)]
        role: String,
        /// Of which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
        /// What it allows, such as skills:read or documents:write
        #[arg(required = true, value_parser = arguments::permission)]
        permissions: Vec<Scope>,
    },
    /// Remove a role that nobody has
    Remove {
        /// The role's name
        #[arg(value_parser = arguments::role)]
        role: String,
        /// Of which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
    },
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<Output, CommandError> {
    match command {
        Command::List => list(context).await,
        Command::Show { tenant } => show(context, &tenant).await,
        Command::Add { tenant, name } => add(context, tenant, name).await,
        Command::Rename { tenant, name } => rename(context, &tenant, name).await,
        Command::Remove { tenant, second_search, yes } => remove(context, &tenant, &second_search, yes).await,
        Command::Migrate(migration) => migration::run(&migration, context).await,
        Command::Role(RoleCommand::Set { role, tenant, permissions }) => {
            let permissions = permissions.into_iter().fold(Scopes::NONE, Scopes::with);
            set_role(context, &tenant, Role { name: role, permissions }).await
        }
        Command::Role(RoleCommand::Remove { role, tenant }) => remove_role(context, &tenant, role).await,
    }
}

async fn list(context: &Context) -> Result<Output, CommandError> {
    let tenants = context.environment.directory()?.list_tenants().await?;
    let rows: Vec<_> = tenants.iter().map(|it| [it.id.to_string(), it.name.clone(), names(it)]).collect();
    let text = if rows.is_empty() {
        "There is no tenant yet.\n".to_owned()
    } else {
        table(["TENANT", "NAME", "ROLES OF ITS OWN"], &rows)
    };
    Ok(Output { text, json: json!({ "tenants": tenants.iter().map(to_json).collect::<Vec<_>>() }) })
}

async fn show(context: &Context, id: &TenantId) -> Result<Output, CommandError> {
    let tenant = context.find_tenant(id).await?;
    let has = TenantUsage::of(context, id).await?;
    let layout = context.environment.directory()?.workspace_layout(id).await?;
    let mut rows = vec![("Tenant", id.to_string()), ("Name", tenant.name.clone())];
    rows.extend(tenant.roles.iter().map(|role| ("Role", format!("{}: {}", role.name, role.permissions))));
    rows.extend([
        ("Members", has.members.to_string()),
        ("Connections", has.grants.to_string()),
        ("API keys", has.keys.to_string()),
        ("Things", has.things.to_string()),
        ("Layout", migration::label(layout).to_owned()),
    ]);
    let mut json = to_json(&tenant);
    if let Some(members) = json.as_object_mut() {
        members.insert("layout".to_owned(), Value::from(migration::label(layout)));
        members.extend(has.json().as_object().cloned().unwrap_or_default());
    }
    Ok(Output { text: fields(&rows), json })
}

async fn add(context: &Context, id: TenantId, name: String) -> Result<Output, CommandError> {
    let directory = context.environment.directory()?;
    let new = |there: Option<Tenant>| {
        there.is_none().then(|| Tenant { id: id.clone(), name: name.clone(), roles: Vec::new() })
    };
    let tenant = directory.change_tenant(&id, new).await?.ok_or_else(|| CommandError::TenantExists(id.clone()))?;
    context.record(&OperatorEvent::TenantAdded { tenant: tenant.id.as_str(), name: &tenant.name });
    Ok(Output {
        text: format!(
            "Tenant {0} is there; `amble member add PERSON --tenant {0} --role ROLE` lets people in.\n",
            tenant.id
        ),
        json: to_json(&tenant),
    })
}

async fn rename(context: &Context, id: &TenantId, name: String) -> Result<Output, CommandError> {
    let tenant = change(context, id, |tenant| Some(Tenant { name: name.clone(), ..tenant })).await?;
    context.record(&OperatorEvent::TenantRenamed { tenant: tenant.id.as_str(), name: &tenant.name });
    Ok(Output { text: format!("Tenant {id} is now called {}.\n", tenant.name), json: to_json(&tenant) })
}

/// Changes a tenant as it is at the moment of the write, and none that was removed meanwhile.
async fn change(
    context: &Context,
    id: &TenantId,
    change: impl Fn(Tenant) -> Option<Tenant>,
) -> Result<Tenant, CommandError> {
    let changed = context.environment.directory()?.change_tenant(id, |there| there.and_then(&change)).await?;
    changed.ok_or_else(|| CommandError::NoTenant(id.clone()))
}

/// From the write that removes the tenant on, nobody is a member of it, and all that was connected in it is over. Its data goes after
/// that, so that nobody can write more of it. Done again, it goes on where it ended.
async fn remove(
    context: &Context,
    id: &TenantId,
    second_search: &SecondSearch,
    yes: bool,
) -> Result<Output, CommandError> {
    let (directory, grants) = (context.environment.directory()?, context.environment.grants()?);
    let workspaces = context.environment.workspaces()?;
    let has = TenantUsage::of(context, id).await?;
    let name = match directory.find(id).await? {
        Some(tenant) => tenant.name,
        // It was interrupted.
        None if has.things > 0 => "removed before".to_owned(),
        None => return Err(CommandError::NoTenant(id.clone())),
    };
    let what = format!("removes tenant {id} ({name}) with {}", has.summary());
    context.confirm(&what, yes)?;
    context.record(&OperatorEvent::TenantRemoving { tenant: id.as_str(), name: &name });
    context.flush().await;
    let mut removed = TenantUsage::default();
    for member in directory.list_members(id).await? {
        directory.remove_member(id, &member.person, context.now).await?;
        removed.members += 1;
        context.record(&OperatorEvent::MemberRemoved { tenant: id.as_str(), person: member.person.as_str() });
        context.progress(&format!("{} of {} members removed", removed.members, has.members));
    }
    removed.keys = key::revoke_all(context, id, |_| true).await?;
    directory.remove_tenant(id, context.now).await?;
    let mut partitions = workspaces.partitions(id).await?;
    removed.things = workspaces.remove_all(&partitions).await?;
    let joint = grant::joint_revocation(context, (&directory, &grants), RevocationReason::MembershipGone);
    let filter = ConnectionFilter::Tenant { tenant: id, person: None, client: None };
    removed.grants = joint.mark_listed(filter, usize::MAX).await?.count;
    let again = context.wait_for_index(second_search).await;
    if again {
        removed.grants += joint.mark_listed(filter, usize::MAX).await?.count;
    }
    // A call that was let in before may have written until now. A tenant that was added meanwhile keeps what it has.
    if again && directory.find(id).await?.is_none() {
        removed.keys += key::revoke_all(context, id, |_| true).await?;
        partitions.extend(workspaces.partitions(id).await?);
        removed.things += workspaces.remove_all(&partitions).await?;
    }
    context.record(&OperatorEvent::TenantRemoved { tenant: id.as_str(), name: &name });
    let mut json = removed.json();
    if let Some(members) = json.as_object_mut() {
        members.insert("tenant".to_owned(), Value::from(id.as_str()));
    }
    Ok(Output { text: format!("Tenant {id} is removed, with {}.\n", removed.summary()), json })
}

async fn set_role(context: &Context, id: &TenantId, role: Role) -> Result<Output, CommandError> {
    if Role::built_in(&role.name).is_some() {
        return Err(CommandError::BuiltIn(role.name));
    }
    let text = format!("Role {} of tenant {id} allows {}.\n", role.name, role.permissions);
    let with_role = |mut tenant: Tenant| {
        tenant.roles.retain(|known| known.name != role.name);
        tenant.roles.push(role.clone());
        Some(tenant)
    };
    let tenant = change(context, id, with_role).await?;
    let scope = &role.permissions.to_string();
    context.record(&OperatorEvent::RoleSet { tenant: id.as_str(), role: &role.name, scope });
    Ok(Output { text, json: to_json(&tenant) })
}

/// A member whose role is gone could do nothing, and nobody would know why.
async fn remove_role(context: &Context, id: &TenantId, role: String) -> Result<Output, CommandError> {
    let tenant = context.find_tenant(id).await?;
    if tenant.roles.iter().all(|known| known.name != role) {
        return Err(CommandError::NoRole(id.clone(), role, names(&tenant)));
    }
    let directory = context.environment.directory()?;
    let having = directory.list_members(id).await?.into_iter().filter(|member| member.role.name == role).count();
    if having > 0 {
        return Err(CommandError::RoleInUse(id.clone(), role, having));
    }
    let without = |mut tenant: Tenant| {
        tenant.roles.retain(|known| known.name != role);
        Some(tenant)
    };
    let tenant = change(context, id, without).await?;
    context.record(&OperatorEvent::RoleRemoved { tenant: id.as_str(), role: &role });
    Ok(Output { text: format!("Tenant {id} no longer has a role {role}.\n"), json: to_json(&tenant) })
}

/// How much a tenant has.
#[derive(Default)]
struct TenantUsage {
    members: usize,
    grants: usize,
    keys: usize,
    things: usize,
}

impl TenantUsage {
    async fn of(context: &Context, id: &TenantId) -> Result<Self, CommandError> {
        let grants = context.environment.grants()?.list(&GrantFilter::Tenant(id.clone())).await?;
        Ok(Self {
            members: context.environment.directory()?.list_members(id).await?.len(),
            grants: grants.iter().filter(|grant| grant.is_open(context.now)).count(),
            keys: key::all(context, id).await?.len(),
            things: context.environment.workspaces()?.size(id).await?,
        })
    }

    fn summary(&self) -> String {
        let Self { members, grants, keys, things } = self;
        format!("members: {members}, connections: {grants}, API keys: {keys}, stored things: {things}")
    }

    fn json(&self) -> Value {
        json!({ "members": self.members, "grants": self.grants, "keys": self.keys, "things": self.things })
    }
}

/// The roles that it defines.
fn names(tenant: &Tenant) -> String {
    tenant.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>().join(" ")
}

fn to_json(tenant: &Tenant) -> Value {
    let roles: serde_json::Map<_, _> =
        tenant.roles.iter().map(|role| (role.name.clone(), json!(role.permissions.to_string()))).collect();
    json!({ "tenant": tenant.id.as_str(), "name": tenant.name, "roles": roles })
}
