//! Which function answers what: exact routes and single named segments, as the template may have them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::endpoint::Endpoint;
use super::mapping::Mapping;

/// The routes of the API.
#[derive(Default)]
pub(crate) struct Routes(Vec<Route>);

/// One route.
pub(crate) struct Route {
    /// As API Gateway writes it: `GET /admin/keys/{id}`.
    pub(crate) key: String,
    method: Method,
    segments: Vec<Segment>,
    /// Who answers.
    pub(crate) endpoint: Arc<Endpoint>,
    /// What is changed in the answer.
    pub(crate) mapping: Mapping,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Exact(String),
    /// Stands for one segment that is not empty.
    Named(String),
}

impl Routes {
    /// Adds a route; `false` if it is of a kind that the design rules out (`{proxy+}`, `$default`, `ANY`) or there already.
    pub(crate) fn add(&mut self, method: &str, path: &str, endpoint: Arc<Endpoint>, mapping: Mapping) -> bool {
        let (Some(segments), Ok(parsed)) = (segments_of(path), Method::from_bytes(method.as_bytes())) else {
            return false;
        };
        let taken = self.0.iter().any(|route| route.method == parsed && route.segments == segments);
        if parsed == "ANY" || taken {
            return false;
        }
        self.0.push(Route { key: format!("{method} {path}"), method: parsed, segments, endpoint, mapping });
        // An exact segment goes before a named one, wherever the first difference is.
        self.0.sort_by(|one, other| one.segments.cmp(&other.segments));
        true
    }

    /// The route of a request and what its named segments stand for. `path` is as it came, percent-encoded: a slash in
    /// disguise divides nothing.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<(&Route, BTreeMap<String, String>)> {
        let requested: Vec<_> = path.strip_prefix('/')?.split('/').map(decoded).collect();
        let candidates = self.0.iter().filter(|route| route.method == *method);
        candidates.into_iter().find_map(|route| Some((route, matched(&route.segments, &requested)?)))
    }

    /// Every route key.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, &Endpoint)> {
        self.0.iter().map(|route| (route.key.as_str(), &*route.endpoint))
    }
}

fn segments_of(path: &str) -> Option<Vec<Segment>> {
    let segment = |text: &str| match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) if name.ends_with('+') => None,
        Some(name) => Some(Segment::Named(name.to_owned())),
        None => Some(Segment::Exact(text.to_owned())),
    };
    path.strip_prefix('/')?.split('/').map(segment).collect()
}

fn matched(segments: &[Segment], requested: &[String]) -> Option<BTreeMap<String, String>> {
    if segments.len() != requested.len() {
        return None;
    }
    let mut named = BTreeMap::new();
    for (segment, requested) in segments.iter().zip(requested) {
        match segment {
            Segment::Exact(text) if text == requested => {}
            Segment::Named(name) if !requested.is_empty() => {
                named.insert(name.clone(), requested.clone());
            }
            Segment::Exact(_) | Segment::Named(_) => return None,
        }
    }
    Some(named)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_specific_route_matches() {
        let mut routes = Routes::default();
        for path in ["/admin/keys/{id}", "/admin/keys/new", "/oauth/token", "/.well-known/jwks.json"] {
            assert!(routes.add("GET", path, Endpoint::failing(), Mapping::default()), "{path}");
        }
        for (method, path, key) in [
            ("GET", "/oauth/token", Some("GET /oauth/token")),
            ("GET", "/oauth/%74oken", Some("GET /oauth/token")),
            ("GET", "/.well-known/jwks.json", Some("GET /.well-known/jwks.json")),
            ("GET", "/admin/keys/new", Some("GET /admin/keys/new")),
            ("GET", "/admin/keys/k1", Some("GET /admin/keys/{id}")),
            ("GET", "/admin/keys/", None),
            ("GET", "/admin/keys/a/b", None),
            ("GET", "/oauth%2Ftoken", None),
            ("GET", "/oauth/token/", None),
            ("GET", "//oauth/token", None),
            ("GET", "/oauth/Token", None),
            ("HEAD", "/oauth/token", None),
            ("POST", "/oauth/token", None),
            ("OPTIONS", "*", None),
        ] {
            let found = routes.find(&Method::from_bytes(method.as_bytes()).unwrap(), path);
            assert_eq!(found.map(|(route, _)| route.key.as_str()), key, "{method} {path}");
        }
        let (_, named) = routes.find(&Method::GET, "/admin/keys/a%2Fb").unwrap();
        assert_eq!(named, [("id".to_owned(), "a/b".to_owned())].into());
    }

    #[test]
    fn unsupported_routes_are_rejected() {
        let mut routes = Routes::default();
        assert!(routes.add("GET", "/a", Endpoint::failing(), Mapping::default()));
        for (method, path) in [("GET", "/a"), ("GET", "/{proxy+}"), ("ANY", "/b"), ("GET", "$default")] {
            assert!(!routes.add(method, path, Endpoint::failing(), Mapping::default()), "{method} {path}");
        }
    }
}
