//! Tools of a workspace file that cannot be called, told when the file is loaded and not when somebody calls one.

use std::time::Duration;

use shared::oauth::tenant::TenantId;
use shared::outbound::{Outbound, OutboundError, OutboundRequest};
use shared::store::workspace::tool::{Tool, ToolEndpoint};
use url::Url;

use crate::demo_function;

/// The tools to look at, and what they may be called at.
pub(crate) struct UnreachableTools {
    tools: Vec<(String, ToolEndpoint)>,
    outbound: Outbound,
}

impl UnreachableTools {
    /// Of these tools, called at the internet and at the origins of `allowed`.
    pub(crate) fn of(tools: &[(&TenantId, &Tool)], allowed: Vec<String>) -> Self {
        let tools = tools.iter().map(|(tenant, tool)| (format!("tool {} of {tenant}", tool.name), tool.kind.clone()));
        Self { tools: tools.collect(), outbound: Outbound::allowing(allowed) }
    }

    /// Asks at the address of each, and tells of those where nothing can be asked. What is asked is `GET`, which changes nothing
    /// (RFC 9110 §9.2.1), and any answer will do: a tool is called by `POST`.
    pub(crate) async fn report(&self) {
        const TIMEOUT: Duration = Duration::from_secs(5);
        const LIMIT: usize = 64 * 1024;

        for (tool, endpoint) in &self.tools {
            match endpoint {
                ToolEndpoint::Lambda { function } if function != demo_function::ARN => {
                    tracing::warn!("{tool} cannot be called: the local system has no function {function}");
                }
                ToolEndpoint::Lambda { .. } => {}
                ToolEndpoint::Http { url } => {
                    match self.outbound.fetch(OutboundRequest::get(url, TIMEOUT, LIMIT)).await {
                        Ok(_) | Err(OutboundError::ResponseTooLarge) => {}
                        Err(error) => tracing::warn!("{tool} cannot be called: {error}{}", advice(error, url)),
                    }
                }
            }
        }
    }
}

/// What to do about it.
fn advice(error: OutboundError, url: &str) -> String {
    let origin = Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
    match error {
        OutboundError::Insecure | OutboundError::Port | OutboundError::SpecialUse => {
            format!(". If it is yours, start with --outbound-allow {origin}")
        }
        OutboundError::Unreachable
        | OutboundError::Unresolved
        | OutboundError::ConnectTimedOut
        | OutboundError::TimedOut => {
            format!(". Is it running at {origin}?")
        }
        _ => String::new(),
    }
}
