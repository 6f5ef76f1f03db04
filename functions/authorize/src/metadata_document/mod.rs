//! Clients with a metadata document: the client id is an https address, and the document is at that address
//! (draft-ietf-oauth-client-id-metadata-document-01).
//!
//! Nothing is fetched before a member of a tenant has signed in. Otherwise anyone could make this function call
//! addresses of their choice, again and again. Until then only the id is checked, and a person who comes with an invalid
//! id is not sent to sign in. Fetches are counted by person and by host, and an address that failed is not asked again
//! for a while. Stored and pinned documents count meanwhile.
//!
//! A fetched document is stored in the table of clients, where token and revoke find it. A request that finds a stale
//! document fetches it again and waits for it: Lambda freezes a function after its response, which would interrupt a
//! fetch in the background. The wait is short. Only one request per period of freshness waits (after a failure, one
//! in five minutes), and the new document counts at once.

mod document;
pub(crate) mod document_error;
mod freshness;
mod pinned_documents;

use std::time::Duration;

use http::StatusCode;
use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::oauth::blocked_hosts::BlockedHosts;
use shared::oauth::client::{Client, ClientId, ClientKind, DocumentFetch};
use shared::oauth::client_keys::{ClientKeys, KeySource};
use shared::oauth::resource::{RequestedResource, Resource, ResourceServer};
use shared::oauth::secret::to_text;
use shared::oauth::tenant::PersonId;
use shared::outbound::{Outbound, OutboundRequest};
use shared::store::clients::{Clients, UNUSED_RETENTION};
use shared::telemetry::audit::{self, Event};
use shared::upstream_error::UpstreamError;

use crate::error_page::ErrorPage;
use document::Document;
use document_error::DocumentError;

/// Who brings a client with a document, and what stands against fetching it.
pub(crate) struct DocumentRequest<'a> {
    pub(crate) person: &'a PersonId,
    /// Whether the person is in any tenant.
    pub(crate) is_member: bool,
    /// Before when the address is not to be asked again.
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) blocked_hosts: &'a BlockedHosts,
    pub(crate) resource_server: &'a ResourceServer,
    /// What the client wants to reach: some clients have a document for each server.
    pub(crate) resource: &'a RequestedResource,
}

impl DocumentRequest<'_> {
    /// Addresses of this MCP server that the client asks for, or may.
    fn resources(&self) -> Vec<String> {
        let requested = match self.resource {
            RequestedResource::Known(resource) => Some(resource),
            RequestedResource::Unspecified | RequestedResource::Unknown => None,
        };
        requested.into_iter().chain([&Resource::new(self.resource_server)]).map(Resource::to_string).collect()
    }
}

/// Looks up and fetches the metadata documents of clients.
pub(crate) struct MetadataDocuments {
    clients: Clients,
    outbound: Outbound,
    /// The hosts that may serve metadata documents; every host if the list is empty.
    hosts: Vec<String>,
}

impl MetadataDocuments {
    /// The longest document, as the draft recommends (§6.6). Real documents have less than 2 KB.
    const LIMIT: usize = 5 * 1024;
    /// How long a person waits for a document without which the client cannot be used.
    const FIRST_TIMEOUT: Duration = Duration::from_secs(3);
    /// How long a person waits for a document when a stored one can be used instead.
    const REFRESH_TIMEOUT: Duration = Duration::from_millis(1500);

    pub(crate) fn new(environment: &Environment) -> Result<Self, ConfigError> {
        let hosts = environment.optional("CLIENT_METADATA_HOSTS").unwrap_or_default();
        let hosts: Vec<_> =
            hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect();
        let plain = |host: &String| url::Host::parse(host).is_ok_and(|parsed| parsed.to_string() == *host);
        if !hosts.iter().all(plain) {
            return Err(ConfigError::Unusable("CLIENT_METADATA_HOSTS", "hosts in lower case, separated by commas"));
        }
        Ok(Self {
            clients: environment.clients()?,
            outbound: Outbound::new(environment, "CLIENT_METADATA_ALLOW")?,
            hosts,
        })
    }

    /// Checks a client id before anything is fetched. An id that is not an address needs no check.
    pub(crate) fn check_id(&self, id: &ClientId) -> Result<(), DocumentError> {
        if !id.is_url() {
            return Ok(());
        }
        let host = id.metadata_document_host().ok_or(DocumentError::Address)?;
        self.outbound.check_url(id.as_str())?;
        if self.hosts.is_empty() || self.hosts.contains(&host) { Ok(()) } else { Err(DocumentError::Host) }
    }

    /// The client with its current metadata document, given the client in the table.
    pub(crate) async fn look_up(
        &self,
        id: &ClientId,
        stored: Option<Client>,
        request: &DocumentRequest<'_>,
        now: Timestamp,
    ) -> Result<Option<Client>, ErrorPage> {
        if request.blocked_hosts.since_of_document(id).is_some() {
            return Err(ErrorPage::Blocked);
        }
        let stored = match stored {
            Some(Client {
                kind: ClientKind::Document(known, authentication), name, redirect_uris, refreshes, ..
            }) => Some(Stored { document: Document { name, redirect_uris, refreshes, authentication }, known }),
            None if id.is_url() => None,
            otherwise => return Ok(otherwise),
        };
        if let Some(stored) = &stored
            && now < stored.known.fresh
        {
            return Ok(Some(stored.client(id)));
        }
        let has_fallback = stored.as_ref().is_some_and(|stored| stored.still_counts(now));
        let timeout = if has_fallback { Self::REFRESH_TIMEOUT } else { Self::FIRST_TIMEOUT };
        let fetched = match self.check_limits(id, request, now).await? {
            Ok(()) => self.fetch(id, timeout, now).await,
            Err(error) => Err(error),
        };
        let asked = fetched.as_ref().err().is_none_or(|error| error.is_of_a_fetch());
        let pinned = pinned_documents::copy(id, &request.resources());
        let chosen = select_document(stored.as_ref(), fetched, pinned.as_ref(), now);
        let client = chosen.as_ref().map(|(chosen, _)| chosen.client(id));
        if let (Ok(client), Ok((chosen, _))) = (&client, &chosen) {
            if request.blocked_hosts.since_of_client(client).is_some() {
                return Err(ErrorPage::Blocked);
            }
            match stored {
                // Somebody who may not have it fetched must not have it taken for fresh.
                Some(_) if !asked => {}
                Some(_) => {
                    self.clients.put_refetched(client, &chosen.known, &chosen.document.authentication).await?;
                }
                // If nothing is written, a concurrent request has stored the same client.
                None => drop(self.clients.put(client).await?),
            }
        }
        if let Err(UnusableDocument(error)) = &chosen
            && asked
        {
            let retry_at = now.plus(error.back_off());
            self.clients.record_failed_fetch(id, stored.is_some(), retry_at, now).await?;
        }
        record_audit(id, stored.as_ref(), pinned.as_ref(), &chosen);
        client.map(Some).map_err(|UnusableDocument(error)| match error {
            DocumentError::NoMembership => ErrorPage::NoMembership(request.person.clone()),
            error => (*error).into(),
        })
    }

    /// Whether the document may be fetched now, for this person. A fetch that may be made is counted.
    async fn check_limits(
        &self,
        id: &ClientId,
        request: &DocumentRequest<'_>,
        now: Timestamp,
    ) -> Result<Result<(), DocumentError>, UpstreamError> {
        if !request.is_member {
            return Ok(Err(DocumentError::NoMembership));
        }
        if request.retry_at.is_some_and(|retry_at| now < retry_at) {
            return Ok(Err(DocumentError::RetryLater));
        }
        let Some(host) = id.metadata_document_host() else { return Ok(Err(DocumentError::Address)) };
        let counted = self.clients.count_fetch(request.person, &host, now).await?;
        Ok(if counted { Ok(()) } else { Err(DocumentError::TooManyFetches) })
    }

    async fn fetch(&self, id: &ClientId, timeout: Duration, now: Timestamp) -> Result<Fetched, DocumentError> {
        let fetch = OutboundRequest::get(id.as_str(), timeout, Self::LIMIT).accepting("application/json");
        let response = self.outbound.fetch(fetch).await?;
        // A redirect is an error too (§4).
        if response.status != StatusCode::OK {
            return Err(DocumentError::Status(response.status));
        }
        let media = response.media_type();
        let json = media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"));
        if !json {
            return Err(DocumentError::MediaType);
        }
        let document = Document::read(id, &response.body)?;
        if let Some(ClientKeys { source: KeySource::Remote(remote), .. }) = document.authentication.keys() {
            self.outbound.check_url(&remote.uri).map_err(DocumentError::KeysUrl)?;
        }
        Ok(Fetched { document, fresh: now.plus(freshness::of(&response.headers, now)) })
    }
}

/// A fetched document, and the end of its freshness: as its host says, within our bounds.
struct Fetched {
    document: Document,
    fresh: Timestamp,
}

/// A document in the table.
struct Stored {
    document: Document,
    known: DocumentFetch,
}

/// The document that is used instead of a fetched one, and the error of the fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fallback {
    Stored(DocumentError),
    Pinned(DocumentError),
}

/// No document can be used.
struct UnusableDocument(DocumentError);

/// How long a stored document can be used while its host does not serve it.
const STALE: Duration = Duration::from_hours(7 * 24);

/// Selects the document to use from now on: the fetched one; else the stored one, if it was fetched recently enough;
/// else the pinned copy.
fn select_document(
    stored: Option<&Stored>,
    fetched: Result<Fetched, DocumentError>,
    pinned: Option<&Document>,
    now: Timestamp,
) -> Result<(Stored, Option<Fallback>), UnusableDocument> {
    let expires = stored.map_or_else(|| now.plus(UNUSED_RETENTION), |stored| stored.known.expires);
    let settle = |document: Document, fetched, fresh| {
        let digest = document.digest();
        Stored { document, known: DocumentFetch { fetched, fresh, digest, expires } }
    };
    let error = match fetched {
        Ok(Fetched { mut document, fresh }) => {
            if let Some(stored) = stored {
                document.keep_fetched_keys(&stored.document);
            }
            return Ok((settle(document, now, fresh), None));
        }
        Err(error) => error,
    };
    let again_soon = now.plus(error.back_off());
    if let Some(kept @ Stored { document, known }) = stored
        && kept.still_counts(now)
    {
        return Ok((settle(document.clone(), known.fetched, again_soon), Some(Fallback::Stored(error))));
    }
    match pinned {
        Some(document) => Ok((settle(document.clone(), now, again_soon), Some(Fallback::Pinned(error)))),
        None => Err(UnusableDocument(error)),
    }
}

/// Records a failed fetch and a changed document in the audit.
fn record_audit(
    id: &ClientId,
    stored: Option<&Stored>,
    pinned: Option<&Document>,
    chosen: &Result<(Stored, Option<Fallback>), UnusableDocument>,
) {
    let client = id.as_str();
    let failed = |error: &DocumentError, instead| {
        if error.is_of_a_fetch() || *error == DocumentError::TooManyFetches {
            audit::record(&Event::ClientDocumentFailed { client, reason: &error.to_string(), instead });
        }
    };
    let (now, instead) = match chosen {
        Ok((now, instead)) => (now, instead),
        Err(UnusableDocument(error)) => return failed(error, "nothing"),
    };
    match instead {
        Some(Fallback::Stored(error)) => failed(error, "stored"),
        Some(Fallback::Pinned(error)) => failed(error, "pinned"),
        None => {}
    }
    let digest = to_text(now.known.digest.as_bytes());
    match stored {
        Some(before) if before.known.digest.matches(&now.known.digest) => return,
        Some(before) => {
            let old = to_text(before.known.digest.as_bytes());
            audit::record(&Event::ClientDocumentChanged { client, old: &old, new: &digest });
        }
        None => audit::record(&Event::ClientDocumentKept { client, digest: &digest }),
    }
    if instead.is_none()
        && let Some(copy) = pinned
        && !copy.digest().matches(&now.known.digest)
    {
        let pinned = to_text(copy.digest().as_bytes());
        audit::record(&Event::ClientDocumentUnlikePinned { client, pinned: &pinned, live: &digest });
    }
}

impl Stored {
    fn still_counts(&self, now: Timestamp) -> bool {
        now.since(self.known.fetched) <= STALE
    }

    fn client(&self, id: &ClientId) -> Client {
        let Document { name, redirect_uris, refreshes, authentication } = self.document.clone();
        let kind = ClientKind::Document(self.known, authentication);
        Client { id: id.clone(), name, redirect_uris, refreshes, kind }
    }
}

#[cfg(test)]
mod tests {
    use shared::oauth::client::DocumentAuthentication;
    use shared::outbound::OutboundError;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);
    const DAY: Duration = Duration::from_hours(24);

    fn document(name: &str) -> Document {
        let authentication = DocumentAuthentication::Public;
        Document { name: Some(name.to_owned()), redirect_uris: Vec::new(), refreshes: true, authentication }
    }

    /// Fetched so long ago, and stale.
    fn stored(ago: Duration) -> Stored {
        let (document, fetched) = (document("stored"), NOW.minus(ago));
        let known = DocumentFetch { fetched, fresh: NOW, digest: document.digest(), expires: NOW.plus(DAY * 99) };
        Stored { document, known }
    }

    /// What counts, why, since when, for how long, and when it is looked at again and forgotten, in seconds from now.
    fn chosen(id: &str, stored: Option<&Stored>, good: bool) -> Option<(String, Option<Fallback>, i64, i64, i64)> {
        let fetched = Fetched { document: document("fetched"), fresh: NOW.plus(DAY) };
        let fetched = if good { Ok(fetched) } else { Err(DocumentError::Status(StatusCode::FORBIDDEN)) };
        let pinned = pinned_documents::copy(&ClientId::parse(id).unwrap(), &[]);
        let (now, instead) = select_document(stored, fetched, pinned.as_ref(), NOW).ok()?;
        let from_now = |time: Timestamp| time.seconds() - NOW.seconds();
        let DocumentFetch { fetched, fresh, expires, .. } = now.known;
        assert!(now.known.digest.matches(&now.document.digest()));
        Some((now.document.name?, instead, from_now(fetched), from_now(fresh), from_now(expires)))
    }

    #[test]
    fn fetched_document_comes_before_stored_before_pinned() {
        const ANY: &str = "https://app.example/client";
        const CLAUDE: &str = "https://claude.ai/oauth/mcp-oauth-client-metadata";
        const D: i64 = 24 * 3600;
        let (young, old) = (stored(DAY * 7), stored(DAY * 7 + Duration::from_secs(1)));
        let fetched = |expires| Some(("fetched".to_owned(), None, 0, D, expires));
        let kept = Some((
            "stored".to_owned(),
            Some(Fallback::Stored(DocumentError::Status(StatusCode::FORBIDDEN))),
            -7 * D,
            300,
            99 * D,
        ));
        let pinned = |expires| {
            Some((
                "Claude".to_owned(),
                Some(Fallback::Pinned(DocumentError::Status(StatusCode::FORBIDDEN))),
                0,
                300,
                expires,
            ))
        };
        for (id, stored, good, expected) in [
            (ANY, None, true, fetched(30 * D)),
            (ANY, Some(&young), true, fetched(99 * D)),
            (ANY, Some(&old), true, fetched(99 * D)),
            (CLAUDE, None, true, fetched(30 * D)),
            (ANY, Some(&young), false, kept.clone()),
            (CLAUDE, Some(&young), false, kept.clone()),
            (ANY, Some(&old), false, None),
            (ANY, None, false, None),
            (CLAUDE, Some(&old), false, pinned(99 * D)),
            (CLAUDE, None, false, pinned(30 * D)),
        ] {
            let had = stored.map(|stored| stored.known.fetched);
            assert_eq!(chosen(id, stored, good), expected, "{id} {had:?} {good}");
        }
    }

    #[test]
    fn document_errors_continue_a_sentence() {
        for error in [
            DocumentError::Address,
            DocumentError::Host,
            DocumentError::Outbound(OutboundError::TimedOut),
            DocumentError::Status(StatusCode::FORBIDDEN),
            DocumentError::Secret,
        ] {
            assert!(error.to_string().starts_with("it"), "{error}");
        }
    }
}
