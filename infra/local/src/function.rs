//! The programs, by name.

use std::sync::Arc;
use std::time::Duration;

use shared::environment::Environment;
use shared::http::edge::Edge;

use crate::error::LocalError;
use crate::gateway::endpoint::Endpoint;
use crate::log_subscription::{AuditSubscriber, LogSubscription};
use crate::scheduled_function::ScheduledFunction;
use crate::template::FunctionDefinition;

/// A program that has started.
pub(crate) enum Program {
    /// It answers requests.
    Endpoint(Arc<Endpoint>),
    /// It is subscribed to what others write for the audit.
    Subscriber(Arc<AuditSubscriber>),
    /// It is invoked when a schedule says so.
    Scheduled(Arc<ScheduledFunction>),
}

/// Starts the program that `definition` names, in `environment`. Its invocations end after `timeout`, and `lines` counts them.
pub(crate) async fn start(
    definition: &FunctionDefinition,
    timeout: Duration,
    environment: &Environment,
    lines: &Arc<LogSubscription>,
) -> Result<Program, LocalError> {
    let failed = |reason| LocalError::Function(definition.binary.clone(), reason);
    macro_rules! endpoint {
        ($program:ty) => {{
            let function = <$program>::new(environment).await.map_err(failed)?;
            let edge = Edge::new(environment).map_err(failed)?;
            Program::Endpoint(Endpoint::of(function, edge, definition, timeout, lines))
        }};
    }
    Ok(match definition.binary.as_str() {
        "wellknown" => endpoint!(wellknown::WellKnown),
        "register" => endpoint!(register::Register),
        "authorize" => endpoint!(authorize::Authorize),
        "token" => endpoint!(token::Token),
        "revoke" => endpoint!(revoke::Revoke),
        "mcp" => endpoint!(mcp::Mcp),
        "login" => endpoint!(login::Login),
        "feed" => endpoint!(feed::ProductFeed),
        "admin" => endpoint!(admin::Admin),
        "audit" => {
            Program::Subscriber(AuditSubscriber::of(audit::Audit::new(environment).await.map_err(failed)?, timeout))
        }
        "people" => {
            Program::Scheduled(ScheduledFunction::of(people::People::new(environment).await.map_err(failed)?, timeout))
        }
        unknown => return Err(LocalError::NoProgram(unknown.to_owned())),
    })
}
