//! What a path asks for. API Gateway has matched it; here it becomes types.

use shared::oauth::tenant::TenantId;

/// A page or an operation. No tenant's id can be mistaken for one of the words: paths of different routes differ in length, or in a
/// word that stands where no id does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/admin`
    Own,
    /// `/admin/end`
    EndOwn,
    /// `/admin/{tenant}/…`
    Page(TenantId, Page),
    /// `/admin/api/openapi.json`
    Description,
    /// `/admin/api/me/connections`
    ApiOwn,
    /// `/admin/api/tenants/{tenant}/…`
    Api(TenantId, Operation),
}

/// A page of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// `connections`
    Connections,
    /// `connections/end`
    EndConnections,
    /// `keys`
    Keys,
    /// `keys/new`
    MakeKey,
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
    EndConnections,
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
            [] if path == "/admin" => Self::Own,
            ["end"] => Self::EndOwn,
            ["api", "openapi.json"] => Self::Description,
            ["api", "me", "connections"] => Self::ApiOwn,
            ["api", "tenants", id, "connections"] => Self::Api(tenant(id)?, Operation::Connections),
            ["api", "tenants", id, "connections", "end"] => Self::Api(tenant(id)?, Operation::EndConnections),
            ["api", "tenants", id, "keys"] => Self::Api(tenant(id)?, Operation::Keys),
            ["api", "tenants", id, "keys", "revoke"] => Self::Api(tenant(id)?, Operation::RevokeKey),
            ["api", "tenants", id, "activity"] => Self::Api(tenant(id)?, Operation::Activity),
            [id, "connections"] => Self::Page(tenant(id)?, Page::Connections),
            [id, "connections", "end"] => Self::Page(tenant(id)?, Page::EndConnections),
            [id, "keys"] => Self::Page(tenant(id)?, Page::Keys),
            [id, "keys", "new"] => Self::Page(tenant(id)?, Page::MakeKey),
            [id, "keys", "revoke"] => Self::Page(tenant(id)?, Page::RevokeKey),
            [id, "activity"] => Self::Page(tenant(id)?, Page::Activity),
            _ => return None,
        })
    }

    /// Whether it speaks JSON.
    pub(crate) const fn is_api(&self) -> bool {
        matches!(self, Self::Description | Self::ApiOwn | Self::Api(..))
    }

    /// The methods that it knows.
    pub(crate) const fn methods(&self) -> &'static str {
        match self {
            Self::Own
            | Self::Description
            | Self::ApiOwn
            | Self::Page(_, Page::Connections | Page::Keys | Page::Activity)
            | Self::Api(_, Operation::Connections | Operation::Activity) => "GET",
            Self::Api(_, Operation::EndConnections | Operation::RevokeKey) => "POST",
            Self::EndOwn
            | Self::Page(_, Page::EndConnections | Page::MakeKey | Page::RevokeKey)
            | Self::Api(_, Operation::Keys) => "GET, POST",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_means_one_thing_whatever_a_tenant_is_called() {
        let page = |id, page| Some(Route::Page(TenantId::parse(id).unwrap(), page));
        let api = |id, operation| Some(Route::Api(TenantId::parse(id).unwrap(), operation));
        for (path, route) in [
            ("/admin", Some(Route::Own)),
            ("/admin/end", Some(Route::EndOwn)),
            ("/admin/acme/connections", page("acme", Page::Connections)),
            ("/admin/acme/connections/end", page("acme", Page::EndConnections)),
            ("/admin/acme/keys/new", page("acme", Page::MakeKey)),
            ("/admin/api/connections", page("api", Page::Connections)),
            ("/admin/api/keys/revoke", page("api", Page::RevokeKey)),
            ("/admin/end/activity", page("end", Page::Activity)),
            ("/admin/api/openapi.json", Some(Route::Description)),
            ("/admin/api/me/connections", Some(Route::ApiOwn)),
            ("/admin/api/tenants/api/keys", api("api", Operation::Keys)),
            ("/admin/api/tenants/acme/connections/end", api("acme", Operation::EndConnections)),
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
