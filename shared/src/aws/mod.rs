//! The way from a function to AWS: where the services are, as whom they are asked, and how one call is made.
//!
//! What an operation's request and answer look like is the SDK's to know (items are read by a shorter way as well), and so are the
//! services' addresses and which errors are worth another try. What lies between is ours: the SDK's orchestrator serves every service
//! and every need, builds itself anew for each call, and takes more of the processor than the call does (README, What it costs to run).

pub mod connections;
mod items;
pub mod patience;
mod question;
mod service;
mod signature;

use std::env;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::identity::Identity;

pub(crate) use service::{Kms, Lambda, Service};

use connections::Connections;
use patience::{Patience, Spare};
use service::{DynamoDb, Failure};

/// How long a connection may take, TLS included: as much of a try as leaves time for the answer.
const CONNECT: Duration = Duration::from_millis(500);

/// DynamoDB, as a function asks it.
pub(crate) type Dynamo = Service<DynamoDb>;

/// The way to all services.
#[derive(Clone)]
pub struct Way(Arc<Inner>);

struct Inner {
    region: Region,
    credentials: SharedCredentialsProvider,
    identity: Mutex<Option<Identity>>,
    connector: SharedHttpConnector,
    patience: Patience,
    spare: Spare,
    elsewhere: Box<Elsewhere>,
}

/// A region, and which of its endpoints.
#[derive(Debug)]
pub struct Region {
    /// Such as `eu-central-1`.
    pub name: String,
    /// Those with cryptography that the United States have validated (FIPS 140).
    pub fips: bool,
    /// Those that IPv6 reaches as well.
    pub dual_stack: bool,
}

impl From<&str> for Region {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), fips: false, dual_stack: false }
    }
}

/// The address of a service, by the SDK's name of it, that is not where its region says.
type Elsewhere = dyn Fn(&str) -> Option<String> + Send + Sync;

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("region", &self.0.region).finish_non_exhaustive()
    }
}

impl Way {
    /// To the services of `region`, as whom `credentials` say, but to those that are `elsewhere`.
    pub fn new(
        region: impl Into<Region>,
        credentials: SharedCredentialsProvider,
        connector: SharedHttpConnector,
        patience: Patience,
        elsewhere: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let (region, elsewhere) = (region.into(), Box::new(elsewhere));
        let (identity, spare) = (Mutex::default(), Spare::default());
        Self(Arc::new(Inner { region, credentials, identity, connector, patience, spare, elsewhere }))
    }

    /// That which Lambda's variables describe: nothing is looked for, no profile, no metadata service, no role of another account.
    pub(crate) fn of_lambda(connections: &Connections) -> Self {
        let region = variable("AWS_REGION").unwrap_or_default();
        let connector = SharedHttpConnector::new(connections.clone());
        let credentials = SharedCredentialsProvider::new(Variables);
        Self::new(region.as_str(), credentials, connector, Patience::OF_A_PERSON, |service| {
            let service = service.to_uppercase().replace(' ', "_");
            variable(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| variable("AWS_ENDPOINT_URL"))
        })
    }

    /// Whoever asks, until shortly before their credentials expire.
    async fn identity(&self) -> Result<Identity, Failure> {
        /// Longer than a call can take.
        const AHEAD: Duration = Duration::from_mins(1);

        let kept = self.0.identity.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let lasts = |identity: &Identity| identity.expiration().is_none_or(|end| end > signed_at() + AHEAD);
        if let Some(identity) = kept.filter(lasts) {
            return Ok(identity);
        }
        // They may come from far: an operator's sign-in, a role of another account.
        let asked = tokio::time::timeout(Duration::from_secs(30), self.0.credentials.provide_credentials());
        let identity = Identity::from(asked.await.map_err(|_| "no credentials within 30 seconds")??);
        *self.0.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity.clone());
        Ok(identity)
    }
}

impl Connections {
    /// To services that the authorities of `SSL_CERT_FILE` vouch for, if it is set.
    pub(crate) fn of_lambda() -> Self {
        Self::trusting(variable("SSL_CERT_FILE").map(Into::into))
    }
}

/// Opens a connection to DynamoDB for a function that has tables. Whoever asks a table opens one anyway, if this fails.
pub(crate) async fn open_to_tables(way: &Way, connections: &Connections) {
    if !env::vars_os().any(|(name, _)| name.as_encoded_bytes().starts_with(b"TABLE_")) {
        return;
    }
    let opened = async { connections.prepare(Dynamo::new(way).endpoint().await?.url()).await };
    if let Err(error) = opened.await {
        tracing::warn!(%error, "no connection to DynamoDB yet");
    }
}

/// AWS compares it with its own time, so it is the machine's and no test turns it.
#[expect(clippy::disallowed_methods, reason = "a signature's time is no matter of the request's")]
fn signed_at() -> SystemTime {
    SystemTime::now()
}

/// The environment of the process, kept by Lambda for as long as the execution environment lives.
#[derive(Debug)]
struct Variables;

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

#[expect(clippy::disallowed_methods, reason = "this is where Lambda's own settings come in")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
