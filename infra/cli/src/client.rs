//! `amble client`: the applications that people connect.
//!
//! Most register themselves. One that is to have an id and a secret, as Cowork's "Advanced settings" ask for, is made here.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::jwk::{Jwk, JwkSet};
use shared::oauth::blocked_hosts::{BlockedHosts, covers};
use shared::oauth::client::{Client, ClientId, ClientKind, ClientSecretDigest, DocumentFetch};
use shared::oauth::client_keys::{ClientKeys, KeySource, RemoteJwks};
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::secret::{Digest, Secret, to_text};
use shared::store::clients::{Clients, MAX_SECRETS, PutOutcome};

use crate::arguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::grant;
use crate::operator_event::OperatorEvent;
use crate::output::{Output, fields, table};

/// What can be done to clients.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Register a client with a secret, which is shown this once, or with its public keys
    #[command(after_help = "For Cowork and claude.ai:  --redirect-uri https://claude.ai/api/mcp/auth_callback")]
    Add {
        /// What it is to call itself: 1 to 64 letters, digits, `.`, `_` and `-`
        #[arg(long, value_parser = arguments::chosen_client)]
        id: ClientId,
        /// What people are told it is
        #[arg(long, value_parser = arguments::client_name)]
        name: String,
        /// Where it is answered: https, or http on a loopback host. May be given several times
        #[arg(long = "redirect-uri", value_name = "URI", required = true, value_parser = arguments::redirect_uri)]
        redirect_uris: Vec<RedirectUri>,
        /// A file with its public keys, a JWK set. It proves itself by signing with one (`private_key_jwt`), and has no secret
        #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri", value_parser = arguments::jwks)]
        jwks: Option<JwkSet>,
        /// Where its public keys are, in place of --jwks: they may change there
        #[arg(long, value_name = "URL", value_parser = arguments::jwks_uri)]
        jwks_uri: Option<String>,
    },
    /// List all clients, those included that registered themselves
    List,
    /// Show one client
    Show {
        /// Its id, as `amble client list` tells it
        #[arg(value_parser = arguments::client)]
        id: ClientId,
    },
    /// Forget a client, and end what people connected with it. One that registered or described itself can come back: then block it
    Remove {
        /// Its id, as `amble client list` tells it
        #[arg(value_parser = arguments::client)]
        id: ClientId,
    },
    /// Shut out a client, known or not, or all clients of a host: what people connected with them ends, and none registers or connects
    Block {
        /// Its id, as `amble client list` tells it
        #[arg(value_parser = arguments::client, required_unless_present = "host", conflicts_with = "host")]
        id: Option<ClientId>,
        /// All clients that are answered or described at this host or below it, whatever they call themselves. Asks first, and twice
        /// if the deployment vouches for it
        #[arg(long, value_parser = arguments::blocked_host)]
        host: Option<String>,
        /// Do not ask about a host; given twice, not even about one that the deployment vouches for
        #[arg(long, requires = "host", action = clap::ArgAction::Count)]
        yes: u8,
    },
    /// Let a blocked client in again, or the clients of a blocked host: each registers or describes itself anew, or is added anew
    Unblock {
        /// Its id, as `amble client list` tells it
        #[arg(value_parser = arguments::client, required_unless_present = "host", conflicts_with = "host")]
        id: Option<ClientId>,
        /// The host, as `amble client list` tells it
        #[arg(long, value_parser = arguments::blocked_host)]
        host: Option<String>,
    },
    /// Secrets of a client: add one, hand it over, remove the old one
    #[command(subcommand)]
    Secret(SecretCommand),
}

/// What can be done to a client's secrets.
#[derive(Subcommand)]
pub(crate) enum SecretCommand {
    /// Add another secret, which is shown this once; the others stay good
    Add {
        /// Its id, as `amble client list` tells it
        #[arg(value_parser = arguments::client)]
        id: ClientId,
    },
    /// List the secrets: how each begins as it is kept, and when it was made
    List {
        /// Its id, as `amble client list` tells it
        #[arg(value_parser = arguments::client)]
        id: ClientId,
    },
    /// Take a secret away, at once; never the last one
    Remove {
        /// Its id, as `amble client list` tells it
        #[arg(value_parser = arguments::client)]
        id: ClientId,
        /// As `amble client secret list` calls it
        #[arg(value_name = "SECRET", allow_hyphen_values = true)]
        listed: String,
    },
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<Output, CommandError> {
    let (clients, now) = (&context.environment.clients()?, context.now);
    match command {
        Command::Add { id, name, redirect_uris, jwks, jwks_uri } => {
            let source = jwks.map(KeySource::Inline);
            let source = source.or(jwks_uri.map(|uri| KeySource::Remote(RemoteJwks::new(uri))));
            add(context, clients, id, name, redirect_uris, source).await
        }
        Command::List => Ok(all(&clients.list(now).await?, &clients.blocked_hosts().await?)),
        Command::Show { id } => Ok(one(&find(clients, id, now).await?)),
        Command::Remove { id } => remove(context, clients, id).await,
        Command::Block { host: Some(host), yes, .. } => block_host(context, clients, &host, yes).await,
        Command::Block { id, .. } => block(context, clients, &named(id)?).await,
        Command::Unblock { host: Some(host), .. } => unblock_host(context, clients, host).await,
        Command::Unblock { id, .. } => unblock(context, clients, named(id)?).await,
        Command::Secret(SecretCommand::Add { id }) => add_secret(context, clients, id).await,
        Command::Secret(SecretCommand::List { id }) => list_secrets(clients, id, now).await,
        Command::Secret(SecretCommand::Remove { id, listed }) => remove_secret(context, clients, id, listed).await,
    }
}

async fn add(
    context: &Context,
    clients: &Clients,
    id: ClientId,
    name: String,
    redirect_uris: Vec<RedirectUri>,
    keys: Option<KeySource>,
) -> Result<Output, CommandError> {
    match clients.find(&id, context.now).await?.map(|there| there.kind) {
        None => {}
        Some(ClientKind::Blocked { .. }) => return Err(CommandError::Blocked(id)),
        Some(_) => return Err(CommandError::ClientExists(id)),
    }
    let blocked_hosts = clients.blocked_hosts().await?;
    if let Some(uri) = redirect_uris.iter().find(|uri| blocked_hosts.since(&uri.host()).is_some()) {
        return Err(CommandError::HostBlocked(uri.host()));
    }
    let (kind, secret) = if let Some(source) = keys {
        (ClientKind::PrivateKeyJwt(ClientKeys { source, algorithm: None }), None)
    } else {
        let (text, secret) = new_secret(context.now);
        (ClientKind::Confidential { secrets: vec![secret] }, Some((text, secret)))
    };
    // Two addresses on loopback may differ by the port alone, which has been cut.
    let mut distinct: Vec<RedirectUri> = Vec::new();
    for uri in redirect_uris {
        if !distinct.contains(&uri) {
            distinct.push(uri);
        }
    }
    let client = Client { id, name: Some(name), redirect_uris: distinct, refreshes: true, kind };
    context.announce(&OperatorEvent::ClientAdding { client: client.id.as_str() }).await;
    match clients.put(&client).await? {
        PutOutcome::Written => {}
        // Another operator wrote it after our own first try, whose answer was lost.
        PutOutcome::Unchanged => match &secret {
            Some((_, secret)) if has_secret(clients, &client.id, &secret.digest, context.now).await? => {}
            _ => return Err(CommandError::ClientExists(client.id)),
        },
        PutOutcome::Blocked => return Err(CommandError::Blocked(client.id)),
    }
    context.record(&OperatorEvent::ClientAdded { client: client.id.as_str() });
    let (mut json, id) = (to_json(&client), &client.id);
    let Some((text, _)) = secret else {
        return Ok(Output { text: format!("{id} is registered. It proves itself by its key.\n"), json });
    };
    if let Some(json) = json.as_object_mut() {
        json.insert("client_secret".to_owned(), Value::from(text.as_str()));
    }
    Ok(Output { text: format!("{id} is registered. {}", shown_once(&text)), json })
}

/// The client first: from then on nothing that people approve leads to tokens.
async fn remove(context: &Context, clients: &Clients, id: ClientId) -> Result<Output, CommandError> {
    let Some(client) = clients.find(&id, context.now).await? else { return finish_removal(context, clients, id).await };
    if let ClientKind::Blocked { .. } = client.kind {
        return Err(CommandError::Blocked(client.id));
    }
    // What the rest needs is not to be missed half-way.
    context.environment.grants()?;
    context.announce(&OperatorEvent::ClientRemoving { client: client.id.as_str() }).await;
    // If another operator was faster, it was told by them; what people connected with it ends either way.
    if clients.remove(&client.id, context.now).await? {
        context.record(&OperatorEvent::ClientRemoved { client: client.id.as_str() });
    }
    let ended = revoke_grants(context, &client.id).await?;
    let again = match client.kind {
        ClientKind::Confidential { .. } | ClientKind::PrivateKeyJwt(_) | ClientKind::Blocked { .. } => String::new(),
        ClientKind::Registered { .. } | ClientKind::Document(..) => {
            format!(" It can come back by itself; `amble client block {}` keeps it out.", client.id)
        }
    };
    let text = format!("{} is forgotten. Connections that ended: {ended}.{again}\n", client.id);
    Ok(Output { text, json: json!({ "client_id": client.id.as_str(), "ended": ended }) })
}

/// A removal that was interrupted has forgotten the client, and not ended what people connected with it.
async fn finish_removal(context: &Context, clients: &Clients, id: ClientId) -> Result<Output, CommandError> {
    if !clients.was_removed(&id).await? {
        return Err(CommandError::NoClient(id));
    }
    let ended = revoke_grants(context, &id).await?;
    let text = format!("{id} was forgotten before. Connections that ended: {ended}.\n");
    Ok(Output { text, json: json!({ "client_id": id.as_str(), "ended": ended }) })
}

async fn block(context: &Context, clients: &Clients, id: &ClientId) -> Result<Output, CommandError> {
    let known = clients.find(id, context.now).await?;
    context.environment.grants()?;
    context.announce(&OperatorEvent::ClientBlocking { client: id.as_str() }).await;
    clients.block(id, known.as_ref().and_then(|client| client.name.as_deref()), context.now).await?;
    context.record(&OperatorEvent::ClientBlocked { client: id.as_str() });
    let ended = revoke_grants(context, id).await?;
    let text = format!("{id} is blocked. Connections that ended: {ended}.\n");
    Ok(Output { text, json: json!({ "client_id": id.as_str(), "ended": ended }) })
}

/// The hosts first: from then on nothing that people approve leads to tokens.
async fn block_host(context: &Context, clients: &Clients, host: &str, yes: u8) -> Result<Output, CommandError> {
    let vouched_hosts = context.environment.vouched_hosts()?;
    let vouched: Vec<_> = vouched_hosts.iter().filter(|vouched| covers(host, vouched)).collect();
    context.environment.grants()?;
    context.confirm(
        &format!("ends every connection with applications at {host} and below, and keeps them out"),
        yes > 0,
    )?;
    if !vouched.is_empty() {
        let what = format!("keeps out {}, which this deployment vouches for", vouched.join(", "));
        if yes < 2 && yes > 0 {
            return Err(CommandError::Unconfirmed(format!("this {what}; --yes counts for it if it is given twice")));
        }
        context.confirm(&what, yes > 1)?;
    }
    context.announce(&OperatorEvent::HostBlocking { host }).await;
    clients.block_host(host, context.now).await?;
    context.record(&OperatorEvent::HostBlocked { host });
    // This host alone: what the others had is over.
    let this = BlockedHosts::new([(host.to_owned(), context.now)].into());
    let known = clients.list(context.now).await?;
    let known = known.into_iter().filter(|client| this.since_of_client(client).is_some()).map(|client| client.id);
    let ended = grant::revoke_all_blocked(context, &this, &known.collect()).await?;
    let text = format!("{host} and all below it is blocked. Connections that ended: {ended}.\n");
    Ok(Output { text, json: json!({ "host": host, "ended": ended }) })
}

async fn unblock_host(context: &Context, clients: &Clients, host: String) -> Result<Output, CommandError> {
    if !clients.blocked_hosts().await?.contains(&host) {
        return Err(CommandError::HostNotBlocked(host));
    }
    context.announce(&OperatorEvent::HostUnblocking { host: &host }).await;
    // If another operator was faster, it was told by them.
    if clients.unblock_host(&host).await? {
        context.record(&OperatorEvent::HostUnblocked { host: &host });
    }
    Ok(Output { text: format!("{host} is no longer blocked.\n"), json: json!({ "host": host }) })
}

/// `clap` sees that one of the two is given.
fn named(id: Option<ClientId>) -> Result<ClientId, CommandError> {
    id.ok_or(CommandError::NoClientSelection)
}

async fn unblock(context: &Context, clients: &Clients, id: ClientId) -> Result<Output, CommandError> {
    let there = clients.find(&id, context.now).await?;
    if !matches!(there, Some(Client { kind: ClientKind::Blocked { .. }, .. })) {
        return Err(CommandError::NotBlocked(id));
    }
    if let Some(client) = &there
        && clients.blocked_hosts().await?.since_of_client(client).is_some()
    {
        return Err(CommandError::BlockedByHost(id));
    }
    context.announce(&OperatorEvent::ClientUnblocking { client: id.as_str() }).await;
    if clients.unblock(&id, context.now).await? {
        context.record(&OperatorEvent::ClientUnblocked { client: id.as_str() });
    }
    // If others wrote it meanwhile, what is true by now is told.
    let text = match clients.find(&id, context.now).await?.map(|client| client.kind) {
        None => format!("{id} is no longer blocked, and not known either until it comes again.\n"),
        Some(ClientKind::Blocked { .. }) => return Err(CommandError::Blocked(id)),
        Some(_) => format!("{id} is no longer blocked, and has come again.\n"),
    };
    Ok(Output { text, json: json!({ "client_id": id.as_str() }) })
}

async fn revoke_grants(context: &Context, id: &ClientId) -> Result<usize, CommandError> {
    grant::revoke_all_of_client(context, id).await
}

async fn add_secret(context: &Context, clients: &Clients, id: ClientId) -> Result<Output, CommandError> {
    let client = find(clients, id, context.now).await?;
    let Some(secrets) = secrets(&client) else { return Err(without_secrets(client)) };
    if secrets.len() >= MAX_SECRETS {
        return Err(CommandError::TooMany(client.id));
    }
    let id = client.id;
    let (text, secret) = new_secret(context.now);
    context.announce(&OperatorEvent::ClientSecretAdding { client: id.as_str() }).await;
    // What is refused may have been done by our own first try, before another operator wrote.
    if !clients.add_secret(&id, &secret).await? && !has_secret(clients, &id, &secret.digest, context.now).await? {
        return Err(CommandError::TooMany(id));
    }
    context.record(&OperatorEvent::ClientSecretAdded { client: id.as_str() });
    let json = json!({ "client_id": id.as_str(), "client_secret": text, "secret": listed_as(&secret) });
    Ok(Output { text: format!("{id} has another secret. {}", shown_once(&text)), json })
}

async fn list_secrets(clients: &Clients, id: ClientId, now: Timestamp) -> Result<Output, CommandError> {
    let client = find(clients, id, now).await?;
    let Some(secrets) = secrets(&client) else { return Err(without_secrets(client)) };
    let rows: Vec<_> = secrets.iter().map(|secret| [listed_as(secret), secret.made.to_rfc3339()]).collect();
    Ok(Output { text: table(["SECRET", "MADE"], &rows), json: to_json(&client) })
}

async fn remove_secret(
    context: &Context,
    clients: &Clients,
    id: ClientId,
    listed: String,
) -> Result<Output, CommandError> {
    let client = find(clients, id, context.now).await?;
    let Some(secrets) = secrets(&client) else { return Err(without_secrets(client)) };
    let Some(secret) = secrets.iter().find(|secret| listed_as(secret) == listed) else {
        return Err(CommandError::NoSecret(client.id, listed));
    };
    if secrets.len() == 1 {
        return Err(CommandError::LastSecret(client.id, listed));
    }
    context.announce(&OperatorEvent::ClientSecretRemoving { client: client.id.as_str() }).await;
    // Likewise: if the secret is gone, it is not the last one.
    let (id, digest) = (&client.id, &secret.digest);
    if !clients.remove_secret(id, digest).await? && has_secret(clients, id, digest, context.now).await? {
        return Err(CommandError::LastSecret(client.id, listed));
    }
    context.record(&OperatorEvent::ClientSecretRemoved { client: client.id.as_str() });
    let text = format!("{} can no longer use {listed}.\n", client.id);
    Ok(Output { text, json: json!({ "client_id": client.id.as_str(), "secret": listed }) })
}

async fn find(clients: &Clients, id: ClientId, now: Timestamp) -> Result<Client, CommandError> {
    clients.find(&id, now).await?.ok_or(CommandError::NoClient(id))
}

/// Whether a client has that secret now.
async fn has_secret(clients: &Clients, id: &ClientId, digest: &Digest, now: Timestamp) -> Result<bool, CommandError> {
    let client = clients.find(id, now).await?;
    let stored = client.as_ref().and_then(secrets).unwrap_or_default();
    Ok(stored.iter().any(|stored| stored.digest.matches(digest)))
}

/// A new secret, as the client is to show it, and what is kept of it. The prefix tells those who find it what it is.
fn new_secret(now: Timestamp) -> (String, ClientSecretDigest) {
    let text = format!("cs_{}", to_text(Secret::<32>::random().expose()));
    let digest = Digest::of(text.as_bytes());
    (text, ClientSecretDigest { digest, made: now })
}

fn shown_once(secret: &str) -> String {
    format!("Its secret, which nobody can show again:\n\n  {secret}\n\n")
}

/// The first characters of its digest: they tell secrets of a client apart, and nothing about them.
fn listed_as(secret: &ClientSecretDigest) -> String {
    to_text(secret.digest.as_bytes()).chars().take(8).collect()
}

/// Only a client that an operator added has any.
fn secrets(client: &Client) -> Option<&[ClientSecretDigest]> {
    if let ClientKind::Confidential { secrets } = &client.kind { Some(secrets) } else { None }
}

fn without_secrets(client: Client) -> CommandError {
    match client.kind {
        ClientKind::Blocked { .. } => CommandError::Blocked(client.id),
        ClientKind::PrivateKeyJwt(_) => CommandError::HasKeys(client.id),
        ClientKind::Registered { .. } | ClientKind::Confidential { .. } | ClientKind::Document(..) => {
            CommandError::Public(client.id)
        }
    }
}

fn all(clients: &[Client], blocked_hosts: &BlockedHosts) -> Output {
    let row = |client: &Client| {
        let addresses: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        [client.id.to_string(), kept(client), client.name.clone().unwrap_or_default(), addresses.join(" ")]
    };
    let rows: Vec<_> = clients.iter().map(row).collect();
    let mut text = if rows.is_empty() {
        "There is no client yet.\n".to_owned()
    } else {
        table(["CLIENT", "KEPT", "NAME", "ANSWERED AT"], &rows)
    };
    let mut json = json!({ "clients": clients.iter().map(to_json).collect::<Vec<_>>() });
    let hosts: Vec<_> = blocked_hosts.iter().map(|(host, since)| [host.to_owned(), since.to_rfc3339()]).collect();
    if let (Some(members), false) = (json.as_object_mut(), hosts.is_empty()) {
        let _ = write!(text, "\n{}", table(["BLOCKED HOST", "SINCE"], &hosts));
        let hosts = hosts.iter().map(|[host, since]| json!({ "host": host, "blocked_since": since }));
        members.insert("blocked_hosts".to_owned(), hosts.collect());
    }
    Output { text, json }
}

fn one(client: &Client) -> Output {
    let mut rows = vec![
        ("Client", client.id.to_string()),
        ("Name", client.name.clone().unwrap_or_default()),
        ("Kept", kept(client)),
        ("Stays connected", if client.refreshes { "yes" } else { "no" }.to_owned()),
    ];
    rows.extend(client.redirect_uris.iter().map(|uri| ("Answered at", uri.as_str().to_owned())));
    for secret in secrets(client).unwrap_or_default() {
        rows.push(("Secret", format!("{} of {}", listed_as(secret), secret.made.to_rfc3339())));
    }
    match client.keys().map(|keys| &keys.source) {
        Some(KeySource::Inline(set)) => rows.extend(set.keys().iter().map(|key| ("Key", key_name(key)))),
        Some(KeySource::Remote(remote)) => rows.push(("Keys", remote.uri.clone())),
        None => {}
    }
    Output { text: fields(&rows), json: to_json(client) }
}

/// A key as people tell it from others.
fn key_name(key: &Jwk) -> String {
    format!("{} for {}", key.kid().unwrap_or("without a name"), key.algorithm().as_str())
}

/// For how long, and how it came.
fn kept(client: &Client) -> String {
    match &client.kind {
        ClientKind::Registered { expires } => format!("registered itself, until {}", expires.to_rfc3339()),
        ClientKind::Document(known, _) => format!("describes itself, read {}", known.fetched.to_rfc3339()),
        ClientKind::Confidential { .. } | ClientKind::PrivateKeyJwt(_) => "by hand".to_owned(),
        ClientKind::Blocked { since } => format!("blocked since {}", since.to_rfc3339()),
    }
}

/// With the names of RFC 7591, and never with a secret.
fn to_json(client: &Client) -> Value {
    let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let mut json = json!({ "client_id": client.id.as_str(), "redirect_uris": uris, "refreshes": client.refreshes });
    let Some(members) = json.as_object_mut() else { return json };
    if let Some(name) = &client.name {
        members.insert("client_name".to_owned(), Value::from(name.as_str()));
    }
    match client.keys().map(|keys| &keys.source) {
        Some(KeySource::Inline(set)) => drop(members.insert("jwks".to_owned(), json!(set))),
        Some(KeySource::Remote(remote)) => drop(members.insert("jwks_uri".to_owned(), json!(remote.uri))),
        None => {}
    }
    match &client.kind {
        ClientKind::PrivateKeyJwt(_) => None,
        ClientKind::Registered { expires } | ClientKind::Document(DocumentFetch { expires, .. }, _) => {
            members.insert("expires".to_owned(), Value::from(expires.to_rfc3339()))
        }
        ClientKind::Confidential { secrets } => {
            let secret =
                |secret: &ClientSecretDigest| json!({ "secret": listed_as(secret), "made": secret.made.to_rfc3339() });
            members.insert("secrets".to_owned(), secrets.iter().map(secret).collect())
        }
        ClientKind::Blocked { since } => members.insert("blocked_since".to_owned(), Value::from(since.to_rfc3339())),
    };
    json
}
