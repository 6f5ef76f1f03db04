//! An HTTP request as API Gateway hands it to a function: payload format 2.0, as AWS really sends it (events/README.md).

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use shared::clock::Timestamp;
use shared::oauth::secret::Secret;
use time::OffsetDateTime;
use url::form_urlencoded;

/// What the gateway knows about a request besides the request.
pub(crate) struct EventContext<'a> {
    /// `GET /oauth/authorize`
    pub(crate) route_key: &'a str,
    /// What the route's named segments stand for.
    pub(crate) path_parameters: BTreeMap<String, String>,
    /// The query as it came.
    pub(crate) query: &'a str,
    /// Who asks.
    pub(crate) peer: IpAddr,
    /// Where it was asked.
    pub(crate) endpoint: PublishedEndpoint<'a>,
    /// When.
    pub(crate) now: Timestamp,
    /// Names the request in the event and in the answer.
    pub(crate) request_id: &'a str,
}

/// The API as its clients reach it.
#[derive(Clone, Copy)]
pub(crate) struct PublishedEndpoint<'a> {
    /// Without the port.
    pub(crate) host: &'a str,
    /// `https`, and `http` on this machine.
    pub(crate) scheme: &'static str,
    /// 443, and another one on this machine.
    pub(crate) port: &'a str,
}

/// The event's JSON.
pub(crate) fn of(head: &Parts, body: &[u8], context: EventContext<'_>) -> serde_json::Result<String> {
    let EventContext { route_key, path_parameters, query, peer, endpoint, now, request_id } = context;
    let path = decoded_path(head.uri.path());
    let mut headers = joined(&head.headers);
    let source_ip = peer.to_string();
    let forwarded = headers.remove("x-forwarded-for").map_or_else(String::new, |before| format!("{before}, "));
    headers.entry("content-length".to_owned()).or_insert_with(|| body.len().to_string());
    headers.insert("x-amzn-trace-id".to_owned(), trace_id(now));
    headers.insert("x-forwarded-for".to_owned(), format!("{forwarded}{source_ip}"));
    headers.insert("x-forwarded-port".to_owned(), endpoint.port.to_owned());
    headers.insert("x-forwarded-proto".to_owned(), endpoint.scheme.to_owned());
    let user_agent = headers.get("user-agent").cloned().unwrap_or_default();
    let (body, is_base64_encoded) = encoded(body, head.headers.get(header::CONTENT_TYPE));
    serde_json::to_string(&Event {
        version: "2.0",
        route_key,
        raw_path: &path,
        raw_query_string: query,
        cookies: cookies(&head.headers),
        headers,
        query_string_parameters: parameters(query),
        request_context: RequestContext {
            account_id: "111122223333",
            api_id: "local",
            domain_name: endpoint.host,
            domain_prefix: endpoint.host.split('.').next().unwrap_or_default(),
            http: Http {
                method: head.method.as_str(),
                path: &path,
                protocol: format!("{:?}", head.version),
                source_ip,
                user_agent,
            },
            request_id,
            route_key,
            stage: "$default",
            time: common_log_time(now),
            time_epoch: now.seconds() * 1000,
        },
        path_parameters,
        body,
        is_base64_encoded,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: String,
    source_ip: String,
    user_agent: String,
}

/// HTTP APIs decode the path and lose what follows a question mark that appears so.
fn decoded_path(path: &str) -> String {
    let path = percent_decode_str(path).decode_utf8_lossy();
    path.split('?').next().unwrap_or_default().to_owned()
}

/// Names are in lower case already; values of one name are joined, and cookies travel apart.
fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| **name != header::COOKIE) {
        let value = text(value);
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|before| *before = format!("{before},{value}"))
            .or_insert(value);
    }
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(header::COOKIE).into_iter().map(text);
    let cookies = lines
        .flat_map(|line| line.split(';').map(|cookie| cookie.trim_matches([' ', '\t']).to_owned()).collect::<Vec<_>>());
    cookies.filter(|cookie| !cookie.is_empty()).collect()
}

/// Bytes that are not UTF-8 are Latin-1, as header values were before (RFC 9110 §5.5).
fn text(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

/// A name that stands there twice has its values joined by a comma: only the raw string can tell.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .and_modify(|before| *before = format!("{before},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    parameters
}

/// Text for the types that API Gateway takes for text; everything else, forms and bodies without a type too, as base64.
fn encoded(body: &[u8], content_type: Option<&HeaderValue>) -> (Option<String>, bool) {
    const TEXTS: [&str; 3] = ["application/json", "application/xml", "application/javascript"];
    if body.is_empty() {
        return (None, false);
    }
    let kind = content_type.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence.starts_with("text/") || TEXTS.contains(&essence.as_str()) {
        return (Some(String::from_utf8_lossy(body).into_owned()), false);
    }
    (Some(STANDARD.encode(body)), true)
}

/// As the access logs of web servers write it: `22/Nov/2026:10:00:28 +0000`.
fn common_log_time(now: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(now.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let month = time.month().to_string();
    let month = month.get(..3).unwrap_or_default();
    let (hour, minute, second) = time.to_hms();
    format!("{:02}/{month}/{}:{hour:02}:{minute:02}:{second:02} +0000", time.day(), time.year())
}

fn trace_id(now: Timestamp) -> String {
    let random = Secret::<12>::random();
    let random = random.expose().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("Root=1-{:08x}-{random}", now.seconds())
}

/// The form of AWS's own request ids.
pub(crate) fn request_id() -> String {
    STANDARD.encode(Secret::<11>::random().expose())
}

/// The header in which the answer repeats it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("apigw-requestid");

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::{Value, json};

    use super::*;

    fn event(request: axum::http::request::Builder, body: &[u8]) -> Value {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let context = EventContext {
            route_key: "POST /a",
            path_parameters: BTreeMap::new(),
            query: head.uri.query().unwrap_or_default(),
            peer: IpAddr::from([127, 0, 0, 1]),
            endpoint: PublishedEndpoint { host: "localhost", scheme: "http", port: "8787" },
            now: Timestamp::from_seconds(1_795_341_628),
            request_id: "id",
        };
        serde_json::from_str(&of(&head, body, context).unwrap()).unwrap()
    }

    #[test]
    fn request_becomes_a_complete_event() {
        let request =
            Request::post("/a?x=1&x=2&y=a%2Cb+c").header("Host", "localhost:8787").header("User-Agent", "test");
        let mut event = event(request.header("Content-Type", "application/json"), b"{}");
        event["headers"].as_object_mut().unwrap().remove("x-amzn-trace-id").unwrap();
        assert_eq!(
            event,
            json!({
                "version": "2.0",
                "routeKey": "POST /a",
                "rawPath": "/a",
                "rawQueryString": "x=1&x=2&y=a%2Cb+c",
                "headers": {
                    "content-length": "2",
                    "content-type": "application/json",
                    "host": "localhost:8787",
                    "user-agent": "test",
                    "x-forwarded-for": "127.0.0.1",
                    "x-forwarded-port": "8787",
                    "x-forwarded-proto": "http",
                },
                "queryStringParameters": { "x": "1,2", "y": "a,b c" },
                "requestContext": {
                    "accountId": "111122223333",
                    "apiId": "local",
                    "domainName": "localhost",
                    "domainPrefix": "localhost",
                    "http": {
                        "method": "POST",
                        "path": "/a",
                        "protocol": "HTTP/1.1",
                        "sourceIp": "127.0.0.1",
                        "userAgent": "test",
                    },
                    "requestId": "id",
                    "routeKey": "POST /a",
                    "stage": "$default",
                    "time": "22/Nov/2026:10:00:28 +0000",
                    "timeEpoch": 1_795_341_628_000_i64,
                },
                "body": "{}",
                "isBase64Encoded": false,
            })
        );
    }

    /// The route's key has the names, the event their values, decoded as the path is.
    #[test]
    fn path_parameters_are_decoded() {
        let (head, ()) = Request::get("/a/x%20y").body(()).unwrap().into_parts();
        let context = EventContext {
            route_key: "GET /a/{id}",
            path_parameters: [("id".to_owned(), "x y".to_owned())].into(),
            query: "",
            peer: IpAddr::from([127, 0, 0, 1]),
            endpoint: PublishedEndpoint { host: "localhost", scheme: "http", port: "80" },
            now: Timestamp::from_seconds(0),
            request_id: "id",
        };

        let event: Value = serde_json::from_str(&of(&head, b"", context).unwrap()).unwrap();

        assert_eq!(event["pathParameters"], json!({ "id": "x y" }));
        assert_eq!((&event["routeKey"], &event["rawPath"]), (&json!("GET /a/{id}"), &json!("/a/x y")));
        assert_eq!(event["requestContext"]["routeKey"], event["routeKey"]);
    }

    #[test]
    fn body_is_passed_as_text_or_base64() {
        for (content_type, body, text, base64) in [
            (Some("application/json"), "{}", Some("{}"), false),
            (Some("Application/JSON; charset=utf-8"), "{}", Some("{}"), false),
            (Some("text/plain"), "a", Some("a"), false),
            (Some("application/x-www-form-urlencoded"), "a=b", Some("YT1i"), true),
            (Some("application/problem+json"), "{}", Some("e30="), true),
            (None, "a", Some("YQ=="), true),
            (Some("application/json"), "", None, false),
        ] {
            let request = Request::post("/a");
            let request = match content_type {
                Some(kind) => request.header("Content-Type", kind),
                None => request,
            };
            let event = event(request, body.as_bytes());
            assert_eq!((event["body"].as_str(), &event["isBase64Encoded"]), (text, &json!(base64)), "{content_type:?}");
        }
    }

    #[test]
    fn headers_are_passed_as_api_gateway_does() {
        let request =
            Request::post("/a").header("X-One", "1").header("X-One", "2").header("X-Forwarded-For", "203.0.113.7");
        let request = request.header("X-Forwarded-Proto", "https").header("Cookie", "a=1; b=2").header("Cookie", "c=3");
        let event = event(request.header("X-Latin", HeaderValue::from_bytes(b"caf\xe9").unwrap()), b"");
        assert_eq!(event["cookies"], json!(["a=1", "b=2", "c=3"]));
        let headers = &event["headers"];
        assert_eq!(headers["x-one"], "1,2");
        assert_eq!(headers["x-forwarded-for"], "203.0.113.7, 127.0.0.1");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-latin"], "café");
        assert_eq!(headers["content-length"], "0");
        assert_eq!(headers.get("cookie"), None);
    }

    #[test]
    fn raw_path_is_decoded_without_the_query() {
        for (path, raw) in [("/a%20b", "/a b"), ("/a%2Fb", "/a/b"), ("/a%3Fb?c=d", "/a"), ("/a%FF", "/a\u{fffd}")] {
            assert_eq!(event(Request::post(path), b"")["rawPath"], raw);
        }
    }
}
