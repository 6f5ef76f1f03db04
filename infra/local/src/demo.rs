//! People to try the system with, and what `demo.yaml` gives their tenants.

use std::path::Path;

use fakes::supabase::seed::Person;
use serde::Serialize;
use shared::api_key_issuer::ApiKeyIssuer;
use shared::environment::Environment;
use shared::oauth::api_key::{ApiKey, ApiKeyName};
use shared::oauth::approval_basis::CurrentBasis;
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::role::Role;
use shared::oauth::scope::Scopes;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::api_keys::{Actor, CreateApiKeyError, NewApiKey};
use shared::store::directory::Membership;
use shared::store::workspace_layout::WorkspaceLayout;
use uuid::Uuid;
use workspace_file::plan::Plan;
use workspace_file::{Variables, WorkspaceFile};

use crate::data_dir::DataDir;
use crate::error::LocalError;
use crate::member::{self, Member, ProjectMember};

/// What is there, for whoever tries it.
#[derive(Clone, Serialize)]
pub struct Demo {
    /// Who can sign in.
    pub people: Vec<DemoPerson>,
    /// A key of the first person in their first tenant. Works until it is revoked, over restarts as well.
    pub api_key: String,
}

/// Someone who can sign in.
#[derive(Clone, Serialize)]
pub struct DemoPerson {
    /// Address.
    pub email: String,
    /// Password: no secret, unless the system has a public URL.
    pub password: String,
    /// Whom the directory knows.
    #[serde(skip)]
    pub id: PersonId,
    /// Where they are members.
    pub tenants: Vec<DemoTenant>,
}

/// A membership.
#[derive(Clone, Serialize)]
pub struct DemoTenant {
    /// The tenant's id.
    pub id: String,
    /// The tenant's name.
    pub name: String,
    /// The person's role in it.
    pub role: String,
}

/// What the people of the demo sign in with.
#[derive(Clone)]
pub(crate) enum DemoPasswords {
    /// Each with a password that these documents tell: for this machine alone.
    WellKnown,
    /// All with this one.
    Generated(String),
}

impl DemoPasswords {
    fn of(&self, name: &str) -> String {
        match self {
            Self::WellKnown => format!("{name}-demo"),
            Self::Generated(password) => password.clone(),
        }
    }
}

/// Who can sign in; `demo.yaml` says where they are members.
const PEOPLE: [(&str, Uuid); 4] = [
    ("ana", Uuid::from_u128(0x5c1f_6b0a_3d0e_4c57_9f0e_8a1b_2c3d_4e01)),
    ("ben", Uuid::from_u128(0x5c1f_6b0a_3d0e_4c57_9f0e_8a1b_2c3d_4e02)),
    ("vera", Uuid::from_u128(0x5c1f_6b0a_3d0e_4c57_9f0e_8a1b_2c3d_4e03)),
    ("nora", Uuid::from_u128(0x5c1f_6b0a_3d0e_4c57_9f0e_8a1b_2c3d_4e04)),
];

const FILE: &str = include_str!("../demo.yaml");

/// Holds the key; that it is there says that everything else was laid out.
pub(crate) const KEY_FILE: &str = "api-key";

/// The people as the sign-in service is to know them.
pub(crate) fn people(passwords: &DemoPasswords) -> impl Iterator<Item = Person> {
    PEOPLE.iter().map(|(name, id)| {
        let full_name = name.get(..1).unwrap_or_default().to_uppercase() + name.get(1..).unwrap_or_default();
        Person { id: Some(*id), ..Person::new(&email(name), &passwords.of(name), &full_name) }
    })
}

/// Address and password of the first of them, for whoever tries a whole connection.
pub(crate) fn first_person(passwords: &DemoPasswords) -> (String, String) {
    let [(name, _), ..] = PEOPLE;
    (email(name), passwords.of(name))
}

/// Lays everything out, once per folder: what was changed since stays changed. Only the tools are written at every start, as
/// the port at which they are served may be another; and the second of `files`, which is not the demo's own, as it may have changed.
pub(crate) async fn seed(
    operator: &Environment,
    files: &[WorkspaceFile],
    passwords: &DemoPasswords,
    folder: Option<&DataDir>,
) -> Result<Demo, LocalError> {
    let now = operator.clock().now();
    let (directory, keys) = (operator.directory()?, operator.keys()?);
    let kept = folder.map(|folder| folder.read(KEY_FILE)).transpose()?.flatten();
    let kept = kept.map(|text| saved_key(&text, folder)).transpose()?.flatten();
    apply(operator, files, |plan| if kept.is_some() { plan.only_tools() } else { plan }).await?;
    let key = match kept {
        // One that was revoked stays revoked.
        Some(key) if keys.find(&key.id, now).await?.is_some() => key,
        _ => {
            let name = ApiKeyName::parse("demo script").ok_or(LocalError::Demo("a key's name"))?;
            let laid_out = ana_in_acme()?;
            let now_there = directory.membership(&laid_out.person, &laid_out.tenant).await?;
            let maker = now_there.unwrap_or(laid_out);
            let new = NewApiKey {
                maker: &maker,
                name,
                scopes: Scopes::DEFAULT,
                expiry: KeyLifetime::UNTIL_REVOKED.expiry(now),
            };
            let made = ApiKeyIssuer::new(&keys).create(Actor::Person, new, now).await;
            let (key, _) = made.map_err(|error| match error {
                CreateApiKeyError::Upstream(error) => error.into(),
                _ => LocalError::Demo("a key's scopes"),
            })?;
            if let Some(folder) = folder {
                folder.write(KEY_FILE, key.to_text().as_bytes())?;
            }
            key
        }
    };
    let tenants = tenants(files);
    let mut people = Vec::new();
    for (name, id) in &PEOPLE {
        let mut person =
            DemoPerson { email: email(name), password: passwords.of(name), id: person_id(id)?, tenants: Vec::new() };
        for tenant in &tenants {
            let membership = directory.membership(&person.id, tenant).await?;
            person.tenants.extend(membership.map(|membership| DemoTenant {
                id: membership.tenant.to_string(),
                name: membership.name,
                role: membership.role.name,
            }));
        }
        people.push(person);
    }
    Ok(Demo { people, api_key: key.to_text() })
}

/// The key as it was kept.
fn saved_key(text: &[u8], folder: Option<&DataDir>) -> Result<Option<ApiKey>, LocalError> {
    const LOSS: &str = "which makes another key and lays the demo out again";

    let key = std::str::from_utf8(text).ok().and_then(|text| ApiKey::parse(text.trim()));
    match (key, folder) {
        (None, Some(folder)) => Err(folder.damaged(KEY_FILE, &"not an API key", LOSS).into()),
        (key, _) => Ok(key),
    }
}

/// The same for a project of one's own: its tenants and their things, without the demo's people and their key; `members` are
/// let in, at every start. `already_seeded`: this folder was before.
pub(crate) async fn seed_without_people(
    operator: &Environment,
    files: &[WorkspaceFile],
    already_seeded: bool,
    members: &[(PersonId, &Member)],
) -> Result<Vec<ProjectMember>, LocalError> {
    apply(operator, files, |plan| if already_seeded { plan.only_tools() } else { plan.without_members() }).await?;
    Ok(member::add_members(operator, members, &tenants(files)).await?)
}

/// The demo's own file, and the one besides.
pub(crate) fn files(tools_at: &str, extra_file: Option<&Path>) -> Result<Vec<WorkspaceFile>, LocalError> {
    let variables = Variables::from([("TOOLS_AT".to_owned(), tools_at.to_owned())]);
    let mut files = vec![WorkspaceFile::parse(FILE, "infra/local/demo.yaml", None, &variables)?];
    if let Some(path) = extra_file {
        files.push(WorkspaceFile::read(path, &variables)?);
    }
    Ok(files)
}

/// Writes what differs: of the demo's own file what `of_the_demo` leaves, of the one besides all of it.
async fn apply(
    operator: &Environment,
    files: &[WorkspaceFile],
    of_the_demo: impl Fn(Plan<'_>) -> Plan<'_>,
) -> Result<(), LocalError> {
    let (now, directory, workspaces) = (operator.clock().now(), operator.directory()?, operator.workspaces()?);
    for (position, file) in files.iter().enumerate() {
        let plan = file.plan(&directory, &workspaces).await?;
        let plan = if position == 0 { of_the_demo(plan) } else { plan };
        let tell = |change: &_| {
            if position > 0 {
                tracing::info!("{change}");
            }
        };
        plan.apply(&directory, &workspaces, now, tell).await?;
    }
    Ok(())
}

/// Each tenant of the files once.
fn tenants(files: &[WorkspaceFile]) -> Vec<&TenantId> {
    let mut tenants = Vec::new();
    for definition in files.iter().flat_map(WorkspaceFile::tenants) {
        if !tenants.contains(&&definition.tenant.id) {
            tenants.push(&definition.tenant.id);
        }
    }
    tenants
}

/// As it was laid out. If she has left since, her key is made all the same, and refused wherever it is shown.
fn ana_in_acme() -> Result<Membership, LocalError> {
    let [(_, ana), ..] = &PEOPLE;
    let role = Role::built_in("owner").ok_or(LocalError::Demo("a role"))?;
    let tenant = TenantId::parse("acme").ok_or(LocalError::Demo("a tenant's id"))?;
    let (name, basis, workspace_layout) = ("Acme".to_owned(), CurrentBasis::default(), WorkspaceLayout::ByKind);
    Ok(Membership { person: person_id(ana)?, tenant, name, role, basis, workspace_layout })
}

fn email(name: &str) -> String {
    format!("{name}@example.com")
}

fn person_id(id: &Uuid) -> Result<PersonId, LocalError> {
    PersonId::parse(&id.to_string()).ok_or(LocalError::Demo("a person's id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo_tools;

    fn demo() -> WorkspaceFile {
        let variables = Variables::from([("TOOLS_AT".to_owned(), "http://127.0.0.1:1".to_owned())]);
        WorkspaceFile::parse(FILE, "infra/local/demo.yaml", None, &variables).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    #[test]
    fn demo_members_can_sign_in() {
        let people: Vec<_> = PEOPLE.iter().map(|(_, id)| person_id(id).unwrap()).collect();
        for member in demo().tenants().iter().flat_map(|definition| &definition.members) {
            assert!(people.contains(&member.person), "{member:?}");
        }
    }

    #[test]
    fn the_demo_file_matches_the_demo_tools() {
        assert!(FILE.contains(&format!("url: ${{TOOLS_AT}}{}", demo_tools::PATH)));
        assert!(FILE.contains(&format!("maximum: {}, default: 1,", demo_tools::MAX_DICE)));
        assert!(FILE.contains(&format!("maximum: {}, default: 6,", demo_tools::MAX_SIDES)));
    }
}
