//! A call that may be made, handed to rmcp's stateless streamable HTTP service and back, in process.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use http_body_util::BodyExt;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    ContentBlock, DiscoverResult, GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, MetaObject, PaginatedRequestParams,
    ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use shared::access::Access;
use shared::clock::Timestamp;
use shared::environment::{ConfigError, Environment};
use shared::http::response;
use shared::lambda::{Body, Response};
use shared::request_context;
use shared::signing_keys::signer::Signer;
use shared::store::workspace::{Name, Workspaces};
use shared::upstream_error::UpstreamError;

use crate::message::{Era, LEGACY, MODERN};
use crate::operation::{Operation, Permitted};
use crate::refusal::Refusal;
use crate::resources::Uri;
use crate::tools::registered::{self, Reach};
use crate::tools::{self, BuiltIn, Outcome, Undone, Work};
use crate::{audited, completion, cursor, prompts, resources};

/// What calls are served with.
#[derive(Clone)]
pub(crate) struct Server {
    workspaces: Workspaces,
    reach: Arc<Reach>,
    about: Arc<Implementation>,
}

/// One call being served. rmcp asks it everything it would ask a server.
#[derive(Clone)]
struct Serving {
    server: Server,
    permitted: Permitted,
    now: Timestamp,
    request_context: Option<request_context::RequestContext>,
    fault: Arc<Mutex<Option<UpstreamError>>>,
}

/// Why a method other than `tools/call` has no result.
#[derive(Debug)]
pub(crate) enum Unserved {
    /// Its params ask for what there is not, in this sentence (-32602).
    Params(&'static str),
    /// AWS failed.
    Upstream(UpstreamError),
}

impl From<UpstreamError> for Unserved {
    fn from(fault: UpstreamError) -> Self {
        Self::Upstream(fault)
    }
}

/// How long a client may keep what hardly changes, in milliseconds.
const DISCOVERY_TTL: u64 = 60 * 60 * 1000;
/// How long it may keep a list that a tenant can change at any time, in milliseconds.
const LIST_TTL: u64 = 60 * 1000;
/// How long it may keep what a resource says: a model must not work from what it has just replaced.
const READ_TTL: u64 = 0;

const INSTRUCTIONS: &str = "Tools, skills, records, views and documents of one workspace. Skills are instructions for recurring work: \
    before a task, look with list_skills whether one fits, and follow what read_skill says. Records are entities of types that \
    list_entity_types shows; views are saved queries over them. Documents are what the workspace has written down: \
    search_documents finds them. An update names the version that was read.";

impl Server {
    /// With what it needs of the environment.
    pub(crate) fn new(environment: &Environment, signer: Signer) -> Result<Self, ConfigError> {
        let about =
            Implementation::new("amble-connect", env!("CARGO_PKG_VERSION")).with_title(environment.product_name()?);
        let reach = Arc::new(Reach::new(environment, signer)?);
        Ok(Self { workspaces: environment.workspaces()?, reach, about: Arc::new(about) })
    }

    /// Whether the tenant of `access` has a tool of that name.
    pub(crate) async fn has_tool(&self, access: &Access, name: &Name) -> Result<bool, UpstreamError> {
        Ok(self.workspaces.of(access).tool(name).await?.is_some())
    }

    /// Serves a call. rmcp is given the request that its own client would have made: all else has been settled before.
    pub(crate) async fn run(&self, permitted: Permitted, now: Timestamp) -> Result<Response, Refusal> {
        let request = canonical(&permitted)?;
        let fault = Arc::new(Mutex::new(None));
        let (request_context, fault_seen) = (request_context::RequestContext::current(), Arc::clone(&fault));
        let serving = Serving { server: self.clone(), permitted, now, request_context, fault: fault_seen };
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_sse_keep_alive(None);
        let sessions = Arc::new(NeverSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(serving.clone()), sessions, config);
        let (parts, body) = service.handle(request).await.into_parts();
        // A fault is worth another try, which an error inside a 200 does not say.
        if let Some(fault) = fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(Refusal::Upstream(fault));
        }
        let body = body.collect().await.map_err(|never| Refusal::Broken(never.to_string()))?.to_bytes();
        let body =
            String::from_utf8(body.into()).map_err(|_| Refusal::Broken("rmcp answered with bytes".to_owned()))?;
        if parts.status.is_server_error()
            || parts.headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/json")
        {
            // Not the body: it may repeat what was sent.
            return Err(Refusal::Broken(format!("rmcp answered {}", parts.status)));
        }
        let mut response = response::empty(parts.status);
        response::set_header(&mut response, CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::Text(body);
        Ok(response)
    }
}

/// The request as rmcp expects it. Its checks of `Host`, `Origin` and `Accept` are for servers that are reached directly or that
/// stream, and would refuse our public name and clients that send `*/*`.
fn canonical(permitted: &Permitted) -> Result<http::Request<String>, Refusal> {
    let call = &permitted.call;
    let mut request = http::Request::builder()
        .method(Method::POST)
        .header(HOST, "localhost")
        .header(ACCEPT, "application/json, text/event-stream")
        .header(CONTENT_TYPE, "application/json");
    if call.era == Era::Modern {
        request = request.header("mcp-protocol-version", MODERN).header("mcp-method", &call.method);
        request = match &call.operation {
            Operation::BuiltIn(tool) => request.header("mcp-name", tool.name),
            Operation::Registered(name) | Operation::GetPrompt(name) => request.header("mcp-name", name.as_str()),
            Operation::ReadResource(uri) => request.header("mcp-name", uri.to_string()),
            _ => request,
        };
    }
    request.body(call.body.to_string()).map_err(|error| Refusal::Broken(error.to_string()))
}

impl Serving {
    /// Someone's work, in their tenant.
    fn work(&self) -> Work<'_> {
        let access = &self.permitted.access;
        Work { access, workspace: self.server.workspaces.of(access), reach: &self.server.reach, now: self.now }
    }

    /// rmcp works in tasks of its own, where the request's context does not reach by itself.
    fn followed<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = T> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
        match self.request_context.clone() {
            Some(request_context) => Box::pin(request_context.scope(work)),
            None => Box::pin(work),
        }
    }

    fn complete(&self, result: CallToolResult) -> CallToolResponse {
        CallToolResponse::Complete(result.with_meta(self.signed()))
    }

    fn broken(&self, fault: UpstreamError) -> ErrorData {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        ErrorData::internal_error("Something that we depend on did not answer", None)
    }

    /// rmcp read another method than was permitted: one of us is wrong.
    fn mistaken(&self) -> ErrorData {
        ErrorData::internal_error(format!("{} was taken for another method", self.permitted.call.method), None)
    }

    /// The error of a method without a result.
    fn unserved(&self, why: Unserved) -> ErrorData {
        match why {
            Unserved::Params(sentence) => ErrorData::invalid_params(sentence, None),
            Unserved::Upstream(fault) => self.broken(fault),
        }
    }

    /// How long a result may be kept, and by whom, where the era says so (2026-07-28, caching).
    fn cached(&self, milliseconds: u64) -> (Option<u64>, Option<CacheScope>) {
        match self.permitted.call.era {
            Era::Modern => (Some(milliseconds), Some(CacheScope::Private)),
            Era::Legacy => (None, None),
        }
    }

    /// 2026-07-28, base protocol: every result should name its server.
    fn signed(&self) -> Option<MetaObject> {
        if self.permitted.call.era == Era::Legacy {
            return None;
        }
        let about = serde_json::to_value(&*self.server.about).ok()?;
        Some(MetaObject(std::iter::once(("io.modelcontextprotocol/serverInfo".to_owned(), about)).collect()))
    }
}

impl ServerHandler for Serving {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources().enable_completions();
        ServerConfig::new(capabilities.build())
            .with_server_info((*self.server.about).clone())
            // What `initialize` falls back to, whatever was asked for.
            .with_protocol_version(ProtocolVersion::V_2025_11_25)
            .with_instructions(INSTRUCTIONS)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        const SUPPORTED: [ProtocolVersion; 1 + LEGACY.len()] =
            [ProtocolVersion::V_2026_07_28, ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2025_06_18];
        Cow::Borrowed(&SUPPORTED)
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let versions = self.supported_protocol_versions().into_owned();
        let mut discovered = DiscoverResult::from_server_info(versions, self.get_info());
        discovered.ttl_ms = DISCOVERY_TTL;
        discovered.cache_scope = CacheScope::Private;
        Ok(discovered)
    }

    /// Ours first, then the tenant's by name: always in that order, as far as the scopes allow.
    async fn list_tools(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.followed(async {
            let after = place(params, cursor::read)?;
            let work = self.work();
            let mut listed = Vec::new();
            if after.is_none() {
                let permitted =
                    BuiltIn::described().iter().filter(|(tool, _)| work.access.scopes().contains(tool.scope));
                listed.extend(permitted.map(|(_, described)| described.clone()));
            }
            let (more, next) = registered::list(&work, after.as_ref()).await.map_err(|fault| self.broken(fault))?;
            listed.extend(more);
            let mut result = ListToolsResult::with_all_items(listed);
            result.next_cursor = next.as_ref().map(cursor::after);
            result.meta = self.signed();
            (result.ttl_ms, result.cache_scope) = self.cached(LIST_TTL);
            Ok(result)
        })
        .await
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.followed(async {
            let (work, arguments) = (self.work(), params.arguments.unwrap_or_default());
            let named = audited::object(&arguments);
            let called = match &self.permitted.call.operation {
                Operation::BuiltIn(tool) => (tool.run)(arguments, &work).await.map(Some),
                Operation::Registered(name) => registered::call(name, arguments, &work).await,
                _ => return Err(self.mistaken()),
            };
            // What has just been made is named by its result alone.
            let object = named.or_else(|| match &called {
                Ok(Some(Outcome::Structured(Value::Object(made)))) => audited::object(made),
                _ => None,
            });
            audited::record(&self.permitted, object.as_deref(), tools::ending(&called));
            match called {
                Ok(Some(outcome)) => Ok(self.complete(outcome.into())),
                Ok(None) => Err(ErrorData::invalid_params("There is no such tool", None)),
                Err(Undone::Failed { message, .. }) => {
                    Ok(self.complete(CallToolResult::error(vec![ContentBlock::text(message)])))
                }
                Err(Undone::Upstream(fault)) => Err(self.broken(fault)),
            }
        })
        .await
    }

    async fn list_resources(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.followed(async {
            let after = place(params, cursor::read_resource)?;
            let listed = resources::list(&self.work(), after.as_ref()).await;
            let (listed, next) = listed.map_err(|fault| self.broken(fault))?;
            let mut result = ListResourcesResult::with_all_items(listed);
            result.next_cursor = next.as_ref().map(cursor::after_resource);
            result.meta = self.signed();
            (result.ttl_ms, result.cache_scope) = self.cached(LIST_TTL);
            Ok(result)
        })
        .await
    }

    /// One page: no cursor is one of ours.
    async fn list_resource_templates(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        place::<Uri>(params, |_| None)?;
        let templates = resources::templates(self.permitted.access.scopes());
        let mut result = ListResourceTemplatesResult::with_all_items(templates);
        result.meta = self.signed();
        (result.ttl_ms, result.cache_scope) = self.cached(LIST_TTL);
        Ok(result)
    }

    async fn read_resource(
        &self,
        _: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.followed(async {
            let Operation::ReadResource(uri) = &self.permitted.call.operation else { return Err(self.mistaken()) };
            let read = resources::read(&self.work(), uri).await;
            let outcome = match &read {
                Ok(Some(_)) => "answered",
                Ok(None) => "not_found",
                Err(_) => "fault",
            };
            audited::record(&self.permitted, None, outcome);
            // In the modern era rmcp answers this by the code of that era.
            let not_found = || {
                let data = serde_json::json!({ "uri": uri.to_string() });
                ErrorData::resource_not_found("There is no such resource", Some(data))
            };
            let contents = read.map_err(|fault| self.broken(fault))?.ok_or_else(not_found)?;
            let mut result = ReadResourceResult::new(vec![contents]);
            result.meta = self.signed();
            (result.ttl_ms, result.cache_scope) = self.cached(READ_TTL);
            Ok(result.into())
        })
        .await
    }

    async fn list_prompts(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.followed(async {
            let after = place(params, cursor::read)?;
            let listed = prompts::list(&self.work(), after.as_ref()).await;
            let (listed, next) = listed.map_err(|fault| self.broken(fault))?;
            let mut result = ListPromptsResult::with_all_items(listed);
            result.next_cursor = next.as_ref().map(cursor::after);
            result.meta = self.signed();
            (result.ttl_ms, result.cache_scope) = self.cached(LIST_TTL);
            Ok(result)
        })
        .await
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.followed(async {
            let Operation::GetPrompt(name) = &self.permitted.call.operation else { return Err(self.mistaken()) };
            let got = prompts::get(&self.work(), name, &params.arguments.unwrap_or_default()).await;
            let outcome = match &got {
                Ok(_) => "answered",
                Err(Unserved::Params(_)) => "invalid_params",
                Err(Unserved::Upstream(_)) => "fault",
            };
            audited::record(&self.permitted, None, outcome);
            let mut result = got.map_err(|why| self.unserved(why))?;
            result.meta = self.signed();
            Ok(result.into())
        })
        .await
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.followed(async {
            let Operation::Complete(completing) = &self.permitted.call.operation else { return Err(self.mistaken()) };
            let completed = completion::complete(&self.work(), completing).await;
            let mut result = CompleteResult::new(completed.map_err(|why| self.unserved(why))?);
            result.meta = self.signed();
            Ok(result)
        })
        .await
    }
}

/// Where a list is to go on, as `read` understands cursors: nothing for its beginning.
fn place<T>(params: Option<PaginatedRequestParams>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ErrorData> {
    let Some(cursor) = params.and_then(|params| params.cursor) else { return Ok(None) };
    read(&cursor).map(Some).ok_or_else(|| ErrorData::invalid_params("The cursor is not one of ours", None))
}
