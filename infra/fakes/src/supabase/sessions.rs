//! Sessions and their refresh tokens. Tokens of version 2 look as the real ones do, and rotate here as the first ones do,
//! but that the reuse of an old one ends the session itself.

use crate::supabase::config::RefreshTokenVersion;
use crate::supabase::error::SupabaseError;
use crate::supabase::random;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
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

/// What a refresh gives.
pub(super) struct Rotation {
    pub(super) token: String,
    /// Whether the token is new, and not the successor of before once more.
    pub(super) rotated: bool,
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
    pub(super) fn begin(
        &mut self,
        person: Uuid,
        amr: Amr,
        version: RefreshTokenVersion,
    ) -> Result<(Session, String), Unspecified> {
        let session = Session { id: random::uuid()?, person, amr: vec![amr] };
        let token = self.issue(session.id, None, version)?;
        self.sessions.insert(session.id, session.clone());
        Ok((session, token))
    }

    pub(super) fn find(&self, id: Uuid) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub(super) fn of_refresh_token(&self, presented: &str) -> Result<&Session, SupabaseError> {
        let token =
            self.tokens.iter().find(|token| token.token == presented).ok_or(SupabaseError::RefreshTokenNotFound)?;
        self.sessions.get(&token.session).ok_or(SupabaseError::RefreshTokenNotFound)
    }

    /// Spends a refresh token for the one that follows it.
    pub(super) fn rotate(
        &mut self,
        presented: &str,
        now: i64,
        version: RefreshTokenVersion,
    ) -> Result<Rotation, SupabaseError> {
        let token =
            self.tokens.iter().find(|token| token.token == presented).ok_or(SupabaseError::RefreshTokenNotFound)?;
        let session = token.session;
        if let Some(revoked_at) = token.revoked_at {
            let active = self.tokens.iter().rfind(|token| token.session == session && token.revoked_at.is_none());
            if let Some(active) = active
                && active.parent.as_deref() == Some(presented)
            {
                // The answer that carried the successor was lost: here it is again, at any time.
                return Ok(Rotation { token: active.token.clone(), rotated: false });
            }
            if now > revoked_at + REUSE_INTERVAL {
                if presented.len() == LENGTH_OF_FIRST {
                    self.revoke_family(session, now);
                } else {
                    self.end(|found| found.id == session);
                }
                return Err(SupabaseError::RefreshTokenUsed);
            }
        }
        if let Some(token) = self.tokens.iter_mut().find(|token| token.token == presented) {
            token.revoked_at = Some(now);
        }
        let token = self.issue(session, Some(presented.to_owned()), version)?;
        Ok(Rotation { token, rotated: true })
    }

    /// Adds a factor to the session and rotates its refresh token.
    pub(super) fn step_up(
        &mut self,
        id: Uuid,
        amr: Amr,
        version: RefreshTokenVersion,
    ) -> Result<(Session, String), SupabaseError> {
        let session = self.sessions.get_mut(&id).ok_or(SupabaseError::SessionNotFound)?;
        let now = amr.timestamp;
        session.amr.retain(|earlier| earlier.method != amr.method);
        session.amr.insert(0, amr);
        let session = session.clone();
        let active = self.tokens.iter_mut().rfind(|token| token.session == id && token.revoked_at.is_none());
        let parent = active.map(|token| {
            token.revoked_at = Some(now);
            token.token.clone()
        });
        let token = self.issue(id, parent, version)?;
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

    fn issue(
        &mut self,
        session: Uuid,
        parent: Option<String>,
        version: RefreshTokenVersion,
    ) -> Result<String, Unspecified> {
        let token = match version {
            RefreshTokenVersion::One => random::refresh_token()?,
            RefreshTokenVersion::Two => {
                let counter = self.tokens.iter().filter(|token| token.session == session).count();
                second_version(session, counter)?
            }
        };
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

/// Whether a text has the form of a refresh token, of either version.
pub(super) fn is_refresh_token(text: &str) -> bool {
    let second = |bytes: Vec<u8>| {
        let (signed, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        (bytes.len() >= LENGTH_OF_SECOND && signed.first() == Some(&0) && sum == checksum(signed)).then_some(())
    };
    text.len() == LENGTH_OF_FIRST || BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(second).is_some()
}

/// Version, session and counter, as many bytes as the signature has, and the checksum.
fn second_version(session: Uuid, counter: usize) -> Result<String, Unspecified> {
    let counter = u8::try_from(counter % 128).unwrap_or_default();
    let signature: [u8; 16] = random::bytes()?;
    let mut token = [&[0], session.as_bytes().as_slice(), &[counter], &signature].concat();
    token.extend(checksum(&token));
    Ok(BASE64_URL_SAFE_NO_PAD.encode(token))
}

fn checksum(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().iter().copied().take(4).collect()
}

/// Characters of a token of version 1.
const LENGTH_OF_FIRST: usize = 12;
/// Bytes of a token of version 2.
const LENGTH_OF_SECOND: usize = 38;
/// Seconds, as on the platform; a self-hosted GoTrue has 0.
const REUSE_INTERVAL: i64 = 10;
