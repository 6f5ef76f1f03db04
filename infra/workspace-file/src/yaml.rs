//! YAML as a tree in which every word knows its place.
//!
//! Read are mappings, sequences and scalars of the core schema. Anchors, tags and several documents in one file are refused:
//! what a file says stands where it says it.

use std::collections::HashMap;

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number};

use crate::mistake::{Mistake, Place};

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
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
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// The one document of `text`; nothing when it cannot be read at all.
pub(crate) fn read(text: &str, mistakes: &mut Vec<Mistake>) -> Option<Node> {
    let mut tree = Tree { open: Vec::new(), root: None, documents: 0, mistakes };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => {
                let mistake = Mistake::at(place(*error.marker()), format!("this is not YAML: {}", error.info()));
                tree.mistakes.push(mistake);
                return None;
            }
        }
    }
    let root = tree.root;
    if root.is_none() {
        mistakes.push(Mistake::of_file("the file is empty"));
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

    /// The place of what a JSON pointer (RFC 6901) leads to, or of the last on the way that is there.
    pub(crate) fn place_of(&self, pointer: &str) -> Place {
        let (mut node, mut place) = (self, self.place);
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Mapping(pairs) => {
                    pairs.iter().find(|(key, _)| key.text == step).map(|(key, node)| (node, key.place))
                }
                Value::List(nodes) => {
                    step.parse::<usize>().ok().and_then(|at| nodes.get(at)).map(|node| (node, node.place))
                }
                _ => None,
            };
            let Some(next) = next else { break };
            (node, place) = next;
        }
        place
    }
}

/// Pairs as an object of JSON.
pub(crate) fn object(pairs: &[(Key, Node)]) -> Map<String, serde_json::Value> {
    pairs.iter().map(|(key, node)| (key.text.clone(), node.json())).collect()
}

struct Tree<'m> {
    /// What has begun and not ended, the outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    mistakes: &'m mut Vec<Mistake>,
}

enum Open {
    List(Place, Vec<Node>),
    Mapping { place: Place, pairs: Vec<(Key, Node)>, seen: HashMap<String, usize>, key: Option<Key> },
}

impl Tree<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) {
        let at = place(span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.mistakes.push(Mistake::at(at, "a file holds one document: what follows `---` is not read"));
                }
            }
            Event::Alias(_) => {
                self.mistakes.push(Mistake::at(at, "`*…` repeats what stands elsewhere: write it out"));
                self.put(Node { place: at, value: Value::Null });
            }
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.scalar(&text, style, at);
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.open.push(Open::List(at, Vec::new()));
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(tag.is_some(), at);
                self.open.push(Open::Mapping { place: at, pairs: Vec::new(), seen: HashMap::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(place, nodes)) => self.put(Node { place, value: Value::List(nodes) }),
                Some(Open::Mapping { place, pairs, .. }) => self.put(Node { place, value: Value::Mapping(pairs) }),
                None => {}
            },
        }
    }

    fn refuse_tag(&mut self, tagged: bool, at: Place) {
        if tagged {
            self.mistakes.push(Mistake::at(at, "`!…` has no meaning here: put text that begins with it in quotes"));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Place) {
        if let Some(Open::Mapping { key: key @ None, .. }) = self.open.last_mut() {
            *key = Some(Key { place: at, text: text.to_owned() });
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
        self.put(Node { place: at, value });
    }

    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None if self.documents <= 1 => self.root = Some(node),
            None => {}
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Mapping { key: key @ None, .. }) => {
                self.mistakes.push(Mistake::at(node.place, "a key must be text"));
                *key = Some(Key { place: node.place, text: String::new() });
            }
            Some(Open::Mapping { pairs, seen, key, .. }) => {
                let Some(key) = key.take() else { return };
                if let Some(line) = seen.get(&key.text) {
                    let again = format!("`{}` stands in line {line} already", key.text);
                    self.mistakes.push(Mistake::at(key.place, again));
                } else {
                    seen.insert(key.text.clone(), key.place.line);
                    pairs.push((key, node));
                }
            }
        }
    }
}

fn place(marker: saphyr::Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}
