//! The link of a mail that follows our template: it carries the hash of the mail's code. To open it spends nothing, since scanners
//! of mail open links too; a button does.

use std::fmt;

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::flash;
use shared::http::parameters::Parameters;
use shared::http::response::with_reason;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::error::{LoginError, LoginErrorPage, Problem, RetryPage, Step};
use crate::form::{CsrfToken, SubmittedForm};
use crate::next::Next;
use crate::page::{LinkPage, OtherBrowserPage, page_response, with_form};
use crate::supabase_error::SupabaseError;
use crate::supabase_flow::SupabaseFlow;
use crate::{Login, supabase_auth};

impl Login {
    /// The button of a link: only now its mail is used up.
    pub(crate) async fn verify_token_hash(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Result<Response, LoginErrorPage> {
        let form = SubmittedForm::parse(request, &self.issuer)?;
        let Step::Link(link) = &form.retry_page.step else {
            return Err(form.retry_page.with_error(LoginError::NoFlow));
        };
        let flow =
            SupabaseFlow::from_cookies(&Jar::of(request), &link.flow, &self.issuer, now).ok_or(LoginError::NoFlow)?;
        let retry_page = RetryPage { next: flow.next.clone(), ..form.retry_page.clone() };
        let tokens = supabase_auth::verify_token_hash(self.identity.supabase(), &link.token_hash);
        let tokens = self.rate_limiter.limit(tokens, now).await.map_err(|error| match error {
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
        let problem: Option<Problem> = flash::read(request, &self.issuer);
        let page = LinkPage {
            layout: &self.layout,
            problem: problem.as_ref(),
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

    /// For a link that was asked for in another browser. Nothing failed: the page says where to go on.
    pub(crate) fn other_browser_page(&self) -> Response {
        let page = page_response(&self.layout, StatusCode::OK, None, &OtherBrowserPage { layout: &self.layout });
        with_reason(page, &"the link of a mail in another browser")
    }
}

/// A link that was opened.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The flow that asked for the mail.
    pub(crate) flow: String,
    pub(crate) token_hash: String,
}

impl Link {
    /// The link that `parameters` carry, of an address or of the button's form.
    pub(crate) fn of(parameters: &Parameters) -> Option<Self> {
        let token_hash = parameters.value("token_hash").filter(|hash| is_token_hash(hash))?;
        Some(Self { flow: parameters.value("flow")?.to_owned(), token_hash: token_hash.to_owned() })
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.flow)
    }
}

/// Supabase writes 56 hexadecimal digits, with `pkce_` before them where the mail was asked for with a challenge.
fn is_token_hash(text: &str) -> bool {
    (8..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
