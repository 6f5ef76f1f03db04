//! `GET, POST /oauth/authorize`: a person decides (OAuth 2.1 §4.1.1).
//!
//! Client and address are judged first, and until both are right every error is a page. Then the person signs in, and only then may
//! an error travel to the client; a client that is known by its metadata document is looked up when they have. GET writes nothing but
//! what such a document says, and may be repeated; POST carries the whole request again and is checked again. A form of ours is always
//! answered by a redirect: to the client, or to the request's own page, which tells what was wrong with the form.

mod approved;
mod asked;
mod attempt;
mod consent;
mod destination;
mod metadata_document;
mod refusal;
mod refused;
mod stranded;

use http::Method;
use shared::clock::{Clock, Timestamp};
use shared::environment::{Environment, Misconfigured};
use shared::http::answer;
use shared::http::notice;
use shared::http::own_page;
use shared::http::parameters::{Malformed, Parameters};
use shared::http::shell::Shell;
use shared::identity::sign_in_redirect::UnrecognizedSession;
use shared::identity::signed_in::SignedIn;
use shared::identity::{Identity, LONGEST_WAY_BACK, NoSession, NotSignedIn};
use shared::lambda::{Function, Request, Response};
use shared::oauth::client::ClientId;
use shared::oauth::grant::{Approval, Grant};
use shared::oauth::issuer::Issuer;
use shared::store::clients::Clients;
use shared::store::directory::{Directory, Membership};
use shared::store::grants::Grants;
use shared::store::pending_scopes::PendingScopes;

use approved::Approved;
use asked::Asked;
use attempt::Attempt;
use consent::{Again, Choice, Consent};
use destination::Destination;
use metadata_document::MetadataDocuments;
use refusal::Refusal;
use refused::Refused;
use stranded::Stranded;

/// Asks people.
pub struct Authorize {
    identity: Identity,
    clients: Clients,
    documents: MetadataDocuments,
    directory: Directory,
    grants: Grants,
    issuer: Issuer,
    shell: Shell,
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
            shell: Shell::new(environment)?,
            clock: environment.clock(),
        })
    }

    async fn answer(&self, request: &Request, parameters: &Parameters, now: Timestamp) -> Result<Response, Stranded> {
        let deciding = request.method() == Method::POST;
        let person = self.identity.arrival(request, now).await?.signed_in();
        let id = parameters.value("client_id").and_then(ClientId::parse).ok_or(Stranded::NoClient)?;
        self.documents.judge(&id)?;
        let person = match person {
            Ok(person) => person,
            Err(why) => return self.nobody(request, &id, parameters, why, now).await,
        };
        let (destination, memberships, wanted) = self.find(&id, parameters, &person, now).await?;
        let attempt = Attempt::of(&destination, parameters, now);
        let asked = match Asked::read(&destination, parameters, &self.issuer) {
            Ok(asked) => asked,
            Err(refusal) => {
                attempt.refused(&person.person, &refusal);
                return Ok(destination.refuse(&refusal));
            }
        };
        let memberships: Vec<_> = memberships.into_iter().filter(|it| asked.resource.serves(&it.tenant)).collect();
        let consent = Consent {
            shell: &self.shell,
            issuer: &self.issuer,
            identity: &self.identity,
            destination: &destination,
            asked: &asked,
            person: &person,
            memberships: &memberships,
            wanted: &wanted,
        };
        if !deciding {
            let refused: Option<Refused> = notice::of(request, &self.issuer);
            attempt.shown(&person.person, refused.as_ref().map(|refused| refused.again));
            let before = Approved::is_of(request, parameters, &person, &self.issuer);
            let page = consent.page(refused.as_ref(), before, parameters);
            return Ok(self.identity.recognized(request, page));
        }
        let refuse = |again| {
            attempt.shown(&person.person, Some(again));
            Refused::of(again, parameters).redirect(parameters, &self.issuer)
        };
        match consent.read(request, parameters) {
            Err(again) => Ok(refuse(again)),
            Ok(Choice::Deny) => {
                attempt.denied(&person.person);
                Ok(destination.refuse(&Refusal::Denied))
            }
            Ok(Choice::Approve(choice)) => match self.identity.still_signed_in(&person).await {
                Ok(true) => Ok(match self.approve(&attempt, &consent, &choice, now).await {
                    Ok(code) => Approved::remembered(destination.deliver(&code), parameters, &person, &self.issuer),
                    Err(fault) => answer::because(refuse(Again::Unavailable), &fault),
                }),
                Ok(false) => self.sign_in(request, &attempt, parameters, NotSignedIn::Nobody(NoSession::Ended)),
                Err(fault) => Ok(answer::because(refuse(Again::Unavailable), &fault)),
            },
        }
    }

    /// The answer to a form of ours whose request cannot be served: that request's own page, which tells why, unless all is well again.
    fn strand(&self, parameters: &Parameters, stranded: &Stranded) -> Response {
        let redirect = match stranded {
            Stranded::Fault(_) => Refused::of(Again::Unavailable, parameters).redirect(parameters, &self.issuer),
            // There the session looks good until it is asked about.
            Stranded::Unrecognized { .. } => Refused::of(Again::Forged, parameters).redirect(parameters, &self.issuer),
            _ => answer::see_other(&self.issuer.at(&asked::way_back(parameters))),
        };
        answer::because(redirect, stranded)
    }

    /// Where the client may be answered, where the person stands, and what the client has wanted of them there.
    async fn find(
        &self,
        id: &ClientId,
        parameters: &Parameters,
        person: &SignedIn,
        now: Timestamp,
    ) -> Result<(Destination, Vec<Membership>, PendingScopes), Stranded> {
        let (directory, clients, grants) = (&self.directory, &self.clients, &self.grants);
        let (client, memberships, wanted) =
            directory.memberships_with_client(&person.person, clients, id, grants, now).await?;
        let client = self.documents.look_up(id, client, now).await?;
        Ok((Destination::find(client, parameters, &self.issuer)?, memberships, wanted))
    }

    /// Nobody is signed in. What a client says at an address of its own is not even asked for: strangers must not send us anywhere.
    async fn nobody(
        &self,
        request: &Request,
        id: &ClientId,
        parameters: &Parameters,
        why: NotSignedIn,
        now: Timestamp,
    ) -> Result<Response, Stranded> {
        if id.is_url() {
            return self.sign_in(request, &Attempt::of_document(id, parameters, now), parameters, why);
        }
        let destination = Destination::find(self.clients.find(id, now).await?, parameters, &self.issuer)?;
        self.sign_in(request, &Attempt::of(&destination, parameters, now), parameters, why)
    }

    /// Sends the person to sign in, if they will find back.
    fn sign_in(
        &self,
        request: &Request,
        attempt: &Attempt<'_>,
        parameters: &Parameters,
        why: NotSignedIn,
    ) -> Result<Response, Stranded> {
        let way_back = asked::way_back(parameters);
        if way_back.len() > LONGEST_WAY_BACK {
            return Err(Malformed::TooLarge.into());
        }
        let response =
            self.identity.redirect_to_sign_in(request, &way_back, why).map_err(|UnrecognizedSession(why)| {
                Stranded::Unrecognized { why, again: self.identity.login(&way_back) }
            })?;
        attempt.sent_to_sign_in();
        Ok(response)
    }

    async fn approve(
        &self,
        attempt: &Attempt<'_>,
        consent: &Consent<'_>,
        choice: &consent::Approved<'_>,
        now: Timestamp,
    ) -> Result<String, shared::fault::Fault> {
        let Consent { destination, asked, person, wanted, .. } = consent;
        let approval = Approval {
            client: destination.client().id.clone(),
            person: person.person.clone(),
            tenant: choice.membership.tenant.clone(),
            resource: asked.resource.clone(),
            scopes: choice.scopes,
            at: now,
            email: person.email.clone(),
        };
        let (grant, code) =
            Grant::approve(approval, choice.effective(), asked.challenge, destination.redirect_uri().clone());
        self.grants.put(&grant, &self.clients, destination.client(), wanted, now).await?;
        attempt.approved(&grant.id, &grant.approval.tenant, &grant.approval.person, choice.scopes);
        Ok(code.to_text())
    }
}

impl Function for Authorize {
    const NAME: &'static str = "authorize";

    async fn handle(&self, request: Request) -> Response {
        match *request.method() {
            Method::GET | Method::POST => {
                let (now, deciding) = (self.clock.now(), request.method() == Method::POST);
                let parameters = if deciding { Parameters::of_body(&request) } else { Parameters::of_query(&request) };
                let answered = match &parameters {
                    Ok(parameters) => self.answer(&request, parameters, now).await,
                    Err(malformed) => Err((*malformed).into()),
                };
                answered.unwrap_or_else(|stranded| {
                    let parameters = parameters.as_ref().ok();
                    attempt::stranded(parameters, &stranded, now);
                    match parameters.filter(|_| deciding && own_page::sent(&request, &self.issuer)) {
                        Some(parameters) => self.strand(parameters, &stranded),
                        None => stranded.page(&self.shell),
                    }
                })
            }
            _ => answer::method_not_allowed("GET, POST"),
        }
    }

    async fn refuse(&self, _: Request, malformed: Malformed) -> Response {
        let stranded = Stranded::from(malformed);
        attempt::stranded(None, &stranded, self.clock.now());
        stranded.page(&self.shell)
    }
}
