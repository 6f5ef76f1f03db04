//! What a token is for (RFC 8707).

use std::fmt;

use crate::oauth::issuer::Issuer;

/// The path of the MCP server.
pub const PATH: &str = "/api/mcp/server";

/// A protected resource of ours, in its canonical form: the audience of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource(String);

impl Resource {
    /// The MCP server of `issuer`: the URL that people paste.
    #[must_use]
    pub fn of(issuer: &Issuer) -> Self {
        Self(issuer.at(PATH))
    }

    /// From the table, where only our own were put.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `asked` means this resource. RFC 8707 §2: absolute, without fragment; scheme and host in any case. One slash at
    /// the end is forgiven, as some clients add it; the token carries the canonical form all the same.
    #[must_use]
    pub fn is_meant_by(&self, asked: &str) -> bool {
        let asked = asked.strip_suffix('/').unwrap_or(asked);
        let split = |text: &str| {
            let authority = text.find("://").map_or(0, |at| at + 3);
            let path = text.get(authority..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| authority + at);
            (text.get(..path).unwrap_or_default().to_ascii_lowercase(), text.get(path..).unwrap_or_default().to_owned())
        };
        split(asked) == split(&self.0)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_spellings_mean_the_resource() {
        let resource = Resource::of(&Issuer::parse("https://connect.example.com").unwrap());
        for (asked, meant) in [
            ("https://connect.example.com/api/mcp/server", true),
            ("https://connect.example.com/api/mcp/server/", true),
            ("HTTPS://Connect.Example.com/api/mcp/server", true),
            ("https://connect.example.com/API/mcp/server", false),
            ("https://connect.example.com/api/mcp/server//", false),
            ("https://connect.example.com/api/mcp/server?a=b", false),
            ("https://connect.example.com/api/mcp/server#f", false),
            ("https://connect.example.com", false),
            ("https://evil.example/api/mcp/server", false),
            ("/api/mcp/server", false),
        ] {
            assert_eq!(resource.is_meant_by(asked), meant, "{asked}");
        }
    }
}
