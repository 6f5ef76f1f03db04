//! One grant, and what everybody knows of its tokens.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::oauth::grant::{Grant, GrantState as StoredState};
use shared::oauth::tenant::PersonId;
use test_system::claims;

use crate::grant_model::{ExpectedResponse, ExpectedState, GrantModel, Permissions, PresentedToken, Token};
use crate::harness::{HttpResponse, IssuedCode};
use crate::history::{Approved, Impersonation, Operation, Participants, Request, Role, Sender};
use crate::history_run::Violation;
use crate::invariants::Invariants;
use crate::membership_model::ApprovedUnder;

/// A grant as far as its history has been played.
pub(crate) struct Connection {
    pub(crate) issued: IssuedCode,
    person: PersonId,
    pub(crate) under: ApprovedUnder,
    pub(crate) prediction: GrantModel,
    pub(crate) invariants: Invariants,
    /// The refresh token of each generation, unless nobody has ever been told.
    chain: Vec<Option<String>>,
    accesses: Vec<Access>,
    client: Client,
    /// How often the audit said that the grant was about to end, and that it had.
    pub(crate) endings: (usize, usize),
}

/// An access token that somebody was told, if only a thief.
struct Access {
    text: String,
    generation: u32,
    expires: i64,
    permissions: Permissions,
}

/// What the client has received last.
#[derive(Default)]
struct Client {
    generation: Option<u32>,
    access: Option<usize>,
}

/// A request with all that it needs.
pub(crate) struct PreparedRequest {
    pub(crate) request: Request,
    pub(crate) text: String,
    pub(crate) presented: PresentedToken,
}

impl Connection {
    /// One that has just been approved.
    pub(crate) fn new(
        issued: IssuedCode,
        person: &PersonId,
        (approved, role, under): (Approved, Role, ApprovedUnder),
        now: i64,
    ) -> Self {
        Self {
            issued,
            person: person.clone(),
            under,
            prediction: GrantModel::new(approved, now),
            invariants: Invariants::new(approved, role, now),
            chain: Vec::new(),
            accesses: Vec::new(),
            client: Client::default(),
            endings: (0, 0),
        }
    }

    /// The request with what it shows, if its sender has that and takes part.
    pub(crate) fn prepare(&self, request: Request, participants: Participants) -> Option<PreparedRequest> {
        let is_thief = request.sender != Sender::Client;
        let gives_back = matches!(request.operation, Operation::RevokeRefresh | Operation::RevokeAccess);
        if is_thief && !participants.thief || gives_back && !is_thief && !participants.administrator {
            return None;
        }
        let (text, token) = match request.operation {
            Operation::Exchange => {
                if !is_thief && self.client.access.is_some() {
                    return None;
                }
                let verified =
                    !matches!(request.sender, Sender::Thief { impersonation: Impersonation::Unverified, .. });
                (self.issued.code.clone(), Token::Code { verified })
            }
            Operation::Refresh(requested_scope) => {
                let (text, generation) = self.refresh_token(request.sender)?;
                (text, Token::Refresh { generation, requested_scope })
            }
            Operation::Ping | Operation::Skills => {
                let access = self.access_token(request.sender)?;
                let scope = (request.operation == Operation::Skills).then_some("skills:read");
                let allows = scope.is_none_or(|scope| access.permissions.contains(scope));
                let (generation, expires) = (access.generation, access.expires);
                (access.text.clone(), Token::Access { generation, expires, scope, allows })
            }
            Operation::RevokeRefresh => (self.refresh_token(request.sender)?.0, Token::ToRevoke { access: None }),
            Operation::RevokeAccess => {
                let access = self.access_token(request.sender)?;
                (access.text.clone(), Token::ToRevoke { access: Some((access.generation, access.expires)) })
            }
        };
        let as_client = !matches!(request.sender, Sender::Thief { impersonation: Impersonation::Another, .. });
        Some(PreparedRequest { request, text, presented: PresentedToken { token, as_client } })
    }

    fn refresh_token(&self, sender: Sender) -> Option<(String, u32)> {
        let known = || self.chain.iter().zip(1..).filter_map(|(text, generation)| Some((text.clone()?, generation)));
        match sender {
            Sender::Client => known().find(|(_, generation)| Some(*generation) == self.client.generation),
            Sender::Thief { nth, .. } => {
                let known: Vec<_> = known().collect();
                known.iter().rev().nth(usize::from(nth) % known.len().max(1)).cloned()
            }
        }
    }

    fn access_token(&self, sender: Sender) -> Option<&Access> {
        match sender {
            Sender::Client => self.accesses.get(self.client.access?),
            Sender::Thief { nth, .. } => self.accesses.iter().rev().nth(usize::from(nth) % self.accesses.len().max(1)),
        }
    }

    /// Remembers the tokens of an answer.
    pub(crate) fn receive(
        &mut self,
        asked: &PreparedRequest,
        answered: &HttpResponse,
        answer: &ExpectedResponse,
        now: i64,
    ) {
        let ExpectedResponse::Tokens { generation, permissions, expires_in, .. } = answer else { return };
        let refresh = answered.body["refresh_token"].as_str().map(str::to_owned);
        self.known(*generation).clone_from(&refresh);
        self.accesses.push(Access {
            text: answered.body["access_token"].as_str().unwrap_or_default().to_owned(),
            generation: *generation,
            expires: now + expires_in,
            permissions: permissions.clone(),
        });
        if asked.request.sender == Sender::Client && !asked.request.lost {
            self.client = Client { generation: refresh.map(|_| *generation), access: Some(self.accesses.len() - 1) };
            self.invariants.received = now;
        }
    }

    /// The refresh token of a generation, as far as anybody knows.
    pub(crate) fn known(&mut self, generation: u32) -> &mut Option<String> {
        let place = usize::try_from(generation - 1).expect("small");
        while self.chain.len() <= place {
            self.chain.push(None);
        }
        &mut self.chain[place]
    }

    /// Whether these answers can be those.
    pub(crate) fn fits(
        &self,
        answered: &[HttpResponse],
        expected: &[ExpectedResponse],
        now: i64,
    ) -> Result<(), Violation> {
        let mut successors: BTreeMap<u32, &str> = BTreeMap::new();
        for (answered, expected) in answered.iter().zip(expected) {
            let HttpResponse { status, body } = answered;
            let is = |wanted: u16, error: &str| *status == wanted && (error.is_empty() || body["error"] == error);
            let right = match expected {
                ExpectedResponse::Tokens { .. } => {
                    let (generation, refresh) = self.are_tokens(answered, expected, now)?;
                    if let Some(refresh) = refresh {
                        let one = *successors.entry(generation).or_insert(refresh);
                        if one != refresh {
                            return Err(format!("two successors of generation {}", generation - 1));
                        }
                    }
                    true
                }
                ExpectedResponse::InvalidGrant => is(400, "invalid_grant"),
                ExpectedResponse::InvalidScope => is(400, "invalid_scope"),
                ExpectedResponse::Revoked => is(200, "") && body.as_object().is_some_and(serde_json::Map::is_empty),
                ExpectedResponse::Authorized => is(200, "") && body["result"].is_object(),
                ExpectedResponse::Forbidden => is(403, ""),
                ExpectedResponse::Unauthorized => is(401, ""),
                ExpectedResponse::Unavailable => is(503, ""),
            };
            if !right {
                return Err(format!("not {expected:?}"));
            }
        }
        Ok(())
    }

    /// Whether an answer holds those tokens: its generation, and the refresh token.
    fn are_tokens<'a>(
        &self,
        answered: &'a HttpResponse,
        expected: &ExpectedResponse,
        now: i64,
    ) -> Result<(u32, Option<&'a str>), Violation> {
        let ExpectedResponse::Tokens { generation, permissions, told: named, stays, expires_in } = expected else {
            return Err("no tokens were expected".to_owned());
        };
        let HttpResponse { status, body } = answered;
        let access = body["access_token"].as_str().filter(|_| *status == 200).ok_or("no tokens")?;
        let claims = claims(access).1;
        let scopes = |text: &Value| -> Vec<String> {
            let text = text.as_str().unwrap_or_default();
            text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
        };
        let (mut issued, mut told) = (scopes(&claims["scope"]), scopes(&body["scope"]));
        issued.sort();
        told.sort();
        let carries: Vec<_> = permissions.iter().map(|scope| (*scope).to_owned()).collect();
        let says: Vec<_> = named.iter().map(|scope| (*scope).to_owned()).collect();
        let refresh = body["refresh_token"].as_str();
        let known = self.chain.get(usize::try_from(generation - 1).expect("small")).and_then(Option::as_deref);
        for (operation, right) in [
            ("generation", claims["generation"] == *generation),
            ("scope of the access token", issued == carries),
            ("scope that is told", told == says),
            ("exp", claims["exp"] == now + expires_in && claims["iat"] == now),
            ("expires_in", body["expires_in"] == *expires_in),
            ("refresh token", refresh.is_some() == *stays),
            ("successor", known.is_none() || known == refresh),
            ("turn", known.is_some() || refresh.is_none() || !self.chain.iter().any(|old| old.as_deref() == refresh)),
            ("grant", claims["grant"] == self.issued.id.to_text()),
            ("person", claims["sub"] == self.person.as_str()),
        ] {
            if !right {
                return Err(format!("another {operation} than in {expected:?}: {claims}"));
            }
        }
        Ok((*generation, refresh))
    }

    /// An end is never hidden, whatever fails, and never told twice.
    pub(crate) fn compare_told(&self, faults: bool) -> Result<(), Violation> {
        let has_ended = matches!(self.prediction.state, ExpectedState::Ended(_));
        let (announced, told) = self.endings;
        let missing = has_ended && (announced == 0 || told == 0 && !faults);
        if missing || told > 1 || told == 1 && !has_ended {
            return Err(format!("the audit announces {announced} ends and tells {told}: {:?}", self.prediction.state));
        }
        Ok(())
    }
}

/// As much of a grant as decides between candidates: its state, the current generation, the newest one seen, and when the family last
/// earned anybody tokens.
pub(crate) type Projected = (&'static str, u32, u32, i64);

pub(crate) fn projected(prediction: &GrantModel) -> Projected {
    match &prediction.state {
        ExpectedState::Issued => ("issued", 0, 0, 0),
        ExpectedState::Active(active) => ("active", active.generation, active.used, active.answered),
        ExpectedState::Ended(why) => (why, 0, 0, 0),
    }
}

/// As it is stored.
pub(crate) fn projected_of_stored(grant: &Grant) -> Projected {
    match &grant.state {
        StoredState::Issued => ("issued", 0, 0, 0),
        StoredState::Active(active) => {
            let (generation, answered) =
                active.family.as_ref().map_or((1, active.since), |family| (family.generation, family.last_issued));
            ("active", generation, active.seen, answered.seconds())
        }
        StoredState::Revoked { reason: why, .. } => (why.as_str(), 0, 0, 0),
    }
}
