//! YAML as a tree in which every value and key has its location.
//!
//! Read are mappings, sequences and scalars of the core schema. Anchors, tags and several documents in one file are refused:
//! what a file says stands where it says it.
//!
//! It is no serde reader of YAML with spans (`serde-saphyr` was looked at), because serde ends at the first error and this
//! reports every error of a file at once. That one also reads anchors and tags, and of a key that is there twice it does not
//! say where the first one stands.

use std::collections::HashMap;

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number};

use crate::validation_error::{Location, ValidationError};

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) location: Location,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

/// A key: text as it is written, quoted or not.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) location: Location,
    pub(crate) text: String,
}

/// The one document of `text`; nothing when it cannot be read at all.
pub(crate) fn read(text: &str, errors: &mut Vec<ValidationError>) -> Option<Node> {
    let mut tree = TreeBuilder { open: Vec::new(), root: None, documents: 0, errors };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => tree.handle_event(event, span),
            Err(error) => {
                let error =
                    ValidationError::at(location(*error.marker()), format!("this is not YAML: {}", error.info()));
                tree.errors.push(error);
                return None;
            }
        }
    }
    let root = tree.root;
    if root.is_none() {
        errors.push(ValidationError::for_file("the file is empty"));
    }
    root
}

impl Node {
    /// As JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Boolean(truth) => serde_json::Value::Bool(*truth),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Text(text) => serde_json::Value::String(text.clone()),
            Value::List(nodes) => nodes.iter().map(Self::json).collect(),
            Value::Mapping(pairs) => serde_json::Value::Object(object(pairs)),
        }
    }

    /// What it is, in a sentence.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Boolean(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }

    /// The location of what a JSON pointer (RFC 6901) leads to, or of the last on the way that is there.
    pub(crate) fn location_of(&self, pointer: &str) -> Location {
        let (mut node, mut location) = (self, self.location);
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Mapping(pairs) => {
                    pairs.iter().find(|(key, _)| key.text == step).map(|(key, node)| (node, key.location))
                }
                Value::List(nodes) => {
                    step.parse::<usize>().ok().and_then(|at| nodes.get(at)).map(|node| (node, node.location))
                }
                _ => None,
            };
            let Some(next) = next else { break };
            (node, location) = next;
        }
        location
    }
}

/// Pairs as an object of JSON.
pub(crate) fn object(pairs: &[(Key, Node)]) -> Map<String, serde_json::Value> {
    pairs.iter().map(|(key, node)| (key.text.clone(), node.json())).collect()
}

struct TreeBuilder<'m> {
    /// What has begun and not ended, the outermost first.
    open: Vec<OpenCollection>,
    root: Option<Node>,
    documents: usize,
    errors: &'m mut Vec<ValidationError>,
}

enum OpenCollection {
    List(Location, Vec<Node>),
    Mapping { location: Location, pairs: Vec<(Key, Node)>, seen: HashMap<String, usize>, key: Option<Key> },
}

impl TreeBuilder<'_> {
    fn handle_event(&mut self, event: Event<'_>, span: Span) {
        let at = location(span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.errors
                        .push(ValidationError::at(at, "a file holds one document: what follows `---` is not read"));
                }
            }
            Event::Alias(_) => {
                self.errors.push(ValidationError::at(at, "`*…` repeats what stands elsewhere: write it out"));
                self.add_node(Node { location: at, value: Value::Null });
            }
            Event::Scalar(text, style, _, tag) => {
                self.reject_tag(tag.is_some(), at);
                self.scalar(&text, style, at);
            }
            Event::SequenceStart(_, tag) => {
                self.reject_tag(tag.is_some(), at);
                self.open.push(OpenCollection::List(at, Vec::new()));
            }
            Event::MappingStart(_, tag) => {
                self.reject_tag(tag.is_some(), at);
                self.open.push(OpenCollection::Mapping {
                    location: at,
                    pairs: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(OpenCollection::List(location, nodes)) => {
                    self.add_node(Node { location, value: Value::List(nodes) });
                }
                Some(OpenCollection::Mapping { location, pairs, .. }) => {
                    self.add_node(Node { location, value: Value::Mapping(pairs) });
                }
                None => {}
            },
        }
    }

    fn reject_tag(&mut self, tagged: bool, at: Location) {
        if tagged {
            self.errors
                .push(ValidationError::at(at, "`!…` has no meaning here: put text that begins with it in quotes"));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Location) {
        if let Some(OpenCollection::Mapping { key: key @ None, .. }) = self.open.last_mut() {
            *key = Some(Key { location: at, text: text.to_owned() });
            return;
        }
        let value = match Scalar::parse_from_cow_and_metadata(text.into(), style, None) {
            Some(Scalar::Null) | None => Value::Null,
            Some(Scalar::Boolean(truth)) => Value::Boolean(truth),
            Some(Scalar::Integer(number)) => Value::Number(number.into()),
            // JSON has no infinity and no not-a-number.
            Some(Scalar::FloatingPoint(number)) => {
                Number::from_f64(number.into_inner()).map_or_else(|| Value::Text(text.to_owned()), Value::Number)
            }
            Some(Scalar::String(text)) => Value::Text(text.into_owned()),
        };
        self.add_node(Node { location: at, value });
    }

    fn add_node(&mut self, node: Node) {
        match self.open.last_mut() {
            None if self.documents <= 1 => self.root = Some(node),
            None => {}
            Some(OpenCollection::List(_, nodes)) => nodes.push(node),
            Some(OpenCollection::Mapping { key: key @ None, .. }) => {
                self.errors.push(ValidationError::at(node.location, "a key must be text"));
                *key = Some(Key { location: node.location, text: String::new() });
            }
            Some(OpenCollection::Mapping { pairs, seen, key, .. }) => {
                let Some(key) = key.take() else { return };
                if let Some(line) = seen.get(&key.text) {
                    let again = format!("`{}` stands in line {line} already", key.text);
                    self.errors.push(ValidationError::at(key.location, again));
                } else {
                    seen.insert(key.text.clone(), key.location.line);
                    pairs.push((key, node));
                }
            }
        }
    }
}

fn location(marker: saphyr::Marker) -> Location {
    Location { line: marker.line(), column: marker.col() + 1 }
}
