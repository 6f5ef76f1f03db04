//! Where the tables and the audit are: those of a stack, of a local system, or as the environment says.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudformation::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_cloudformation::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_cloudformation::types::Stack;
use aws_smithy_types::timeout::TimeoutConfig;
use serde::Deserialize;
use shared::aws::{http_connector, retries, sdk_config};
use shared::clock::Clock;
use shared::environment::Environment;
use thiserror::Error;

use crate::http;
use crate::project_users::{ProjectUsers, ProjectUsersError};

/// Which deployment is meant.
#[derive(clap::Args)]
pub(crate) struct Deployment {
    /// Work on a CloudFormation stack, which is found by its outputs
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "local")]
    stack: Option<String>,
    /// Work on the local system that keeps its data in this folder (.data)
    #[arg(long, global = true, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = ".data")]
    local: Option<PathBuf>,
}

/// Why the tables are not found.
#[derive(Debug, Error)]
pub(crate) enum DeploymentError {
    #[error("say which deployment: --stack NAME, --local[=DIR], or the names of its tables in TABLE_CLIENTS and so on")]
    NotSpecified,
    #[error("no AWS region is set; say it in AWS_REGION")]
    NoRegion,
    #[error("the stack {0} cannot be read in {1}: {2}")]
    Stack(String, Region, String),
    #[error("the stack {0} has no output {1}; is it one of Amble Connect?")]
    NoOutput(String, &'static str),
    #[error("no local system runs on {0}; start it with `cargo run`, or name its folder with --local=DIR")]
    NotRunning(PathBuf),
    #[error("{0} cannot be read ({1}); start the local system again, which writes it anew")]
    Unreadable(PathBuf, String),
}

/// A deployment that was found.
pub(crate) struct OpenDeployment {
    pub(crate) environment: Environment,
    pub(crate) aws: SdkConfig,
    /// The log group that is its audit; a local system has none.
    pub(crate) audit_group: Option<String>,
    /// Where people are known by their addresses, or why they cannot be looked up.
    pub(crate) users: Result<ProjectUsers, ProjectUsersError>,
}

impl Deployment {
    /// The way to it.
    pub(crate) async fn open(&self) -> Result<OpenDeployment, DeploymentError> {
        let secret_key = variable("SUPABASE_SECRET_KEY");
        let (aws, settings, supabase, secret_key) = match (&self.stack, &self.local) {
            (Some(stack), _) => {
                let aws = aws().await?;
                let described = describe_stack(stack, &aws).await?;
                let mut settings = outputs(stack, &described)?;
                settings.extend(parameter(&described, "VouchedHosts").map(|hosts| (VOUCHED_HOSTS.to_owned(), hosts)));
                (aws, settings, Project::of(&described).map(|project| project.url), secret_key)
            }
            (None, Some(folder)) => {
                let running = find_running_system(folder)?;
                let aws = running.sdk_config();
                let (supabase, of_fake) =
                    running.supabase.map_or((None, None), |project| (Some(project.url), project.secret_key));
                (aws, running.tables, supabase, of_fake.or(secret_key))
            }
            (None, None) => {
                let from_variables = SETTINGS.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?)));
                let from_variables: BTreeMap<_, _> = from_variables.collect();
                if from_variables.is_empty() {
                    return Err(DeploymentError::NotSpecified);
                }
                (aws().await?, from_variables, variable("SUPABASE_URL"), secret_key)
            }
        };
        let users = ProjectUsers::of(supabase, secret_key);
        let audit_group = settings.get(AUDIT_GROUP).cloned();
        let tables = aws.to_builder().timeout_config(table_timeouts()).retry_config(retries()).build();
        let environment = Environment::new(move |name| settings.get(name).cloned(), &tables, Clock::system());
        Ok(OpenDeployment { environment, aws, audit_group, users })
    }

    /// What the operator's clients of AWS are made from, and the stack, where it is a stack that is meant.
    pub(crate) async fn aws_of_stack(&self) -> Result<Option<(SdkConfig, &str)>, DeploymentError> {
        match &self.stack {
            Some(stack) => Ok(Some((aws().await?, stack))),
            None => Ok(None),
        }
    }

    /// What people paste, if the stack or the local system tells.
    pub(crate) async fn connector(&self) -> Result<Option<Connector>, DeploymentError> {
        match (&self.stack, &self.local) {
            (Some(stack), _) => {
                let described = describe_stack(stack, &aws().await?).await?;
                let url = outputs(stack, &described)?.remove(CONNECTOR);
                Ok(Some(Connector {
                    admin_path: parameter(&described, "AdminPath"),
                    url: url.ok_or_else(|| DeploymentError::NoOutput(stack.clone(), "ConnectorUrl"))?,
                    person: None,
                    project: Project::of(&described),
                }))
            }
            (None, Some(folder)) => {
                let RunningSystem { mcp_url, admin_path, person, supabase, .. } = find_running_system(folder)?;
                Ok(mcp_url.map(|url| Connector { url, admin_path, person, project: supabase }))
            }
            (None, None) => Ok(None),
        }
    }
}

/// What people paste, where the console is, who may try it, and where they sign in.
pub(crate) struct Connector {
    pub(crate) url: String,
    pub(crate) admin_path: Option<String>,
    pub(crate) person: Option<DemoPerson>,
    pub(crate) project: Option<Project>,
}

/// The Supabase project of a deployment.
#[derive(Deserialize)]
pub(crate) struct Project {
    pub(crate) url: String,
    pub(crate) publishable_key: String,
    /// Of the fake Supabase alone, whose keys are no secret.
    #[serde(default)]
    secret_key: Option<String>,
    /// The `iss` of its tokens, if it is not the one that goes with `url`.
    #[serde(default)]
    pub(crate) issuer: Option<String>,
    /// Whether people sign in on our own page.
    #[serde(default = "yes")]
    pub(crate) hosts_login: bool,
}

impl Project {
    /// That of a URL and a key.
    pub(crate) const fn new(url: String, publishable_key: String) -> Self {
        Self { url, publishable_key, secret_key: None, issuer: None, hosts_login: true }
    }

    /// That of a stack, by its parameters.
    fn of(stack: &Stack) -> Option<Self> {
        let parameter = |name: &str| parameter(stack, name);
        Some(Self {
            url: parameter("SupabaseUrl")?,
            publishable_key: parameter("SupabasePublishableKey")?,
            secret_key: None,
            issuer: parameter("SupabaseIssuer"),
            hosts_login: parameter("LoginUrl").is_none(),
        })
    }
}

const fn yes() -> bool {
    true
}

/// Someone whose password is no secret.
#[derive(Deserialize)]
pub(crate) struct DemoPerson {
    pub(crate) email: String,
    pub(crate) password: String,
}

const AUDIT_GROUP: &str = "AUDIT_LOG_GROUP";
const CONNECTOR: &str = "CONNECTOR_URL";
const VOUCHED_HOSTS: &str = "VOUCHED_HOSTS";

/// What the environment may say, by the names that functions know.
const SETTINGS: [&str; 8] = [
    "TABLE_CLIENTS",
    "TABLE_GRANTS",
    "TABLE_KEYS",
    "TABLE_DIRECTORY",
    "TABLE_WORKSPACE",
    "TABLE_ACTIVITY",
    AUDIT_GROUP,
    VOUCHED_HOSTS,
];

#[expect(clippy::disallowed_methods, reason = "this is where an operator's settings come in")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What the operator's environment, profile or sign-in says of AWS.
async fn aws() -> Result<SdkConfig, DeploymentError> {
    let aws = aws_config::defaults(BehaviorVersion::latest()).http_client(http::client()).load().await;
    if aws.region().is_some() { Ok(aws) } else { Err(DeploymentError::NoRegion) }
}

/// An operator may sit behind a far proxy, and sees that something is under way.
fn table_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(http::CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_secs(5))
        .build()
}

/// What CloudFormation says of a stack.
async fn describe_stack(stack: &str, aws: &SdkConfig) -> Result<Stack, DeploymentError> {
    let response = aws_sdk_cloudformation::Client::new(aws).describe_stacks().stack_name(stack).send().await;
    let described = response.map_err(|error| {
        let region = aws.region().cloned().unwrap_or_else(|| Region::from_static(""));
        // CloudFormation's own sentence says best what is wrong; without one, nothing was answered.
        let reason = error.as_service_error().and_then(ProvideErrorMetadata::message);
        let reason = reason.map_or_else(|| DisplayErrorContext(&error).to_string(), str::to_owned);
        DeploymentError::Stack(stack.to_owned(), region, reason)
    })?;
    let stacks = described.stacks.unwrap_or_default().into_iter().next();
    stacks.ok_or_else(|| DeploymentError::NoOutput(stack.to_owned(), "TableClients"))
}

/// A parameter of a stack, unless it is empty.
fn parameter(stack: &Stack, name: &str) -> Option<String> {
    let found = stack.parameters().iter().find(|parameter| parameter.parameter_key() == Some(name))?;
    found.parameter_value().filter(|value| !value.is_empty()).map(str::to_owned)
}

/// The outputs of a stack that matter here, by the variables that functions know them by: `TableClients` is `TABLE_CLIENTS`.
fn outputs(stack: &str, described: &Stack) -> Result<BTreeMap<String, String>, DeploymentError> {
    let tables: BTreeMap<_, _> = described
        .outputs()
        .iter()
        .filter_map(|output| {
            let name = match output.output_key()? {
                "AuditLogGroup" => AUDIT_GROUP.to_owned(),
                "ConnectorUrl" => CONNECTOR.to_owned(),
                key => format!("TABLE_{}", key.strip_prefix("Table")?.to_ascii_uppercase()),
            };
            Some((name, output.output_value()?.to_owned()))
        })
        .collect();
    if tables.contains_key("TABLE_CLIENTS") {
        Ok(tables)
    } else {
        Err(DeploymentError::NoOutput(stack.to_owned(), "TableClients"))
    }
}

/// What a local system writes into its folder when it starts, `running.json`. It is true for as long as the folder is locked.
#[derive(Deserialize)]
struct RunningSystem {
    dynamo: String,
    tables: BTreeMap<String, String>,
    mcp_url: Option<String>,
    admin_path: Option<String>,
    person: Option<DemoPerson>,
    supabase: Option<Project>,
}

impl RunningSystem {
    fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new("operator", "local", None, None, "local");
        sdk_config(&http_connector::without_tls())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&self.dynamo)
            .build()
    }
}

fn find_running_system(folder: &Path) -> Result<RunningSystem, DeploymentError> {
    let path = folder.join("lock");
    let locked = match File::open(&path) {
        Ok(lock) => matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(DeploymentError::Unreadable(path, error.to_string())),
    };
    if !locked {
        return Err(DeploymentError::NotRunning(folder.to_owned()));
    }
    let path = folder.join("running.json");
    let running = std::fs::read(&path).map_err(|error| error.to_string());
    let running = running.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    running.map_err(|reason| DeploymentError::Unreadable(path, reason))
}
