//! `POST /auth/login/factor`: the second factor.

use shared::clock::Timestamp;
use shared::http::answer::see_other;
use shared::identity::Arrival;
use shared::identity::halfway::Halfway;
use shared::identity::signed_in::SIGN_OUT;
use shared::lambda::{Request, Response};

use crate::declined::Declined;
use crate::error_page::Told;
use crate::form::{Door, Form};
use crate::next::Next;
use crate::page::{FactorPage, with_form};
use crate::refusal::{Back, Refused};
use crate::{Login, account};

impl Login {
    pub(crate) async fn by_factor(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = Form::read(request, &self.issuer)?;
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

    pub(crate) fn factor_page(&self, request: &Request, person: &Halfway, back: &Back, told: Told<'_>) -> Response {
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
        let mut response = with_form(&self.shell, told.status, back.next.as_ref(), &page);
        door.open(&mut response, &self.issuer);
        response
    }
}
