//! The programs, by name.

use std::sync::Arc;

use shared::environment::Environment;

use crate::Failure;
use crate::gateway::endpoint::Endpoint;
use crate::template::FunctionDefinition;

/// Starts the program that `definition` names, in `environment`.
pub(crate) async fn start(
    definition: &FunctionDefinition,
    environment: &Environment,
) -> Result<Arc<Endpoint>, Failure> {
    let (name, timeout) = (definition.binary.as_str(), definition.timeout);
    let misconfigured = |reason| Failure::Function(name.to_owned(), reason);
    Ok(match name {
        "wellknown" => {
            Endpoint::of(wellknown::WellKnown::new(environment).await.map_err(misconfigured)?, name, timeout)
        }
        "register" => Endpoint::of(register::Register::new(environment).await.map_err(misconfigured)?, name, timeout),
        "authorize" => {
            Endpoint::of(authorize::Authorize::new(environment).await.map_err(misconfigured)?, name, timeout)
        }
        "token" => Endpoint::of(token::Token::new(environment).await.map_err(misconfigured)?, name, timeout),
        "revoke" => Endpoint::of(revoke::Revoke::new(environment).await.map_err(misconfigured)?, name, timeout),
        "mcp" => Endpoint::of(mcp::Mcp::new(environment).await.map_err(misconfigured)?, name, timeout),
        "membership" => {
            Endpoint::of(membership::Membership::new(environment).await.map_err(misconfigured)?, name, timeout)
        }
        "login" => Endpoint::of(login::Login::new(environment).await.map_err(misconfigured)?, name, timeout),
        _ => return Err(Failure::NoProgram(name.to_owned())),
    })
}
