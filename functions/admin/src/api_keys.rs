//! `/admin/{tenant}/keys`: the API keys of a tenant. A key is made in three steps: it is described, confirmed, and
//! shown once. The page that shows it is the only one that is the response to a form: a secret may wait neither in a
//! cookie nor in an address. The form makes one key only: sent again, it leads to a page that says which.

use std::borrow::Cow;

use askama::Template;
use http::StatusCode;
use shared::api_key_issuer::ApiKeyIssuer;
use shared::clock::Timestamp;
use shared::http::layout::{FormAction, Layout, ONCE};
use shared::http::response;
use shared::http::sanitized_text::{IsolatedText, SanitizedText};
use shared::lambda::Response;
use shared::oauth::api_key::{ApiKeyId, ApiKeyRecord};
use shared::oauth::key_lifetime::KeyLifetime;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::tenant::PersonId;
use shared::revocation::Revocation;
use shared::store::api_keys::{CreateApiKeyError, Cursor, FORM_LIFETIME, FormId, NewApiKey};

use crate::confirmation::Confirmation;
use crate::date_time::DateTime;
use crate::error::AdminError;
use crate::form_fields::{FormFields, csrf_token};
use crate::key_description::{KeyConfirmation, KeyDescription, KeyDraft, KeyFormError, scope_field};
use crate::nav_bar::NavBar;
use crate::notice::Notice;
use crate::page_request::PageRequest;
use crate::tenant_admin::TenantAdmin;
use crate::{Admin, cursor, permission};

#[derive(Template)]
#[template(path = "api-keys.html")]
struct Page<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    path: &'a str,
    rows: Vec<Row>,
    first: bool,
    next: Option<String>,
}

struct Row {
    id: String,
    name: String,
    may: Vec<&'static str>,
    maker: String,
    /// The key that made it, if one did.
    parent: Option<String>,
    /// Whether the person who looks at the page made it.
    own: bool,
    made: DateTime,
    used: Option<DateTime>,
    expires: Option<DateTime>,
}

#[derive(Template)]
#[template(path = "new-api-key.html")]
struct FormPage<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    action: &'a str,
    back: &'a str,
    confirmation: String,
    name: &'a str,
    choices: Vec<Choice>,
    lives: Vec<(&'static str, &'static str, bool)>,
    wrong: &'a [KeyFormError],
    /// Whether the name is among `wrong`.
    unnamed: bool,
    /// The first of `wrong`.
    focus: Option<KeyFormError>,
    script: &'static str,
}

struct Choice {
    field: String,
    title: &'static str,
    ticked: bool,
}

#[derive(Template)]
#[template(path = "created-api-key.html")]
struct CreatedKeyPage<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    back: &'a str,
    name: String,
    key: &'a str,
    may: Vec<&'static str>,
    expires: Option<DateTime>,
    script: &'static str,
}

#[derive(Template)]
#[template(path = "already-created-api-key.html")]
struct AlreadyCreatedKeyPage<'a> {
    layout: &'a Layout,
    nav_bar: &'a NavBar,
    back: &'a str,
    id: String,
    /// Its name, and when it was made. None if it was revoked since, or has expired.
    key: Option<(String, DateTime)>,
}

/// The script of the button that copies the key.
const COPY: &str = include_str!("copy.js");

impl Admin {
    fn keys_path(&self, tenant_admin: &TenantAdmin) -> String {
        self.layout.paths().admin(&format!("/{}/keys", tenant_admin.tenant()))
    }

    pub(crate) async fn keys(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let after = cursor::read(request.parameters.value("after"), Cursor::parse)?;
        let (keys, next) = self.keys.of_tenant(tenant_admin.tenant(), after.as_ref(), request.now).await?;
        let row = |key: &ApiKeyRecord| Row {
            id: key.id.to_text(),
            name: SanitizedText(key.name.as_str()).to_string(),
            may: permission::titles(key.scopes),
            maker: key.maker.to_string(),
            parent: key.parent.as_ref().map(ApiKeyId::to_text),
            own: key.maker == request.person.person,
            made: DateTime(key.created),
            used: key.used.map(DateTime),
            expires: key.expires.map(DateTime),
        };
        let page = Page {
            layout: &self.layout,
            nav_bar: &self.nav_bar_for_tenant(&request.person, tenant_admin, "keys"),
            path: request.path,
            rows: keys.iter().map(row).collect(),
            first: after.is_none(),
            next: next.map(|place| cursor::query(&place.to_text())),
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, page.render()))
    }

    pub(crate) async fn create_key(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        if !request.is_post {
            let confirmation = match &request.notice {
                Some(Notice::Described(confirmation)) => confirmation.read(),
                _ => None,
            };
            return Ok(match (confirmation, &request.notice) {
                (Some((description, fields)), _) => self.confirm_key(request, tenant_admin, &description, fields),
                (None, Some(Notice::AlreadyCreated(id))) => {
                    return self.already_created_key(request, tenant_admin, id).await;
                }
                (None, Some(Notice::NotDescribed(draft))) => self.key_form(request, tenant_admin, draft),
                (None, _) => self.key_form(
                    request,
                    tenant_admin,
                    &KeyDraft::of(&request.parameters, tenant_admin.permissions(), Vec::new()),
                ),
            });
        }
        match request.parameters.value("step") {
            Some("describe") => {
                request.verify_csrf_token(&description_step())?;
                let permissions = tenant_admin.permissions();
                let notice = match KeyDescription::read(&request.parameters, permissions) {
                    Ok(description) => {
                        Notice::Described(KeyConfirmation::of(&description, &FormId::random(), request.now))
                    }
                    Err(wrong) => Notice::NotDescribed(KeyDraft::of(&request.parameters, permissions, wrong)),
                };
                Ok(self.redirect_with_notice(request, &notice))
            }
            Some("make") => self.create_confirmed_key(request, tenant_admin).await,
            _ => Err(AdminError::InvalidBody),
        }
    }

    fn key_form(&self, request: &PageRequest<'_>, tenant_admin: &TenantAdmin, draft: &KeyDraft) -> Response {
        let ticked = Scopes::parse(&draft.may);
        let choice = |scope: Scope| Choice {
            field: scope_field(scope),
            title: permission::title(scope),
            ticked: ticked.contains(scope),
        };
        let page = FormPage {
            layout: &self.layout,
            nav_bar: &self.nav_bar_for_tenant(&request.person, tenant_admin, "keys"),
            action: request.path,
            back: &self.keys_path(tenant_admin),
            confirmation: csrf_token(&request.person, request.path, &description_step()),
            name: &draft.name,
            choices: tenant_admin.permissions().iter().map(choice).collect(),
            lives: KeyLifetime::CHOICES.iter().map(|(days, label)| (*days, *label, *days == draft.life)).collect(),
            wrong: &draft.wrong,
            unnamed: draft.wrong.contains(&KeyFormError::Name),
            focus: draft.wrong.first().copied(),
            script: ONCE,
        };
        self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, Some(ONCE), page.render())
    }

    fn confirm_key(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
        description: &KeyDescription,
        fields: FormFields,
    ) -> Response {
        let nav_bar = self.nav_bar_for_tenant(&request.person, tenant_admin, "keys");
        let name = IsolatedText(description.name.as_str());
        let may = permission::titles(description.scopes).join(", ");
        let life = match description.life.expiry(request.now).time() {
            Some(end) => format!("It works until {}, or until it is revoked.", DateTime(end)),
            None => "It works until it is revoked.".to_owned(),
        };
        let change = Confirmation {
            title: format!("Make the API key “{name}”?"),
            sentences: vec![
                format!("Whoever holds it may do this in {}, as you: {may}.", IsolatedText(tenant_admin.name())),
                life,
                "It never may more than your own role allows, and stops working if you leave the workspace.".to_owned(),
                "It is shown once, on the next page.".to_owned(),
            ],
            fields,
            button: "Make the key",
            danger: false,
            back: self.keys_path(tenant_admin),
        };
        self.confirmation_page(request, &nav_bar, &change)
    }

    async fn create_confirmed_key(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let form = request.parameters.value("form").and_then(FormId::parse).ok_or(AdminError::InvalidBody)?;
        let shown = request.shown_at()?;
        let description = KeyDescription::read_confirmed(&request.parameters).ok_or(AdminError::InvalidBody)?;
        request.verify_csrf_token(&description.fields(&form, shown))?;
        if request.now.since(shown) > FORM_LIFETIME {
            return Err(AdminError::FormExpired);
        }
        let KeyDescription { name, scopes, life } = description;
        let new = NewApiKey { maker: tenant_admin.membership(), name, scopes, expiry: life.expiry(shown) };
        self.count_key(tenant_admin.person(), request.now).await?;
        let issuer = ApiKeyIssuer::new(&self.keys);
        let (key, known) = match issuer.create(tenant_admin.through(Some(&form)), new, request.now).await {
            Ok(created) => created,
            Err(error) => {
                let CreateApiKeyError::AlreadyCreated(id) = &error else { return Err(error.into()) };
                let redirect = self.redirect_with_notice(request, &Notice::AlreadyCreated(id.to_text()));
                return Ok(response::with_reason(redirect, &error));
            }
        };
        let page = CreatedKeyPage {
            layout: &self.layout,
            nav_bar: &self.nav_bar_for_tenant(&request.person, tenant_admin, "keys"),
            back: &self.keys_path(tenant_admin),
            name: SanitizedText(known.name.as_str()).to_string(),
            key: &key.to_text(),
            may: permission::titles(known.scopes),
            expires: known.expires.map(DateTime),
            script: COPY,
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, Some(COPY), page.render()))
    }

    /// Counts a key that is to be made.
    pub(crate) async fn count_key(&self, maker: &PersonId, now: Timestamp) -> Result<(), AdminError> {
        match self.keys.count_creation(maker, now).await? {
            None => Ok(()),
            Some(resets) => Err(AdminError::TooManyKeys(resets.since(now))),
        }
    }

    /// The page for a form that was sent again. The first answer alone had the key: somebody who clicked twice does not
    /// see it, and has to replace it.
    async fn already_created_key(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
        id: &str,
    ) -> Result<Response, AdminError> {
        let id = ApiKeyId::parse(id).ok_or(AdminError::NotFound)?;
        let known = self.keys.find(&id, request.now).await?.filter(|key| key.tenant == *tenant_admin.tenant());
        let page = AlreadyCreatedKeyPage {
            layout: &self.layout,
            nav_bar: &self.nav_bar_for_tenant(&request.person, tenant_admin, "keys"),
            back: &self.keys_path(tenant_admin),
            id: id.to_text(),
            key: known.map(|key| (SanitizedText(key.name.as_str()).to_string(), DateTime(key.created))),
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, page.render()))
    }

    pub(crate) async fn revoke_key(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let (nav_bar, back) =
            (self.nav_bar_for_tenant(&request.person, tenant_admin, "keys"), self.keys_path(tenant_admin));
        if let Some(page) = self.outcome_page(request, &nav_bar, &back) {
            return Ok(page);
        }
        let id = request.parameters.value("key").and_then(ApiKeyId::parse).ok_or(AdminError::NotFound)?;
        let fields = vec![("key".into(), id.to_text())];
        if !request.is_post {
            let known = self.keys.find(&id, request.now).await?.filter(|key| key.tenant == *tenant_admin.tenant());
            let known = known.ok_or(AdminError::NotFound)?;
            let change = Confirmation {
                title: format!("Revoke the API key “{}”?", IsolatedText(known.name.as_str())),
                sentences: vec![
                    "Whatever uses it is refused from the next call on. So is whatever uses a key that was made with it."
                        .to_owned(),
                    "This cannot be undone: a new key has to be made and put in its place.".to_owned(),
                ],
                fields,
                button: "Revoke the key",
                danger: true,
                back,
            };
            return Ok(self.confirmation_page(request, &nav_bar, &change));
        }
        request.verify_csrf_token(&fields)?;
        let person = Some(tenant_admin.person());
        let revocation = Revocation::new(&self.keys);
        let (actor, tenant) = (tenant_admin.through(None), tenant_admin.tenant());
        let revoked = revocation.revoke(actor, tenant, &id, person, request.now).await?;
        Ok(self.redirect_with_notice(request, &Notice::Revoked(revoked)))
    }
}

/// The field of the first form, for which its CSRF token is made.
fn description_step() -> [(Cow<'static, str>, String); 1] {
    [("step".into(), "describe".to_owned())]
}
