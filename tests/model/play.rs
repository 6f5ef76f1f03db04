//! Plays a history on the real functions, and compares each answer with what the model predicts.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::oauth::grant::GrantState as StoredLife;
use world::claims;

use crate::facts::{Act, Facts};
use crate::history::{Beginning, Disguise, History, Narrowed, Request, Step, What, Who};
use crate::prediction::{Answer, Life, Permissions, Prediction, Shown, Token, Told};
use crate::theatre::{Answered, BEGINNING, Granted, Theatre};

const DAY: i64 = 24 * 3600;

/// What went wrong.
pub(crate) type Wrong = String;

/// How often each thing happened, to see that the histories are worth playing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) histories: usize,
    pub(crate) requests: usize,
    pub(crate) told: BTreeMap<String, usize>,
}

/// A history as far as it has been played.
pub(crate) struct Play<'t> {
    theatre: &'t Theatre,
    history: &'t History,
    granted: Granted,
    prediction: Prediction,
    facts: Facts,
    tally: &'t mut Tally,
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
struct Asked {
    request: Request,
    text: String,
    shown: Shown,
}

/// One way in which requests may have gone.
struct Candidate {
    answers: Vec<Answer>,
    /// Unless it depends on who was faster, or something failed.
    told: Option<Vec<Told>>,
    after: Prediction,
}

impl<'t> Play<'t> {
    /// Plays it to its end. An honest client must then still be connected, if nothing took that from it.
    pub(crate) async fn whole(theatre: &'t Theatre, history: &'t History, tally: &'t mut Tally) -> Result<(), Wrong> {
        let granted = theatre.approve(history.approved, history.role).await;
        let prediction = Prediction::new(history.approved, history.role, theatre.now());
        let facts = Facts::new(history, theatre.now());
        tally.histories += 1;
        let (chain, accesses, client, endings) = (Vec::new(), Vec::new(), Client::default(), (0, 0));
        let mut play = Self { theatre, history, granted, prediction, facts, tally, chain, accesses, client, endings };
        theatre.audit.take();
        let client = |what| Request { who: Who::Client, what, lost: false, fault: None };
        let code = client(What::Exchange);
        let begin = match history.begins {
            Beginning::Exchanged => Some(Step::Ask(code)),
            Beginning::ExchangedTwice(order) => Some(Step::Meet(code, code, order)),
            Beginning::Open => None,
        };
        let end = [Step::Ask(client(What::Refresh(Narrowed::Not))), Step::Ask(client(What::Ping))];
        for (place, step) in begin.iter().chain(&history.steps).chain(&end).enumerate() {
            play.step(step).await.map_err(|wrong| format!("step {place}, {step:?}: {wrong}"))?;
        }
        play.compare_stored().await?;
        play.compare_told()
    }

    async fn step(&mut self, step: &Step) -> Result<(), Wrong> {
        let refreshes = Request { who: Who::Client, what: What::Refresh(Narrowed::Not), lost: false, fault: None };
        match *step {
            Step::Wait(seconds) => self.theatre.wait(seconds),
            Step::Age(before) => {
                let until = BEGINNING + 180 * DAY - before;
                while self.theatre.now() + 29 * DAY < until {
                    self.theatre.wait(29 * DAY);
                    self.ask(refreshes).await?;
                }
                self.theatre.wait((until - self.theatre.now()).max(0));
            }
            Step::Ask(request) => self.ask(request).await?,
            Step::Meet(one, other, order) => match (self.prepare(one), self.prepare(other)) {
                (Some(one), Some(other)) => self.meet(one, other, order).await?,
                (Some(_), None) => self.ask(one).await?,
                (None, Some(_)) => self.ask(other).await?,
                (None, None) => {}
            },
            Step::Role(role) if self.history.cast.administrator => {
                self.theatre.give_role(&self.granted.person, role).await;
                self.facts.role = role;
            }
            Step::End if self.history.cast.administrator => {
                self.theatre.end(&self.granted.id).await;
                self.prediction.end("administrator");
                self.facts.ended();
            }
            Step::Role(_) | Step::End => {}
        }
        Ok(())
    }

    /// One request, which may meet a fault.
    async fn ask(&mut self, request: Request) -> Result<(), Wrong> {
        let Some(asked) = self.prepare(request) else { return Ok(()) };
        let fault = request.fault.filter(|_| self.history.cast.faults);
        self.theatre.suffers(fault);
        let answered = self.send(&asked).await;
        self.theatre.suffers(None);

        let (role, now) = (self.facts.role, self.theatre.now());
        let mut after = self.prediction.clone();
        let (answer, told) = after.request(&asked.shown, role, now);
        let mut candidates = vec![Candidate { answers: vec![answer], told: Some(told), after: after.clone() }];
        if fault.is_some() {
            for after in [self.prediction.clone(), after] {
                candidates.push(Candidate { answers: vec![Answer::Unavailable], told: None, after });
            }
        }
        self.conclude(&[asked], &[answered], candidates).await
    }

    /// Two at once, in the order that was drawn: as if one had come after the other, but for the reason of an end.
    async fn meet(&mut self, one: Asked, other: Asked, order: u16) -> Result<(), Wrong> {
        let (first, second) = self.theatre.stage.once(order, self.send(&one), self.send(&other)).await;
        let (role, now) = (self.facts.role, self.theatre.now());
        let mut candidates = Vec::new();
        for swapped in [false, true] {
            let mut after = self.prediction.clone();
            let mut request = |asked: &Asked| after.request(&asked.shown, role, now).0;
            let answers = if swapped {
                let second = request(&other);
                vec![request(&one), second]
            } else {
                vec![request(&one), request(&other)]
            };
            candidates.push(Candidate { answers, told: None, after });
        }
        // Or both were judged before either did anything: then the one that ends the grant says why.
        let judged = [&one, &other].map(|asked| {
            let mut after = self.prediction.clone();
            (after.request(&asked.shown, role, now).0, after)
        });
        let ends = |after: &Prediction| after.life != self.prediction.life && matches!(after.life, Life::Ended(_));
        let [(first_answer, first_after), (second_answer, second_after)] = judged;
        if ends(&first_after) != ends(&second_after) {
            let after = if ends(&first_after) { first_after } else { second_after };
            candidates.push(Candidate { answers: vec![first_answer, second_answer], told: None, after });
        }
        self.conclude(&[one, other], &[first, second], candidates).await
    }

    /// The request with what it shows, if its sender has that and takes part.
    fn prepare(&self, request: Request) -> Option<Asked> {
        let is_thief = request.who != Who::Client;
        let gives_back = matches!(request.what, What::RevokeRefresh | What::RevokeAccess);
        if is_thief && !self.history.cast.thief || gives_back && !is_thief && !self.history.cast.administrator {
            return None;
        }
        let (text, token) = match request.what {
            What::Exchange => {
                if !is_thief && self.client.access.is_some() {
                    return None;
                }
                let verified = !matches!(request.who, Who::Thief { disguise: Disguise::Unverified, .. });
                (self.granted.code.clone(), Token::Code { verified })
            }
            What::Refresh(narrowed) => {
                let (text, generation) = self.refresh_token(request.who)?;
                (text, Token::Refresh { generation, narrowed })
            }
            What::Ping | What::Skills => {
                let access = self.access_token(request.who)?;
                let allows = request.what == What::Ping || access.permissions.contains("skills:read");
                let (generation, expires) = (access.generation, access.expires);
                (access.text.clone(), Token::Access { generation, expires, allows })
            }
            What::RevokeRefresh => (self.refresh_token(request.who)?.0, Token::Revoked),
            What::RevokeAccess => (self.access_token(request.who)?.text.clone(), Token::Revoked),
        };
        let as_client = !matches!(request.who, Who::Thief { disguise: Disguise::Another, .. });
        Some(Asked { request, text, shown: Shown { token, as_client } })
    }

    fn refresh_token(&self, who: Who) -> Option<(String, u32)> {
        let known = || self.chain.iter().zip(1..).filter_map(|(text, generation)| Some((text.clone()?, generation)));
        match who {
            Who::Client => known().find(|(_, generation)| Some(*generation) == self.client.generation),
            Who::Thief { nth, .. } => {
                let known: Vec<_> = known().collect();
                known.iter().rev().nth(usize::from(nth) % known.len().max(1)).cloned()
            }
        }
    }

    fn access_token(&self, who: Who) -> Option<&Access> {
        match who {
            Who::Client => self.accesses.get(self.client.access?),
            Who::Thief { nth, .. } => self.accesses.iter().rev().nth(usize::from(nth) % self.accesses.len().max(1)),
        }
    }

    async fn send(&self, asked: &Asked) -> Answered {
        let (theatre, text, as_client) = (self.theatre, asked.text.as_str(), asked.shown.as_client);
        match (asked.request.what, &asked.shown.token) {
            (What::Exchange, Token::Code { verified: true }) => {
                theatre.exchange(text, &self.granted.verifier, as_client).await
            }
            (What::Exchange, _) => theatre.exchange(text, &"a".repeat(43), as_client).await,
            (What::Refresh(narrowed), _) => theatre.refresh(text, narrowed.sent(), as_client).await,
            (What::Ping, _) => theatre.call(text, false).await,
            (What::Skills, _) => theatre.call(text, true).await,
            (What::RevokeRefresh | What::RevokeAccess, _) => theatre.revoke(text, as_client).await,
        }
    }

    /// Finds the one way in which it can have gone, and goes on from there.
    async fn conclude(
        &mut self,
        asked: &[Asked],
        answered: &[Answered],
        candidates: Vec<Candidate>,
    ) -> Result<(), Wrong> {
        let told = self.theatre.audit.take();
        self.tally.requests += asked.len();
        for (event, detail) in &told {
            *self.tally.told.entry(format!("{event} {detail}")).or_default() += 1;
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
        let Some(Candidate { answers, told: expected_told, after }) = fit.into_iter().next() else {
            return Err(format!("{wrong}\n  answered {answered:?}\n  expected {expected:?}"));
        };
        if let Some(expected) = expected_told {
            let told: Vec<_> = told.iter().map(|(event, detail)| (event.as_str(), detail.as_str())).collect();
            if told != expected {
                return Err(format!("the audit says {told:?}, not {expected:?}"));
            }
        }
        self.prediction = after;
        if let Life::Active(active) = self.prediction.life {
            // Perhaps nobody was told.
            self.known(active.generation);
        }
        let now = self.theatre.now();
        let alone = answers.len() == 1;
        let acts = asked.iter().zip(&answers);
        let acts = acts.map(|(asked, answer)| Act { request: asked.request, shown: &asked.shown, answer, alone, now });
        self.facts.check(&acts.collect::<Vec<_>>())?;
        for ((asked, answered), answer) in asked.iter().zip(answered).zip(&answers) {
            if let Answer::Tokens { generation, permissions, expires_in, .. } = answer {
                let refresh = answered.body["refresh_token"].as_str().map(str::to_owned);
                self.known(*generation).clone_from(&refresh);
                self.accesses.push(Access {
                    text: answered.body["access_token"].as_str().unwrap_or_default().to_owned(),
                    generation: *generation,
                    expires: now + expires_in,
                    permissions: permissions.clone(),
                });
                if asked.request.who == Who::Client && !asked.request.lost {
                    self.client =
                        Client { generation: refresh.map(|_| *generation), access: Some(self.accesses.len() - 1) };
                    self.facts.received = now;
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
    fn fits(&self, answered: &[Answered], expected: &[Answer]) -> Result<(), Wrong> {
        let mut successors: BTreeMap<u32, &str> = BTreeMap::new();
        for (answered, expected) in answered.iter().zip(expected) {
            let Answered { status, body } = answered;
            let is = |wanted: u16, error: &str| *status == wanted && (error.is_empty() || body["error"] == error);
            let right = match expected {
                Answer::Tokens { .. } => {
                    let (generation, refresh) = self.are_tokens(answered, expected)?;
                    if let Some(refresh) = refresh {
                        let one = *successors.entry(generation).or_insert(refresh);
                        if one != refresh {
                            return Err(format!("two successors of generation {}", generation - 1));
                        }
                    }
                    true
                }
                Answer::InvalidGrant => is(400, "invalid_grant"),
                Answer::InvalidScope => is(400, "invalid_scope"),
                Answer::GivenBack => is(200, "") && body.is_null(),
                Answer::LetIn => is(200, "") && body["result"].is_object(),
                Answer::Forbidden => is(403, ""),
                Answer::NotLetIn => is(401, ""),
                Answer::Unavailable => is(503, ""),
            };
            if !right {
                return Err(format!("not {expected:?}"));
            }
        }
        Ok(())
    }

    /// Whether an answer holds those tokens: its generation, and the refresh token.
    fn are_tokens<'a>(&self, answered: &'a Answered, expected: &Answer) -> Result<(u32, Option<&'a str>), Wrong> {
        let Answer::Tokens { generation, permissions, stays, expires_in } = expected else {
            return Err("no tokens were expected".to_owned());
        };
        let Answered { status, body } = answered;
        let access = body["access_token"].as_str().filter(|_| *status == 200).ok_or("no tokens")?;
        let (claims, now) = (claims(access).1, self.theatre.now());
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
        for (what, right) in [
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
                return Err(format!("another {what} than in {expected:?}: {claims}"));
            }
        }
        Ok((*generation, refresh))
    }

    async fn compare_stored(&self) -> Result<(), Wrong> {
        let (stored, predicted) = (self.stored().await, projected(&self.prediction));
        if stored == predicted { Ok(()) } else { Err(format!("stored is {stored:?}, not {predicted:?}")) }
    }

    /// An end is never hidden, whatever fails, and never told twice.
    fn compare_told(&self) -> Result<(), Wrong> {
        let by_request = matches!(self.prediction.life, Life::Ended(why) if why != "administrator");
        let (announced, told) = self.endings;
        let missing = by_request && (announced == 0 || told == 0 && !self.history.cast.faults);
        if missing || told > 1 || told == 1 && !by_request {
            return Err(format!("the audit announces {announced} ends and tells {told}: {:?}", self.prediction.life));
        }
        Ok(())
    }

    async fn stored(&self) -> Projected {
        match self.theatre.stored(&self.granted.id).await.state {
            StoredLife::Issued { .. } => ("issued", 0, 0, 0),
            StoredLife::Active(active) => {
                let since = (1, active.since);
                let (generation, answered) =
                    active.family.map_or(since, |family| (family.generation, family.last_issued));
                ("active", generation, active.seen, answered.seconds())
            }
            StoredLife::Revoked { reason: why, .. } => (why.as_str(), 0, 0, 0),
        }
    }
}

/// As much of a grant as decides between candidates: its state, the current generation, the newest one seen, and when the family last
/// earned anybody tokens.
type Projected = (&'static str, u32, u32, i64);

fn projected(prediction: &Prediction) -> Projected {
    match prediction.life {
        Life::Issued => ("issued", 0, 0, 0),
        Life::Active(active) => ("active", active.generation, active.used, active.answered),
        Life::Ended(why) => (why, 0, 0, 0),
    }
}
