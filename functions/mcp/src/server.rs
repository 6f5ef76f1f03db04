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
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig,
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

use crate::error::McpError;
use crate::message::{LEGACY, MODERN, ProtocolVersion};
use crate::operation::{AuthorizedCall, Operation};
use crate::resources::ResourceUri;
use crate::tools::registered::{self, ToolInvoker};
use crate::tools::{self, BuiltIn, ToolContext, ToolError, ToolResult};
use crate::{call_audit, completion, cursor, prompts, resources};

/// What calls are served with.
#[derive(Clone)]
pub(crate) struct Server {
    workspaces: Workspaces,
    tool_invoker: Arc<ToolInvoker>,
    server_info: Arc<Implementation>,
}

/// One call being served. rmcp asks it everything it would ask a server.
#[derive(Clone)]
struct CallHandler {
    server: Server,
    authorized: AuthorizedCall,
    now: Timestamp,
    request_context: Option<request_context::RequestContext>,
    fault: Arc<Mutex<Option<UpstreamError>>>,
}

/// Why a method other than `tools/call` has no result.
#[derive(Debug)]
pub(crate) enum MethodError {
    /// Its params ask for what there is not, in this sentence (-32602).
    InvalidParams(&'static str),
    /// AWS failed.
    Upstream(UpstreamError),
}

impl From<UpstreamError> for MethodError {
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
        let server_info =
            Implementation::new("amble-connect", env!("CARGO_PKG_VERSION")).with_title(environment.product_name()?);
        let tool_invoker = Arc::new(ToolInvoker::new(environment, signer)?);
        Ok(Self { workspaces: environment.workspaces()?, tool_invoker, server_info: Arc::new(server_info) })
    }

    /// Whether the tenant of `access` has a tool of that name.
    pub(crate) async fn has_tool(&self, access: &Access, name: &Name) -> Result<bool, UpstreamError> {
        Ok(self.workspaces.of(access).tool(name).await?.is_some())
    }

    /// Serves a call. rmcp is given the request that its own client would have made: all else has been settled before.
    pub(crate) async fn run(&self, authorized: AuthorizedCall, now: Timestamp) -> Result<Response, McpError> {
        let request = rmcp_request(&authorized)?;
        let fault = Arc::new(Mutex::new(None));
        let (request_context, fault_seen) = (request_context::RequestContext::current(), Arc::clone(&fault));
        let handler = CallHandler { server: self.clone(), authorized, now, request_context, fault: fault_seen };
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_sse_keep_alive(None);
        let sessions = Arc::new(NeverSessionManager::default());
        let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
        let (parts, body) = service.handle(request).await.into_parts();
        // A fault is worth another try, which an error inside a 200 does not say.
        if let Some(fault) = fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(McpError::Upstream(fault));
        }
        let body = body.collect().await.map_err(|never| McpError::Internal(never.to_string()))?.to_bytes();
        let body =
            String::from_utf8(body.into()).map_err(|_| McpError::Internal("rmcp answered with bytes".to_owned()))?;
        if parts.status.is_server_error()
            || parts.headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "application/json")
        {
            // Not the body: it may repeat what was sent.
            return Err(McpError::Internal(format!("rmcp answered {}", parts.status)));
        }
        let mut response = response::empty(parts.status);
        response::set_header(&mut response, CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::Text(body);
        Ok(response)
    }
}

/// The request as rmcp expects it. Its checks of `Host`, `Origin` and `Accept` are for servers that are reached directly or that
/// stream, and would refuse our public name and clients that send `*/*`.
fn rmcp_request(authorized: &AuthorizedCall) -> Result<http::Request<String>, McpError> {
    let call = &authorized.call;
    let mut request = http::Request::builder()
        .method(Method::POST)
        .header(HOST, "localhost")
        .header(ACCEPT, "application/json, text/event-stream")
        .header(CONTENT_TYPE, "application/json");
    if call.protocol_version == ProtocolVersion::Modern {
        request = request.header("mcp-protocol-version", MODERN).header("mcp-method", &call.method);
        request = match &call.operation {
            Operation::BuiltIn(tool) => request.header("mcp-name", tool.name),
            Operation::Registered(name) | Operation::GetPrompt(name) => request.header("mcp-name", name.as_str()),
            Operation::ReadResource(uri) => request.header("mcp-name", uri.to_string()),
            _ => request,
        };
    }
    request.body(call.body.to_string()).map_err(|error| McpError::Internal(error.to_string()))
}

impl CallHandler {
    /// What the caller's tools work with.
    fn tool_context(&self) -> ToolContext<'_> {
        let access = &self.authorized.access;
        ToolContext {
            access,
            workspace: self.server.workspaces.of(access),
            tool_invoker: &self.server.tool_invoker,
            now: self.now,
        }
    }

    /// rmcp works in tasks of its own, where the request's context does not reach by itself.
    fn in_request_context<'a, T: 'a>(
        &'a self,
        future: impl Future<Output = T> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
        match self.request_context.clone() {
            Some(request_context) => Box::pin(request_context.scope(future)),
            None => Box::pin(future),
        }
    }

    fn complete(&self, result: CallToolResult) -> CallToolResponse {
        CallToolResponse::Complete(result.with_meta(self.server_info_meta()))
    }

    fn upstream_error(&self, fault: UpstreamError) -> ErrorData {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        ErrorData::internal_error("Something that we depend on did not answer", None)
    }

    /// rmcp read another method than was authorized: one of us is wrong.
    fn method_mismatch(&self) -> ErrorData {
        ErrorData::internal_error(format!("{} was taken for another method", self.authorized.call.method), None)
    }

    /// The error of a method without a result.
    fn method_error(&self, why: MethodError) -> ErrorData {
        match why {
            MethodError::InvalidParams(sentence) => ErrorData::invalid_params(sentence, None),
            MethodError::Upstream(fault) => self.upstream_error(fault),
        }
    }

    /// How long a result may be kept, and by whom, where the revision says so (2026-07-28, caching).
    fn cache_hints(&self, milliseconds: u64) -> (Option<u64>, Option<CacheScope>) {
        match self.authorized.call.protocol_version {
            ProtocolVersion::Modern => (Some(milliseconds), Some(CacheScope::Private)),
            ProtocolVersion::Legacy => (None, None),
        }
    }

    /// 2026-07-28, base protocol: every result should name its server.
    fn server_info_meta(&self) -> Option<MetaObject> {
        if self.authorized.call.protocol_version == ProtocolVersion::Legacy {
            return None;
        }
        let server_info = serde_json::to_value(&*self.server.server_info).ok()?;
        Some(MetaObject(std::iter::once(("io.modelcontextprotocol/serverInfo".to_owned(), server_info)).collect()))
    }
}

impl ServerHandler for CallHandler {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources().enable_completions();
        ServerConfig::new(capabilities.build())
            .with_server_info((*self.server.server_info).clone())
            // What `initialize` falls back to, whatever was asked for.
            .with_protocol_version(rmcp::model::ProtocolVersion::V_2025_11_25)
            .with_instructions(INSTRUCTIONS)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [rmcp::model::ProtocolVersion]> {
        const SUPPORTED: [rmcp::model::ProtocolVersion; 1 + LEGACY.len()] = [
            rmcp::model::ProtocolVersion::V_2026_07_28,
            rmcp::model::ProtocolVersion::V_2025_11_25,
            rmcp::model::ProtocolVersion::V_2025_06_18,
        ];
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
        self.in_request_context(async {
            let after = parse_cursor(params, cursor::decode_name)?;
            let context = self.tool_context();
            let mut listed = Vec::new();
            if after.is_none() {
                let authorized =
                    BuiltIn::descriptions().iter().filter(|(tool, _)| context.access.scopes().contains(tool.scope));
                listed.extend(authorized.map(|(_, described)| described.clone()));
            }
            let (more, next) =
                registered::list(&context, after.as_ref()).await.map_err(|fault| self.upstream_error(fault))?;
            listed.extend(more);
            let mut result = ListToolsResult::with_all_items(listed);
            result.next_cursor = next.as_ref().map(cursor::encode_name);
            result.meta = self.server_info_meta();
            (result.ttl_ms, result.cache_scope) = self.cache_hints(LIST_TTL);
            Ok(result)
        })
        .await
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.in_request_context(async {
            let (context, arguments) = (self.tool_context(), params.arguments.unwrap_or_default());
            let named = call_audit::object(&arguments);
            let called = match &self.authorized.call.operation {
                Operation::BuiltIn(tool) => (tool.run)(arguments, &context).await.map(Some),
                Operation::Registered(name) => registered::call(name, arguments, &context).await,
                _ => return Err(self.method_mismatch()),
            };
            // What has just been made is named by its result alone.
            let object = named.or_else(|| match &called {
                Ok(Some(ToolResult::Structured(Value::Object(made)))) => call_audit::object(made),
                _ => None,
            });
            call_audit::record(&self.authorized, object.as_deref(), tools::audit_outcome(&called));
            match called {
                Ok(Some(outcome)) => Ok(self.complete(outcome.into())),
                Ok(None) => Err(ErrorData::invalid_params("There is no such tool", None)),
                Err(ToolError::Failed { message, .. }) => {
                    Ok(self.complete(CallToolResult::error(vec![ContentBlock::text(message)])))
                }
                Err(ToolError::Upstream(fault)) => Err(self.upstream_error(fault)),
            }
        })
        .await
    }

    async fn list_resources(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.in_request_context(async {
            let after = parse_cursor(params, cursor::decode_resource)?;
            let listed = resources::list(&self.tool_context(), after.as_ref()).await;
            let (listed, next) = listed.map_err(|fault| self.upstream_error(fault))?;
            let mut result = ListResourcesResult::with_all_items(listed);
            result.next_cursor = next.as_ref().map(cursor::encode_resource);
            result.meta = self.server_info_meta();
            (result.ttl_ms, result.cache_scope) = self.cache_hints(LIST_TTL);
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
        parse_cursor::<ResourceUri>(params, |_| None)?;
        let templates = resources::templates(self.authorized.access.scopes());
        let mut result = ListResourceTemplatesResult::with_all_items(templates);
        result.meta = self.server_info_meta();
        (result.ttl_ms, result.cache_scope) = self.cache_hints(LIST_TTL);
        Ok(result)
    }

    async fn read_resource(
        &self,
        _: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.in_request_context(async {
            let Operation::ReadResource(uri) = &self.authorized.call.operation else {
                return Err(self.method_mismatch());
            };
            let read = resources::read(&self.tool_context(), uri).await;
            let outcome = match &read {
                Ok(Some(_)) => "answered",
                Ok(None) => "not_found",
                Err(_) => "fault",
            };
            call_audit::record(&self.authorized, None, outcome);
            // For 2026-07-28 rmcp answers with that revision's code.
            let not_found = || {
                let data = serde_json::json!({ "uri": uri.to_string() });
                ErrorData::resource_not_found("There is no such resource", Some(data))
            };
            let contents = read.map_err(|fault| self.upstream_error(fault))?.ok_or_else(not_found)?;
            let mut result = ReadResourceResult::new(vec![contents]);
            result.meta = self.server_info_meta();
            (result.ttl_ms, result.cache_scope) = self.cache_hints(READ_TTL);
            Ok(result.into())
        })
        .await
    }

    async fn list_prompts(
        &self,
        params: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.in_request_context(async {
            let after = parse_cursor(params, cursor::decode_name)?;
            let listed = prompts::list(&self.tool_context(), after.as_ref()).await;
            let (listed, next) = listed.map_err(|fault| self.upstream_error(fault))?;
            let mut result = ListPromptsResult::with_all_items(listed);
            result.next_cursor = next.as_ref().map(cursor::encode_name);
            result.meta = self.server_info_meta();
            (result.ttl_ms, result.cache_scope) = self.cache_hints(LIST_TTL);
            Ok(result)
        })
        .await
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.in_request_context(async {
            let Operation::GetPrompt(name) = &self.authorized.call.operation else {
                return Err(self.method_mismatch());
            };
            let got = prompts::get(&self.tool_context(), name, &params.arguments.unwrap_or_default()).await;
            let outcome = match &got {
                Ok(_) => "answered",
                Err(MethodError::InvalidParams(_)) => "invalid_params",
                Err(MethodError::Upstream(_)) => "fault",
            };
            call_audit::record(&self.authorized, None, outcome);
            let mut result = got.map_err(|why| self.method_error(why))?;
            result.meta = self.server_info_meta();
            Ok(result.into())
        })
        .await
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.in_request_context(async {
            let Operation::Complete(target) = &self.authorized.call.operation else {
                return Err(self.method_mismatch());
            };
            let completed = completion::complete(&self.tool_context(), target).await;
            let mut result = CompleteResult::new(completed.map_err(|why| self.method_error(why))?);
            result.meta = self.server_info_meta();
            Ok(result)
        })
        .await
    }
}

/// The cursor of a list, as `read` decodes it; `None` for the first page.
fn parse_cursor<T>(
    params: Option<PaginatedRequestParams>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ErrorData> {
    let Some(cursor) = params.and_then(|params| params.cursor) else { return Ok(None) };
    read(&cursor).map(Some).ok_or_else(|| ErrorData::invalid_params("The cursor is not one of ours", None))
}
