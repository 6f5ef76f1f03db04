//! Parses the path of a request, which API Gateway has matched, into a route.

use shared::http::public_paths::PublicPaths;
use shared::oauth::grant_id::GrantId;
use shared::oauth::tenant::TenantId;

/// A page or an operation. A tenant's id cannot be confused with a fixed word: paths of different routes differ in
/// length, or in a word at a place where no id stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/admin`
    MyConnections,
    /// `/admin/end`
    RevokeMyConnections,
    /// `/admin/permissions`
    ChangePermissions,
    /// `/admin/{tenant}/…`
    Page(TenantId, Page),
    /// `/admin/api/openapi.json`
    Description,
    /// `/admin/api/me/connections`
    ApiMyConnections,
    /// `/admin/api/tenants/{tenant}/…`
    Api(TenantId, Operation),
}

/// A page of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// `connections`
    Connections,
    /// `connections/end`
    RevokeConnections,
    /// `keys`
    Keys,
    /// `keys/new`
    CreateKey,
    /// `keys/revoke`
    RevokeKey,
    /// `activity`
    Activity,
}

/// An operation of the API on a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `connections`
    Connections,
    /// `connections/end`
    RevokeConnections,
    /// `keys`
    Keys,
    /// `keys/revoke`
    RevokeKey,
    /// `activity`
    Activity,
}

impl Route {
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<_> = path.strip_prefix("/admin")?.split('/').skip(1).collect();
        let tenant = |text: &str| TenantId::parse(text);
        Some(match segments.as_slice() {
            [] if path == "/admin" => Self::MyConnections,
            ["end"] => Self::RevokeMyConnections,
            ["permissions"] => Self::ChangePermissions,
            ["api", "openapi.json"] => Self::Description,
            ["api", "me", "connections"] => Self::ApiMyConnections,
            ["api", "tenants", id, "connections"] => Self::Api(tenant(id)?, Operation::Connections),
            ["api", "tenants", id, "connections", "end"] => Self::Api(tenant(id)?, Operation::RevokeConnections),
            ["api", "tenants", id, "keys"] => Self::Api(tenant(id)?, Operation::Keys),
            ["api", "tenants", id, "keys", "revoke"] => Self::Api(tenant(id)?, Operation::RevokeKey),
            ["api", "tenants", id, "activity"] => Self::Api(tenant(id)?, Operation::Activity),
            [id, "connections"] => Self::Page(tenant(id)?, Page::Connections),
            [id, "connections", "end"] => Self::Page(tenant(id)?, Page::RevokeConnections),
            [id, "keys"] => Self::Page(tenant(id)?, Page::Keys),
            [id, "keys", "new"] => Self::Page(tenant(id)?, Page::CreateKey),
            [id, "keys", "revoke"] => Self::Page(tenant(id)?, Page::RevokeKey),
            [id, "activity"] => Self::Page(tenant(id)?, Page::Activity),
            _ => return None,
        })
    }

    /// Whether the response is JSON.
    pub(crate) const fn is_api(&self) -> bool {
        matches!(self, Self::Description | Self::ApiMyConnections | Self::Api(..))
    }

    /// The methods that the route allows.
    pub(crate) const fn methods(&self) -> &'static str {
        match self {
            Self::MyConnections
            | Self::Description
            | Self::ApiMyConnections
            | Self::Page(_, Page::Connections | Page::Keys | Page::Activity)
            | Self::Api(_, Operation::Connections | Operation::Activity) => "GET",
            Self::Api(_, Operation::RevokeConnections | Operation::RevokeKey) => "POST",
            Self::RevokeMyConnections
            | Self::ChangePermissions
            | Self::Page(_, Page::RevokeConnections | Page::CreateKey | Page::RevokeKey)
            | Self::Api(_, Operation::Keys) => "GET, POST",
        }
    }
}

/// The address at which a person decides on that connection.
pub(crate) fn permissions_of(connection: &GrantId, paths: &PublicPaths) -> String {
    paths.admin(&format!("/permissions?connection={}", connection.to_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_unambiguous_for_every_tenant_id() {
        let page = |id, page| Some(Route::Page(TenantId::parse(id).unwrap(), page));
        let api = |id, operation| Some(Route::Api(TenantId::parse(id).unwrap(), operation));
        for (path, route) in [
            ("/admin", Some(Route::MyConnections)),
            ("/admin/end", Some(Route::RevokeMyConnections)),
            ("/admin/permissions", Some(Route::ChangePermissions)),
            ("/admin/permissions/keys", page("permissions", Page::Keys)),
            ("/admin/acme/connections", page("acme", Page::Connections)),
            ("/admin/acme/connections/end", page("acme", Page::RevokeConnections)),
            ("/admin/acme/keys/new", page("acme", Page::CreateKey)),
            ("/admin/api/connections", page("api", Page::Connections)),
            ("/admin/api/keys/revoke", page("api", Page::RevokeKey)),
            ("/admin/end/activity", page("end", Page::Activity)),
            ("/admin/api/openapi.json", Some(Route::Description)),
            ("/admin/api/me/connections", Some(Route::ApiMyConnections)),
            ("/admin/api/tenants/api/keys", api("api", Operation::Keys)),
            ("/admin/api/tenants/acme/connections/end", api("acme", Operation::RevokeConnections)),
            ("/admin/", None),
            ("/admin/acme", None),
            ("/administrator", None),
            ("/admin/Acme/keys", None),
            ("/admin/ac%6De/keys", None),
            ("/admin/acme/keys/", None),
            ("/admin//keys", None),
        ] {
            assert_eq!(Route::parse(path), route, "{path}");
        }
    }
}
