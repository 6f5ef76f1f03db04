//! `/admin/permissions`: a person decides again what a connection of theirs may do, without connecting it again.
//!
//! Less counts at the next call. More is an approval, within the role: it is confirmed on a page of its own, in a session that is
//! active, and counts when the client next renews its access.

use askama::Template;
use http::StatusCode;
use shared::entitlement::Entitlement;
use shared::http::layout::{FormAction, Layout};
use shared::http::parameters::Parameters;
use shared::http::sanitized_text::IsolatedText;
use shared::lambda::Response;
use shared::oauth::grant::Grant;
use shared::oauth::grant_id::GrantId;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::directory::Membership;
use shared::store::grants::Update;
use shared::telemetry::audit::{self, Event};

use crate::Admin;
use crate::confirmation::Confirmation;
use crate::connection_row::name_and_host;
use crate::error::AdminError;
use crate::form_fields::{FormFields, GRANTS, csrf_token, grants_access};
use crate::nav_bar::NavBar;
use crate::notice::{Notice, ScopeChange};
use crate::page_request::PageRequest;
use crate::permission;
use crate::route;

/// The field with what the connection may do from now on.
const SCOPE: &str = "scope";

#[derive(Template)]
#[template(path = "permissions.html")]
struct Page<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    action: &'a str,
    back: &'a str,
    connection: String,
    /// Says that the choice was made on this page, of this state.
    confirmation: String,
    title: String,
    tenant: &'a str,
    role: &'a str,
    choices: Vec<Choice>,
    wrong: Option<Wrong>,
}

struct Choice {
    field: String,
    title: &'static str,
    /// What it includes that the title does not say.
    hint: Option<&'static str>,
    ticked: bool,
    /// It was approved, and the role does not allow it now.
    withheld: bool,
}

/// Why the form is shown again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    NothingTicked,
    NothingChanged,
}

/// A connection of the person who asks, as it is now.
struct OwnConnection {
    grant: Grant,
    membership: Membership,
}

impl Admin {
    pub(crate) async fn change_permissions(&self, request: &PageRequest<'_>) -> Result<Response, AdminError> {
        let nav_bar = self.nav_bar_for_person(&request.person, &[]);
        if let Some(page) = self.outcome_page(request, &nav_bar, &self.home()) {
            return Ok(page);
        }
        let connection = self.own_connection(request).await?;
        if request.is_post {
            return self.save_permissions(request, &connection).await;
        }
        let client = self.clients.find(&connection.grant.approval.client, request.now).await?;
        let client = name_and_host(client.as_ref(), &connection.grant);
        // Only what was ticked on our own page is asked about: otherwise whoever has the connection's id could send the person a link
        // with everything ticked.
        let is_chosen = request.verify_csrf_token(&connection.choice()).is_ok();
        if request.parameters.value("step") != Some("confirm") || !is_chosen {
            return Ok(self.permissions_form(request, &nav_bar, &connection, &client, None));
        }
        let scopes = connection.ticked(&request.parameters);
        let wrong = match scopes {
            _ if scopes.permissions().is_empty() => Some(Wrong::NothingTicked),
            _ if scopes == connection.grant.approval.scopes => Some(Wrong::NothingChanged),
            _ => None,
        };
        Ok(match wrong {
            Some(wrong) => self.permissions_form(request, &nav_bar, &connection, &client, Some(wrong)),
            None => self.confirm_permissions(request, &nav_bar, &connection, &client, scopes),
        })
    }

    /// The connection that the request names, if it is the person's and in use.
    async fn own_connection(&self, request: &PageRequest<'_>) -> Result<OwnConnection, AdminError> {
        let id = request.parameters.value("connection").and_then(GrantId::parse).ok_or(AdminError::NotFound)?;
        let grant = self.grants.find(&id).await?.ok_or(AdminError::NotFound)?;
        if grant.approval.person != request.person.person || !grant.is_open(request.now) {
            return Err(AdminError::NotFound);
        }
        let membership = self.directory.membership(&grant.approval.person, &grant.approval.tenant).await?;
        match membership {
            Some(membership) if Entitlement::of(&grant.approval, Some(&membership)).is_ok() => {
                Ok(OwnConnection { grant, membership })
            }
            _ => Err(AdminError::NotFound),
        }
    }

    fn permissions_form(
        &self,
        request: &PageRequest<'_>,
        nav_bar: &NavBar,
        connection: &OwnConnection,
        client: &str,
        wrong: Option<Wrong>,
    ) -> Response {
        let OwnConnection { grant, membership } = connection;
        let ticked = match wrong {
            Some(_) => connection.ticked(&request.parameters),
            None => grant.approval.scopes,
        };
        let choice = |scope: Scope| Choice {
            field: field(scope),
            title: permission::title(scope),
            hint: (scope == Scope::ViewsRead).then_some("with the records in them, if your role may read records"),
            ticked: ticked.contains(scope),
            withheld: !membership.role.permissions.contains(scope),
        };
        let page = Page {
            layout: &self.layout,
            nav_bar,
            action: request.path,
            back: &self.home(),
            connection: grant.id.to_text(),
            confirmation: csrf_token(&request.person, request.path, &connection.choice()),
            title: format!("What {client} may do"),
            tenant: &membership.name,
            role: &membership.role.name,
            choices: connection.offered().iter().map(choice).collect(),
            wrong,
        };
        let status = if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.layout.page(status, FormAction::OWN_ORIGIN, None, page.render())
    }

    fn confirm_permissions(
        &self,
        request: &PageRequest<'_>,
        nav_bar: &NavBar,
        connection: &OwnConnection,
        client: &str,
        scopes: Scopes,
    ) -> Response {
        let tenant = IsolatedText(&connection.membership.name);
        let (more, less) = (connection.added(scopes), connection.grant.approval.scopes.difference(scopes));
        let listed = |scopes| permission::titles(scopes).join(", ");
        let mut sentences = Vec::new();
        if !more.is_empty() {
            sentences.push(format!("It may also do this in {tenant}, as you: {}.", listed(more)));
            sentences.push("That counts when it next renews its access, within an hour.".to_owned());
        }
        if !less.is_empty() {
            sentences.push(format!("It may no longer do this: {}.", listed(less)));
            sentences.push("That counts at its next call.".to_owned());
        }
        let change = Confirmation {
            title: format!("Change what {client} may do?"),
            sentences,
            fields: connection.fields(scopes),
            button: "Change it",
            danger: more.is_empty(),
            back: route::permissions_of(&connection.grant.id, self.layout.paths()),
        };
        self.confirmation_page(request, nav_bar, &change)
    }

    async fn save_permissions(
        &self,
        request: &PageRequest<'_>,
        connection: &OwnConnection,
    ) -> Result<Response, AdminError> {
        let named = request.parameters.value(SCOPE).ok_or(AdminError::InvalidBody)?;
        let scopes = Scopes::parse(named);
        let shown: u32 =
            request.parameters.value("changes").and_then(|text| text.parse().ok()).ok_or(AdminError::InvalidBody)?;
        let OwnConnection { grant, membership } = connection;
        // Also of a form that was sent again, because its answer was lost.
        let outcome_of = |latest: &Grant| {
            if latest.approval.scopes == scopes { ScopeChange::Changed } else { ScopeChange::Superseded }
        };
        let outcome = if shown == grant.scope_changes {
            request.verify_csrf_token(&connection.fields(scopes))?;
            let added = connection.added(scopes);
            // The session was looked at for what the form says that it does.
            let is_announced = added.is_empty() || grants_access(&request.parameters);
            if !is_announced || !membership.role.permissions.covers(added) {
                return Err(AdminError::InvalidBody);
            }
            let (before, scope) = (grant.approval.scopes.to_string(), scopes.to_string());
            audit::record(&Event::GrantChanging { connection: grant.into(), before: &before, scope: &scope });
            match self.grants.change_scopes(grant, scopes).await? {
                Update::Applied => {
                    audit::record(&Event::GrantChanged { connection: grant.into(), before: &before, scope: &scope });
                    ScopeChange::Changed
                }
                Update::Conflict(latest) if latest.is_open(request.now) => outcome_of(&latest),
                Update::Conflict(_) | Update::NotFound => return Err(AdminError::NotFound),
            }
        } else {
            outcome_of(grant)
        };
        Ok(self.redirect_with_notice(request, &Notice::ScopesChanged(outcome)))
    }
}

impl OwnConnection {
    /// What the person may decide on: what the role allows now, and what was approved.
    fn offered(&self) -> Scopes {
        let allowed = self.membership.role.permissions.intersection(Scopes::SUPPORTED);
        allowed.union(self.grant.approval.scopes).permissions()
    }

    /// What is ticked of it. To stay connected, or not, was decided once.
    fn ticked(&self, parameters: &Parameters) -> Scopes {
        let ticked = self.offered().iter().filter(|scope| parameters.value(&field(*scope)).is_some());
        let stays = self.grant.approval.scopes.intersection(Scope::OfflineAccess.into());
        ticked.fold(stays, Scopes::with)
    }

    /// What `scopes` has besides what was approved.
    const fn added(&self, scopes: Scopes) -> Scopes {
        scopes.difference(self.grant.approval.scopes)
    }

    /// What the choice is about.
    fn choice(&self) -> FormFields {
        vec![
            ("step".into(), "choose".to_owned()),
            ("connection".into(), self.grant.id.to_text()),
            ("changes".into(), self.grant.scope_changes.to_string()),
        ]
    }

    /// The fields of the confirmation. The number says of which state the person was asked.
    fn fields(&self, scopes: Scopes) -> FormFields {
        let mut fields: FormFields = vec![
            ("connection".into(), self.grant.id.to_text()),
            ("changes".into(), self.grant.scope_changes.to_string()),
            (SCOPE.into(), scopes.to_string()),
        ];
        if !self.added(scopes).is_empty() {
            fields.push((GRANTS.into(), "more".to_owned()));
        }
        fields
    }
}

fn field(scope: Scope) -> String {
    format!("may:{}", scope.as_str())
}
