//! The programs, by name.

use std::sync::Arc;

use shared::environment::Environment;

use crate::Failure;
use crate::delivery::{Ear, Lines};
use crate::gateway::endpoint::Endpoint;
use crate::template::FunctionDefinition;

/// A program that has started.
pub(crate) enum Program {
    /// It answers requests.
    Answers(Arc<Endpoint>),
    /// It hears what others write for the audit.
    Hears(Arc<Ear>),
}

/// Starts the program that `definition` names, in `environment`. `lines` counts its invocations.
pub(crate) async fn start(
    definition: &FunctionDefinition,
    environment: &Environment,
    lines: &Arc<Lines>,
) -> Result<Program, Failure> {
    let failed = |reason| Failure::Function(definition.binary.clone(), reason);
    macro_rules! answers {
        ($program:ty) => {
            Program::Answers(Endpoint::of(<$program>::new(environment).await.map_err(failed)?, definition, lines))
        };
    }
    Ok(match definition.binary.as_str() {
        "wellknown" => answers!(wellknown::WellKnown),
        "register" => answers!(register::Register),
        "authorize" => answers!(authorize::Authorize),
        "token" => answers!(token::Token),
        "revoke" => answers!(revoke::Revoke),
        "mcp" => answers!(mcp::Mcp),
        "login" => answers!(login::Login),
        "feed" => answers!(feed::ProductFeed),
        "admin" => answers!(admin::Admin),
        "audit" => Program::Hears(Ear::of(audit::Audit::new(environment).await.map_err(failed)?, definition.timeout)),
        unknown => return Err(Failure::NoProgram(unknown.to_owned())),
    })
}
