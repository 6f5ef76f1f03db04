//! What must hold whatever the model predicts: the promises, checked against what was done and answered, and nothing else.

use std::collections::BTreeSet;

use crate::grant_model::{ExpectedResponse, PresentedToken, Token};
use crate::history::{Action, Approved, Impersonation, Operation, Request, Role, Sender, Together};
use crate::history_run::Violation;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 3600;

/// What has happened to one grant.
#[derive(Clone)]
pub(crate) struct Invariants {
    approved: &'static str,
    approved_at: i64,
    /// The person's role; while it changes, both.
    roles: Vec<Role>,
    /// When the client last received tokens.
    pub(crate) received: i64,
    /// How often the code led to tokens.
    chains: usize,
    /// How often the client showed its code.
    client_showed_code: usize,
    made: Vec<Made>,
    /// The generations of which a pair may have been made since tokens were last answered: by a refresh that failed, or one of several
    /// at once.
    sources: BTreeSet<u32>,
    /// The generations whose pair was made from the same token as a later one: it was lost, or somebody else has it.
    superseded: BTreeSet<u32>,
    /// Those, and the generations of which that may be so: several tokens were presented at once, and it is not known which turned.
    perhaps_superseded: BTreeSet<u32>,
    /// The newest generation whose access token was let in.
    seen: u32,
    /// Why nothing may be accepted any more.
    over: Option<&'static str>,
    /// What excuses that a client is cut off.
    excused: bool,
}

/// What is known of a generation.
#[derive(Clone)]
struct Made {
    /// The generations that it may have been made from: of a failed refresh, or of several at once, nobody knows. The first was made
    /// from the code, 0.
    from: BTreeSet<u32>,
    /// When it was first answered.
    answered: i64,
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
    pub(crate) fn new(approved: Approved, role: Role, now: i64) -> Self {
        Self {
            approved: approved.scope(),
            approved_at: now,
            roles: vec![role],
            received: now,
            chains: 0,
            client_showed_code: 0,
            made: Vec::new(),
            sources: BTreeSet::new(),
            superseded: BTreeSet::new(),
            perhaps_superseded: BTreeSet::new(),
            seen: 0,
            over: None,
            excused: false,
        }
    }

    /// An administrator begins something: from now on it may have been done.
    pub(crate) fn administration_begins(&mut self, action: Action, is_newest: bool) {
        if let Action::Role(Some(role)) | Action::Change(Some(role)) = action {
            self.roles.push(role);
        }
        self.excused |= ends(action, is_newest).is_some();
    }

    /// It was answered: it has been done.
    pub(crate) fn administered(&mut self, action: Action, is_newest: bool) {
        if let Action::Role(Some(role)) | Action::Change(Some(role)) = action {
            self.roles = vec![role];
        }
        self.over = self.over.or(ends(action, is_newest));
    }

    /// From the answer to an ending on, no call, exchange or refresh is ever let in again that it names, whatever comes late.
    pub(crate) fn check_not_let_in(&self, token: &Token, status: u16) -> Result<(), Violation> {
        let let_in = match token {
            Token::Code { .. } | Token::Refresh { .. } => status == 200,
            Token::Access { .. } => status == 200 || status == 403,
            Token::ToRevoke { .. } => false,
        };
        match self.over {
            Some(why) if let_in => Err(format!("let in although {why}: {token:?} is answered by {status}")),
            _ => Ok(()),
        }
    }

    /// Checks the promises on what was done at once.
    pub(crate) fn check(&mut self, observations: &[Observation<'_>]) -> Result<(), Violation> {
        let before = self.clone();
        self.sources.extend(observations.iter().filter_map(|observation| {
            match (&observation.presented.token, observation.answer) {
                (
                    Token::Refresh { generation, .. },
                    ExpectedResponse::Tokens { .. } | ExpectedResponse::Unavailable,
                ) => Some(*generation),
                _ => None,
            }
        }));
        observations.iter().try_for_each(|observation| self.check_one(&before, observation))?;
        let is_answered = |observation: &Observation<'_>| matches!(observation.answer, ExpectedResponse::Tokens { .. });
        if observations.iter().any(is_answered) {
            self.sources.clear();
        }
        if self.chains > 1 {
            return Err("the code led to two chains".to_owned());
        }
        // Last: what excuses one may be the other.
        observations.iter().try_for_each(|observation| self.check_client(observation))
    }

    fn check_one(&mut self, before: &Self, observation: &Observation<'_>) -> Result<(), Violation> {
        self.check_scope(observation)?;
        if let (Token::Access { generation, .. }, ExpectedResponse::Authorized | ExpectedResponse::Forbidden) =
            (&observation.presented.token, observation.answer)
            && before.superseded.contains(generation)
        {
            return Err(format!("two pairs of one token work: generation {generation} is let in"));
        }
        self.remember(before, observation);
        Ok(())
    }

    /// What is allowed never exceeds approved ∩ role.
    fn check_scope(&self, observation: &Observation<'_>) -> Result<(), Violation> {
        let permissions: Vec<&str> = match (observation.answer, &observation.presented.token) {
            (ExpectedResponse::Tokens { permissions, .. }, _) => permissions.iter().copied().collect(),
            (ExpectedResponse::Authorized, Token::Access { scope, .. }) => scope.iter().copied().collect(),
            _ => return Ok(()),
        };
        let approved = |scope: &str| self.approved.split(' ').any(|known| known == scope);
        let allowed = |scope: &str| self.roles.iter().any(|role| role.allows(scope));
        let excess: Vec<_> = permissions.into_iter().filter(|scope| !approved(scope) || !allowed(scope)).collect();
        if excess.is_empty() { Ok(()) } else { Err(format!("allows {excess:?} besides what it may")) }
    }

    fn remember(&mut self, before: &Self, observation: &Observation<'_>) {
        let Observation { request, presented, answer, now, alone } = observation;
        let is_client = request.sender == Sender::Client;
        match (&presented.token, answer) {
            (Token::Code { .. }, ExpectedResponse::Tokens { .. }) => {
                self.chains += 1;
                self.made = vec![Made { from: BTreeSet::from([0]), answered: *now }];
            }
            (Token::Refresh { .. }, ExpectedResponse::Tokens { generation: successor, .. }) => {
                let from = self.sources.clone();
                while self.made.len() < usize::try_from(*successor).expect("small") {
                    if from.len() == 1 && self.made.last().is_some_and(|last| last.from == from) {
                        self.superseded.insert(self.newest());
                    }
                    if self.newest_may_be_superseded_from(&from) {
                        self.perhaps_superseded.insert(self.newest());
                    }
                    self.made.push(Made { from: from.clone(), answered: *now });
                }
            }
            (Token::Access { generation, .. }, ExpectedResponse::Authorized | ExpectedResponse::Forbidden) => {
                self.seen = self.seen.max(*generation);
            }
            (Token::ToRevoke { access }, ExpectedResponse::Revoked)
                if presented.as_client && access.is_none_or(|access| self.is_given_back_by(access, *now)) =>
            {
                self.over = Some("it was given back");
            }
            _ => {}
        }
        match presented.token {
            Token::Code { .. } => self.client_showed_code += usize::from(is_client),
            // A fault leaves it as it was, or not.
            Token::Refresh { generation, .. }
                if presented.as_client
                    && *alone
                    && **answer != ExpectedResponse::Unavailable
                    && before.is_replay(generation, *now) =>
            {
                self.over = Some("a token was presented that neither is current nor was just replaced");
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

    /// An access token gives all of it back, but for one of a pair that was superseded, and one that expired before the last turn but one.
    /// Where it is not known which token turned, nothing is said.
    fn is_given_back_by(&self, (generation, expires): (u32, i64), now: i64) -> bool {
        let is_newest = generation == self.newest();
        let perhaps_superseded = self.perhaps_superseded.contains(&generation)
            || is_newest && self.newest_may_be_superseded_from(&self.sources);
        let is_replaced = || self.made.last().is_some_and(|newest| newest.from == BTreeSet::from([generation]));
        let is_of_the_last_two = is_newest || self.sources.is_empty() && is_replaced();
        !perhaps_superseded && (now < expires || is_of_the_last_two)
    }

    /// The newest generation that was answered.
    fn newest(&self) -> u32 {
        u32::try_from(self.made.len()).expect("small")
    }

    /// Whether a turn by one of those generations may supersede the newest: it may have been made from the same.
    fn newest_may_be_superseded_from(&self, sources: &BTreeSet<u32>) -> bool {
        self.made.last().is_some_and(|newest| !newest.from.is_disjoint(sources))
    }

    /// Whether the refresh token of `generation` was replaced: and neither within the last minute, nor by a pair of which nothing was
    /// ever used.
    fn is_replay(&self, generation: u32, now: i64) -> bool {
        let current = self.newest();
        let Some(newest) = self.made.last().filter(|_| generation < current) else { return false };
        let is_replaced = newest.from.contains(&generation);
        let just = now - newest.answered <= MINUTE && (is_replaced || generation + 1 == current);
        let lost = is_replaced && self.seen < current;
        !just && !lost
    }

    /// A client that stores what it receives becomes connected, and stays so until somebody or the calendar ends that very grant.
    fn check_client(&self, observation: &Observation<'_>) -> Result<(), Violation> {
        // A retry within a minute of the turn does not renew the thirty days.
        let old = observation.now >= (self.received + 30 * DAY - MINUTE).min(self.approved_at + 180 * DAY);
        let cut_off = match (&observation.presented.token, observation.answer) {
            (Token::Code { .. }, ExpectedResponse::InvalidGrant) => observation.now <= self.approved_at + MINUTE,
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

/// Why a grant is over after that, if it names it.
const fn ends(action: Action, is_newest: bool) -> Option<&'static str> {
    match action {
        Action::Role(None) | Action::Change(None) => Some("the person left"),
        Action::RemoveTenant => Some("the tenant was removed"),
        Action::Revoke if is_newest => Some("an administrator ended it"),
        Action::RevokeTogether(Together::Person) => Some("all of the person's were ended"),
        Action::RevokeTogether(Together::Client) => Some("all of the client's were ended"),
        Action::RevokeTogether(Together::Tenant) => Some("all of the tenant's were ended"),
        _ => None,
    }
}
