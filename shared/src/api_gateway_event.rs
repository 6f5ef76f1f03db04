//! The event of API Gateway, parsed before `lambda_http` makes a request of it.
//!
//! `lambda_http` panics at a host or a query that a URI may not have, and refuses a whole event for one
//! invalid header. Lambda counts both as errors of the function, and such errors raise the alarms that roll a
//! deployment back. Anybody can send such a request. So everything that a caller controls is checked here,
//! and the function answers a malformed request with 400.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContext};
use lambda_http::http::{HeaderValue, Method, header};
use lambda_http::request::LambdaRequest;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use crate::http::edge::ORIGIN_VERIFY;

/// API Gateway takes request line and headers together up to this many bytes. Percent-encoded, path and query of this size still
/// fit into a URI of the crate `http`, which holds 65,534 bytes.
const MAX_HEAD: usize = 10_240;
/// A name in DNS, with a port.
const MAX_HOST: usize = 255 + ":65535".len();

/// Which part of a request breaks the rules of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedPart {
    /// A path with a control character, `?` or `#`.
    Path,
    /// A query with a character that no URI may have (RFC 3986 §3.4).
    Query,
    /// An invalid host (RFC 9110 §7.2).
    Host,
    /// A body that is not valid base64.
    Body,
    /// A header with a control character (RFC 9110 §5.5), or text that is not Unicode.
    Header,
}

impl fmt::Display for MalformedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Host => "host",
            Self::Body => "body",
            Self::Header => "header",
        })
    }
}

/// An event that `lambda_http` can turn into a request.
pub(crate) struct Event {
    pub(crate) request: LambdaRequest,
    /// What was wrong with it. Then `request` has only the method, the path, where it came from, and the secret of the edge.
    pub(crate) malformed: Option<MalformedPart>,
}

impl Event {
    /// From the event's JSON.
    ///
    /// # Errors
    /// When it is not an event of API Gateway at all: that is a mistake of whoever deployed the function, and an error of Lambda.
    pub(crate) fn parse(json: &str) -> serde_json::Result<Self> {
        let (mut event, malformed) = match serde_json::from_str::<ApiGatewayV2httpRequest>(json) {
            Ok(mut event) => match check(&event) {
                Ok(()) => (event, None),
                Err(part) => {
                    let edge_secret = event.headers.remove(ORIGIN_VERIFY);
                    (minimal_event(event.raw_path, event.request_context, edge_secret), Some(part))
                }
            },
            Err(error) => (envelope(json).ok_or(error)?, Some(MalformedPart::Header)),
        };
        // Nothing reads the scheme, and `lambda_http` panics at an invalid one.
        event.headers.remove("x-forwarded-proto");
        Ok(Self { request: LambdaRequest::ApiGatewayV2(event), malformed })
    }
}

fn check(event: &ApiGatewayV2httpRequest) -> Result<(), MalformedPart> {
    if !is_path(event.raw_path.as_deref().unwrap_or("/")) {
        return Err(MalformedPart::Path);
    }
    if !is_query(event.raw_query_string.as_deref().unwrap_or_default()) {
        return Err(MalformedPart::Query);
    }
    let host = event.headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if !host.or(event.request_context.domain_name.as_deref()).is_none_or(is_host) {
        return Err(MalformedPart::Host);
    }
    if event.is_base64_encoded && event.body.as_deref().is_some_and(|body| STANDARD.decode(body).is_err()) {
        return Err(MalformedPart::Body);
    }
    Ok(())
}

/// API Gateway has decoded it. The parser of URLs drops some control characters, and would cut the path at a `?` or `#`: the
/// function would see another path than the one that chose its route.
fn is_path(path: &str) -> bool {
    path.len() <= MAX_HEAD
        && path.starts_with('/')
        && !path.contains(|char: char| char.is_control() || "?#".contains(char))
}

/// API Gateway passes on the query as it was sent, not decoded.
fn is_query(query: &str) -> bool {
    query.len() <= MAX_HEAD && !query.contains(|char: char| char.is_control() || " \"<>#".contains(char))
}

fn is_host(host: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
    host.len() <= MAX_HOST && host.bytes().all(is_known) && Url::parse(&format!("https://{host}/")).is_ok()
}

/// What is left of a malformed request, so that the function knows the route and whether it came by the edge, and the log the caller.
fn minimal_event(
    path: Option<String>,
    context: ApiGatewayV2httpRequestContext,
    edge_secret: Option<HeaderValue>,
) -> ApiGatewayV2httpRequest {
    let mut event = ApiGatewayV2httpRequest::default();
    event.headers.extend(edge_secret.map(|secret| (ORIGIN_VERIFY, secret)));
    event.raw_path = Some(path.filter(|path| is_path(path)).unwrap_or_else(|| "/".to_owned()));
    event.request_context.http.method = context.http.method;
    event.request_context.http.source_ip = context.http.source_ip;
    event.request_context.request_id = context.request_id;
    event
}

/// Reads only the path, the secret of the edge, and the members that API Gateway itself writes. The rest of the event may be
/// unreadable.
fn envelope(json: &str) -> Option<ApiGatewayV2httpRequest> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Envelope<'a> {
        version: &'a str,
        #[serde(borrow)]
        raw_path: &'a RawValue,
        #[serde(borrow, default)]
        headers: Option<&'a RawValue>,
        #[serde(borrow)]
        request_context: Context<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Context<'a> {
        request_id: String,
        #[serde(borrow)]
        http: Http<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Http<'a> {
        #[serde(borrow)]
        method: &'a RawValue,
        source_ip: Option<String>,
    }
    let envelope: Envelope<'_> = serde_json::from_str(json).ok()?;
    let Envelope { version: "2.0", raw_path, headers, request_context: Context { request_id, http } } = envelope else {
        return None;
    };
    let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).ok();
    let headers = headers.and_then(|raw| serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get()).ok());
    let edge_secret = headers.and_then(|headers| text(headers.get(ORIGIN_VERIFY.as_str())?));
    let edge_secret = edge_secret.and_then(|secret| HeaderValue::from_str(&secret).ok());
    let mut context = ApiGatewayV2httpRequestContext::default();
    let method = text(http.method).and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    context.http.method = method.unwrap_or_default();
    context.http.source_ip = http.source_ip;
    context.request_id = Some(request_id);
    Some(minimal_event(text(raw_path), context, edge_secret))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Deadline;
    use crate::http::edge::Edge;
    use crate::lambda::{self, ExecutionEnvironment, Function, Request, Response};

    /// Answers with the address that it was asked.
    struct Echo;

    impl Function for Echo {
        const NAME: &'static str = "echo";

        async fn handle(&self, request: Request) -> Response {
            ::http::Response::new(request.uri().to_string().into())
        }
    }

    fn event() -> Value {
        json!({
            "version": "2.0",
            "routeKey": "POST /a",
            "rawPath": "/a",
            "rawQueryString": "b=c",
            "headers": { "host": "connect.example.com", "x-forwarded-proto": "https" },
            "requestContext": {
                "domainName": "connect.example.com",
                "http": { "method": "POST", "path": "/a", "sourceIp": "203.0.113.7", "userAgent": "made-up" },
                "requestId": "made-up",
                "stage": "$default",
            },
            "isBase64Encoded": false,
        })
    }

    /// Status and body.
    async fn answer(event: &str) -> Result<(u64, String), lambda::Error> {
        let answer = lambda::invoke(
            &Arc::new(ExecutionEnvironment::new(Echo, Edge::default())),
            event,
            "amble-echo",
            "made-up".to_owned(),
            Deadline::after(Duration::from_secs(10)),
        )
        .await?;
        let answer: Value = serde_json::from_str(&answer)?;
        Ok((answer["statusCode"].as_u64().unwrap(), answer["body"].as_str().unwrap_or_default().to_owned()))
    }

    const MALFORMED: &str = r#"{"error":"invalid_request","error_description":"The request is malformed."}"#;

    #[tokio::test]
    async fn malformed_http_is_answered_400() {
        let member = |pointer: &'static str, values: &'static [&'static str]| {
            values.iter().map(move |value| (pointer, Value::from(*value)))
        };
        let malformed = member("/rawQueryString", &["\"", "a=<b>", "a b", "\u{7f}", "#", "\n", "\u{85}"])
            .chain(member(
                "/headers/host",
                &["\"", "a\"b", "<a>", "a b", "a/b", "a?b", "a#b", "@a", "", "a:65536", "[::1", "1.2.3.4.5"],
            ))
            .chain(member("/headers/host", &["a\u{7f}", "a\nb", "ä.example"]))
            .chain(member("/headers/x-forwarded-proto", &["\u{7f}"]))
            .chain(member("/rawPath", &["", "a", ":1", "/a?b", "/a#b", "/a\n", "/\u{7f}"]))
            .chain(member("/body", &["!", "YQ", "YR=="]));
        for (pointer, value) in malformed {
            let mut event = event();
            if let Some(body) = pointer.strip_prefix("/body") {
                assert_eq!(body, "");
                event["body"] = value.clone();
                event["isBase64Encoded"] = true.into();
            } else {
                *event.pointer_mut(pointer).unwrap() = value.clone();
            }
            let answer = answer(&event.to_string()).await.unwrap();
            assert_eq!(answer, (400, MALFORMED.to_owned()), "{pointer} {value}");
        }
        let surrogate = event().to_string().replace("b=c", r"\ud800");
        assert_eq!(answer(&surrogate).await.unwrap().0, 400);
        let long = event().to_string().replace("b=c", &"a".repeat(MAX_HEAD + 1));
        assert_eq!(answer(&long).await.unwrap().0, 400);
    }

    #[tokio::test]
    async fn well_formed_requests_arrive_unchanged() {
        let with = async |pointer: &str, value: &str| {
            let mut event = event();
            *event.pointer_mut(pointer).unwrap() = value.into();
            answer(&event.to_string()).await.unwrap()
        };
        let at = |address: &str| (200, format!("https://{address}"));
        for query in ["a=%22&b='", "{}|^`\\", "a=ä", "a?b/c"] {
            assert_eq!(with("/rawQueryString", query).await, at(&format!("connect.example.com/a?{query}")));
        }
        for host in ["localhost:8787", "[::1]:8787", "127.0.0.1", "a_b.example"] {
            assert_eq!(with("/headers/host", host).await, at(&format!("{host}/a?b=c")));
        }
        assert_eq!(with("/rawPath", "/a b\"ä").await, at("connect.example.com/a%20b%22%C3%A4?b=c"));
        assert_eq!(with("/headers/x-forwarded-proto", "no scheme").await, at("connect.example.com/a?b=c"));
    }

    #[tokio::test]
    async fn foreign_events_are_lambda_errors() {
        for json in ["{}", "null", r#"{"version":"1.0"}"#, r#"{"version":"2.0","requestContext":{}}"#] {
            assert!(answer(json).await.is_err(), "{json}");
        }
    }

    /// Whatever a caller may put where they can: characters that mean something, all others, and much of one.
    fn text() -> impl Strategy<Value = String> {
        let long = (any::<char>(), 0..70_000_usize).prop_map(|(char, times)| char.to_string().repeat(times));
        prop_oneof![
            4 => "[\\x00-\\x7f]{0,12}",
            4 => "[a-z0-9/:@?#%\\[\\]. \"<>\\\\-]{0,16}",
            2 => any::<String>(),
            // Half of a character beyond the first 65,536: JSON may say it, and it is no text.
            1 => Just("HALF".to_owned()),
            1 => long,
        ]
    }

    #[test]
    fn no_request_is_a_lambda_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let path = prop_oneof![text(), text().prop_map(|rest| format!("/{rest}"))];
        let query = || prop_oneof![Just(None), text().prop_map(Some)];
        let headers =
            proptest::collection::vec((prop_oneof!["host", "x-forwarded-proto", "content-type", text()], text()), 0..4);
        let cookies = proptest::collection::vec(text(), 0..3);
        let all = (path, query(), headers, cookies, query(), any::<bool>(), (text(), text()));
        let mut runner = TestRunner::new(Config { cases: 4000, failure_persistence: None, ..Config::default() });

        let outcome = runner.run(&all, |(path, query, headers, cookies, body, base64, (agent, domain))| {
            let mut event = event();
            event["requestContext"]["http"]["path"] = path.as_str().into();
            event["requestContext"]["http"]["userAgent"] = agent.into();
            event["requestContext"]["domainName"] = domain.into();
            event["rawPath"] = path.into();
            if let Some(query) = &query {
                event["rawQueryString"] = query.as_str().into();
                event["queryStringParameters"] = json!({ query: query });
            }
            for (name, value) in headers {
                event["headers"][name] = value.into();
            }
            event["cookies"] = cookies.into();
            event["body"] = body.into();
            event["isBase64Encoded"] = base64.into();
            let event = event.to_string().replace("HALF", r"\ud800");

            let answer = runtime.block_on(answer(&event));

            prop_assert!(answer.is_ok(), "{answer:?}: {event}");
            let (status, address) = answer.unwrap();
            let asked = address.split_once('?').map_or("", |(_, query)| query);
            if status == 200 {
                prop_assert_eq!(asked, query.as_deref().unwrap_or("b=c"));
            } else {
                prop_assert_eq!((status, address.as_str()), (400, MALFORMED));
            }
            Ok(())
        });
        outcome.unwrap();
    }
}
