//! `GET /auth/callback`: the return from a provider, or from the link in a mail.

use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::error::LoginError;
use crate::opened_link::Link;
use crate::rate_limiter::Attempt;
use crate::retry_page::{LoginErrorPage, RetryPage, Step};
use crate::supabase_auth::Tokens;
use crate::supabase_error::SupabaseError;
use crate::supabase_flow::SupabaseFlow;
use crate::{Login, supabase_auth};

impl Login {
    /// Signs in with the code or the link in the address.
    pub(crate) async fn handle_callback(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let query = Parameters::of_query(request).map_err(LoginError::Malformed)?;
        // Only the browser that began the flow can finish it: the verifier is only in its cookie (RFC 9700 §4.7).
        let jar = Jar::of(request);
        let flow = query.value("flow").and_then(|id| SupabaseFlow::from_cookies(&jar, id, &self.issuer, now));
        let flow = match (flow, Link::of(&query)) {
            (Some(flow), Some(_)) if self.is_signed_in(request, now).await => {
                return Ok(self.continue_to(flow.next.as_ref()));
            }
            (Some(flow), Some(link)) => return Ok(self.link_page(request, &flow, &link)),
            (None, Some(_)) => return Ok(self.other_browser_page()),
            (flow, None) => flow.ok_or(LoginError::NoFlow)?,
        };
        let retry_page = RetryPage { next: flow.next.clone(), ..RetryPage::default() };
        let outcome = match (query.value("code"), query.value("error_code").or_else(|| query.value("error"))) {
            (_, Some(code)) => {
                let description = query.value("error_description").unwrap_or_default();
                Err(LoginError::Supabase(SupabaseError::of_callback(code, description)))
            }
            (Some(code), None) => self.exchange_code(code, &flow.verifiers(&jar, &self.issuer, now), now).await,
            (None, None) => Err(LoginError::NoFlow),
        };
        let mut response = match outcome {
            Ok(tokens) => self.start_session(request, tokens, &retry_page, now).await?,
            // The flow is kept, so that the next attempt finds its verifier.
            Err(error) if error.is_temporary() => return Err(retry_page.with_error(error)),
            // The page for the code can send another mail.
            Err(error) if flow.email.is_some() => {
                let retry_page = RetryPage { step: Step::Code(flow.id.clone()), ..retry_page };
                return Err(retry_page.with_error(error));
            }
            Err(error) => self.error_page(request, retry_page.with_error(error), now).await,
        };
        flow.clear_cookie(&mut response, &self.issuer);
        Ok(response)
    }

    /// Exchanges the code of a flow. Tries the verifiers of this browser until one belongs to the flow. Each try
    /// counts as an attempt.
    pub(crate) async fn exchange_code(
        &self,
        code: &str,
        verifiers: &[String],
        now: Timestamp,
    ) -> Result<Tokens, LoginError> {
        let mut outcome = Err(LoginError::Supabase(SupabaseError::WrongVerifier));
        for verifier in verifiers {
            let exchange = supabase_auth::exchange_code(self.identity.supabase(), code, verifier);
            outcome = self.rate_limiter.limit(Attempt::Exchange, exchange, now).await;
            if !matches!(outcome, Err(LoginError::Supabase(SupabaseError::WrongVerifier))) {
                break;
            }
        }
        outcome
    }

    pub(crate) fn callback(&self, flow: &SupabaseFlow) -> String {
        format!("{}?flow={}", self.at("/callback"), flow.id)
    }
}
