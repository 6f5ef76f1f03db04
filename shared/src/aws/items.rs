//! Items as DynamoDB writes them, read at one go.
//!
//! The SDK goes through an answer token by token, which was a third of what it took to list fifty tools. What is not plainly as
//! expected here is left to the SDK; what it cost, which nobody asks for, is not read.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

type Attributes = HashMap<String, AttributeValue>;

/// What `GetItem` answers.
pub(super) fn got(body: &[u8]) -> Option<GetItemOutput> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Item")]
        item: Option<Item>,
    }
    let Answer { item } = serde_json::from_slice(body).ok()?;
    Some(GetItemOutput::builder().set_item(item.map(|item| item.0)).build())
}

/// What `BatchGetItem` answers, if it is all that was asked for.
pub(super) fn got_together(body: &[u8]) -> Option<BatchGetItemOutput> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Responses")]
        responses: HashMap<String, Vec<Item>>,
        #[serde(rename = "UnprocessedKeys", default)]
        left: HashMap<String, serde_json::Value>,
    }
    let Answer { responses, left } = serde_json::from_slice(body).ok()?;
    let responses = responses.into_iter().map(|(table, items)| (table, bare(items))).collect();
    let answer =
        BatchGetItemOutput::builder().set_responses(Some(responses)).set_unprocessed_keys(Some(HashMap::new()));
    left.is_empty().then(|| answer.build())
}

/// What `Query` answers.
pub(super) fn found(body: &[u8]) -> Option<QueryOutput> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Items")]
        items: Option<Vec<Item>>,
        #[serde(rename = "Count", default)]
        count: i32,
        #[serde(rename = "ScannedCount", default)]
        scanned: i32,
        #[serde(rename = "LastEvaluatedKey")]
        last: Option<Item>,
    }
    let Answer { items, count, scanned, last } = serde_json::from_slice(body).ok()?;
    let answer = QueryOutput::builder().set_items(items.map(bare)).set_last_evaluated_key(last.map(|last| last.0));
    Some(answer.count(count).scanned_count(scanned).build())
}

/// What `UpdateItem` answers.
pub(super) fn updated(body: &[u8]) -> Option<UpdateItemOutput> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Attributes")]
        attributes: Option<Item>,
    }
    let Answer { attributes } = serde_json::from_slice(body).ok()?;
    Some(UpdateItemOutput::builder().set_attributes(attributes.map(|item| item.0)).build())
}

fn bare(items: Vec<Item>) -> Vec<Attributes> {
    items.into_iter().map(|item| item.0).collect()
}

/// Attributes by name.
struct Item(Attributes);

/// A value and its type: `{ "S": "text" }` (`AttributeValue` of the Amazon DynamoDB API reference).
struct Attribute(AttributeValue);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;
        impl<'de> Visitor<'de> for Named {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("attributes by name")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Item, M::Error> {
                // As many as most of our items have.
                let mut attributes = HashMap::with_capacity(14);
                while let Some((name, Attribute(value))) = map.next_entry()? {
                    attributes.insert(name, value);
                }
                Ok(Item(attributes))
            }
        }
        deserializer.deserialize_map(Named)
    }
}

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Typed;
        impl<'de> Visitor<'de> for Typed {
            type Value = Attribute;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value by the name of its type")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Attribute, M::Error> {
                let value = match map.next_key()?.unwrap_or_default() {
                    "S" => AttributeValue::S(map.next_value()?),
                    "N" => AttributeValue::N(map.next_value()?),
                    "B" => {
                        AttributeValue::B(Blob::new(STANDARD.decode(map.next_value::<&str>()?).map_err(Error::custom)?))
                    }
                    "BOOL" => AttributeValue::Bool(map.next_value()?),
                    "L" => {
                        let values: Vec<Attribute> = map.next_value()?;
                        AttributeValue::L(values.into_iter().map(|value| value.0).collect())
                    }
                    "M" => AttributeValue::M(map.next_value::<Item>()?.0),
                    _ => return Err(Error::custom("a type that none of our items has")),
                };
                match map.next_key::<&str>()? {
                    None => Ok(Attribute(value)),
                    Some(_) => Err(Error::custom("a value of two types")),
                }
            }
        }
        deserializer.deserialize_map(Typed)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
    use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
    use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
    use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;

    use super::super::question::Question;
    use super::super::service::sdk_reads;
    use super::*;

    const ITEM: &str = r#"{"id":{"S":"öne \"\u00e9\\\ud83d\ude00\n"},"n":{"N":"-1.50"},"b":{"B":"AP8Q"},"none":{"B":""},"yes":{"BOOL":true},
        "l":{"L":[{"S":""},{"L":[]},{"M":{"k":{"BOOL":false}}}]},"m":{"M":{"a":{"N":"1"},"b":{"M":{}}}}}"#;

    fn by_the_sdk<Q: Question>(body: &str) -> Q::Output {
        let answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body));
        sdk_reads::<Q>(answer).unwrap_or_else(|error| panic!("{error:?}: {body}"))
    }

    #[test]
    fn an_answer_is_read_as_the_sdk_reads_it() {
        for body in [
            format!(r#"{{"Item":{ITEM}}}"#),
            r#"{"Item":{}}"#.to_owned(),
            r#"{"Item":null}"#.to_owned(),
            "{}".to_owned(),
        ] {
            assert_eq!(got(body.as_bytes()), Some(by_the_sdk::<GetItemInputBuilder>(&body)), "{body}");
        }
        for body in [
            format!(r#"{{"Responses":{{"one":[{ITEM},{ITEM}],"other":[]}},"UnprocessedKeys":{{}}}}"#),
            r#"{"UnprocessedKeys":{},"Responses":{}}"#.to_owned(),
        ] {
            assert_eq!(got_together(body.as_bytes()), Some(by_the_sdk::<BatchGetItemInputBuilder>(&body)), "{body}");
        }
        for body in [
            format!(
                r#"{{"Items":[{ITEM},{{}}],"Count":2,"ScannedCount":3,"LastEvaluatedKey":{{"id":{{"S":"one"}}}}}}"#
            ),
            r#"{"Count":0,"Items":[],"ScannedCount":0}"#.to_owned(),
            r#"{"Count":7,"ScannedCount":7}"#.to_owned(),
        ] {
            assert_eq!(found(body.as_bytes()), Some(by_the_sdk::<QueryInputBuilder>(&body)), "{body}");
        }
        for body in [format!(r#"{{"Attributes":{ITEM}}}"#), "{}".to_owned()] {
            assert_eq!(updated(body.as_bytes()), Some(by_the_sdk::<UpdateItemInputBuilder>(&body)), "{body}");
        }
    }

    /// Sets and null are of DynamoDB, and of no item of ours.
    #[test]
    fn what_is_not_plain_is_left_to_the_sdk() {
        for value in
            [r#"{"SS":["a"]}"#, r#"{"NULL":true}"#, r#"{"X":1}"#, "{}", r#"{"S":"a","N":"1"}"#, r#"{"B":"!"}"#, "null"]
        {
            assert_eq!(got(format!(r#"{{"Item":{{"id":{value}}}}}"#).as_bytes()), None, "{value}");
        }
        assert_eq!(got(b""), None);
        assert_eq!(found(b"<html>"), None);
        let left = r#"{"Responses":{"one":[]},"UnprocessedKeys":{"one":{"Keys":[{"id":{"S":"a"}}]}}}"#;
        assert_eq!(got_together(left.as_bytes()), None);
    }
}
