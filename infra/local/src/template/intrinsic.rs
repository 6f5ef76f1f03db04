//! CloudFormation's functions, resolved for this machine.

use serde_json::{Map, Value, json};

use super::error::TemplateError;
use super::{ACCOUNT, REGION, Template};

impl Template {
    /// `value` with every reference and function replaced by what it comes to here.
    pub(super) fn resolve(&self, value: &Value) -> Result<Value, TemplateError> {
        match value {
            Value::Object(map) => match sole(map) {
                Some((name, argument)) if is_function(name, argument) => self.call(name, argument),
                _ => {
                    let pairs = map.iter().map(|(name, value)| Ok((name.clone(), self.resolve(value)?)));
                    pairs.collect::<Result<Map<_, _>, _>>().map(Value::Object)
                }
            },
            Value::Array(values) => {
                values.iter().map(|value| self.resolve(value)).collect::<Result<_, _>>().map(Value::Array)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    /// As [`Self::resolve`], for what must come to text: numbers and booleans are written out, as Lambda writes them.
    pub(super) fn resolve_text(&self, value: &Value) -> Result<String, TemplateError> {
        match self.resolve(value)? {
            Value::String(text) => Ok(text),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(TemplateError::Shape(format!("{other} where text belongs"))),
        }
    }

    /// Whether a condition of the template holds.
    pub(super) fn condition(&self, name: &str) -> Result<bool, TemplateError> {
        let condition = self.root.pointer(&format!("/Conditions/{name}"));
        self.resolve_bool(condition.ok_or_else(|| TemplateError::Reference(name.to_owned()))?)
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Value, TemplateError> {
        let wrong = || TemplateError::Call(format!("{name} {argument}"));
        let arguments = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (name, arguments) {
            // What resolves to it is left out.
            ("Ref", _) if argument == "AWS::NoValue" => Ok(Value::Null),
            ("Ref", _) => self.resolve_ref(argument.as_str().ok_or_else(wrong)?).map(Value::String),
            ("Condition", _) => self.condition(argument.as_str().ok_or_else(wrong)?).map(Value::Bool),
            ("Fn::GetAtt", [Value::String(resource), Value::String(attribute)]) => {
                self.resolve_get_att(resource, attribute).map(Value::String)
            }
            ("Fn::Sub", _) => self.resolve_sub(argument.as_str().ok_or_else(wrong)?).map(Value::String),
            ("Fn::If", [Value::String(condition), yes, no]) => {
                self.resolve(if self.condition(condition)? { yes } else { no })
            }
            ("Fn::Split", [Value::String(separator), text]) => {
                Ok(self.resolve_text(text)?.split(separator.as_str()).map(Value::from).collect())
            }
            ("Fn::Equals", [one, other]) => Ok(json!(self.resolve(one)? == self.resolve(other)?)),
            ("Fn::Not", [condition]) => Ok(json!(!self.resolve_bool(condition)?)),
            ("Fn::And", conditions) => {
                let truths: Vec<_> = conditions.iter().map(|each| self.resolve_bool(each)).collect::<Result<_, _>>()?;
                Ok(json!(truths.into_iter().all(|truth| truth)))
            }
            ("Fn::Or", conditions) => {
                let truths: Vec<_> = conditions.iter().map(|each| self.resolve_bool(each)).collect::<Result<_, _>>()?;
                Ok(json!(truths.into_iter().any(|truth| truth)))
            }
            _ => Err(wrong()),
        }
    }

    fn resolve_bool(&self, value: &Value) -> Result<bool, TemplateError> {
        let value = self.resolve(value)?;
        value.as_bool().ok_or_else(|| TemplateError::Shape(format!("{value} where a condition belongs")))
    }

    fn resolve_ref(&self, name: &str) -> Result<String, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        match name {
            "AWS::StackName" => Ok(self.stack.clone()),
            "AWS::StackId" => Ok(format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{}/local", self.stack)),
            "AWS::Region" => Ok(REGION.to_owned()),
            "AWS::AccountId" => Ok(ACCOUNT.to_owned()),
            "AWS::Partition" => Ok("aws".to_owned()),
            "AWS::URLSuffix" => Ok("amazonaws.com".to_owned()),
            _ => match self.type_of(name) {
                Some("AWS::DynamoDB::Table") => Ok(self.table_name(name)),
                Some("AWS::KMS::Key") => Ok(self.key(name)),
                // What CloudFormation would make up; nothing here asks for it.
                Some(_) => Ok(format!("{}-{name}", self.stack)),
                None => Err(TemplateError::Reference(name.to_owned())),
            },
        }
    }

    fn resolve_get_att(&self, resource: &str, attribute: &str) -> Result<String, TemplateError> {
        match (self.type_of(resource), attribute) {
            (Some("AWS::KMS::Key"), "Arn") => Ok(self.key(resource)),
            (Some("AWS::DynamoDB::Table"), "Arn") => {
                Ok(format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{}", self.table_name(resource)))
            }
            // Nothing is deployed here a second time.
            (Some("AWS::AppConfig::HostedConfigurationVersion"), "VersionNumber") => Ok("1".to_owned()),
            _ => Err(TemplateError::Reference(format!("{resource}.{attribute}"))),
        }
    }

    fn key(&self, resource: &str) -> String {
        if resource == "RefreshTokenKey" {
            return self.keys.refresh_token.clone();
        }
        let [first, second] = if resource.contains("Tool") { &self.keys.tool_tokens } else { &self.keys.access_tokens };
        if resource.starts_with("Second") { second.clone() } else { first.clone() }
    }

    /// `${Name}`, `${Resource.Attribute}`; `${!Name}` stands for itself.
    fn resolve_sub(&self, text: &str) -> Result<String, TemplateError> {
        let mut done = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| TemplateError::Call(format!("Fn::Sub {text}")))?;
            done.push_str(before);
            match (name.strip_prefix('!'), name.split_once('.')) {
                (Some(literal), _) => done.extend(["${", literal, "}"]),
                (None, Some((resource, attribute))) => done.push_str(&self.resolve_get_att(resource, attribute)?),
                (None, None) => done.push_str(&self.resolve_ref(name)?),
            }
            rest = after;
        }
        Ok(done + rest)
    }

    fn type_of(&self, resource: &str) -> Option<&str> {
        self.root.pointer(&format!("/Resources/{resource}/Type"))?.as_str()
    }
}

fn sole(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut pairs = map.iter();
    let (name, value) = pairs.next()?;
    pairs.next().is_none().then_some((name.as_str(), value))
}

/// A policy statement has a `Condition` too, which is a map.
fn is_function(name: &str, argument: &Value) -> bool {
    name == "Ref" || name.starts_with("Fn::") || (name == "Condition" && argument.is_string())
}
