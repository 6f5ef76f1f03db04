//! What must hold whatever the model predicts: the promises, checked against what was done and answered, and nothing else.

use crate::grant_model::{ExpectedResponse, PresentedToken, Token};
use crate::history::{History, Impersonation, Operation, Request, RequestedScope, Role, Sender};
use crate::history_run::Violation;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 3600;

/// What has happened.
#[derive(Clone)]
pub(crate) struct Invariants {
    approved: &'static str,
    approved_at: i64,
    /// The person's now.
    role: Option<Role>,
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
    /// Whether the person has left since.
    left: bool,
    /// What excuses that a client is cut off.
    excused: bool,
}

/// Something that was asked, and its answer.
pub(crate) struct Observation<'a> {
    pub(crate) request: Request,
    pub(crate) presented: &'a PresentedToken,
    pub(crate) answer: &'a ExpectedResponse,
    /// Whether no other request met it.
    pub(crate) alone: bool,
    pub(crate) now: i64,
}

impl Invariants {
    pub(crate) fn new(history: &History, now: i64) -> Self {
        Self {
            approved: history.approved.scope(),
            approved_at: now,
            role: Some(history.role),
            received: now,
            chains: 0,
            client_showed_code: 0,
            turned: Vec::new(),
            seen: 0,
            refreshed: 0,
            over: None,
            left: false,
            excused: false,
        }
    }

    /// By an administrator.
    pub(crate) fn ended(&mut self) {
        self.over = Some("an administrator ended it");
        self.excused = true;
    }

    /// The person's role changed; with none, they are no longer in the tenant, and what they approved is over for ever.
    pub(crate) fn role_changed(&mut self, role: Option<Role>) {
        self.role = role;
        if role.is_none() {
            self.over = Some("the person left");
            self.left = true;
            self.excused = true;
        }
    }

    /// The person's role, or why the grant is over.
    pub(crate) fn carried(&self) -> Result<Role, &'static str> {
        self.role.filter(|_| !self.left).ok_or("membership_gone")
    }

    /// Checks the promises on what was done at once.
    pub(crate) fn check(&mut self, observations: &[Observation<'_>]) -> Result<(), Violation> {
        let before = self.clone();
        observations.iter().try_for_each(|observation| self.check_one(&before, observation))?;
        if self.chains > 1 {
            return Err("the code led to two chains".to_owned());
        }
        // Last: what excuses one may be the other.
        observations.iter().try_for_each(|observation| self.check_client(observation))
    }

    fn check_one(&mut self, before: &Self, observation: &Observation<'_>) -> Result<(), Violation> {
        let accepted = matches!(
            observation.answer,
            ExpectedResponse::Tokens { .. } | ExpectedResponse::Authorized | ExpectedResponse::Forbidden
        );
        if let Some(why) = before.over.filter(|_| accepted) {
            return Err(format!("it answers although it is over: {why}"));
        }
        self.check_scope(observation)?;
        self.remember(before, observation);
        Ok(())
    }

    /// What is allowed never exceeds approved ∩ role.
    fn check_scope(&self, observation: &Observation<'_>) -> Result<(), Violation> {
        let ExpectedResponse::Tokens { permissions, .. } = observation.answer else { return Ok(()) };
        let allowed = |scope: &&str| self.approved.split(' ').any(|known| known == *scope);
        let excess: Vec<_> = permissions
            .iter()
            .filter(|scope| !allowed(scope) || !self.role.is_some_and(|role| role.allows(scope)))
            .collect();
        if excess.is_empty() { Ok(()) } else { Err(format!("allows {excess:?} besides what it may")) }
    }

    fn remember(&mut self, before: &Self, observation: &Observation<'_>) {
        let Observation { request, presented, answer, now, alone } = observation;
        let is_client = request.sender == Sender::Client;
        match (&presented.token, answer) {
            (Token::Code { .. }, ExpectedResponse::Tokens { .. }) => {
                self.chains += 1;
                self.turned = vec![*now];
            }
            (Token::Refresh { generation, .. }, ExpectedResponse::Tokens { generation: successor, .. }) => {
                self.refreshed = self.refreshed.max(*generation);
                if usize::try_from(*successor).expect("small") > self.turned.len() {
                    self.turned.push(*now);
                }
            }
            (Token::Access { generation, .. }, ExpectedResponse::Authorized | ExpectedResponse::Forbidden) => {
                self.seen = self.seen.max(*generation);
            }
            (Token::ToRevoke, ExpectedResponse::Revoked) if presented.as_client => {
                self.over = Some("it was given back");
            }
            _ => {}
        }
        match presented.token {
            Token::Code { .. } => self.client_showed_code += usize::from(is_client),
            Token::Refresh { generation, requested_scope }
                if presented.as_client && requested_scope != RequestedScope::Nonsense =>
            {
                let next = usize::try_from(generation).expect("small");
                let late = before.turned.get(next).is_some_and(|turned| now - turned > MINUTE);
                let used = before.refreshed > generation || late && before.seen > generation;
                // A fault leaves it as it was, or not.
                if used && *alone && **answer != ExpectedResponse::Unavailable {
                    self.over = Some("a superseded token was presented after its successor had been used");
                }
            }
            _ => {}
        }
        let harmless = match request.sender {
            Sender::Client => !matches!(request.operation, Operation::RevokeRefresh | Operation::RevokeAccess),
            Sender::Thief { impersonation: Impersonation::Another, .. } => {
                !matches!(request.operation, Operation::Ping | Operation::Skills)
            }
            Sender::Thief { impersonation: Impersonation::Unverified, .. } => request.operation == Operation::Exchange,
            Sender::Thief { impersonation: Impersonation::Client, .. } => false,
        };
        self.excused |= !harmless || self.client_showed_code > 1;
    }

    /// A client that stores what it receives stays connected until somebody or the calendar ends it.
    fn check_client(&self, observation: &Observation<'_>) -> Result<(), Violation> {
        // A retry within a minute of the turn does not renew the thirty days.
        let old = observation.now >= (self.received + 30 * DAY - MINUTE).min(self.approved_at + 180 * DAY);
        let cut_off = match (&observation.presented.token, observation.answer) {
            (Token::Refresh { .. }, ExpectedResponse::InvalidGrant) => true,
            (Token::Access { expires, .. }, ExpectedResponse::Unauthorized) => observation.now < *expires,
            _ => false,
        };
        if observation.request.sender == Sender::Client && cut_off && !old && !self.excused {
            return Err("an honest client is cut off".to_owned());
        }
        Ok(())
    }
}
