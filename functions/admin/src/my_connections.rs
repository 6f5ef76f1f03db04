//! `/admin`: the connections of a person in all tenants.

use askama::Template;
use http::StatusCode;
use shared::http::layout::{FormAction, Layout};
use shared::lambda::Response;
use shared::oauth::grant_id::GrantId;
use shared::oauth::revocation_reason::RevocationReason;
use shared::store::connections::{ConnectionFilter, Cursor};

use crate::agreed_numbers::AgreedNumbers;
use crate::budget_usage::UsageRows;
use crate::confirmation::Confirmation;
use crate::connection_row::{ConnectionRow, name_and_host};
use crate::error::AdminError;
use crate::nav_bar::NavBar;
use crate::notice::{EndedMany, Notice, Whose};
use crate::page_request::PageRequest;
use crate::revoke::Revoker;
use crate::{Admin, cursor};

#[derive(Template)]
#[template(path = "my-connections.html")]
struct Page<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    path: &'a str,
    rows: Vec<ConnectionRow>,
    first: bool,
    next: Option<String>,
    usage: UsageRows,
    usage_note: Option<&'static str>,
}

impl Admin {
    /// The path of this page.
    pub(crate) fn home(&self) -> String {
        self.layout.paths().admin("")
    }

    pub(crate) async fn my_connections(&self, request: &PageRequest<'_>) -> Result<Response, AdminError> {
        let after = cursor::read(request.parameters.value("after"), Cursor::parse)?;
        let (person, tables) = (&request.person.person, (&self.directory, &self.clients));
        let ((memberships, connections), usage) = tokio::try_join!(
            self.grants.connections_of_person(person, after.as_ref(), tables, request.now),
            self.budgets.of_person(person, request.now),
        )?;
        let nav_bar = self.nav_bar_for_person(&request.person, &memberships);
        let page = Page {
            layout: &self.layout,
            nav_bar: &nav_bar,
            path: request.path,
            rows: connections.found.iter().map(ConnectionRow::of).collect(),
            first: after.is_none(),
            next: connections.next.map(|place| cursor::query(&place.to_text())),
            usage: UsageRows::of(&usage),
            usage_note: Some("What you and your applications do counts, in all workspaces."),
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, page.render()))
    }

    /// Revokes one connection, or all.
    pub(crate) async fn revoke_my_connections(&self, request: &PageRequest<'_>) -> Result<Response, AdminError> {
        let nav_bar = self.nav_bar_for_person(&request.person, &[]);
        if let Some(page) = self.outcome_page(request, &nav_bar, &self.home()) {
            return Ok(page);
        }
        let person = &request.person.person;
        let revoker = Revoker {
            directory: &self.directory,
            grants: &self.grants,
            reason: RevocationReason::Person,
            by: person.to_string(),
            now: request.now,
        };
        let Some(id) = request.parameters.value("connection") else {
            if request.parameters.value("all") != Some("yes") {
                return Err(AdminError::NotFound);
            }
            return self.revoke_all_my_connections(request, &nav_bar, &revoker).await;
        };
        let id = GrantId::parse(id).ok_or(AdminError::NotFound)?;
        let grant = self.grants.find(&id).await?.filter(|grant| grant.approval.person == *person);
        let grant = grant.ok_or(AdminError::NotFound)?;
        let fields = vec![("connection".into(), id.to_text())];
        if !request.is_post {
            let client = self.clients.find(&grant.approval.client, request.now).await?;
            let client = name_and_host(client.as_ref(), &grant);
            return Ok(self.confirmation_page(
                request,
                &nav_bar,
                &Confirmation {
                    title: format!("End the connection of {client}?"),
                    sentences: vec![
                        format!("{client} loses its access to {} at once.", grant.approval.tenant),
                        "You can connect it again at any time.".to_owned(),
                    ],
                    fields,
                    button: "End the connection",
                    danger: true,
                    back: self.home(),
                },
            ));
        }
        request.verify_csrf_token(&fields)?;
        Ok(self.redirect_with_notice(request, &Notice::Ended(revoker.revoke_one(&grant).await?)))
    }

    async fn revoke_all_my_connections(
        &self,
        request: &PageRequest<'_>,
        nav_bar: &NavBar,
        revoker: &Revoker<'_>,
    ) -> Result<Response, AdminError> {
        let all = ("all".into(), "yes".to_owned());
        let (person, memberships) = (&request.person.person, self.directory.memberships(&request.person.person).await?);
        if !request.is_post {
            return Ok(self.confirmation_page(
                request,
                nav_bar,
                &Confirmation {
                    title: "End all your connections?".to_owned(),
                    sentences: vec![
                        "Every application that works as you loses its access at once, in every workspace.".to_owned(),
                        "What you connect afterwards stays, and so do API keys.".to_owned(),
                    ],
                    fields: vec![all, AgreedNumbers::of_memberships(&memberships).field()],
                    button: "End all connections",
                    danger: true,
                    back: self.home(),
                },
            ));
        }
        let agreed = request.agreed_numbers()?;
        request.verify_csrf_token(&[all, agreed.field()])?;
        let ended = revoker.revoke_all_of_person(&agreed.apply(memberships), ConnectionFilter::Person(person)).await?;
        Ok(self.redirect_with_notice(request, &Notice::EndedMany(EndedMany::of(Whose::Own, ended))))
    }
}
