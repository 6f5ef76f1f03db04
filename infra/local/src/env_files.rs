//! What a program of another kind is told to run a function beside this system: `cargo lambda watch`, and `sam local`.
//!
//! A function reads the variables that it reads on AWS, and the SDK its own (`AWS_ENDPOINT_URL_DYNAMODB` and so on), so nothing of
//! a function is for this. Secrets of the system are among them, so the files are for their owner's eyes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::aws::Addresses;
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
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;

    let mut all = Variables::new();
    for definition in template.functions()? {
        let variables = with_endpoints(definition.variables, addresses);
        let file = folder.join(format!("{}.env", definition.binary));
        write_file(&file, &dotenv(&with_credentials(variables.clone()))).map_err(failed)?;
        all.extend(variables);
    }
    write_file(&folder.join("functions.env"), &dotenv(&with_credentials(all))).map_err(failed)?;

    let (template, addresses) = (template.with(&[("Issuer", SAM_ISSUER)])?, by_name(addresses));
    let mut of_functions = serde_json::Map::new();
    for definition in template.functions()? {
        of_functions.insert(definition.logical_id, json!(with_endpoints(definition.variables, &addresses)));
    }
    let sam_template = template.for_sam_local(&of_functions)?;
    write_file(&folder.join("sam-env.json"), &pretty(&Value::Object(of_functions))).map_err(failed)?;
    write_file(&folder.join("sam-template.json"), &pretty(&sam_template)).map_err(failed)
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

/// Whole or not at all: a program may be about to read the one before.
fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&draft, path)
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
