//! The notice for the page after a form. The response to a form is a redirect to its own address, and the page there shows the
//! outcome or the error. So no page in the browser's history is the response to a form, except that of a new key.

use serde::{Deserialize, Serialize};

use crate::error::FormError;
use crate::key_description::{KeyConfirmation, KeyDraft};
use crate::revoke::JointlyRevoked;

/// The outcome of a form, or its error. It waits in a cookie, so it holds no secret.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    /// The form was to end a connection. False if the connection had ended before.
    Ended(bool),
    /// The form was to end many connections.
    EndedMany(EndedMany),
    /// The form was to change what a connection may do.
    ScopesChanged(ScopeChange),
    /// The form was to revoke a key. False if the key was revoked before.
    Revoked(bool),
    /// The form was to make a key, and had made it before: the key's id.
    AlreadyCreated(String),
    /// The form described a new key, which has to be confirmed.
    Described(KeyConfirmation),
    /// The form described a new key, and fields of it are not valid.
    NotDescribed(KeyDraft),
    Refused(FormError),
}

/// The result of changing what a connection may do.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScopeChange {
    Changed,
    /// It had been changed since the page was shown.
    Superseded,
}

/// The result of ending all connections of somebody or something. All have ended.
#[derive(Deserialize, Serialize)]
pub(crate) struct EndedMany {
    pub(crate) whose: Whose,
    /// How many of them were listed.
    pub(crate) listed: usize,
    /// Whether more were listed than that.
    pub(crate) more: bool,
    /// Whether they had been ended by others since the page was shown: what was connected since stays.
    pub(crate) before: bool,
}

impl EndedMany {
    pub(crate) const fn of(whose: Whose, JointlyRevoked { marked, raised }: JointlyRevoked) -> Self {
        Self { whose, listed: marked.count, more: marked.more, before: !raised }
    }
}

/// Whose connections.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whose {
    /// Those of the person who asked, everywhere.
    Own,
    /// Those of a person in the tenant.
    Person,
    /// Those of a client in the tenant.
    Client,
}
