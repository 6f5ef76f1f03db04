//! What must come of a request, by what is promised: written down a second time, in other words than the code's.

use std::collections::BTreeSet;

use crate::history::{Approved, RequestedScope, Role};

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Permissions.
pub(crate) type Permissions = BTreeSet<&'static str>;

/// A grant as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GrantModel {
    /// What was approved.
    approved: Permissions,
    approved_at: i64,
    pub(crate) state: ExpectedState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedState {
    Issued,
    Active(Active),
    Ended(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Active {
    since: i64,
    /// Of the current refresh token; 1 without any.
    pub(crate) generation: u32,
    /// When it was made.
    turned: i64,
    /// The generation that it replaced; 0 for the first.
    previous: u32,
    /// The generations that were superseded.
    superseded: BTreeSet<u32>,
    /// When a late retry last came.
    late: Option<i64>,
    /// When the family last earned anybody tokens.
    pub(crate) answered: i64,
    /// The newest generation of which something was used.
    pub(crate) used: u32,
    stays: bool,
}

/// A request, as what its tokens really are.
#[derive(Clone, Debug)]
pub(crate) struct PresentedToken {
    pub(crate) token: Token,
    /// Whether it comes from the client that the grant is for, or from somebody who says so.
    pub(crate) as_client: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Token {
    Code {
        verified: bool,
    },
    Refresh {
        generation: u32,
        requested_scope: RequestedScope,
    },
    Access {
        generation: u32,
        expires: i64,
        /// What the request needs.
        scope: Option<&'static str>,
        /// Whether the token has it.
        allows: bool,
    },
    /// A token for the revocation endpoint: of an access token, its generation and when it expires.
    ToRevoke {
        access: Option<(u32, i64)>,
    },
}

/// What must be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedResponse {
    Tokens {
        generation: u32,
        permissions: Permissions,
        /// What the answer names of them.
        told: Permissions,
        stays: bool,
        expires_in: i64,
    },
    InvalidGrant,
    InvalidScope,
    /// Whether or not there was anything to give back.
    Revoked,
    Authorized,
    /// Known, but without the scope.
    Forbidden,
    Unauthorized,
    /// AWS failed.
    Unavailable,
}

/// What the audit must say: the event, and its verdict or reason.
pub(crate) type AuditEvent = (&'static str, &'static str);

impl GrantModel {
    pub(crate) fn new(approved: Approved, now: i64) -> Self {
        let approved = approved.scope().split(' ').collect();
        Self { approved, approved_at: now, state: ExpectedState::Issued }
    }

    /// What comes of a request. `carried` is the person's role now, or why the grant is over whatever its own state.
    pub(crate) fn request(
        &mut self,
        presented: &PresentedToken,
        carried: Result<Role, &'static str>,
        now: i64,
    ) -> (ExpectedResponse, Vec<AuditEvent>) {
        match presented.token {
            Token::Code { verified } => self.exchange(presented.as_client, verified, carried, now),
            Token::Refresh { .. } if !presented.as_client => (ExpectedResponse::InvalidGrant, Vec::new()),
            Token::Refresh { generation, requested_scope } => self.refresh(generation, requested_scope, carried, now),
            Token::Access { generation, expires, scope, allows } => {
                self.call(generation, expires, carried, |role| allows && scope.is_none_or(|it| role.allows(it)), now)
            }
            Token::ToRevoke { access } => {
                let ends = presented.as_client && access.is_none_or(|access| self.is_ended_by(access, now));
                (ExpectedResponse::Revoked, if ends { self.end("revoked") } else { Vec::new() })
            }
        }
    }

    /// Ends it, unless it has ended.
    pub(crate) fn end(&mut self, why: &'static str) -> Vec<AuditEvent> {
        if matches!(self.state, ExpectedState::Ended(_)) {
            return Vec::new();
        }
        self.state = ExpectedState::Ended(why);
        vec![("grant_ending", why), ("grant_ended", why)]
    }

    /// Whether anything may come of it yet. An exchange that began in the code's last second may take ten more.
    pub(crate) fn is_open(&self, now: i64) -> bool {
        match &self.state {
            ExpectedState::Issued => now <= self.approved_at + MINUTE + 10,
            ExpectedState::Active(active) => now < self.expires(active),
            ExpectedState::Ended(_) => false,
        }
    }

    fn exchange(
        &mut self,
        as_client: bool,
        verified: bool,
        carried: Result<Role, &'static str>,
        now: i64,
    ) -> (ExpectedResponse, Vec<AuditEvent>) {
        let refused = |verdict| (ExpectedResponse::InvalidGrant, vec![("code_judged", verdict)]);
        match self.state {
            _ if !as_client => refused("another_client"),
            _ if !verified => refused("verifier"),
            ExpectedState::Ended(_) => refused("ended"),
            ExpectedState::Active(_) => {
                let told = self.end("code_replayed");
                (ExpectedResponse::InvalidGrant, [vec![("code_judged", "replayed")], told].concat())
            }
            ExpectedState::Issued if now > self.approved_at + MINUTE => refused("expired"),
            ExpectedState::Issued => {
                let judged = vec![("code_judged", "proven")];
                let role = match carried {
                    Ok(role) => role,
                    Err(why) => return (ExpectedResponse::InvalidGrant, [judged, self.end(why)].concat()),
                };
                let stays = self.approved.contains("offline_access");
                let active = Active {
                    since: now,
                    generation: 1,
                    turned: now,
                    previous: 0,
                    superseded: BTreeSet::new(),
                    late: None,
                    answered: now,
                    used: 0,
                    stays,
                };
                self.state = ExpectedState::Active(active);
                let permissions: Permissions =
                    self.approved.iter().copied().filter(|scope| role.allows(scope)).collect();
                let told = told(&permissions, stays, RequestedScope::Not);
                let answer = ExpectedResponse::Tokens { generation: 1, permissions, told, stays, expires_in: HOUR };
                (answer, [judged, vec![("grant_activated", "")]].concat())
            }
        }
    }

    fn refresh(
        &mut self,
        generation: u32,
        requested_scope: RequestedScope,
        carried: Result<Role, &'static str>,
        now: i64,
    ) -> (ExpectedResponse, Vec<AuditEvent>) {
        let ExpectedState::Active(active) = self.state.clone() else {
            return (ExpectedResponse::InvalidGrant, Vec::new());
        };
        if now >= self.expires(&active) {
            return (ExpectedResponse::InvalidGrant, vec![("refresh_judged", "expired")]);
        }
        let is_previous = generation == active.previous;
        let is_superseded = generation + 1 == active.generation && active.superseded.contains(&generation);
        let verdict = match generation == active.generation {
            true => "current",
            false if (is_previous || is_superseded) && now - active.turned <= MINUTE => "concurrent",
            false if is_previous && active.used < active.generation => "lost_response",
            false => {
                let told = self.end("refresh_replayed");
                return (ExpectedResponse::InvalidGrant, [vec![("refresh_judged", "replayed")], told].concat());
            }
        };
        let judged = vec![("refresh_judged", verdict)];
        let asked: Permissions = requested_scope.means().iter().copied().filter(|it| *it != "offline_access").collect();
        // What was requested at first is not kept: what was approved of it is enough.
        if !asked.is_empty() && asked.is_disjoint(&self.approved) {
            // Nothing is earned, but the token has been presented.
            if verdict == "current" {
                self.use_generation(generation);
            }
            return (ExpectedResponse::InvalidScope, judged);
        }
        let role = match carried {
            Ok(role) => role,
            Err(why) => return (ExpectedResponse::InvalidGrant, [judged, self.end(why)].concat()),
        };
        let entitled: Permissions = self.approved.iter().copied().filter(|scope| role.allows(scope)).collect();
        let narrowed: Permissions = entitled.intersection(&asked).copied().collect();
        if narrowed.is_empty() && !asked.is_empty() {
            // The role does not allow any of it now.
            if verdict == "current" {
                self.use_generation(generation);
            }
            return (ExpectedResponse::InvalidScope, judged);
        }
        let permissions = if asked.is_empty() { entitled } else { narrowed };
        let named = told(&permissions, true, requested_scope);
        let mut after = active;
        let mut told = judged;
        if verdict == "lost_response" {
            after.superseded.insert(after.generation);
            told.extend(after.late.filter(|late| now - late <= DAY).map(|_| ("late_retry_repeated", "")));
            after.late = Some(now);
        } else if verdict == "current" {
            after.previous = generation;
        }
        if verdict != "concurrent" {
            after = Active { generation: after.generation + 1, turned: now, answered: now, ..after };
        }
        let (generation, expires_in) = (after.generation, HOUR.min(self.expires(&after) - now));
        self.state = ExpectedState::Active(after);
        (ExpectedResponse::Tokens { generation, permissions, told: named, stays: true, expires_in }, told)
    }

    /// By an access token: none of a superseded pair, and of what has expired only of the last two pairs.
    fn is_ended_by(&self, (generation, expires): (u32, i64), now: i64) -> bool {
        let ExpectedState::Active(active) = &self.state else { return true };
        let is_of_the_last_two = generation == active.generation || generation == active.previous;
        !active.superseded.contains(&generation) && (now < expires || is_of_the_last_two)
    }

    fn call(
        &mut self,
        generation: u32,
        expires: i64,
        carried: Result<Role, &'static str>,
        allows: impl Fn(Role) -> bool,
        now: i64,
    ) -> (ExpectedResponse, Vec<AuditEvent>) {
        let ExpectedState::Active(active) = &self.state else { return (ExpectedResponse::Unauthorized, Vec::new()) };
        if now >= expires || now >= self.expires(active) || active.superseded.contains(&generation) {
            return (ExpectedResponse::Unauthorized, Vec::new());
        }
        match carried {
            Ok(role) => {
                self.use_generation(generation);
                let answer = if allows(role) { ExpectedResponse::Authorized } else { ExpectedResponse::Forbidden };
                (answer, Vec::new())
            }
            Err(why) => (ExpectedResponse::Unauthorized, self.end(why)),
        }
    }

    /// What is so after a request that was not carried out: the newest refresh token counts as presented all the same.
    pub(crate) fn present(&mut self, presented: &PresentedToken) {
        let ExpectedState::Active(active) = &self.state else { return };
        match presented.token {
            Token::Refresh { generation, .. } if presented.as_client && generation == active.generation => {
                self.use_generation(generation);
            }
            _ => {}
        }
    }

    fn use_generation(&mut self, generation: u32) {
        if let ExpectedState::Active(active) = &mut self.state {
            active.used = active.used.max(generation);
        }
    }

    fn expires(&self, active: &Active) -> i64 {
        if active.stays { (active.answered + 30 * DAY).min(self.approved_at + 180 * DAY) } else { active.since + HOUR }
    }
}

/// What an answer names of what is granted: `offline_access`, and a `read` that a `write` implies, only to who asked for them.
fn told(permissions: &Permissions, stays: bool, requested: RequestedScope) -> Permissions {
    let mut granted = permissions.clone();
    granted.extend(stays.then_some("offline_access"));
    let words = requested.words();
    if words.is_empty() {
        return granted;
    }
    let is_implied =
        |scope: &str| scope.strip_suffix(":read").is_some_and(|kind| granted.contains(&*format!("{kind}:write")));
    let is_named = |scope: &&str| words.contains(scope) || *scope != "offline_access" && !is_implied(scope);
    let named: Permissions = granted.iter().copied().filter(|scope| is_named(scope)).collect();
    if named.is_empty() { granted } else { named }
}
