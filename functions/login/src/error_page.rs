//! The page after an error, on which the person can continue.

use http::{Method, StatusCode};
use shared::clock::Timestamp;
use shared::http::flash;
use shared::http::response::with_reason;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::error::LoginError;
use crate::hook::HookMessage;
use crate::notice::Notice;
use crate::opened_link::Link;
use crate::page::{HookPage, TemporaryErrorPage, page_response};
use crate::retry_page::{LoginErrorPage, RetryPage, Step};
use crate::supabase_flow::SupabaseFlow;
use crate::{Login, encoded};

impl Login {
    /// The response to an error. A form is answered by a redirect to the page, so that no page in the history is the
    /// response to a form.
    pub(crate) async fn error_page(&self, request: &Request, error_page: LoginErrorPage, now: Timestamp) -> Response {
        let LoginErrorPage { error, retry_page } = error_page;
        let notice = Notice::of(&error, &retry_page);
        let feedback = FormFeedback { notice: Some(&notice), status: error.status() };
        let response = match (request.method(), &error) {
            (&Method::POST, LoginError::AnotherSite | LoginError::Malformed(_)) => {
                self.sign_in_page(request, &retry_page, feedback, now).await
            }
            (&Method::POST, LoginError::Hook(_)) => {
                flash::redirect(&self.login_url(retry_page.next.as_ref()), &notice, &self.issuer)
            }
            (&Method::POST, _) => flash::redirect(&self.retry_url(&retry_page), &notice, &self.issuer),
            (_, LoginError::Hook(message)) => self.hook_page(message, &retry_page, error.status()),
            _ => match (request.uri().path_and_query(), &retry_page.step) {
                // A request without a form can simply be repeated.
                (Some(address), _) if error.is_temporary() => {
                    let again = self.issuer.at(&self.layout.paths().of(address.as_str()));
                    return self.temporary_error_page(&again, &retry_page, &error);
                }
                (_, Step::Code(id)) => match SupabaseFlow::from_cookies(&Jar::of(request), id, &self.issuer, now) {
                    Some(flow) => self.code_page(request, &flow, feedback, now).await,
                    None => self.sign_in_page(request, &retry_page, feedback, now).await,
                },
                _ => self.sign_in_page(request, &retry_page, feedback, now).await,
            },
        };
        with_reason(response, &error)
    }

    /// The address of the page on which the person tries again.
    pub(crate) fn retry_url(&self, retry_page: &RetryPage) -> String {
        match &retry_page.step {
            Step::SignIn => self.login_url(retry_page.next.as_ref()),
            Step::Code(flow) => self.code_address(flow),
            Step::Link(Link { flow, token_hash }) => {
                format!("{}?flow={}&token_hash={token_hash}", self.at("/callback"), encoded(flow))
            }
        }
    }

    pub(crate) fn temporary_error_page(&self, again: &str, retry_page: &RetryPage, error: &LoginError) -> Response {
        let start = self.login_url(retry_page.next.as_ref());
        let page = TemporaryErrorPage {
            layout: &self.layout,
            sentence: error.sentence(),
            request_id: self.layout.request_id(),
            again,
            start: &start,
        };
        with_reason(page_response(&self.layout, error.status(), retry_page.next.as_ref(), &page), error)
    }

    pub(crate) fn hook_page(&self, message: &HookMessage, retry_page: &RetryPage, status: StatusCode) -> Response {
        let start = self.login_url(retry_page.next.as_ref());
        let page = HookPage {
            layout: &self.layout,
            message: message.text(),
            request_id: self.layout.form_request_id().or_else(|| self.layout.request_id()),
            start: &start,
        };
        page_response(&self.layout, status, retry_page.next.as_ref(), &page)
    }
}

/// The notice that a page shows after a form, and the status of the page.
#[derive(Clone, Copy)]
pub(crate) struct FormFeedback<'a> {
    pub(crate) notice: Option<&'a Notice>,
    pub(crate) status: StatusCode,
}
