//! `/admin`: the console. It lists and ends connections, makes and revokes a tenant's API keys, and shows the
//! tenant's recent activity.
//!
//! A person sees and ends their own connections, and decides what each may do. A role with `connections:manage` sees
//! and ends those of its tenant; anyone else gets the same response as for a tenant that does not exist.
//! Pages are for people who are signed in,
//! `/admin/api/…` is the same for scripts with a key. A change is a POST: the person has confirmed it on a page, its
//! form carries a CSRF token, and Supabase says that the session is active. The change takes effect at the next call.
//! The response is a redirect to a page with the outcome.

mod activity;
mod agreed_numbers;
mod api;
mod api_keys;
mod budget_usage;
mod confirmation;
mod connection_row;
mod connections;
mod cursor;
mod date_time;
mod error;
mod event_text;
mod form_fields;
mod key_description;
mod my_connections;
mod nav_bar;
mod notice;
#[cfg(test)]
mod openapi;
mod outcome;
mod page_request;
mod permission;
mod permissions;
mod revoke;
mod route;
mod tenant_admin;

use std::borrow::Cow;

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
use shared::identity::{Identity, MAX_RETURN_TO_LEN, NotSignedInError};
use shared::lambda::{Function, Request, Response};
use shared::oauth::grant_id::GrantId;
use shared::oauth::issuer::Issuer;
use shared::oauth::tenant::TenantId;
use shared::store::activity::Activities;
use shared::store::api_keys::ApiKeys;
use shared::store::budgets::Budgets;
use shared::store::clients::Clients;
use shared::store::directory::Directory;
use shared::store::grants::Grants;

use crate::error::AdminError;
use crate::form_fields::grants_access;
use crate::notice::Notice;
use crate::page_request::PageRequest;
use crate::route::{Page, Route};
use crate::tenant_admin::TenantAdmin;

/// The console.
pub struct Admin {
    identity: Identity,
    clients: Clients,
    directory: Directory,
    grants: Grants,
    keys: ApiKeys,
    activities: Activities,
    budgets: Budgets,
    issuer: Issuer,
    layout: Layout,
    clock: Clock,
}

impl Admin {
    /// Makes the endpoint with the tables and the identity of people.
    ///
    /// # Errors
    /// When a setting is missing.
    #[expect(clippy::unused_async, reason = "every function is made in the same way")]
    pub async fn new(environment: &Environment) -> Result<Self, ConfigError> {
        Ok(Self {
            identity: Identity::new(environment)?,
            clients: environment.clients()?,
            directory: environment.directory()?,
            grants: environment.grants()?,
            keys: environment.keys()?,
            activities: environment.activities()?,
            budgets: environment.budgets()?,
            issuer: environment.issuer()?,
            layout: Layout::new(environment)?,
            clock: environment.clock(),
        })
    }

    async fn page(&self, request: &Request, route: &Route, now: Timestamp) -> Result<Response, AdminError> {
        let is_post = request.method() == Method::POST;
        if is_post && !csrf::is_same_origin(request, &self.issuer) {
            return Err(AdminError::InvalidCsrfToken);
        }
        let person = match self.identity.session_status(request, now).await?.signed_in() {
            Ok(person) => person,
            Err(error) => return self.sign_in(request, error),
        };
        let notice = if is_post { None } else { flash::read(request, &self.issuer) };
        if let Some(Notice::Refused(error)) = notice {
            return Ok(error.page(&self.layout));
        }
        let parameters = if is_post { Parameters::of_body(request)? } else { Parameters::of_query(request)? };
        if is_post {
            let grants_access = match route {
                Route::Page(_, Page::CreateKey) => true,
                Route::ChangePermissions => grants_access(&parameters),
                _ => false,
            };
            if grants_access {
                match self.identity.sign_in_age(&person, now) {
                    SignInAge::Recent => {}
                    SignInAge::TooOld => {
                        let connection = parameters.value("connection").and_then(GrantId::parse);
                        let return_to = match connection.filter(|_| *route == Route::ChangePermissions) {
                            Some(connection) => route::permissions_of(&connection, self.layout.paths()),
                            None => self.public_path(request).into_owned(),
                        };
                        return Ok(response::see_other(&self.identity.reauthentication_url(&return_to)));
                    }
                    SignInAge::Unknown => return Err(AdminError::SignInTimeUnknown),
                }
            }
            self.verify_session_is_active(&person, grants_access).await?;
        }
        let page_request = PageRequest { path: &self.public_path(request), parameters, notice, person, is_post, now };
        let response = self.page_for(&page_request, route).await?;
        Ok(self.identity.clear_sign_in_mark(request, response))
    }

    async fn page_for(&self, page_request: &PageRequest<'_>, route: &Route) -> Result<Response, AdminError> {
        let Route::Page(tenant, page) = route else {
            return match route {
                Route::RevokeMyConnections => self.revoke_my_connections(page_request).await,
                Route::ChangePermissions => self.change_permissions(page_request).await,
                _ => self.my_connections(page_request).await,
            };
        };
        let tenant_admin = self.tenant_admin(&page_request.person, tenant).await?;
        match page {
            Page::Connections => self.connections(page_request, &tenant_admin).await,
            Page::RevokeConnections => self.revoke_connections(page_request, &tenant_admin).await,
            Page::Keys => self.keys(page_request, &tenant_admin).await,
            Page::CreateKey => self.create_key(page_request, &tenant_admin).await,
            Page::RevokeKey => self.revoke_key(page_request, &tenant_admin).await,
            Page::Activity => self.activity(page_request, &tenant_admin).await,
        }
    }

    /// The response to an error. For our own form it is a redirect to its address, where a page shows the error; for
    /// any other request it is the error page.
    fn form_error_response(&self, request: &Request, error: &AdminError) -> Response {
        let is_own_form = request.method() == Method::POST && csrf::is_same_origin(request, &self.issuer);
        if !is_own_form || matches!(error, AdminError::Malformed(_)) {
            return error.page(&self.layout);
        }
        let address = self.issuer.at(&self.public_path(request));
        let redirect = match error.form_error() {
            Some(form_error) => flash::redirect(&address, &Notice::Refused(form_error), &self.issuer),
            None => response::see_other(&address),
        };
        response::with_reason(redirect, error)
    }

    /// The path of the request, as people have it.
    fn public_path<'a>(&self, request: &'a Request) -> Cow<'a, str> {
        self.layout.paths().of(request.uri().path())
    }

    /// What Supabase said of a session may be a minute old. That is enough to read, and not enough to change anything. If Supabase does
    /// not answer, a change that only revokes works all the same; one that `grants_access` does not.
    async fn verify_session_is_active(&self, person: &SignedIn, grants_access: bool) -> Result<(), AdminError> {
        match self.identity.still_signed_in(person).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(AdminError::SessionEnded),
            Err(error) if grants_access => Err(error.into()),
            Err(error) => {
                tracing::warn!(fault = %error, "Supabase could not say whether the session is still active");
                Ok(())
            }
        }
    }

    /// The person as an administrator of `tenant`. Somebody who is not a member does not even learn that the tenant exists.
    async fn tenant_admin(&self, person: &SignedIn, tenant: &TenantId) -> Result<TenantAdmin, AdminError> {
        let membership = self.directory.membership(&person.person, tenant).await?.ok_or(AdminError::NotFound)?;
        TenantAdmin::for_person(membership).map_err(AdminError::InsufficientRole)
    }

    /// Redirects to sign in and returns to the address of the request; after a form to `/admin`, as the content of a
    /// form is not kept.
    fn sign_in(&self, request: &Request, error: NotSignedInError) -> Result<Response, AdminError> {
        let path = self.public_path(request);
        let query = request.uri().query().filter(|_| request.method() == Method::GET);
        let return_to = query.map_or_else(|| path.to_string(), |query| format!("{path}?{query}"));
        let return_to = if request.method() == Method::GET && return_to.len() <= MAX_RETURN_TO_LEN {
            return_to.as_str()
        } else {
            &self.layout.paths().admin("")
        };
        let redirect = self.identity.redirect_to_sign_in(request, return_to, error);
        redirect.map_err(|UnrecognizedSessionError(reason)| AdminError::UnrecognizedSession {
            reason,
            login_url: self.identity.login_url(return_to),
        })
    }
}

impl Function for Admin {
    const NAME: &'static str = "admin";

    async fn handle(&self, request: Request) -> Response {
        let Some(route) = Route::parse(request.uri().path()) else {
            return if is_api(&request) {
                AdminError::NotFound.json()
            } else {
                AdminError::NotFound.page(&self.layout)
            };
        };
        if !route.methods().split(", ").any(|method| method == request.method().as_str()) {
            return response::method_not_allowed(route.methods());
        }
        let now = self.clock.now();
        if route.is_api() {
            self.api(&request, &route, now).await.unwrap_or_else(|error| error.json())
        } else {
            self.page(&request, &route, now).await.unwrap_or_else(|error| self.form_error_response(&request, &error))
        }
    }

    async fn handle_malformed(&self, request: Request, malformed: ParameterError) -> Response {
        let error = AdminError::from(malformed);
        if is_api(&request) { error.json() } else { error.page(&self.layout) }
    }
}

fn is_api(request: &Request) -> bool {
    request.uri().path().starts_with("/admin/api/")
}
