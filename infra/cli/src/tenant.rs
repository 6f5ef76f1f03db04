//! `amble tenant`: the workspaces of the product, as far as connections know them.

use clap::Subcommand;
use serde_json::{Value, json};
use shared::oauth::role::Role;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::TenantId;
use shared::store::directory::Tenant;
use shared::store::operator::GrantFilter;

use crate::arguments;
use crate::deed::Deed;
use crate::desk::Desk;
use crate::failed::Failed;
use crate::grant;
use crate::said::{Said, fields, table};

/// What can be done to tenants.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List all tenants; reads the whole directory
    List,
    /// Show one: its roles, and how much it has
    Show {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
    },
    /// Add one, with nobody in it
    Add {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        /// What people call it
        #[arg(value_parser = arguments::title)]
        name: String,
    },
    /// Change what people call it
    Rename {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        #[arg(value_parser = arguments::title)]
        name: String,
    },
    /// Remove it with its members, connections, keys and all that it has; asks first
    Remove {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Roles of its own, besides owner, admin, member and viewer
    #[command(subcommand)]
    Role(RoleCommand),
}

/// What can be done to a tenant's own roles.
#[derive(Subcommand)]
pub(crate) enum RoleCommand {
    /// Set what a role allows; makes it if there is none. Counts for all who have it, at their next refresh
    Set {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        #[arg(value_parser = arguments::role)]
        role: String,
        /// Such as skills:read or documents:write
        #[arg(required = true, value_parser = arguments::permission)]
        permissions: Vec<Scope>,
    },
    /// Remove a role that nobody has
    Remove {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        #[arg(value_parser = arguments::role)]
        role: String,
    },
}

pub(crate) async fn run(command: Command, desk: &Desk) -> Result<Said, Failed> {
    match command {
        Command::List => list(desk).await,
        Command::Show { tenant } => show(desk, &tenant).await,
        Command::Add { tenant, name } => add(desk, tenant, name).await,
        Command::Rename { tenant, name } => rename(desk, &tenant, name).await,
        Command::Remove { tenant, yes } => remove(desk, &tenant, yes).await,
        Command::Role(RoleCommand::Set { tenant, role, permissions }) => {
            let permissions = permissions.into_iter().fold(Scopes::NONE, Scopes::with);
            set_role(desk, &tenant, Role { name: role, permissions }).await
        }
        Command::Role(RoleCommand::Remove { tenant, role }) => remove_role(desk, &tenant, role).await,
    }
}

/// The tenant of that id.
pub(crate) async fn find(desk: &Desk, id: &TenantId) -> Result<Tenant, Failed> {
    desk.environment.directory()?.find(id).await?.ok_or_else(|| Failed::NoTenant(id.clone()))
}

async fn list(desk: &Desk) -> Result<Said, Failed> {
    let tenants = desk.environment.directory()?.list_tenants().await?;
    let rows: Vec<_> = tenants.iter().map(|it| [it.id.to_string(), it.name.clone(), names(it)]).collect();
    let text = if rows.is_empty() {
        "There is no tenant yet.\n".to_owned()
    } else {
        table(["TENANT", "NAME", "ROLES OF ITS OWN"], &rows)
    };
    Ok(Said { text, json: json!({ "tenants": tenants.iter().map(described).collect::<Vec<_>>() }) })
}

async fn show(desk: &Desk, id: &TenantId) -> Result<Said, Failed> {
    let tenant = find(desk, id).await?;
    let has = Has::of(desk, id).await?;
    let mut rows = vec![("Tenant", id.to_string()), ("Name", tenant.name.clone())];
    rows.extend(tenant.roles.iter().map(|role| ("Role", format!("{}: {}", role.name, role.permissions))));
    rows.extend([
        ("Members", has.members.to_string()),
        ("Connections", has.grants.to_string()),
        ("API keys", has.keys.to_string()),
        ("Things", has.things.to_string()),
    ]);
    let mut json = described(&tenant);
    if let Some(members) = json.as_object_mut() {
        members.extend(has.json().as_object().cloned().unwrap_or_default());
    }
    Ok(Said { text: fields(&rows), json })
}

async fn add(desk: &Desk, id: TenantId, name: String) -> Result<Said, Failed> {
    let directory = desk.environment.directory()?;
    if directory.find(&id).await?.is_some() {
        return Err(Failed::TenantExists(id));
    }
    let tenant = Tenant { id, name, roles: Vec::new() };
    keep(desk, &tenant).await?;
    desk.note(&Deed::TenantAdded { tenant: tenant.id.as_str(), name: &tenant.name });
    Ok(Said {
        text: format!("Tenant {0} is there; `amble member add {0} PERSON --role ROLE` lets people in.\n", tenant.id),
        json: described(&tenant),
    })
}

async fn rename(desk: &Desk, id: &TenantId, name: String) -> Result<Said, Failed> {
    let tenant = Tenant { name, ..find(desk, id).await? };
    keep(desk, &tenant).await?;
    desk.note(&Deed::TenantRenamed { tenant: tenant.id.as_str(), name: &tenant.name });
    Ok(Said { text: format!("Tenant {id} is now called {}.\n", tenant.name), json: described(&tenant) })
}

async fn keep(desk: &Desk, tenant: &Tenant) -> Result<(), Failed> {
    Ok(desk.environment.directory()?.put_tenant(tenant).await?)
}

/// Members first: from then on nobody can connect. The tenant last: until then, doing it again goes on where it ended.
async fn remove(desk: &Desk, id: &TenantId, yes: bool) -> Result<Said, Failed> {
    let tenant = find(desk, id).await?;
    let has = Has::of(desk, id).await?;
    let what = format!("removes tenant {id} ({}) with {}", tenant.name, has.words());
    desk.confirm(&what, yes)?;
    desk.note(&Deed::TenantRemoving { tenant: id.as_str(), name: &tenant.name });
    desk.tell().await;
    let directory = desk.environment.directory()?;
    let mut removed = Has::default();
    for member in directory.list_members(id).await? {
        directory.remove_member(id, &member.person, desk.now).await?;
        removed.members += 1;
        desk.note(&Deed::MemberRemoved { tenant: id.as_str(), person: member.person.as_str() });
        desk.progress(&format!("{} of {} members removed", removed.members, has.members));
    }
    removed.keys = crate::key::revoke_all(desk, id, |_| true).await?;
    removed.grants = grant::end_all(desk, &GrantFilter::Tenant(id.clone()), grant::Why::Member).await?;
    removed.things = desk.environment.workspaces()?.remove_all(id).await?;
    directory.remove_tenant(id).await?;
    desk.note(&Deed::TenantRemoved { tenant: id.as_str(), name: &tenant.name });
    let mut json = removed.json();
    if let Some(members) = json.as_object_mut() {
        members.insert("tenant".to_owned(), Value::from(id.as_str()));
    }
    Ok(Said { text: format!("Tenant {id} is removed, with {}.\n", removed.words()), json })
}

async fn set_role(desk: &Desk, id: &TenantId, role: Role) -> Result<Said, Failed> {
    if Role::built_in(&role.name).is_some() {
        return Err(Failed::BuiltIn(role.name));
    }
    let mut tenant = find(desk, id).await?;
    tenant.roles.retain(|known| known.name != role.name);
    let text = format!("Role {} of tenant {id} allows {}.\n", role.name, role.permissions);
    tenant.roles.push(role.clone());
    keep(desk, &tenant).await?;
    let scope = &role.permissions.to_string();
    desk.note(&Deed::RoleSet { tenant: id.as_str(), role: &role.name, scope });
    Ok(Said { text, json: described(&tenant) })
}

/// A member whose role is gone could do nothing, and nobody would know why.
async fn remove_role(desk: &Desk, id: &TenantId, role: String) -> Result<Said, Failed> {
    let mut tenant = find(desk, id).await?;
    if tenant.roles.iter().all(|known| known.name != role) {
        return Err(Failed::NoRole(id.clone(), role, names(&tenant)));
    }
    let directory = desk.environment.directory()?;
    let having = directory.list_members(id).await?.into_iter().filter(|member| member.role == role).count();
    if having > 0 {
        return Err(Failed::RoleInUse(id.clone(), role, having));
    }
    tenant.roles.retain(|known| known.name != role);
    directory.put_tenant(&tenant).await?;
    desk.note(&Deed::RoleRemoved { tenant: id.as_str(), role: &role });
    Ok(Said { text: format!("Tenant {id} no longer has a role {role}.\n"), json: described(&tenant) })
}

/// How much a tenant has.
#[derive(Default)]
struct Has {
    members: usize,
    grants: usize,
    keys: usize,
    things: usize,
}

impl Has {
    async fn of(desk: &Desk, id: &TenantId) -> Result<Self, Failed> {
        let grants = desk.environment.grants()?.list(&GrantFilter::Tenant(id.clone())).await?;
        Ok(Self {
            members: desk.environment.directory()?.list_members(id).await?.len(),
            grants: grants.iter().filter(|it| grant::is_alive(it, desk.now)).count(),
            keys: crate::key::all(desk, id).await?.len(),
            things: desk.environment.workspaces()?.size(id).await?,
        })
    }

    fn words(&self) -> String {
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

fn described(tenant: &Tenant) -> Value {
    let roles: serde_json::Map<_, _> =
        tenant.roles.iter().map(|role| (role.name.clone(), json!(role.permissions.to_string()))).collect();
    json!({ "tenant": tenant.id.as_str(), "name": tenant.name, "roles": roles })
}
