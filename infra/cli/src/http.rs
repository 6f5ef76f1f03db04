//! HTTP to AWS as the operator's machine does it: through its proxy (`HTTPS_PROXY`, `NO_PROXY`), and trusting whom it trusts.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Request, Response};

/// A proxy may be far.
const CONNECT: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// For the SDK's clients and for the tables.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    proxied: Client,
    direct: Client,
    limit: Option<Duration>,
}

impl Http {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        // Fails only when it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = || Client::builder().redirect(Policy::none()).connect_timeout(CONNECT);
        Ok(Self { proxied: client().build()?, direct: client().no_proxy().build()?, limit: None })
    }

    /// With the limits of whoever asks, if they say how long an answer may take: those who ask machines for credentials do.
    pub(crate) fn within(&self, settings: &HttpConnectorSettings) -> Self {
        let limit = settings.read_timeout().map(|read| read + settings.connect_timeout().unwrap_or(CONNECT));
        Self { limit, ..self.clone() }
    }
}

impl HttpConnector for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Without TLS only this machine and its like are asked, for credentials: no proxy may see them.
        let is_direct = request.uri().starts_with("http://");
        let (client, limit) = (if is_direct { &self.direct } else { &self.proxied }.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            let mut request = outgoing(request).map_err(ConnectorError::user)?;
            *request.timeout_mut() = limit;
            let answer = client.execute(request).await.map_err(|error| match error {
                error if error.is_timeout() => ConnectorError::timeout(error.into()),
                error if error.is_connect() => ConnectorError::io(error.into()).never_connected(),
                error => ConnectorError::io(error.into()),
            })?;
            incoming(answer).map_err(|error| ConnectorError::other(error, None))
        })
    }
}

fn outgoing(request: HttpRequest) -> Result<Request, Failure> {
    let request = request.try_into_http1x()?;
    Ok(Request::try_from(request.map(Body::wrap))?)
}

fn incoming(answer: Response) -> Result<HttpResponse, Failure> {
    Ok(http::Response::<Body>::from(answer).map(SdkBody::from_body_1_x).try_into()?)
}
