//! Clients, by id.
//!
//! ```text
//! registered    { id: "c_…", kind: "registered", name?: "Claude", redirect_uris: ["https://…"], refreshes: true, expires: 1795… }
//! confidential  { id: "acme-cowork", kind: "confidential", name: "Acme", redirect_uris: […], refreshes: true, secrets: [<digest>] }
//! document      { id: "https://claude.ai/oauth/…", kind: "document", name: "Claude", redirect_uris: ["https://…"], refreshes: true,
//!                 fetched: 1795…, fresh: 1795…, digest: <32 bytes>, expires: 1795… }
//! ```
//!
//! `expires` is set when a client is first seen, and after that only approvals move it: a document that is fetched again stays as
//! long as the grants that rest on it.

use std::time::Duration;

use aws_sdk_dynamodb::Client as Dynamo;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, Update};

use super::item::{Item, Value, unreadable};
use super::{Key, read_together};
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::oauth::client::{Client, ClientId, Kind, Provenance};
use crate::oauth::grant::ABSOLUTE;
use crate::oauth::redirect_uri::RedirectUri;
use crate::oauth::secret::Digest;

/// How long a registration is kept that nobody uses.
pub const UNUSED: Duration = Duration::from_hours(30 * 24);

/// The table of clients.
#[derive(Clone)]
pub struct Clients {
    pub(super) dynamo: Dynamo,
    table: String,
}

impl Clients {
    pub(crate) const fn new(dynamo: Dynamo, table: String) -> Self {
        Self { dynamo, table }
    }

    /// The client of that id, if it still counts.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn find(&self, id: &ClientId, now: Timestamp) -> Result<Option<Client>, Fault> {
        let mut items = read_together(&self.dynamo, &[self.key(id)]).await?;
        self.read(items.pop().flatten(), now)
    }

    /// Keeps a client. The id of a registered one says what it contains, so writing it again changes nothing but, perhaps, how
    /// long it is kept.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn keep(&self, client: &Client) -> Result<(), Fault> {
        const CALL: &str = "DynamoDB.PutItem";
        let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let item = Item::default()
            .with("id", client.id.as_str())
            .with_some("name", client.name.as_deref())
            .with("redirect_uris", uris)
            .with("refreshes", client.refreshes);
        let put = self.dynamo.put_item().table_name(&self.table);
        let put = match &client.kind {
            // Registering again must not shorten the life of a client in use.
            Kind::Registered { expires } => put
                .set_item(Some(item.with("kind", "registered").with("expires", *expires).into_inner()))
                .condition_expression("attribute_not_exists(id) OR expires < :expires")
                .expression_attribute_values(":expires", AttributeValue::N(expires.seconds().to_string())),
            // Two people may bring the same document at once: whichever write comes first says the same.
            Kind::Document(Provenance { fetched, fresh, digest, expires }) => put
                .set_item(Some(
                    item.with("kind", "document")
                        .with("fetched", *fetched)
                        .with("fresh", *fresh)
                        .with("digest", digest.as_bytes().as_slice())
                        .with("expires", *expires)
                        .into_inner(),
                ))
                .condition_expression("attribute_not_exists(id) OR expires <= :fetched")
                .expression_attribute_values(":fetched", Value::from(*fetched).0),
            Kind::Confidential { secrets } => {
                let secrets: Vec<_> = secrets.iter().map(|secret| secret.as_bytes().as_slice()).collect();
                put.set_item(Some(item.with("kind", "confidential").with("secrets", secrets).into_inner()))
            }
        };
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(error.as_service_error(), Some(PutItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(())
            }
            Err(error) => Err(Fault::of_aws(CALL, &error)),
        }
    }

    /// Keeps what the document of a known client says now, unless somebody has kept what was fetched later. How long the client is
    /// kept does not change.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn keep_refetched(&self, client: &Client, found: &Provenance) -> Result<(), Fault> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let uris: Vec<_> = client.redirect_uris.iter().map(RedirectUri::as_str).collect();
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(client.id.as_str().to_owned()))
            .condition_expression("fetched <= :fetched")
            .update_expression(
                "SET #name = :name, redirect_uris = :uris, refreshes = :refreshes, fetched = :fetched, fresh = :fresh, \
                 digest = :digest",
            )
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", Value::from(client.name.as_deref().unwrap_or_default()).0)
            .expression_attribute_values(":uris", Value::from(uris).0)
            .expression_attribute_values(":refreshes", Value::from(client.refreshes).0)
            .expression_attribute_values(":fetched", Value::from(found.fetched).0)
            .expression_attribute_values(":fresh", Value::from(found.fresh).0)
            .expression_attribute_values(":digest", Value::from(found.digest.as_bytes().as_slice()).0);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                Ok(())
            }
            Err(error) => Err(Fault::of_aws(CALL, &error)),
        }
    }

    /// The write that keeps a client that expires longer than any grant approved now can live; none if it is kept so already.
    pub(super) fn renewal(&self, client: &Client, now: Timestamp) -> Option<Update> {
        // Ten days more than needed, so that most approvals find it renewed.
        const SPARE: Duration = Duration::from_hours(10 * 24);

        let (Kind::Registered { expires } | Kind::Document(Provenance { expires, .. })) = &client.kind else {
            return None;
        };
        let until = now.plus(ABSOLUTE).plus(UNUSED);
        if *expires >= until {
            return None;
        }
        Update::builder()
            .table_name(&self.table)
            .key("id", AttributeValue::S(client.id.as_str().to_owned()))
            .update_expression("SET expires = :expires")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":expires", AttributeValue::N(until.plus(SPARE).seconds().to_string()))
            .build()
            .ok()
    }

    pub(super) fn key<'a>(&'a self, id: &ClientId) -> Key<'a> {
        Key { table: &self.table, attributes: vec![("id", id.as_str().to_owned())] }
    }

    pub(super) fn read(&self, item: Option<Item>, now: Timestamp) -> Result<Option<Client>, Fault> {
        let Some(item) = item else { return Ok(None) };
        let client = read(&item).ok_or_else(|| unreadable(&self.table))?;
        Ok(client.is_alive(now).then_some(client))
    }
}

fn read(item: &Item) -> Option<Client> {
    let redirect_uris = item.texts("redirect_uris")?.into_iter().map(RedirectUri::parse).collect::<Option<_>>()?;
    let kind = match item.text("kind")? {
        "registered" => Kind::Registered { expires: item.time("expires")? },
        "confidential" => {
            let secrets = item.all_bytes("secrets")?.into_iter().map(Digest::from_bytes).collect::<Option<_>>()?;
            Kind::Confidential { secrets }
        }
        "document" => Kind::Document(Provenance {
            fetched: item.time("fetched")?,
            fresh: item.time("fresh")?,
            digest: Digest::from_bytes(item.bytes("digest")?)?,
            expires: item.time("expires")?,
        }),
        _ => return None,
    };
    Some(Client {
        id: ClientId::parse(item.text("id")?)?,
        name: item.text("name").map(str::to_owned),
        redirect_uris,
        refreshes: item.flag("refreshes")?,
        kind,
    })
}
