//! The way from a function to AWS: where the services are, as whom they are asked, and the connections to them.
//!
//! Lambda gives all of it in variables, so nothing is looked for: no profile, no metadata service, no role of another account.

mod connections;

use std::env;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, IdentityCache, Region, SharedCredentialsProvider, SharedHttpClient,
};
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use aws_types::SdkConfig;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use connections::Connections;

/// How long a connection may take, TLS included: as much of a try as leaves time for the answer.
pub(crate) const CONNECT: Duration = Duration::from_millis(500);

/// The way that Lambda's variables describe.
pub(crate) struct Way {
    config: SdkConfig,
    connections: Connections,
}

impl Way {
    pub(crate) fn of_lambda() -> Self {
        let connections = Connections::trusting(variable("SSL_CERT_FILE").map(Into::into));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(variable("AWS_REGION").map(Region::new))
            .credentials_provider(SharedCredentialsProvider::new(Variables))
            // They are read from the variables: nothing is to be kept for later.
            .identity_cache(IdentityCache::no_cache())
            .service_config(Variables)
            .http_client(SharedHttpClient::new(connections.clone()))
            .build();
        Self { config, connections }
    }

    pub(crate) const fn config(&self) -> &SdkConfig {
        &self.config
    }

    /// Opens a connection to DynamoDB for a function that has tables. Whoever asks a table opens one anyway, if this fails.
    pub(crate) async fn to_tables(&self) {
        if !env::vars_os().any(|(name, _)| name.as_encoded_bytes().starts_with(b"TABLE_")) {
            return;
        }
        let place = Params::builder()
            .set_region(self.config.region().map(ToString::to_string))
            .set_endpoint(address("AWS_ENDPOINT_URL", "DynamoDB"))
            .use_dual_stack(false)
            .use_fips(false)
            .build();
        let Ok(place) = place else { return };
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
        let opened = match DefaultResolver::new().resolve_endpoint(&place).await {
            Ok(endpoint) => self.connections.prepare(endpoint.url(), &settings).await,
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            tracing::warn!(%error, "no connection to DynamoDB yet");
        }
    }
}

/// Connections of one's own, to any service. They belong to the runtime that opened them.
#[must_use]
pub fn http_client() -> SharedHttpClient {
    SharedHttpClient::new(Connections::default())
}

/// The environment of the process.
#[derive(Debug)]
struct Variables;

/// Kept by Lambda for as long as the execution environment lives.
impl ProvideCredentials for Variables {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(credentials())
    }
}

fn credentials() -> provider::Result {
    let required = |name| variable(name).ok_or_else(|| CredentialsError::not_loaded(format!("{name} is not set")));
    let (id, secret) = (required("AWS_ACCESS_KEY_ID")?, required("AWS_SECRET_ACCESS_KEY")?);
    Ok(Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "Lambda"))
}

/// `AWS_ENDPOINT_URL_DYNAMODB`, `…_KMS` and the like: a service that is not where its region says.
impl LoadServiceConfig for Variables {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        address(key.env(), key.service_id())
    }
}

fn address(variable_name: &str, service: &str) -> Option<String> {
    let service = service.to_uppercase().replace(' ', "_");
    variable(&format!("{variable_name}_{service}")).or_else(|| variable(variable_name))
}

#[expect(clippy::disallowed_methods, reason = "this is where Lambda's own settings come in")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
