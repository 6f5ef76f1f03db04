//! Calls the tools that tenants serve, over HTTP or as Lambda functions. Knows how many calls there may be, how long one may take, and
//! what the model hears of a tool that did not answer.

use std::time::Duration;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use shared::access::Access;
use shared::clock::{Deadline, Timestamp};
use shared::environment::{ConfigError, Environment};
use shared::invoker::{InvocationError, Invoker};
use shared::outbound::{Outbound, OutboundError, OutboundRequest};
use shared::store::workspace::tool::{Tool, ToolEndpoint};
use shared::upstream_call;

use super::claims::{CallerClaims, Claims};
use super::tool_response;
use super::tool_token::ToolTokenSigner;
use crate::tools::tool_error::ToolError;
use crate::tools::tool_result::ToolResult;

/// What the tools that tenants serve are called with.
pub(crate) struct ToolInvoker {
    signer: ToolTokenSigner,
    outbound: Outbound,
    invoker: Invoker,
    pub(in crate::tools) limits: RateLimits,
}

/// What a deployment allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimits {
    /// Calls that one grant or API key may make in an hour.
    pub(in crate::tools) per_hour: u32,
    /// Calls of one tenant that may be under way at a time.
    pub(super) concurrency: u32,
}

/// Where the deployment says nothing.
const LIMITS: RateLimits = RateLimits { per_hour: 600, concurrency: 4 };

impl ToolInvoker {
    /// With what it needs of the environment.
    pub(crate) fn new(environment: &Environment) -> Result<Self, ConfigError> {
        let limit = |name: &'static str, otherwise| match environment.optional(name) {
            Some(number) => number.parse().map_err(|_| ConfigError::Unusable(name, "a whole number")),
            None => Ok(otherwise),
        };
        let limits = RateLimits {
            per_hour: limit("TOOL_CALLS_PER_HOUR", LIMITS.per_hour)?,
            concurrency: limit("TOOL_CONCURRENCY", LIMITS.concurrency)?,
        };
        let signer = ToolTokenSigner::new(environment.tool_keyring()?, &environment.issuer()?);
        let outbound = Outbound::new(environment, "OUTBOUND_ALLOW")?;
        Ok(Self { signer, outbound, invoker: environment.invoker(), limits })
    }

    /// Calls `tool` on behalf of whoever has `access`. What it answers is the result, or why there is none.
    pub(super) async fn call(
        &self,
        tool: &Tool,
        arguments: &Value,
        access: &Access,
        deadline: &Deadline,
        now: Timestamp,
    ) -> Result<ToolResult, ToolError> {
        let caller = CallerClaims::of(tool, self.signer.issuer(), access, now);
        match &tool.kind {
            ToolEndpoint::Http { url } => self.call_http(url, tool, arguments, caller, deadline).await,
            ToolEndpoint::Lambda { function } => self.call_lambda(function, tool, arguments, &caller, deadline).await,
        }
    }

    /// A POST of the arguments, with a token that says on whose behalf.
    async fn call_http(
        &self,
        url: &str,
        tool: &Tool,
        arguments: &Value,
        caller: CallerClaims<'_>,
        deadline: &Deadline,
    ) -> Result<ToolResult, ToolError> {
        let token = self.signer.sign(&Claims::for_tool(url, caller)).await?;
        let mut token = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| upstream_call::failed("KMS.Sign", "a token that no header takes"))?;
        token.set_sensitive(true);
        let (body, timeout) = (arguments.to_string().into_bytes(), CallTimeout::of(tool, deadline)?);
        let fetch = OutboundRequest::post_json(url, body, timeout.0, tool_response::LIMIT)
            .accepting(tool_response::ACCEPT)
            .header(AUTHORIZATION, token);
        let answer = self.outbound.fetch(fetch).await;
        let answer = answer.map_err(|error| no_answer(error, timeout))?;
        tool_response::from_http_response(tool, &answer)
    }

    /// An invocation. The event is `{ "arguments": {…}, "context": {…} }`, the latter being [`CallerClaims`]; no token, because IAM
    /// vouches for who invokes.
    async fn call_lambda(
        &self,
        function: &str,
        tool: &Tool,
        arguments: &Value,
        caller: &CallerClaims<'_>,
        deadline: &Deadline,
    ) -> Result<ToolResult, ToolError> {
        let event = json!({ "arguments": arguments, "context": caller }).to_string().into_bytes();
        let timeout = CallTimeout::of(tool, deadline)?;
        let returned = self.invoker.invoke(function, event, timeout.0, tool_response::LIMIT).await;
        let returned = returned.map_err(|error| nothing_returned(&error, timeout))?;
        tool_response::from_function_result(tool, &returned)
    }
}

/// How long one call may take: the tool's own timeout, or what is left of the function's time.
#[derive(Clone, Copy)]
struct CallTimeout(Duration);

impl CallTimeout {
    /// Of a call of `tool` that begins now, in a function that ends at `deadline`.
    ///
    /// # Errors
    /// When nothing is left for it.
    fn of(tool: &Tool, deadline: &Deadline) -> Result<Self, ToolError> {
        tool.timeout.within(deadline).map(Self).ok_or_else(|| {
            ToolError::failed("timed_out", "The tool was not called: too much time had passed before. Try again.")
        })
    }

    /// Why there is no result of a tool that had not answered by then.
    fn exceeded(self) -> ToolError {
        let seconds = (self.0.as_secs_f64() * 10.0).floor() / 10.0;
        ToolError::failed("timed_out", format!("The tool did not answer within {seconds} s."))
    }
}

/// Why a tool did not answer over HTTP.
fn no_answer(error: OutboundError, timeout: CallTimeout) -> ToolError {
    let why = match error {
        OutboundError::TimedOut => return timeout.exceeded(),
        OutboundError::ConnectTimedOut | OutboundError::Unreachable | OutboundError::Unresolved => "unreachable",
        OutboundError::RequestTooLarge | OutboundError::ResponseTooLarge => "too_large",
        OutboundError::NotAnAddress
        | OutboundError::Insecure
        | OutboundError::Userinfo
        | OutboundError::Port
        | OutboundError::SpecialUse => "guarded",
    };
    ToolError::failed(why, format!("The tool did not answer: {error}."))
}

/// Why a function returned nothing.
fn nothing_returned(error: &InvocationError, timeout: CallTimeout) -> ToolError {
    let why = match error {
        InvocationError::Failed(said) => return tool_response::from_function_error(said),
        InvocationError::TimedOut => return timeout.exceeded(),
        InvocationError::TooLarge => "too_large",
        InvocationError::Busy => "busy",
        InvocationError::Unreachable => "unreachable",
    };
    ToolError::failed(why, format!("The tool did not answer: {error}."))
}
