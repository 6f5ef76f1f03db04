//! The part of the template that `sam local` can run, with a value for everything.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Template;
use super::error::TemplateError;

impl Template {
    /// The API and its functions as a template of SAM. `variables` are those of each function by its name in the template.
    ///
    /// It is for `sam local` alone, and says so: it has endpoints of this machine, and neither tables nor permissions. The programs
    /// are where `cargo lambda build` leaves them.
    pub(crate) fn for_sam_local(&self, variables: &Map<String, Value>) -> Result<Value, TemplateError> {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("/"));
        let programs = programs.join("target/lambda");
        let general = |name: &str| {
            let value = self.root.pointer(&format!("/Globals/Function/{name}"));
            self.resolve(value.ok_or_else(|| TemplateError::Shape(format!("Globals without {name}")))?)
        };
        let mut resources = Map::from_iter([("Api".to_owned(), json!({ "Type": "AWS::Serverless::HttpApi" }))]);
        for definition in self.functions()? {
            let events = definition.routes.iter().enumerate().map(|(number, (method, path))| {
                let route = json!({ "ApiId": { "Ref": "Api" }, "Method": method, "Path": path });
                (format!("Route{}", number + 1), json!({ "Type": "HttpApi", "Properties": route }))
            });
            let mut properties = json!({
                "FunctionName": definition.name,
                "CodeUri": programs.join(&definition.binary),
                "Timeout": definition.timeout.as_secs(),
                "Environment": { "Variables": variables.get(&definition.logical_id) },
            });
            let events: Map<_, _> = events.collect();
            if let (Some(properties), false) = (properties.as_object_mut(), events.is_empty()) {
                properties.insert("Events".to_owned(), Value::Object(events));
            }
            let function = json!({ "Type": "AWS::Serverless::Function", "Properties": properties });
            resources.insert(definition.logical_id, function);
        }
        Ok(json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Transform": "AWS::Serverless-2016-10-31",
            "Description": "For sam local beside a local system, which writes it at every start. Deploy template.yaml, never this.",
            "Globals": {
                "Function": {
                    "Handler": general("Handler")?,
                    "Runtime": general("Runtime")?,
                    "MemorySize": general("MemorySize")?,
                    "Architectures": [architecture()],
                },
            },
            "Resources": resources,
        }))
    }
}

/// Of this machine, as Lambda calls it.
const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}
