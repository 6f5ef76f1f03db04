//! Forms of our own pages, and the proof that they are: signing somebody in as another is an attack too (login CSRF).

use http::header::COOKIE;
use shared::http::parameters::Parameters;
use shared::http::{csrf, host_cookie};
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;
use shared::oauth::secret::{Secret, from_text, to_text};

use crate::error::{LoginError, LoginErrorPage, RetryPage, Step};
use crate::link::Link;
use crate::next::Next;

/// A form that this browser was shown by us.
pub(crate) struct SubmittedForm {
    fields: Parameters,
    pub(crate) retry_page: RetryPage,
}

impl SubmittedForm {
    /// Reads a form that came from a page of ours and carries the secret that this browser was given with it.
    pub(crate) fn parse(request: &Request, issuer: &Issuer) -> Result<Self, LoginErrorPage> {
        let retry_page = submitted_from(request);
        check_same_origin(request, issuer).map_err(|why| retry_page.with_error(why))?;
        let fields = Parameters::of_body(request).map_err(|why| retry_page.with_error(why))?;
        let shown = fields.value("confirmation").and_then(from_text).map(Secret::from_bytes);
        match (CsrfToken::given(request, issuer), shown) {
            (Some(given), Some(shown)) if given.matches(&shown) => Ok(Self { fields, retry_page }),
            _ if request.headers().contains_key(COOKIE) => Err(retry_page.with_error(LoginError::OutOfDate)),
            _ => Err(retry_page.with_error(LoginError::NoCookies)),
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields.value(name)
    }

    pub(crate) fn email(&self) -> Result<&str, LoginErrorPage> {
        self.retry_page.email.as_deref().ok_or_else(|| self.retry_page.with_error(LoginError::NoEmail))
    }
}

/// The secret that binds the forms of one browser to it: in a cookie and in every form. `__Host-` keeps siblings of our host
/// from planting one of theirs.
pub(crate) struct CsrfToken {
    secret: Secret<32>,
    is_new: bool,
}

impl CsrfToken {
    /// The one that the browser has, or a new one: forms in other tabs stay good.
    pub(crate) fn of(request: &Request, issuer: &Issuer) -> Self {
        match Self::given(request, issuer) {
            Some(secret) => Self { secret, is_new: false },
            None => Self { secret: Secret::random(), is_new: true },
        }
    }

    pub(crate) fn confirmation(&self) -> String {
        to_text(self.secret.expose())
    }

    /// A secret of this browser for `purpose` and what it is about, the same as long as the browser has the form's.
    pub(crate) fn derive(&self, purpose: &str, about: &str) -> Secret<32> {
        self.secret.mac(&[purpose.as_bytes(), &[0], about.as_bytes()])
    }

    pub(crate) fn set_cookie(&self, response: &mut Response, issuer: &Issuer) {
        if self.is_new {
            host_cookie::set(response, NAME, &self.confirmation(), None, issuer);
        }
    }

    /// Who has signed in starts anew the next time.
    pub(crate) fn clear_cookie(response: &mut Response, issuer: &Issuer) {
        host_cookie::set(response, NAME, "", Some(0), issuer);
    }

    fn given(request: &Request, issuer: &Issuer) -> Option<Secret<32>> {
        host_cookie::value(request, NAME, issuer).and_then(from_text).map(Secret::from_bytes)
    }
}

/// Whether the browser says that the form is ours.
pub(crate) fn check_same_origin(request: &Request, issuer: &Issuer) -> Result<(), LoginError> {
    if csrf::is_same_origin(request, issuer) { Ok(()) } else { Err(LoginError::AnotherSite) }
}

/// What the page that sent a form, good or not, was about.
pub(crate) fn submitted_from(request: &Request) -> RetryPage {
    let fields = Parameters::of_body(request).or_else(|_| Parameters::of_query(request)).unwrap_or_default();
    let email = fields.value("email").map(str::trim).filter(|email| {
        // Which addresses there are, Supabase decides; this is what is not one in any case.
        (3..=320).contains(&email.len()) && email.contains('@') && !email.contains(char::is_control)
    });
    let step = match (Link::of(&fields), fields.value("flow")) {
        (Some(link), _) => Step::Link(link),
        (None, Some(flow)) => Step::Code(flow.to_owned()),
        (None, None) => Step::SignIn,
    };
    RetryPage { next: fields.value("next").and_then(Next::parse), email: email.map(str::to_owned), step }
}

const NAME: &str = "mcp-login";
