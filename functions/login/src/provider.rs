//! `/auth/login/social`: redirects to an identity provider.

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::http::response::see_other;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::error::LoginError;
use crate::form::SubmittedForm;
use crate::page::{LeavingPage, page_response};
use crate::retry_page::{LoginErrorPage, RetryPage};
use crate::supabase_error::SupabaseError;
use crate::supabase_flow::SupabaseFlow;
use crate::{Login, encoded};

impl Login {
    /// Handles the form of the providers' buttons.
    pub(crate) async fn choose_provider(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let form = SubmittedForm::parse(request, &self.issuer)?;
        let methods = self.sign_in_methods.offered(self.identity.supabase(), now).await;
        let chosen = form.value("provider").unwrap_or_default();
        let provider = methods.provider(chosen).ok_or_else(|| form.retry_page.with_error(SupabaseError::Provider))?;
        let flow = SupabaseFlow::start(form.retry_page.next.clone(), now);
        let to = format!("{}?flow={}&provider={}", self.at("/login/social"), flow.id, encoded(&provider.id));
        let mut response = see_other(&to);
        flow.set_cookie(&mut response, &Jar::of(request), &self.issuer, now);
        Ok(response)
    }

    /// Leads to the provider by a page. A redirect after the form would need the addresses of the provider, and all
    /// that follow, in the policy of the page before (`form-action`), and they are not known.
    pub(crate) async fn redirect_to_provider(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Result<Response, LoginErrorPage> {
        let query = Parameters::of_query(request).map_err(LoginError::Malformed)?;
        let flow =
            query.value("flow").and_then(|id| SupabaseFlow::from_cookies(&Jar::of(request), id, &self.issuer, now));
        let flow = flow.ok_or(LoginError::NoFlow)?;
        let retry_page = RetryPage { next: flow.next.clone(), ..RetryPage::default() };
        let methods = self.sign_in_methods.offered_now(self.identity.supabase(), now).await;
        let chosen = query.value("provider").unwrap_or_default();
        let provider = methods.provider(chosen).ok_or_else(|| retry_page.with_error(SupabaseError::Provider))?;
        let to = format!(
            "{}/authorize?provider={}&redirect_to={}&code_challenge={}&code_challenge_method=s256",
            self.identity.supabase().base(),
            encoded(&provider.id),
            encoded(&self.callback(&flow)),
            flow.challenge(),
        );
        let page = LeavingPage { layout: &self.layout, provider: &provider.name, to: &to };
        Ok(page_response(&self.layout, StatusCode::OK, None, &page))
    }
}
