//! YAML with CloudFormation's short tags, as the JSON that CloudFormation takes them for: `!Ref A` is `{"Ref": "A"}`.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::Unusable;

/// The one document of `text`.
pub(super) fn read(text: &str) -> Result<Value, Unusable> {
    let documents = Yaml::load_from_str(text).map_err(|error| Unusable::Yaml(error.to_string()))?;
    let [document] = documents.as_slice() else { return Err(Unusable::Yaml("not one document".to_owned())) };
    long_form(document)
}

fn long_form(node: &Yaml<'_>) -> Result<Value, Unusable> {
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
        Yaml::Tagged(tag, node) => called(&tag.suffix, long_form(node)?),
        Yaml::Alias(_) | Yaml::BadValue | Yaml::Representation(..) => {
            Err(Unusable::Yaml("a node that templates do not have".to_owned()))
        }
    }
}

fn key_of(node: &Yaml<'_>) -> Result<String, Unusable> {
    match long_form(node)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(Unusable::Yaml(format!("{other} cannot be a key"))),
    }
}

fn called(function: &str, argument: Value) -> Result<Value, Unusable> {
    match (function, argument) {
        ("Ref" | "Condition", argument) => Ok(json!({ function: argument })),
        ("GetAtt", Value::String(text)) => {
            let (resource, attribute) =
                text.split_once('.').ok_or_else(|| Unusable::Call(format!("!GetAtt {text}")))?;
            Ok(json!({ "Fn::GetAtt": [resource, attribute] }))
        }
        (function, argument) => Ok(json!({ format!("Fn::{function}"): argument })),
    }
}
