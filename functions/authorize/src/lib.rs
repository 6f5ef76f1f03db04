//! `GET, POST /oauth/authorize`: a person decides (OAuth 2.1 §4.1.1).
//!
//! The client and its redirect URI are checked first. Until both are valid, every error is a page. Then the person
//! signs in, and only then may an error be redirected to the client, if the person knows it or it is vouched for. A
//! client with a metadata document is looked up after the person has signed in. So is any client of a malformed request:
//! what can be parsed is parsed first, and asks nobody. GET writes nothing but such a document, and may be repeated. POST
//! carries the whole request again, which is checked again. Our own form is always answered by a redirect: to the client,
//! or to the consent page, which shows the error of the form.

mod approve;
mod attempt_audit;
mod client_identity;
mod confirmation;
mod consent;
mod consent_form_error;
mod decision;
mod error;
mod error_page;
mod metadata_document;
mod recent_approval;
mod redirect_target;
mod rejected_form;
mod request;
mod scope_fields;

use http::Method;
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::csrf;
use shared::http::flash;
use shared::http::layout::Layout;
use shared::http::parameters::{ParameterError, Parameters};
use shared::http::response;
use shared::identity::sign_in_age::SignInAge;
use shared::identity::sign_in_redirect::UnrecognizedSessionError;
use shared::identity::signed_in::SignedIn;
use shared::identity::{Identity, MAX_RETURN_TO_LEN, NotSignedInError, SessionError};
use shared::lambda::{Function, Request, Response};
use shared::oauth::client::ClientId;
use shared::oauth::issuer::Issuer;
use shared::oauth::requested_scopes::RequestedScopes;
use shared::oauth::resource::{RequestedResource, ResourceServer};
use shared::oauth::vouched_hosts::VouchedHosts;
use shared::store::clients::Clients;
use shared::store::directory::{ConsentItems, Directory, Membership};
use shared::store::grants::Grants;
use shared::store::pending_scopes::PendingScopes;
use shared::upstream_error::UpstreamError;

use approve::{ApprovalError, Approver};
use attempt_audit::AttemptAudit;
use consent::Consent;
use consent_form_error::ConsentFormError;
use decision::Decision;
use error::AuthorizeError;
use error_page::ErrorPage;
use metadata_document::{DocumentRequest, MetadataDocuments};
use recent_approval::RecentApproval;
use redirect_target::RedirectTarget;
use rejected_form::RejectedForm;
use request::AuthorizationRequest;

/// The endpoint.
pub struct Authorize {
    identity: Identity,
    clients: Clients,
    documents: MetadataDocuments,
    vouched_hosts: VouchedHosts,
    default_scopes: RequestedScopes,
    directory: Directory,
    grants: Grants,
    approver: Approver,
    issuer: Issuer,
    resource_server: ResourceServer,
    layout: Layout,
    clock: Clock,
}

impl Authorize {
    /// Makes the endpoint with the tables and the identity of people.
    ///
    /// # Errors
    /// When a setting is missing.
    #[expect(clippy::unused_async, reason = "every function is made in the same way")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            identity: Identity::new(environment)?,
            clients: environment.clients()?,
            documents: MetadataDocuments::new(environment)?,
            vouched_hosts: environment.vouched_hosts()?,
            default_scopes: environment.default_scopes()?,
            directory: environment.directory()?,
            grants: environment.grants()?,
            approver: Approver::new(environment)?,
            issuer: environment.issuer()?,
            resource_server: environment.resource_server()?,
            layout: Layout::new(environment)?,
            clock: environment.clock(),
        })
    }

    async fn authorize(
        &self,
        request: &Request,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<Response, ErrorPage> {
        let deciding = request.method() == Method::POST;
        // All that needs no answer of anybody comes first: anybody can send garbage.
        let id = parameters.value("client_id").and_then(ClientId::parse).ok_or(ErrorPage::MissingClientId)?;
        self.documents.check_id(&id)?;
        RedirectTarget::check_uri(parameters)?;
        let resource = RequestedResource::parse(&self.resource_server, parameters.values("resource"));
        let authorization =
            AuthorizationRequest::parse(parameters, (&self.resource_server, &resource), self.default_scopes);
        let person = match self.identity.session_status(request, now).await?.signed_in() {
            Ok(person) => person,
            Err(error) => {
                // What is not served here may be well-formed.
                let is_well_formed = matches!(authorization, Ok(_) | Err(AuthorizeError::Target));
                return self.require_sign_in(request, &id, parameters, is_well_formed, error, now).await;
            }
        };
        let (redirect_target, memberships, pending_scopes) =
            self.find((&id, &resource), parameters, &person, now).await?;
        let attempt = AttemptAudit::of(&redirect_target, parameters, now);
        let authorization = match authorization {
            Ok(authorization) => authorization.for_client(redirect_target.client()),
            Err(error) => {
                attempt.refused(&person.person, &error);
                if self.may_redirect_unasked(&redirect_target, &person).await? {
                    return Ok(redirect_target.redirect_error(&error));
                }
                let (host, url) = (redirect_target.redirect_uri().host(), redirect_target.error_url(&error));
                let error_page = ErrorPage::NotRedirected { error, host, url };
                return Ok(self.answer(request, Some(parameters), &error_page));
            }
        };
        let memberships: Vec<_> =
            memberships.into_iter().filter(|it| authorization.resource.serves(&it.tenant)).collect();
        let consent = Consent {
            layout: &self.layout,
            issuer: &self.issuer,
            identity: &self.identity,
            redirect_target: &redirect_target,
            vouched_hosts: &self.vouched_hosts,
            authorization: &authorization,
            person: &person,
            memberships: &memberships,
            pending_scopes: &pending_scopes,
            shows_more: request::shows_more(parameters),
        };
        if !deciding {
            let rejected: Option<RejectedForm> = flash::read(request, &self.issuer);
            attempt.shown(&person.person, rejected.as_ref().map(|form| form.error));
            let approved = RecentApproval::matches(request, parameters, &person, &self.issuer);
            let page = consent.page(rejected.as_ref(), approved, parameters, now);
            return Ok(self.identity.clear_sign_in_mark(request, page));
        }
        let reject = |error| {
            attempt.shown(&person.person, Some(error));
            RejectedForm::of(error, parameters).redirect(parameters, &self.issuer)
        };
        match Decision::parse(&consent, request, parameters, now) {
            Err(error) => Ok(reject(error)),
            Ok(Decision::Deny) => {
                attempt.denied(&person.person);
                Ok(redirect_target.redirect_error(&AuthorizeError::Denied))
            }
            Ok(Decision::Approve(_)) if self.identity.sign_in_age(&person, now) == SignInAge::TooOld => {
                attempt.sent_to_sign_in();
                Ok(RejectedForm::of(ConsentFormError::SignInTooOld, parameters).redirect_to_sign_in(
                    parameters,
                    &self.identity,
                    &self.issuer,
                ))
            }
            Ok(Decision::Approve(_)) if self.identity.sign_in_age(&person, now) == SignInAge::Unknown => {
                Ok(reject(ConsentFormError::SignInTimeUnknown))
            }
            Ok(Decision::Approve(choice)) => match self.identity.still_signed_in(&person).await {
                Ok(true) => Ok(match self.approver.approve(&attempt, &consent, &choice, now).await {
                    Ok(code) => RecentApproval::remember(
                        redirect_target.redirect_code(&code),
                        parameters,
                        &person,
                        &self.issuer,
                    ),
                    Err(ApprovalError::Rejected(error)) => reject(error),
                    Err(ApprovalError::Replaces(oldest)) => {
                        attempt.shown(&person.person, Some(ConsentFormError::ReplacesAnother));
                        RejectedForm::replacing(&oldest, parameters).redirect(parameters, &self.issuer)
                    }
                    Err(ApprovalError::Upstream(error)) => {
                        response::with_reason(reject(ConsentFormError::of_upstream(&error)), &error)
                    }
                }),
                Ok(false) => {
                    self.sign_in(request, &attempt, parameters, NotSignedInError::NoSession(SessionError::Ended))
                }
                Err(error) => Ok(response::with_reason(reject(ConsentFormError::of_upstream(&error)), &error)),
            },
        }
    }

    /// The response to our own form whose request cannot be served: a redirect to the address of the request. The
    /// page there shows the error, unless the request can be served by then.
    fn redirect_after_form(&self, parameters: &Parameters, error_page: &ErrorPage) -> Response {
        let redirect = match error_page {
            ErrorPage::Upstream(error) => {
                RejectedForm::of(ConsentFormError::of_upstream(error), parameters).redirect(parameters, &self.issuer)
            }
            // The page shows the form again if it takes the session for valid.
            ErrorPage::Unrecognized { .. } => {
                RejectedForm::of(ConsentFormError::Forged, parameters).redirect(parameters, &self.issuer)
            }
            _ => response::see_other(&self.issuer.at(&request::return_to(parameters))),
        };
        response::with_reason(redirect, error_page)
    }

    /// Whether an error may be sent to the client although the person has decided nothing: to their own machine, to a host that is
    /// vouched for, to a client that an operator added, and to one that this person has approved before. Any other address may have
    /// been registered by anybody, and a link to this server would lead there.
    async fn may_redirect_unasked(&self, target: &RedirectTarget, person: &SignedIn) -> Result<bool, UpstreamError> {
        let client = target.client();
        Ok(target.redirect_uri().is_loopback()
            || client.is_added_by_operator()
            || self.vouched_hosts.is_vouched_for(client)
            || self.grants.has_approved(&person.person, &client.id).await?)
    }

    /// The response for a request that ends with a page. `parameters` is `None` if they could not be read.
    fn answer(&self, request: &Request, parameters: Option<&Parameters>, error_page: &ErrorPage) -> Response {
        let own_form = request.method() == Method::POST && csrf::is_same_origin(request, &self.issuer);
        match parameters.filter(|_| own_form) {
            Some(parameters) => self.redirect_after_form(parameters, error_page),
            None => error_page.page(&self.layout),
        }
    }

    /// The redirect target of the client, the memberships of the person, and the scopes that calls of the client lacked.
    async fn find(
        &self,
        (id, resource): (&ClientId, &RequestedResource),
        parameters: &Parameters,
        person: &SignedIn,
        now: Timestamp,
    ) -> Result<(RedirectTarget, Vec<Membership>, PendingScopes), ErrorPage> {
        let (directory, clients, grants) = (&self.directory, &self.clients, &self.grants);
        let ConsentItems { client, retry_at, blocked_hosts, memberships, pending_scopes } =
            directory.memberships_with_client(&person.person, clients, id, grants, now).await?;
        let request = DocumentRequest {
            person: &person.person,
            is_member: !memberships.is_empty(),
            retry_at,
            blocked_hosts: &blocked_hosts,
            resource_server: &self.resource_server,
            resource,
        };
        let client = self.documents.look_up(id, client, &request, now).await?;
        Ok((RedirectTarget::find(client, parameters, &self.issuer)?, memberships, pending_scopes))
    }

    /// The response when nobody is signed in. The metadata document of a client is not fetched: somebody who is not
    /// signed in must not choose which address this function calls. For a request that is malformed, no client is looked up
    /// either: it ends with an error whatever client it is, which the person or the client gets after the sign-in.
    async fn require_sign_in(
        &self,
        request: &Request,
        id: &ClientId,
        parameters: &Parameters,
        is_well_formed: bool,
        error: NotSignedInError,
        now: Timestamp,
    ) -> Result<Response, ErrorPage> {
        if request::return_to(parameters).len() > MAX_RETURN_TO_LEN {
            return Err(ParameterError::TooLarge.into());
        }
        if id.is_url() || !is_well_formed {
            return self.sign_in(request, &AttemptAudit::of_document(id, parameters, now), parameters, error);
        }
        let redirect_target = RedirectTarget::find(self.clients.find(id, now).await?, parameters, &self.issuer)?;
        self.sign_in(request, &AttemptAudit::of(&redirect_target, parameters, now), parameters, error)
    }

    /// Redirects the person to sign in, if the address of the request is short enough to return to.
    fn sign_in(
        &self,
        request: &Request,
        attempt: &AttemptAudit<'_>,
        parameters: &Parameters,
        error: NotSignedInError,
    ) -> Result<Response, ErrorPage> {
        let return_to = request::return_to(parameters);
        if return_to.len() > MAX_RETURN_TO_LEN {
            return Err(ParameterError::TooLarge.into());
        }
        let response = self.identity.redirect_to_sign_in(request, &return_to, error).map_err(
            |UnrecognizedSessionError(reason)| ErrorPage::Unrecognized {
                reason,
                login_url: self.identity.login_url(&return_to),
            },
        )?;
        attempt.sent_to_sign_in();
        Ok(response)
    }
}

impl Function for Authorize {
    const NAME: &'static str = "authorize";

    async fn handle(&self, request: Request) -> Response {
        match *request.method() {
            Method::GET | Method::POST => {
                let now = self.clock.now();
                let parameters = if request.method() == Method::POST {
                    Parameters::of_body_with(&request, &request::ONCE)
                } else {
                    Parameters::of_query_with(&request, &request::ONCE)
                };
                let result = match &parameters {
                    Ok(parameters) => self.authorize(&request, parameters, now).await,
                    Err(malformed) => Err((*malformed).into()),
                };
                result.unwrap_or_else(|error_page| {
                    let parameters = parameters.as_ref().ok();
                    attempt_audit::error_page(parameters, &error_page, now);
                    self.answer(&request, parameters, &error_page)
                })
            }
            _ => response::method_not_allowed("GET, POST"),
        }
    }

    async fn handle_malformed(&self, _: Request, malformed: ParameterError) -> Response {
        let error_page = ErrorPage::from(malformed);
        attempt_audit::error_page(None, &error_page, self.clock.now());
        error_page.page(&self.layout)
    }
}
