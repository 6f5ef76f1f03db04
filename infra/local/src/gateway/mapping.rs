//! Changes to a function's answer on its way out: the template's `responseParameters`, and the renaming that makes them
//! necessary.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

/// What API Gateway may make of `WWW-Authenticate`, before any mapping.
pub(crate) const REMAPPED: HeaderName = HeaderName::from_static("x-amzn-remapped-www-authenticate");

/// The changes of one route, by status.
#[derive(Debug, Default)]
pub(crate) struct Mapping(BTreeMap<u16, Vec<Change>>);

#[derive(Debug)]
enum Change {
    Append(HeaderName, Origin),
    Overwrite(HeaderName, Origin),
    Remove(HeaderName),
}

#[derive(Debug)]
enum Origin {
    Header(HeaderName),
    Constant(HeaderValue),
}

impl Mapping {
    /// From the template. `None` for what API Gateway would refuse, and for what is not known here.
    pub(crate) fn parse(parameters: &Map<String, Value>) -> Option<Self> {
        let status = |(status, changes): (&String, &Value)| {
            let changes = changes.as_object()?.iter().map(|(target, value)| Change::parse(target, value.as_str()?));
            Some((status.parse().ok()?, changes.collect::<Option<_>>()?))
        };
        parameters.iter().map(status).collect::<Option<_>>().map(Self)
    }

    /// Applies the changes that the template lists for `status`, all to the answer as the function gave it.
    pub(crate) fn apply(&self, status: StatusCode, headers: &mut HeaderMap) {
        let given = headers.clone();
        let value_of = |origin: &Origin| match origin {
            Origin::Header(name) => given.get(name).cloned(),
            Origin::Constant(value) => Some(value.clone()),
        };
        for change in self.0.get(&status.as_u16()).into_iter().flatten() {
            match change {
                Change::Append(name, origin) => {
                    if let Some(value) = value_of(origin) {
                        headers.append(name, value);
                    }
                }
                Change::Overwrite(name, origin) => {
                    if let Some(value) = value_of(origin) {
                        headers.insert(name, value);
                    }
                }
                Change::Remove(name) => {
                    headers.remove(name);
                }
            }
        }
    }
}

/// Does to the challenge what API Gateway may do.
pub(crate) fn rename_challenge(headers: &mut HeaderMap) {
    if let Some(challenge) = headers.remove(header::WWW_AUTHENTICATE) {
        headers.insert(REMAPPED, challenge);
    }
}

impl Change {
    fn parse(target: &str, value: &str) -> Option<Self> {
        let (action, name) = target.split_once(":header.")?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| !is_reserved(name))?;
        let origin = || match value.strip_prefix("$response.header.") {
            Some(name) => {
                let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
                (!is_reserved(&name)).then_some(Origin::Header(name))
            }
            None if value.contains('$') => None,
            None => HeaderValue::from_str(value).ok().map(Origin::Constant),
        };
        match action {
            "append" => Some(Self::Append(name, origin()?)),
            "overwrite" => Some(Self::Overwrite(name, origin()?)),
            "remove" => Some(Self::Remove(name)),
            _ => None,
        }
    }
}

/// "Reserved headers" of API Gateway's parameter mapping, which cannot be mapped.
fn is_reserved(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 4] = ["access-control-", "apigw-", "x-amz-", "x-amzn-"];
    const NAMES: [&str; 18] = [
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-location",
        "forwarded",
        "keep-alive",
        "origin",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "via",
    ];
    PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix)) || NAMES.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(parameters: &Value) -> Option<Mapping> {
        Mapping::parse(parameters.as_object().unwrap())
    }

    fn challenge() -> Mapping {
        let changes = json!({ "overwrite:header.www-authenticate": "$response.header.x-challenge", "remove:header.x-challenge": "''" });
        mapping(&json!({ "401": changes })).unwrap()
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn mapping_restores_the_challenge_header() {
        let sent = headers(&[("www-authenticate", "Bearer x"), ("x-challenge", "Bearer x")]);
        let mut plain = sent.clone();
        challenge().apply(StatusCode::UNAUTHORIZED, &mut plain);
        assert_eq!(plain, headers(&[("www-authenticate", "Bearer x")]));

        let mut renamed = sent.clone();
        rename_challenge(&mut renamed);
        assert_eq!(renamed, headers(&[("x-amzn-remapped-www-authenticate", "Bearer x"), ("x-challenge", "Bearer x")]));
        challenge().apply(StatusCode::UNAUTHORIZED, &mut renamed);
        assert_eq!(renamed["www-authenticate"], "Bearer x");
        assert!(!renamed.contains_key("x-challenge"));

        let mut other_status = sent.clone();
        challenge().apply(StatusCode::OK, &mut other_status);
        assert_eq!(other_status, sent);
    }

    #[test]
    fn unsupported_parameter_mappings_are_rejected() {
        for (target, value, known) in [
            ("append:header.x-one", "constant", true),
            ("overwrite:header.authorization", "constant", false),
            ("overwrite:header.x-one", "$response.header.x-amzn-remapped-www-authenticate", false),
            ("overwrite:header.x-one", "$response.body.error", false),
            ("replace:header.x-one", "constant", false),
            ("overwrite:statuscode", "200", false),
        ] {
            assert_eq!(mapping(&json!({ "401": { target: value } })).is_some(), known, "{target} {value}");
        }
    }
}
