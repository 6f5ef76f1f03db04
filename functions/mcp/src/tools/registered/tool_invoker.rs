//! What calls to the tools that tenants serve need, and how many there may be.

use shared::environment::{ConfigError, Environment};
use shared::invoker::Invoker;
use shared::outbound::Outbound;

use super::tool_token::ToolTokenSigner;

/// What the tools that tenants serve are called with.
pub(crate) struct ToolInvoker {
    pub(super) signer: ToolTokenSigner,
    pub(super) outbound: Outbound,
    pub(super) invoker: Invoker,
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
}
