//! `amble key`: API keys, for scripts.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};
use shared::audit::Event;
use shared::oauth::api_key::{ApiKeyId, ApiKeyName};
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::api_keys::{ApiKeyRecord, CreateApiKeyError};

use crate::arguments;
use crate::desk::Desk;
use crate::failed::Failed;
use crate::said::{Said, table};
use crate::tenant;

/// What can be done to API keys.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the keys of a tenant
    List {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
    },
    /// Make a key in the name of a member, which is shown this once. It can do no more than they may, now or later
    Add {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        /// In whose name
        #[arg(long, value_parser = arguments::person)]
        person: PersonId,
        /// What it is for
        #[arg(long, value_parser = arguments::key_name)]
        name: ApiKeyName,
        /// For how long it works, such as 90d; without, until it is revoked
        #[arg(long, value_name = "SPAN", value_parser = arguments::span)]
        expires_in: Option<Duration>,
        /// What it may do, such as entities:read
        #[arg(required = true, value_parser = arguments::permission)]
        permissions: Vec<Scope>,
    },
    /// Revoke a key: the next call with it is refused
    Revoke {
        #[arg(value_parser = arguments::tenant)]
        tenant: TenantId,
        #[arg(value_parser = arguments::key, allow_hyphen_values = true)]
        key: ApiKeyId,
    },
}

pub(crate) async fn run(command: Command, desk: &Desk) -> Result<Said, Failed> {
    match command {
        Command::List { tenant } => list(desk, &tenant).await,
        Command::Add { tenant, person, name, expires_in, permissions } => {
            let scopes = permissions.into_iter().fold(Scopes::NONE, Scopes::with);
            add(desk, &tenant, person, name, expires_in, scopes).await
        }
        Command::Revoke { tenant, key } => {
            if !revoke(desk, &tenant, &key).await? {
                return Err(Failed::NoKey(tenant, key.to_text()));
            }
            let text = format!("Key {} of tenant {tenant} is revoked.\n", key.to_text());
            Ok(Said { text, json: json!({ "tenant": tenant.as_str(), "key": key.to_text() }) })
        }
    }
}

/// Every key of a tenant that still works.
pub(crate) async fn all(desk: &Desk, tenant: &TenantId) -> Result<Vec<ApiKeyRecord>, Failed> {
    let keys = desk.environment.keys()?;
    let (mut found, mut place) = (Vec::new(), None);
    loop {
        let (page, next) = keys.of_tenant(tenant, place.as_ref(), desk.now).await?;
        found.extend(page);
        match next {
            Some(next) => place = Some(next),
            None => return Ok(found),
        }
    }
}

/// Revokes those of a tenant's keys that `which` names; how many.
pub(crate) async fn revoke_all(
    desk: &Desk,
    tenant: &TenantId,
    which: impl Fn(&ApiKeyRecord) -> bool,
) -> Result<usize, Failed> {
    let mut revoked = 0;
    for key in all(desk, tenant).await?.iter().filter(|key| which(key)) {
        revoked += usize::from(revoke(desk, tenant, &key.id).await?);
    }
    Ok(revoked)
}

async fn revoke(desk: &Desk, tenant: &TenantId, key: &ApiKeyId) -> Result<bool, Failed> {
    let revoked = desk.environment.keys()?.revoke(tenant, key, None).await?;
    if revoked {
        let (key, tenant) = (&key.to_text(), tenant.as_str());
        desk.note_event(&Event::KeyRevoked { key, tenant, person: None, by: None });
    }
    Ok(revoked)
}

async fn add(
    desk: &Desk,
    id: &TenantId,
    person: PersonId,
    name: ApiKeyName,
    expires_in: Option<Duration>,
    scopes: Scopes,
) -> Result<Said, Failed> {
    tenant::find(desk, id).await?;
    let membership = desk.environment.directory()?.membership(&person, id).await?;
    let membership = membership.ok_or_else(|| Failed::NoMember(id.clone(), person.clone()))?;
    let expires = expires_in.map(|span| desk.now.plus(span));
    let made = desk.environment.keys()?.create(&membership, name, scopes, expires, desk.now).await;
    let (key, known) = made.map_err(|unmade| match unmade {
        CreateApiKeyError::ExceedsRole(beyond) => Failed::Beyond(person, beyond),
        CreateApiKeyError::Upstream(fault) => fault.into(),
        other => Failed::NoKeyMade(other),
    })?;
    let mut json = described(&known);
    desk.note_event(&Event::KeyMade {
        key: &known.id.to_text(),
        tenant: known.tenant.as_str(),
        person: known.maker.as_str(),
        scope: &known.scopes.to_string(),
        by: None,
    });
    let text = key.to_text();
    if let Some(members) = json.as_object_mut() {
        members.insert("api_key".to_owned(), Value::from(text.as_str()));
    }
    let told = format!("Key {} of tenant {id}, which nobody can show again:\n\n  {text}\n\n", known.id.to_text());
    Ok(Said { text: told, json })
}

async fn list(desk: &Desk, id: &TenantId) -> Result<Said, Failed> {
    tenant::find(desk, id).await?;
    let keys = all(desk, id).await?;
    let row = |key: &ApiKeyRecord| {
        let when = |time: Option<shared::clock::Timestamp>, never: &str| {
            time.map_or_else(|| never.to_owned(), shared::clock::Timestamp::to_rfc3339)
        };
        [
            key.id.to_text(),
            key.name.as_str().to_owned(),
            key.maker.to_string(),
            when(key.used, "never"),
            when(key.expires, "never"),
            key.scopes.to_string(),
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    let text = if rows.is_empty() {
        format!("Tenant {id} has no API key.\n")
    } else {
        table(["KEY", "NAME", "MADE BY", "LAST USED", "EXPIRES", "MAY"], &rows)
    };
    Ok(Said { text, json: json!({ "keys": keys.iter().map(described).collect::<Vec<_>>() }) })
}

/// Never with the key itself.
fn described(key: &ApiKeyRecord) -> Value {
    let mut json = json!({
        "key": key.id.to_text(),
        "tenant": key.tenant.as_str(),
        "name": key.name.as_str(),
        "person": key.maker.as_str(),
        "scope": key.scopes.to_string(),
        "created": key.created.to_rfc3339(),
    });
    if let Some(members) = json.as_object_mut() {
        let times = [("expires", key.expires), ("used", key.used)];
        members.extend(
            times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), Value::from(time?.to_rfc3339())))),
        );
    }
    json
}
