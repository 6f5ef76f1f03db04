//! What a token is for (RFC 8707).

use std::fmt;

use crate::oauth::issuer::Issuer;
use crate::oauth::tenant::TenantId;

/// The path of the MCP server. A tenant's own address has the tenant's id after it, as one more segment.
pub const PATH: &str = "/api/mcp/server";

/// A protected resource of ours, and the audience of a token: the MCP server for whichever tenant the person chooses, or the MCP
/// server for one tenant. Clients refuse to connect to one URL twice, so whoever works in two tenants needs two.
///
/// A resource can be named although its tenant does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    issuer: Issuer,
    tenant: Option<TenantId>,
}

impl Resource {
    /// The MCP server of `issuer`: the URL that people paste.
    #[must_use]
    pub fn new(issuer: &Issuer) -> Self {
        Self { issuer: issuer.clone(), tenant: None }
    }

    /// The MCP server of `issuer` for one tenant.
    #[must_use]
    pub fn for_tenant(issuer: &Issuer, tenant: &TenantId) -> Self {
        Self { issuer: issuer.clone(), tenant: Some(tenant.clone()) }
    }

    /// The one at that path of our origin, spelt exactly so. `None` if none can be there.
    #[must_use]
    pub fn from_path(issuer: &Issuer, path: &str) -> Option<Self> {
        match path.strip_prefix(PATH)? {
            "" => Some(Self::new(issuer)),
            rest => Some(Self::for_tenant(issuer, &TenantId::parse(rest.strip_prefix('/')?)?)),
        }
    }

    /// The resource that `requested` names, if it is ours. RFC 8707 §2: an absolute URI without fragment;
    /// scheme and host in any case. One slash at the end is ignored, as some clients add it. The token
    /// carries the canonical form.
    #[must_use]
    pub fn parse(issuer: &Issuer, requested: &str) -> Option<Self> {
        let requested = requested.strip_suffix('/').unwrap_or(requested);
        let (origin, path) = requested.split_at_checked(issuer.as_str().len())?;
        if origin.eq_ignore_ascii_case(issuer.as_str()) { Self::from_path(issuer, path) } else { None }
    }

    /// From the table, where only our own were put.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let (issuer, path) = text.split_at_checked(text.find(PATH)?)?;
        Self::from_path(&Issuer::parse(issuer)?, path)
    }

    /// The tenant, if the resource is that of one tenant.
    #[must_use]
    pub const fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// Whether what is in `tenant` can be reached through it.
    #[must_use]
    pub fn serves(&self, tenant: &TenantId) -> bool {
        self.tenant.as_ref().is_none_or(|only| only == tenant)
    }

    /// The URL of its metadata: the well-known prefix goes before its path (RFC 9728 §3.1).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}/.well-known/oauth-protected-resource{}", self.issuer, Path(self))
    }
}

/// In its canonical form: the URL, which is what tokens and documents carry.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.issuer, Path(self))
    }
}

struct Path<'a>(&'a Resource);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PATH)?;
        self.0.tenant.iter().try_for_each(|tenant| write!(f, "/{tenant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_indicators_are_parsed() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let main = Some("https://connect.example.com/api/mcp/server");
        let acme = Some("https://connect.example.com/api/mcp/server/acme");
        for (requested, meant) in [
            ("https://connect.example.com/api/mcp/server", main),
            ("https://connect.example.com/api/mcp/server/", main),
            ("HTTPS://Connect.Example.com/api/mcp/server", main),
            ("https://connect.example.com/api/mcp/server/acme", acme),
            ("https://connect.example.com/api/mcp/server/acme/", acme),
            ("HTTPS://CONNECT.example.com/api/mcp/server/acme", acme),
            ("https://connect.example.com/API/mcp/server", None),
            ("https://connect.example.com/api/mcp/server//", None),
            ("https://connect.example.com/api/mcp/server//acme", None),
            ("https://connect.example.com/api/mcp/server/acme//", None),
            ("https://connect.example.com/api/mcp/server/acme/x", None),
            ("https://connect.example.com/api/mcp/server/Acme", None),
            ("https://connect.example.com/api/mcp/server/ac%6de", None),
            ("https://connect.example.com/api/mcp/serveracme", None),
            ("https://connect.example.com/api/mcp/server?a=b", None),
            ("https://connect.example.com/api/mcp/server/acme?a=b", None),
            ("https://connect.example.com/api/mcp/server#f", None),
            ("https://connect.example.com/api/mcp/server/acme#f", None),
            ("https://connect.example.com", None),
            ("https://connect.example.com:443/api/mcp/server", None),
            ("https://connect.example.com.evil.example/api/mcp/server", None),
            ("https://evil.example/api/mcp/server", None),
            ("https://connect.example.co\u{e9}/api/mcp/server", None),
            ("/api/mcp/server", None),
            ("", None),
        ] {
            let read = Resource::parse(&issuer, requested);
            assert_eq!(read.as_ref().map(Resource::to_string).as_deref(), meant, "{requested}");
            assert_eq!(read.as_ref().and_then(|read| Resource::from_stored(&read.to_string())), read, "{requested}");
        }
    }

    #[test]
    fn resource_has_a_metadata_url_and_serves_its_tenant() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let [acme, globex] = ["acme", "globex"].map(|id| TenantId::parse(id).unwrap());
        let metadata = "https://connect.example.com/.well-known/oauth-protected-resource/api/mcp/server";

        let (main, own) = (Resource::new(&issuer), Resource::for_tenant(&issuer, &acme));

        assert_eq!((main.metadata_url(), own.metadata_url()), (metadata.to_owned(), format!("{metadata}/acme")));
        assert_eq!((main.tenant(), own.tenant()), (None, Some(&acme)));
        assert_eq!([&main, &own].map(|it| (it.serves(&acme), it.serves(&globex))), [(true, true), (true, false)]);
    }

    #[test]
    fn malformed_stored_resources_are_refused() {
        for text in ["", "https://connect.example.com", "connect.example.com/api/mcp/server", "/api/mcp/server/acme"] {
            assert_eq!(Resource::from_stored(text), None, "{text}");
        }
    }
}
