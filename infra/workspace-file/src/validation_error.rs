//! What is wrong with a file, and where.

use std::fmt;

use thiserror::Error;

/// Everything that is wrong with a file; at least one thing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct ValidationErrors {
    file: String,
    errors: Vec<ValidationError>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    location: Option<Location>,
    message: String,
}

/// A location in a file: line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Location {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl ValidationErrors {
    /// In the order of the file.
    pub(crate) fn new(file: &str, mut errors: Vec<ValidationError>) -> Self {
        errors.sort_by_key(|error| error.location);
        Self { file: file.to_owned(), errors }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.errors.len()
    }
}

impl ValidationError {
    pub(crate) fn at(location: Location, message: impl Into<String>) -> Self {
        Self { location: Some(location), message: message.into() }
    }

    /// With the file as a whole.
    pub(crate) fn for_file(message: impl Into<String>) -> Self {
        Self { location: None, message: message.into() }
    }
}

/// A line each: `demo.yaml:41:7: what is wrong`.
impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, ValidationError { location, message }) in self.errors.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            match location {
                Some(Location { line, column }) => write!(f, "{}:{line}:{column}: {message}", self.file)?,
                None => write!(f, "{}: {message}", self.file)?,
            }
        }
        Ok(())
    }
}

/// `; did you mean …?` if one of `allowed` is near, else what is allowed.
pub(crate) fn suggestion<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    let allowed: Vec<_> = allowed.into_iter().collect();
    let near = allowed
        .iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.chars().count() / 4))
        .min();
    match near {
        Some((_, candidate)) => format!("; did you mean `{candidate}`?"),
        None if allowed.is_empty() => "; there are none".to_owned(),
        None => format!("; allowed are {}", allowed.join(", ")),
    }
}
