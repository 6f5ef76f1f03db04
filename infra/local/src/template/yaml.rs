//! YAML with CloudFormation's short tags, as the JSON that CloudFormation takes them for: `!Ref A` is `{"Ref": "A"}`.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::error::TemplateError;

/// The one document of `text`.
pub(super) fn read(text: &str) -> Result<Value, TemplateError> {
    let documents = Yaml::load_from_str(text).map_err(|error| TemplateError::Yaml(error.to_string()))?;
    let [document] = documents.as_slice() else { return Err(TemplateError::Yaml("not one document".to_owned())) };
    long_form(document)
}

fn long_form(node: &Yaml<'_>) -> Result<Value, TemplateError> {
    match node {
        Yaml::Value(Scalar::Null) => Ok(Value::Null),
        Yaml::Value(Scalar::Boolean(truth)) => Ok(json!(truth)),
        Yaml::Value(Scalar::Integer(number)) => Ok(json!(number)),
        Yaml::Value(Scalar::FloatingPoint(number)) => Ok(json!(number.into_inner())),
        Yaml::Value(Scalar::String(text)) => Ok(json!(text)),
        Yaml::Sequence(nodes) => nodes.iter().map(long_form).collect::<Result<_, _>>().map(Value::Array),
        Yaml::Mapping(nodes) => {
            let pairs = nodes.iter().map(|(key, node)| Ok((key_of(key)?, long_form(node)?)));
            pairs.collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        Yaml::Tagged(tag, node) => expand_tag(&tag.suffix, long_form(node)?),
        Yaml::Alias(_) | Yaml::BadValue | Yaml::Representation(..) => {
            Err(TemplateError::Yaml("a node that templates do not have".to_owned()))
        }
    }
}

fn key_of(node: &Yaml<'_>) -> Result<String, TemplateError> {
    match long_form(node)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(TemplateError::Yaml(format!("{other} cannot be a key"))),
    }
}

fn expand_tag(function: &str, argument: Value) -> Result<Value, TemplateError> {
    match (function, argument) {
        ("Ref" | "Condition", argument) => Ok(json!({ function: argument })),
        ("GetAtt", Value::String(text)) => {
            let (resource, attribute) =
                text.split_once('.').ok_or_else(|| TemplateError::Call(format!("!GetAtt {text}")))?;
            Ok(json!({ "Fn::GetAtt": [resource, attribute] }))
        }
        (function, argument) => Ok(json!({ format!("Fn::{function}"): argument })),
    }
}
