//! The consent page, and what comes back from it.

use std::sync::LazyLock;

use askama::Template;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::http::answer;
use shared::http::own_page;
use shared::http::parameters::Parameters;
use shared::http::shell::{Leads, ONCE, Shell};
use shared::http::visible::Visible;
use shared::identity::Identity;
use shared::identity::signed_in::{SIGN_OUT, SignedIn};
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::directory::Membership;
use shared::store::pending_scopes::PendingScopes;

use crate::asked::{self, Asked};
use crate::destination::Destination;
use crate::refused::Refused;

/// All that the page speaks of.
pub(crate) struct Consent<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) issuer: &'a Issuer,
    pub(crate) identity: &'a Identity,
    pub(crate) destination: &'a Destination,
    pub(crate) asked: &'a Asked,
    pub(crate) person: &'a SignedIn,
    /// Only where what is asked for can be given.
    pub(crate) memberships: &'a [Membership],
    /// What the client has called for since it was last approved, tenant by tenant: offered beside what it asks for now.
    pub(crate) wanted: &'a PendingScopes,
}

/// What the person decided.
pub(crate) enum Choice<'a> {
    Deny,
    Approve(Approved<'a>),
}

/// Where, and what: only what was offered there, with `offline_access` if they stay connected.
pub(crate) struct Approved<'a> {
    pub(crate) membership: &'a Membership,
    pub(crate) scopes: Scopes,
}

/// Why the page is shown again.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Again {
    /// The form is not one that we gave to this session for this request.
    Forged,
    /// The page was shown to another account, which this browser was signed in with.
    AnotherAccount,
    NoDecision,
    NoTenant,
    /// The address is for one tenant, and another was chosen.
    AnotherTenant,
    NothingTicked,
    NothingAllowed,
    Unavailable,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    shell: &'a Shell,
    script: &'a str,
    client: &'a str,
    named: bool,
    host: String,
    loopback: bool,
    vouched: Vouched,
    who: &'a str,
    /// Proof for signing out, where that is ours to do, and the way back.
    sign_out: Option<(String, &'a str)>,
    told: Told,
    hidden: Vec<(&'static str, String)>,
    confirmation: String,
    account: &'a str,
    place: Place<'a>,
    usable: bool,
    /// What is asked, in plain words, where the person is in a tenant and no role of theirs allows any of it.
    in_vain: Option<String>,
    groups: Vec<Group>,
    also: Vec<AlsoChoice<'a>>,
    /// Whether staying connected is ticked, if it is offered.
    stay: Option<bool>,
    console: String,
}

/// What the page says first.
enum Told {
    Nothing,
    /// Why it is shown again.
    Problem(&'static str),
    /// This browser has approved the same request a moment ago: back button, double click, opened twice.
    Approved,
}

/// Where the connection can be.
enum Place<'a> {
    /// Nowhere: the person is in no tenant.
    Nowhere,
    /// Nowhere: they are not in the one that the address is for, which may not even exist.
    Outside(&'a str),
    /// In the one that the address is for.
    Fixed(TenantChoice<'a>),
    /// In the only one that they are in.
    Only(TenantChoice<'a>),
    Open(Vec<TenantChoice<'a>>),
}

/// Who says that the client may be answered there.
enum Vouched {
    /// Its own host, which is where the answer goes: who gets it is who wrote the client's description.
    ByItself,
    /// The host that its description is from.
    By(String),
    ByNobody,
}

struct TenantChoice<'a> {
    id: &'a str,
    name: Visible<'a>,
    role: Visible<'a>,
    checked: bool,
    /// The choice of a tenant is what is wrong, and this is where to begin.
    focus: bool,
    /// The role allows nothing of what is offered.
    useless: bool,
    /// What is asked and the role does not allow, in plain words and as scopes.
    missing: String,
    lacks: Scopes,
}

/// Scopes of one kind.
struct Group {
    title: &'static str,
    choices: Vec<ScopeChoice>,
}

struct ScopeChoice {
    scope: &'static str,
    field: String,
    title: &'static str,
    hint: &'static str,
    checked: bool,
    /// What is ticked is what is wrong, and this is where to begin.
    focus: bool,
    /// Where there is one tenant only: the role in it does not allow this.
    barred: bool,
}

/// A scope that is offered in one tenant only, and only if the person wants it.
struct AlsoChoice<'a> {
    id: &'a str,
    tenant: Visible<'a>,
    scope: ScopeChoice,
}

/// What makes the page pleasanter: with the tenant chosen, what its role allows; a search among many.
/// A second click is not a second approval: the page's own script, and the one of all pages with forms.
static SCRIPT: LazyLock<String> = LazyLock::new(|| include_str!("consent.js").to_owned() + ONCE);

impl<'a> Consent<'a> {
    /// The page: after a form that was refused with the reason and the choices that it held, else as new. `approved`: this browser has
    /// approved the same request before.
    pub(crate) fn page(&self, refused: Option<&Refused>, approved: bool, parameters: &Parameters) -> Response {
        let asked = self.asked.scopes.permissions();
        let ticked = |field: &str| refused.and_then(|refused| refused.has_ticked(field));
        let again = refused.map(|refused| refused.again);
        let only = match self.memberships {
            [only] => Some(only),
            _ => None,
        };
        let choice = |scope: Scope| {
            let ((title, hint), field) = (words(scope), field(scope));
            let barred = only.is_some_and(|only| !only.role.permissions.contains(scope));
            let checked = !barred && ticked(&field).unwrap_or(true);
            ScopeChoice { scope: scope.as_str(), checked, focus: false, field, title, hint, barred }
        };
        let client = self.destination.client();
        let mut tenants: Vec<_> = self
            .memberships
            .iter()
            .map(|membership| {
                let lacks = asked.difference(membership.role.permissions);
                TenantChoice {
                    id: membership.tenant.as_str(),
                    name: Visible(&membership.name),
                    role: Visible(&membership.role.name),
                    checked: refused.is_some_and(|refused| refused.has_chosen(&membership.tenant)),
                    focus: false,
                    useless: asked.union(self.also(membership)).intersection(membership.role.permissions).is_empty(),
                    missing: in_words(lacks),
                    lacks,
                }
            })
            .collect();
        let way_back = asked::way_back(parameters);
        let usable = tenants.iter().any(|tenant| !tenant.useless);
        let mut groups = Group::of(asked, choice);
        if let Some(again) = again {
            again.put_focus(&mut tenants, &mut groups);
        }
        let page = Page {
            shell: self.shell,
            script: &SCRIPT,
            client: client.name.as_deref().unwrap_or("An application without a name"),
            named: client.name.is_some(),
            host: self.destination.redirect_uri().host(),
            loopback: self.destination.redirect_uri().is_loopback(),
            vouched: match client.id.metadata_document_host() {
                Some(_) if self.destination.is_at_home() => Vouched::ByItself,
                Some(host) => Vouched::By(host),
                None => Vouched::ByNobody,
            },
            who: self.person.shown_as(),
            sign_out: self.identity.hosts_login().then(|| (self.person.anti_forgery(SIGN_OUT), way_back.as_str())),
            told: match again {
                Some(again) => Told::Problem(again.sentence()),
                None if approved => Told::Approved,
                None => Told::Nothing,
            },
            hidden: asked::repeated(parameters),
            confirmation: self.person.anti_forgery(&way_back),
            account: self.person.person.as_str(),
            usable,
            in_vain: (!usable && !tenants.is_empty()).then(|| in_words(asked)),
            place: match (self.asked.resource.tenant(), tenants.len()) {
                (None, 0) => Place::Nowhere,
                (Some(only), 0) => Place::Outside(only.as_str()),
                (None, 1) => Place::Only(tenants.remove(0)),
                (Some(_), 1) => Place::Fixed(tenants.remove(0)),
                _ => Place::Open(tenants),
            },
            groups,
            also: self
                .memberships
                .iter()
                .flat_map(|membership| self.also(membership).iter().map(move |scope| (membership, scope)))
                .map(|(membership, scope)| {
                    let field = field_in(membership, scope);
                    // Never ticked for them: who can make a call that is refused would otherwise choose what they approve.
                    let checked = ticked(&field).unwrap_or(false);
                    let scope = ScopeChoice { checked, field, barred: false, ..choice(scope) };
                    AlsoChoice { id: membership.tenant.as_str(), tenant: Visible(&membership.name), scope }
                })
                .collect(),
            stay: self
                .asked
                .scopes
                .contains(Scope::OfflineAccess)
                .then(|| ticked(&field(Scope::OfflineAccess)).unwrap_or(true)),
            console: self.issuer.at("/admin"),
        };
        let page = |status| self.shell.page(status, Leads::Anywhere, Some(&SCRIPT), page.render());
        match again {
            // A fault of ours keeps its status, by which it is counted.
            Some(Again::Unavailable) => {
                answer::because(page(StatusCode::SERVICE_UNAVAILABLE), &"told after a form, whose own line says why")
            }
            _ => page(StatusCode::OK),
        }
    }

    /// What the person decided, or why they have to be asked again.
    pub(crate) fn read(&self, request: &Request, parameters: &Parameters) -> Result<Choice<'a>, Again> {
        let confirmation = parameters.value("confirmation").unwrap_or_default();
        // A hint, and no more: whose page it was decides only what is said.
        if parameters.value("account").is_some_and(|account| account != self.person.person.as_str()) {
            return Err(Again::AnotherAccount);
        }
        if !own_page::sent(request, self.issuer) || !self.person.allows(&asked::way_back(parameters), confirmation) {
            return Err(Again::Forged);
        }
        match parameters.value("decision") {
            Some("deny") => return Ok(Choice::Deny),
            Some("approve") => {}
            _ => return Err(Again::NoDecision),
        }
        let chosen = parameters.value("tenant");
        let membership = self.memberships.iter().find(|membership| Some(membership.tenant.as_str()) == chosen);
        let membership = membership.ok_or(match self.asked.resource.tenant() {
            None => Again::NoTenant,
            Some(_) => Again::AnotherTenant,
        })?;
        let ticked = |field: String| parameters.value(&field).is_some();
        // What was wanted in another tenant does not count in this one, ticked or not.
        let asked = self.asked.scopes.iter().filter(|scope| ticked(field(*scope)));
        let also = self.also(membership).iter().filter(|scope| ticked(field_in(membership, *scope)));
        let scopes = asked.chain(also).fold(Scopes::NONE, Scopes::with);
        if scopes.permissions().is_empty() {
            return Err(Again::NothingTicked);
        }
        let approved = Approved { membership, scopes };
        if approved.effective().is_empty() { Err(Again::NothingAllowed) } else { Ok(Choice::Approve(approved)) }
    }

    /// What is offered in that tenant beside what is asked for: what the client has wanted there, as far as the role allows it. More may
    /// be granted than was asked for, at the person's word (RFC 6749 §3.3); the token's answer says what was.
    fn also(&self, membership: &Membership) -> Scopes {
        let wanted = self.wanted.in_tenant(&membership.tenant);
        wanted.intersection(membership.role.permissions).difference(self.asked.scopes)
    }
}

impl Approved<'_> {
    /// Approved ∩ what the role allows now.
    pub(crate) const fn effective(&self) -> Scopes {
        self.scopes.intersection(self.membership.role.permissions)
    }
}

impl Again {
    /// For the audit.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::AnotherAccount => "another_account",
            Self::NoDecision => "no_decision",
            Self::NoTenant => "no_tenant",
            Self::AnotherTenant => "another_tenant",
            Self::NothingTicked => "nothing_ticked",
            Self::NothingAllowed => "nothing_allowed",
            Self::Unavailable => "unavailable",
        }
    }

    /// Where the page puts the focus: where what is wrong can be set right.
    fn put_focus(self, tenants: &mut [TenantChoice<'_>], groups: &mut [Group]) {
        let concerns_tenant = match self {
            Self::NoTenant | Self::AnotherTenant | Self::NothingAllowed => tenants.len() > 1,
            Self::NothingTicked => false,
            Self::Forged | Self::AnotherAccount | Self::NoDecision | Self::Unavailable => return,
        };
        let usable = |tenant: &TenantChoice<'_>| !tenant.useless;
        let chosen = tenants.iter().position(|tenant| tenant.checked && usable(tenant));
        if concerns_tenant {
            let first = chosen.or_else(|| tenants.iter().position(usable));
            if let Some(tenant) = first.and_then(|first| tenants.get_mut(first)) {
                tenant.focus = true;
            }
            return;
        }
        let lacks = chosen.and_then(|chosen| tenants.get(chosen)).map_or(Scopes::NONE, |tenant| tenant.lacks);
        let allowed =
            |choice: &ScopeChoice| !choice.barred && !lacks.iter().any(|scope| scope.as_str() == choice.scope);
        if let Some(choice) = groups.iter_mut().flat_map(|group| &mut group.choices).find(|choice| allowed(choice)) {
            choice.focus = true;
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Forged => {
                "This page was open for too long, or your account has changed. Please look again and decide."
            }
            Self::AnotherAccount => {
                "You are signed in with another account than when this page was opened; nothing was connected. Please look again and decide."
            }
            Self::NoDecision => "Choose Approve or Deny.",
            Self::NoTenant => "Choose the workspace that this connection is for.",
            Self::AnotherTenant => "This address is for one workspace, and connects no other.",
            Self::NothingTicked => "Leave at least one permission ticked, or choose Deny.",
            Self::NothingAllowed => "Your role in that workspace allows nothing of what is ticked.",
            Self::Unavailable => "That did not work just now; nothing was connected. Please try again in a moment.",
        }
    }
}

impl Group {
    /// Those that have a scope of what is asked.
    fn of(asked: Scopes, choice: impl Fn(Scope) -> ScopeChoice) -> Vec<Self> {
        let group = |(title, scopes): &(&'static str, &[Scope])| Self {
            title: *title,
            choices: scopes.iter().filter(|scope| asked.contains(**scope)).map(|scope| choice(*scope)).collect(),
        };
        GROUPS.iter().map(group).filter(|group| !group.choices.is_empty()).collect()
    }
}

fn field(scope: Scope) -> String {
    format!("allow:{}", scope.as_str())
}

fn field_in(membership: &Membership, scope: Scope) -> String {
    format!("also:{}:{}", membership.tenant, scope.as_str())
}

fn in_words(scopes: Scopes) -> String {
    scopes.iter().map(|scope| words(scope).0).collect::<Vec<_>>().join(", ").to_lowercase()
}

/// The order in which a page speaks of scopes.
const GROUPS: [(&str, &[Scope]); 3] = [
    ("See", &[Scope::SkillsRead, Scope::ViewsRead, Scope::EntitiesRead, Scope::DocumentsRead]),
    ("Create and change", &[Scope::EntitiesWrite, Scope::DocumentsWrite, Scope::ChatCreate]),
    ("Act through tools", &[Scope::ToolsExecute]),
];

/// A scope in plain words: a title, and what it means.
const fn words(scope: Scope) -> (&'static str, &'static str) {
    match scope {
        Scope::ToolsExecute => {
            ("Run tools", "Use the tools that the workspace has set up. They may change things in other systems.")
        }
        Scope::SkillsRead => ("Read skills", "Look up how your team does things."),
        Scope::ViewsRead => ("Read views", "See the saved views of the workspace."),
        Scope::EntitiesRead => ("Read records", "See and search the records of the workspace."),
        Scope::EntitiesWrite => ("Change records", "Create, change and delete records."),
        Scope::DocumentsRead => ("Read documents", "See and search the documents of the workspace."),
        Scope::DocumentsWrite => ("Change documents", "Create, change and delete documents."),
        Scope::ChatCreate => ("Start conversations", "Open a new conversation in your name."),
        Scope::OfflineAccess => ("Stay connected", "Keep working until you or an administrator end the connection."),
        Scope::ConnectionsManage => ("Manage connections", "See and end connections of the workspace."),
    }
}
