//! Plays a history on the real functions, and compares each answer with what the model predicts.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::oauth::grant::GrantState as StoredState;
use test_system::claims;

use crate::grant_model::{AuditEvent, ExpectedResponse, ExpectedState, GrantModel, Permissions, PresentedToken, Token};
use crate::harness::{BEGINNING, HttpResponse, IssuedCode, ModelHarness};
use crate::history::{History, Impersonation, InitialExchange, Operation, Request, RequestedScope, Sender, Step};
use crate::invariants::{Invariants, Observation};

const DAY: i64 = 24 * 3600;

/// What went wrong.
pub(crate) type Violation = String;

/// How often each thing happened, to see that the histories are worth playing.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) histories: usize,
    pub(crate) requests: usize,
    pub(crate) audit_events: BTreeMap<String, usize>,
}

/// A history as far as it has been played.
pub(crate) struct HistoryRun<'t> {
    harness: &'t ModelHarness,
    history: &'t History,
    granted: IssuedCode,
    prediction: GrantModel,
    invariants: Invariants,
    statistics: &'t mut Statistics,
    /// The refresh token of each generation, unless nobody has ever been told.
    chain: Vec<Option<String>>,
    accesses: Vec<Access>,
    client: Client,
    /// How often the audit said that the grant was about to end, and that it had.
    endings: (usize, usize),
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
struct PreparedRequest {
    request: Request,
    text: String,
    presented: PresentedToken,
}

/// One way in which requests may have gone.
struct PossibleOutcome {
    answers: Vec<ExpectedResponse>,
    /// Unless it depends on who was faster, or something failed.
    told: Option<Vec<AuditEvent>>,
    after: GrantModel,
}

impl<'t> HistoryRun<'t> {
    /// Plays it to its end. An honest client must then still be connected, if nothing took that from it.
    pub(crate) async fn run(
        harness: &'t ModelHarness,
        history: &'t History,
        statistics: &'t mut Statistics,
    ) -> Result<(), Violation> {
        let granted = harness.approve(history.approved, history.role).await;
        let prediction = GrantModel::new(history.approved, harness.now());
        let invariants = Invariants::new(history, harness.now());
        statistics.histories += 1;
        let (chain, accesses, client, endings) = (Vec::new(), Vec::new(), Client::default(), (0, 0));
        let mut run =
            Self { harness, history, granted, prediction, invariants, statistics, chain, accesses, client, endings };
        harness.audit.take();
        let client = |operation| Request { sender: Sender::Client, operation, lost: false, fault: None };
        let code = client(Operation::Exchange);
        let begin = match history.initial_exchange {
            InitialExchange::Once => Some(Step::Send(code)),
            InitialExchange::Twice(order) => Some(Step::Concurrent(code, code, order)),
            InitialExchange::NotYet => None,
        };
        let end = [Step::Send(client(Operation::Refresh(RequestedScope::Not))), Step::Send(client(Operation::Ping))];
        for (place, step) in begin.iter().chain(&history.steps).chain(&end).enumerate() {
            run.step(step).await.map_err(|wrong| format!("step {place}, {step:?}: {wrong}"))?;
        }
        run.compare_stored().await?;
        run.compare_told()
    }

    async fn step(&mut self, step: &Step) -> Result<(), Violation> {
        let refreshes = Request {
            sender: Sender::Client,
            operation: Operation::Refresh(RequestedScope::Not),
            lost: false,
            fault: None,
        };
        match *step {
            Step::Wait(seconds) => self.harness.wait(seconds),
            Step::RefreshUntilOld(before) => {
                let until = BEGINNING + 180 * DAY - before;
                while self.harness.now() + 29 * DAY < until {
                    self.harness.wait(29 * DAY);
                    self.send_and_check(refreshes).await?;
                }
                self.harness.wait((until - self.harness.now()).max(0));
            }
            Step::Send(request) => self.send_and_check(request).await?,
            Step::Concurrent(one, other, order) => match (self.prepare(one), self.prepare(other)) {
                (Some(one), Some(other)) => self.send_concurrently(one, other, order).await?,
                (Some(_), None) => self.send_and_check(one).await?,
                (None, Some(_)) => self.send_and_check(other).await?,
                (None, None) => {}
            },
            Step::Role(role) if self.history.participants.administrator => {
                self.harness.give_role(&self.granted.person, role).await;
                self.invariants.role_changed(role);
            }
            Step::Revoke if self.history.participants.administrator => {
                self.harness.revoke_grant(&self.granted.id).await;
                self.prediction.end("administrator");
                self.invariants.ended();
            }
            Step::Role(_) | Step::Revoke => {}
        }
        Ok(())
    }

    /// One request, which may meet a fault.
    async fn send_and_check(&mut self, request: Request) -> Result<(), Violation> {
        let Some(asked) = self.prepare(request) else { return Ok(()) };
        let fault = request.fault.filter(|_| self.history.participants.faults);
        self.harness.inject_fault(fault);
        let answered = self.send(&asked).await;
        self.harness.inject_fault(None);

        let (carried, now) = (self.invariants.carried(), self.harness.now());
        let mut after = self.prediction.clone();
        let (answer, told) = after.request(&asked.presented, carried, now);
        let mut candidates = vec![PossibleOutcome { answers: vec![answer], told: Some(told), after: after.clone() }];
        if fault.is_some() {
            for after in [self.prediction.clone(), after] {
                candidates.push(PossibleOutcome { answers: vec![ExpectedResponse::Unavailable], told: None, after });
            }
        }
        self.conclude(&[asked], &[answered], candidates).await
    }

    /// Two at once, in the order that was drawn: as if one had come after the other, but for the reason of an end.
    async fn send_concurrently(
        &mut self,
        one: PreparedRequest,
        other: PreparedRequest,
        order: u16,
    ) -> Result<(), Violation> {
        let (first, second) = self.harness.scheduler.run_schedule(order, self.send(&one), self.send(&other)).await;
        let (carried, now) = (self.invariants.carried(), self.harness.now());
        let mut candidates = Vec::new();
        for swapped in [false, true] {
            let mut after = self.prediction.clone();
            let mut request = |asked: &PreparedRequest| after.request(&asked.presented, carried, now).0;
            let answers = if swapped {
                let second = request(&other);
                vec![request(&one), second]
            } else {
                vec![request(&one), request(&other)]
            };
            candidates.push(PossibleOutcome { answers, told: None, after });
        }
        // Or both were judged before either did anything: then the one that ends the grant says why.
        let judged = [&one, &other].map(|asked| {
            let mut after = self.prediction.clone();
            (after.request(&asked.presented, carried, now).0, after)
        });
        let ends =
            |after: &GrantModel| after.state != self.prediction.state && matches!(after.state, ExpectedState::Ended(_));
        let [(first_answer, first_after), (second_answer, second_after)] = judged;
        if ends(&first_after) != ends(&second_after) {
            let after = if ends(&first_after) { first_after } else { second_after };
            candidates.push(PossibleOutcome { answers: vec![first_answer, second_answer], told: None, after });
        }
        self.conclude(&[one, other], &[first, second], candidates).await
    }

    /// The request with what it shows, if its sender has that and takes part.
    fn prepare(&self, request: Request) -> Option<PreparedRequest> {
        let is_thief = request.sender != Sender::Client;
        let gives_back = matches!(request.operation, Operation::RevokeRefresh | Operation::RevokeAccess);
        if is_thief && !self.history.participants.thief
            || gives_back && !is_thief && !self.history.participants.administrator
        {
            return None;
        }
        let (text, token) = match request.operation {
            Operation::Exchange => {
                if !is_thief && self.client.access.is_some() {
                    return None;
                }
                let verified =
                    !matches!(request.sender, Sender::Thief { impersonation: Impersonation::Unverified, .. });
                (self.granted.code.clone(), Token::Code { verified })
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
            Operation::RevokeRefresh => (self.refresh_token(request.sender)?.0, Token::ToRevoke),
            Operation::RevokeAccess => (self.access_token(request.sender)?.text.clone(), Token::ToRevoke),
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

    async fn send(&self, asked: &PreparedRequest) -> HttpResponse {
        let (harness, text, as_client) = (self.harness, asked.text.as_str(), asked.presented.as_client);
        match (asked.request.operation, &asked.presented.token) {
            (Operation::Exchange, Token::Code { verified: true }) => {
                harness.exchange(text, &self.granted.verifier, as_client).await
            }
            (Operation::Exchange, _) => harness.exchange(text, &"a".repeat(43), as_client).await,
            (Operation::Refresh(requested_scope), _) => harness.refresh(text, requested_scope.sent(), as_client).await,
            (Operation::Ping, _) => harness.call(text, false).await,
            (Operation::Skills, _) => harness.call(text, true).await,
            (Operation::RevokeRefresh | Operation::RevokeAccess, _) => harness.revoke(text, as_client).await,
        }
    }

    /// Finds the one way in which it can have gone, and goes on from there.
    async fn conclude(
        &mut self,
        asked: &[PreparedRequest],
        answered: &[HttpResponse],
        candidates: Vec<PossibleOutcome>,
    ) -> Result<(), Violation> {
        let told = self.harness.audit.take();
        self.statistics.requests += asked.len();
        for (event, detail) in &told {
            *self.statistics.audit_events.entry(format!("{event} {detail}")).or_default() += 1;
            self.endings.0 += usize::from(event == "grant_ending");
            self.endings.1 += usize::from(event == "grant_ended");
        }
        let expected: Vec<_> = candidates.iter().map(|candidate| candidate.answers.clone()).collect();
        let (fit, unfit): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .map(|candidate| (self.fits(answered, &candidate.answers), candidate))
            .partition(|(fits, _)| fits.is_ok());
        let wrong = unfit.into_iter().filter_map(|(why, _)| why.err()).collect::<Vec<_>>().join("; ");
        let mut fit: Vec<_> = fit.into_iter().map(|(_, candidate)| candidate).collect();
        fit.dedup_by(|one, other| one.after == other.after);
        if fit.len() > 1 {
            let stored = self.stored().await;
            fit.retain(|candidate| projected(&candidate.after) == stored);
        }
        let Some(PossibleOutcome { answers, told: expected_told, after }) = fit.into_iter().next() else {
            return Err(format!("{wrong}\n  answered {answered:?}\n  expected {expected:?}"));
        };
        if let Some(expected) = expected_told {
            let told: Vec<_> = told.iter().map(|(event, detail)| (event.as_str(), detail.as_str())).collect();
            if told != expected {
                return Err(format!("the audit says {told:?}, not {expected:?}"));
            }
        }
        self.prediction = after;
        if let ExpectedState::Active(active) = self.prediction.state {
            // Perhaps nobody was told.
            self.known(active.generation);
        }
        let now = self.harness.now();
        let alone = answers.len() == 1;
        let observations = asked.iter().zip(&answers);
        let observations = observations.map(|(asked, answer)| Observation {
            request: asked.request,
            presented: &asked.presented,
            answer,
            alone,
            now,
        });
        self.invariants.check(&observations.collect::<Vec<_>>())?;
        for ((asked, answered), answer) in asked.iter().zip(answered).zip(&answers) {
            if let ExpectedResponse::Tokens { generation, permissions, expires_in, .. } = answer {
                let refresh = answered.body["refresh_token"].as_str().map(str::to_owned);
                self.known(*generation).clone_from(&refresh);
                self.accesses.push(Access {
                    text: answered.body["access_token"].as_str().unwrap_or_default().to_owned(),
                    generation: *generation,
                    expires: now + expires_in,
                    permissions: permissions.clone(),
                });
                if asked.request.sender == Sender::Client && !asked.request.lost {
                    self.client =
                        Client { generation: refresh.map(|_| *generation), access: Some(self.accesses.len() - 1) };
                    self.invariants.received = now;
                }
            }
        }
        Ok(())
    }

    /// The refresh token of a generation, as far as anybody knows.
    fn known(&mut self, generation: u32) -> &mut Option<String> {
        let place = usize::try_from(generation - 1).expect("small");
        while self.chain.len() <= place {
            self.chain.push(None);
        }
        &mut self.chain[place]
    }

    /// Whether these answers can be those.
    fn fits(&self, answered: &[HttpResponse], expected: &[ExpectedResponse]) -> Result<(), Violation> {
        let mut successors: BTreeMap<u32, &str> = BTreeMap::new();
        for (answered, expected) in answered.iter().zip(expected) {
            let HttpResponse { status, body } = answered;
            let is = |wanted: u16, error: &str| *status == wanted && (error.is_empty() || body["error"] == error);
            let right = match expected {
                ExpectedResponse::Tokens { .. } => {
                    let (generation, refresh) = self.are_tokens(answered, expected)?;
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
                ExpectedResponse::Revoked => is(200, "") && body.is_null(),
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
    ) -> Result<(u32, Option<&'a str>), Violation> {
        let ExpectedResponse::Tokens { generation, permissions, stays, expires_in } = expected else {
            return Err("no tokens were expected".to_owned());
        };
        let HttpResponse { status, body } = answered;
        let access = body["access_token"].as_str().filter(|_| *status == 200).ok_or("no tokens")?;
        let (claims, now) = (claims(access).1, self.harness.now());
        let scopes = |text: &Value| -> Vec<String> {
            let text = text.as_str().unwrap_or_default();
            text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
        };
        let (mut issued, mut told) = (scopes(&claims["scope"]), scopes(&body["scope"]));
        issued.sort();
        told.sort();
        let carries: Vec<_> = permissions.iter().map(|scope| (*scope).to_owned()).collect();
        let mut says = carries.clone();
        says.extend(stays.then(|| "offline_access".to_owned()));
        says.sort();
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
            ("grant", claims["grant"] == self.granted.id.to_text()),
            ("person", claims["sub"] == self.granted.person.as_str()),
        ] {
            if !right {
                return Err(format!("another {operation} than in {expected:?}: {claims}"));
            }
        }
        Ok((*generation, refresh))
    }

    async fn compare_stored(&self) -> Result<(), Violation> {
        let (stored, predicted) = (self.stored().await, projected(&self.prediction));
        if stored == predicted { Ok(()) } else { Err(format!("stored is {stored:?}, not {predicted:?}")) }
    }

    /// An end is never hidden, whatever fails, and never told twice.
    fn compare_told(&self) -> Result<(), Violation> {
        let by_request = matches!(self.prediction.state, ExpectedState::Ended(why) if why != "administrator");
        let (announced, told) = self.endings;
        let missing = by_request && (announced == 0 || told == 0 && !self.history.participants.faults);
        if missing || told > 1 || told == 1 && !by_request {
            return Err(format!("the audit announces {announced} ends and tells {told}: {:?}", self.prediction.state));
        }
        Ok(())
    }

    async fn stored(&self) -> Projected {
        match self.harness.stored(&self.granted.id).await.state {
            StoredState::Issued => ("issued", 0, 0, 0),
            StoredState::Active(active) => {
                let since = (1, active.since);
                let (generation, answered) =
                    active.family.map_or(since, |family| (family.generation, family.last_issued));
                ("active", generation, active.seen, answered.seconds())
            }
            StoredState::Revoked { reason: why, .. } => (why.as_str(), 0, 0, 0),
        }
    }
}

/// As much of a grant as decides between candidates: its state, the current generation, the newest one seen, and when the family last
/// earned anybody tokens.
type Projected = (&'static str, u32, u32, i64);

fn projected(prediction: &GrantModel) -> Projected {
    match prediction.state {
        ExpectedState::Issued => ("issued", 0, 0, 0),
        ExpectedState::Active(active) => ("active", active.generation, active.used, active.answered),
        ExpectedState::Ended(why) => (why, 0, 0, 0),
    }
}
