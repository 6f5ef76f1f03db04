//! `amble key`: API keys, for scripts.

use clap::Subcommand;
use serde_json::{Value, json};
use shared::api_key_issuer::ApiKeyIssuer;
use shared::oauth::api_key::{ApiKeyId, ApiKeyName, ApiKeyRecord};
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::TenantId;
use shared::revocation::Revocation;
use shared::store::api_keys::{Actor, CreateApiKeyError, NewApiKey};
use supabase_users::person_selector::PersonSelector;

use crate::arguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::{Output, table};

/// What can be done to API keys.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the keys of a tenant; one of the last few seconds may not be listed yet
    List {
        /// Of which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
    },
    /// Make a key in the name of a member, which is shown this once. It can do no more than they may, now or later
    Add {
        /// In which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
        /// In whose name, by user id or e-mail address
        #[arg(long, value_parser = PersonSelector::parse)]
        person: PersonSelector,
        /// What it is for
        #[arg(long, value_parser = arguments::key_name)]
        name: ApiKeyName,
        /// For how long it works, such as 90d, and at most 3650d; without, until it is revoked
        #[arg(long, value_name = "SPAN", value_parser = arguments::key_lifetime)]
        expires_in: Option<KeyLifetime>,
        /// What it may do, such as entities:read
        #[arg(required = true, value_parser = arguments::permission)]
        permissions: Vec<Scope>,
    },
    /// Revoke a key, and those that it made: the next call with any of them is refused
    Revoke {
        /// Which, as `amble key list` calls it
        #[arg(value_parser = arguments::key, allow_hyphen_values = true)]
        key: ApiKeyId,
        /// Of which tenant
        #[arg(long, value_parser = arguments::tenant)]
        tenant: TenantId,
    },
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<Output, CommandError> {
    match command {
        Command::List { tenant } => list(context, &tenant).await,
        Command::Add { tenant, person, name, expires_in, permissions } => {
            let scopes = permissions.into_iter().fold(Scopes::NONE, Scopes::with);
            let lifetime = expires_in.unwrap_or(KeyLifetime::UNTIL_REVOKED);
            add(context, &tenant, &person, name, lifetime, scopes).await
        }
        Command::Revoke { key, tenant } => {
            let known = context.environment.keys()?.find(&key, context.now).await?;
            let known = known.filter(|known| known.tenant == tenant);
            if known.is_none() || revoke(context, &tenant, &[&key]).await? == 0 {
                return Err(CommandError::NoKey(tenant, key.to_text()));
            }
            let text = format!("Key {} of tenant {tenant} is revoked.\n", key.to_text());
            Ok(Output { text, json: json!({ "tenant": tenant.as_str(), "key": key.to_text() }) })
        }
    }
}

/// Every key of a tenant that still works.
pub(crate) async fn all(context: &Context, tenant: &TenantId) -> Result<Vec<ApiKeyRecord>, CommandError> {
    let keys = context.environment.keys()?;
    let (mut found, mut place) = (Vec::new(), None);
    loop {
        let (page, next) = keys.of_tenant(tenant, place.as_ref(), context.now).await?;
        found.extend(page);
        match next {
            Some(next) => place = Some(next),
            None => return Ok(found),
        }
    }
}

/// Revokes those of a tenant's keys that `which` names; how many.
pub(crate) async fn revoke_all(
    context: &Context,
    tenant: &TenantId,
    which: impl Fn(&ApiKeyRecord) -> bool,
) -> Result<usize, CommandError> {
    let keys = all(context, tenant).await?;
    let ids: Vec<_> = keys.iter().filter(|key| which(key)).map(|key| &key.id).collect();
    revoke(context, tenant, &ids).await
}

/// Tells the audit of all, and then revokes them; how many there were.
async fn revoke(context: &Context, tenant: &TenantId, ids: &[&ApiKeyId]) -> Result<usize, CommandError> {
    let keys = context.environment.keys()?;
    let revocation = Revocation::with_recorder(&keys, context);
    let announced: Vec<_> = ids.iter().map(|id| revocation.announce(Actor::Person, tenant, id, None)).collect();
    context.flush().await;
    let mut revoked = 0;
    for announced in announced {
        revoked += usize::from(announced.complete(context.now).await?);
    }
    Ok(revoked)
}

async fn add(
    context: &Context,
    id: &TenantId,
    person: &PersonSelector,
    name: ApiKeyName,
    lifetime: KeyLifetime,
    scopes: Scopes,
) -> Result<Output, CommandError> {
    context.find_tenant(id).await?;
    let person = context.find_person(person).await?;
    let membership = context.environment.directory()?.membership(&person, id).await?;
    let membership = membership.ok_or_else(|| CommandError::NoMember(id.clone(), person.clone()))?;
    let keys = context.environment.keys()?;
    let issuer = ApiKeyIssuer::with_recorder(&keys, context);
    let new = NewApiKey { maker: &membership, name, scopes, expiry: lifetime.expiry(context.now) };
    let made = issuer.create(Actor::Person, new, context.now).await;
    let (key, known) = made.map_err(|error| match error {
        CreateApiKeyError::ExceedsRole(beyond) => CommandError::ScopesExceedRole(person, beyond),
        CreateApiKeyError::Upstream(error) => error.into(),
        other => CommandError::KeyNotCreated(other),
    })?;
    let mut json = to_json(&known);
    let text = key.to_text();
    if let Some(members) = json.as_object_mut() {
        members.insert("api_key".to_owned(), Value::from(text.as_str()));
    }
    let shown = format!("Key {} of tenant {id}, which nobody can show again:\n\n  {text}\n\n", known.id.to_text());
    Ok(Output { text: shown, json })
}

async fn list(context: &Context, id: &TenantId) -> Result<Output, CommandError> {
    context.find_tenant(id).await?;
    let keys = all(context, id).await?;
    let row = |key: &ApiKeyRecord| {
        let when = |time: Option<shared::clock::Timestamp>, never: &str| {
            time.map_or_else(|| never.to_owned(), shared::clock::Timestamp::to_rfc3339)
        };
        [
            key.id.to_text(),
            key.name.as_str().to_owned(),
            key.parent.as_ref().map_or_else(|| key.maker.to_string(), |parent| format!("key {}", parent.to_text())),
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
    Ok(Output { text, json: json!({ "keys": keys.iter().map(to_json).collect::<Vec<_>>() }) })
}

/// Never with the key itself.
fn to_json(key: &ApiKeyRecord) -> Value {
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
        members.extend(key.parent.iter().map(|parent| ("made_by_key".to_owned(), Value::from(parent.to_text()))));
        members.extend(
            times.into_iter().filter_map(|(name, time)| Some((name.to_owned(), Value::from(time?.to_rfc3339())))),
        );
    }
    json
}
