//! `template.yaml`, as it would be deployed here: what runs on AWS and what runs on this machine are one description.

pub mod error;
mod intrinsic;
mod sam_local;
mod yaml;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use error::TemplateError;
use fakes::kms::key_spec::KeySpec;

use crate::key_arn::{KeyPurpose, key_arn, refresh_token_key_arn};

const TEXT: &str = include_str!("../../../../template.yaml");
const REGION: &str = "us-east-1";
/// The account of AWS's own examples.
const ACCOUNT: &str = "111122223333";

/// The template with a value for each parameter.
pub(crate) struct Template {
    root: Value,
    /// The stack's name, after which everything else is named.
    pub(crate) stack: String,
    parameters: BTreeMap<String, String>,
    keys: KeyArns,
}

/// ARNs of the keys that the template creates: of those that sign, for each purpose the first, which signs unless a parameter says
/// otherwise, and the second; and the key of refresh tokens.
#[derive(Clone)]
pub(crate) struct KeyArns {
    access_tokens: [String; 2],
    tool_tokens: [String; 2],
    refresh_token: String,
}

/// A function that the template deploys.
pub(crate) struct FunctionDefinition {
    /// What the template calls it.
    pub(crate) logical_id: String,
    /// The program: its folder under `functions/`.
    pub(crate) binary: String,
    /// What Lambda calls it.
    pub(crate) name: String,
    /// After which Lambda ends it.
    pub(crate) timeout: Duration,
    /// What it is told, by name.
    pub(crate) variables: BTreeMap<String, String>,
    /// Method and path of each of its routes.
    pub(crate) routes: Vec<(String, String)>,
}

/// A table that the template creates.
pub(crate) struct TableDefinition {
    /// Its name here.
    pub(crate) name: String,
    /// The body of `CreateTable`.
    pub(crate) create: Value,
    /// The attribute that says when an item ends.
    pub(crate) time_to_live: Option<String>,
}

/// A metric of CloudWatch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Metric {
    /// Whose it is.
    pub namespace: String,
    /// What it is called there.
    pub name: String,
    /// What it is about; nothing is said of AWS's own.
    pub dimensions: BTreeMap<String, String>,
}

impl KeyArns {
    /// Of a system whose first keys are of `spec`.
    pub(crate) fn of(spec: KeySpec) -> Self {
        let other = match spec {
            KeySpec::Rsa2048 => KeySpec::EccNistP256,
            KeySpec::EccNistP256 => KeySpec::Rsa2048,
        };
        let both = |purpose| [key_arn(purpose, spec), key_arn(purpose, other)];
        Self {
            access_tokens: both(KeyPurpose::AccessTokens),
            tool_tokens: both(KeyPurpose::ToolTokens),
            refresh_token: refresh_token_key_arn(),
        }
    }
}

impl Template {
    /// With `parameters` over the template's defaults. Patterns of parameters are CloudFormation's to check: they demand
    /// https, which nobody has at home.
    pub(crate) fn new(stack: &str, parameters: BTreeMap<String, String>, keys: KeyArns) -> Result<Self, TemplateError> {
        Self::of(TEXT, stack, parameters, keys)
    }

    /// Another text of it.
    pub(crate) fn of(
        text: &str,
        stack: &str,
        mut parameters: BTreeMap<String, String>,
        keys: KeyArns,
    ) -> Result<Self, TemplateError> {
        let root = yaml::read(text)?;
        let declared = member(&root, "Parameters")?;
        if let Some(unknown) = parameters.keys().find(|name| !declared.contains_key(*name)) {
            return Err(TemplateError::Reference(unknown.clone()));
        }
        for (name, declaration) in declared {
            if let Some(default) = declaration.get("Default") {
                let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
                parameters.entry(name.clone()).or_insert(default);
            }
        }
        Ok(Self { root, stack: stack.to_owned(), parameters, keys })
    }

    /// The value of a parameter, unless it is empty.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The same with other values of some parameters.
    pub(crate) fn with(&self, changes: &[(&str, &str)]) -> Result<Self, TemplateError> {
        let mut parameters = self.parameters.clone();
        parameters.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::new(&self.stack, parameters, self.keys.clone())
    }

    /// The functions whose conditions hold.
    pub(crate) fn functions(&self) -> Result<Vec<FunctionDefinition>, TemplateError> {
        let general = self.root.pointer("/Globals/Function");
        let mut functions = Vec::new();
        for (name, resource) in self.resources("AWS::Serverless::Function")? {
            let setting = |pointer: &str| {
                let own = resource.pointer(&format!("/Properties{pointer}"));
                own.or_else(|| general.and_then(|general| general.pointer(pointer)))
            };
            let shape = |what: &str| TemplateError::Shape(format!("a function {name} without {what}"));
            let binary = resource.pointer("/Metadata/BuildProperties/Binary").and_then(Value::as_str);
            let timeout = setting("/Timeout").and_then(Value::as_u64).ok_or_else(|| shape("Timeout"))?;
            // SAM merges the variables of Globals with the function's own, which win.
            let mut variables = BTreeMap::new();
            for own in [general, resource.get("Properties")].into_iter().flatten() {
                let own = own.pointer("/Environment/Variables").and_then(Value::as_object);
                for (name, value) in own.into_iter().flatten() {
                    variables.insert(name.clone(), self.resolve_text(value)?);
                }
            }
            let events = resource.pointer("/Properties/Events").and_then(Value::as_object);
            let mut routes = Vec::new();
            for event in events.into_iter().flatten().map(|(_, event)| event) {
                // What no request reaches: nothing here looks at the clock for it.
                if event.get("Type").and_then(Value::as_str) == Some("Schedule") {
                    continue;
                }
                let part = |name| event.pointer(&format!("/Properties/{name}")).and_then(Value::as_str);
                let (Some("HttpApi"), Some(method), Some(path)) =
                    (event.get("Type").and_then(Value::as_str), part("Method"), part("Path"))
                else {
                    return Err(shape("a method and a path in each event"));
                };
                routes.push((method.to_owned(), path.to_owned()));
            }
            let binary = binary.ok_or_else(|| shape("Binary"))?.to_owned();
            let name_in_template = name.to_owned();
            let name = self.resolve_text(setting("/FunctionName").ok_or_else(|| shape("FunctionName"))?)?;
            functions.push(FunctionDefinition {
                logical_id: name_in_template,
                binary,
                name,
                timeout: Duration::from_secs(timeout),
                variables,
                routes,
            });
        }
        Ok(functions)
    }

    /// What each function may do on AWS, and on what: `(binary, action, ARN)`.
    pub(crate) fn policies(&self) -> Result<Vec<(String, String, String)>, TemplateError> {
        let mut allowed = Vec::new();
        for (name, resource) in self.resources("AWS::Serverless::Function")? {
            let shape = |what: &str| TemplateError::Shape(format!("a function {name} with {what}"));
            let binary = resource.pointer("/Metadata/BuildProperties/Binary").and_then(Value::as_str);
            let binary = binary.ok_or_else(|| shape("no Binary"))?;
            let policies = resource.pointer("/Properties/Policies").and_then(Value::as_array);
            for policy in policies.into_iter().flatten() {
                let statements = policy.get("Statement").and_then(Value::as_array);
                for statement in statements.ok_or_else(|| shape("a policy without statements"))? {
                    let statement = self.resolve(statement)?;
                    if statement.is_null() {
                        continue;
                    }
                    let actions = texts(statement.get("Action")).ok_or_else(|| shape("a statement without actions"))?;
                    for on in texts(statement.get("Resource")).ok_or_else(|| shape("a statement without resources"))? {
                        allowed.extend(actions.iter().map(|action| (binary.to_owned(), action.clone(), on.clone())));
                    }
                }
            }
        }
        Ok(allowed)
    }

    /// `responseParameters` of a route: changes to the answer, by status (API Gateway, "Transform API requests and
    /// responses for HTTP APIs").
    pub(crate) fn response_parameters(&self, method: &str, path: &str) -> Result<Map<String, Value>, TemplateError> {
        let apis = self.resources("AWS::Serverless::HttpApi")?;
        let [(_, api)] = apis.as_slice() else { return Err(TemplateError::Shape(format!("{} HTTP APIs", apis.len()))) };
        let operation = api.pointer("/Properties/DefinitionBody/paths").and_then(|paths| {
            paths.get(path)?.get(method.to_ascii_lowercase())?.get("x-amazon-apigateway-integration")
        });
        let Some(parameters) = operation.and_then(|integration| integration.get("responseParameters")) else {
            return Ok(Map::new());
        };
        match self.resolve(parameters)? {
            Value::Object(parameters) => Ok(parameters),
            other => Err(TemplateError::Shape(format!("responseParameters {other}"))),
        }
    }

    /// The tables.
    pub(crate) fn tables(&self) -> Result<Vec<TableDefinition>, TemplateError> {
        // What a local table has; backups and the like are AWS's.
        const TAKEN: [&str; 5] =
            ["AttributeDefinitions", "BillingMode", "DeletionProtectionEnabled", "GlobalSecondaryIndexes", "KeySchema"];
        let mut tables = Vec::new();
        for (logical, resource) in self.resources("AWS::DynamoDB::Table")? {
            let properties = self.resolve(resource.get("Properties").unwrap_or(&Value::Null))?;
            let name = self.table_name(logical);
            let mut create = json!({ "TableName": name });
            for taken in TAKEN {
                if let (Some(value), Some(create)) = (properties.get(taken), create.as_object_mut()) {
                    create.insert(taken.to_owned(), value.clone());
                }
            }
            let time_to_live = properties.pointer("/TimeToLiveSpecification/AttributeName").and_then(Value::as_str);
            tables.push(TableDefinition { name, create, time_to_live: time_to_live.map(str::to_owned) });
        }
        Ok(tables)
    }

    /// Every table's name under the variable that functions know it by, as an operator's tool is told it.
    pub(crate) fn table_variables(&self) -> Result<BTreeMap<String, String>, TemplateError> {
        let tables = self.resources("AWS::DynamoDB::Table")?;
        let variable = |logical: &str| format!("TABLE_{}", logical.to_ascii_uppercase());
        Ok(tables.into_iter().map(|(logical, _)| (variable(logical), self.table_name(logical))).collect())
    }

    /// What `amble` is told as functions are: the names of the tables, and the hosts that are vouched for.
    pub(crate) fn operator_variables(&self) -> Result<BTreeMap<String, String>, TemplateError> {
        let mut variables = self.table_variables()?;
        variables.extend(self.parameters.get("VouchedHosts").map(|hosts| ("VOUCHED_HOSTS".to_owned(), hosts.clone())));
        Ok(variables)
    }

    /// The metrics that each alarm is about.
    pub(crate) fn alarms(&self) -> Result<BTreeMap<String, Vec<Metric>>, TemplateError> {
        let mut alarms = BTreeMap::new();
        for (logical, resource) in self.resources("AWS::CloudWatch::Alarm")? {
            let own = resource.get("Properties").into_iter();
            let several = resource.pointer("/Properties/Metrics").and_then(Value::as_array).into_iter().flatten();
            let described = own.chain(several.filter_map(|metric| metric.pointer("/MetricStat/Metric")));
            let described = described.filter(|metric| metric.get("MetricName").is_some());
            let metrics = described.map(|metric| self.metric(metric)).collect::<Result<_, _>>()?;
            alarms.insert(logical.to_owned(), metrics);
        }
        Ok(alarms)
    }

    /// The metrics that are drawn from lines by a filter: namespace and name.
    pub(crate) fn filtered_metrics(&self) -> Result<Vec<Metric>, TemplateError> {
        let filters = self.resources("AWS::Logs::MetricFilter")?.into_iter();
        let metrics = filters.filter_map(|(_, resource)| resource.pointer("/Properties/MetricTransformations/0"));
        metrics
            .map(|metric| {
                let text = |name| self.resolve_text(metric.get(name).unwrap_or(&Value::Null));
                let (namespace, name) = (text("MetricNamespace")?, text("MetricName")?);
                Ok(Metric { namespace, name, dimensions: BTreeMap::new() })
            })
            .collect()
    }

    fn metric(&self, metric: &Value) -> Result<Metric, TemplateError> {
        let text = |value: Option<&Value>| self.resolve_text(value.unwrap_or(&Value::Null));
        let namespace = text(metric.get("Namespace"))?;
        let mut dimensions = BTreeMap::new();
        let ours = namespace.starts_with(shared::telemetry::metrics::NAMESPACE);
        // Those of AWS's own metrics name resources, some of which there are not here.
        for dimension in metric.get("Dimensions").and_then(Value::as_array).into_iter().flatten().filter(|_| ours) {
            dimensions.insert(text(dimension.get("Name"))?, text(dimension.get("Value"))?);
        }
        Ok(Metric { namespace, name: text(metric.get("MetricName"))?, dimensions })
    }

    /// The saved queries by name, without the folder that they lie in.
    pub(crate) fn queries(&self) -> Result<BTreeMap<String, String>, TemplateError> {
        let mut queries = BTreeMap::new();
        for (logical, resource) in self.resources("AWS::Logs::QueryDefinition")? {
            let text = |name: &str| {
                let value = resource.pointer(&format!("/Properties/{name}"));
                value.ok_or_else(|| TemplateError::Shape(format!("a query {logical} without {name}")))
            };
            let name = self.resolve_text(text("Name")?)?;
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            queries.insert(name, self.resolve_text(text("QueryString")?)?);
        }
        Ok(queries)
    }

    fn table_name(&self, logical: &str) -> String {
        format!("{}-{logical}", self.stack)
    }

    fn resources(&self, kind: &str) -> Result<Vec<(&str, &Value)>, TemplateError> {
        let mut found = Vec::new();
        for (name, resource) in member(&self.root, "Resources")? {
            let condition = resource.get("Condition").and_then(Value::as_str);
            let deployed = condition.map_or(Ok(true), |condition| self.condition(condition))?;
            if deployed && resource.get("Type").and_then(Value::as_str) == Some(kind) {
                found.push((name.as_str(), resource));
            }
        }
        Ok(found)
    }
}

fn member<'a>(root: &'a Value, name: &str) -> Result<&'a Map<String, Value>, TemplateError> {
    root.get(name).and_then(Value::as_object).ok_or_else(|| TemplateError::Shape(format!("no {name}")))
}

/// One text, or a list of them.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(parameters: &[(&str, &str)]) -> Template {
        let required =
            [("Issuer", "http://localhost:1"), ("ProductName", "Amble"), ("SupabaseUrl", "http://localhost:2")];
        let required = required.iter().chain(&[("SupabasePublishableKey", "sb_publishable_x")]);
        let parameters = required.chain(parameters).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let keys = KeyArns {
            access_tokens: ["arn:one", "arn:two"].map(str::to_owned),
            tool_tokens: ["arn:tools-one", "arn:tools-two"].map(str::to_owned),
            refresh_token: "arn:refresh".to_owned(),
        };
        Template::new("amble-connect", parameters.collect(), keys).unwrap()
    }

    fn variables(template: &Template, binary: &str) -> BTreeMap<String, String> {
        template.functions().unwrap().into_iter().find(|function| function.binary == binary).unwrap().variables
    }

    #[test]
    fn functions_have_exactly_the_variables_of_the_template() {
        let register = variables(&template(&[]), "register");
        let expected = [
            ("CLIENT_ADDRESS", "gateway"),
            ("EDGE_ONLY", "no"),
            ("EDGE_SECRET_DIGESTS", ""),
            ("SETTINGS", "1"),
            ("TABLE_CLIENTS", "amble-connect-Clients"),
        ];
        assert_eq!(register, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn conditions_are_resolved() {
        assert_eq!(variables(&template(&[]), "token")["SIGNING_KEYS"], "arn:one");
        assert_eq!(variables(&template(&[]), "token")["REFRESH_TOKEN_KEY"], "arn:refresh");
        for (keys, expected) in [
            ("first", "arn:one"),
            ("first,second", "arn:one,arn:two"),
            ("second,first", "arn:two,arn:one"),
            ("second", "arn:two"),
        ] {
            let template = template(&[("SigningKeys", keys)]);
            for function in ["mcp", "revoke", "token", "wellknown"] {
                let variables = variables(&template, function);
                assert_eq!(variables["SIGNING_KEYS"], expected, "{function}");
                let of_tools = expected.replace("arn:", "arn:tools-");
                let knows_tools = ["mcp", "wellknown"].contains(&function);
                assert_eq!(variables.get("TOOL_SIGNING_KEYS"), knows_tools.then_some(&of_tools), "{function}");
                let may = template
                    .policies()
                    .unwrap()
                    .into_iter()
                    .filter(|(of, action, _)| of == function && action == "kms:GetPublicKey");
                let expected = if knows_tools { format!("{expected},{of_tools}") } else { expected.to_owned() };
                let (mut may, mut expected): (Vec<_>, Vec<_>) =
                    (may.map(|(_, _, on)| on).collect(), expected.split(',').collect());
                may.sort();
                expected.sort_unstable();
                assert_eq!(may, expected, "{function}");
            }
        }

        let binaries = |template: Template| -> Vec<_> {
            template.functions().unwrap().into_iter().map(|function| function.binary).collect()
        };
        assert!(binaries(template(&[])).contains(&"login".to_owned()));
        assert!(!binaries(template(&[("LoginUrl", "http://localhost:3/in")])).contains(&"login".to_owned()));
    }

    #[test]
    fn undeclared_parameters_are_refused() {
        let unknown = [("Isuer".to_owned(), String::new())];
        assert!(
            matches!(Template::new("amble-connect", unknown.into(), KeyArns::of(KeySpec::Rsa2048)), Err(TemplateError::Reference(name)) if name == "Isuer")
        );
    }

    #[test]
    fn template_values_keep_their_types() {
        let clients = template(&[]).tables().unwrap().into_iter().find(|table| table.name == "amble-connect-Clients");
        let clients = clients.unwrap();
        assert_eq!(clients.time_to_live.as_deref(), Some("expires"));
        assert_eq!(clients.create["DeletionProtectionEnabled"], json!(true));
        assert_eq!(clients.create["KeySchema"], json!([{ "AttributeName": "id", "KeyType": "HASH" }]));
    }
}
