//! The navigation bar of each page: who is signed in, and links to the other pages.

use shared::identity::signed_in::{SIGN_OUT, SignedIn};

use crate::Admin;
use crate::tenant_admin::TenantAdmin;
use shared::http::sanitized_text::SanitizedText;
use shared::oauth::scope::Scope;
use shared::store::directory::Membership;

/// The navigation bar.
pub(crate) struct NavBar {
    /// The person who is signed in.
    pub(crate) who: String,
    /// The CSRF token for signing out, if our own login page keeps the session.
    pub(crate) sign_out: Option<String>,
    /// The name of the tenant, on its pages.
    pub(crate) tenant: Option<String>,
    pub(crate) tabs: Vec<Tab>,
}

/// A link to another page.
pub(crate) struct Tab {
    pub(crate) href: String,
    pub(crate) label: String,
    pub(crate) current: bool,
}

impl Admin {
    /// The bar of a person's own page, with the tenants that they administer.
    pub(crate) fn nav_bar_for_person(&self, person: &SignedIn, memberships: &[Membership]) -> NavBar {
        let paths = self.layout.paths();
        let managed = memberships.iter().filter(|it| it.role.permissions.contains(Scope::ConnectionsManage));
        let tab = |membership: &Membership| Tab {
            href: paths.admin(&format!("/{}/connections", membership.tenant)),
            label: SanitizedText(&membership.name).to_string(),
            current: false,
        };
        let home = paths.admin("");
        let mut tabs = vec![Tab { href: home, label: "Your connections".to_owned(), current: true }];
        tabs.extend(managed.map(tab));
        NavBar { tabs, ..self.nav_bar(person) }
    }

    /// The bar of a page of a tenant.
    pub(crate) fn nav_bar_for_tenant(&self, person: &SignedIn, tenant_admin: &TenantAdmin, current: &str) -> NavBar {
        let paths = self.layout.paths();
        let tab = |(page, label): (&str, &str)| Tab {
            href: paths.admin(&format!("/{}/{page}", tenant_admin.tenant())),
            label: label.to_owned(),
            current: page == current,
        };
        let tabs = [("connections", "Connections"), ("keys", "API keys"), ("activity", "Activity")].map(tab);
        let own = Tab { href: paths.admin(""), label: "Your connections".to_owned(), current: false };
        let tabs = tabs.into_iter().chain(std::iter::once(own)).collect();
        NavBar { tenant: Some(SanitizedText(tenant_admin.name()).to_string()), tabs, ..self.nav_bar(person) }
    }

    fn nav_bar(&self, person: &SignedIn) -> NavBar {
        NavBar {
            who: SanitizedText(person.display_name()).to_string(),
            sign_out: self.identity.hosts_login().then(|| person.csrf_token(SIGN_OUT)),
            tenant: None,
            tabs: Vec::new(),
        }
    }
}
