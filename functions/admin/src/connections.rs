//! `/admin/{tenant}/connections`: the connections of a tenant.

use std::borrow::Cow;

use askama::Template;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::clock::Timestamp;
use shared::http::layout::{FormAction, Layout};
use shared::http::sanitized_text::IsolatedText;
use shared::lambda::Response;
use shared::oauth::client::ClientId;
use shared::oauth::grant_id::GrantId;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::connections::{ConnectionFilter, Connections, Cursor};

use crate::agreed_numbers::AgreedNumbers;
use crate::budget_usage::UsageRows;
use crate::confirmation::Confirmation;
use crate::connection_row::{ConnectionRow, name_and_host, name_and_hosts};
use crate::error::AdminError;
use crate::nav_bar::NavBar;
use crate::notice::{EndedMany, Notice, Whose};
use crate::page_request::PageRequest;
use crate::revoke::Revoker;
use crate::tenant_admin::TenantAdmin;
use crate::{Admin, cursor};

#[derive(Template)]
#[template(path = "connections.html")]
struct Page<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    path: &'a str,
    rows: Vec<ConnectionRow>,
    person: &'a str,
    client: &'a str,
    /// The part of the filter that is not valid.
    filter_error: Option<FilterError>,
    first: bool,
    next: Option<String>,
    usage: UsageRows,
    usage_note: Option<&'static str>,
}

/// A part of the filter that is not valid.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FilterError {
    Person,
    Client,
}

/// Which connections to revoke.
enum RevokeTarget {
    One(GrantId),
    OfPerson(PersonId),
    OfClient(ClientId),
}

impl Admin {
    pub(crate) async fn connections(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let value = |name| request.parameters.value(name).map(str::trim);
        let (person, client) = (value("person"), value("client"));
        let after = cursor::read(request.parameters.value("after"), Cursor::parse)?;
        let filter_error = if person.is_some_and(|text| PersonId::parse(text).is_none()) {
            Some(FilterError::Person)
        } else if client.is_some_and(|text| ClientId::parse(text).is_none()) {
            Some(FilterError::Client)
        } else {
            None
        };
        let filter = (person.and_then(PersonId::parse), client.and_then(ClientId::parse));
        let listed = async {
            if filter_error.is_some() {
                return Ok(Connections { found: Vec::new(), next: None });
            }
            let (filter, tables) = ((filter.0.as_ref(), filter.1.as_ref()), (&self.directory, &self.clients));
            self.grants.connections_in_tenant(tenant_admin.tenant(), filter, after.as_ref(), tables, request.now).await
        };
        let (listed, usage) = tokio::try_join!(listed, self.budgets.of_tenant(tenant_admin.tenant(), request.now))?;
        let next = listed.next.map(|place| {
            let parts = [("person", person), ("client", client), ("after", Some(&*cursor::write(&place.to_text())))];
            let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
            parts.collect::<Vec<_>>().join("&")
        });
        let page = Page {
            layout: &self.layout,
            nav_bar: &self.nav_bar_for_tenant(&request.person, tenant_admin, "connections"),
            path: request.path,
            rows: listed.found.iter().map(ConnectionRow::of).collect(),
            person: person.unwrap_or_default(),
            client: client.unwrap_or_default(),
            filter_error,
            first: after.is_none(),
            next,
            usage: UsageRows::of(&usage),
            usage_note: Some(
                "What everybody in the workspace does counts; some of it may be reserved, and not used yet.",
            ),
        };
        let status = if filter_error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Ok(self.layout.page(status, FormAction::OWN_ORIGIN, None, page.render()))
    }

    /// Revokes one connection, all of a person, or all of a client.
    pub(crate) async fn revoke_connections(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let nav_bar = self.nav_bar_for_tenant(&request.person, tenant_admin, "connections");
        let back = self.layout.paths().admin(&format!("/{}/connections", tenant_admin.tenant()));
        if let Some(page) = self.outcome_page(request, &nav_bar, &back) {
            return Ok(page);
        }
        let target = RevokeTarget::read(request)?;
        let found = match &target {
            RevokeTarget::One(id) => {
                let grant = self.grants.find(id).await?;
                Some(
                    grant
                        .filter(|grant| grant.approval.tenant == *tenant_admin.tenant())
                        .ok_or(AdminError::NotFound)?,
                )
            }
            RevokeTarget::OfPerson(_) | RevokeTarget::OfClient(_) => None,
        };
        let tenant = tenant_admin.tenant();
        if !request.is_post {
            let workspace = IsolatedText(tenant_admin.name());
            let (title, sentence) = match (&target, &found) {
                (RevokeTarget::OfPerson(person), _) => (
                    "End all connections of this person?".to_owned(),
                    format!("Every application that works as {person} in {workspace} loses its access at once."),
                ),
                (RevokeTarget::OfClient(id), _) => {
                    let client = self.clients.find(id, request.now).await?;
                    let client = name_and_hosts(client.as_ref(), id);
                    (
                        format!("End all connections of {client}?"),
                        format!("{client} loses its access to {workspace} at once, for everyone who connected it."),
                    )
                }
                (RevokeTarget::One(_), Some(grant)) => {
                    let client = self.clients.find(&grant.approval.client, request.now).await?;
                    let client = name_and_host(client.as_ref(), grant);
                    let person = grant.approval.email.as_deref().unwrap_or(grant.approval.person.as_str());
                    (
                        format!("End the connection of {client}?"),
                        format!("{client} can no longer work as {} in {workspace}.", IsolatedText(person)),
                    )
                }
                (RevokeTarget::One(_), None) => return Err(AdminError::NotFound),
            };
            let advice = match target {
                RevokeTarget::One(_) => "They can connect again, unless they are taken out of the workspace first.",
                RevokeTarget::OfPerson(_) => {
                    "What they connect afterwards stays, unless they are taken out of the workspace first."
                }
                RevokeTarget::OfClient(_) => {
                    "Whoever is in the workspace can connect it again, and what they connect afterwards stays."
                }
            };
            return Ok(self.confirmation_page(
                request,
                &nav_bar,
                &Confirmation {
                    title,
                    sentences: vec![sentence, advice.to_owned()],
                    fields: std::iter::once(target.field()).chain(self.shown_numbers(tenant, &target).await?).collect(),
                    button: if found.is_some() { "End the connection" } else { "End the connections" },
                    danger: true,
                    back,
                },
            ));
        }
        let revoker = self.revoker(tenant_admin, request.now);
        let agreed = if found.is_some() { None } else { Some(request.agreed_numbers()?) };
        let fields = std::iter::once(target.field()).chain(agreed.as_ref().map(AgreedNumbers::field));
        request.verify_csrf_token(&fields.collect::<Vec<_>>())?;
        let notice = match (&target, &found, agreed) {
            (RevokeTarget::OfPerson(person), _, Some(agreed)) => {
                let membership = self.directory.membership(person, tenant).await?;
                let memberships = agreed.apply(membership.into_iter().collect());
                let filter = ConnectionFilter::Tenant { tenant, person: Some(person), client: None };
                let ended = revoker.revoke_all_of_person(&memberships, filter).await?;
                Notice::EndedMany(EndedMany::of(Whose::Person, ended))
            }
            (RevokeTarget::OfClient(client), _, Some(agreed)) => {
                let numbers = self.directory.tenant_numbers(tenant).await?;
                let numbers = numbers.and_then(|numbers| agreed.apply_to_tenant(tenant, numbers));
                let numbers = numbers.ok_or(AdminError::NotFound)?;
                let ended = revoker.revoke_all_of_client(client, tenant, &numbers).await?;
                Notice::EndedMany(EndedMany::of(Whose::Client, ended))
            }
            (RevokeTarget::One(_), Some(grant), _) => Notice::Ended(revoker.revoke_one(grant).await?),
            _ => return Err(AdminError::NotFound),
        };
        Ok(self.redirect_with_notice(request, &notice))
    }

    /// The field with the numbers of what the confirmation is about, if it is about many connections.
    async fn shown_numbers(
        &self,
        tenant: &TenantId,
        target: &RevokeTarget,
    ) -> Result<Option<(Cow<'static, str>, String)>, AdminError> {
        let numbers = match target {
            RevokeTarget::One(_) => None,
            RevokeTarget::OfPerson(person) => {
                let membership = self.directory.membership(person, tenant).await?;
                Some(AgreedNumbers::of_memberships(membership.as_slice()))
            }
            RevokeTarget::OfClient(_) => {
                let numbers = self.directory.tenant_numbers(tenant).await?.ok_or(AdminError::NotFound)?;
                Some(AgreedNumbers::of_tenant(tenant, &numbers))
            }
        };
        Ok(numbers.as_ref().map(AgreedNumbers::field))
    }

    /// The revoker for an administrator, or for their key.
    pub(crate) fn revoker(&self, tenant_admin: &TenantAdmin, now: Timestamp) -> Revoker<'_> {
        Revoker {
            directory: &self.directory,
            grants: &self.grants,
            reason: RevocationReason::Administrator,
            by: tenant_admin.by(),
            now,
        }
    }
}

impl RevokeTarget {
    fn read(request: &PageRequest<'_>) -> Result<Self, AdminError> {
        let value = |name| request.parameters.value(name);
        let read = match (value("connection"), value("person"), value("client")) {
            (Some(id), None, None) => GrantId::parse(id).map(Self::One),
            (None, Some(id), None) => PersonId::parse(id).map(Self::OfPerson),
            (None, None, Some(id)) => ClientId::parse(id).map(Self::OfClient),
            _ => None,
        };
        read.ok_or(AdminError::NotFound)
    }

    fn field(&self) -> (Cow<'static, str>, String) {
        match self {
            Self::One(id) => ("connection".into(), id.to_text()),
            Self::OfPerson(id) => ("person".into(), id.to_string()),
            Self::OfClient(id) => ("client".into(), id.to_string()),
        }
    }
}

/// Encodes a value of a query. In templates, askama's `urlencode` does it.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
