//! The settings of a deployment and the clients of AWS, read and made once per cold start.

use std::sync::OnceLock;

use aws_config::SdkConfig;
use thiserror::Error;

use crate::aws::{self, error::AwsConfigError};
use crate::clock::Clock;
use crate::http::public_paths::PublicPaths;
use crate::invoker::Invoker;
use crate::oauth::issuer::Issuer;
use crate::oauth::refresh_token::RefreshTokenKey;
use crate::oauth::requested_scopes::RequestedScopes;
use crate::oauth::resource::ResourceServer;
use crate::oauth::vouched_hosts::VouchedHosts;
use crate::signing_keys::derived_secret;
use crate::signing_keys::keyring::{Keyring, PublicKeys};
use crate::signing_keys::signer::Signer;
use crate::store::activity::Activities;
use crate::store::api_keys::ApiKeys;
use crate::store::budgets::Budgets;
use crate::store::clients::Clients;
use crate::store::directory::Directory;
use crate::store::grants::Grants;
use crate::store::workspace::Workspaces;
use crate::stored_secret::StoredSecret;
use crate::upstream_error::UpstreamError;

/// Everything a function is given: its variables, clients of AWS, and the time.
///
/// A function takes from here only what `template.yaml` grants it.
pub struct Environment {
    variables: Box<Lookup>,
    aws: SdkConfig,
    dynamodb: OnceLock<aws_sdk_dynamodb::Client>,
    kms: OnceLock<aws_sdk_kms::Client>,
    clock: Clock,
}

/// Looks a setting up by its name.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A setting is missing or makes no sense.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No value was given.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The value is not valid.
    #[error("{0} is not usable: {1}")]
    Unusable(&'static str, &'static str),
    /// The clients of AWS cannot be configured.
    #[error(transparent)]
    Aws(#[from] AwsConfigError),
    /// The signing keys could not be fetched.
    #[error(transparent)]
    Keys(#[from] UpstreamError),
}

impl Environment {
    /// From the variables that Lambda gives.
    pub(crate) fn from_lambda(aws: &SdkConfig) -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is where settings come in")]
        Self::new(|name| std::env::var(name).ok(), aws, Clock::system())
    }

    /// From settings by name, the configuration of AWS's clients, and a clock.
    pub fn new(
        variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        aws: &SdkConfig,
        clock: Clock,
    ) -> Self {
        let (dynamodb, kms) = (OnceLock::new(), OnceLock::new());
        Self { variables: Box::new(variables), aws: aws.clone(), dynamodb, kms, clock }
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.dynamodb.get_or_init(|| aws::dynamodb(&self.aws)).clone()
    }

    fn kms(&self) -> aws_sdk_kms::Client {
        self.kms.get_or_init(|| aws::kms(&self.aws)).clone()
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// When it is not set.
    pub fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    /// The value of a setting that may be left out. An empty value is no value: a template cannot leave one out.
    #[must_use]
    pub fn optional(&self, name: &'static str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    /// Tells the time.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// `ISSUER`: the issuer identifier.
    ///
    /// # Errors
    /// When it is missing or not an origin.
    pub fn issuer(&self) -> Result<Issuer, ConfigError> {
        let issuer = self.required("ISSUER")?;
        Issuer::parse(&issuer).ok_or(ConfigError::Unusable("ISSUER", "an https origin without path or trailing slash"))
    }

    /// `RESOURCE_URL`: where the MCP server is, if not at the issuer's origin.
    ///
    /// # Errors
    /// When it is no such address, or the issuer is missing.
    pub fn resource_server(&self) -> Result<ResourceServer, ConfigError> {
        let issuer = self.issuer()?;
        let Some(url) = self.optional("RESOURCE_URL") else { return Ok(ResourceServer::at_issuer(issuer)) };
        let rule = "an https origin with /api/mcp/server after it";
        ResourceServer::parse(issuer, &url).ok_or(ConfigError::Unusable("RESOURCE_URL", rule))
    }

    /// `ADMIN_PATH` and `AUTH_PATH`: where people find the console and the sign-in page.
    ///
    /// # Errors
    /// When one of them cannot be used, or not beside the other.
    pub fn public_paths(&self) -> Result<PublicPaths, ConfigError> {
        let given = |name, of_api: &str| self.optional(name).unwrap_or_else(|| of_api.to_owned());
        let [admin, auth] = [("ADMIN_PATH", PublicPaths::ADMIN), ("AUTH_PATH", PublicPaths::AUTH)];
        let paths = PublicPaths::parse(&given(admin.0, admin.1), &given(auth.0, auth.1));
        let rule =
            "with AUTH_PATH two paths of lower-case words, neither below the other nor below what else is served";
        paths.ok_or(ConfigError::Unusable("ADMIN_PATH", rule))
    }

    /// `VOUCHED_HOSTS`: the hosts whose clients are vouched for; those of the pinned documents if it is not set.
    ///
    /// # Errors
    /// When one of them is no host.
    pub fn vouched_hosts(&self) -> Result<VouchedHosts, ConfigError> {
        let Some(hosts) = self.optional("VOUCHED_HOSTS") else { return Ok(VouchedHosts::default()) };
        let rule = "hosts in lower case beyond the own machine, separated by commas";
        VouchedHosts::parse(&hosts).ok_or(ConfigError::Unusable("VOUCHED_HOSTS", rule))
    }

    /// `DEFAULT_SCOPES`: the scopes of a first connection.
    ///
    /// # Errors
    /// When a word is no scope that a client can be given, or no permission is among them.
    pub fn default_scopes(&self) -> Result<RequestedScopes, ConfigError> {
        let Some(text) = self.optional("DEFAULT_SCOPES") else { return Ok(RequestedScopes::DEFAULT) };
        let rule = "scopes that a client can be given, separated by spaces, one permission among them";
        let scopes = RequestedScopes::parse(&text).ok().flatten();
        let is_known = |word: &str| !RequestedScopes::from_stored(word).scopes().is_empty();
        scopes.filter(|_| text.split(' ').all(is_known)).ok_or(ConfigError::Unusable("DEFAULT_SCOPES", rule))
    }

    /// The secret in Secrets Manager whose ARN the variable `name` has. None if it has none.
    pub(crate) fn stored_secret(&self, name: &'static str) -> Option<StoredSecret> {
        Some(StoredSecret::new(aws::secrets_manager(&self.aws), self.optional(name)?))
    }

    /// `PRODUCT_NAME`: what pages call the product.
    ///
    /// # Errors
    /// When it is missing.
    pub fn product_name(&self) -> Result<String, ConfigError> {
        self.required("PRODUCT_NAME")
    }

    /// The table of `TABLE_CLIENTS`.
    ///
    /// # Errors
    /// When the table is not named.
    pub fn clients(&self) -> Result<Clients, ConfigError> {
        Ok(Clients::new(self.dynamodb(), self.required("TABLE_CLIENTS")?))
    }

    /// The table of `TABLE_GRANTS`.
    ///
    /// # Errors
    /// When the table is not named.
    pub fn grants(&self) -> Result<Grants, ConfigError> {
        Ok(Grants::new(self.dynamodb(), self.required("TABLE_GRANTS")?))
    }

    /// The table of `TABLE_KEYS`.
    ///
    /// # Errors
    /// When the table is not named.
    pub fn keys(&self) -> Result<ApiKeys, ConfigError> {
        Ok(ApiKeys::new(self.dynamodb(), self.required("TABLE_KEYS")?))
    }

    /// The table of `TABLE_DIRECTORY`.
    ///
    /// # Errors
    /// When the table is not named.
    pub fn directory(&self) -> Result<Directory, ConfigError> {
        Ok(Directory::new(self.dynamodb(), self.required("TABLE_DIRECTORY")?))
    }

    /// The table of `TABLE_WORKSPACE`. Operators learn from that of `TABLE_DIRECTORY` where a tenant's items lie.
    ///
    /// # Errors
    /// When a table is not named.
    pub fn workspaces(&self) -> Result<Workspaces, ConfigError> {
        Ok(Workspaces::new(self.dynamodb(), self.required("TABLE_WORKSPACE")?, self.directory()?))
    }

    /// The budgets of people and tenants, in the table of `TABLE_WORKSPACE`: `BUDGET_PERCENT` of what they are by default.
    ///
    /// # Errors
    /// When the table is not named, or the percentage is no number.
    pub fn budgets(&self) -> Result<Budgets, ConfigError> {
        let rule = "a whole number of percent";
        let percent = match self.optional("BUDGET_PERCENT") {
            Some(percent) => percent.parse().map_err(|_| ConfigError::Unusable("BUDGET_PERCENT", rule))?,
            None => 100,
        };
        Ok(Budgets::new(self.dynamodb(), self.required("TABLE_WORKSPACE")?, percent))
    }

    /// The table of `TABLE_ACTIVITY`.
    ///
    /// # Errors
    /// When the table is not named.
    pub fn activities(&self) -> Result<Activities, ConfigError> {
        Ok(Activities::new(self.dynamodb(), self.required("TABLE_ACTIVITY")?))
    }

    /// The keys of `SIGNING_KEYS`, in its order: the first signs. Their public halves are fetched when they are asked for.
    ///
    /// # Errors
    /// When none is named.
    pub fn keyring(&self) -> Result<Keyring, ConfigError> {
        Ok(Keyring::new(self.kms(), &self.required("SIGNING_KEYS")?))
    }

    /// The public halves of all keys of `SIGNING_KEYS`.
    ///
    /// # Errors
    /// When none is named or KMS does not give one.
    pub async fn public_keys(&self) -> Result<PublicKeys, ConfigError> {
        Ok(self.keyring()?.fetch().await?)
    }

    /// Signs with the first key of `SIGNING_KEYS`.
    ///
    /// # Errors
    /// As [`Self::public_keys`].
    pub async fn signer(&self) -> Result<Signer, ConfigError> {
        Ok(Signer::fetch(self.keyring()?).await?)
    }

    /// What binds refresh tokens to what they say of themselves, derived of the HMAC key of `REFRESH_TOKEN_KEY`. KMS is asked once, on
    /// the connection that other keys were fetched on.
    ///
    /// # Errors
    /// When the key is not named or KMS does not answer.
    pub async fn refresh_token_key(&self) -> Result<RefreshTokenKey, ConfigError> {
        const TEXT: &str = "The key of Amble Connect's refresh tokens, 1";
        let secret = derived_secret::derive(&self.kms(), &self.required("REFRESH_TOKEN_KEY")?, TEXT).await?;
        Ok(RefreshTokenKey::new(secret))
    }

    /// The keys of `TOOL_SIGNING_KEYS`, in its order: the first signs. They sign what tenants' tools are told of their callers, and
    /// nothing that is accepted here.
    ///
    /// # Errors
    /// When none is named.
    pub fn tool_keyring(&self) -> Result<Keyring, ConfigError> {
        Ok(Keyring::new(self.kms(), &self.required("TOOL_SIGNING_KEYS")?))
    }

    /// Invokes functions of AWS Lambda.
    #[must_use]
    pub fn invoker(&self) -> Invoker {
        Invoker::new(aws::lambda(&self.aws))
    }
}
