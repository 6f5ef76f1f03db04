//! The tools that a tenant has registered: they are sent what the model sent, who lets it be done, and nothing else of us.

mod claims;
mod content;

use std::sync::Arc;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use shared::environment::{ConfigError, Environment};
use shared::invoker::{InvocationError, Invoker};
use shared::oauth::issuer::Issuer;
use shared::oauth::scope::Scope;
use shared::outbound::{Outbound, OutboundError, OutboundRequest};
use shared::signing_keys::signer::Signer;
use shared::store::workspace::rate_limit::{InFlightCall, RateLimitDecision, RateLimits};
use shared::store::workspace::tool::ToolEndpoint;
use shared::store::workspace::{Name, tool};
use shared::upstream_error::UpstreamError;

use self::claims::{Claims, Context, TYPE};
use super::schema::{Formats, Unchecked, check};
use super::{BuiltIn, Outcome, Undone, Work};

/// The ways to where tenants serve their tools, and how often they may be gone.
pub(crate) struct Reach {
    issuer: Issuer,
    signer: Signer,
    outbound: Outbound,
    invoker: Invoker,
    limits: RateLimits,
}

/// The most bytes of arguments, as JSON.
const ARGUMENTS_LIMIT: usize = 64 * 1024;
/// Where the deployment says nothing.
const LIMITS: RateLimits = RateLimits { per_hour: 600, concurrency: 4 };

impl Reach {
    /// With what it needs of the environment.
    pub(crate) fn new(environment: &Environment, signer: Signer) -> Result<Self, ConfigError> {
        let limit = |name: &'static str, otherwise| match environment.optional(name) {
            Some(number) => number.parse().map_err(|_| ConfigError::Unusable(name, "a whole number")),
            None => Ok(otherwise),
        };
        let limits = RateLimits {
            per_hour: limit("TOOL_CALLS_PER_HOUR", LIMITS.per_hour)?,
            concurrency: limit("TOOL_CONCURRENCY", LIMITS.concurrency)?,
        };
        let (issuer, outbound) = (environment.issuer()?, Outbound::new(environment, "OUTBOUND_ALLOW")?);
        Ok(Self { issuer, signer, outbound, invoker: environment.invoker(), limits })
    }
}

/// A page of the tenant's tools, those after `after`, and where it goes on; none without the scope to call them.
pub(crate) async fn list(work: &Work<'_>, after: Option<&Name>) -> Result<(Vec<Tool>, Option<Name>), UpstreamError> {
    if !work.access.scopes().contains(Scope::ToolsExecute) {
        return Ok((Vec::new(), None));
    }
    let page = work.workspace.tools(after).await?;
    // A name that has become ours since it was registered calls ours.
    let theirs = page.items.into_iter().filter(|tool| BuiltIn::named(tool.name.as_str()).is_none());
    Ok((theirs.map(describe).collect(), page.next))
}

fn describe(tool: tool::Tool) -> Tool {
    let annotations = ToolAnnotations::new()
        .read_only(tool.read_only)
        .destructive(tool.destructive && !tool.read_only)
        .idempotent(tool.idempotent || tool.read_only)
        .open_world(tool.open_world);
    let described =
        Tool::new(tool.name.to_string(), tool.description, Arc::new(tool.input_schema)).with_title(tool.title);
    let described = described.with_annotations(annotations);
    match tool.output_schema {
        Some(schema) => described.with_raw_output_schema(Arc::new(schema)),
        None => described,
    }
}

/// Calls the tenant's tool of that name, if there is one: what is wrong with the arguments costs nothing, and what is sent has
/// been counted before.
pub(crate) async fn call(name: &Name, arguments: JsonObject, work: &Work<'_>) -> Result<Option<Outcome>, Undone> {
    let Some(tool) = work.workspace.tool(name).await? else { return Ok(None) };
    let arguments = Value::Object(arguments);
    if arguments.to_string().len() > ARGUMENTS_LIMIT {
        return Err(Undone::failed("too_large", format!("The arguments must not exceed {ARGUMENTS_LIMIT} bytes.")));
    }
    check(&tool.input_schema, &arguments, Formats::Annotated).map_err(|why| match why {
        Unchecked::Unusable => unusable(),
        Unchecked::TooLarge => {
            Undone::failed("too_large", "The arguments are too large to be checked. Send less at once.")
        }
        Unchecked::Wrong(mistakes) => {
            Undone::failed("invalid_arguments", format!("The arguments do not fit the tool's schema:\n{mistakes}"))
        }
    })?;
    let under_way = begin(work).await?;
    let context = Context::of(&tool, work);
    let outcome = match &tool.kind {
        ToolEndpoint::Http { url } => post(url, &tool, &arguments, context, work).await,
        ToolEndpoint::Lambda { function } => invoke(function, &tool, &arguments, &context, work).await,
    };
    if let Err(fault) = work.workspace.end_call(under_way).await {
        // The tool has done its work, and that is what the caller must hear.
        tracing::warn!(%fault, "a tool's call counts as under way although it has ended");
    }
    outcome.map(Some)
}

/// Counts the call, if it may be made.
async fn begin(work: &Work<'_>) -> Result<InFlightCall, Undone> {
    let RateLimits { per_hour, concurrency } = work.reach.limits;
    match work.workspace.begin_call(work.access, work.reach.limits, work.now).await? {
        RateLimitDecision::Allowed(under_way) => Ok(under_way),
        RateLimitDecision::HourlyLimitExceeded { resets } => {
            let minutes = resets.since(work.now).as_secs().div_ceil(60);
            Err(Undone::failed(
                "budget_spent",
                format!(
                    "This connection has made its {per_hour} calls of the workspace's own tools for this hour. It may make more in \
                     {minutes} minutes. Do not try again before, and tell the person."
                ),
            ))
        }
        RateLimitDecision::ConcurrencyLimitExceeded => Err(Undone::failed(
            "too_many_at_once",
            format!(
                "The workspace's own tools have as many calls under way as they may at one time: {concurrency}. Wait for calls that \
                 you have made to end, then try again, one at a time."
            ),
        )),
    }
}

/// A POST of the arguments, with a token that says on whose behalf.
async fn post(
    url: &str,
    tool: &tool::Tool,
    arguments: &Value,
    context: Context<'_>,
    work: &Work<'_>,
) -> Result<Outcome, Undone> {
    let Reach { signer, outbound, .. } = work.reach;
    let token = signer.sign(TYPE, &Claims::for_tool_at(url, context)).await?;
    let mut token = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| UpstreamError::new("KMS.Sign", "a token that no header takes"))?;
    token.set_sensitive(true);
    let body = arguments.to_string().into_bytes();
    let fetch = OutboundRequest::post_json(url, body, tool.timeout, content::LIMIT)
        .accepting(content::ACCEPTED)
        .header(AUTHORIZATION, token);
    let answer = outbound.fetch(fetch).await.map_err(|refused| {
        let why = match refused {
            OutboundError::TimedOut => "timed_out",
            OutboundError::Unreachable | OutboundError::Unresolved => "unreachable",
            OutboundError::RequestTooLarge | OutboundError::ResponseTooLarge => "too_large",
            OutboundError::NotAnAddress
            | OutboundError::Insecure
            | OutboundError::Userinfo
            | OutboundError::Port
            | OutboundError::SpecialUse => "guarded",
        };
        Undone::failed(why, format!("The tool did not answer: {refused}."))
    })?;
    content::of_answer(tool, &answer)
}

/// An invocation. The event is `{ "arguments": {…}, "context": {…} }`, the context being a [`Context`]; no token, because IAM
/// vouches for who invokes.
async fn invoke(
    function: &str,
    tool: &tool::Tool,
    arguments: &Value,
    context: &Context<'_>,
    work: &Work<'_>,
) -> Result<Outcome, Undone> {
    let event = json!({ "arguments": arguments, "context": context }).to_string().into_bytes();
    let returned = work.reach.invoker.invoke(function, event, tool.timeout, content::LIMIT).await;
    let returned = returned.map_err(|refused| {
        let why = match &refused {
            InvocationError::Failed(said) => return content::of_failure(said),
            InvocationError::TimedOut => "timed_out",
            InvocationError::TooLarge => "too_large",
            InvocationError::Busy => "busy",
            InvocationError::Unreachable => "unreachable",
        };
        Undone::failed(why, format!("The tool did not answer: {refused}."))
    })?;
    content::of_return(tool, &returned)
}

fn unusable() -> Undone {
    Undone::failed("unusable_schema", "The tool is registered with a schema that cannot be used.")
}
