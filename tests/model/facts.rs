//! What must hold whatever the model predicts: the promises, checked against what was done and answered, and nothing else.

use crate::history::{Disguise, History, Narrowed, Request, Role, What, Who};
use crate::play::Wrong;
use crate::prediction::{Answer, Shown, Token};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 3600;

/// What has happened.
#[derive(Clone)]
pub(crate) struct Facts {
    approved: &'static str,
    approved_at: i64,
    first_role: Role,
    /// The person's now.
    pub(crate) role: Option<Role>,
    /// When the client last received tokens.
    pub(crate) received: i64,
    /// How often the code led to tokens.
    chains: usize,
    /// How often the client showed its code.
    client_showed_code: usize,
    /// When each generation was first answered.
    turned: Vec<i64>,
    /// The newest generation whose access token was let in.
    seen: u32,
    /// The newest generation whose refresh token was accepted.
    refreshed: u32,
    /// Why nothing may be accepted any more.
    over: Option<&'static str>,
    /// What excuses that a client is cut off.
    excused: bool,
}

/// Something that was asked, and its answer.
pub(crate) struct Act<'a> {
    pub(crate) request: Request,
    pub(crate) shown: &'a Shown,
    pub(crate) answer: &'a Answer,
    /// Whether no other request met it.
    pub(crate) alone: bool,
    pub(crate) now: i64,
}

impl Facts {
    pub(crate) fn new(history: &History, now: i64) -> Self {
        Self {
            approved: history.approved.scope(),
            approved_at: now,
            first_role: history.role,
            role: Some(history.role),
            received: now,
            chains: 0,
            client_showed_code: 0,
            turned: Vec::new(),
            seen: 0,
            refreshed: 0,
            over: None,
            excused: false,
        }
    }

    /// By an administrator.
    pub(crate) fn ended(&mut self) {
        self.over = Some("an administrator ended it");
        self.excused = true;
    }

    /// Checks the promises on what was done at once.
    pub(crate) fn check(&mut self, acts: &[Act<'_>]) -> Result<(), Wrong> {
        let before = self.clone();
        acts.iter().try_for_each(|act| self.check_one(&before, act))?;
        if self.chains > 1 {
            return Err("the code led to two chains".to_owned());
        }
        // Last: what excuses one may be the other.
        acts.iter().try_for_each(|act| self.check_client(act))
    }

    fn check_one(&mut self, before: &Self, act: &Act<'_>) -> Result<(), Wrong> {
        let accepted = matches!(act.answer, Answer::Tokens { .. } | Answer::LetIn | Answer::Forbidden);
        if let Some(why) = before.over.filter(|_| accepted) {
            return Err(format!("it answers although it is over: {why}"));
        }
        self.check_scope(act)?;
        self.remember(before, act);
        Ok(())
    }

    /// What is allowed never exceeds approved ∩ role.
    fn check_scope(&self, act: &Act<'_>) -> Result<(), Wrong> {
        let Answer::Tokens { permissions, .. } = act.answer else { return Ok(()) };
        let role = if act.request.what == What::Exchange { Some(self.first_role) } else { self.role };
        let allowed = |scope: &&str| self.approved.split(' ').any(|known| known == *scope);
        let excess: Vec<_> = permissions
            .iter()
            .filter(|scope| !allowed(scope) || !role.is_some_and(|role| role.allows(scope)))
            .collect();
        if excess.is_empty() { Ok(()) } else { Err(format!("allows {excess:?} besides what it may")) }
    }

    fn remember(&mut self, before: &Self, act: &Act<'_>) {
        let Act { request, shown, answer, now, alone } = act;
        let is_client = request.who == Who::Client;
        match (&shown.token, answer) {
            (Token::Code { .. }, Answer::Tokens { .. }) => {
                self.chains += 1;
                self.turned = vec![*now];
            }
            (Token::Refresh { generation, .. }, Answer::Tokens { generation: successor, .. }) => {
                self.refreshed = self.refreshed.max(*generation);
                if usize::try_from(*successor).expect("small") > self.turned.len() {
                    self.turned.push(*now);
                }
            }
            (Token::Access { generation, .. }, Answer::LetIn | Answer::Forbidden) => {
                self.seen = self.seen.max(*generation);
            }
            (Token::Revoked, Answer::GivenBack) if shown.as_client => self.over = Some("it was given back"),
            _ => {}
        }
        match shown.token {
            Token::Code { .. } => self.client_showed_code += usize::from(is_client),
            Token::Refresh { generation, narrowed } if shown.as_client && narrowed != Narrowed::Nonsense => {
                let next = usize::try_from(generation).expect("small");
                let late = before.turned.get(next).is_some_and(|turned| now - turned > MINUTE);
                let used = before.refreshed > generation || late && before.seen > generation;
                // A fault leaves it as it was, or not.
                if used && *alone && **answer != Answer::Unavailable {
                    self.over = Some("a superseded token was shown after its successor had been used");
                }
                self.excused |= self.role.is_none();
            }
            _ => {}
        }
        let harmless = match request.who {
            Who::Client => !matches!(request.what, What::RevokeRefresh | What::RevokeAccess),
            Who::Thief { disguise: Disguise::Another, .. } => !matches!(request.what, What::Ping | What::Skills),
            Who::Thief { disguise: Disguise::Unverified, .. } => request.what == What::Exchange,
            Who::Thief { disguise: Disguise::Client, .. } => false,
        };
        self.excused |= !harmless || self.client_showed_code > 1;
    }

    /// A client that stores what it receives stays connected until somebody or the calendar ends it.
    fn check_client(&self, act: &Act<'_>) -> Result<(), Wrong> {
        // A retry within a minute of the turn does not renew the thirty days.
        let old = act.now >= (self.received + 30 * DAY - MINUTE).min(self.approved_at + 180 * DAY);
        let cut_off = match (&act.shown.token, act.answer) {
            (Token::Refresh { .. }, Answer::InvalidGrant) => true,
            (Token::Access { expires, .. }, Answer::NotLetIn) => act.now < *expires,
            _ => false,
        };
        if act.request.who == Who::Client && cut_off && !old && !self.excused {
            return Err("an honest client is cut off".to_owned());
        }
        Ok(())
    }
}
