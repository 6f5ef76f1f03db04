//! Reading a file's values into what they mean. Everything that is wrong is noted, and reading goes on.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Component, Path};

use serde_json::Map;
use shared::store::workspace::{CONTENT_LIMIT, DESCRIPTION_LIMIT, Name, TITLE_LIMIT};

use crate::mistake::{Mistake, Place, instead};
use crate::yaml::{Key, Node, Value, object};

/// What reading needs and leaves.
pub(crate) struct Reading<'a> {
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// Where the files are that it names.
    pub(crate) folder: Option<&'a Path>,
}

/// Something that has a name in the file.
pub(crate) struct Entry<'n> {
    pub(crate) name: &'n str,
    /// What a mistake is said to be of.
    pub(crate) subject: String,
    /// Where its name stands.
    pub(crate) place: Place,
    pub(crate) node: &'n Node,
}

/// The keys and values of something.
pub(crate) struct Fields<'n> {
    subject: String,
    /// Where the name of the whole stands.
    place: Place,
    pairs: &'n [(Key, Node)],
}

/// What mistakes with the whole file are said to be of.
pub(crate) const FILE: &str = "the file";

impl Reading<'_> {
    /// Notes a mistake.
    pub(crate) fn note(&mut self, place: Place, subject: &str, what: impl std::fmt::Display) {
        self.mistakes.push(Mistake::at(place, format!("{subject}: {what}")));
    }

    /// The fields of an entry, which may have these keys.
    pub(crate) fn fields<'n>(&mut self, entry: &Entry<'n>, keys: &[&str]) -> Option<Fields<'n>> {
        let Entry { subject, place, node, .. } = entry;
        let Value::Mapping(pairs) = &node.value else {
            self.note(
                node.place,
                subject,
                format!("this must be a mapping with {}, not {}", keys.join(", "), node.kind()),
            );
            return None;
        };
        for (key, _) in pairs.iter().filter(|(key, _)| !keys.contains(&key.text.as_str())) {
            let instead = instead(&key.text, keys.iter().copied());
            self.note(key.place, subject, format!("`{}` is not a key of it{instead}", key.text));
        }
        Some(Fields { subject: subject.clone(), place: *place, pairs })
    }

    /// The parts of a mapping by name, which stands under `key`: `kind` is what each is, `whole` what they are of.
    fn entries<'n>(&mut self, key: &str, node: &'n Node, kind: &str, whole: &str) -> Vec<Entry<'n>> {
        let pairs = match &node.value {
            Value::Mapping(pairs) => pairs.as_slice(),
            Value::Null => &[],
            _ => {
                let what = format!("`{key}` must be a mapping of each {kind} by its name, not {}", node.kind());
                self.note(node.place, whole, what);
                &[]
            }
        };
        let subject = |name| if whole == FILE { format!("{kind} {name}") } else { format!("{kind} {name} of {whole}") };
        let entry = |(key, node): &'n (Key, Node)| Entry {
            name: &key.text,
            subject: subject(&key.text),
            place: key.place,
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
                None => self.note(entry.place, &entry.subject, "a name has 1 to 64 of `A-Z a-z 0-9 _ -`"),
            }
        }
        named
    }

    /// `text` with every `${NAME}` replaced.
    fn substitute(&mut self, text: &str, place: Place, subject: &str) -> Option<String> {
        let (mut told, mut rest, mut fits) = (String::new(), text, true);
        while let Some((before, after)) = rest.split_once("${") {
            told += before;
            let Some((name, after)) = after.split_once('}') else {
                self.note(place, subject, "`${` is not closed");
                return None;
            };
            if let Some(value) = self.variables.get(name) {
                told += value;
            } else {
                let instead = instead(name, self.variables.keys().map(String::as_str));
                self.note(place, subject, format!("`${{{name}}}` is not a variable{instead}"));
                fits = false;
            }
            rest = after;
        }
        fits.then(|| told + rest)
    }

    /// The text of a file beside this one, or below.
    fn file(&mut self, named: &str, place: Place, subject: &str) -> Option<String> {
        let Some(folder) = self.folder else {
            self.note(place, subject, "`content_file` needs a workspace file that is read from a folder");
            return None;
        };
        let inside = Path::new(named).components().all(|part| matches!(part, Component::Normal(_)));
        let found = || {
            let (folder, path) = (folder.canonicalize()?, folder.join(named).canonicalize()?);
            // A link may lead out.
            let inside = inside && path.starts_with(folder);
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
            "must be a path below the folder of this file, without `..`".to_owned()
        };
        self.note(place, subject, format!("`{named}` {wrong}"));
        None
    }
}

impl<'n> Fields<'n> {
    /// What mistakes are said to be of.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The value of a key that may be left out.
    pub(crate) fn optional(&self, key: &str) -> Option<&'n Node> {
        self.pairs.iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, reading: &mut Reading<'_>, key: &str) -> Option<&'n Node> {
        let found = self.optional(key);
        if found.is_none() {
            reading.note(self.place, &self.subject, format!("`{key}` is missing"));
        }
        found
    }

    /// What people call it.
    pub(crate) fn title(&self, reading: &mut Reading<'_>, key: &str) -> Option<String> {
        self.text(reading, key, 1..=TITLE_LIMIT)
    }

    /// A sentence for models.
    pub(crate) fn description(&self, reading: &mut Reading<'_>) -> Option<String> {
        self.text(reading, "description", 1..=DESCRIPTION_LIMIT)
    }

    /// Text of so many bytes.
    pub(crate) fn text(&self, reading: &mut Reading<'_>, key: &str, bytes: RangeInclusive<usize>) -> Option<String> {
        let node = self.required(reading, key)?;
        let text = self.plain(reading, key, node)?;
        if bytes.contains(&text.len()) {
            return Some(text.to_owned());
        }
        let wrong = if text.is_empty() {
            format!("`{key}` is empty")
        } else {
            format!("`{key}` has {} bytes; it may have {}", text.len(), bytes.end())
        };
        reading.note(node.place, &self.subject, wrong);
        None
    }

    /// Text in which variables stand for what differs between deployments.
    pub(crate) fn address(&self, reading: &mut Reading<'_>, key: &str) -> Option<(String, Place)> {
        let node = self.required(reading, key)?;
        let text = self.plain(reading, key, node)?;
        Some((reading.substitute(text, node.place, &self.subject)?, node.place))
    }

    /// A long text, `content` or that of the file that `content_file` names, and where that stands.
    pub(crate) fn content(&self, reading: &mut Reading<'_>) -> Option<(String, Place)> {
        match (self.optional("content"), self.optional("content_file")) {
            (Some(_), Some(both)) => {
                reading.note(both.place, &self.subject, "`content` and `content_file` exclude each other");
                None
            }
            (_, Some(node)) => {
                let named = self.plain(reading, "content_file", node)?;
                Some((reading.file(named, node.place, &self.subject)?, node.place))
            }
            (Some(node), None) => Some((self.text(reading, "content", 0..=CONTENT_LIMIT)?, node.place)),
            (None, None) => {
                reading.note(self.place, &self.subject, "`content` or `content_file` is missing");
                None
            }
        }
    }

    /// True or false, or `otherwise` if it is left out.
    pub(crate) fn flag(&self, reading: &mut Reading<'_>, key: &str, otherwise: bool) -> Option<bool> {
        let Some(node) = self.optional(key) else { return Some(otherwise) };
        match node.value {
            Value::Boolean(truth) => Some(truth),
            _ => self.unlike(reading, key, node, "true or false"),
        }
    }

    /// A whole number of a range, or `otherwise` if it is left out.
    pub(crate) fn number(
        &self,
        reading: &mut Reading<'_>,
        key: &str,
        range: &RangeInclusive<u64>,
        otherwise: u64,
    ) -> Option<u64> {
        let Some(node) = self.optional(key) else { return Some(otherwise) };
        match &node.value {
            Value::Number(number) if number.as_u64().is_some_and(|number| range.contains(&number)) => number.as_u64(),
            Value::Number(number) => {
                let (least, most) = (range.start(), range.end());
                let what = format!("`{key}` must be a whole number from {least} to {most}, not {number}");
                reading.note(node.place, &self.subject, what);
                None
            }
            _ => self.unlike(reading, key, node, &format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// An object of JSON, and where it stands.
    pub(crate) fn object(
        &self,
        reading: &mut Reading<'_>,
        key: &str,
    ) -> Option<(Map<String, serde_json::Value>, &'n Node)> {
        let node = self.required(reading, key)?;
        match &node.value {
            Value::Mapping(pairs) => Some((object(pairs), node)),
            _ => self.unlike(reading, key, node, "a mapping"),
        }
    }

    /// Everything under a key, which is a mapping by name: `kind` is what each is. Nothing if it is left out.
    pub(crate) fn entries(&self, reading: &mut Reading<'_>, key: &str, kind: &str) -> Vec<Entry<'n>> {
        self.optional(key).map_or_else(Vec::new, |node| reading.entries(key, node, kind, &self.subject))
    }

    /// The same, of things whose names are [`Name`]s.
    pub(crate) fn named(&self, reading: &mut Reading<'_>, key: &str, kind: &str) -> Vec<(Name, Entry<'n>)> {
        self.optional(key).map_or_else(Vec::new, |node| reading.named(key, node, kind, &self.subject))
    }

    /// The text of a node.
    pub(crate) fn plain<'t>(&self, reading: &mut Reading<'_>, key: &str, node: &'t Node) -> Option<&'t str> {
        match &node.value {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Boolean(_) => self.unlike(reading, key, node, "text (put it in quotes)"),
            _ => self.unlike(reading, key, node, "text"),
        }
    }

    fn unlike<T>(&self, reading: &mut Reading<'_>, key: &str, node: &Node, what: &str) -> Option<T> {
        reading.note(node.place, &self.subject, format!("`{key}` must be {what}, not {}", node.kind()));
        None
    }
}
