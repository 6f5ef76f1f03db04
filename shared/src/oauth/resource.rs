//! What a token is for (RFC 8707).

use std::fmt;

use crate::oauth::issuer::Issuer;
use crate::oauth::tenant::TenantId;

/// The path of the MCP server. A tenant's own address has the tenant's id after it, as one more segment.
pub const PATH: &str = "/api/mcp/server";

/// Where the MCP server of a deployment is: at the issuer's origin, or at another that `RESOURCE_URL` names. Never derived from a
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceServer {
    issuer: Issuer,
    origin: Issuer,
}

impl ResourceServer {
    /// At the origin of `issuer`.
    #[must_use]
    pub fn at_issuer(issuer: Issuer) -> Self {
        Self { origin: issuer.clone(), issuer }
    }

    /// At `url`: an origin that an issuer could have, and the path of the MCP server. `None` for any other address.
    #[must_use]
    pub fn parse(issuer: Issuer, url: &str) -> Option<Self> {
        let origin = Issuer::parse(url.strip_suffix(PATH)?)?;
        Some(Self { issuer, origin })
    }

    /// Its origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origin.as_str()
    }
}

/// A protected resource of ours, and the audience of a token: the MCP server for whichever tenant the person chooses, or the MCP
/// server for one tenant. Clients refuse to connect to one URL twice, so whoever works in two tenants needs two.
///
/// A resource can be named although its tenant does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    origin: Issuer,
    tenant: Option<TenantId>,
}

impl Resource {
    /// The MCP server: the URL that people paste.
    #[must_use]
    pub fn new(server: &ResourceServer) -> Self {
        Self { origin: server.origin.clone(), tenant: None }
    }

    /// The MCP server for one tenant.
    #[must_use]
    pub fn for_tenant(server: &ResourceServer, tenant: &TenantId) -> Self {
        Self { origin: server.origin.clone(), tenant: Some(tenant.clone()) }
    }

    /// The one at that path of the server. `None` if none can be there. One slash at the end and capitals in the tenant are as
    /// people paste them, and mean the same.
    #[must_use]
    pub fn from_path(server: &ResourceServer, path: &str) -> Option<Self> {
        Self::at_origin(&server.origin, path)
    }

    fn at_origin(origin: &Issuer, path: &str) -> Option<Self> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let tenant = match path.strip_prefix(PATH)? {
            "" => None,
            rest => Some(TenantId::parse(&rest.strip_prefix('/')?.to_ascii_lowercase())?),
        };
        Some(Self { origin: origin.clone(), tenant })
    }

    /// The resource that `requested` names, if it is ours. RFC 8707 §2: an absolute URI without fragment;
    /// scheme and host in any case. A query is dropped: people add one so that a client takes the address for a new one. Some
    /// clients send the origin alone, which means the MCP server for whichever tenant the person chooses. The token
    /// carries the canonical form.
    #[must_use]
    pub fn parse(server: &ResourceServer, requested: &str) -> Option<Self> {
        if requested.contains('#') {
            return None;
        }
        let requested = requested.split('?').next()?;
        let (origin, path) = requested.split_at_checked(server.origin().len())?;
        if !origin.eq_ignore_ascii_case(server.origin()) {
            return None;
        }
        if path.is_empty() || path == "/" { Some(Self::new(server)) } else { Self::from_path(server, path) }
    }

    /// From the table, where only our own were put.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let (origin, path) = text.split_at_checked(text.find(PATH)?)?;
        Self::at_origin(&Issuer::parse(origin)?, path)
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
}

/// A resource at the address at which a request asked for it, which may be another spelling than the canonical one. Clients compare
/// the address that the documents name with the one that was pasted (RFC 9728 §3.3), so the documents repeat that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAddress {
    resource: Resource,
    path: String,
    issuer: Issuer,
}

impl ResourceAddress {
    /// Of the resource at that path of the server. `None` if none can be there. Without a query, which is never repeated.
    #[must_use]
    pub fn from_path(server: &ResourceServer, path: &str) -> Option<Self> {
        let (resource, issuer) = (Resource::from_path(server, path)?, server.issuer.clone());
        Some(Self { resource, path: path.to_owned(), issuer })
    }

    /// The URL that people paste, of whichever tenant.
    #[must_use]
    pub fn main(server: &ResourceServer) -> Self {
        Self { resource: Resource::new(server), path: PATH.to_owned(), issuer: server.issuer.clone() }
    }

    /// The resource.
    #[must_use]
    pub const fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The URL of its metadata: the well-known prefix goes before its path (RFC 9728 §3.1). On the issuer's origin, wherever the
    /// resource is: some platforms keep `/.well-known` of the product's host to themselves, and a client that follows a challenge
    /// takes any host (RFC 9728 §3.3 compares `resource` with the address of its request then).
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("{}/.well-known/oauth-protected-resource{}", self.issuer, self.path)
    }
}

/// The URL, as it was asked for.
impl fmt::Display for ResourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.resource.origin, self.path)
    }
}

/// The resource that a request names (RFC 8707 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedResource {
    /// The request names none.
    Unspecified,
    /// One of ours. Several spellings of it may be named.
    Known(Resource),
    /// One that is not ours, or several: a token here is for one.
    Unknown,
}

impl RequestedResource {
    /// Of all values of `resource` in a request.
    pub fn parse<'a>(server: &ResourceServer, requested: impl IntoIterator<Item = &'a str>) -> Self {
        let mut named = requested.into_iter().map(|resource| Resource::parse(server, resource));
        match named.next() {
            None => Self::Unspecified,
            Some(Some(first)) if named.all(|other| other.as_ref() == Some(&first)) => Self::Known(first),
            Some(_) => Self::Unknown,
        }
    }
}

/// In its canonical form: the URL, which is what tokens and documents carry.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PATH}", self.origin)?;
        self.tenant.iter().try_for_each(|tenant| write!(f, "/{tenant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://connect.example.com";

    fn at_issuer() -> ResourceServer {
        ResourceServer::at_issuer(Issuer::parse(ISSUER).unwrap())
    }

    fn elsewhere(url: &str) -> Option<ResourceServer> {
        ResourceServer::parse(Issuer::parse(ISSUER).unwrap(), url)
    }

    #[test]
    fn resource_indicators_are_parsed() {
        let server = at_issuer();
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
            ("https://connect.example.com/api/mcp/server/Acme", acme),
            ("https://connect.example.com/api/mcp/server/ACME/?v=2", acme),
            ("https://connect.example.com/api/mcp/server/ac%6de", None),
            ("https://connect.example.com/api/mcp/serveracme", None),
            ("https://connect.example.com/api/mcp/server?a=b", main),
            ("https://connect.example.com/api/mcp/server/?a=/b/", main),
            ("https://connect.example.com/api/mcp/server/acme?a=b", acme),
            ("https://connect.example.com/api/mcp/server?a=b#c", None),
            ("https://connect.example.com?a=/api/mcp/server/acme", main),
            ("https://connect.example.com/api/mcp/server#f", None),
            ("https://connect.example.com/api/mcp/server/acme#f", None),
            ("https://connect.example.com", main),
            ("https://connect.example.com/", main),
            ("https://connect.example.com//", None),
            ("https://connect.example.com/oauth", None),
            ("https://connect.example.com.evil.example", None),
            ("https://connect.example.com@evil.example", None),
            ("https://connect.example.com:443/api/mcp/server", None),
            ("https://connect.example.com.evil.example/api/mcp/server", None),
            ("https://evil.example/api/mcp/server", None),
            ("https://connect.example.co\u{e9}/api/mcp/server", None),
            ("/api/mcp/server", None),
            ("", None),
        ] {
            let read = Resource::parse(&server, requested);
            assert_eq!(read.as_ref().map(Resource::to_string).as_deref(), meant, "{requested}");
            assert_eq!(read.as_ref().and_then(|read| Resource::from_stored(&read.to_string())), read, "{requested}");
        }
    }

    #[test]
    fn several_resource_indicators_must_mean_one_resource() {
        const MAIN: &str = "https://connect.example.com/api/mcp/server";
        const MAIN_WITH_SLASH: &str = "https://connect.example.com/api/mcp/server/";
        const ACME: &str = "https://connect.example.com/api/mcp/server/acme";
        let server = at_issuer();
        let known = |text| RequestedResource::Known(Resource::parse(&server, text).unwrap());
        for (requested, meant) in [
            (&[][..], RequestedResource::Unspecified),
            (&[ACME], known(ACME)),
            (&[MAIN, MAIN], known(MAIN)),
            (&[MAIN, MAIN_WITH_SLASH, MAIN], known(MAIN)),
            (&[MAIN, ACME], RequestedResource::Unknown),
            (&[MAIN, "api://other"], RequestedResource::Unknown),
            (&["api://other", MAIN], RequestedResource::Unknown),
            (&["api://other"], RequestedResource::Unknown),
        ] {
            assert_eq!(RequestedResource::parse(&server, requested.iter().copied()), meant, "{requested:?}");
        }
    }

    #[test]
    fn address_repeats_the_path_that_was_asked_for() {
        let server = at_issuer();
        let metadata = "https://connect.example.com/.well-known/oauth-protected-resource";
        for (path, canonical) in [
            ("/api/mcp/server", "/api/mcp/server"),
            ("/api/mcp/server/", "/api/mcp/server"),
            ("/api/mcp/server/acme/", "/api/mcp/server/acme"),
            ("/api/mcp/server/ACME", "/api/mcp/server/acme"),
        ] {
            let address = ResourceAddress::from_path(&server, path).unwrap();

            assert_eq!(
                (address.to_string(), address.metadata_url()),
                (format!("{ISSUER}{path}"), format!("{metadata}{path}"))
            );
            assert_eq!(address.resource().to_string(), format!("{ISSUER}{canonical}"));
        }
        assert_eq!(ResourceAddress::from_path(&server, "/api/mcp/server//"), None);
        assert_eq!(ResourceAddress::from_path(&server, "/"), None);
        assert_eq!(ResourceAddress::main(&server).to_string(), format!("{ISSUER}/api/mcp/server"));
    }

    #[test]
    fn resource_on_another_host_has_its_metadata_on_the_issuers() {
        let server = elsewhere("https://app.example.com/api/mcp/server").unwrap();

        let address = ResourceAddress::from_path(&server, "/api/mcp/server/acme").unwrap();

        assert_eq!(address.to_string(), "https://app.example.com/api/mcp/server/acme");
        let metadata = "https://connect.example.com/.well-known/oauth-protected-resource/api/mcp/server/acme";
        assert_eq!(address.metadata_url(), metadata);
        for (requested, ours) in [
            ("https://app.example.com/api/mcp/server", true),
            ("https://app.example.com", true),
            ("https://connect.example.com/api/mcp/server", false),
            ("https://connect.example.com", false),
        ] {
            assert_eq!(Resource::parse(&server, requested).is_some(), ours, "{requested}");
        }
    }

    #[test]
    fn address_of_the_server_is_an_origin_with_the_path() {
        for (url, good) in [
            ("https://app.example.com/api/mcp/server", true),
            ("http://localhost:8787/api/mcp/server", true),
            ("https://connect.example.com/api/mcp/server", true),
            ("https://app.example.com", false),
            ("https://app.example.com/api/mcp/server/", false),
            ("https://app.example.com/api/mcp/server/acme", false),
            ("https://app.example.com/connect/api/mcp/server", false),
            ("https://App.example.com/api/mcp/server", false),
            ("http://app.example.com/api/mcp/server", false),
            ("https://app.example.com/api/mcp/server?a=b", false),
            ("/api/mcp/server", false),
        ] {
            assert_eq!(elsewhere(url).is_some(), good, "{url}");
        }
    }

    #[test]
    fn resource_serves_its_tenant() {
        let server = at_issuer();
        let [acme, globex] = ["acme", "globex"].map(|id| TenantId::parse(id).unwrap());

        let (main, own) = (Resource::new(&server), Resource::for_tenant(&server, &acme));

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
