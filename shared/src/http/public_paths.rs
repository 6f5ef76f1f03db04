//! Where people find the console and the sign-in page.
//!
//! The API has them at `/admin` and `/auth`, and requests arrive with those paths. Beside a product that has such paths of its own,
//! the proxy in front has them elsewhere, and rewrites. So every path that leaves us goes through here: links, forms, redirects.

use std::borrow::Cow;

/// The prefixes in place of [`PublicPaths::ADMIN`] and [`PublicPaths::AUTH`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicPaths {
    admin: String,
    auth: String,
}

/// What else is at the issuer's origin, or may be there one day: nothing of it can be below one of the prefixes, nor they below it.
const TAKEN: [&str; 6] = ["/.well-known", "/api/mcp", "/hooks", "/oauth", "/tools", "/workspace"];

impl PublicPaths {
    /// The console, as the API has it.
    pub const ADMIN: &'static str = "/admin";
    /// The sign-in page, likewise.
    pub const AUTH: &'static str = "/auth";

    /// `None` if one of them is no path of lower-case words, or if they, or what else we serve, could not be told apart.
    #[must_use]
    pub fn parse(admin: &str, auth: &str) -> Option<Self> {
        let is_free = |path: &str| TAKEN.iter().all(|taken| !overlap(path, taken));
        let good = [admin, auth].into_iter().all(|path| is_path(path) && is_free(path)) && !overlap(admin, auth);
        good.then(|| Self { admin: admin.to_owned(), auth: auth.to_owned() })
    }

    /// The console's path, with `rest` after it: nothing, or what begins with a slash or a question mark.
    #[must_use]
    pub fn admin(&self, rest: &str) -> String {
        format!("{}{rest}", self.admin)
    }

    /// The path of what belongs to signing in, likewise.
    #[must_use]
    pub fn auth(&self, rest: &str) -> String {
        format!("{}{rest}", self.auth)
    }

    /// The public path of a path of the API.
    #[must_use]
    pub fn of<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match (below(path, Self::ADMIN), below(path, Self::AUTH)) {
            (Some(rest), _) => Cow::Owned(self.admin(rest)),
            (None, Some(rest)) => Cow::Owned(self.auth(rest)),
            (None, None) => Cow::Borrowed(path),
        }
    }

    /// The path of the API that a public path stands for, as the proxy in front rewrites it. `None` for the paths that moved away
    /// and belong to the product now.
    #[must_use]
    pub fn to_api<'a>(&self, path: &'a str) -> Option<Cow<'a, str>> {
        for (public, of_api) in [(self.admin.as_str(), Self::ADMIN), (self.auth.as_str(), Self::AUTH)] {
            if let Some(rest) = below(path, public) {
                return Some(Cow::Owned(format!("{of_api}{rest}")));
            }
        }
        let moved_away = [Self::ADMIN, Self::AUTH].into_iter().any(|prefix| below(path, prefix).is_some());
        (!moved_away).then_some(Cow::Borrowed(path))
    }
}

impl Default for PublicPaths {
    /// As the API has them.
    fn default() -> Self {
        Self { admin: Self::ADMIN.to_owned(), auth: Self::AUTH.to_owned() }
    }
}

/// Segments of lower-case letters, digits and single hyphens: nothing that a proxy, a cookie or a form could read in another way.
fn is_path(text: &str) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.strip_prefix('/').is_some_and(|path| path.split('/').all(|segment| segment.split('-').all(is_word)))
}

/// Whether one of the two is the other, or is below it.
fn overlap(one: &str, other: &str) -> bool {
    below(one, other).is_some() || below(other, one).is_some()
}

/// What follows `prefix` in `path`, if `path` is it or is below it.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_cannot_be_taken_for_anything_else() {
        for (admin, auth, good) in [
            ("/admin", "/auth", true),
            ("/connect/admin", "/connect/auth", true),
            ("/connections", "/connect-sign-in", true),
            ("/api/connect", "/auth", true),
            ("/auth", "/admin", true),
            ("/admin", "/admin", false),
            ("/connect", "/connect/auth", false),
            ("/connect/auth", "/connect", false),
            ("/oauth", "/auth", false),
            ("/oauth/admin", "/auth", false),
            ("/api", "/auth", false),
            ("/api/mcp/admin", "/auth", false),
            ("/hooks/admin", "/auth", false),
            ("", "/auth", false),
            ("/", "/auth", false),
            ("admin", "/auth", false),
            ("/admin/", "/auth", false),
            ("//admin", "/auth", false),
            ("/Admin", "/auth", false),
            ("/admin-", "/auth", false),
            ("/a--b", "/auth", false),
            ("/a.b", "/auth", false),
            ("/a%20b", "/auth", false),
            ("/{tenant}", "/auth", false),
        ] {
            assert_eq!(PublicPaths::parse(admin, auth).is_some(), good, "{admin} {auth}");
        }
        assert_eq!(PublicPaths::parse("/admin", "/auth"), Some(PublicPaths::default()));
    }

    #[test]
    fn paths_are_public_where_they_leave_and_the_apis_where_they_come_in() {
        let moved = PublicPaths::parse("/connect/admin", "/sign-in").unwrap();
        for (of_api, public) in [
            ("/admin", "/connect/admin"),
            ("/admin/acme/keys", "/connect/admin/acme/keys"),
            ("/auth/login", "/sign-in/login"),
            ("/oauth/authorize", "/oauth/authorize"),
            ("/administrator", "/administrator"),
        ] {
            assert_eq!((moved.of(of_api), moved.to_api(public)), (public.into(), Some(of_api.into())), "{of_api}");
            let (stays, as_it_is) = (PublicPaths::default(), (of_api.into(), Some(of_api.into())));
            assert_eq!((stays.of(of_api), stays.to_api(of_api)), as_it_is, "{of_api}");
        }
        assert_eq!((moved.admin("?after=x"), moved.auth("")), ("/connect/admin?after=x".into(), "/sign-in".into()));
        assert_eq!([moved.to_api("/admin/acme/keys"), moved.to_api("/auth")], [None, None]);
    }
}
