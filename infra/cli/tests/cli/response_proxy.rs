//! Something in front of the local system, at the issuer's address, that does to answers whatever a test wants.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use local::front::Front;
use local::{Options, System};

/// The front, and the system behind it.
pub(crate) struct ResponseProxy {
    pub(crate) origin: String,
    _system: System,
    inner: Inner,
}

/// What is done to answers.
pub(crate) type Change = Arc<dyn Fn(&ProxiedRequest, Answer) -> Answer + Send + Sync>;

#[derive(Clone)]
struct Inner {
    origin: String,
    to: Arc<Mutex<String>>,
    http: reqwest::Client,
    change: Arc<Mutex<Option<Change>>>,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct ProxiedRequest {
    /// Of the front.
    pub(crate) origin: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: String,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl ResponseProxy {
    pub(crate) async fn start() -> Self {
        Self::start_with(|options, origin| options.front = Front::Proxy(origin.to_owned())).await
    }

    /// Of a system with such options; the front's origin is told.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Options, &str)) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let inner = Inner { origin: origin.clone(), to: Arc::default(), http, change: Arc::default() };
        let mut options = Options { demo: true, ..Options::default() };
        change(&mut options, &origin);
        let system = System::start(options).await.unwrap();
        system.local_origin().clone_into(&mut inner.to.lock().unwrap());
        let router = Router::new().fallback(pass).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, _system: system, inner }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/api/mcp/server", self.origin)
    }

    /// From now on, this is done to every answer.
    pub(crate) fn set_change(&self, change: Option<Change>) {
        *self.inner.change.lock().unwrap() = change;
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        let mut answer = self.without(name);
        answer.headers.push((name.to_owned(), value.to_owned()));
        answer
    }

    pub(crate) fn replacing(mut self, what: &str, by: &str) -> Self {
        self.body = self.body.replace(what, by);
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// A page in its stead.
    pub(crate) fn page(status: u16, text: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        Self { status, headers, body: format!("<!doctype html><h1>{text}</h1>") }
    }

    pub(crate) fn redirect(status: u16, to: &str) -> Self {
        Self { status, headers: vec![("location".to_owned(), to.to_owned())], body: String::new() }
    }
}

async fn pass(State(inner): State<Inner>, request: Request) -> Response<Body> {
    let (asked, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let to = inner.to.lock().unwrap().clone();
    let target = asked.uri.path_and_query().unwrap().as_str();
    let mut headers = asked.headers.clone();
    headers.remove("host");
    let sent = inner.http.request(asked.method.clone(), format!("{to}{target}")).headers(headers).body(body.clone());
    let heard = sent.send().await.unwrap();
    let status = heard.status().as_u16();
    let headers =
        heard.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let answer = Answer { status, headers, body: heard.text().await.unwrap() };
    let asked = ProxiedRequest {
        origin: inner.origin.clone(),
        method: asked.method.to_string(),
        path: asked.uri.path().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let change = inner.change.lock().unwrap().clone();
    let answer = change.map_or(answer.clone(), |change| change(&asked, answer));
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(answer.body)).unwrap()
}
