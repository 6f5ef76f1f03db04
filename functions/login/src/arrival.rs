//! `GET /auth/login`: who comes, and where they go on.

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::answer::see_other;
use shared::http::notice;
use shared::http::parameters::Parameters;
use shared::identity::signed_in::SIGN_OUT;
use shared::identity::{Arrival, NoSession};
use shared::lambda::{Request, Response};

use crate::declined::Declined;
use crate::error_page::Told;
use crate::form::Door;
use crate::next::Next;
use crate::page::{COOKIES_SCRIPT, SignInPage, SignedInPage, shown, with_captcha};
use crate::refusal::{Back, Problem, Refusal, Refused};
use crate::{Login, account};

impl Login {
    /// The sign-in page, unless the person is signed in already, or was until an hour ago.
    pub(crate) async fn arrive(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
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
    pub(crate) async fn resume(
        &self,
        request: &Request,
        back: &Back,
        told: Told<'_>,
        now: Timestamp,
    ) -> Result<Response, Refused> {
        let refreshable = self.identity.refreshable(request, now).await.map_err(|fault| back.refused(fault))?;
        let Some(token) = refreshable else {
            return Ok(self.without_session(request, self.sign_in_page(request, back, told, now).await));
        };
        match self.attempts.of(account::refresh(self.identity.supabase(), &token), now).await {
            Ok(tokens) => self.welcome(request, tokens, back, now).await,
            Err(refusal) if refusal.is_temporary() => Err(back.refused(refusal)),
            Err(Refusal::Declined(declined)) => Ok(self.anew(request, back, told, declined, now).await),
            Err(refusal) => Ok(self.without_session(request, self.explain(request, back.refused(refusal), now).await)),
        }
    }

    /// The sign-in page for somebody whose session is over, which the browser forgets.
    pub(crate) async fn anew(
        &self,
        request: &Request,
        back: &Back,
        told: Told<'_>,
        why: Declined,
        now: Timestamp,
    ) -> Response {
        let problem = Problem::of(&why.into(), back);
        let told = Told { problem: told.problem.or(Some(&problem)), ..told };
        self.without_session(request, self.sign_in_page(request, back, told, now).await)
    }

    pub(crate) async fn is_signed_in(&self, request: &Request, now: Timestamp) -> bool {
        matches!(self.identity.arrival(request, now).await, Ok(Arrival::SignedIn(_) | Arrival::Halfway(_)))
    }

    /// To where they were going; who has yet to show a second factor does so on the way.
    pub(crate) fn go_on(&self, next: Option<&Next>) -> Response {
        see_other(&self.start(next))
    }

    pub(crate) async fn sign_in_page(
        &self,
        request: &Request,
        back: &Back,
        told: Told<'_>,
        now: Timestamp,
    ) -> Response {
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
}
