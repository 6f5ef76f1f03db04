//! `/auth/…`: signs people in with Supabase Auth, for deployments whose product has no sign-in page on this origin.
//!
//! It keeps the session as `@supabase/ssr` would, so that one reader serves both kinds of deployment. Whatever goes wrong, the
//! answer is a page on which one can go on. A person who has a second factor is signed in when both have been shown, and until then
//! has a session that nothing but the page for it accepts.

mod account;
mod attempts;
mod captcha;
mod declined;
mod flow;
mod form;
mod hook;
mod link;
mod mail;
mod next;
mod page;
mod refusal;
mod session;
mod ways;

use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shared::clock::{Clock, Timestamp};
use shared::environment::{Environment, Misconfigured};
use shared::fault::Fault;
use shared::http::answer::{because, empty, method_not_allowed, see_other};
use shared::http::notice;
use shared::http::parameters::{Malformed, Parameters};
use shared::http::shell::Shell;
use shared::identity::cookies::Jar;
use shared::identity::halfway::Halfway;
use shared::identity::signed_in::SIGN_OUT;
use shared::identity::supabase::Bearer;
use shared::identity::{Arrival, Identity, NoSession};
use shared::lambda::{Function, Request, Response};
use shared::metrics;
use shared::oauth::issuer::Issuer;
use tokio::time::Instant;

use crate::account::{Sent, Tokens};
use crate::attempts::Attempts;
use crate::captcha::{Proof, Widget};
use crate::declined::Declined;
use crate::flow::Flow;
use crate::form::{Door, Form};
use crate::hook::HookMessage;
use crate::link::Link;
use crate::next::Next;
use crate::page::{
    COOKIES_SCRIPT, COUNTDOWN_SCRIPT, CodePage, FactorPage, HookPage, LeavingPage, LinkPage, OtherBrowserPage,
    RetryPage, SignInPage, SignedInPage, shown, with_captcha,
};
use crate::refusal::{Back, Problem, Refusal, Refused, Step};
use crate::ways::Ways;

/// The endpoint.
pub struct Login {
    identity: Identity,
    issuer: Issuer,
    shell: Shell,
    ways: Ways,
    captcha: Option<Widget>,
    attempts: Attempts,
    clock: Clock,
}

impl Login {
    /// With what it needs of the environment. Touches nothing on AWS.
    ///
    /// # Errors
    /// When a setting is missing or unusable.
    #[expect(clippy::unused_async, reason = "every endpoint is made this way; others fetch keys")]
    pub async fn new(environment: &Environment) -> Result<Self, Misconfigured> {
        Ok(Self {
            identity: Identity::new(environment)?,
            issuer: environment.issuer()?,
            shell: Shell::new(environment)?,
            ways: Ways::default(),
            captcha: Widget::new(environment)?,
            attempts: Attempts::default(),
            clock: environment.clock(),
        })
    }
}

impl Function for Login {
    const NAME: &'static str = "login";

    async fn handle(&self, request: Request) -> Response {
        let now = self.clock.now();
        let answered = match (request.method(), request.uri().path()) {
            (&Method::GET, "/auth/login") => self.arrive(&request, now).await,
            (&Method::POST, "/auth/login/password") => self.by_password(&request, now).await,
            (&Method::POST, "/auth/login/code") => self.send_code(&request, now).await,
            (&Method::GET, "/auth/login/code") => self.ask_for_code(&request, now).await,
            (&Method::POST, "/auth/login/verify") => self.by_code(&request, now).await,
            (&Method::POST, "/auth/login/link") => self.by_link(&request, now).await,
            (&Method::POST, "/auth/login/factor") => self.by_factor(&request, now).await,
            (&Method::POST, "/auth/login/social") => self.choose_provider(&request, now).await,
            (&Method::GET, "/auth/login/social") => self.leave_for_provider(&request, now).await,
            (&Method::GET, "/auth/callback") => self.come_back(&request, now).await,
            (&Method::POST, "/auth/logout") => self.sign_out(&request, now).await,
            // Where forms lead, no page is.
            (&Method::POST, "/auth/login")
            | (&Method::GET, "/auth/login/password" | "/auth/login/verify" | "/auth/login/factor") => {
                Ok(see_other(&self.start(form::remembered(&request).next.as_ref())))
            }
            (_, path) => Ok(unserved(path)),
        };
        match answered {
            Ok(response) => response,
            // A second click, or another tab: the first one has signed them in.
            Err(refused) if refused.why.is_of_an_old_form() && self.is_signed_in(&request, now).await => {
                self.go_on(refused.back.next.as_ref())
            }
            Err(refused) => self.explain(&request, refused, now).await,
        }
    }

    async fn refuse(&self, request: Request, malformed: Malformed) -> Response {
        self.explain(&request, Refusal::Malformed(malformed).into(), self.clock.now()).await
    }
}

impl Login {
    /// The sign-in page, unless the person is signed in already, or was until an hour ago.
    async fn arrive(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let query = Parameters::of_query(request).map_err(Refusal::Malformed)?;
        let problem: Option<Problem> = notice::of(request, &self.issuer);
        let email = problem.as_ref().and_then(|problem| problem.email.clone());
        let back = Back { next: query.value("next").and_then(Next::parse), email, ..Back::default() };
        let told = Told { problem: problem.as_ref(), status: StatusCode::OK };
        let by_hook = problem.as_ref().and_then(|problem| problem.hook.as_ref());
        match (self.identity.arrival(request, now).await.map_err(|fault| back.refused(fault))?, by_hook) {
            (Arrival::Halfway(_) | Arrival::Nobody(_), Some(message)) => {
                Ok(self.hook_page(message, &back, StatusCode::OK))
            }
            (Arrival::Halfway(person), _) => Ok(self.factor_page(request, &person, &back, told)),
            (Arrival::SignedIn(person), _) => {
                // Online, because authorize may have sent them here for a session that ended before its token did.
                let signed_out = self.identity.signed_out(&person).await.map_err(|fault| back.refused(fault))?;
                match (signed_out, &back.next) {
                    (None, Some(next)) => Ok(see_other(&next.on(&self.issuer))),
                    (None, None) => Ok(shown(
                        &self.shell,
                        StatusCode::OK,
                        None,
                        &SignedInPage {
                            shell: &self.shell,
                            problem: told.problem,
                            who: person.shown_as(),
                            confirmation: &person.anti_forgery(SIGN_OUT),
                        },
                    )),
                    (Some(why), _) => Ok(self.anew(request, &back, told, Declined::of_session(why), now).await),
                }
            }
            (Arrival::Nobody(NoSession::NotOurs), _) => self.resume(request, &back, told, now).await,
            (Arrival::Nobody(why), _) => Ok(self.anew(request, &back, told, Declined::of_session(why), now).await),
        }
    }

    /// The session's cookie outlives its access token by far: the refresh token in it makes a new one. Only here, where the
    /// cookies are ours; anywhere else a refresh would end the session.
    async fn resume(
        &self,
        request: &Request,
        back: &Back,
        told: Told<'_>,
        now: Timestamp,
    ) -> Result<Response, Refused> {
        let refreshable = self.identity.refreshable(request, now).await.map_err(|fault| back.refused(fault))?;
        let Some(token) = refreshable else {
            return Ok(self.sign_in_page(request, back, told, now).await);
        };
        match self.attempts.of(account::refresh(self.identity.supabase(), &token), now).await {
            Ok(tokens) => self.welcome(request, tokens, back, now).await,
            Err(refusal) if refusal.is_temporary() => Err(back.refused(refusal)),
            Err(Refusal::Declined(declined)) => Ok(self.anew(request, back, told, declined, now).await),
            Err(refusal) => Ok(self.without_session(request, self.explain(request, back.refused(refusal), now).await)),
        }
    }

    /// The sign-in page for somebody whose session is over, which the browser forgets.
    async fn anew(&self, request: &Request, back: &Back, told: Told<'_>, why: Declined, now: Timestamp) -> Response {
        let problem = Problem::of(&why.into(), back);
        let told = Told { problem: told.problem.or(Some(&problem)), ..told };
        self.without_session(request, self.sign_in_page(request, back, told, now).await)
    }

    async fn by_password(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = self.form(request)?;
        let password = form.value("password").ok_or_else(|| form.back.refused(Declined::Credentials))?;
        let email = form.email()?;
        let captcha = Proof::of(self.captcha.as_ref(), &form).map_err(|why| form.back.refused(why))?;
        let tokens = account::by_password(self.identity.supabase(), email, password, &captcha);
        let tokens = match self.attempts.of(tokens, now).await {
            Ok(tokens) => tokens,
            Err(refusal) => {
                let offered = self.ways.offered(self.identity.supabase(), now).await;
                return Err(form.back.refused(offered.suited(refusal)));
            }
        };
        self.welcome(request, tokens, &form.back, now).await
    }

    /// Sends a mail with a code, and a link that works in this browser. The answer is the same whether or not there is anybody
    /// to send it to.
    async fn send_code(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let answer_at = Instant::now() + mail::FLOOR;
        let form = self.form(request)?;
        let email = form.email()?;
        if !self.ways.offered(self.identity.supabase(), now).await.email {
            return Err(form.back.refused(Declined::ByEmail));
        }
        let captcha = Proof::of(self.captcha.as_ref(), &form).map_err(|why| form.back.refused(why))?;
        let (jar, door) = (Jar::of(request), Door::of(request, &self.issuer));
        let flow = Flow::by_mail(&jar, &door, email, form.back.next.clone(), &self.issuer, now);
        let callback = self.callback(&flow);
        let challenge = flow.challenge();
        let sent = account::send_code(self.identity.supabase(), email, &callback, &challenge, &captcha);
        let sent = self.attempts.of(sent, now).await;
        // Whether or not there is anybody: a code that is used costs a second call.
        self.attempts.count_this(now);
        let sent = sent.map_err(|refusal| form.back.refused(refusal))?;
        if matches!(sent, Sent::Failed(_)) {
            metrics::sign_in_mail_failed();
        }
        tokio::time::sleep_until(answer_at).await;
        let mut response = see_other(&self.code_address(&flow.id));
        flow.keep(&mut response, &jar, &self.issuer, now);
        Ok(because(response, &sent))
    }

    /// The page on which the code of a mail is typed in.
    async fn ask_for_code(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let query = Parameters::of_query(request).map_err(Refusal::Malformed)?;
        let Some(id) = query.value("flow") else { return Ok(see_other(&self.start(None))) };
        let flow = Flow::of(&Jar::of(request), id, &self.issuer, now).ok_or(Refusal::NoFlow)?;
        let problem: Option<Problem> = notice::of(request, &self.issuer);
        let told = Told { problem: problem.as_ref(), status: StatusCode::OK };
        Ok(self.code_page(request, &flow, told, now).await)
    }

    async fn by_code(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = self.form(request)?;
        form.email()?;
        let code: String = form.value("token").unwrap_or_default().split_whitespace().collect();
        if !(6..=10).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form.back.refused(Declined::Code));
        }
        let tokens = account::by_code(self.identity.supabase(), form.email()?, &code);
        let tokens = self.attempts.of(tokens, now).await;
        self.welcome(request, tokens.map_err(|refusal| form.back.refused(refusal))?, &form.back, now).await
    }

    async fn by_factor(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = self.form(request)?;
        let back = &form.back;
        let person = match self.identity.arrival(request, now).await.map_err(|fault| back.refused(fault))? {
            Arrival::Halfway(person) => person,
            // Shown already, in another tab or by a second click.
            Arrival::SignedIn(_) => return Ok(see_other(&self.start(back.next.as_ref()))),
            Arrival::Nobody(why) => return Err(back.refused(Declined::of_session(why))),
        };
        let code: String = form.value("code").unwrap_or_default().split_whitespace().collect();
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(back.refused(Declined::Factor));
        }
        let chosen = form.value("factor").unwrap_or_default();
        let factor = person.authenticators().find(|factor| factor.id.as_str() == chosen);
        let factor = factor.ok_or_else(|| back.refused(Declined::NoAuthenticator))?;
        let tokens = account::by_factor(self.identity.supabase(), person.bearer(), &factor.id, &code);
        let tokens = self.attempts.of(tokens, now).await;
        self.welcome(request, tokens.map_err(|refusal| back.refused(refusal))?, back, now).await
    }

    /// The button of a link: only now its mail is used up.
    async fn by_link(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = self.form(request)?;
        let Step::Link(link) = &form.back.step else { return Err(form.back.refused(Refusal::NoFlow)) };
        let flow = Flow::of(&Jar::of(request), &link.flow, &self.issuer, now).ok_or(Refusal::NoFlow)?;
        let back = Back { next: flow.next.clone(), ..form.back.clone() };
        let tokens = account::by_link(self.identity.supabase(), &link.token_hash);
        let tokens = self.attempts.of(tokens, now).await.map_err(|refusal| match refusal {
            Refusal::Declined(Declined::Link) => {
                Back { step: Step::Code(flow.id.clone()), ..back.clone() }.refused(Declined::Link)
            }
            refusal => back.refused(refusal),
        });
        let mut response = self.welcome(request, tokens?, &back, now).await?;
        flow.forget(&mut response, &self.issuer);
        Ok(response)
    }

    /// The form of a provider's button.
    async fn choose_provider(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = self.form(request)?;
        let offered = self.ways.offered(self.identity.supabase(), now).await;
        let chosen = form.value("provider").unwrap_or_default();
        let provider = offered.provider(chosen).ok_or_else(|| form.back.refused(Declined::Provider))?;
        let flow = Flow::begin(form.back.next.clone(), now);
        let to =
            format!("{}?flow={}&provider={}", self.issuer.at("/auth/login/social"), flow.id, encoded(&provider.id));
        let mut response = see_other(&to);
        flow.keep(&mut response, &Jar::of(request), &self.issuer, now);
        Ok(response)
    }

    /// On to the provider, by a page: as a redirect after a form, the provider's address and all that follow it would have to
    /// be in the policy of the page before (`form-action`), and nobody knows them.
    async fn leave_for_provider(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let query = Parameters::of_query(request).map_err(Refusal::Malformed)?;
        let flow = query.value("flow").and_then(|id| Flow::of(&Jar::of(request), id, &self.issuer, now));
        let flow = flow.ok_or(Refusal::NoFlow)?;
        let back = Back { next: flow.next.clone(), ..Back::default() };
        let offered = self.ways.offered_now(self.identity.supabase(), now).await;
        let chosen = query.value("provider").unwrap_or_default();
        let provider = offered.provider(chosen).ok_or_else(|| back.refused(Declined::Provider))?;
        let to = format!(
            "{}/authorize?provider={}&redirect_to={}&code_challenge={}&code_challenge_method=s256",
            self.identity.supabase().base(),
            encoded(&provider.id),
            encoded(&self.callback(&flow)),
            flow.challenge(),
        );
        let page = LeavingPage { shell: &self.shell, provider: &provider.name, to: &to };
        Ok(shown(&self.shell, StatusCode::OK, None, &page))
    }

    /// From a provider or from the link in a mail.
    async fn come_back(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let query = Parameters::of_query(request).map_err(Refusal::Malformed)?;
        // Nobody else can finish a sign-in in this browser: the flow's verifier is only in its cookie (RFC 9700 §4.7).
        let jar = Jar::of(request);
        let flow = query.value("flow").and_then(|id| Flow::of(&jar, id, &self.issuer, now));
        let flow = match (flow, Link::of(&query)) {
            (Some(flow), Some(link)) => return Ok(self.link_page(request, &flow, &link)),
            (None, Some(_)) => return Err(Refusal::OtherBrowser.into()),
            (flow, None) => flow.ok_or(Refusal::NoFlow)?,
        };
        let back = Back { next: flow.next.clone(), ..Back::default() };
        let outcome = match (query.value("code"), query.value("error_code").or_else(|| query.value("error"))) {
            (_, Some(code)) => {
                let description = query.value("error_description").unwrap_or_default();
                Err(Refusal::Declined(Declined::of_callback(code, description)))
            }
            (Some(code), None) => {
                let verifiers = flow.verifiers(&jar, &self.issuer, now);
                self.attempts.of(account::by_flow(self.identity.supabase(), code, &verifiers), now).await
            }
            (None, None) => Err(Refusal::NoFlow),
        };
        let mut response = match outcome {
            Ok(tokens) => self.welcome(request, tokens, &back, now).await?,
            // The flow may still end well: the next try finds its verifier.
            Err(refusal) if refusal.is_temporary() => return Err(back.refused(refusal)),
            // Another mail can be asked for where the code of this one would have been typed in.
            Err(refusal) if flow.email.is_some() => {
                let back = Back { step: Step::Code(flow.id.clone()), ..back };
                return Err(back.refused(refusal));
            }
            Err(refusal) => self.explain(request, back.refused(refusal), now).await,
        };
        flow.forget(&mut response, &self.issuer);
        Ok(response)
    }

    /// Ends the session in this browser, and at Supabase.
    async fn sign_out(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        form::from_our_page(request, &self.issuer)?;
        let fields = Parameters::of_body(request).map_err(Refusal::Malformed)?;
        let back = Back { next: fields.value("next").and_then(Next::parse), ..Back::default() };
        let arrival = self.identity.arrival(request, now).await.map_err(|fault| back.refused(fault))?;
        let shown = fields.value("confirmation").unwrap_or_default();
        let session = match &arrival {
            Arrival::SignedIn(person) => Some((&person.bearer, person.allows(SIGN_OUT, shown))),
            Arrival::Halfway(person) => Some((person.bearer(), person.allows(SIGN_OUT, shown))),
            Arrival::Nobody(_) => None,
        };
        let mut response = self.without_session(request, see_other(&self.start(back.next.as_ref())));
        // Without a session that is good there is nothing to forge: the browser only forgets what it cannot use.
        if let Some((bearer, allowed)) = session {
            if !allowed {
                return Err(Back::default().refused(Refusal::NotSignedOut));
            }
            // This browser is signed out even if Supabase cannot be told.
            if let Err(fault) = account::sign_out(self.identity.supabase(), bearer).await {
                response = because(response, &fault);
            }
        }
        Ok(response)
    }

    /// Keeps the session and goes where the person was going, by way of their second factor if they have one.
    async fn welcome(
        &self,
        request: &Request,
        tokens: Tokens,
        back: &Back,
        now: Timestamp,
    ) -> Result<Response, Refused> {
        // Better told here than found out by being sent here again and again.
        let known = self.identity.recognise(Bearer::new(tokens.access_token.clone()), now).await;
        let to = match (known, &back.next) {
            (Err(fault), next) => {
                // There is a session, and what it came from is spent: only to look at it failed.
                let start = self.start(next.as_ref());
                let mut response = self.retry_page(&start, back, &Refusal::Fault(fault));
                session::keep(&mut response, &tokens, &Jar::of(request), self.identity.cookie(), &self.issuer, now);
                return Ok(response);
            }
            (Ok(Arrival::Nobody(NoSession::Banned)), _) => return Err(back.refused(Declined::Suspended)),
            (Ok(Arrival::Nobody(NoSession::Ended)), _) => return Err(back.refused(Declined::Session)),
            (Ok(Arrival::Nobody(NoSession::NoAmr)), _) => return Err(back.refused(Declined::NoAmr)),
            (Ok(Arrival::Nobody(NoSession::NotOurs)), _) => {
                return Err(back.refused(Fault::new(
                    "Supabase.Token",
                    "its token is not one that we accept: is SUPABASE_ISSUER right, the key that signs among those that the project publishes (or none published at all), and the token that of a person?",
                )));
            }
            (Ok(Arrival::SignedIn(_)), Some(next)) => next.on(&self.issuer),
            (Ok(Arrival::SignedIn(_) | Arrival::Halfway(_)), next) => self.start(next.as_ref()),
        };
        let mut response = see_other(&to);
        session::keep(&mut response, &tokens, &Jar::of(request), self.identity.cookie(), &self.issuer, now);
        Door::close(&mut response, &self.issuer);
        Ok(response)
    }

    /// The page on which one can go on. A form is answered by a redirect to it: in the history stands what can be read again.
    async fn explain(&self, request: &Request, refused: Refused, now: Timestamp) -> Response {
        let Refused { why, back } = refused;
        let problem = Problem::of(&why, &back);
        let told = Told { problem: Some(&problem), status: why.status() };
        let response = match (request.method(), &why) {
            (&Method::POST, Refusal::AnotherSite | Refusal::Malformed(_)) => {
                self.sign_in_page(request, &back, told, now).await
            }
            (&Method::POST, Refusal::Hook(_)) => {
                notice::redirect(&self.start(back.next.as_ref()), &problem, &self.issuer)
            }
            (&Method::POST, _) => notice::redirect(&self.address(&back), &problem, &self.issuer),
            (_, Refusal::Hook(message)) => self.hook_page(message, &back, why.status()),
            (_, Refusal::OtherBrowser) => {
                shown(&self.shell, StatusCode::OK, None, &OtherBrowserPage { shell: &self.shell })
            }
            _ => match (request.uri().path_and_query(), &back.step) {
                // A request without a form repeats itself.
                (Some(address), _) if why.is_temporary() => {
                    return self.retry_page(&self.issuer.at(address.as_str()), &back, &why);
                }
                (_, Step::Code(id)) => match Flow::of(&Jar::of(request), id, &self.issuer, now) {
                    Some(flow) => self.code_page(request, &flow, told, now).await,
                    None => self.sign_in_page(request, &back, told, now).await,
                },
                _ => self.sign_in_page(request, &back, told, now).await,
            },
        };
        because(response, &why)
    }

    /// Where one goes on after a refused form.
    fn address(&self, back: &Back) -> String {
        match &back.step {
            Step::SignIn => self.start(back.next.as_ref()),
            Step::Code(flow) => self.code_address(flow),
            Step::Link(Link { flow, token_hash }) => {
                format!("{}?flow={}&token_hash={token_hash}", self.issuer.at("/auth/callback"), encoded(flow))
            }
        }
    }

    async fn is_signed_in(&self, request: &Request, now: Timestamp) -> bool {
        matches!(self.identity.arrival(request, now).await, Ok(Arrival::SignedIn(_) | Arrival::Halfway(_)))
    }

    /// To where they were going; who has yet to show a second factor does so on the way.
    fn go_on(&self, next: Option<&Next>) -> Response {
        see_other(&self.start(next))
    }

    fn retry_page(&self, again: &str, back: &Back, why: &Refusal) -> Response {
        let start = self.start(back.next.as_ref());
        let page = RetryPage { shell: &self.shell, problem: why.sentence(), again, start: &start };
        because(shown(&self.shell, why.status(), back.next.as_ref(), &page), why)
    }

    fn hook_page(&self, message: &HookMessage, back: &Back, status: StatusCode) -> Response {
        let start = self.start(back.next.as_ref());
        let page = HookPage { shell: &self.shell, message: message.text(), start: &start };
        shown(&self.shell, status, back.next.as_ref(), &page)
    }

    async fn sign_in_page(&self, request: &Request, back: &Back, told: Told<'_>, now: Timestamp) -> Response {
        let offered = self.ways.offered(self.identity.supabase(), now).await;
        let captcha = self.captcha.as_ref().filter(|_| offered.email);
        let door = Door::of(request, &self.issuer);
        let page = SignInPage {
            shell: &self.shell,
            script: COOKIES_SCRIPT,
            connecting: back.next.as_ref().is_some_and(Next::is_a_connection),
            problem: told.problem,
            offered: &offered,
            next: back.next.as_ref().map_or("", Next::as_str),
            email: back.email.as_deref().unwrap_or_default(),
            confirmation: &door.confirmation(),
            captcha,
        };
        let mut response = with_captcha(captcha, &self.shell, told.status, back.next.as_ref(), COOKIES_SCRIPT, &page);
        door.open(&mut response, &self.issuer);
        response
    }

    async fn code_page(&self, request: &Request, flow: &Flow, told: Told<'_>, now: Timestamp) -> Response {
        let (door, captcha) = (Door::of(request, &self.issuer), self.captcha.as_ref());
        let page = CodePage {
            shell: &self.shell,
            script: COUNTDOWN_SCRIPT,
            problem: told.problem,
            flow: &flow.id,
            next: flow.next.as_ref().map_or("", Next::as_str),
            email: flow.email.as_deref().unwrap_or_default(),
            confirmation: &door.confirmation(),
            start: &self.start(flow.next.as_ref()),
            mail_in: flow.mail_in(now),
            confirms: self.ways.offered(self.identity.supabase(), now).await.confirms,
            captcha,
        };
        let mut response = with_captcha(captcha, &self.shell, told.status, flow.next.as_ref(), COUNTDOWN_SCRIPT, &page);
        door.open(&mut response, &self.issuer);
        response
    }

    fn link_page(&self, request: &Request, flow: &Flow, link: &Link) -> Response {
        let door = Door::of(request, &self.issuer);
        let problem: Option<Problem> = notice::of(request, &self.issuer);
        let page = LinkPage {
            shell: &self.shell,
            problem: problem.as_ref(),
            email: flow.email.as_deref().unwrap_or_default(),
            link,
            confirmation: &door.confirmation(),
            start: &self.start(flow.next.as_ref()),
        };
        let mut response = shown(&self.shell, StatusCode::OK, flow.next.as_ref(), &page);
        door.open(&mut response, &self.issuer);
        response
    }

    fn factor_page(&self, request: &Request, person: &Halfway, back: &Back, told: Told<'_>) -> Response {
        let door = Door::of(request, &self.issuer);
        let page = FactorPage {
            shell: &self.shell,
            problem: told.problem,
            next: back.next.as_ref().map_or("", Next::as_str),
            who: person.shown_as(),
            authenticators: person.authenticators().collect(),
            confirmation: &door.confirmation(),
            sign_out: &person.anti_forgery(SIGN_OUT),
        };
        let mut response = shown(&self.shell, told.status, back.next.as_ref(), &page);
        door.open(&mut response, &self.issuer);
        response
    }

    fn form(&self, request: &Request) -> Result<Form, Refused> {
        Form::read(request, &self.issuer)
    }

    /// Lets the browser forget every session that came with `request`.
    fn without_session(&self, request: &Request, mut response: Response) -> Response {
        let jar = Jar::of(request);
        for key in jar.keys(self.identity.cookie()) {
            session::forget(&mut response, &jar, &key, &self.issuer);
        }
        response
    }

    fn start(&self, next: Option<&Next>) -> String {
        match next {
            Some(next) => format!("{}?next={}", self.issuer.at("/auth/login"), encoded(next.as_str())),
            None => self.issuer.at("/auth/login"),
        }
    }

    fn code_address(&self, flow: &str) -> String {
        format!("{}?flow={}", self.issuer.at("/auth/login/code"), encoded(flow))
    }

    fn callback(&self, flow: &Flow) -> String {
        format!("{}?flow={}", self.issuer.at("/auth/callback"), flow.id)
    }
}

/// What a page says of a form before, and with which status.
#[derive(Clone, Copy)]
struct Told<'a> {
    problem: Option<&'a Problem>,
    status: StatusCode,
}

/// Another method is answered with those that there are.
fn unserved(path: &str) -> Response {
    let methods = match path {
        "/auth/login"
        | "/auth/login/password"
        | "/auth/login/code"
        | "/auth/login/verify"
        | "/auth/login/factor"
        | "/auth/login/social" => "GET, POST",
        "/auth/login/link" | "/auth/logout" => "POST",
        "/auth/callback" => "GET",
        _ => return empty(StatusCode::NOT_FOUND),
    };
    method_not_allowed(methods)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
