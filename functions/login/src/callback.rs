//! `GET /auth/callback`: back from a provider, or from the link in a mail.

use shared::clock::Timestamp;
use shared::http::parameters::Parameters;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::account::Tokens;
use crate::declined::Declined;
use crate::flow::Flow;
use crate::link::Link;
use crate::refusal::{Back, Refusal, Refused, Step};
use crate::{Login, account};

impl Login {
    /// From a provider or from the link in a mail.
    pub(crate) async fn come_back(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let query = Parameters::of_query(request).map_err(Refusal::Malformed)?;
        // Nobody else can finish a sign-in in this browser: the flow's verifier is only in its cookie (RFC 9700 §4.7).
        let jar = Jar::of(request);
        let flow = query.value("flow").and_then(|id| Flow::of(&jar, id, &self.issuer, now));
        let flow = match (flow, Link::of(&query)) {
            (Some(flow), Some(_)) if self.is_signed_in(request, now).await => return Ok(self.go_on(flow.next.as_ref())),
            (Some(flow), Some(link)) => return Ok(self.link_page(request, &flow, &link)),
            (None, Some(_)) => return Ok(self.other_browser_page()),
            (flow, None) => flow.ok_or(Refusal::NoFlow)?,
        };
        let back = Back { next: flow.next.clone(), ..Back::default() };
        let outcome = match (query.value("code"), query.value("error_code").or_else(|| query.value("error"))) {
            (_, Some(code)) => {
                let description = query.value("error_description").unwrap_or_default();
                Err(Refusal::Declined(Declined::of_callback(code, description)))
            }
            (Some(code), None) => self.exchange(code, &flow.verifiers(&jar, &self.issuer, now), now).await,
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

    /// Exchanges the code of a flow with whichever of this browser's verifiers is its own. Each is an attempt.
    pub(crate) async fn exchange(&self, code: &str, verifiers: &[String], now: Timestamp) -> Result<Tokens, Refusal> {
        let mut outcome = Err(Refusal::Declined(Declined::OtherFlow));
        for verifier in verifiers {
            outcome = self.attempts.of(account::by_flow(self.identity.supabase(), code, verifier), now).await;
            if !matches!(outcome, Err(Refusal::Declined(Declined::OtherFlow))) {
                break;
            }
        }
        outcome
    }

    pub(crate) fn callback(&self, flow: &Flow) -> String {
        format!("{}?flow={}", self.issuer.at("/auth/callback"), flow.id)
    }
}
