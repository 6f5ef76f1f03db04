//! Sessions and their refresh tokens: GoTrue's rotation of the first kind.

use crate::supabase::random;
use crate::supabase::refusal::Refusal;
use aws_lc_rs::error::Unspecified;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Sessions {
    sessions: BTreeMap<Uuid, Session>,
    /// In the order of issue.
    tokens: Vec<RefreshToken>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: Uuid,
    pub(super) person: Uuid,
    /// Newest first.
    pub(super) amr: Vec<Amr>,
}

/// One way in which the person proved who they are; `timestamp` in Unix seconds is not moved by refreshing.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Amr {
    pub(super) method: String,
    pub(super) timestamp: i64,
}

#[derive(Serialize, Deserialize)]
struct RefreshToken {
    token: String,
    session: Uuid,
    parent: Option<String>,
    /// Unix seconds of the last use.
    revoked_at: Option<i64>,
}

impl Sessions {
    /// Begins a session and gives its first refresh token.
    pub(super) fn begin(&mut self, person: Uuid, amr: Amr) -> Result<(Session, String), Unspecified> {
        let session = Session { id: random::uuid()?, person, amr: vec![amr] };
        let token = self.issue(session.id, None)?;
        self.sessions.insert(session.id, session.clone());
        Ok((session, token))
    }

    pub(super) fn find(&self, id: Uuid) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub(super) fn of_refresh_token(&self, presented: &str) -> Result<&Session, Refusal> {
        let token = self.tokens.iter().find(|token| token.token == presented).ok_or(Refusal::RefreshTokenNotFound)?;
        self.sessions.get(&token.session).ok_or(Refusal::RefreshTokenNotFound)
    }

    /// Spends a refresh token for the one that follows it.
    pub(super) fn turn(&mut self, presented: &str, now: i64) -> Result<String, Refusal> {
        let token = self.tokens.iter().find(|token| token.token == presented).ok_or(Refusal::RefreshTokenNotFound)?;
        let session = token.session;
        if let Some(revoked_at) = token.revoked_at {
            let active = self.tokens.iter().rfind(|token| token.session == session && token.revoked_at.is_none());
            if let Some(active) = active
                && active.parent.as_deref() == Some(presented)
            {
                // The answer that carried the successor was lost: here it is again, at any time.
                return Ok(active.token.clone());
            }
            if now > revoked_at + REUSE_INTERVAL {
                self.revoke_family(session, now);
                return Err(Refusal::RefreshTokenUsed);
            }
        }
        if let Some(token) = self.tokens.iter_mut().find(|token| token.token == presented) {
            token.revoked_at = Some(now);
        }
        Ok(self.issue(session, Some(presented.to_owned()))?)
    }

    /// Adds a factor to the session and turns its refresh token.
    pub(super) fn step_up(&mut self, id: Uuid, amr: Amr) -> Result<(Session, String), Refusal> {
        let session = self.sessions.get_mut(&id).ok_or(Refusal::SessionNotFound)?;
        let now = amr.timestamp;
        session.amr.retain(|earlier| earlier.method != amr.method);
        session.amr.insert(0, amr);
        let session = session.clone();
        let active = self.tokens.iter_mut().rfind(|token| token.session == id && token.revoked_at.is_none());
        let parent = active.map(|token| {
            token.revoked_at = Some(now);
            token.token.clone()
        });
        let token = self.issue(id, parent)?;
        Ok((session, token))
    }

    /// Ends those that `ends` says, with their tokens.
    pub(super) fn end(&mut self, ends: impl Fn(&Session) -> bool) {
        self.sessions.retain(|_, session| !ends(session));
        self.tokens.retain(|token| self.sessions.contains_key(&token.session));
    }

    fn revoke_family(&mut self, session: Uuid, now: i64) {
        for token in self.tokens.iter_mut().filter(|token| token.session == session) {
            token.revoked_at.get_or_insert(now);
        }
    }

    fn issue(&mut self, session: Uuid, parent: Option<String>) -> Result<String, Unspecified> {
        let token = random::refresh_token()?;
        self.tokens.push(RefreshToken { token: token.clone(), session, parent, revoked_at: None });
        Ok(token)
    }
}

impl Session {
    /// `aal2` once a second factor was shown.
    pub(super) fn aal(&self) -> &'static str {
        if self.amr.iter().any(|amr| amr.method == "totp") { "aal2" } else { "aal1" }
    }
}

/// Seconds, as on the platform; a self-hosted GoTrue has 0.
const REUSE_INTERVAL: i64 = 10;
