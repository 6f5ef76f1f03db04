//! Reading a file's values into what they mean. Everything that is wrong is reported, and the reader goes on.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Component, Path};

use serde_json::Map;
use shared::store::workspace::{CONTENT_LIMIT, DESCRIPTION_LIMIT, Name, TITLE_LIMIT};

use crate::validation_error::{Location, ValidationError, suggestion};
use crate::yaml::{Key, Node, Value, object};

/// Reads a file: what that needs, and the errors that it finds.
pub(crate) struct Reader<'a> {
    pub(crate) errors: Vec<ValidationError>,
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// Where the files are that it names.
    pub(crate) folder: Option<&'a Path>,
}

/// Something that has a name in the file.
pub(crate) struct Entry<'n> {
    pub(crate) name: &'n str,
    /// What an error is said to be of.
    pub(crate) subject: String,
    /// Where its name stands.
    pub(crate) location: Location,
    pub(crate) node: &'n Node,
}

/// The keys and values of something.
pub(crate) struct Fields<'n> {
    subject: String,
    /// Where the name of the whole stands.
    location: Location,
    pairs: &'n [(Key, Node)],
}

/// What errors with the whole file are said to be of.
pub(crate) const FILE: &str = "the file";

impl Reader<'_> {
    /// Reports an error.
    pub(crate) fn report(&mut self, location: Location, subject: &str, what: impl std::fmt::Display) {
        self.errors.push(ValidationError::at(location, format!("{subject}: {what}")));
    }

    /// The fields of an entry, which may have these keys.
    pub(crate) fn fields<'n>(&mut self, entry: &Entry<'n>, keys: &[&str]) -> Option<Fields<'n>> {
        let Entry { subject, location, node, .. } = entry;
        let Value::Mapping(pairs) = &node.value else {
            self.report(
                node.location,
                subject,
                format!("this must be a mapping with {}, not {}", keys.join(", "), node.kind()),
            );
            return None;
        };
        for (key, _) in pairs.iter().filter(|(key, _)| !keys.contains(&key.text.as_str())) {
            let suggestion = suggestion(&key.text, keys.iter().copied());
            self.report(key.location, subject, format!("`{}` is not a key of it{suggestion}", key.text));
        }
        Some(Fields { subject: subject.clone(), location: *location, pairs })
    }

    /// The parts of a mapping by name, which stands under `key`: `kind` is what each is, `whole` what they are of.
    fn entries<'n>(&mut self, key: &str, node: &'n Node, kind: &str, whole: &str) -> Vec<Entry<'n>> {
        let pairs = match &node.value {
            Value::Mapping(pairs) => pairs.as_slice(),
            Value::Null => &[],
            _ => {
                let what = format!("`{key}` must be a mapping of each {kind} by its name, not {}", node.kind());
                self.report(node.location, whole, what);
                &[]
            }
        };
        let subject = |name| if whole == FILE { format!("{kind} {name}") } else { format!("{kind} {name} of {whole}") };
        let entry = |(key, node): &'n (Key, Node)| Entry {
            name: &key.text,
            subject: subject(&key.text),
            location: key.location,
            node,
        };
        pairs.iter().map(entry).collect()
    }

    /// The same, of things whose names are [`Name`]s.
    pub(crate) fn named<'n>(&mut self, key: &str, node: &'n Node, kind: &str, whole: &str) -> Vec<(Name, Entry<'n>)> {
        let mut named = Vec::new();
        for entry in self.entries(key, node, kind, whole) {
            match Name::parse(entry.name) {
                Some(name) => named.push((name, entry)),
                None => self.report(entry.location, &entry.subject, "a name has 1 to 64 of `A-Z a-z 0-9 _ -`"),
            }
        }
        named
    }

    /// `text` with every `${NAME}` replaced.
    fn substitute(&mut self, text: &str, location: Location, subject: &str) -> Option<String> {
        let (mut replaced, mut rest, mut fits) = (String::new(), text, true);
        while let Some((before, after)) = rest.split_once("${") {
            replaced += before;
            let Some((name, after)) = after.split_once('}') else {
                self.report(location, subject, "`${` is not closed");
                return None;
            };
            if let Some(value) = self.variables.get(name) {
                replaced += value;
            } else {
                let suggestion = suggestion(name, self.variables.keys().map(String::as_str));
                self.report(location, subject, format!("`${{{name}}}` is not a variable{suggestion}"));
                fits = false;
            }
            rest = after;
        }
        fits.then(|| replaced + rest)
    }

    /// The text of a file beside this one, or below.
    fn file(&mut self, named: &str, location: Location, subject: &str) -> Option<String> {
        let Some(folder) = self.folder else {
            self.report(location, subject, "`content_file` needs a workspace file that is read from a folder");
            return None;
        };
        // Whoever wrote the file may be another than who applies it: what is hidden beside it, such as `.env`, is no content.
        let is_plain =
            |part: Component<'_>| matches!(part, Component::Normal(name) if !name.as_encoded_bytes().starts_with(b"."));
        let inside = Path::new(named).components().all(is_plain);
        let found = || {
            let (folder, path) = (folder.canonicalize()?, folder.join(named).canonicalize()?);
            // A link may lead out, or to what is hidden.
            let inside = inside && path.strip_prefix(folder).is_ok_and(|rest| rest.components().all(is_plain));
            let size = fs::metadata(&path)?.len();
            let fits = usize::try_from(size).is_ok_and(|size| size <= CONTENT_LIMIT);
            Ok((inside, fits, if inside && fits { fs::read(&path)? } else { Vec::new() }))
        };
        let wrong = if inside {
            match found() {
                Ok((false, ..)) => "is not in the folder of this file".to_owned(),
                Ok((_, false, _)) => format!("is longer than {CONTENT_LIMIT} bytes"),
                Ok((.., bytes)) => match String::from_utf8(bytes) {
                    Ok(text) => return Some(text),
                    Err(_) => "is not text in UTF-8".to_owned(),
                },
                Err(error) => format!("cannot be read: {}", std::io::Error::to_string(&error)),
            }
        } else {
            "must be a path below the folder of this file, without `..` and hidden names".to_owned()
        };
        self.report(location, subject, format!("`{named}` {wrong}"));
        None
    }
}

impl<'n> Fields<'n> {
    /// What errors are said to be of.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional(&self, key: &str) -> Option<&'n Node> {
        self.pairs.iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, reader: &mut Reader<'_>, key: &str) -> Option<&'n Node> {
        let found = self.optional(key);
        if found.is_none() {
            reader.report(self.location, &self.subject, format!("`{key}` is missing"));
        }
        found
    }

    /// What people call it.
    pub(crate) fn title(&self, reader: &mut Reader<'_>, key: &str) -> Option<String> {
        self.text(reader, key, 1..=TITLE_LIMIT)
    }

    /// A sentence for models.
    pub(crate) fn description(&self, reader: &mut Reader<'_>) -> Option<String> {
        self.text(reader, "description", 1..=DESCRIPTION_LIMIT)
    }

    /// Text of so many bytes.
    pub(crate) fn text(&self, reader: &mut Reader<'_>, key: &str, bytes: RangeInclusive<usize>) -> Option<String> {
        let node = self.required(reader, key)?;
        let text = self.text_of(reader, key, node)?;
        if bytes.contains(&text.len()) {
            return Some(text.to_owned());
        }
        let wrong = if text.is_empty() {
            format!("`{key}` is empty")
        } else {
            format!("`{key}` has {} bytes; it may have {}", text.len(), bytes.end())
        };
        reader.report(node.location, &self.subject, wrong);
        None
    }

    /// Text in which variables stand for what differs between deployments.
    pub(crate) fn interpolated(&self, reader: &mut Reader<'_>, key: &str) -> Option<(String, Location)> {
        let node = self.required(reader, key)?;
        let text = self.text_of(reader, key, node)?;
        Some((reader.substitute(text, node.location, &self.subject)?, node.location))
    }

    /// A long text, `content` or that of the file that `content_file` names, and where that stands.
    pub(crate) fn content(&self, reader: &mut Reader<'_>) -> Option<(String, Location)> {
        match (self.optional("content"), self.optional("content_file")) {
            (Some(_), Some(both)) => {
                reader.report(both.location, &self.subject, "`content` and `content_file` exclude each other");
                None
            }
            (_, Some(node)) => {
                let named = self.text_of(reader, "content_file", node)?;
                Some((reader.file(named, node.location, &self.subject)?, node.location))
            }
            (Some(node), None) => Some((self.text(reader, "content", 0..=CONTENT_LIMIT)?, node.location)),
            (None, None) => {
                reader.report(self.location, &self.subject, "`content` or `content_file` is missing");
                None
            }
        }
    }

    /// True or false, or `default` if it is left out.
    pub(crate) fn boolean(&self, reader: &mut Reader<'_>, key: &str, default: bool) -> Option<bool> {
        let Some(node) = self.optional(key) else { return Some(default) };
        match node.value {
            Value::Boolean(truth) => Some(truth),
            _ => self.unexpected_type(reader, key, node, "true or false"),
        }
    }

    /// A whole number of a range, or `default` if it is left out.
    pub(crate) fn number(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        range: &RangeInclusive<u64>,
        default: u64,
    ) -> Option<u64> {
        let Some(node) = self.optional(key) else { return Some(default) };
        match &node.value {
            Value::Number(number) if number.as_u64().is_some_and(|number| range.contains(&number)) => number.as_u64(),
            Value::Number(number) => {
                let (least, most) = (range.start(), range.end());
                let what = format!("`{key}` must be a whole number from {least} to {most}, not {number}");
                reader.report(node.location, &self.subject, what);
                None
            }
            _ => self.unexpected_type(
                reader,
                key,
                node,
                &format!("a whole number from {} to {}", range.start(), range.end()),
            ),
        }
    }

    /// An object of JSON, and where it stands.
    pub(crate) fn object(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
    ) -> Option<(Map<String, serde_json::Value>, &'n Node)> {
        let node = self.required(reader, key)?;
        match &node.value {
            Value::Mapping(pairs) => Some((object(pairs), node)),
            _ => self.unexpected_type(reader, key, node, "a mapping"),
        }
    }

    /// Everything under a key, which is a mapping by name: `kind` is what each is. Nothing if it is left out.
    pub(crate) fn entries(&self, reader: &mut Reader<'_>, key: &str, kind: &str) -> Vec<Entry<'n>> {
        self.optional(key).map_or_else(Vec::new, |node| reader.entries(key, node, kind, &self.subject))
    }

    /// The same, of things whose names are [`Name`]s.
    pub(crate) fn named(&self, reader: &mut Reader<'_>, key: &str, kind: &str) -> Vec<(Name, Entry<'n>)> {
        self.optional(key).map_or_else(Vec::new, |node| reader.named(key, node, kind, &self.subject))
    }

    /// The text of a node.
    pub(crate) fn text_of<'t>(&self, reader: &mut Reader<'_>, key: &str, node: &'t Node) -> Option<&'t str> {
        match &node.value {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Boolean(_) => self.unexpected_type(reader, key, node, "text (put it in quotes)"),
            _ => self.unexpected_type(reader, key, node, "text"),
        }
    }

    fn unexpected_type<T>(&self, reader: &mut Reader<'_>, key: &str, node: &Node, what: &str) -> Option<T> {
        reader.report(node.location, &self.subject, format!("`{key}` must be {what}, not {}", node.kind()));
        None
    }
}
