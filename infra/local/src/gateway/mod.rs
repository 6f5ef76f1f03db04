//! API Gateway's twin: an HTTP API with payload format 2.0, its limits and its own answers.

pub(crate) mod endpoint;
mod error;
mod event;
mod function_response;
pub(crate) mod mapping;
pub(crate) mod raw_query;
pub(crate) mod route;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode, Uri, header};
use axum::response::IntoResponse;
use shared::clock::Clock;
use shared::http::public_paths::PublicPaths;

use error::GatewayError;
use event::{EventContext, PublishedEndpoint};
use raw_query::Peer;
use route::Routes;

use crate::front::Front;
use crate::public_url::PublicUrl;

/// Request line and headers together, in bytes.
const HEAD: usize = 10_240;
/// A body, in bytes.
const BODY: usize = 10 * 1024 * 1024;

/// The API.
pub(crate) struct Gateway {
    /// Who answers what.
    pub(crate) routes: Routes,
    /// What it rewrites before it looks for a route, in place of a proxy in front.
    pub(crate) paths: PublicPaths,
    /// For the events.
    pub(crate) clock: Clock,
    /// Whether `WWW-Authenticate` is renamed, as it may be on AWS.
    pub(crate) renames_challenge: bool,
    /// Headers of requests that something in front of it sets.
    pub(crate) set: &'static [(&'static str, &'static str)],
    /// Headers of answers that it takes away.
    pub(crate) dropped: &'static [&'static str],
    /// What stands in front of it: a tunnel shows it under a host of its own.
    pub(crate) front: Front,
}

impl Gateway {
    /// All requests, whatever they ask for.
    pub(crate) fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(serve).layer(DefaultBodyLimit::max(BODY)).with_state(self)
    }

    async fn answer(
        &self,
        peer: SocketAddr,
        request: Request,
        request_id: &str,
    ) -> Result<Response<Body>, GatewayError> {
        let (mut head, body) = request.into_parts();
        let raw_query = raw_query::take(&mut head.headers);
        for (name, value) in self.set {
            head.headers.insert(*name, HeaderValue::from_static(value));
        }
        if size_of(&head) > HEAD {
            return Err(GatewayError::HeadersTooLarge);
        }
        let authority = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let endpoint = authority.and_then(|authority| self.endpoint(authority)).ok_or(GatewayError::ForeignHost)?;
        head.uri = self.rewritten(&head.uri).ok_or(GatewayError::NoRoute)?;
        let (route, path_parameters) = self.routes.find(&head.method, head.uri.path()).ok_or(GatewayError::NoRoute)?;
        let body = Bytes::from_request(Request::from_parts(head.clone(), body), &()).await.map_err(|error| {
            if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
                GatewayError::BodyTooLarge
            } else {
                GatewayError::BodyBroken
            }
        })?;
        let context = EventContext {
            route_key: &route.key,
            path_parameters,
            query: raw_query.as_deref().or(head.uri.query()).unwrap_or_default(),
            peer: peer.ip(),
            endpoint,
            now: self.clock.now(),
            request_id,
        };
        let event = event::of(&head, &body, context).map_err(|error| GatewayError::Failed(error.to_string()))?;
        let answer = route.endpoint.invoke(event).await?;
        let mut answer = function_response::into_http(&answer, &route.mapping, self.renames_challenge)?;
        for name in self.dropped {
            answer.headers_mut().remove(*name);
        }
        Ok(answer)
    }

    /// Where a request with this `Host` reached it. API Gateway answers 403 for hosts that are not its own; here that also keeps out
    /// pages whose name was pointed at this machine (DNS rebinding). A tunnel may put a host of this machine in place of its own.
    fn endpoint<'a>(&'a self, authority: &'a str) -> Option<PublishedEndpoint<'a>> {
        let host = host_of(authority)?;
        let is_loopback = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        match self.front.public_url().map(PublicUrl::host) {
            Some(public) if is_loopback || host.eq_ignore_ascii_case(public) => {
                Some(PublishedEndpoint { host: public, scheme: "https", port: "443" })
            }
            None if is_loopback => {
                let port = authority.strip_prefix(host).and_then(|rest| rest.strip_prefix(':')).unwrap_or("80");
                Some(PublishedEndpoint { host, scheme: "http", port })
            }
            _ => None,
        }
    }

    /// What a proxy in front would make of an address. `None` for one that belongs to the product beside which we are.
    fn rewritten(&self, uri: &Uri) -> Option<Uri> {
        let path = self.paths.to_api(uri.path())?;
        if path == uri.path() {
            return Some(uri.clone());
        }
        let target = uri.query().map_or_else(|| path.to_string(), |query| format!("{path}?{query}"));
        Uri::builder().path_and_query(target).build().ok()
    }
}

/// Answers one request of `peer`.
pub(crate) async fn serve(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
) -> Response<Body> {
    let request_id = event::request_id();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = gateway.answer(peer, request, &request_id).await.unwrap_or_else(|error| {
        if let GatewayError::Failed(reason) = &error {
            tracing::error!(%method, path, reason, "the function failed");
        } else {
            tracing::info!(%method, path, ?error, "the gateway refused");
        }
        error.into_response()
    });
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(event::REQUEST_ID, request_id);
    }
    response
}

/// As it was on the wire: `GET /path HTTP/1.1`, then `name: value` each, every line with its end.
fn size_of(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = head.method.as_str().len() + 1 + target + " HTTP/1.1\r\n".len();
    line + head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// A host and a port without the port.
fn host_of(authority: &str) -> Option<&str> {
    match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => authority.get(..colon),
        _ => Some(authority),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tower::ServiceExt;

    use super::endpoint::Endpoint;
    use super::mapping::Mapping;
    use super::*;

    fn gateway(routes: Routes, public_url: Option<&str>) -> Gateway {
        let front = public_url.map_or(Front::Nothing, |url| Front::Tunnel(PublicUrl::parse(url).unwrap()));
        let (paths, clock) = (PublicPaths::default(), Clock::system());
        Gateway { routes, paths, clock, renames_challenge: false, set: &[], dropped: &[], front }
    }

    async fn answer_to(request: axum::http::request::Builder, body: Vec<u8>) -> (u16, String) {
        let mut routes = Routes::default();
        // Its function always fails: 500 is what shows that a request got through to it.
        assert!(routes.add("POST", "/a", Endpoint::failing(), Mapping::default()));
        let gateway = gateway(routes, None);
        let peer = ConnectInfo(Peer(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))));
        let answer =
            Arc::new(gateway).router().oneshot(request.extension(peer).body(Body::from(body)).unwrap()).await.unwrap();
        assert!(answer.headers().contains_key("apigw-requestid"));
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_gateway_answers_errors_by_itself() {
        let to = |path: &str| Request::builder().method("POST").uri(path).header("host", "localhost");
        // `POST /a HTTP/1.1`, `host: localhost` and `x: …`, each with two bytes for its end, come to 10,240 bytes.
        let filled = |length: usize| to("/a").header("x", "a".repeat(length));
        let most = HEAD - "POST /a HTTP/1.1\r\nhost: localhost\r\nx: \r\n".len();
        for (request, body, status, message) in [
            (to("/a"), 0, 500, "Internal Server Error"),
            (filled(most), 0, 500, "Internal Server Error"),
            (filled(most + 1), 0, 431, "Request Header Fields Too Large"),
            (to("/a"), BODY, 500, "Internal Server Error"),
            (to("/a"), BODY + 1, 413, "Request Entity Too Large"),
            (to("/b"), BODY + 1, 404, "Not Found"),
            (Request::post("/a").header("host", "evil.example"), 0, 403, "Forbidden"),
            (Request::post("/a"), 0, 403, "Forbidden"),
        ] {
            let expected = format!(r#"{{"message":"{message}"}}"#);
            assert_eq!(answer_to(request, vec![b'a'; body]).await, (status, expected));
        }
    }

    #[test]
    fn only_loopback_hosts_are_ours() {
        let gateway = gateway(Routes::default(), None);
        for (authority, expected) in [
            ("localhost:8787", Some(("localhost", "http", "8787"))),
            ("localhost", Some(("localhost", "http", "80"))),
            ("127.0.0.1:1", Some(("127.0.0.1", "http", "1"))),
            ("[::1]:8787", Some(("[::1]", "http", "8787"))),
            ("[::1]", Some(("[::1]", "http", "80"))),
            ("localhost.evil.example:8787", None),
            ("evil.example", None),
            ("", None),
        ] {
            let found = gateway.endpoint(authority).map(|endpoint| (endpoint.host, endpoint.scheme, endpoint.port));
            assert_eq!(found, expected, "{authority}");
        }
    }

    /// Whichever host the tunnel names, it is the public one that was asked, by https.
    #[test]
    fn public_host_is_ours_beside_loopback() {
        let gateway = gateway(Routes::default(), Some("https://connect.example.com"));
        let public = Some(("connect.example.com", "https", "443"));
        for (authority, expected) in [
            ("connect.example.com", public),
            ("Connect.Example.com:443", public),
            ("localhost:8787", public),
            ("127.0.0.1:8787", public),
            ("evil.example", None),
            ("connect.example.com.evil.example", None),
            ("a.connect.example.com", None),
        ] {
            let found = gateway.endpoint(authority).map(|endpoint| (endpoint.host, endpoint.scheme, endpoint.port));
            assert_eq!(found, expected, "{authority}");
        }
    }
}
