//! The link of a mail that follows our template: it carries the hash of the mail's code. To open it spends nothing, since scanners
//! of mail open links too; a button does.

use std::fmt;

use http::StatusCode;
use shared::clock::Timestamp;
use shared::http::answer::because;
use shared::http::notice;
use shared::http::parameters::Parameters;
use shared::identity::cookies::Jar;
use shared::lambda::{Request, Response};

use crate::declined::Declined;
use crate::flow::Flow;
use crate::form::{Door, Form};
use crate::next::Next;
use crate::page::{LinkPage, OtherBrowserPage, shown, with_form};
use crate::refusal::{Back, Problem, Refusal, Refused, Step};
use crate::{Login, account};

impl Login {
    /// The button of a link: only now its mail is used up.
    pub(crate) async fn by_link(&self, request: &Request, now: Timestamp) -> Result<Response, Refused> {
        let form = Form::read(request, &self.issuer)?;
        let Step::Link(link) = &form.back.step else { return Err(form.back.refused(Refusal::NoFlow)) };
        let flow = Flow::of(&Jar::of(request), &link.flow, &self.issuer, now).ok_or(Refusal::NoFlow)?;
        let back = Back { next: flow.next.clone(), ..form.back.clone() };
        let tokens = account::by_link(self.identity.supabase(), &link.token_hash);
        let tokens = self.attempts.of(tokens, now).await.map_err(|refusal| match refusal {
            Refusal::Declined(Declined::Link) => {
                Back { step: Step::Code(flow.id.clone()), ..back.clone() }.refused(Declined::Link)
            }
            refusal => back.refused(refusal),
        });
        let mut response = self.welcome(request, tokens?, &back, now).await?;
        flow.forget(&mut response, &self.issuer);
        Ok(response)
    }

    pub(crate) fn link_page(&self, request: &Request, flow: &Flow, link: &Link) -> Response {
        let door = Door::of(request, &self.issuer);
        let problem: Option<Problem> = notice::of(request, &self.issuer);
        let page = LinkPage {
            shell: &self.shell,
            problem: problem.as_ref(),
            email: flow.email.as_deref().unwrap_or_default(),
            next: flow.next.as_ref().map_or("", Next::as_str),
            link,
            confirmation: &door.confirmation(),
            start: &self.start(flow.next.as_ref()),
        };
        let mut response = with_form(&self.shell, StatusCode::OK, flow.next.as_ref(), &page);
        door.open(&mut response, &self.issuer);
        response
    }

    /// For a link that was asked for in another browser. Nothing failed: the page says where to go on.
    pub(crate) fn other_browser_page(&self) -> Response {
        let page = shown(&self.shell, StatusCode::OK, None, &OtherBrowserPage { shell: &self.shell });
        because(page, &"the link of a mail in another browser")
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
