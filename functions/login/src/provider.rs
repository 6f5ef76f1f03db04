//! `/auth/login/social`: to a provider of identities.

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::answer::see_other;
use shared::http::parameters::Parameters;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::declined::Declined;
use crate::flow::Flow;
use crate::form::Form;
use crate::page::{LeavingPage, shown};
use crate::refusal::{Back, Refusal, Refused};
use crate::{Login, encoded};

impl Login {
    /// The form of a provider's button.
    pub(crate) async fn choose_provider(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = Form::read(request, &self.issuer)?;
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
    pub(crate) async fn leave_for_provider(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
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
}
