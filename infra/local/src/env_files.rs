//! What a program of another kind is told to run a function beside this system: `cargo lambda watch`, and `sam local`.
//!
//! A function reads the variables that it reads on AWS, and the SDK its own (`AWS_ENDPOINT_URL_DYNAMODB` and so on), so nothing of
//! a function is for this. Secrets of the system are among them, so the files are for their owner's eyes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use shared::http::public_paths::PublicPaths;

use crate::aws::Addresses;
use crate::data_dir::{create_private, write_private};
use crate::error::LocalError;
use crate::template::Template;

/// Where `sam local start-api` serves the API if it is told no port.
pub(crate) const SAM_ISSUER: &str = "http://localhost:3000";

/// The variables of a function.
type Variables = BTreeMap<String, String>;

/// Writes all of them into `folder`, which is made if it is not there:
///
/// - `<function>.env`: the variables of one function, as a dotenv file,
/// - `functions.env`: those of all,
/// - `sam-env.json`: the same for `sam local --env-vars`,
/// - `sam-template.json`: the API and the functions for `sam local`, with the endpoints that `template.yaml` does not name.
///
/// Nothing without a folder.
pub(crate) fn write(folder: Option<&Path>, template: &Template, addresses: &Addresses) -> Result<(), LocalError> {
    let Some(folder) = folder else { return Ok(()) };
    let failed = |error| LocalError::EnvDir(folder.to_owned(), error);
    create_private(folder).map_err(failed)?;

    let mut all = Variables::new();
    for definition in template.functions()? {
        let variables = with_endpoints(definition.variables, addresses);
        let file = folder.join(format!("{}.env", definition.binary));
        write_private(&file, dotenv(&with_credentials(variables.clone())).as_bytes()).map_err(failed)?;
        all.extend(variables);
    }
    write_private(&folder.join("functions.env"), dotenv(&with_credentials(all)).as_bytes()).map_err(failed)?;

    // Nothing stands in front of it there: what this system's own gateway rewrites, and what a tunnel adds, nobody does.
    let (admin, auth) = (PublicPaths::ADMIN, PublicPaths::AUTH);
    let here = [("Issuer", SAM_ISSUER), ("AdminPath", admin), ("AuthPath", auth), ("ClientAddress", "gateway")];
    let (template, addresses) = (template.with(&here)?, by_name(addresses));
    let mut of_functions = serde_json::Map::new();
    for definition in template.functions()? {
        of_functions.insert(definition.logical_id, json!(with_endpoints(definition.variables, &addresses)));
    }
    let sam_template = template.for_sam_local(&of_functions)?;
    write_private(&folder.join("sam-env.json"), pretty(&Value::Object(of_functions)).as_bytes()).map_err(failed)?;
    write_private(&folder.join("sam-template.json"), pretty(&sam_template).as_bytes()).map_err(failed)
}

/// A container has a loopback of its own. The name can be given another address there, and this machine's addresses cannot.
fn by_name(addresses: &Addresses) -> Addresses {
    let named = |address: &str| address.replace("127.0.0.1", "localhost");
    let Addresses { dynamo, kms, lambda, secrets } = addresses;
    Addresses { dynamo: named(dynamo), kms: named(kms), lambda: named(lambda), secrets: named(secrets) }
}

fn with_endpoints(mut variables: Variables, addresses: &Addresses) -> Variables {
    variables.extend(addresses.variables().map(|(name, address)| (name.to_owned(), address.to_owned())));
    variables
}

/// Region and credentials, which Lambda gives and cargo-lambda does not. Any do.
fn with_credentials(mut variables: Variables) -> Variables {
    let of_lambda = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")];
    variables.extend(of_lambda.map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables
}

/// A line each. In single quotes a shell and cargo-lambda take every character for itself.
fn dotenv(variables: &Variables) -> String {
    variables.iter().fold(String::new(), |mut lines, (name, value)| {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{name}='{}'", value.replace('\'', r"'\''"));
        lines
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_values_are_quoted() {
        let variables = [("A", "tools:execute views:read"), ("B", "it's $5"), ("C", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(dotenv(&variables), "A='tools:execute views:read'\nB='it'\\''s $5'\nC=''\n");
    }
}
