//! `/admin/{tenant}/keys`: the keys of a tenant's scripts. One is made in three steps: described, confirmed, and shown, once: that page
//! alone answers its form by itself, as a secret may wait neither in a cookie nor in an address. The form counts once.

use std::borrow::Cow;
use std::time::Duration;

use askama::Template;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;
use shared::http::layout::{FormAction, Layout, ONCE};
use shared::http::sanitized_text::{IsolatedText, SanitizedText};
use shared::lambda::Response;
use shared::oauth::api_key::{ApiKeyId, ApiKeyName};
use shared::oauth::scope::{Scope, Scopes};
use shared::store::api_keys::{ApiKeyRecord, Cursor, FORM_LIFETIME, FormId};

use crate::confirm::{Confirmation, Fields, csrf_token, shown_field};
use crate::date_time::DateTime;
use crate::error::AdminError;
use crate::nav_bar::NavBar;
use crate::notice::Notice;
use crate::tenant_admin::TenantAdmin;
use crate::{Admin, PageRequest, cursor, permission};

/// Days for which a key can be made; nothing is for ever.
const LIFETIMES: [(&str, &str); 5] =
    [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("never", "until it is revoked")];
const DEFAULT_LIFETIME: &str = "90";

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
    /// Whoever looks made it.
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
    /// The name is among it.
    unnamed: bool,
    /// The first of it.
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

/// Copies the key.
const COPY: &str = include_str!("copy.js");

/// The form of a new key as it was sent, with the fields that are not valid.
#[derive(Deserialize, Serialize)]
pub(crate) struct KeyDraft {
    name: String,
    may: String,
    life: String,
    wrong: Vec<KeyFormError>,
}

/// The description of a new key, to be confirmed in the form of that id.
#[derive(Deserialize, Serialize)]
pub(crate) struct KeyConfirmation {
    name: String,
    may: String,
    life: String,
    form: String,
    /// Seconds since 1970-01-01 UTC.
    shown: i64,
}

/// The description of a new key.
struct KeyDescription {
    name: ApiKeyName,
    scopes: Scopes,
    life: KeyLifetime,
}

/// For how long.
#[derive(Clone, Copy)]
enum KeyLifetime {
    Days(u64),
    UntilRevoked,
}

/// A field of the form that is not valid.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeyFormError {
    Name,
    Scopes,
    Life,
}

impl Admin {
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
            own: key.maker == request.person.person,
            made: DateTime(key.created),
            used: key.used.map(DateTime),
            expires: key.expires.map(DateTime),
        };
        let page = Page {
            layout: &self.layout,
            nav_bar: &NavBar::for_tenant(&self.identity, &request.person, tenant_admin, "keys"),
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
            let described = match &request.notice {
                Some(Notice::Described(described)) => described.read(),
                _ => None,
            };
            return Ok(match (described, &request.notice) {
                (Some((described, fields)), _) => self.confirm_key(request, tenant_admin, &described, fields),
                (None, Some(Notice::NotDescribed(draft))) => self.key_form(request, tenant_admin, draft),
                (None, _) => self.key_form(request, tenant_admin, &KeyDraft::of(request, tenant_admin, Vec::new())),
            });
        }
        match request.parameters.value("step") {
            Some("describe") => {
                request.verify_csrf_token(&description_step())?;
                let notice = match KeyDescription::read(request, tenant_admin) {
                    Ok(described) => Notice::Described(KeyConfirmation::of(&described, &FormId::random(), request.now)),
                    Err(wrong) => Notice::NotDescribed(KeyDraft::of(request, tenant_admin, wrong)),
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
            nav_bar: &NavBar::for_tenant(&self.identity, &request.person, tenant_admin, "keys"),
            action: request.path,
            back: &keys_path(tenant_admin),
            confirmation: csrf_token(&request.person, request.path, &description_step()),
            name: &draft.name,
            choices: tenant_admin.permissions().iter().map(choice).collect(),
            lives: LIFETIMES.iter().map(|(days, label)| (*days, *label, *days == draft.life)).collect(),
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
        described: &KeyDescription,
        fields: Fields,
    ) -> Response {
        let nav_bar = NavBar::for_tenant(&self.identity, &request.person, tenant_admin, "keys");
        let name = IsolatedText(described.name.as_str());
        let may = permission::titles(described.scopes).join(", ");
        let life = match described.life.end(request.now) {
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
            back: keys_path(tenant_admin),
        };
        self.confirmation_page(request, &nav_bar, &change)
    }

    async fn create_confirmed_key(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let value = |name: &str| request.parameters.value(name);
        let form = value("form").and_then(FormId::parse).ok_or(AdminError::InvalidBody)?;
        let shown = request.shown_at()?;
        let described = KeyDescription::read_confirmed(request).ok_or(AdminError::InvalidBody)?;
        request.verify_csrf_token(&described.fields(&form, shown))?;
        if request.now.since(shown) > FORM_LIFETIME {
            return Err(AdminError::FormExpired);
        }
        let KeyDescription { name, scopes, life } = described;
        let expires = life.end(shown);
        let (through, membership) = (tenant_admin.through(Some(&form)), tenant_admin.membership());
        let (key, known) = self.keys.create_as(through, membership, name, scopes, expires, request.now).await?;
        let page = CreatedKeyPage {
            layout: &self.layout,
            nav_bar: &NavBar::for_tenant(&self.identity, &request.person, tenant_admin, "keys"),
            back: &keys_path(tenant_admin),
            name: SanitizedText(known.name.as_str()).to_string(),
            key: &key.to_text(),
            may: permission::titles(known.scopes),
            expires: known.expires.map(DateTime),
            script: COPY,
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, Some(COPY), page.render()))
    }

    pub(crate) async fn revoke_key(
        &self,
        request: &PageRequest<'_>,
        tenant_admin: &TenantAdmin,
    ) -> Result<Response, AdminError> {
        let (nav_bar, back) =
            (NavBar::for_tenant(&self.identity, &request.person, tenant_admin, "keys"), keys_path(tenant_admin));
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
                    "Whatever uses it is refused from the next call on.".to_owned(),
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
        let revoked = self.keys.revoke_as(tenant_admin.through(None), tenant_admin.tenant(), &id, person).await?;
        Ok(self.redirect_with_notice(request, &Notice::Revoked(revoked)))
    }
}

impl KeyDraft {
    fn of(request: &PageRequest<'_>, tenant_admin: &TenantAdmin, wrong: Vec<KeyFormError>) -> Self {
        // What is longer than any name can be is kept as far as shows that.
        const MOST: usize = 100;
        let value = |name: &str| request.parameters.value(name);
        let ticked = tenant_admin.permissions().iter().filter(|scope| value(&scope_field(*scope)).is_some());
        Self {
            name: value("name").unwrap_or_default().chars().take(MOST).collect(),
            may: ticked.fold(Scopes::NONE, Scopes::with).to_string(),
            life: value("life")
                .and_then(KeyLifetime::parse)
                .map_or_else(|| DEFAULT_LIFETIME.to_owned(), KeyLifetime::to_text),
            wrong,
        }
    }
}

impl KeyConfirmation {
    fn of(described: &KeyDescription, form: &FormId, shown: Timestamp) -> Self {
        Self {
            name: described.name.as_str().to_owned(),
            may: described.scopes.to_string(),
            life: described.life.to_text(),
            form: form.to_text(),
            shown: shown.seconds(),
        }
    }

    /// What it describes, and the fields of the form in which that is confirmed.
    fn read(&self) -> Option<(KeyDescription, Fields)> {
        let described = KeyDescription::parse(&self.name, &self.may, &self.life)?;
        let fields = described.fields(&FormId::parse(&self.form)?, Timestamp::from_seconds(self.shown));
        Some((described, fields))
    }
}

impl KeyDescription {
    /// As the form has it: what it did not offer cannot be ticked.
    fn read(request: &PageRequest<'_>, tenant_admin: &TenantAdmin) -> Result<Self, Vec<KeyFormError>> {
        let value = |name: &str| request.parameters.value(name);
        let name = value("name").and_then(ApiKeyName::parse);
        let ticked = tenant_admin.permissions().iter().filter(|scope| value(&scope_field(*scope)).is_some());
        let scopes = Some(ticked.fold(Scopes::NONE, Scopes::with)).filter(|scopes| !scopes.permissions().is_empty());
        let life = value("life").and_then(KeyLifetime::parse);
        let wrong = [
            (name.is_none(), KeyFormError::Name),
            (scopes.is_none(), KeyFormError::Scopes),
            (life.is_none(), KeyFormError::Life),
        ];
        match (name, scopes, life) {
            (Some(name), Some(scopes), Some(life)) => Ok(Self { name, scopes, life }),
            _ => Err(wrong.into_iter().filter_map(|(is, wrong)| is.then_some(wrong)).collect()),
        }
    }

    /// As it was confirmed.
    fn read_confirmed(request: &PageRequest<'_>) -> Option<Self> {
        let value = |name: &str| request.parameters.value(name);
        Self::parse(value("name")?, value("may")?, value("life")?)
    }

    fn parse(name: &str, may: &str, life: &str) -> Option<Self> {
        Some(Self { name: ApiKeyName::parse(name)?, scopes: Scopes::parse(may), life: KeyLifetime::parse(life)? })
    }

    fn fields(&self, form: &FormId, shown: Timestamp) -> Fields {
        vec![
            ("step".into(), "make".to_owned()),
            ("name".into(), self.name.as_str().to_owned()),
            ("may".into(), self.scopes.to_string()),
            ("life".into(), self.life.to_text()),
            ("form".into(), form.to_text()),
            shown_field(shown),
        ]
    }
}

impl KeyLifetime {
    /// One of those that the form offers.
    fn parse(text: &str) -> Option<Self> {
        let (days, _) = LIFETIMES.iter().find(|(days, _)| *days == text)?;
        Some(days.parse().map_or(Self::UntilRevoked, Self::Days))
    }

    fn to_text(self) -> String {
        match self {
            Self::Days(days) => days.to_string(),
            Self::UntilRevoked => "never".to_owned(),
        }
    }

    /// When it is over, if it began at `from`.
    fn end(self, from: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Days(days) => Some(from.plus(Duration::from_hours(24 * days))),
            Self::UntilRevoked => None,
        }
    }
}

fn description_step() -> [(Cow<'static, str>, String); 1] {
    [("step".into(), "describe".to_owned())]
}

fn scope_field(scope: Scope) -> String {
    format!("may:{}", scope.as_str())
}

fn keys_path(tenant_admin: &TenantAdmin) -> String {
    format!("/admin/{}/keys", tenant_admin.tenant())
}
