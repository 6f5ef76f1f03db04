//! Who of a project's people is in a tenant: as `--member` says it, and as it turned out.

use serde::Serialize;
use shared::environment::{ConfigError, Environment};
use shared::oauth::role::Role;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::upstream_error::UpstreamError;
use supabase_users::person_selector::PersonSelector;
use thiserror::Error;

/// One person, one tenant: `ID=ROLE@TENANT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub(crate) who: PersonSelector,
    role: String,
    tenant: TenantId,
}

/// A membership that there is.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct ProjectMember {
    /// The person's id.
    pub person: String,
    /// Their role.
    pub role: String,
    /// The tenant's id.
    pub tenant: String,
    /// The tenant's name.
    pub name: String,
}

/// Why somebody is not let in.
#[derive(Debug, Error)]
pub enum MemberError {
    /// There is no such tenant.
    #[error("--member names the workspace {0}, and there is none of that id; there are: {1}")]
    NoTenant(TenantId, String),
    /// It has no such role.
    #[error("--member names the role {0}, which workspace {1} does not have; it has: {2}")]
    NoRole(String, TenantId, String),
    /// The directory is not configured.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl Member {
    /// From `ID=ROLE@TENANT`, where the id is a user id of the project or, to be looked up there, an address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (who, place) = text.rsplit_once('=')?;
        let (role, tenant) = place.rsplit_once('@')?;
        let who = PersonSelector::parse(who).ok()?;
        let role = Some(role.trim()).filter(|role| !role.is_empty())?.to_owned();
        Some(Self { who, role, tenant: TenantId::parse(tenant.trim())? })
    }

    /// The address that names them, if one does.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        match &self.who {
            PersonSelector::Email(address) => Some(address),
            PersonSelector::Id(_) => None,
        }
    }
}

/// Lets members in, all or none, and tells who is in the tenants then.
pub(crate) async fn add_members(
    operator: &Environment,
    members: &[(PersonId, &Member)],
    tenants: &[&TenantId],
) -> Result<Vec<ProjectMember>, MemberError> {
    let directory = operator.directory()?;
    for (_, Member { role, tenant, .. }) in members {
        let Some(found) = directory.find(tenant).await? else {
            let known: Vec<_> = tenants.iter().map(|tenant| tenant.as_str()).collect();
            return Err(MemberError::NoTenant(tenant.clone(), known.join(", ")));
        };
        let own: Vec<_> = found.roles.iter().map(|role| role.name.as_str()).collect();
        if Role::built_in(role).is_none() && !own.contains(&role.as_str()) {
            let known: Vec<_> = ["owner", "admin", "member", "viewer"].into_iter().chain(own).collect();
            return Err(MemberError::NoRole(role.clone(), tenant.clone(), known.join(", ")));
        }
    }
    for (person, Member { role, tenant, .. }) in members {
        directory.put_member(tenant, person, role).await?;
    }
    let mut project_members = Vec::new();
    for tenant in tenants {
        let Some(found) = directory.find(tenant).await? else { continue };
        project_members.extend(directory.list_members(tenant).await?.into_iter().map(|member| ProjectMember {
            person: member.person.to_string(),
            role: member.role.name,
            tenant: tenant.to_string(),
            name: found.name.clone(),
        }));
    }
    Ok(project_members)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e01";

    #[test]
    fn a_member_is_parsed_from_person_role_and_tenant() {
        let id = PersonId::parse(ID).unwrap();
        let address = |text: &str| PersonSelector::Email(text.to_owned());
        for (text, who, role, tenant) in [
            (format!("{ID}=owner@acme"), PersonSelector::Id(id.clone()), "owner", "acme"),
            (format!("{}=editor@acme", ID.to_uppercase()), PersonSelector::Id(id), "editor", "acme"),
            ("Ana@Example.com=owner@globex".to_owned(), address("ana@example.com"), "owner", "globex"),
            ("a=b@example.com=owner@globex".to_owned(), address("a=b@example.com"), "owner", "globex"),
        ] {
            let tenant = TenantId::parse(tenant).unwrap();
            assert_eq!(Member::parse(&text), Some(Member { who, role: role.to_owned(), tenant }), "{text}");
        }
        for text in [
            "",
            ID,
            "owner@acme",
            "=owner@acme",
            "ana=owner@acme",
            "@example.com=owner@acme",
            "ana@=owner@acme",
            "ana@example.com=owner",
            "ana@example.com=@acme",
            "ana@example.com=owner@",
            "ana@example.com=owner@Acme Inc",
        ] {
            assert_eq!(Member::parse(text), None, "{text}");
        }
    }
}
