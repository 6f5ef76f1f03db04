//! The AWS SDK's clients: the settings that they share, and how each is built from them. A function builds each once per cold start.

mod call_timer;
mod close_connection;
pub mod error;
pub mod http_connector;
mod transaction_conflict;

use std::env;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_runtime::env_config::EnvConfigValue;
use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Endpoint, Params, ResolveEndpoint};
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_dynamodb::config::{SharedAsyncSleep, SharedCredentialsProvider, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::os_shim_internal::Env;
use aws_types::sdk_config::Builder;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use call_timer::CallTimer;
use close_connection::CloseConnection;
use error::AwsConfigError;
use http_connector::CONNECT_TIMEOUT;
use transaction_conflict::TransactionConflict;

/// What Lambda's variables say: region, credentials, FIPS and dual-stack endpoints, and endpoints of one's own. Nothing else is
/// looked for: no profile, no metadata service, no role of another account.
///
/// # Errors
/// When no region is named, or a variable says neither `true` nor `false`.
pub(crate) fn sdk_config_from_lambda(connector: &SharedHttpConnector) -> Result<SdkConfig, AwsConfigError> {
    let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
    Ok(sdk_config_from(Env::real(), connector)?.credentials_provider(credentials).build())
}

fn sdk_config_from(variables: Env, connector: &SharedHttpConnector) -> Result<Builder, AwsConfigError> {
    let region = variables.get("AWS_REGION").ok().filter(|region| !region.is_empty());
    let region = Region::new(region.ok_or(AwsConfigError::NoRegion)?);
    let mut config = sdk_config(connector).region(region);
    config.set_use_fips(parse_bool(&variables, "AWS_USE_FIPS_ENDPOINT")?);
    config.set_use_dual_stack(parse_bool(&variables, "AWS_USE_DUALSTACK_ENDPOINT")?);
    Ok(config.service_config(EndpointUrls(variables)))
}

/// The settings that all callers share: the time limits and retries of a request that somebody waits for.
#[must_use]
pub fn sdk_config(connector: &SharedHttpConnector) -> Builder {
    let connector = connector.clone();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SystemTimeSource::new())
        .timeout_config(request_timeouts())
        .retry_config(retries())
        // An attempt's own limit covers the answer's body as well.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// A client waits 10 s for a token (Claude's own limit) and a person for a page. The slowest request makes four calls, so each gets
/// two seconds in all. A service that is silent is given up after two attempts and the beginning of a third.
fn request_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_millis(900))
        .operation_timeout(Duration::from_secs(2))
        .build()
}

/// How often a call is made before its failure is told.
pub const MAX_ATTEMPTS: u32 = 5;

/// Reads and conditional writes may be repeated: the condition holds only once. What fails is answered in milliseconds, and
/// the pauses are random parts of 50, 100, 200 and 400 ms (full jitter): 750 ms at most in all. So five attempts fit into the two
/// seconds of a call. One call in three million fails when five of a hundred are throttled; with two attempts it is one in 400.
#[must_use]
pub fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS).with_initial_backoff(Duration::from_millis(50))
}

/// The SDK's quota of further attempts, so that a service that is down is not called several times as often as before: 50 after a
/// failure, 100 after throttling. A conflict of transactions takes nothing of it ([`TransactionConflict`]): it says nothing of how
/// the service is. Each client has its own: by default all clients of a process share one, and several systems may run in one
/// process.
fn retry_quota(service: &'static str) -> RetryPartition {
    RetryPartition::custom(service).token_bucket(TokenBucket::builder().retry_cost(0).build()).build()
}

/// The tables.
#[must_use]
pub(crate) fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config)
        .interceptor(CallTimer("DynamoDB"))
        .retry_classifier(TransactionConflict)
        .retry_partition(retry_quota("DynamoDB"));
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// The signing keys.
#[must_use]
pub(crate) fn kms(config: &SdkConfig) -> aws_sdk_kms::Client {
    let config =
        aws_sdk_kms::config::Builder::from(config).interceptor(CallTimer("KMS")).retry_partition(retry_quota("KMS"));
    aws_sdk_kms::Client::from_conf(config.build())
}

/// Secrets that are in no variable.
#[must_use]
pub(crate) fn secrets_manager(config: &SdkConfig) -> aws_sdk_secretsmanager::Client {
    let config = aws_sdk_secretsmanager::config::Builder::from(config)
        .interceptor(CallTimer("SecretsManager"))
        .retry_partition(retry_quota("SecretsManager"));
    aws_sdk_secretsmanager::Client::from_conf(config.build())
}

/// The client for functions that tenants wrote. The caller sets the time limit. Nothing is retried: a
/// function may act on the first attempt although its response is lost. For the same reason no connection is
/// kept: a request on a dead connection would be lost.
#[must_use]
pub(crate) fn lambda(config: &SdkConfig) -> aws_sdk_lambda::Client {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT);
    let config = aws_sdk_lambda::config::Builder::from(config)
        .interceptor(CallTimer("Lambda"))
        .interceptor(CloseConnection)
        .timeout_config(timeouts.disable_operation_attempt_timeout().disable_operation_timeout().build())
        .retry_config(RetryConfig::disabled());
    aws_sdk_lambda::Client::from_conf(config.build())
}

/// Opens a connection to DynamoDB during the start, if the function has tables: Lambda gives a start a whole
/// processor. If it fails, the first request opens one.
pub(crate) async fn open_connection_to_tables(connector: &SharedHttpConnector, config: &SdkConfig) {
    if !env::vars_os().any(|(name, _)| name.as_encoded_bytes().starts_with(b"TABLE_")) {
        return;
    }
    let opened = async { http_connector::open_connection(connector, dynamodb_endpoint(config).await?.url()).await };
    if let Err(error) = opened.await {
        tracing::warn!(%error, "no connection to DynamoDB yet");
    }
}

/// The endpoint that the client of [`dynamodb`] uses, by the SDK's own rules.
async fn dynamodb_endpoint(config: &SdkConfig) -> Result<Endpoint, BoxError> {
    let key =
        ServiceConfigKey::builder().service_id("DynamoDB").env("AWS_ENDPOINT_URL").profile("endpoint_url").build()?;
    let parameters = Params::builder()
        .set_region(config.region().map(ToString::to_string))
        .set_use_fips(config.use_fips())
        .set_use_dual_stack(config.use_dual_stack())
        .set_endpoint(config.service_config().and_then(|settings| settings.load_config(key)))
        .build()?;
    DefaultResolver::new().resolve_endpoint(&parameters).await
}

/// `AWS_ENDPOINT_URL_DYNAMODB` and its like, and `AWS_ENDPOINT_URL` (AWS SDKs and tools reference guide, "Service-specific
/// endpoints").
#[derive(Debug)]
struct EndpointUrls(Env);

impl LoadServiceConfig for EndpointUrls {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let value = EnvConfigValue::new().env(key.env()).service_id(key.service_id());
        value.load(&self.0, None).map(|(value, _)| value.into_owned()).filter(|value| !value.is_empty())
    }
}

/// A variable that says `true` or `false`, if it is set.
fn parse_bool(variables: &Env, name: &'static str) -> Result<Option<bool>, AwsConfigError> {
    match variables.get(name).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(AwsConfigError::NotBoolean(name)),
    }
}

#[cfg(test)]
mod tests;
