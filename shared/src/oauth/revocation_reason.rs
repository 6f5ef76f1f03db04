//! Why a grant was revoked, in the words of the table and of the audit log.

/// Why a grant was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// The client revoked it (RFC 7009).
    Client,
    /// Its code was presented twice (OAuth 2.1 §4.1.3).
    CodeReplayed,
    /// A superseded refresh token was presented (OAuth 2.1 §4.3.1).
    RefreshReplayed,
    /// The person is no longer in the tenant.
    MembershipGone,
    /// All connections of its person, of its client or of its tenant were revoked together, and this one was met later.
    RevokedTogether,
    /// An administrator of the tenant.
    Administrator,
    /// The person, on the console.
    Person,
    /// The person is banned at the sign-in service.
    PersonBanned,
    /// The person was deleted at the sign-in service.
    PersonDeleted,
    /// An operator ended everything of the person.
    PersonEnded,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::Client,
        Self::CodeReplayed,
        Self::RefreshReplayed,
        Self::MembershipGone,
        Self::RevokedTogether,
        Self::Administrator,
        Self::Person,
        Self::PersonBanned,
        Self::PersonDeleted,
        Self::PersonEnded,
    ];

    /// As the table and the audit write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "revoked",
            Self::CodeReplayed => "code_replayed",
            Self::RefreshReplayed => "refresh_replayed",
            Self::MembershipGone => "membership_gone",
            Self::RevokedTogether => "revoked_together",
            Self::Administrator => "administrator",
            Self::Person => "person",
            Self::PersonBanned => "person_banned",
            Self::PersonDeleted => "person_deleted",
            Self::PersonEnded => "person_ended",
        }
    }
}
