//! What a resource is called, and of which kind it is.

use std::fmt;

use shared::oauth::scope::Scope;
use shared::store::workspace::Name;

/// What a resource is called. No two texts mean the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResourceUri {
    /// `skill://{name}`.
    Skill(Name),
    /// `document://{id}`, the current version, or `document://{id}?version={version}`.
    Document(Name, Option<u32>),
}

/// What resources there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    /// Skills.
    Skill,
    /// Documents.
    Document,
}

impl ResourceUri {
    /// From text; `None` for what can be no resource of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("skill://") {
            return Name::parse(name).map(Self::Skill);
        }
        let rest = text.strip_prefix("document://")?;
        let uri = match rest.split_once("?version=") {
            Some((id, version)) => Self::Document(Name::parse(id)?, Some(version.parse().ok()?)),
            None => Self::Document(Name::parse(rest)?, None),
        };
        // `?version=03` and `?version=+3` are other texts.
        (uri.to_string() == text).then_some(uri)
    }

    /// Of which kind it is.
    pub(crate) const fn kind(&self) -> ResourceKind {
        match self {
            Self::Skill(_) => ResourceKind::Skill,
            Self::Document(..) => ResourceKind::Document,
        }
    }
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skill(name) => write!(f, "skill://{name}"),
            Self::Document(id, None) => write!(f, "document://{id}"),
            Self::Document(id, Some(version)) => write!(f, "document://{id}?version={version}"),
        }
    }
}

impl ResourceKind {
    /// Every one, in the order in which they are listed.
    pub(crate) const ALL: [Self; 2] = [Self::Skill, Self::Document];

    /// The one of that template (RFC 6570) and variable.
    pub(crate) fn of_template(template: &str, variable: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.template() == template && kind.variable() == variable)
    }

    /// What reading one needs.
    pub(crate) const fn scope(self) -> Scope {
        match self {
            Self::Skill => Scope::SkillsRead,
            Self::Document => Scope::DocumentsRead,
        }
    }

    /// Its template.
    pub(crate) const fn template(self) -> &'static str {
        match self {
            Self::Skill => "skill://{name}",
            Self::Document => "document://{id}",
        }
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::Skill => "name",
            Self::Document => "id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_uris_parse_only_in_canonical_form() {
        for text in ["skill://weekly-report", "document://Handbook_2", "document://Handbook_2?version=3"] {
            assert_eq!(ResourceUri::parse(text).map(|uri| uri.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "skill://",
            "skill://a/b",
            "skill://a?version=1",
            "skill:a",
            "SKILL://a",
            "document://",
            "document://a/",
            "document://a?version=",
            "document://a?version=03",
            "document://a?version=+3",
            "document://a?version=-1",
            "document://a?version=3&version=4",
            "document://a?version=99999999999",
            "document://a%62",
            "file:///etc/passwd",
            "https://example.com/",
        ] {
            assert_eq!(ResourceUri::parse(text), None, "{text}");
        }
    }
}
