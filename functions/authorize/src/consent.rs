//! The consent page, and what comes back from it.

use std::sync::LazyLock;

use askama::Template;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::http::csrf;
use shared::http::layout::{FormAction, Layout, ONCE};
use shared::http::parameters::Parameters;
use shared::http::response;
use shared::http::sanitized_text::SanitizedText;
use shared::identity::Identity;
use shared::identity::signed_in::{SIGN_OUT, SignedIn};
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;
use shared::oauth::scope::{Scope, Scopes};
use shared::store::directory::Membership;
use shared::store::pending_scopes::PendingScopes;

use crate::redirect_target::RedirectTarget;
use crate::rejected_form::RejectedForm;
use crate::request::{self, AuthorizationRequest};

/// All that the page speaks of.
pub(crate) struct Consent<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) issuer: &'a Issuer,
    pub(crate) identity: &'a Identity,
    pub(crate) redirect_target: &'a RedirectTarget,
    pub(crate) authorization: &'a AuthorizationRequest,
    pub(crate) person: &'a SignedIn,
    /// Only those where the requested scopes can be granted.
    pub(crate) memberships: &'a [Membership],
    /// What the client has called for since it was last approved, tenant by tenant: offered beside what it asks for now.
    pub(crate) pending_scopes: &'a PendingScopes,
}

/// What the person decided.
pub(crate) enum Decision<'a> {
    Deny,
    Approve(ApprovedScopes<'a>),
}

/// Where, and what: only what was offered there, with `offline_access` if they stay connected.
pub(crate) struct ApprovedScopes<'a> {
    pub(crate) membership: &'a Membership,
    pub(crate) scopes: Scopes,
}

/// Why a form of the page was not accepted, so that the page is shown again.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConsentFormError {
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
    layout: &'a Layout,
    script: &'a str,
    client: &'a str,
    named: bool,
    host: String,
    loopback: bool,
    verification: ClientVerification,
    who: &'a str,
    /// Proof for signing out, where that is ours to do, and the way back.
    sign_out: Option<(String, &'a str)>,
    banner: Banner,
    hidden: Vec<(&'static str, String)>,
    confirmation: String,
    account: &'a str,
    tenant_selection: TenantSelection<'a>,
    usable: bool,
    /// The requested scopes, in plain words, where the person is in a tenant and no role of theirs allows any of it.
    not_allowed: Option<String>,
    groups: Vec<Group>,
    also: Vec<PendingScopeChoice<'a>>,
    /// Whether staying connected is ticked, if it is offered.
    stay: Option<bool>,
    console: String,
}

/// The banner at the top of the page.
enum Banner {
    None,
    /// Why it is shown again.
    Problem(&'static str),
    /// This browser has approved the same request a moment ago: back button, double click, opened twice.
    AlreadyApproved,
}

/// Where the connection can be.
enum TenantSelection<'a> {
    /// Nowhere: the person is in no tenant.
    NoTenant,
    /// Nowhere: they are not in the one that the address is for, which may not even exist.
    NotAMember(&'a str),
    /// In the one that the address is for.
    Fixed(TenantChoice<'a>),
    /// In the only one that they are in.
    Single(TenantChoice<'a>),
    Several(Vec<TenantChoice<'a>>),
}

/// Who verified that the client may be answered there.
enum ClientVerification {
    /// Its own host, which is where the answer goes: who gets it is who wrote the client's description.
    SameHost,
    /// The host that its description is from.
    Publisher(String),
    Unverified,
}

struct TenantChoice<'a> {
    id: &'a str,
    name: SanitizedText<'a>,
    role: SanitizedText<'a>,
    checked: bool,
    /// The choice of a tenant is what is wrong, and this is where to begin.
    focus: bool,
    /// The role allows nothing of what is offered.
    useless: bool,
    /// The requested scopes that the role does not allow, in plain words and as scopes.
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
struct PendingScopeChoice<'a> {
    id: &'a str,
    tenant: SanitizedText<'a>,
    scope: ScopeChoice,
}

/// What makes the page pleasanter: with the tenant chosen, what its role allows; a search among many.
/// A second click is not a second approval: the page's own script, and the one of all pages with forms.
static SCRIPT: LazyLock<String> = LazyLock::new(|| include_str!("consent.js").to_owned() + ONCE);

impl<'a> Consent<'a> {
    /// The page: after a form that was refused with the reason and the choices that it held, else as new. `approved`: this browser has
    /// approved the same request before.
    pub(crate) fn page(&self, refused: Option<&RejectedForm>, approved: bool, parameters: &Parameters) -> Response {
        let requested = self.authorization.scopes.permissions();
        let ticked = |field: &str| refused.and_then(|refused| refused.has_ticked(field));
        let error = refused.map(|refused| refused.error);
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
        let client = self.redirect_target.client();
        let mut tenants: Vec<_> = self
            .memberships
            .iter()
            .map(|membership| {
                let lacks = requested.difference(membership.role.permissions);
                TenantChoice {
                    id: membership.tenant.as_str(),
                    name: SanitizedText(&membership.name),
                    role: SanitizedText(&membership.role.name),
                    checked: refused.is_some_and(|refused| refused.has_chosen(&membership.tenant)),
                    focus: false,
                    useless: requested
                        .union(self.offered_pending_scopes(membership))
                        .intersection(membership.role.permissions)
                        .is_empty(),
                    missing: in_words(lacks),
                    lacks,
                }
            })
            .collect();
        let return_to = request::return_to(parameters);
        let usable = tenants.iter().any(|tenant| !tenant.useless);
        let mut groups = Group::of(requested, choice);
        if let Some(error) = error {
            error.put_focus(&mut tenants, &mut groups);
        }
        let page = Page {
            layout: self.layout,
            script: &SCRIPT,
            client: client.name.as_deref().unwrap_or("An application without a name"),
            named: client.name.is_some(),
            host: self.redirect_target.redirect_uri().host(),
            loopback: self.redirect_target.redirect_uri().is_loopback(),
            verification: match client.id.metadata_document_host() {
                Some(_) if self.redirect_target.is_document_origin() => ClientVerification::SameHost,
                Some(host) => ClientVerification::Publisher(host),
                None => ClientVerification::Unverified,
            },
            who: self.person.display_name(),
            sign_out: self.identity.hosts_login().then(|| (self.person.csrf_token(SIGN_OUT), return_to.as_str())),
            banner: match error {
                Some(error) => Banner::Problem(error.sentence()),
                None if approved => Banner::AlreadyApproved,
                None => Banner::None,
            },
            hidden: request::hidden_fields(parameters),
            confirmation: self.person.csrf_token(&return_to),
            account: self.person.person.as_str(),
            usable,
            not_allowed: (!usable && !tenants.is_empty()).then(|| in_words(requested)),
            tenant_selection: match (self.authorization.resource.tenant(), tenants.len()) {
                (None, 0) => TenantSelection::NoTenant,
                (Some(only), 0) => TenantSelection::NotAMember(only.as_str()),
                (None, 1) => TenantSelection::Single(tenants.remove(0)),
                (Some(_), 1) => TenantSelection::Fixed(tenants.remove(0)),
                _ => TenantSelection::Several(tenants),
            },
            groups,
            also: self
                .memberships
                .iter()
                .flat_map(|membership| {
                    self.offered_pending_scopes(membership).iter().map(move |scope| (membership, scope))
                })
                .map(|(membership, scope)| {
                    let field = field_in(membership, scope);
                    // Never ticked for them: who can make a call that is refused would otherwise choose what they approve.
                    let checked = ticked(&field).unwrap_or(false);
                    let scope = ScopeChoice { checked, field, barred: false, ..choice(scope) };
                    PendingScopeChoice {
                        id: membership.tenant.as_str(),
                        tenant: SanitizedText(&membership.name),
                        scope,
                    }
                })
                .collect(),
            stay: self
                .authorization
                .scopes
                .contains(Scope::OfflineAccess)
                .then(|| ticked(&field(Scope::OfflineAccess)).unwrap_or(true)),
            console: self.issuer.at("/admin"),
        };
        let page = |status| self.layout.page(status, FormAction::Anywhere, Some(&SCRIPT), page.render());
        match error {
            // An upstream error keeps its status, by which it is counted.
            Some(ConsentFormError::Unavailable) => response::with_reason(
                page(StatusCode::SERVICE_UNAVAILABLE),
                &"shown after a form that failed: the form's own log line says why",
            ),
            _ => page(StatusCode::OK),
        }
    }

    /// What the person decided, or why they have to be asked again.
    pub(crate) fn parse_form(
        &self,
        request: &Request,
        parameters: &Parameters,
    ) -> Result<Decision<'a>, ConsentFormError> {
        let confirmation = parameters.value("confirmation").unwrap_or_default();
        // A hint, and no more: whose page it was decides only what is said.
        if parameters.value("account").is_some_and(|account| account != self.person.person.as_str()) {
            return Err(ConsentFormError::AnotherAccount);
        }
        if !csrf::is_same_origin(request, self.issuer)
            || !self.person.verify_csrf_token(&request::return_to(parameters), confirmation)
        {
            return Err(ConsentFormError::Forged);
        }
        match parameters.value("decision") {
            Some("deny") => return Ok(Decision::Deny),
            Some("approve") => {}
            _ => return Err(ConsentFormError::NoDecision),
        }
        let chosen = parameters.value("tenant");
        let membership = self.memberships.iter().find(|membership| Some(membership.tenant.as_str()) == chosen);
        let membership = membership.ok_or(match self.authorization.resource.tenant() {
            None => ConsentFormError::NoTenant,
            Some(_) => ConsentFormError::AnotherTenant,
        })?;
        let ticked = |field: String| parameters.value(&field).is_some();
        // What was wanted in another tenant does not count in this one, ticked or not.
        let requested = self.authorization.scopes.iter().filter(|scope| ticked(field(*scope)));
        let also = self.offered_pending_scopes(membership).iter().filter(|scope| ticked(field_in(membership, *scope)));
        let scopes = requested.chain(also).fold(Scopes::NONE, Scopes::with);
        if scopes.permissions().is_empty() {
            return Err(ConsentFormError::NothingTicked);
        }
        let approved = ApprovedScopes { membership, scopes };
        if approved.effective().is_empty() {
            Err(ConsentFormError::NothingAllowed)
        } else {
            Ok(Decision::Approve(approved))
        }
    }

    /// What is offered in that tenant beside what is asked for: what the client has wanted there, as far as the role allows it. More may
    /// be granted than was asked for, at the person's word (RFC 6749 §3.3); the token's answer says what was.
    fn offered_pending_scopes(&self, membership: &Membership) -> Scopes {
        let wanted = self.pending_scopes.in_tenant(&membership.tenant);
        wanted.intersection(membership.role.permissions).difference(self.authorization.scopes)
    }
}

impl ApprovedScopes<'_> {
    /// Approved ∩ what the role allows now.
    pub(crate) const fn effective(&self) -> Scopes {
        self.scopes.intersection(self.membership.role.permissions)
    }
}

impl ConsentFormError {
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
    fn of(requested: Scopes, choice: impl Fn(Scope) -> ScopeChoice) -> Vec<Self> {
        let group = |(title, scopes): &(&'static str, &[Scope])| Self {
            title: *title,
            choices: scopes.iter().filter(|scope| requested.contains(**scope)).map(|scope| choice(*scope)).collect(),
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
