//! The consent page.

use std::sync::LazyLock;

use askama::Template;
use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::flash;
use shared::http::layout::{DELIBERATE, FormAction, Layout, ONCE};
use shared::http::parameters::Parameters;
use shared::http::response;
use shared::http::sanitized_text::SanitizedText;
use shared::identity::Identity;
use shared::identity::signed_in::{SIGN_OUT, SignedIn};
use shared::lambda::Response;
use shared::oauth::issuer::Issuer;
use shared::oauth::scope::{Scope, Scopes};
use shared::oauth::vouched_hosts::VouchedHosts;
use shared::store::directory::Membership;
use shared::store::pending_scopes::PendingScopes;

use crate::client_identity::{ClientIdentity, ShownClient};
use crate::confirmation::Confirmation;
use crate::consent_form_error::{ConsentFormError, Focus};
use crate::redirect_target::RedirectTarget;
use crate::rejected_form::RejectedForm;
use crate::request::{self, AuthorizationRequest};
use crate::scope_fields::{Group, ScopeChoice, ScopeField, in_words, words};

/// Everything that the page shows.
pub(crate) struct Consent<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) issuer: &'a Issuer,
    pub(crate) identity: &'a Identity,
    pub(crate) redirect_target: &'a RedirectTarget,
    pub(crate) vouched_hosts: &'a VouchedHosts,
    pub(crate) authorization: &'a AuthorizationRequest,
    pub(crate) person: &'a SignedIn,
    /// The memberships of the person in the tenants that the requested resource serves.
    pub(crate) memberships: &'a [Membership],
    /// The scopes that calls of the client lacked since it was last approved, by tenant. The page offers them beside
    /// the requested scopes.
    pub(crate) pending_scopes: &'a PendingScopes,
    /// Whether the person asked to see what the client did not request.
    pub(crate) shows_more: bool,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    layout: &'a Layout,
    script: &'a str,
    client: &'a ShownClient,
    who: &'a str,
    /// The CSRF token for signing out and the address to return to, if our own login page keeps the session.
    sign_out: Option<(String, &'a str)>,
    banner: Banner<'a>,
    hidden: Vec<(&'static str, String)>,
    confirmation: String,
    /// The grant that ends if the person approves.
    replaces: Option<&'a str>,
    account: &'a str,
    tenant_selection: TenantSelection<'a>,
    usable: bool,
    /// The requested scopes in plain words, if the person is in a tenant and none of their roles allows any of these scopes.
    not_allowed: Option<String>,
    groups: Vec<Group>,
    /// What else the person may give the client, which comes unticked. Only for a client that is vouched for.
    more: Vec<Group>,
    /// Where that is offered, if there is any and it is not on the page.
    more_url: Option<String>,
    pending: Vec<PendingScopeChoice<'a>>,
    /// Whether the box for staying connected is ticked. `None` if the page has no such box.
    stay: Option<bool>,
    console: String,
}

/// The banner at the top of the page.
enum Banner<'a> {
    None,
    /// The form was not accepted, for this reason.
    Problem(&'static str),
    /// The form was not accepted yet: another connection would end.
    Replaces {
        sentence: &'static str,
        tenant: SanitizedText<'a>,
        used: String,
    },
    /// This browser approved the same request a moment ago: by the back button, a double click, or a second tab.
    AlreadyApproved,
}

/// The tenants that the connection can be for.
enum TenantSelection<'a> {
    /// None: the person is in no tenant.
    NoTenant,
    /// None: the person is not in the tenant that the address is for, which may not even exist.
    NotAMember(&'a str),
    /// The tenant that the address is for.
    Fixed(TenantChoice<'a>),
    /// The only tenant that the person is in.
    Single(TenantChoice<'a>),
    Several(Vec<TenantChoice<'a>>),
}

struct TenantChoice<'a> {
    id: &'a str,
    name: SanitizedText<'a>,
    role: SanitizedText<'a>,
    checked: bool,
    /// The choice of a tenant has to be corrected, and the focus is here.
    focus: bool,
    /// The role allows none of the scopes on the page.
    useless: bool,
    /// The requested scopes that the role does not allow, in plain words.
    missing: String,
    /// The scopes on the page that it does not allow.
    missing_scopes: Scopes,
}

/// A pending scope, which the page offers in one tenant only and never ticks by itself.
struct PendingScopeChoice<'a> {
    id: &'a str,
    tenant: SanitizedText<'a>,
    scope: ScopeChoice,
}

/// The page's own script, and the script of all pages with forms. The first shows which scopes the role in the chosen
/// tenant allows, and has a search among many tenants. The second keeps a double click from sending the form twice, the third keeps
/// one that began elsewhere from sending it at all.
static SCRIPT: LazyLock<String> = LazyLock::new(|| [include_str!("consent.js"), ONCE, DELIBERATE].concat());

impl<'a> Consent<'a> {
    /// The page. After a form that was rejected, it shows the error and keeps the choices of the form. `approved`
    /// says that this browser approved the same request before.
    pub(crate) fn page(
        &self,
        rejected: Option<&RejectedForm>,
        approved: bool,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Response {
        let requested = self.authorization.scopes.permissions();
        let ticked = |field: ScopeField<'_>| {
            rejected.and_then(|form| form.has_ticked(&field.name())).unwrap_or(field.comes_ticked())
        };
        let error = rejected.map(|form| form.error);
        let replaces = rejected.and_then(RejectedForm::replaces);
        let only = match self.memberships {
            [only] => Some(only),
            _ => None,
        };
        let choice = |field: ScopeField<'_>| {
            let scope = field.scope();
            let (title, hint) = words(scope);
            let barred = only.is_some_and(|only| !only.role.permissions.contains(scope));
            // Pending scopes are offered where the role allows them, in whichever tenant.
            let barred = barred && !matches!(field, ScopeField::Pending(..));
            let checked = !barred && ticked(field);
            ScopeChoice { scope: scope.as_str(), checked, focus: false, field: field.name(), title, hint, barred }
        };
        let client = ShownClient::of(self.redirect_target, self.vouched_hosts);
        let more = self.offered_beyond_request();
        let shows_more = self.shows_more || rejected.is_some_and(RejectedForm::has_ticked_more);
        let offered = if shows_more { requested.union(more) } else { requested };
        let mut tenants: Vec<_> = self
            .memberships
            .iter()
            .map(|membership| self.tenant_choice(membership, (requested, offered), rejected))
            .collect();
        let return_to = request::return_to(parameters);
        let usable = tenants.iter().any(|tenant| !tenant.useless);
        let mut groups = Group::of(requested, |scope| choice(ScopeField::Requested(scope)));
        if let Some(error) = error {
            put_focus(error, &mut tenants, &mut groups);
        }
        let page = Page {
            layout: self.layout,
            script: &SCRIPT,
            client: &client,
            who: self.person.display_name(),
            sign_out: self.identity.hosts_login().then(|| (self.person.csrf_token(SIGN_OUT), return_to.as_str())),
            banner: match (error, replaces) {
                (Some(error), Some(other)) => Banner::Replaces {
                    sentence: error.sentence(),
                    tenant: SanitizedText(self.tenant_name(&other.tenant)),
                    used: other.last_used(),
                },
                (Some(error), None) => Banner::Problem(error.sentence()),
                (None, _) if approved => Banner::AlreadyApproved,
                (None, _) => Banner::None,
            },
            hidden: request::hidden_fields(parameters),
            confirmation: Confirmation::new(now).to_text(self.person, parameters),
            replaces: replaces.map(|other| other.grant.as_str()),
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
            more: if shows_more { Group::of(more, |scope| choice(ScopeField::More(scope))) } else { Vec::new() },
            more_url: (!shows_more && !more.is_empty()).then(|| request::return_to_more(parameters)),
            pending: self
                .memberships
                .iter()
                .flat_map(|membership| {
                    self.offered_pending_scopes(membership).iter().map(move |scope| (membership, scope))
                })
                .map(|(membership, scope)| PendingScopeChoice {
                    id: membership.tenant.as_str(),
                    tenant: SanitizedText(&membership.name),
                    scope: choice(ScopeField::Pending(membership, scope)),
                })
                .collect(),
            stay: self
                .authorization
                .scopes
                .contains(Scope::OfflineAccess)
                .then(|| ticked(ScopeField::Requested(Scope::OfflineAccess))),
            console: self.issuer.at(&self.layout.paths().admin("")),
        };
        let page = |status| self.layout.page(status, FormAction::Anywhere, Some(&SCRIPT), page.render());
        let status = error.map_or(StatusCode::OK, ConsentFormError::status);
        if status == StatusCode::OK {
            page(status)
        } else {
            response::with_reason(page(status), &flash::SHOWN_AFTER_FORM)
        }
    }

    /// The name of a tenant that the person is in, or its id.
    fn tenant_name<'b>(&'b self, id: &'b str) -> &'b str {
        let membership = self.memberships.iter().find(|membership| membership.tenant.as_str() == id);
        membership.map_or(id, |membership| membership.name.as_str())
    }

    fn tenant_choice(
        &self,
        membership: &'a Membership,
        (requested, offered): (Scopes, Scopes),
        rejected: Option<&RejectedForm>,
    ) -> TenantChoice<'a> {
        let permissions = membership.role.permissions;
        let usable_scopes = offered.union(self.offered_pending_scopes(membership)).intersection(permissions);
        TenantChoice {
            id: membership.tenant.as_str(),
            name: SanitizedText(&membership.name),
            role: SanitizedText(&membership.role.name),
            checked: rejected.is_some_and(|form| form.has_chosen(&membership.tenant)),
            focus: false,
            useless: usable_scopes.is_empty(),
            missing: in_words(requested.difference(permissions)),
            missing_scopes: offered.difference(permissions),
        }
    }

    /// What a client that is vouched for may be given besides what it requests: what some role of the person allows. Others are
    /// offered what they were refused, and no more.
    pub(crate) fn offered_beyond_request(&self) -> Scopes {
        if !self.vouched_hosts.is_vouched_for(self.redirect_target.client()) {
            return Scopes::NONE;
        }
        let allowed = self.memberships.iter().map(|membership| membership.role.permissions);
        let allowed = allowed.fold(Scopes::NONE, Scopes::union).intersection(Scopes::SUPPORTED);
        allowed.permissions().difference(self.authorization.scopes)
    }

    /// The pending scopes of the client in that tenant, as far as the role allows them and the request does not name
    /// them. The person may grant more than was requested (RFC 6749 §3.3); the token response then names the scope.
    pub(crate) fn offered_pending_scopes(&self, membership: &Membership) -> Scopes {
        let pending = self.pending_scopes.in_tenant(&membership.tenant);
        pending.intersection(membership.role.permissions).difference(self.authorization.scopes)
    }
}

/// Puts the focus where the person can correct `error`.
fn put_focus(error: ConsentFormError, tenants: &mut [TenantChoice<'_>], groups: &mut [Group]) {
    let usable = |tenant: &TenantChoice<'_>| !tenant.useless;
    let chosen = tenants.iter().position(|tenant| tenant.checked && usable(tenant));
    match error.focus() {
        Focus::None => {}
        // With a single tenant there is nothing to choose, and the scopes get the focus.
        Focus::Tenant if tenants.len() > 1 => {
            let first = chosen.or_else(|| tenants.iter().position(usable));
            if let Some(tenant) = first.and_then(|first| tenants.get_mut(first)) {
                tenant.focus = true;
            }
        }
        Focus::Tenant | Focus::Scope => {
            let missing =
                chosen.and_then(|chosen| tenants.get(chosen)).map_or(Scopes::NONE, |tenant| tenant.missing_scopes);
            let allowed =
                |choice: &ScopeChoice| !choice.barred && !missing.iter().any(|scope| scope.as_str() == choice.scope);
            if let Some(choice) = groups.iter_mut().flat_map(|group| &mut group.choices).find(|choice| allowed(choice))
            {
                choice.focus = true;
            }
        }
    }
}
