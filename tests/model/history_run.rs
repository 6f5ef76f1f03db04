//! Plays a history on the real functions, and compares each answer with what the model predicts.

use std::collections::BTreeMap;

use shared::upstream_error::UpstreamError;

use crate::api_key::IssuedKey;
use crate::captured_audit::CapturedEvent;
use crate::connection::{Connection, PreparedRequest, projected, projected_of_stored};
use crate::grant_model::{AuditEvent, ExpectedResponse, ExpectedState, GrantModel, Token};
use crate::harness::{BEGINNING, HttpResponse, Member, ModelHarness};
use crate::history::{
    Action, Administration, History, InitialExchange, InjectedFault, KeyAction, NewApproval, Operation, Request,
    RequestedScope, Role, Sender, Step, Together,
};
use crate::invariants::Observation;
use crate::membership_model::MembershipModel;

const DAY: i64 = 24 * 3600;

/// What went wrong.
pub(crate) type Violation = String;

/// How often each thing happened, to see that the histories are worth playing.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) histories: usize,
    pub(crate) requests: usize,
    /// What the audit told, and which writes arrived late.
    pub(crate) events: BTreeMap<String, usize>,
}

/// A history as far as it has been played.
pub(crate) struct HistoryRun<'t> {
    harness: &'t ModelHarness,
    history: &'t History,
    member: Member,
    membership: MembershipModel,
    /// The grants, the newest last.
    connections: Vec<Connection>,
    /// The keys, the newest last.
    keys: Vec<IssuedKey>,
    /// Changes that the product has sent.
    changes: u64,
    statistics: &'t mut Statistics,
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
        let member = harness.begin(history.role).await;
        let membership = MembershipModel::new(history.role);
        statistics.histories += 1;
        let (connections, keys) = (Vec::new(), Vec::new());
        let mut run = Self { harness, history, member, membership, connections, keys, changes: 0, statistics };
        harness.audit.take();
        run.approve(history.approval, history.role).await?;
        let code = from_client(0, Operation::Exchange);
        let begin = match history.initial_exchange {
            InitialExchange::Once => Some(Step::Send(code)),
            InitialExchange::Twice(order) => Some(Step::Concurrent(code, code, order)),
            InitialExchange::NotYet => None,
        };
        for (place, step) in begin.iter().chain(&history.steps).enumerate() {
            run.step(step).await.map_err(|wrong| format!("step {place}, {step:?}: {wrong}"))?;
        }
        run.end().await.map_err(|wrong| format!("in the end: {wrong}"))
    }

    async fn step(&mut self, step: &Step) -> Result<(), Violation> {
        let participants = self.history.participants;
        match *step {
            Step::Wait(seconds) => self.harness.wait(seconds),
            Step::RefreshUntilOld(before) => {
                let until = BEGINNING + 180 * DAY - before;
                while self.harness.now() + 29 * DAY < until {
                    self.harness.wait(29 * DAY);
                    self.send_and_check(from_client(0, Operation::Refresh(RequestedScope::Not))).await?;
                }
                self.harness.wait((until - self.harness.now()).max(0));
            }
            Step::Send(request) => self.send_and_check(request).await?,
            Step::Concurrent(one, other, order) => {
                let at = self.connection(one);
                match (self.prepare(at, one), self.prepare(at, other)) {
                    (Some(one), Some(other)) => self.send_concurrently(at, one, other, order).await?,
                    (Some(_), None) => self.send_and_check(one).await?,
                    (None, Some(_)) => self.send_and_check(Request { grant: one.grant, ..other }).await?,
                    (None, None) => {}
                }
            }
            Step::Administer(administration) if participants.administrator => {
                self.administer(administration).await?;
            }
            Step::Meet(request, administration, order) if participants.administrator => {
                let at = self.connection(request);
                match self.prepare(at, request).filter(|_| !self.is_refused(administration.action)) {
                    Some(asked) => self.meet(at, asked, administration, order).await?,
                    None => self.administer(administration).await?,
                }
            }
            Step::Approve(approval, role) => self.approve_again(approval, role).await?,
            Step::Key(action, fault) => {
                self.act_on_key(action, fault.filter(|_| participants.faults)).await?;
            }
            Step::Arrive(nth) => self.arrive(usize::from(nth)).await?,
            Step::Administer(_) | Step::Meet(..) => {}
        }
        Ok(())
    }

    /// Everything that is under way arrives, and every client shows once more what it has.
    async fn end(&mut self) -> Result<(), Violation> {
        while self.harness.late_writes() > 0 {
            self.arrive(0).await?;
        }
        for grant in 0..u8::try_from(self.connections.len()).expect("few") {
            self.send_and_check(from_client(grant, Operation::Refresh(RequestedScope::Not))).await?;
            self.send_and_check(from_client(grant, Operation::Ping)).await?;
        }
        for place in 0..u8::try_from(self.keys.len()).expect("few") {
            self.act_on_key(KeyAction::Call(place), None).await?;
        }
        self.compare_stored().await?;
        let faults = self.history.participants.faults;
        self.connections.iter().try_for_each(|connection| connection.compare_told(faults))
    }

    /// What cannot be done is left out. What fails is done again, but for a call: that may be answered by 503.
    async fn act_on_key(&mut self, action: KeyAction, fault: Option<InjectedFault>) -> Result<(), Violation> {
        let (harness, is_noticed) = (self.harness, fault.is_some_and(|fault| !fault.goes_unnoticed()));
        let is_administered = self.history.participants.administrator;
        let count = self.keys.len();
        match action {
            KeyAction::Make if self.membership.role().is_some_and(|role| role.allows("skills:read")) => {
                harness.inject_fault(fault);
                let mut made = harness.make_key(&self.member).await;
                harness.inject_fault(None);
                if made.is_err() && is_noticed {
                    made = harness.make_key(&self.member).await;
                }
                let key = made.map_err(|error| format!("no key can be made: {error}"))?;
                self.keys.push(IssuedKey::new(key, self.membership.approves()));
                self.count("key made".to_owned());
            }
            KeyAction::Call(nth) if count > 0 => {
                let key = &self.keys[count - 1 - usize::from(nth) % count];
                harness.inject_fault(fault);
                let status = harness.call(&key.key.to_text(), false).await.status;
                harness.inject_fault(None);
                key.check(status, &self.membership, is_noticed)?;
                self.count(format!("key {}", if status == 200 { "let in" } else { "refused" }));
            }
            KeyAction::Revoke(nth) if count > 0 && is_administered => {
                let key = &mut self.keys[count - 1 - usize::from(nth) % count];
                harness.inject_fault(fault);
                let mut revoked = harness.revoke_key(&self.member, &key.key.id).await;
                harness.inject_fault(None);
                if revoked.is_err() && is_noticed {
                    revoked = harness.revoke_key(&self.member, &key.key.id).await;
                }
                revoked.map_err(|error| format!("a key cannot be revoked: {error}"))?;
                key.revoke();
                self.count("key revoked".to_owned());
            }
            KeyAction::Make | KeyAction::Call(_) | KeyAction::Revoke(_) => {}
        }
        Ok(())
    }

    async fn approve(&mut self, approval: NewApproval, role: Role) -> Result<(), Violation> {
        let fault = approval.fault.filter(|_| self.history.participants.faults);
        let issued = self.harness.approve(&self.member, NewApproval { fault, ..approval }, role).await?;
        let what = (approval.approved, role, self.membership.approves());
        self.connections.push(Connection::new(issued, &self.member.person, what, self.harness.now()));
        Ok(())
    }

    /// The person approves again, and the client exchanges the code.
    async fn approve_again(&mut self, approval: NewApproval, role: Role) -> Result<(), Violation> {
        let unlisted = |action| Administration { action, listed: false, fault: None };
        if !self.membership.has_tenant() {
            self.administer(unlisted(Action::PutTenant)).await?;
        }
        let current = self.membership.role();
        if current.is_none() {
            self.administer(unlisted(Action::Role(Some(role)))).await?;
        }
        let role = current.unwrap_or(role);
        self.approve(approval, role).await?;
        self.send_and_check(from_client(0, Operation::Exchange)).await
    }

    /// What was said to be done is done, and nothing else: a first try that comes late changes nothing.
    async fn arrive(&mut self, nth: usize) -> Result<(), Violation> {
        let under_way = self.harness.late_writes();
        if under_way == 0 {
            return Ok(());
        }
        let late = self.harness.arrive(nth % under_way);
        let outcome = if late.applied { "applied" } else { "refused" };
        self.count(format!("late {} {outcome}", late.operation));
        self.compare_stored().await.map_err(|wrong| format!("{late:?} came late: {wrong}"))
    }

    /// Does it, and again if that fails.
    async fn administer(&mut self, administration: Administration) -> Result<(), Violation> {
        if self.is_refused(administration.action) {
            return Ok(());
        }
        let fault = administration.fault.filter(|_| self.history.participants.faults);
        self.begin_administration(administration.action);
        self.harness.inject_fault(fault);
        let mut marked = self.act(administration).await;
        self.harness.inject_fault(None);
        if marked.is_err() && fault.is_some_and(|fault| !fault.goes_unnoticed()) {
            marked = self.act(administration).await;
        }
        let marked = marked.map_err(|error| format!("it cannot be done: {error}"))?;
        let told = self.listen();
        let expected = self.conclude_administration(administration, None);
        self.check_announced(administration.action, &told)?;
        match marked {
            Some(marked) if fault.is_none() && marked != expected => Err(format!("{marked} marked, not {expected}")),
            _ => Ok(()),
        }
    }

    /// A tenant that was removed takes nobody in: that they are told so is another test's (`tests/ended_stays_ended.rs`).
    fn is_refused(&self, action: Action) -> bool {
        let lets_in = matches!(
            action,
            Action::Role(Some(_)) | Action::Change(Some(_)) | Action::RevokeTogether(Together::AnotherPerson)
        );
        lets_in && !self.membership.has_tenant()
    }

    async fn act(&self, administration: Administration) -> Result<Option<usize>, UpstreamError> {
        let newest = &self.connections.last().expect("the first").issued.id;
        Box::pin(self.harness.administer(&self.member, administration, newest, self.changes)).await
    }

    fn begin_administration(&mut self, action: Action) {
        self.changes += u64::from(matches!(action, Action::Change(_)));
        let newest = self.connections.len() - 1;
        for (at, connection) in self.connections.iter_mut().enumerate() {
            connection.invariants.administration_begins(action, at == newest);
        }
    }

    /// It has been done. How many grants must have been marked, but for the one that is `known` already.
    fn conclude_administration(&mut self, administration: Administration, known: Option<usize>) -> usize {
        self.membership.apply(administration.action);
        let (newest, now) = (self.connections.len() - 1, self.harness.now());
        let mut marked = 0;
        for (at, connection) in self.connections.iter_mut().enumerate() {
            if known != Some(at) {
                let over = self.membership.carries(connection.under).is_err();
                let told = mark(&mut connection.prediction, administration, (over, at == newest), now);
                marked += usize::from(!told.is_empty());
            }
            connection.invariants.administered(administration.action, at == newest);
        }
        self.keys.iter_mut().for_each(|key| key.administered(administration.action));
        marked
    }

    /// That many end is announced before the write, and told after it.
    fn check_announced(&self, action: Action, told: &[CapturedEvent]) -> Result<(), Violation> {
        let Action::RevokeTogether(Together::Person | Together::Client | Together::Tenant) = action else {
            return Ok(());
        };
        let place = |name| told.iter().position(|event| event.name == name);
        let can_be_done = match action {
            Action::RevokeTogether(Together::Person) => self.membership.role().is_some(),
            _ => self.membership.has_tenant(),
        };
        match (place("connections_ending"), place("connections_ended")) {
            (Some(announced), Some(ended)) if announced < ended && can_be_done => Ok(()),
            (None, None) if !can_be_done => Ok(()),
            _ => Err(format!("the audit says {told:?}")),
        }
    }

    /// One request, which may meet a fault.
    async fn send_and_check(&mut self, request: Request) -> Result<(), Violation> {
        let at = self.connection(request);
        let Some(asked) = self.prepare(at, request) else { return Ok(()) };
        let fault = request.fault.filter(|_| self.history.participants.faults);
        self.harness.inject_fault(fault);
        let answered = self.send(at, &asked).await;
        self.harness.inject_fault(None);

        let (connection, now) = (&self.connections[at], self.harness.now());
        let mut after = connection.prediction.clone();
        let (answer, told) = after.request(&asked.presented, self.membership.carries(connection.under), now);
        let mut candidates = vec![PossibleOutcome { answers: vec![answer], told: Some(told), after: after.clone() }];
        if fault.is_some_and(|fault| !fault.goes_unnoticed()) {
            let mut presented = connection.prediction.clone();
            presented.present(&asked.presented);
            for after in [connection.prediction.clone(), presented, after] {
                candidates.push(PossibleOutcome { answers: vec![ExpectedResponse::Unavailable], told: None, after });
            }
        }
        self.conclude(at, &[asked], &[answered], candidates).await
    }

    /// Two at once, in the order that was drawn: as if one had come after the other, but for the reason of an end.
    async fn send_concurrently(
        &mut self,
        at: usize,
        one: PreparedRequest,
        other: PreparedRequest,
        order: u16,
    ) -> Result<(), Violation> {
        self.harness.inject_fault(self.unnoticed(one.request.fault));
        let scheduler = &self.harness.scheduler;
        let (first, second) = scheduler.run_schedule(order, self.send(at, &one), self.send(at, &other)).await;
        self.harness.inject_fault(None);
        let (connection, now) = (&self.connections[at], self.harness.now());
        let carried = self.membership.carries(connection.under);
        let mut candidates = Vec::new();
        for swapped in [false, true] {
            let mut after = connection.prediction.clone();
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
            let mut after = connection.prediction.clone();
            (after.request(&asked.presented, carried, now).0, after)
        });
        let ends = |after: &GrantModel| {
            after.state != connection.prediction.state && matches!(after.state, ExpectedState::Ended(_))
        };
        let [(first_answer, first_after), (second_answer, second_after)] = judged;
        if ends(&first_after) != ends(&second_after) {
            let after = if ends(&first_after) { first_after } else { second_after };
            candidates.push(PossibleOutcome { answers: vec![first_answer, second_answer], told: None, after });
        }
        self.conclude(at, &[one, other], &[first, second], candidates).await
    }

    /// A request and what an administrator does, in the order that was drawn: as if the request had come before, after, or between what
    /// counts and what is marked.
    async fn meet(
        &mut self,
        at: usize,
        asked: PreparedRequest,
        administration: Administration,
        order: u16,
    ) -> Result<(), Violation> {
        self.begin_administration(administration.action);
        self.harness.inject_fault(self.unnoticed(administration.fault.or(asked.request.fault)));
        let scheduler = &self.harness.scheduler;
        let (answered, acted) = scheduler.run_schedule(order, self.send(at, &asked), self.act(administration)).await;
        self.harness.inject_fault(None);
        acted.map_err(|error| format!("it cannot be done: {error}"))?;

        let (connection, now, newest) = (&self.connections[at], self.harness.now(), self.connections.len() - 1);
        let mut candidates = Vec::new();
        for place in 0..3 {
            let (mut after, mut membership) = (connection.prediction.clone(), self.membership.clone());
            let mut answers = Vec::new();
            for stage in 0..3 {
                if stage == place {
                    let carried = membership.carries(connection.under);
                    answers.push(after.request(&asked.presented, carried, now).0);
                }
                match stage {
                    0 => membership.apply(administration.action),
                    1 => {
                        let over = membership.carries(connection.under).is_err();
                        mark(&mut after, administration, (over, at == newest), now);
                    }
                    _ => {}
                }
            }
            candidates.push(PossibleOutcome { answers, told: None, after });
        }
        self.conclude(at, &[asked], &[answered], candidates).await?;
        self.conclude_administration(administration, Some(at));
        Ok(())
    }

    /// Of the faults those that change no answer.
    fn unnoticed(&self, fault: Option<InjectedFault>) -> Option<InjectedFault> {
        fault.filter(|fault| fault.goes_unnoticed() && self.history.participants.faults)
    }

    /// Which of the grants a request is for.
    fn connection(&self, request: Request) -> usize {
        let count = self.connections.len();
        count - 1 - usize::from(request.grant) % count
    }

    fn prepare(&self, at: usize, request: Request) -> Option<PreparedRequest> {
        self.connections[at].prepare(request, self.history.participants)
    }

    async fn send(&self, at: usize, asked: &PreparedRequest) -> HttpResponse {
        let (harness, issued) = (self.harness, &self.connections[at].issued);
        let (text, as_client) = (asked.text.as_str(), asked.presented.as_client);
        match (asked.request.operation, &asked.presented.token) {
            (Operation::Exchange, Token::Code { verified: true }) => {
                harness.exchange(text, &issued.verifier, as_client).await
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
        at: usize,
        asked: &[PreparedRequest],
        answered: &[HttpResponse],
        candidates: Vec<PossibleOutcome>,
    ) -> Result<(), Violation> {
        let told = self.listen();
        self.statistics.requests += asked.len();
        let (connection, now) = (&self.connections[at], self.harness.now());
        for (asked, answered) in asked.iter().zip(answered) {
            connection.invariants.check_not_let_in(&asked.presented.token, answered.status)?;
        }
        let expected: Vec<_> = candidates.iter().map(|candidate| candidate.answers.clone()).collect();
        let (fit, unfit): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .map(|candidate| (connection.fits(answered, &candidate.answers, now), candidate))
            .partition(|(fits, _)| fits.is_ok());
        let wrong = unfit.into_iter().filter_map(|(why, _)| why.err()).collect::<Vec<_>>().join("; ");
        let mut fit: Vec<_> = fit.into_iter().map(|(_, candidate)| candidate).collect();
        fit.dedup_by(|one, other| one.after == other.after);
        if fit.len() > 1 {
            let stored = projected_of_stored(&self.harness.stored(&connection.issued.id).await);
            fit.retain(|candidate| projected(&candidate.after) == stored);
        }
        let Some(PossibleOutcome { answers, told: expected_told, after }) = fit.into_iter().next() else {
            return Err(format!("{wrong}\n  answered {answered:?}\n  expected {expected:?}"));
        };
        if let Some(expected) = expected_told {
            let told: Vec<_> = told.iter().map(|event| (event.name.as_str(), event.detail.as_str())).collect();
            if told != expected {
                return Err(format!("the audit says {told:?}, not {expected:?}"));
            }
        }
        let connection = &mut self.connections[at];
        connection.prediction = after;
        if let ExpectedState::Active(active) = &connection.prediction.state {
            // Perhaps nobody was told.
            let generation = active.generation;
            connection.known(generation);
        }
        let alone = answers.len() == 1;
        let observations = asked.iter().zip(&answers);
        let observations = observations.map(|(asked, answer)| Observation {
            request: asked.request,
            presented: &asked.presented,
            answer,
            alone,
            now,
        });
        connection.invariants.check(&observations.collect::<Vec<_>>())?;
        for ((asked, answered), answer) in asked.iter().zip(answered).zip(&answers) {
            connection.receive(asked, answered, answer, now);
        }
        Ok(())
    }

    /// What the audit has said, counted.
    fn listen(&mut self) -> Vec<CapturedEvent> {
        let told = self.harness.audit.take();
        for event in &told {
            self.count(format!("{} {}", event.name, event.detail));
            let connection =
                self.connections.iter_mut().find(|connection| connection.issued.id.to_text() == event.grant);
            if let Some(connection) = connection {
                connection.endings.0 += usize::from(event.name == "grant_ending");
                connection.endings.1 += usize::from(event.name == "grant_ended");
            }
        }
        told
    }

    fn count(&mut self, event: String) {
        *self.statistics.events.entry(event).or_default() += 1;
    }

    async fn compare_stored(&self) -> Result<(), Violation> {
        for connection in &self.connections {
            let stored = projected_of_stored(&self.harness.stored(&connection.issued.id).await);
            let predicted = projected(&connection.prediction);
            if stored != predicted {
                return Err(format!("stored is {stored:?}, not {predicted:?}"));
            }
        }
        for key in &self.keys {
            if self.harness.has_key(&key.key.id).await == key.revoked {
                return Err(format!("a key is stored, and revoked: {}", key.revoked));
            }
        }
        let (stored, predicted) = (self.harness.stored_role(&self.member).await, self.membership.role());
        if stored.as_deref() != predicted.map(Role::name) {
            return Err(format!("the role is {stored:?}, not {predicted:?}"));
        }
        Ok(())
    }
}

const fn from_client(grant: u8, operation: Operation) -> Request {
    Request { grant, sender: Sender::Client, operation, lost: false, fault: None }
}

/// What an administrator does to a grant besides what counts for all: marks it if it is over, or ends the newest. What the audit says.
fn mark(
    grant: &mut GrantModel,
    administration: Administration,
    (is_over, is_newest): (bool, bool),
    now: i64,
) -> Vec<AuditEvent> {
    match administration.marks() {
        Some(why) if is_over && grant.is_open(now) => grant.end(why),
        None if administration.action == Action::Revoke && is_newest => grant.end("administrator"),
        _ => Vec::new(),
    }
}
