//! The navigation bar of each page: who is signed in, and links to the other pages.

use shared::identity::Identity;
use shared::identity::signed_in::{SIGN_OUT, SignedIn};

use crate::tenant_admin::TenantAdmin;
use shared::http::sanitized_text::SanitizedText;
use shared::oauth::scope::Scope;
use shared::store::directory::Membership;

/// The navigation bar.
pub(crate) struct NavBar {
    /// As whom one is signed in.
    pub(crate) who: String,
    /// Proof for signing out, where that is ours to do.
    pub(crate) sign_out: Option<String>,
    /// What the tenant is called, on its pages.
    pub(crate) tenant: Option<String>,
    pub(crate) tabs: Vec<Tab>,
}

/// A link to another page.
pub(crate) struct Tab {
    pub(crate) href: String,
    pub(crate) label: String,
    pub(crate) current: bool,
}

impl NavBar {
    /// Of a person's own page: the tenants that they look after are beside it.
    pub(crate) fn for_person(identity: &Identity, person: &SignedIn, memberships: &[Membership]) -> Self {
        let managed = memberships.iter().filter(|it| it.role.permissions.contains(Scope::ConnectionsManage));
        let tab = |membership: &Membership| Tab {
            href: format!("/admin/{}/connections", membership.tenant),
            label: SanitizedText(&membership.name).to_string(),
            current: false,
        };
        let mut tabs = vec![Tab { href: "/admin".to_owned(), label: "Your connections".to_owned(), current: true }];
        tabs.extend(managed.map(tab));
        Self { tabs, ..Self::of(identity, person) }
    }

    /// Of a page of a tenant.
    pub(crate) fn for_tenant(
        identity: &Identity,
        person: &SignedIn,
        tenant_admin: &TenantAdmin,
        current: &str,
    ) -> Self {
        let tab = |(page, label): (&str, &str)| Tab {
            href: format!("/admin/{}/{page}", tenant_admin.tenant()),
            label: label.to_owned(),
            current: page == current,
        };
        let tabs = [("connections", "Connections"), ("keys", "API keys"), ("activity", "Activity")].map(tab);
        let own = Tab { href: "/admin".to_owned(), label: "Your connections".to_owned(), current: false };
        let tabs = tabs.into_iter().chain(std::iter::once(own)).collect();
        Self { tenant: Some(SanitizedText(tenant_admin.name()).to_string()), tabs, ..Self::of(identity, person) }
    }

    fn of(identity: &Identity, person: &SignedIn) -> Self {
        let who = person.display_name();
        Self {
            who: SanitizedText(who).to_string(),
            sign_out: identity.hosts_login().then(|| person.csrf_token(SIGN_OUT)),
            tenant: None,
            tabs: Vec::new(),
        }
    }
}
