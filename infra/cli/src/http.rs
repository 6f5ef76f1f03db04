//! HTTP to AWS as the operator's machine does it: through its proxy (`HTTPS_PROXY`, `NO_PROXY`), trusting whom the machine trusts.

use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// How long a connection may take: a proxy may be far.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For all clients of the SDK. Those that ask the machine itself for credentials say how long they read, and are given that.
pub(crate) fn client() -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = SharedHttpConnector::new(OperatorConnector {
        proxied: connector(&settings, ProxyConfig::from_env()),
        direct: connector(&settings, ProxyConfig::disabled()),
    });
    http_client_fn(move |settings, _| match settings.read_timeout() {
        Some(_) => SharedHttpConnector::new(self::connector(settings, ProxyConfig::disabled())),
        None => connector.clone(),
    })
}

/// Chooses by scheme. Without TLS only this machine and its like are called, for tables and credentials: no proxy may see them.
#[derive(Debug)]
struct OperatorConnector {
    proxied: Connector,
    direct: Connector,
}

impl HttpConnector for OperatorConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.uri().starts_with("http://") { self.direct.call(request) } else { self.proxied.call(request) }
    }
}

fn connector(settings: &HttpConnectorSettings, proxy: ProxyConfig) -> Connector {
    Connector::builder()
        .connector_settings(settings.clone())
        .sleep_impl(TokioSleep::new())
        .proxy_config(proxy)
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build()
}
