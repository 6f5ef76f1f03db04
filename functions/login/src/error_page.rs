//! What a refusal leads to: a page on which one can go on.

use http::{Method, StatusCode};
use shared::clock::Timestamp;
use shared::http::answer::because;
use shared::http::notice;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::flow::Flow;
use crate::hook::HookMessage;
use crate::link::Link;
use crate::page::{HookPage, RetryPage, shown};
use crate::refusal::{Back, Problem, Refusal, Refused, Step};
use crate::{Login, encoded};

impl Login {
    /// The page on which one can go on. A form is answered by a redirect to it: in the history stands what can be read again.
    pub(crate) async fn explain(&self, request: &Request, refused: Refused, now: Timestamp) -> Response {
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
    pub(crate) fn address(&self, back: &Back) -> String {
        match &back.step {
            Step::SignIn => self.start(back.next.as_ref()),
            Step::Code(flow) => self.code_address(flow),
            Step::Link(Link { flow, token_hash }) => {
                format!("{}?flow={}&token_hash={token_hash}", self.issuer.at("/auth/callback"), encoded(flow))
            }
        }
    }

    pub(crate) fn retry_page(&self, again: &str, back: &Back, why: &Refusal) -> Response {
        let start = self.start(back.next.as_ref());
        let page = RetryPage { shell: &self.shell, problem: why.sentence(), again, start: &start };
        because(shown(&self.shell, why.status(), back.next.as_ref(), &page), why)
    }

    pub(crate) fn hook_page(&self, message: &HookMessage, back: &Back, status: StatusCode) -> Response {
        let start = self.start(back.next.as_ref());
        let page = HookPage { shell: &self.shell, message: message.text(), start: &start };
        shown(&self.shell, status, back.next.as_ref(), &page)
    }
}

/// What a page says of a form before, and with which status.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) problem: Option<&'a Problem>,
    pub(crate) status: StatusCode,
}
