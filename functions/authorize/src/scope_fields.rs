//! What may be ticked on the consent page: the scopes in plain words, the fields of their boxes, and which boxes come ticked.

use shared::oauth::scope::{Scope, Scopes};
use shared::store::directory::Membership;

/// Scopes of one kind.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) choices: Vec<ScopeChoice>,
}

pub(crate) struct ScopeChoice {
    pub(crate) scope: &'static str,
    pub(crate) field: String,
    pub(crate) title: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) checked: bool,
    /// The ticked boxes have to be corrected, and the focus is here.
    pub(crate) focus: bool,
    /// The person has a single tenant, and their role in it does not allow this scope.
    pub(crate) barred: bool,
}

impl Group {
    /// The groups that contain a requested scope.
    pub(crate) fn of(requested: Scopes, choice: impl Fn(Scope) -> ScopeChoice) -> Vec<Self> {
        let group = |(title, scopes): &(&'static str, &[Scope])| Self {
            title: *title,
            choices: scopes.iter().filter(|scope| requested.contains(**scope)).map(|scope| choice(*scope)).collect(),
        };
        GROUPS.iter().map(group).filter(|group| !group.choices.is_empty()).collect()
    }
}

/// The field of a box.
#[derive(Clone, Copy)]
pub(crate) enum ScopeField<'a> {
    /// Of a requested scope.
    Requested(Scope),
    /// Of one that was not requested.
    More(Scope),
    /// Of a pending scope in the tenant of the membership.
    Pending(&'a Membership, Scope),
}

impl ScopeField<'_> {
    /// Its name in the form.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Requested(scope) => format!("allow:{}", scope.as_str()),
            Self::More(scope) => format!("more:{}", scope.as_str()),
            Self::Pending(membership, scope) => format!("also:{}:{}", membership.tenant, scope.as_str()),
        }
    }

    /// Whether it comes ticked: if the scope was requested. A pending scope never does. Otherwise a client could choose what the person
    /// approves, by making a call that is refused.
    pub(crate) const fn comes_ticked(self) -> bool {
        matches!(self, Self::Requested(_))
    }

    pub(crate) const fn scope(self) -> Scope {
        match self {
            Self::Requested(scope) | Self::More(scope) | Self::Pending(_, scope) => scope,
        }
    }
}

/// Titles in a row.
pub(crate) fn in_words(scopes: Scopes) -> String {
    scopes.iter().map(|scope| words(scope).0).collect::<Vec<_>>().join(", ").to_lowercase()
}

/// The groups of scopes, in the order of the page.
const GROUPS: [(&str, &[Scope]); 3] = [
    ("See", &[Scope::SkillsRead, Scope::ViewsRead, Scope::EntitiesRead, Scope::DocumentsRead]),
    ("Create and change", &[Scope::EntitiesWrite, Scope::DocumentsWrite, Scope::ChatCreate]),
    ("Act through tools", &[Scope::ToolsExecute]),
];

/// A scope in plain words: a title, and an explanation.
pub(crate) const fn words(scope: Scope) -> (&'static str, &'static str) {
    match scope {
        Scope::ToolsExecute => {
            ("Run tools", "Use the tools that the workspace has set up. They may change things in other systems.")
        }
        Scope::SkillsRead => ("Read skills", "Look up how your team does things."),
        Scope::ViewsRead => (
            "Read views",
            "See the saved views of the workspace with the records in them, if your role may read records.",
        ),
        Scope::EntitiesRead => ("Read records", "See and search the records of the workspace."),
        Scope::EntitiesWrite => ("Change records", "Create, change and delete records."),
        Scope::DocumentsRead => ("Read documents", "See and search the documents of the workspace."),
        Scope::DocumentsWrite => ("Change documents", "Create, change and delete documents."),
        Scope::ChatCreate => ("Start conversations", "Open a new conversation in your name."),
        Scope::OfflineAccess => ("Stay connected", "Keep working until you or an administrator end the connection."),
        Scope::ConnectionsManage => ("Manage connections", "See and end connections of the workspace."),
    }
}
