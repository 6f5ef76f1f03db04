//! `/admin`: what is connected, by whom, and how to end it; a tenant's API keys; and what has happened in it lately.
//!
//! Everyone sees and ends what is theirs. Whose role has `connections:manage` sees and ends what is their tenant's; to anybody else it
//! looks as if that tenant were not there. Pages are for people who are signed in, `/admin/api/…` is the same for scripts with a key.
//! A change is a POST that was asked about once, carries a value that only our page could give, is made in a session that lives by
//! Supabase's word of this moment, counts at the next call, and is answered by a redirect to a page that tells what came of it.

mod activity;
mod api;
mod bar;
mod confirm;
mod connections;
mod cursor;
mod ending;
mod keys;
mod listed;
mod manager;
mod notice;
mod own;
mod permission;
mod refusal;
mod route;
mod told;
mod when;

use http::Method;
use shared::clock::{Clock, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::http::csrf;
use shared::http::layout::Layout;
use shared::http::parameters::{ParameterError, Parameters};
use shared::http::response;
use shared::identity::sign_in_redirect::UnrecognizedSessionError;
use shared::identity::signed_in::SignedIn;
use shared::identity::{Identity, MAX_RETURN_TO_LEN, NotSignedInError};
use shared::lambda::{Function, Request, Response};
use shared::oauth::issuer::Issuer;
use shared::oauth::tenant::TenantId;
use shared::store::activity::Activities;
use shared::store::api_keys::ApiKeys;
use shared::store::clients::Clients;
use shared::store::directory::Directory;
use shared::store::grants::Grants;

use crate::manager::Manager;
use crate::notice::Notice;
use crate::refusal::Refusal;
use crate::route::{Page, Route};

/// The console.
pub struct Admin {
    identity: Identity,
    clients: Clients,
    directory: Directory,
    grants: Grants,
    keys: ApiKeys,
    activities: Activities,
    issuer: Issuer,
    layout: Layout,
    clock: Clock,
}

/// A request for a page, by someone who is signed in.
struct Visit<'a> {
    path: &'a str,
    parameters: Parameters,
    /// What the form before this page did.
    notice: Option<Notice>,
    person: SignedIn,
    /// It is to change something.
    changes: bool,
    now: Timestamp,
}

impl Admin {
    /// With the tables, and a way to know who is signed in.
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
            issuer: environment.issuer()?,
            layout: Layout::new(environment)?,
            clock: environment.clock(),
        })
    }

    async fn page(&self, request: &Request, route: &Route, now: Timestamp) -> Result<Response, Refusal> {
        let changes = request.method() == Method::POST;
        if changes && !csrf::is_same_origin(request, &self.issuer) {
            return Err(Refusal::Forged);
        }
        let person = match self.identity.session_status(request, now).await?.signed_in() {
            Ok(person) => person,
            Err(why) => return self.sign_in(request, why),
        };
        let notice = if changes { None } else { shared::http::flash::read(request, &self.issuer) };
        if let Some(Notice::Refused(kind)) = notice {
            return Ok(kind.page(&self.layout));
        }
        if changes {
            self.still_here(&person, matches!(route, Route::Page(_, Page::MakeKey))).await?;
        }
        let parameters = if changes { Parameters::of_body(request)? } else { Parameters::of_query(request)? };
        let visit = Visit { path: request.uri().path(), parameters, notice, person, changes, now };
        let response = self.page_for(&visit, route).await?;
        Ok(self.identity.clear_sign_in_mark(request, response))
    }

    async fn page_for(&self, visit: &Visit<'_>, route: &Route) -> Result<Response, Refusal> {
        let Route::Page(tenant, page) = route else {
            return match route {
                Route::EndOwn => self.end_own(visit).await,
                _ => self.own(visit).await,
            };
        };
        let manager = self.manager(&visit.person, tenant).await?;
        match page {
            Page::Connections => self.connections(visit, &manager).await,
            Page::EndConnections => self.end_connections(visit, &manager).await,
            Page::Keys => self.keys(visit, &manager).await,
            Page::MakeKey => self.make_key(visit, &manager).await,
            Page::RevokeKey => self.revoke_key(visit, &manager).await,
            Page::Activity => self.activity(visit, &manager).await,
        }
    }

    /// A form of ours that is refused is answered like any other: by a redirect to its address, which tells why. What is none of ours
    /// gets its page at once.
    fn refused(&self, request: &Request, refusal: &Refusal) -> Response {
        let ours = request.method() == Method::POST && csrf::is_same_origin(request, &self.issuer);
        if !ours || matches!(refusal, Refusal::Malformed(_)) {
            return refusal.page(&self.layout);
        }
        let address = self.issuer.at(request.uri().path());
        let redirect = match refusal.kind() {
            Some(kind) => shared::http::flash::redirect(&address, &Notice::Refused(kind), &self.issuer),
            None => response::see_other(&address),
        };
        response::with_reason(redirect, refusal)
    }

    /// A token outlives its session by up to an hour: enough to look, not to change anything. But what takes power away works when
    /// Supabase does not.
    async fn still_here(&self, person: &SignedIn, gives: bool) -> Result<(), Refusal> {
        match self.identity.still_signed_in(person).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::SignedOut),
            Err(fault) if gives => Err(fault.into()),
            Err(fault) => {
                tracing::warn!(%fault, "nobody can say whether the session lives on");
                Ok(())
            }
        }
    }

    /// Whoever is no member learns nothing, not even that there is such a tenant.
    async fn manager(&self, person: &SignedIn, tenant: &TenantId) -> Result<Manager, Refusal> {
        let membership = self.directory.membership(&person.person, tenant).await?.ok_or(Refusal::NotThere)?;
        Manager::of_person(membership).map_err(Refusal::NotTheirs)
    }

    /// Comes back to where one was; after a form, to the page it was on, as what a form says is not kept.
    fn sign_in(&self, request: &Request, why: NotSignedInError) -> Result<Response, Refusal> {
        let path = request.uri().path();
        let query = request.uri().query().filter(|_| request.method() == Method::GET);
        let way_back = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let way_back = if request.method() == Method::GET && way_back.len() <= MAX_RETURN_TO_LEN {
            way_back.as_str()
        } else {
            "/admin"
        };
        let redirect = self.identity.redirect_to_sign_in(request, way_back, why);
        redirect.map_err(|UnrecognizedSessionError(why)| Refusal::Unrecognized {
            why,
            again: self.identity.login_url(way_back),
        })
    }
}

impl Function for Admin {
    const NAME: &'static str = "admin";

    async fn handle(&self, request: Request) -> Response {
        let Some(route) = Route::parse(request.uri().path()) else {
            return if is_api(&request) { Refusal::NotThere.json() } else { Refusal::NotThere.page(&self.layout) };
        };
        if !route.methods().split(", ").any(|method| method == request.method().as_str()) {
            return response::method_not_allowed(route.methods());
        }
        let now = self.clock.now();
        if route.is_api() {
            self.api(&request, &route, now).await.unwrap_or_else(|refusal| refusal.json())
        } else {
            self.page(&request, &route, now).await.unwrap_or_else(|refusal| self.refused(&request, &refusal))
        }
    }

    async fn handle_malformed(&self, request: Request, malformed: ParameterError) -> Response {
        let refusal = Refusal::from(malformed);
        if is_api(&request) { refusal.json() } else { refusal.page(&self.layout) }
    }
}

fn is_api(request: &Request) -> bool {
    request.uri().path().starts_with("/admin/api/")
}
