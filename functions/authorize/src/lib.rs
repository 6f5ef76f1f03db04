//! `GET, POST /oauth/authorize`: a person decides (OAuth 2.1 §4.1.1).
//!
//! Client and address are judged first, and until both are right every error is a page. Then the person signs in, and only then may
//! an error travel to the client; a client that is known by its metadata document is looked up when they have. GET writes nothing but
//! what such a document says, and may be repeated; POST carries the whole request again and is checked again.

mod asked;
mod consent;
mod destination;
mod metadata_document;
mod refusal;
mod stranded;

use http::Method;
use shared::audit::{self, Event};
use shared::clock::{Clock, Timestamp};
use shared::environment::{Environment, Misconfigured};
use shared::http::answer;
use shared::http::parameters::{Malformed, Parameters};
use shared::identity::signed_in::SignedIn;
use shared::identity::{Identity, LONGEST_WAY_BACK};
use shared::lambda::{Function, Request, Response};
use shared::oauth::client::ClientId;
use shared::oauth::grant::{Approval, Grant};
use shared::oauth::issuer::Issuer;
use shared::store::clients::Clients;
use shared::store::directory::{Directory, Standing};
use shared::store::grants::Grants;
use shared::store::wanted::Wanted;

use asked::Asked;
use consent::{Again, Choice, Consent};
use destination::Destination;
use metadata_document::MetadataDocuments;
use refusal::Refusal;
use stranded::Stranded;

/// Asks people.
pub struct Authorize {
    identity: Identity,
    clients: Clients,
    documents: MetadataDocuments,
    directory: Directory,
    grants: Grants,
    issuer: Issuer,
    product: String,
    clock: Clock,
}

impl Authorize {
    /// With the tables, and a way to know who is signed in.
    ///
    /// # Errors
    /// When a setting is missing.
    #[expect(clippy::unused_async, reason = "every function is made in the same way")]
    pub async fn new(environment: &Environment) -> Result<Self, Misconfigured> {
        Ok(Self {
            identity: Identity::new(environment)?,
            clients: environment.clients()?,
            documents: MetadataDocuments::new(environment)?,
            directory: environment.directory()?,
            grants: environment.grants()?,
            issuer: environment.issuer()?,
            product: environment.product_name()?,
            clock: environment.clock(),
        })
    }

    async fn answer(&self, request: &Request, now: Timestamp) -> Result<Response, Stranded> {
        let deciding = request.method() == Method::POST;
        let parameters = if deciding { Parameters::of_body(request)? } else { Parameters::of_query(request)? };
        let person = self.identity.signed_in(request, now).await?;
        let id = parameters.value("client_id").and_then(ClientId::parse).ok_or(Stranded::NoClient)?;
        self.documents.judge(&id)?;
        let Some(person) = person else {
            if !id.is_address() {
                Destination::find(self.clients.find(&id, now).await?, &parameters, &self.issuer)?;
            }
            return self.sign_in(&parameters);
        };
        let (destination, standings, wanted) = self.find(&id, &parameters, &person, now).await?;
        let asked = match Asked::read(&destination, &parameters, &self.issuer) {
            Ok(asked) => asked,
            Err(refusal) => return Ok(destination.refuse(&refusal)),
        };
        let consent = Consent {
            product: &self.product,
            issuer: &self.issuer,
            identity: &self.identity,
            destination: &destination,
            asked: &asked,
            person: &person,
            standings: &standings,
            wanted: &wanted,
        };
        if !deciding {
            return Ok(consent.page(None, &parameters));
        }
        match consent.read(request, &parameters) {
            Err(again) => Ok(consent.page(Some(again), &parameters)),
            Ok(Choice::Deny) => {
                let (client, person) = (destination.client().id.as_str(), person.person.as_str());
                audit::record(&Event::GrantDenied { client, person });
                Ok(destination.refuse(&Refusal::Denied))
            }
            Ok(Choice::Approve(choice)) => match self.identity.still_signed_in(&person).await {
                Ok(true) => Ok(match self.approve(&consent, &choice, now).await {
                    Ok(code) => destination.deliver(&code),
                    Err(fault) => answer::because(consent.page(Some(Again::Unavailable), &parameters), &fault),
                }),
                Ok(false) => self.sign_in(&parameters),
                Err(fault) => Ok(answer::because(consent.page(Some(Again::Unavailable), &parameters), &fault)),
            },
        }
    }

    /// Where the client may be answered, where the person stands, and what the client has wanted of them there.
    async fn find(
        &self,
        id: &ClientId,
        parameters: &Parameters,
        person: &SignedIn,
        now: Timestamp,
    ) -> Result<(Destination, Vec<Standing>, Wanted), Stranded> {
        let (directory, clients, grants) = (&self.directory, &self.clients, &self.grants);
        let (client, standings, wanted) =
            directory.standings_with_client(&person.person, clients, id, grants, now).await?;
        let client = self.documents.look_up(id, client, now).await?;
        Ok((Destination::find(client, parameters, &self.issuer)?, standings, wanted))
    }

    /// Sends the person to sign in, if they will find back.
    fn sign_in(&self, parameters: &Parameters) -> Result<Response, Stranded> {
        let way_back = asked::way_back(parameters);
        if way_back.len() > LONGEST_WAY_BACK {
            return Err(Malformed::TooLarge.into());
        }
        Ok(answer::see_other(&self.identity.login(&way_back)))
    }

    async fn approve(
        &self,
        consent: &Consent<'_>,
        choice: &consent::Approved<'_>,
        now: Timestamp,
    ) -> Result<String, shared::fault::Fault> {
        let Consent { destination, asked, person, wanted, .. } = consent;
        let approval = Approval {
            client: destination.client().id.clone(),
            person: person.person.clone(),
            tenant: choice.standing.tenant.clone(),
            resource: asked.resource.clone(),
            scopes: choice.scopes,
            at: now,
        };
        let (grant, code) =
            Grant::approve(approval, choice.effective(), asked.challenge, destination.redirect_uri().clone());
        self.grants.keep(&grant, &self.clients, destination.client(), wanted, now).await?;
        audit::record(&Event::GrantApproved {
            grant: &grant.id.to_text(),
            client: grant.approval.client.as_str(),
            tenant: grant.approval.tenant.as_str(),
            person: grant.approval.person.as_str(),
            scope: &choice.scopes.to_string(),
        });
        Ok(code.to_text())
    }
}

impl Function for Authorize {
    const NAME: &'static str = "authorize";

    async fn handle(&self, request: Request) -> Response {
        match *request.method() {
            Method::GET | Method::POST => match self.answer(&request, self.clock.now()).await {
                Ok(response) => response,
                Err(stranded) => stranded.page(&self.product),
            },
            _ => answer::method_not_allowed("GET, POST"),
        }
    }
}
