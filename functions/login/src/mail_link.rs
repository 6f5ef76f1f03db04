//! `POST /auth/login/link`: signs in with the link of a mail. Opening the link does not use it up, as scanners of
//! mail open links too. The button on its page does.

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::flash;
use shared::http::response::with_reason;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::error::LoginError;
use crate::form::{CsrfToken, SubmittedForm};
use crate::next::Next;
use crate::notice::Notice;
use crate::opened_link::Link;
use crate::page::{LinkPage, OtherBrowserPage, page_response, with_form};
use crate::rate_limiter::Attempt;
use crate::retry_page::{LoginErrorPage, RetryPage, Step};
use crate::supabase_error::SupabaseError;
use crate::supabase_flow::SupabaseFlow;
use crate::{Login, supabase_auth};

impl Login {
    /// Signs in with the token hash of a link.
    pub(crate) async fn verify_link(&self, request: &Request, now: Timestamp) -> Result<Response, LoginErrorPage> {
        let form = SubmittedForm::parse(request, &self.issuer)?;
        let Step::Link(link) = &form.retry_page.step else {
            return Err(form.retry_page.with_error(LoginError::NoFlow));
        };
        let flow =
            SupabaseFlow::from_cookies(&Jar::of(request), &link.flow, &self.issuer, now).ok_or(LoginError::NoFlow)?;
        let retry_page = RetryPage { next: flow.next.clone(), ..form.retry_page.clone() };
        let tokens = supabase_auth::verify_token_hash(self.identity.supabase(), &link.token_hash);
        let tokens = self.rate_limiter.limit(Attempt::Link, tokens, now).await.map_err(|error| match error {
            LoginError::Supabase(SupabaseError::Link) => {
                RetryPage { step: Step::Code(flow.id.clone()), ..retry_page.clone() }.with_error(SupabaseError::Link)
            }
            error => retry_page.with_error(error),
        });
        let mut response = self.start_session(request, tokens?, &retry_page, now).await?;
        flow.clear_cookie(&mut response, &self.issuer);
        Ok(response)
    }

    pub(crate) fn link_page(&self, request: &Request, flow: &SupabaseFlow, link: &Link) -> Response {
        let csrf_token = CsrfToken::of(request, &self.issuer);
        let notice: Option<Notice> = flash::read(request, &self.issuer);
        let page = LinkPage {
            layout: &self.layout,
            notice: notice.as_ref(),
            email: flow.email.as_deref().unwrap_or_default(),
            next: flow.next.as_ref().map_or("", Next::as_str),
            link,
            confirmation: &csrf_token.confirmation(),
            start: &self.login_url(flow.next.as_ref()),
        };
        let mut response = with_form(&self.layout, StatusCode::OK, flow.next.as_ref(), &page);
        csrf_token.set_cookie(&mut response, &self.issuer);
        response
    }

    /// The page for a link that was requested in another browser. Nothing failed; the page says where to continue.
    pub(crate) fn other_browser_page(&self) -> Response {
        let page = page_response(&self.layout, StatusCode::OK, None, &OtherBrowserPage { layout: &self.layout });
        with_reason(page, &"the link of a mail in another browser")
    }
}
