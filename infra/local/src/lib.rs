//! The whole system on one machine: the functions behind API Gateway's twin, with DynamoDB, KMS, Lambda and Supabase embedded.
//!
//! What runs on AWS runs here unchanged; the services that it calls are local. `template.yaml` decides routes, variables and
//! tables here as it does there.
//!
//! | module | what it is |
//! | --- | --- |
//! | `template` | `template.yaml`, resolved for this machine |
//! | `gateway` | API Gateway: requests to events, answers to HTTP |
//! | `function` | the programs by name |
//! | `scheduled_function` | those that no request reaches |
//! | [`process`] | the same programs as they are deployed, each a process |
//! | `aws`, `tables`, `signing_key`, `mac_key`, [`mod@key_arn`] | the way to DynamoDB, KMS and Lambda, and what is there |
//! | [`interceptor`] | an interceptor between functions and AWS: for tests |
//! | [`table_faults`] | what DynamoDB may do to any call: for tests |
//! | `database_operation` | the embedded DynamoDB, asked as its server asks it |
//! | `in_process` | the same way without a socket: for tests that make millions of calls |
//! | [`log_subscription`] | CloudWatch Logs: the audit's lines, delivered to their subscriber |
//! | [`demo`], `demo_tools`, [`demo_function`] | people, tenants and tools to try |
//! | [`project`], [`member`] | a Supabase project of one's own in place of the fake Supabase, and its people's places |
//! | `env_files` | what cargo-lambda and `sam local` are told to run a function beside it |
//! | [`front`] | what stands in front of it, if anything does |
//! | [`public_url`], `system_secrets` | a system that a tunnel shows on the internet |
//! | `unreachable_tools` | tools of a workspace file that cannot be called, told at the start |
//! | [`attempts`] | attempts to connect, reported as they end |
//! | `listener`, `data_dir` | ports and files |
//! | [`error`] | everything that keeps it from starting |

pub mod attempts;
mod aws;
pub mod data_dir;
mod database_operation;
pub mod demo;
pub mod demo_function;
mod demo_tools;
mod env_files;
pub mod error;
pub mod front;
mod function;
mod gateway;
mod in_process;
pub mod interceptor;
pub mod key_arn;
pub mod listener;
pub mod log_subscription;
mod mac_key;
pub mod member;
pub mod process;
pub mod project;
pub mod public_url;
mod scheduled_function;
mod signing_key;
mod system_secrets;
pub mod table_faults;
pub mod tables;
pub mod template;
mod unreachable_tools;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{Request, Response};
use fakes::kms::Kms;
use fakes::kms::key_spec::KeySpec;
use fakes::lambda::Lambda;
use fakes::secrets_manager::SecretsManager;
use fakes::supabase::project::{Site, Supabase};
use fakes::supabase::secret::Secret;
use fakes::supabase::seed::{Person, Seed};
use fakes::supabase::setup_error::SetupError;
use shared::clock::Clock;
use shared::environment::Environment;
use shared::http::public_paths::PublicPaths;
use shared::oauth::resource::PATH;
use shared::oauth::tenant::PersonId;
use shared::store::activity::Activities;
use shared::store::api_keys::ApiKeys;
use shared::store::clients::Clients;
use shared::store::directory::Directory;
use shared::store::grants::Grants;
use shared::store::workspace::Workspaces;
use workspace_file::WorkspaceFile;
use workspace_file::allowed_origin::AllowedOrigin;

use aws::Addresses;
use data_dir::DataDir;
use demo::{Demo, DemoPasswords};
use error::LocalError;
use front::Front;
use function::Program;
use gateway::Gateway;
use gateway::endpoint::Endpoint;
use gateway::mapping::Mapping;
use gateway::route::Routes;
use in_process::InProcessConnector;
use interceptor::Interceptor;
use key_arn::{KeyPurpose, key_arn};
use listener::{ListenError, Listener, Servers};
use log_subscription::{AuditSubscriber, LogSubscription};
use member::{Member, ProjectMember};
use process::{OnLine, ProcessPool};
use project::Project;
use scheduled_function::ScheduledFunction;
use system_secrets::SystemSecrets;
use table_faults::TableFaults;
use table_faults::fault_settings::FaultSettings;
use tables::{RemoteTables, TablesError};
use template::error::TemplateError;
use template::{FunctionDefinition, KeyArns, Metric, TableDefinition, Template};
use unreachable_tools::UnreachableTools;

/// What a system is to be like.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    /// Where it listens; port 0 is any free one. Loopback only.
    pub listen: SocketAddr,
    /// What stands in front of it.
    pub front: Front,
    /// Where it keeps what it knows.
    pub data: Data,
    /// Where the tables are, if not in here: `http://…` of moto or DynamoDB Local. Made there if they are not.
    pub dynamo: Option<String>,
    /// What happens to calls to the tables that are in here, those of operators too, once everything is laid out.
    pub table_faults: Option<FaultSettings>,
    /// What the stack is called: tables elsewhere are another system's if their names begin otherwise.
    pub stack: String,
    /// Tells functions, gateway and sign-in the time.
    pub clock: Clock,
    /// Whether there are people, tenants and things to try it with.
    pub demo: bool,
    /// Whose people sign in, if not those of the fake Supabase. Of the demo there are the tenants and their things then.
    pub project: Option<Project>,
    /// A workspace file that is applied at every start; with the demo only.
    pub workspace: Option<PathBuf>,
    /// Who can sign in besides.
    pub people: Vec<Person>,
    /// Whether `WWW-Authenticate` is renamed as API Gateway may do it.
    pub rename_challenge: bool,
    /// Headers of requests that something in front of the gateway sets, as an edge does.
    pub set_headers: &'static [(&'static str, &'static str)],
    /// Headers of answers that it takes away.
    pub drop_headers: &'static [&'static str],
    /// Sees what the functions say to AWS, and may fail it.
    pub interceptor: Option<Arc<dyn Interceptor>>,
    /// When Lambda ends an invocation, if not after the time that the template gives the function.
    pub function_timeout: Option<Duration>,
    /// Whether the interceptor sees what the audit's function says as well. It speaks when it likes, and so gets into others' way.
    pub intercept_audit: bool,
    /// Whether functions reach the tables and KMS without a socket, if both are in here.
    pub in_process: bool,
    /// Where the deployed programs are, if functions are to be processes of their own, which know no other clock than theirs.
    pub programs: Option<Programs>,
    /// What kind of key signs. KMS has one of each kind.
    pub key_spec: KeySpec,
    /// Origins that clients' metadata documents may have although they are on this machine: `ClientMetadataAllow`.
    pub document_origins: Vec<String>,
    /// Those that tenants' tools may have: `OutboundAllow`. Anybody may name a metadata document, and nobody is to reach this machine's
    /// programs by one.
    pub tool_origins: Vec<AllowedOrigin>,
    /// Where to write what cargo-lambda and `sam local` need, if anywhere.
    pub env_dir: Option<PathBuf>,
    /// Parameters of the template, over what they are here otherwise: `LoginUrl`, `AllowedOrigins` and so on.
    pub parameters: BTreeMap<String, String>,
}

/// Programs to run, each as `<folder>/<name>/bootstrap`: where cargo-lambda puts them.
#[derive(Clone)]
pub struct Programs {
    /// The folder.
    pub folder: PathBuf,
    /// What is in the environment of each, besides what the template says.
    pub variables: BTreeMap<String, String>,
    /// Is called with each line that they log.
    pub on_line: OnLine,
}

/// Where a system keeps what it knows.
pub enum Data {
    /// Nowhere: it is gone with the system.
    Memory,
    /// In a folder, made if it is not there.
    Directory(PathBuf),
}

impl Default for Options {
    /// On any free port, in memory, at the machine's time, with nobody and nothing in it.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            front: Front::Nothing,
            data: Data::Memory,
            dynamo: None,
            table_faults: None,
            stack: STACK.to_owned(),
            clock: Clock::system(),
            demo: false,
            project: None,
            workspace: None,
            people: Vec::new(),
            rename_challenge: false,
            set_headers: &[],
            drop_headers: &[],
            interceptor: None,
            function_timeout: None,
            intercept_audit: false,
            in_process: false,
            programs: None,
            key_spec: KeySpec::Rsa2048,
            document_origins: Vec::new(),
            tool_origins: Vec::new(),
            env_dir: None,
            parameters: BTreeMap::new(),
        }
    }
}

/// A running system. Dropped, it is cut off; [`System::shutdown`] lets it finish.
pub struct System {
    issuer: String,
    local_origin: String,
    membership_secret: String,
    mcp_url: String,
    paths: PublicPaths,
    services: Addresses,
    sign_in: SignIn,
    kms: Arc<Kms>,
    lambda: Arc<Lambda>,
    secrets: Arc<SecretsManager>,
    gateway: Arc<Gateway>,
    audit_subscriber: Arc<AuditSubscriber>,
    scheduled: BTreeMap<String, Arc<ScheduledFunction>>,
    lines: Arc<LogSubscription>,
    database: dynoxide::Database,
    /// Where the tables are instead.
    remote_tables: Option<RemoteTables>,
    table_faults: Option<Arc<TableFaults>>,
    definitions: Vec<TableDefinition>,
    signing_key: String,
    policies: Vec<(String, String, String)>,
    queries: BTreeMap<String, String>,
    alarms: BTreeMap<String, Vec<Metric>>,
    filtered: Vec<Metric>,
    variables: BTreeMap<String, BTreeMap<String, String>>,
    deployed: Deployment,
    activities: Activities,
    clients: Clients,
    directory: Directory,
    grants: Grants,
    keys: ApiKeys,
    workspaces: Workspaces,
    operator: Environment,
    tables: BTreeMap<String, String>,
    demo: Option<Demo>,
    memberships: Vec<ProjectMember>,
    servers: Servers,
    folder: Option<Arc<DataDir>>,
}

/// What functions are deployed from, once and again.
struct Deployment {
    template: Template,
    /// How functions reach AWS …
    functions: (Addresses, SharedHttpConnector),
    /// … and how the audit's subscriber does.
    audit: (Addresses, SharedHttpConnector),
    clock: Clock,
    lines: Arc<LogSubscription>,
    /// What to run, if not what is linked in; the audit's subscriber is, in any case.
    programs: Option<Programs>,
    function_timeout: Option<Duration>,
}

/// What the stack is called, if nobody says otherwise.
const STACK: &str = "amble-connect";
/// Of the sign-in service; no secret, like all of its kind.
const PUBLISHABLE_KEY: &str = "sb_publishable_local";
/// Of the fake Supabase; no secret either, as it serves this machine alone.
const SECRET_KEY: &str = "sb_secret_local";
/// What deliveries to `/hooks/membership` are signed with, but for a system with a public URL; no secret either.
pub const MEMBERSHIP_SECRET: &str = "whsec_bG9jYWwtbWVtYmVyc2hpcC13ZWJob29rLXNlY3JldCE=";
/// What holds for as long as the folder is locked.
const RUNNING_FILE: &str = "running.json";
/// Where the sign-in service is kept in a folder.
const SUPABASE_FILE: &str = "supabase.json";

impl System {
    /// Starts a system: when this returns, it is ready.
    ///
    /// # Errors
    /// When a port is taken, the folder is in use or of another version, or the template cannot be followed.
    pub async fn start(options: Options) -> Result<Self, LocalError> {
        // First, for nothing is to be left behind by a project that is not there.
        let members = if let Some(project) = &options.project { project.check().await? } else { Vec::new() };
        let (folder, initialized) = open_data_dir(&options)?;
        let gateway_listener = Listener::bind(options.listen).await?;
        let local_origin = gateway_listener.origin();
        let issuer = options.front.origin().unwrap_or(&local_origin).to_owned();
        let is_public = options.front.public_url().is_some();
        let system_secrets = SystemSecrets::of(is_public, folder.as_deref(), MEMBERSHIP_SECRET)?;
        let paths = public_paths(&options.parameters)?;
        let mut servers = Servers::new();

        let (kms, lambda, secrets) = (open_kms(folder.as_deref())?, Lambda::new(), SecretsManager::new());
        let kms_address = serve_on_any_port(&mut servers, &kms.router()).await?;
        let lambda_address = serve_on_any_port(&mut servers, &lambda.router().merge(secrets.router())).await?;

        let passwords = &system_secrets.passwords;
        let sign_in = serve_sign_in(&options, (&issuer, &paths), passwords, folder.as_ref(), &mut servers).await?;
        let ServedTools { files, origins } = serve_tools(&options, &mut servers, &lambda).await?;

        let template = template_of(&options, &issuer, &sign_in, &origins, &system_secrets)?;
        let definitions = template.tables()?;
        let remote_tables = RemoteTables::of(options.dynamo, &definitions).await?;
        let initialized = initialized && !remote_tables.as_ref().is_some_and(RemoteTables::are_new);
        let database = open_database(&definitions, folder.as_deref(), remote_tables.as_ref())?;
        let faulty = options.table_faults.as_ref().map(|_| (definitions.as_slice(), &options.clock));
        let (table_faults, dynamo) = serve_tables(&database, remote_tables.as_ref(), faulty, &mut servers).await?;
        let services = Addresses { dynamo, kms: kms_address, secrets: lambda_address.clone(), lambda: lambda_address };
        let in_process = (options.in_process && remote_tables.is_none())
            .then(|| InProcessConnector::new(&database, table_faults.as_ref(), &kms));
        let ([operators, client], interceptor) = clients(in_process, options.interceptor);
        let mcp_url = template.parameter("ResourceUrl").map_or_else(|| format!("{issuer}{PATH}"), str::to_owned);
        let (demo_passwords, project) = (options.demo.then_some(passwords), options.project.as_ref());
        write_running_file(folder.as_deref(), (&mcp_url, &paths), &sign_in, &services, &template, demo_passwords)?;
        let tables = template.table_variables()?;
        let operator = operator(tables.clone(), &aws::sdk_config("operator", &services, &operators), &options.clock);
        let (demo, memberships) =
            seed(&operator, &files, passwords, project, folder.as_deref(), initialized, &members).await?;
        let addresses = match interceptor {
            Some(interceptor) => interceptor::intercept(interceptor, services.clone(), &mut servers).await?,
            None => services.clone(),
        };
        let audit =
            if options.intercept_audit { (addresses.clone(), client.clone()) } else { (services.clone(), operators) };
        let lines = LogSubscription::new();
        let deployed = Deployment {
            template,
            functions: (addresses, client),
            audit,
            clock: options.clock.clone(),
            lines: Arc::clone(&lines),
            programs: options.programs,
            function_timeout: options.function_timeout,
        };
        let StartedFunctions { routes, audit_subscriber, scheduled } = start_functions(&deployed).await?;
        deliver(&lines, &audit_subscriber, &options.clock, &mut servers);
        begin_faults(table_faults.as_ref(), options.table_faults);
        env_files::write(options.env_dir.as_deref(), &deployed.template, &services)?;
        let (clock, renames_challenge) = (options.clock, options.rename_challenge);
        let (set, dropped, front) = (options.set_headers, options.drop_headers, options.front);
        let paths_here = if matches!(front, Front::Proxy(_)) { PublicPaths::default() } else { paths.clone() };
        let gateway = Gateway { routes, paths: paths_here, clock, renames_challenge, set, dropped, front };
        let gateway = Arc::new(gateway);
        servers.serve_api(gateway_listener, &Arc::clone(&gateway).router());

        Ok(Self {
            activities: operator.activities()?,
            clients: operator.clients()?,
            directory: operator.directory()?,
            grants: operator.grants()?,
            keys: operator.keys()?,
            workspaces: operator.workspaces()?,
            policies: deployed.template.policies()?,
            queries: deployed.template.queries()?,
            alarms: deployed.template.alarms()?,
            filtered: deployed.template.filtered_metrics()?,
            variables: deployed.template.functions()?.into_iter().map(|it| (it.binary, it.variables)).collect(),
            deployed,
            issuer,
            local_origin,
            membership_secret: system_secrets.membership,
            mcp_url,
            paths,
            services,
            sign_in,
            kms,
            lambda,
            secrets,
            gateway,
            audit_subscriber,
            scheduled,
            lines,
            database,
            remote_tables,
            table_faults,
            definitions,
            signing_key: key_arn(KeyPurpose::AccessTokens, options.key_spec),
            operator,
            tables,
            demo,
            memberships,
            servers,
            folder,
        })
    }

    /// What the stack is called.
    #[must_use]
    pub fn stack(&self) -> &str {
        &self.deployed.template.stack
    }

    /// The one origin: `http://localhost:<port>`, or `http://localhost` on port 80; that of a proxy in front, or the public URL, if there
    /// is one.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The origin where it listens on this machine: what a proxy or a tunnel leads to.
    #[must_use]
    pub fn local_origin(&self) -> &str {
        &self.local_origin
    }

    /// Whether a tunnel shows it on the internet.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.gateway.front.public_url().is_some()
    }

    /// What deliveries to `/hooks/membership` are signed with.
    #[must_use]
    pub fn membership_secret(&self) -> &str {
        &self.membership_secret
    }

    /// What people paste.
    #[must_use]
    pub fn mcp_url(&self) -> String {
        self.mcp_url.clone()
    }

    /// Where people find the console and the sign-in page.
    #[must_use]
    pub const fn paths(&self) -> &PublicPaths {
        &self.paths
    }

    /// Where DynamoDB is; any credentials do.
    #[must_use]
    pub fn dynamo_url(&self) -> &str {
        &self.services.dynamo
    }

    /// What happens to calls to the tables, if that was asked for.
    #[must_use]
    pub fn table_faults(&self) -> Option<&TableFaults> {
        self.table_faults.as_deref()
    }

    /// Where KMS is; any credentials do.
    #[must_use]
    pub fn kms_url(&self) -> &str {
        &self.services.kms
    }

    /// Where the sign-in service is.
    #[must_use]
    pub fn supabase_url(&self) -> &str {
        &self.sign_in.url
    }

    /// The port that the sign-in service would have had, if another program has it.
    #[must_use]
    pub const fn taken_sign_in_port(&self) -> Option<u16> {
        self.sign_in.taken_port
    }

    /// The fake Supabase, unless a project of one's own is in its place.
    #[must_use]
    pub const fn supabase(&self) -> Option<&Arc<Supabase>> {
        self.sign_in.supabase.as_ref()
    }

    /// KMS.
    #[must_use]
    pub fn kms(&self) -> &Arc<Kms> {
        &self.kms
    }

    /// Lambda: where tests deploy functions that are tools.
    #[must_use]
    pub fn lambda(&self) -> &Arc<Lambda> {
        &self.lambda
    }

    /// Secrets Manager: where tests keep what functions read.
    #[must_use]
    pub fn secrets(&self) -> &Arc<SecretsManager> {
        &self.secrets
    }

    /// ARN of the key that signs access tokens. That of another is [`key_arn()`].
    #[must_use]
    pub fn signing_key(&self) -> &str {
        &self.signing_key
    }

    /// The table of clients, as an operator has it: past any interceptor.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The table of what happened, likewise.
    #[must_use]
    pub const fn activities(&self) -> &Activities {
        &self.activities
    }

    /// The table of tenants and members, likewise.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The table of grants, likewise.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The table of API keys, likewise.
    #[must_use]
    pub fn keys(&self) -> &ApiKeys {
        &self.keys
    }

    /// The table of what tenants offer, likewise.
    #[must_use]
    pub fn workspaces(&self) -> &Workspaces {
        &self.workspaces
    }

    /// Has the tables in here carry out a call, past whatever is on the way to them: status and JSON of the answer.
    #[must_use]
    pub fn call_tables(&self, operation: &str, body: &serde_json::Value) -> (u16, String) {
        database_operation::perform(&self.database, operation, body.to_string().as_bytes())
    }

    /// The environment of somebody who holds the tables as an operator does, but whose calls go the functions' way: by the interceptor.
    #[must_use]
    pub fn intercepted(&self) -> Environment {
        let (addresses, connector) = &self.deployed.functions;
        operator(self.tables.clone(), &aws::sdk_config("operator", addresses, connector), &self.deployed.clock)
    }

    /// The clock of the system.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.operator.clock()
    }

    /// What there is to try it with, if that was asked for.
    #[must_use]
    pub fn demo(&self) -> Option<&Demo> {
        self.demo.as_ref()
    }

    /// Who of a project of one's own is in the tenants, as of the start.
    #[must_use]
    pub fn memberships(&self) -> &[ProjectMember] {
        &self.memberships
    }

    /// Every route, as `GET /path`, with the function that answers it.
    #[must_use]
    pub fn routes(&self) -> BTreeMap<&str, &str> {
        self.gateway.routes.keys().map(|(key, endpoint)| (key, endpoint.name.as_str())).collect()
    }

    /// What the template allows each function on AWS: `(function, action, ARN)`.
    #[must_use]
    pub fn policies(&self) -> &[(String, String, String)] {
        &self.policies
    }

    /// The saved queries of the template: what CloudWatch is asked, by name.
    #[must_use]
    pub const fn queries(&self) -> &BTreeMap<String, String> {
        &self.queries
    }

    /// The names of all tables, by the variables that functions know them by.
    #[must_use]
    pub const fn tables(&self) -> &BTreeMap<String, String> {
        &self.tables
    }

    /// The alarms of the template, and the metrics that each is about.
    #[must_use]
    pub const fn alarms(&self) -> &BTreeMap<String, Vec<Metric>> {
        &self.alarms
    }

    /// The metrics that the template draws from lines by filters.
    #[must_use]
    pub fn filtered_metrics(&self) -> &[Metric] {
        &self.filtered
    }

    /// Whether a function of this system wrote `line`.
    #[must_use]
    pub fn wrote(&self, line: &serde_json::Value) -> bool {
        self.lines.wrote(line)
    }

    /// The environment variables of a function, as the template gives them.
    #[must_use]
    pub fn variables(&self, function: &str) -> Option<&BTreeMap<String, String>> {
        self.variables.get(function)
    }

    /// Hands `event`, an event's JSON, to a function as Lambda would, past the gateway; the answer's JSON. `None` when there
    /// is no such function, the error's text when it fails, panics or takes too long.
    pub async fn invoke(&self, function: &str, event: &str) -> Option<Result<String, String>> {
        if function == "audit" {
            let event = match serde_json::from_str(event) {
                Ok(event) => event,
                Err(error) => return Some(Err(error.to_string())),
            };
            return Some(self.audit_subscriber.invoke(event).await.map(|()| "null".to_owned()));
        }
        if let Some(scheduled) = self.scheduled.get(function) {
            let event = serde_json::from_str(event).unwrap_or_default();
            return Some(scheduled.invoke(event).await.map(|()| "null".to_owned()));
        }
        let (_, endpoint) = self.gateway.routes.keys().find(|(_, endpoint)| endpoint.name == function)?;
        Some(endpoint.invoke(event.to_owned()).await.map_err(|error| format!("{error:?}")))
    }

    /// Deploys a function anew with other values of some parameters. What has been asked of it is answered as before.
    ///
    /// # Errors
    /// When there is no such function, or it does not start.
    pub async fn redeploy(&self, function: &str, changes: &[(&str, &str)]) -> Result<(), LocalError> {
        let definitions = self.deployed.template.with(changes)?.functions()?;
        let definition = definitions.into_iter().find(|definition| definition.binary == function);
        let definition = definition.ok_or_else(|| LocalError::NoProgram(function.to_owned()))?;
        let Program::Endpoint(next) = self.deployed.start(&definition).await? else { return Ok(()) };
        // One endpoint stands behind all routes of a function.
        if let Some((_, endpoint)) = self.gateway.routes.keys().find(|(_, endpoint)| endpoint.name == function) {
            endpoint.replace_with(&next);
        }
        Ok(())
    }

    /// The processes of a function, if it runs as such.
    #[must_use]
    pub fn process_pool(&self, function: &str) -> Option<Arc<ProcessPool>> {
        let (_, endpoint) = self.gateway.routes.keys().find(|(_, endpoint)| endpoint.name == function)?;
        endpoint.process_pool()
    }

    /// The audit log: every line, once all that has been written until now has been delivered.
    pub async fn audit_log(&self) -> Vec<serde_json::Value> {
        self.lines.delivered().await;
        self.audit_subscriber.log()
    }

    /// Sends a request through the gateway without a socket.
    pub async fn ask(&self, request: Request<Body>) -> Response<Body> {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        gateway::serve(State(Arc::clone(&self.gateway)), ConnectInfo(gateway::raw_query::Peer(peer)), request).await
    }

    /// Everything that is stored: table and item, in DynamoDB's JSON (binary values are base64).
    ///
    /// # Errors
    /// When the database fails.
    pub fn items(&self) -> Result<Vec<(String, serde_json::Value)>, LocalError> {
        Ok(match &self.remote_tables {
            Some(remote_tables) => remote_tables.items(&self.definitions)?,
            None => tables::items(&self.database, &self.definitions)?,
        })
    }

    /// Stops: requests that have begun may finish, and what must be kept is kept.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn shutdown(self) -> Result<(), LocalError> {
        self.servers.stop().await;
        if let (Some(folder), Some(supabase)) = (&self.folder, &self.sign_in.supabase) {
            folder.write(SUPABASE_FILE, supabase.save()?.as_bytes())?;
        }
        Ok(())
    }
}

/// KMS with the keys of a system.
fn open_kms(folder: Option<&DataDir>) -> Result<Arc<Kms>, LocalError> {
    Ok(Kms::new(signing_key::open(folder)?, vec![mac_key::open(folder)?]))
}

impl Deployment {
    async fn start(&self, definition: &FunctionDefinition) -> Result<Program, LocalError> {
        let is_audit = definition.binary == "audit";
        let (addresses, client) = if is_audit { &self.audit } else { &self.functions };
        let has_routes = !definition.routes.is_empty();
        if let Some(programs) = self.programs.as_ref().filter(|_| has_routes) {
            let pool = ProcessPool::start(programs.program(definition, addresses)).await;
            let pool = pool.map_err(|error| LocalError::Process(definition.binary.clone(), error))?;
            return Ok(Program::Endpoint(Endpoint::of_pool(pool, definition, &self.lines)));
        }
        let aws = aws::sdk_config(&definition.binary, addresses, client);
        let variables = definition.variables.clone();
        let environment = Environment::new(move |name| variables.get(name).cloned(), &aws, self.clock.clone());
        let timeout = self.function_timeout.unwrap_or(definition.timeout);
        function::start(definition, timeout, &environment, &self.lines).await
    }
}

impl Programs {
    fn program(&self, definition: &FunctionDefinition, addresses: &Addresses) -> process::Program {
        let services = addresses.variables().map(|(name, address)| (name.to_owned(), address.to_owned()));
        let variables = definition.variables.clone().into_iter().chain(services).chain(self.variables.clone());
        let on_line = Arc::clone(&self.on_line);
        process::Program {
            binary: self.folder.join(&definition.binary).join("bootstrap"),
            name: definition.binary.clone(),
            function: definition.name.clone(),
            variables: variables.collect(),
            on_line: Arc::new(move |line| {
                log_subscription::forward_audit_line(line);
                on_line(line);
            }),
        }
    }
}

/// Where people find the console and the sign-in page, by the template's parameters of that name.
fn public_paths(parameters: &BTreeMap<String, String>) -> Result<PublicPaths, LocalError> {
    let given = |name, of_api| parameters.get(name).map_or(of_api, String::as_str);
    let (admin, auth) = (given("AdminPath", PublicPaths::ADMIN), given("AuthPath", PublicPaths::AUTH));
    PublicPaths::parse(admin, auth).ok_or_else(|| LocalError::PublicPaths(admin.to_owned(), auth.to_owned()))
}

/// The template with what its parameters are on this machine.
fn template_of(
    options: &Options,
    issuer: &str,
    sign_in: &SignIn,
    tool_origins: &[String],
    secrets: &SystemSecrets,
) -> Result<Template, TemplateError> {
    let (tool_origins, document_origins) = (tool_origins.join(","), options.document_origins.join(","));
    let parameters = [
        ("Issuer", issuer),
        ("ProductName", "Amble"),
        ("SupabaseUrl", sign_in.url.as_str()),
        ("SupabasePublishableKey", sign_in.publishable_key.as_str()),
        // Functions get no secret key of a project apart.
        ("SupabaseSecretKey", if options.project.is_none() { SECRET_KEY } else { "" }),
        ("OutboundAllow", tool_origins.as_str()),
        ("ClientMetadataAllow", document_origins.as_str()),
        ("ToolFunctions", if options.demo { demo_function::ARN } else { "" }),
        ("MembershipSecrets", secrets.membership.as_str()),
        // Whoever comes by a tunnel has the tunnel's address: who they are, it adds.
        ("ClientAddress", if options.front.public_url().is_some() { "forwarded" } else { "gateway" }),
    ];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let parameters = parameters.into_iter().chain(options.parameters.clone());
    Template::new(&options.stack, parameters.collect(), KeyArns::of(options.key_spec))
}

/// What another text of the template would allow each function: `(function, action, ARN)`.
///
/// # Errors
/// When the text cannot be followed.
pub fn policies_of(text: &str) -> Result<Vec<(String, String, String)>, TemplateError> {
    let parameters = [
        ("ToolFunctions", demo_function::ARN),
        ("MembershipSecrets", MEMBERSHIP_SECRET),
        ("SupabaseSecretKey", SECRET_KEY),
    ];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Template::of(text, STACK, parameters, KeyArns::of(KeySpec::Rsa2048))?.policies()
}

/// The operator's and the functions' way to AWS, straight or over sockets, and the interceptor if it is still to be
/// put before the latter.
fn clients(
    in_process: Option<InProcessConnector>,
    interceptor: Option<Arc<dyn Interceptor>>,
) -> ([SharedHttpConnector; 2], Option<Arc<dyn Interceptor>>) {
    if let Some(in_process) = in_process {
        let intercepted = in_process.clone().intercepted_by(interceptor);
        ([SharedHttpConnector::new(in_process), SharedHttpConnector::new(intercepted)], None)
    } else {
        let client = shared::aws::http_connector::without_tls();
        ([client.clone(), client], interceptor)
    }
}

/// The tables in `folder`, or in memory; empty ones in memory if the tables are elsewhere.
fn open_database(
    definitions: &[TableDefinition],
    folder: Option<&DataDir>,
    remote_tables: Option<&RemoteTables>,
) -> Result<dynoxide::Database, LocalError> {
    let Some(remote_tables) = remote_tables else { return Ok(tables::open(definitions, folder)?) };
    if let (Some(folder), true) = (folder, remote_tables.are_new()) {
        // Of tables that are gone, as in `open_data_dir`.
        folder.remove(demo::KEY_FILE)?;
    }
    Ok(tables::open(definitions, None)?)
}

/// From now on that happens. The demo was laid out before.
fn begin_faults(table_faults: Option<&Arc<TableFaults>>, settings: Option<FaultSettings>) {
    if let (Some(faults), Some(settings)) = (table_faults, settings) {
        faults.configure(settings);
    }
}

/// Where the tables are: elsewhere, or served here. With what is to happen on the way to those here, if `faulty`: nothing does yet.
async fn serve_tables(
    database: &dynoxide::Database,
    remote_tables: Option<&RemoteTables>,
    faulty: Option<(&[TableDefinition], &Clock)>,
    servers: &mut Servers,
) -> Result<(Option<Arc<TableFaults>>, String), LocalError> {
    match (remote_tables, faulty) {
        (Some(_), Some(_)) => Err(TablesError::RemoteFaults.into()),
        (Some(remote_tables), None) => Ok((None, remote_tables.address().to_owned())),
        (None, Some((definitions, clock))) => {
            let table_faults = TableFaults::new(database.clone(), definitions, clock.clone())?;
            let address = serve_on_any_port(servers, &table_faults::server::router(&table_faults)).await?;
            Ok((Some(table_faults), address))
        }
        (None, None) => Ok((None, format!("http://127.0.0.1:{}", servers.serve_tables(database.clone()).await?))),
    }
}

/// The workspace files of a system, and where their tools may be called besides on the internet.
struct ServedTools {
    files: Vec<WorkspaceFile>,
    origins: Vec<String>,
}

/// Serves the demo's tools, one by URL and one by ARN, and reads the files; nothing without the demo.
async fn serve_tools(options: &Options, servers: &mut Servers, lambda: &Lambda) -> Result<ServedTools, LocalError> {
    let mut origins = Vec::new();
    let mut files = Vec::new();
    if options.demo {
        lambda.deploy(demo_function::ARN, demo_function::count_words);
        // Where the tool is matters to nobody: it is registered anew at each start. By a name, so that a container can give that name
        // this machine's address (docs/local-system.md).
        let tools_at = serve_on_any_port(servers, &demo_tools::router()).await?.replace("127.0.0.1", "localhost");
        files = demo::files(&tools_at, options.workspace.as_deref())?;
        origins.push(tools_at);
    }
    let of_files = files.iter().flat_map(WorkspaceFile::outbound_allow);
    origins.extend(options.tool_origins.iter().chain(of_files).map(ToString::to_string));
    report_unreachable_tools(&files, origins.clone(), servers);
    Ok(ServedTools { files, origins })
}

/// Tells of tools that cannot be called, while the system goes on: one may be slow to say so. The first file is the demo's
/// own, whose tools are served here.
fn report_unreachable_tools(files: &[WorkspaceFile], origins: Vec<String>, servers: &mut Servers) {
    let tools: Vec<_> = files.iter().skip(1).flat_map(WorkspaceFile::tools).collect();
    let (tools, stopped) = (UnreachableTools::of(&tools, origins), servers.stopped());
    servers.spawn(async move {
        tokio::select! { () = tools.report() => {}, () = stopped => {} }
    });
}

/// The environment of whoever holds the tables.
fn operator(tables: BTreeMap<String, String>, aws: &SdkConfig, clock: &Clock) -> Environment {
    Environment::new(move |name| tables.get(name).cloned(), aws, clock.clone())
}

/// Writes down where the tables are and which hosts are vouched for, what people paste, where they sign in and who may try it, for
/// `amble --local`; nowhere without a folder.
fn write_running_file(
    folder: Option<&DataDir>,
    (mcp_url, paths): (&str, &PublicPaths),
    SignIn { supabase: fake, url, publishable_key, .. }: &SignIn,
    services: &Addresses,
    template: &Template,
    passwords: Option<&DemoPasswords>,
) -> Result<(), LocalError> {
    let Some(folder) = folder else { return Ok(()) };
    let settings = template.operator_variables()?;
    let mut supabase = serde_json::json!({ "url": url, "publishable_key": publishable_key });
    if let (Some(supabase), Some(_)) = (supabase.as_object_mut(), fake) {
        supabase.insert("secret_key".to_owned(), SECRET_KEY.into());
    }
    let person = passwords.filter(|_| fake.is_some()).map(demo::first_person);
    let (dynamo, console) = (&services.dynamo, paths.admin(""));
    let mut running = serde_json::json!({
        "dynamo": dynamo, "tables": settings, "mcp_url": mcp_url, "admin_path": console, "supabase": supabase
    });
    if let (Some(running), Some((email, password))) = (running.as_object_mut(), person) {
        running.insert("person".to_owned(), serde_json::json!({ "email": email, "password": password }));
    }
    Ok(folder.write(RUNNING_FILE, running.to_string().as_bytes())?)
}

/// The address one port further; any free one if that is what was asked for, or if there is none further.
fn next_port(address: SocketAddr) -> SocketAddr {
    let port = if address.port() == 0 { None } else { address.port().checked_add(1) };
    SocketAddr::new(address.ip(), port.unwrap_or(0))
}

/// Serves on any free port; the address.
async fn serve_on_any_port(servers: &mut Servers, router: &axum::Router) -> Result<String, ListenError> {
    let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = format!("http://127.0.0.1:{}", listener.port);
    servers.serve(listener, router);
    Ok(address)
}

/// Delivers what functions write for the audit for as long as anything is served.
fn deliver(
    lines: &Arc<LogSubscription>,
    audit_subscriber: &Arc<AuditSubscriber>,
    clock: &Clock,
    servers: &mut Servers,
) {
    let (lines, audit_subscriber, clock, stopped) =
        (Arc::clone(lines), Arc::clone(audit_subscriber), clock.clone(), servers.stopped());
    servers.spawn(async move { lines.deliver(audit_subscriber, clock, stopped).await });
}

/// The functions, by what reaches them.
struct StartedFunctions {
    routes: Routes,
    audit_subscriber: Arc<AuditSubscriber>,
    scheduled: BTreeMap<String, Arc<ScheduledFunction>>,
}

/// Starts every function of the template, each with its own variables and name, and routes to it what it answers.
async fn start_functions(deployed: &Deployment) -> Result<StartedFunctions, LocalError> {
    let template = &deployed.template;
    let (mut routes, mut audit_subscriber, mut scheduled) = (Routes::default(), None, BTreeMap::new());
    for definition in template.functions()? {
        let endpoint = match deployed.start(&definition).await? {
            Program::Endpoint(endpoint) => endpoint,
            Program::Subscriber(it) => {
                audit_subscriber = Some(it);
                continue;
            }
            Program::Scheduled(it) => {
                scheduled.insert(definition.binary, it);
                continue;
            }
        };
        for (method, path) in &definition.routes {
            let route = || format!("{method} {path}");
            let mapping = Mapping::parse(&template.response_parameters(method, path)?);
            let mapping = mapping.ok_or_else(|| LocalError::Mapping(route()))?;
            if !routes.add(method, path, Arc::clone(&endpoint), mapping) {
                return Err(LocalError::Route(route()));
            }
        }
    }
    let missing = || LocalError::NoProgram("that is subscribed to the audit".to_owned());
    Ok(StartedFunctions { routes, audit_subscriber: audit_subscriber.ok_or_else(missing)?, scheduled })
}

/// The folder, if there is one, and whether it holds this system's workspaces already.
fn open_data_dir(options: &Options) -> Result<(Option<Arc<DataDir>>, bool), LocalError> {
    let Data::Directory(path) = &options.data else { return Ok((None, false)) };
    let folder = Arc::new(DataDir::open(path)?);
    let initialized = project::is_initialized(&folder, options.project.as_ref(), SUPABASE_FILE)?;
    let has_tables = options.dynamo.is_some() || folder.path(tables::FILE).exists();
    if !has_tables {
        // Of tables that are gone, and it would say that everything is laid out.
        folder.remove(demo::KEY_FILE)?;
    }
    Ok((Some(folder), initialized && has_tables))
}

/// The demo, or what a project of one's own has in its stead: nobody but `members`.
/// `initialized` says that the folder holds it already.
async fn seed(
    operator: &Environment,
    files: &[WorkspaceFile],
    passwords: &DemoPasswords,
    project: Option<&Project>,
    folder: Option<&DataDir>,
    initialized: bool,
    members: &[(PersonId, &Member)],
) -> Result<(Option<Demo>, Vec<ProjectMember>), LocalError> {
    if files.is_empty() {
        return Ok((None, Vec::new()));
    }
    let Some(project) = project else {
        return Ok((Some(demo::seed(operator, files, passwords, folder).await?), Vec::new()));
    };
    let memberships = demo::seed_without_people(operator, files, initialized, members).await?;
    if let Some(folder) = folder {
        project::record(folder, project)?;
    }
    Ok((None, memberships))
}

/// Where people sign in.
struct SignIn {
    /// The fake Supabase, if it is that.
    supabase: Option<Arc<Supabase>>,
    url: String,
    publishable_key: String,
    /// The port that it would have had, if another program has it.
    taken_port: Option<u16>,
}

/// The project, or the fake Supabase: one port after the API, where people are to come back to the issuer, and to the one that
/// functions have under `sam local`.
async fn serve_sign_in(
    options: &Options,
    (issuer, paths): (&str, &PublicPaths),
    passwords: &DemoPasswords,
    folder: Option<&Arc<DataDir>>,
    servers: &mut Servers,
) -> Result<SignIn, LocalError> {
    if let Some(project) = &options.project {
        let (url, publishable_key) = (project.url().to_owned(), project.publishable_key().to_owned());
        return Ok(SignIn { supabase: None, url, publishable_key, taken_port: None });
    }
    let of_the_demo = options.demo.then(|| demo::people(passwords)).into_iter().flatten();
    let people = options.people.iter().cloned().chain(of_the_demo).collect();
    let ours = [(issuer, paths)].into_iter();
    let of_sam = PublicPaths::default();
    let all = ours.chain(options.env_dir.is_some().then_some((env_files::SAM_ISSUER, &of_sam)));
    let allow_list = all.map(|(issuer, paths)| format!("{issuer}{}", paths.auth("/callback**"))).collect();
    serve_supabase(next_port(options.listen), people, (issuer, allow_list), &options.clock, folder, servers).await
}

/// The fake Supabase, served at `at`, or at any free port if that one is taken.
async fn serve_supabase(
    at: SocketAddr,
    people: Vec<Person>,
    (site_url, allow_list): (&str, Vec<String>),
    clock: &Clock,
    folder: Option<&Arc<DataDir>>,
    servers: &mut Servers,
) -> Result<SignIn, LocalError> {
    let (listener, taken_port) = Listener::bind_or_any(at).await?;
    let url = listener.origin();
    let supabase = open_supabase(people, (site_url, allow_list), &url, clock, folder.map(Arc::as_ref))?;
    servers.serve(listener, &supabase.router());
    if let Some(folder) = folder {
        persist_while_serving(&supabase, folder, servers);
    }
    Ok(SignIn { supabase: Some(supabase), url, publishable_key: PUBLISHABLE_KEY.to_owned(), taken_port })
}

/// `site_url` is where people land who asked for a place that is not in `allow_list`.
fn open_supabase(
    people: Vec<Person>,
    (site_url, allow_list): (&str, Vec<String>),
    url: &str,
    clock: &Clock,
    folder: Option<&DataDir>,
) -> Result<Arc<Supabase>, LocalError> {
    let seed = Seed { people, providers: vec!["google".to_owned(), "github".to_owned()] };
    let site = Site {
        url: url.to_owned(),
        site_url: site_url.to_owned(),
        allow_list,
        publishable_key: PUBLISHABLE_KEY.to_owned(),
        secret_key: Secret::from(SECRET_KEY),
    };
    let clock = clock.clone();
    let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(move || clock.now().seconds());
    let Some(folder) = folder else { return Ok(Supabase::new(seed, site, clock)?) };
    let Some(saved) = folder.read(SUPABASE_FILE)? else { return Ok(Supabase::new(seed, site, clock)?) };
    let damaged = |reason: &dyn fmt::Display| folder.damaged(SUPABASE_FILE, reason, "which signs everybody out");
    let saved = String::from_utf8(saved).map_err(|error| damaged(&error))?;
    Supabase::restore(seed, site, clock, &saved).map_err(|error| match error {
        SetupError::InvalidState(error) => damaged(&error).into(),
        error => error.into(),
    })
}

fn persist_while_serving(supabase: &Arc<Supabase>, folder: &Arc<DataDir>, servers: &mut Servers) {
    let (keeping, stopped) = (persist_supabase(Arc::clone(supabase), Arc::clone(folder)), servers.stopped());
    servers.spawn(async move {
        tokio::select! { () = keeping => {}, () = stopped => {} }
    });
}

/// Keeps what the sign-in service knows every few seconds, so that a crash signs nobody out.
async fn persist_supabase(supabase: Arc<Supabase>, folder: Arc<DataDir>) {
    const PAUSE: Duration = Duration::from_secs(5);

    let mut kept = String::new();
    loop {
        match supabase.save() {
            Ok(saved) if saved != kept => match folder.write(SUPABASE_FILE, saved.as_bytes()) {
                Ok(()) => kept = saved,
                Err(error) => tracing::error!(%error, "the fake Supabase was not kept"),
            },
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the fake Supabase was not kept"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};
    use shared::revocation::Revocation;
    use shared::store::api_keys::Actor;

    use super::*;
    use crate::interceptor::{Call, Decision, InjectedError, Service};

    const REGISTER: &str = include_str!("../../../events/register/claude.json");

    async fn register(system: &System) -> Value {
        let answer = system.invoke("register", REGISTER).await.unwrap().unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn deciding(decision: Decision) -> (Arc<Mutex<Vec<Call>>>, Options) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let calls = Arc::clone(&seen);
        let interceptor = move |call: Call| {
            // What a function reads when it starts is none of it.
            let decision = if call.operation == "PutItem" { decision.clone() } else { Decision::Pass };
            calls.lock().unwrap().push(call);
            async move { decision }
        };
        (seen, Options { interceptor: Some(Arc::new(interceptor)), ..Options::default() })
    }

    #[test]
    fn key_arns_are_those_of_the_fake_kms() {
        for key in signing_key::open(None).unwrap() {
            let purposes = [KeyPurpose::AccessTokens, KeyPurpose::ToolTokens];
            assert!(purposes.iter().any(|purpose| key.arn() == key_arn(*purpose, key.spec())), "{}", key.arn());
        }
        assert_eq!(mac_key::open(None).unwrap().arn(), key_arn::refresh_token_key_arn());
    }

    #[tokio::test]
    async fn systems_are_isolated() {
        let [one, other] =
            [System::start(Options::default()).await.unwrap(), System::start(Options::default()).await.unwrap()];
        assert_eq!(register(&one).await["statusCode"], 201);
        assert_eq!(one.items().unwrap().len(), 1);
        assert_eq!(other.items().unwrap(), []);
        assert_ne!(one.issuer(), other.issuer());
        one.shutdown().await.unwrap();
        other.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn the_interceptor_sees_who_calls_what() {
        let (seen, options) = deciding(Decision::Pass);
        let system = System::start(options).await.unwrap();
        seen.lock().unwrap().clear();
        assert_eq!(register(&system).await["statusCode"], 201);

        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let seen: Vec<_> =
            seen.iter().map(|call| (call.function.as_str(), call.service, call.operation.as_str())).collect();
        let calls = ["BatchGetItem", "PutItem"].map(|operation| ("register", Service::DynamoDb, operation));
        assert_eq!(seen, calls);
    }

    #[tokio::test]
    async fn the_interceptor_fails_a_call_before_it_arrives_or_after() {
        for (decision, stored) in
            [(Decision::FailBefore(InjectedError::DENIED), 0), (Decision::FailAfter(InjectedError::DENIED), 1)]
        {
            let (_, options) = deciding(decision);
            let system = System::start(options).await.unwrap();
            assert_eq!(register(&system).await["statusCode"], 503);
            assert_eq!(system.items().unwrap().len(), stored);
        }
    }

    #[tokio::test]
    async fn the_data_dir_keeps_the_demo_and_its_changes() {
        let path = std::env::temp_dir().join(format!("amble-connect-{}", uuid::Uuid::from_u128(rand())));
        let options = || Options { demo: true, data: Data::Directory(path.clone()), ..Options::default() };
        let system = System::start(options()).await.unwrap();
        let key = system.demo().unwrap().api_key.clone();
        assert!(matches!(System::start(options()).await, Err(LocalError::DataDir(data_dir::DataDirError::InUse(_)))));
        let (acme, ben) = ("acme", "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02");
        let acme = shared::oauth::tenant::TenantId::parse(acme).unwrap();
        let ben = shared::oauth::tenant::PersonId::parse(ben).unwrap();
        assert!(system.directory().membership(&ben, &acme).await.unwrap().is_some());
        system.directory().remove_member(&acme, &ben, system.clock().now()).await.unwrap();
        system.shutdown().await.unwrap();

        let again = System::start(options()).await.unwrap();
        assert_eq!(again.demo().unwrap().api_key, key);
        assert!(again.directory().membership(&ben, &acme).await.unwrap().is_none());
        let id = shared::oauth::api_key::ApiKey::parse(&key).unwrap().id;
        assert!(
            Revocation::new(again.keys()).revoke(Actor::Person, &acme, &id, None, again.clock().now()).await.unwrap()
        );
        again.shutdown().await.unwrap();

        let last = System::start(options()).await.unwrap();
        assert_ne!(last.demo().unwrap().api_key, key);
        last.shutdown().await.unwrap();
        std::fs::remove_dir_all(path).unwrap();
    }

    #[tokio::test]
    async fn the_routes_are_those_of_the_template() {
        let system = System::start(Options::default()).await.unwrap();
        let routes = system.routes();
        assert_eq!(routes["POST /oauth/token"], "token");
        assert_eq!(routes["GET /.well-known/jwks.json"], "wellknown");
        assert_eq!(routes.get("OPTIONS /oauth/authorize"), None);
        let parameters = [("LoginUrl".to_owned(), "http://localhost:1/sign-in".to_owned())].into();
        let without_login = System::start(Options { parameters, ..Options::default() }).await.unwrap();
        assert!(routes.contains_key("GET /auth/login") && !without_login.routes().contains_key("GET /auth/login"));
        let no_function = without_login.invoke("login", &json!({}).to_string()).await;
        assert!(no_function.is_none());
    }

    fn rand() -> u128 {
        u128::from_le_bytes(*shared::oauth::secret::Secret::<16>::random().expose())
    }
}
