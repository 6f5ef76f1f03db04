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

use crate::bar::Bar;
use crate::confirm::{Fields, Question, proof, shown_at};
use crate::manager::Manager;
use crate::notice::Notice;
use crate::refusal::Refusal;
use crate::when::When;
use crate::{Admin, Visit, cursor, permission};

/// Days for which a key can be made; nothing is for ever.
const LIVES: [(&str, &str); 5] =
    [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("never", "until it is revoked")];
const USUAL: &str = "90";

#[derive(Template)]
#[template(path = "keys.html")]
struct Page<'a> {
    layout: &'a Layout,
    bar: &'a Bar,
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
    made: When,
    used: Option<When>,
    expires: Option<When>,
}

#[derive(Template)]
#[template(path = "new-key.html")]
struct FormPage<'a> {
    layout: &'a Layout,
    bar: &'a Bar,
    action: &'a str,
    back: &'a str,
    confirmation: String,
    name: &'a str,
    choices: Vec<Choice>,
    lives: Vec<(&'static str, &'static str, bool)>,
    wrong: &'a [Wrong],
    /// The name is among it.
    unnamed: bool,
    /// The first of it.
    focus: Option<Wrong>,
    script: &'static str,
}

struct Choice {
    field: String,
    title: &'static str,
    ticked: bool,
}

#[derive(Template)]
#[template(path = "made-key.html")]
struct MadePage<'a> {
    layout: &'a Layout,
    bar: &'a Bar,
    back: &'a str,
    name: String,
    key: &'a str,
    may: Vec<&'static str>,
    expires: Option<When>,
    script: &'static str,
}

/// Copies the key.
const COPY: &str = include_str!("copy.js");

/// A description of a key as it was typed, and what of it cannot be.
#[derive(Deserialize, Serialize)]
pub(crate) struct Draft {
    name: String,
    may: String,
    life: String,
    wrong: Vec<Wrong>,
}

/// A description of a key that has to be confirmed, in the form of that id.
#[derive(Deserialize, Serialize)]
pub(crate) struct ToConfirm {
    name: String,
    may: String,
    life: String,
    form: String,
    /// Seconds since 1970-01-01 UTC.
    shown: i64,
}

/// What a key is to be.
struct Described {
    name: ApiKeyName,
    scopes: Scopes,
    life: Life,
}

/// For how long.
#[derive(Clone, Copy)]
enum Life {
    Days(u64),
    UntilRevoked,
}

/// What of a description cannot be.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Wrong {
    Name,
    Scopes,
    Life,
}

impl Admin {
    pub(crate) async fn keys(&self, visit: &Visit<'_>, manager: &Manager) -> Result<Response, Refusal> {
        let after = cursor::read(visit.parameters.value("after"), Cursor::parse)?;
        let (keys, next) = self.keys.of_tenant(manager.tenant(), after.as_ref(), visit.now).await?;
        let row = |key: &ApiKeyRecord| Row {
            id: key.id.to_text(),
            name: SanitizedText(key.name.as_str()).to_string(),
            may: permission::titles(key.scopes),
            maker: key.maker.to_string(),
            own: key.maker == visit.person.person,
            made: When(key.created),
            used: key.used.map(When),
            expires: key.expires.map(When),
        };
        let page = Page {
            layout: &self.layout,
            bar: &Bar::of_tenant(&self.identity, &visit.person, manager, "keys"),
            path: visit.path,
            rows: keys.iter().map(row).collect(),
            first: after.is_none(),
            next: next.map(|place| cursor::query(&place.to_text())),
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, None, page.render()))
    }

    pub(crate) async fn make_key(&self, visit: &Visit<'_>, manager: &Manager) -> Result<Response, Refusal> {
        if !visit.changes {
            let described = match &visit.notice {
                Some(Notice::Described(described)) => described.read(),
                _ => None,
            };
            return Ok(match (described, &visit.notice) {
                (Some((described, fields)), _) => self.confirm_key(visit, manager, &described, fields),
                (None, Some(Notice::NotDescribed(draft))) => self.key_form(visit, manager, draft),
                (None, _) => self.key_form(visit, manager, &Draft::of(visit, manager, Vec::new())),
            });
        }
        match visit.parameters.value("step") {
            Some("describe") => {
                visit.confirmed(&describing())?;
                let notice = match Described::read(visit, manager) {
                    Ok(described) => Notice::Described(ToConfirm::of(&described, &FormId::random(), visit.now)),
                    Err(wrong) => Notice::NotDescribed(Draft::of(visit, manager, wrong)),
                };
                Ok(self.told_next(visit, &notice))
            }
            Some("make") => self.make_confirmed(visit, manager).await,
            _ => Err(Refusal::Body),
        }
    }

    fn key_form(&self, visit: &Visit<'_>, manager: &Manager, draft: &Draft) -> Response {
        let ticked = Scopes::parse(&draft.may);
        let choice = |scope: Scope| Choice {
            field: field(scope),
            title: permission::title(scope),
            ticked: ticked.contains(scope),
        };
        let page = FormPage {
            layout: &self.layout,
            bar: &Bar::of_tenant(&self.identity, &visit.person, manager, "keys"),
            action: visit.path,
            back: &keys_of(manager),
            confirmation: proof(&visit.person, visit.path, &describing()),
            name: &draft.name,
            choices: manager.permissions().iter().map(choice).collect(),
            lives: LIVES.iter().map(|(days, label)| (*days, *label, *days == draft.life)).collect(),
            wrong: &draft.wrong,
            unnamed: draft.wrong.contains(&Wrong::Name),
            focus: draft.wrong.first().copied(),
            script: ONCE,
        };
        self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, Some(ONCE), page.render())
    }

    fn confirm_key(&self, visit: &Visit<'_>, manager: &Manager, described: &Described, fields: Fields) -> Response {
        let bar = Bar::of_tenant(&self.identity, &visit.person, manager, "keys");
        let name = IsolatedText(described.name.as_str());
        let may = permission::titles(described.scopes).join(", ");
        let life = match described.life.end(visit.now) {
            Some(end) => format!("It works until {}, or until it is revoked.", When(end)),
            None => "It works until it is revoked.".to_owned(),
        };
        let question = Question {
            title: format!("Make the API key “{name}”?"),
            sentences: vec![
                format!("Whoever holds it may do this in {}, as you: {may}.", IsolatedText(manager.name())),
                life,
                "It never may more than your own role allows, and stops working if you leave the workspace.".to_owned(),
                "It is shown once, on the next page.".to_owned(),
            ],
            fields,
            button: "Make the key",
            danger: false,
            back: keys_of(manager),
        };
        self.ask(visit, &bar, &question)
    }

    async fn make_confirmed(&self, visit: &Visit<'_>, manager: &Manager) -> Result<Response, Refusal> {
        let value = |name: &str| visit.parameters.value(name);
        let form = value("form").and_then(FormId::parse).ok_or(Refusal::Body)?;
        let shown = visit.shown()?;
        let described = Described::read_confirmed(visit).ok_or(Refusal::Body)?;
        visit.confirmed(&described.fields(&form, shown))?;
        if visit.now.since(shown) > FORM_LIFETIME {
            return Err(Refusal::Stale);
        }
        let Described { name, scopes, life } = described;
        let expires = life.end(shown);
        let (through, membership) = (manager.through(Some(&form)), manager.membership());
        let (key, known) = self.keys.create_as(through, membership, name, scopes, expires, visit.now).await?;
        let page = MadePage {
            layout: &self.layout,
            bar: &Bar::of_tenant(&self.identity, &visit.person, manager, "keys"),
            back: &keys_of(manager),
            name: SanitizedText(known.name.as_str()).to_string(),
            key: &key.to_text(),
            may: permission::titles(known.scopes),
            expires: known.expires.map(When),
            script: COPY,
        };
        Ok(self.layout.page(StatusCode::OK, FormAction::OWN_ORIGIN, Some(COPY), page.render()))
    }

    pub(crate) async fn revoke_key(&self, visit: &Visit<'_>, manager: &Manager) -> Result<Response, Refusal> {
        let (bar, back) = (Bar::of_tenant(&self.identity, &visit.person, manager, "keys"), keys_of(manager));
        if let Some(told) = self.outcome(visit, &bar, &back) {
            return Ok(told);
        }
        let id = visit.parameters.value("key").and_then(ApiKeyId::parse).ok_or(Refusal::NotThere)?;
        let fields = vec![("key".into(), id.to_text())];
        if !visit.changes {
            let known = self.keys.find(&id, visit.now).await?.filter(|key| key.tenant == *manager.tenant());
            let known = known.ok_or(Refusal::NotThere)?;
            let question = Question {
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
            return Ok(self.ask(visit, &bar, &question));
        }
        visit.confirmed(&fields)?;
        let person = Some(manager.person());
        let revoked = self.keys.revoke_as(manager.through(None), manager.tenant(), &id, person).await?;
        Ok(self.told_next(visit, &Notice::Revoked(revoked)))
    }
}

impl Draft {
    fn of(visit: &Visit<'_>, manager: &Manager, wrong: Vec<Wrong>) -> Self {
        // What is longer than any name can be is kept as far as shows that.
        const MOST: usize = 100;
        let value = |name: &str| visit.parameters.value(name);
        let ticked = manager.permissions().iter().filter(|scope| value(&field(*scope)).is_some());
        Self {
            name: value("name").unwrap_or_default().chars().take(MOST).collect(),
            may: ticked.fold(Scopes::NONE, Scopes::with).to_string(),
            life: value("life").and_then(Life::parse).map_or_else(|| USUAL.to_owned(), Life::to_text),
            wrong,
        }
    }
}

impl ToConfirm {
    fn of(described: &Described, form: &FormId, shown: Timestamp) -> Self {
        Self {
            name: described.name.as_str().to_owned(),
            may: described.scopes.to_string(),
            life: described.life.to_text(),
            form: form.to_text(),
            shown: shown.seconds(),
        }
    }

    /// What it describes, and the fields of the form in which that is confirmed.
    fn read(&self) -> Option<(Described, Fields)> {
        let described = Described::parse(&self.name, &self.may, &self.life)?;
        let fields = described.fields(&FormId::parse(&self.form)?, Timestamp::from_seconds(self.shown));
        Some((described, fields))
    }
}

impl Described {
    /// As the form has it: what it did not offer cannot be ticked.
    fn read(visit: &Visit<'_>, manager: &Manager) -> Result<Self, Vec<Wrong>> {
        let value = |name: &str| visit.parameters.value(name);
        let name = value("name").and_then(ApiKeyName::parse);
        let ticked = manager.permissions().iter().filter(|scope| value(&field(*scope)).is_some());
        let scopes = Some(ticked.fold(Scopes::NONE, Scopes::with)).filter(|scopes| !scopes.permissions().is_empty());
        let life = value("life").and_then(Life::parse);
        let wrong = [(name.is_none(), Wrong::Name), (scopes.is_none(), Wrong::Scopes), (life.is_none(), Wrong::Life)];
        match (name, scopes, life) {
            (Some(name), Some(scopes), Some(life)) => Ok(Self { name, scopes, life }),
            _ => Err(wrong.into_iter().filter_map(|(is, wrong)| is.then_some(wrong)).collect()),
        }
    }

    /// As it was confirmed.
    fn read_confirmed(visit: &Visit<'_>) -> Option<Self> {
        let value = |name: &str| visit.parameters.value(name);
        Self::parse(value("name")?, value("may")?, value("life")?)
    }

    fn parse(name: &str, may: &str, life: &str) -> Option<Self> {
        Some(Self { name: ApiKeyName::parse(name)?, scopes: Scopes::parse(may), life: Life::parse(life)? })
    }

    fn fields(&self, form: &FormId, shown: Timestamp) -> Fields {
        vec![
            ("step".into(), "make".to_owned()),
            ("name".into(), self.name.as_str().to_owned()),
            ("may".into(), self.scopes.to_string()),
            ("life".into(), self.life.to_text()),
            ("form".into(), form.to_text()),
            shown_at(shown),
        ]
    }
}

impl Life {
    /// One of those that the form offers.
    fn parse(text: &str) -> Option<Self> {
        let (days, _) = LIVES.iter().find(|(days, _)| *days == text)?;
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

fn describing() -> [(Cow<'static, str>, String); 1] {
    [("step".into(), "describe".to_owned())]
}

fn field(scope: Scope) -> String {
    format!("may:{}", scope.as_str())
}

fn keys_of(manager: &Manager) -> String {
    format!("/admin/{}/keys", manager.tenant())
}
