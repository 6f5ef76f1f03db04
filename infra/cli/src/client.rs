//! `amble client`: the applications that people connect.
//!
//! Most register themselves. One that is to have an id and a secret, as Cowork's "Advanced settings" ask for, is made here.

use clap::Subcommand;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::environment::Misconfigured;
use shared::fault::Fault;
use shared::oauth::client::{Client, ClientId, Kind, LiveSecret, Provenance};
use shared::oauth::client_name;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::secret::{Digest, Secret, to_text};
use shared::store::clients::{Clients, MOST_SECRETS};
use thiserror::Error;

use crate::deployment::{Deployment, NotFound};
use crate::said::{Said, table};

/// What can be done to clients.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Register a client with a secret, which is shown this once
    #[command(after_help = "For Cowork and claude.ai:  --redirect-uri https://claude.ai/api/mcp/auth_callback")]
    Add {
        /// What it is to call itself: 1 to 64 letters, digits, `.`, `_` and `-`
        #[arg(long, value_parser = chosen_id)]
        id: ClientId,
        /// What people are told it is
        #[arg(long, value_parser = name)]
        name: String,
        /// Where it is answered: https, or http on a loopback host. May be given several times
        #[arg(long = "redirect-uri", value_name = "URI", required = true, value_parser = redirect_uri)]
        redirect_uris: Vec<RedirectUri>,
    },
    /// List all clients, those included that registered themselves
    List,
    /// Show one client
    Show {
        #[arg(value_parser = known_id)]
        id: ClientId,
    },
    /// Forget a client: it gets no more tokens, and what it holds ends within the hour
    Remove {
        #[arg(value_parser = known_id)]
        id: ClientId,
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
        #[arg(value_parser = known_id)]
        id: ClientId,
    },
    /// List the secrets: how each begins as it is kept, and when it was made
    List {
        #[arg(value_parser = known_id)]
        id: ClientId,
    },
    /// Take a secret away, at once; never the last one
    Remove {
        #[arg(value_parser = known_id)]
        id: ClientId,
        /// As `amble client secret list` calls it
        #[arg(value_name = "SECRET")]
        listed: String,
    },
}

/// Why it was not done.
#[derive(Debug, Error)]
pub(crate) enum Failed {
    #[error(transparent)]
    Deployment(#[from] NotFound),
    #[error(transparent)]
    Environment(#[from] Misconfigured),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(
        "there is a client {0} already; choose another id, or give it another secret with `amble client secret add {0}`"
    )]
    Exists(ClientId),
    #[error("there is no client {0}; `amble client list` tells which there are")]
    Unknown(ClientId),
    #[error("{0} registered itself, and such a client has no secrets")]
    Public(ClientId),
    #[error("{0} has {MOST_SECRETS} secrets already; remove one first")]
    TooMany(ClientId),
    #[error("{0} has no secret {1}; `amble client secret list {0}` tells which it has")]
    NoSecret(ClientId, String),
    #[error("{1} is the last secret of {0}; add another first, or remove the client")]
    Last(ClientId, String),
}

pub(crate) async fn run(command: Command, deployment: &Deployment) -> Result<Said, Failed> {
    let environment = deployment.environment().await?;
    let (clients, now) = (environment.clients()?, environment.clock().now());
    match command {
        Command::Add { id, name, redirect_uris } => add(&clients, id, name, redirect_uris, now).await,
        Command::List => Ok(all(&clients.list(now).await?)),
        Command::Show { id } => Ok(one(&find(&clients, id, now).await?)),
        Command::Remove { id } => remove(&clients, id).await,
        Command::Secret(SecretCommand::Add { id }) => add_secret(&clients, id, now).await,
        Command::Secret(SecretCommand::List { id }) => list_secrets(&clients, id, now).await,
        Command::Secret(SecretCommand::Remove { id, listed }) => remove_secret(&clients, id, listed, now).await,
    }
}

async fn add(
    clients: &Clients,
    id: ClientId,
    name: String,
    redirect_uris: Vec<RedirectUri>,
    now: Timestamp,
) -> Result<Said, Failed> {
    let (text, secret) = new_secret(now);
    let kind = Kind::Confidential { secrets: vec![secret] };
    let client = Client { id, name: Some(name), redirect_uris, refreshes: true, kind };
    if !clients.keep(&client).await? {
        return Err(Failed::Exists(client.id));
    }
    let mut json = described(&client);
    if let Some(json) = json.as_object_mut() {
        json.insert("client_secret".to_owned(), Value::from(text.as_str()));
    }
    let id = &client.id;
    Ok(Said { text: format!("{id} is registered. {}", shown_once(&text)), json })
}

async fn remove(clients: &Clients, id: ClientId) -> Result<Said, Failed> {
    if !clients.remove(&id).await? {
        return Err(Failed::Unknown(id));
    }
    Ok(Said { text: format!("{id} is forgotten.\n"), json: json!({ "client_id": id.as_str() }) })
}

async fn add_secret(clients: &Clients, id: ClientId, now: Timestamp) -> Result<Said, Failed> {
    let (text, secret) = new_secret(now);
    if !clients.add_secret(&id, &secret).await? {
        let client = find(clients, id, now).await?;
        return Err(if secrets(&client).is_some() { Failed::TooMany(client.id) } else { Failed::Public(client.id) });
    }
    let json = json!({ "client_id": id.as_str(), "client_secret": text, "secret": listed_as(&secret) });
    Ok(Said { text: format!("{id} has another secret. {}", shown_once(&text)), json })
}

async fn list_secrets(clients: &Clients, id: ClientId, now: Timestamp) -> Result<Said, Failed> {
    let client = find(clients, id, now).await?;
    let Some(secrets) = secrets(&client) else { return Err(Failed::Public(client.id)) };
    let rows: Vec<_> = secrets.iter().map(|secret| [listed_as(secret), secret.made.to_rfc3339()]).collect();
    Ok(Said { text: table(["SECRET", "MADE"], &rows), json: described(&client) })
}

async fn remove_secret(clients: &Clients, id: ClientId, listed: String, now: Timestamp) -> Result<Said, Failed> {
    let client = find(clients, id, now).await?;
    let Some(secrets) = secrets(&client) else { return Err(Failed::Public(client.id)) };
    let Some(secret) = secrets.iter().find(|secret| listed_as(secret) == listed) else {
        return Err(Failed::NoSecret(client.id, listed));
    };
    if !clients.remove_secret(&client.id, &secret.digest).await? {
        return Err(Failed::Last(client.id, listed));
    }
    let text = format!("{} can no longer use {listed}.\n", client.id);
    Ok(Said { text, json: json!({ "client_id": client.id.as_str(), "secret": listed }) })
}

async fn find(clients: &Clients, id: ClientId, now: Timestamp) -> Result<Client, Failed> {
    clients.find(&id, now).await?.ok_or(Failed::Unknown(id))
}

/// A new secret, as the client is to show it, and what is kept of it. The prefix tells those who find it what it is.
fn new_secret(now: Timestamp) -> (String, LiveSecret) {
    let text = format!("cs_{}", to_text(Secret::<32>::random().expose()));
    let digest = Digest::of(text.as_bytes());
    (text, LiveSecret { digest, made: now })
}

fn shown_once(secret: &str) -> String {
    format!("Its secret, which nobody can show again:\n\n  {secret}\n\n")
}

/// The first characters of its digest: they tell secrets of a client apart, and nothing about them.
fn listed_as(secret: &LiveSecret) -> String {
    to_text(secret.digest.as_bytes()).chars().take(8).collect()
}

fn secrets(client: &Client) -> Option<&[LiveSecret]> {
    if let Kind::Confidential { secrets } = &client.kind { Some(secrets) } else { None }
}

fn all(clients: &[Client]) -> Said {
    let row = |client: &Client| {
        let addresses: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        [client.id.to_string(), kept(client), client.name.clone().unwrap_or_default(), addresses.join(" ")]
    };
    let rows: Vec<_> = clients.iter().map(row).collect();
    let text = if rows.is_empty() {
        "There is no client yet.\n".to_owned()
    } else {
        table(["CLIENT", "KEPT", "NAME", "ANSWERED AT"], &rows)
    };
    Said { text, json: json!({ "clients": clients.iter().map(described).collect::<Vec<_>>() }) }
}

fn one(client: &Client) -> Said {
    let mut rows = vec![
        ["Client".to_owned(), client.id.to_string()],
        ["Name".to_owned(), client.name.clone().unwrap_or_default()],
        ["Kept".to_owned(), kept(client)],
        ["Stays connected".to_owned(), if client.refreshes { "yes" } else { "no" }.to_owned()],
    ];
    rows.extend(client.redirect_uris.iter().map(|uri| ["Answered at".to_owned(), uri.as_str().to_owned()]));
    for secret in secrets(client).unwrap_or_default() {
        rows.push(["Secret".to_owned(), format!("{} of {}", listed_as(secret), secret.made.to_rfc3339())]);
    }
    let text = rows.iter().map(|[what, value]| format!("{what:<17}{value}").trim_end().to_owned() + "\n").collect();
    Said { text, json: described(client) }
}

/// For how long, and how it came.
fn kept(client: &Client) -> String {
    match &client.kind {
        Kind::Registered { expires } => format!("registered itself, until {}", expires.to_rfc3339()),
        Kind::Document(known) => format!("describes itself, read {}", known.fetched.to_rfc3339()),
        Kind::Confidential { .. } => "by hand".to_owned(),
    }
}

/// With the names of RFC 7591, and never with a secret.
fn described(client: &Client) -> Value {
    let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let mut json = json!({ "client_id": client.id.as_str(), "redirect_uris": uris, "refreshes": client.refreshes });
    let Some(members) = json.as_object_mut() else { return json };
    if let Some(name) = &client.name {
        members.insert("client_name".to_owned(), Value::from(name.as_str()));
    }
    match &client.kind {
        Kind::Registered { expires } | Kind::Document(Provenance { expires, .. }) => {
            members.insert("expires".to_owned(), Value::from(expires.to_rfc3339()))
        }
        Kind::Confidential { secrets } => {
            let secret = |secret: &LiveSecret| json!({ "secret": listed_as(secret), "made": secret.made.to_rfc3339() });
            members.insert("secrets".to_owned(), secrets.iter().map(secret).collect())
        }
    };
    json
}

fn chosen_id(text: &str) -> Result<ClientId, String> {
    let rule = "1 to 64 letters, digits, `.`, `_` and `-`, not beginning with c_, as those of clients that register themselves do";
    ClientId::chosen(text).ok_or_else(|| rule.to_owned())
}

fn known_id(text: &str) -> Result<ClientId, String> {
    ClientId::parse(text).ok_or_else(|| "an id has 1 to 256 characters and no spaces".to_owned())
}

fn redirect_uri(text: &str) -> Result<RedirectUri, String> {
    let rule = "an address is https, or http on localhost, 127.0.0.1 or [::1], written as a browser writes it, without a fragment";
    RedirectUri::parse(text).map(|uri| uri.on_any_port()).ok_or_else(|| rule.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let rule = "a name has 1 to 100 characters, none of them a control character or an invisible one";
    client_name::parse(text).ok_or_else(|| rule.to_owned())
}
