//! Scopes, which are also the permissions of roles and of API keys.

use std::fmt;

/// One scope. All but [`Scope::OfflineAccess`] are permissions, one to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Run the tenant's registered tools.
    ToolsExecute,
    /// Read skills.
    SkillsRead,
    /// Read views.
    ViewsRead,
    /// Read entities.
    EntitiesRead,
    /// Create, change and delete entities.
    EntitiesWrite,
    /// Read documents.
    DocumentsRead,
    /// Create, change and delete documents.
    DocumentsWrite,
    /// Start conversations.
    ChatCreate,
    /// Stay connected: decides whether a refresh token is issued. Not a permission.
    OfflineAccess,
    /// See and revoke connections and API keys of the tenant. For roles and API keys; never offered to a connector.
    ConnectionsManage,
}

impl Scope {
    /// Every scope, in the order in which they are always written.
    pub const ALL: [Self; 10] = [
        Self::ToolsExecute,
        Self::SkillsRead,
        Self::ViewsRead,
        Self::EntitiesRead,
        Self::EntitiesWrite,
        Self::DocumentsRead,
        Self::DocumentsWrite,
        Self::ChatCreate,
        Self::OfflineAccess,
        Self::ConnectionsManage,
    ];

    /// As it is written on the wire and in the tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ToolsExecute => "tools:execute",
            Self::SkillsRead => "skills:read",
            Self::ViewsRead => "views:read",
            Self::EntitiesRead => "entities:read",
            Self::EntitiesWrite => "entities:write",
            Self::DocumentsRead => "documents:read",
            Self::DocumentsWrite => "documents:write",
            Self::ChatCreate => "chat:create",
            Self::OfflineAccess => "offline_access",
            Self::ConnectionsManage => "connections:manage",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// `write` implies `read` of its kind.
    const fn implied(self) -> u16 {
        match self {
            Self::EntitiesWrite => Self::EntitiesRead.bit(),
            Self::DocumentsWrite => Self::DocumentsRead.bit(),
            _ => 0,
        }
    }
}

/// A set of scopes, written in one order, and closed under what each implies unless a method says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u16);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);

    /// All that a connector can be given.
    pub const SUPPORTED: Self =
        Self(Self::ALL_PERMISSIONS.0 & !Scope::ConnectionsManage.bit() | Scope::OfflineAccess.bit());

    /// What a request without `scope` means.
    pub const DEFAULT: Self =
        Self(Scope::ToolsExecute.bit() | Scope::SkillsRead.bit() | Scope::ViewsRead.bit() | Scope::OfflineAccess.bit());

    /// Every permission there is.
    pub const ALL_PERMISSIONS: Self = Self(((1 << Scope::ALL.len()) - 1) & !Scope::OfflineAccess.bit());

    /// The permissions that only read.
    pub const READ_ONLY: Self =
        Self(Scope::SkillsRead.bit() | Scope::ViewsRead.bit() | Scope::EntitiesRead.bit() | Scope::DocumentsRead.bit());

    /// The known scopes of a text that we stored or that an operator wrote.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.split(' ').filter_map(Scope::parse).fold(Self::NONE, Self::with)
    }

    /// The known scopes of a text, without what they imply.
    #[must_use]
    pub fn parse_only(text: &str) -> Self {
        text.split(' ').filter_map(Scope::parse).fold(Self::NONE, Self::with_only)
    }

    /// The known scopes of a list of names.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(Scope::parse).fold(Self::NONE, Self::with)
    }

    /// This and `scope`, with what it implies.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit() | scope.implied())
    }

    /// This and `scope`, without what it implies.
    #[must_use]
    pub const fn with_only(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// This without `scope`.
    #[must_use]
    pub const fn without(self, scope: Scope) -> Self {
        Self(self.0 & !scope.bit())
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this and not in `other`; not closed, if `other` holds what one of it implies.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `scope` is in it.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether all of `others` are in it.
    #[must_use]
    pub const fn covers(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Only what is a permission.
    #[must_use]
    pub const fn permissions(self) -> Self {
        self.intersection(Self::ALL_PERMISSIONS)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of it, in order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self::NONE.with(scope)
    }
}
