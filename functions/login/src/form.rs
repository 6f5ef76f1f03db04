//! Forms of our own pages, protected against CSRF: signing somebody in as another person is an attack too (login CSRF).

use http::header::COOKIE;
use shared::http::parameters::Parameters;
use shared::http::{csrf, host_cookie};
use shared::lambda::{Request, Response};
use shared::oauth::issuer::Issuer;
use shared::oauth::secret::{Secret, from_text, to_text};

use crate::error::LoginError;
use crate::next::Next;
use crate::opened_link::Link;
use crate::retry_page::{LoginErrorPage, RetryPage, Step};

/// A form whose CSRF token was verified.
pub(crate) struct SubmittedForm {
    fields: Parameters,
    pub(crate) retry_page: RetryPage,
}

impl SubmittedForm {
    /// Reads a form of our own origin that carries the CSRF token of this browser.
    pub(crate) fn parse(request: &Request, issuer: &Issuer) -> Result<Self, LoginErrorPage> {
        let retry_page = submitted_from(request);
        check_same_origin(request, issuer).map_err(|error| retry_page.with_error(error))?;
        let fields = Parameters::of_body(request).map_err(|error| retry_page.with_error(error))?;
        let submitted = fields.value("confirmation").and_then(from_text).map(Secret::from_bytes);
        match (CsrfToken::from_cookie(request, issuer), submitted) {
            (Some(cookie), Some(submitted)) if cookie.matches(&submitted) => Ok(Self { fields, retry_page }),
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

/// The CSRF token of a browser. It is in a cookie and in every form. The prefix `__Host-` of the cookie keeps other
/// hosts of our domain from setting it.
pub(crate) struct CsrfToken {
    secret: Secret<32>,
    is_new: bool,
}

impl CsrfToken {
    /// The token of the browser, or a new one. It is kept, so that forms in other tabs stay valid.
    pub(crate) fn of(request: &Request, issuer: &Issuer) -> Self {
        match Self::from_cookie(request, issuer) {
            Some(secret) => Self { secret, is_new: false },
            None => Self { secret: Secret::random(), is_new: true },
        }
    }

    pub(crate) fn confirmation(&self) -> String {
        to_text(self.secret.expose())
    }

    /// A secret for `purpose` and `subject`. It stays the same as long as the browser keeps the token.
    pub(crate) fn derive(&self, purpose: &str, subject: &str) -> Secret<32> {
        self.secret.mac(&[purpose.as_bytes(), &[0], subject.as_bytes()])
    }

    pub(crate) fn set_cookie(&self, response: &mut Response, issuer: &Issuer) {
        if self.is_new {
            host_cookie::set(response, NAME, &self.confirmation(), None, issuer);
        }
    }

    /// Removes the token after signing in: the next sign-in gets a new one.
    pub(crate) fn clear_cookie(response: &mut Response, issuer: &Issuer) {
        host_cookie::set(response, NAME, "", Some(0), issuer);
    }

    fn from_cookie(request: &Request, issuer: &Issuer) -> Option<Secret<32>> {
        host_cookie::value(request, NAME, issuer).and_then(from_text).map(Secret::from_bytes)
    }
}

/// Checks that the form came from our own origin, as the browser says.
pub(crate) fn check_same_origin(request: &Request, issuer: &Issuer) -> Result<(), LoginError> {
    if csrf::is_same_origin(request, issuer) { Ok(()) } else { Err(LoginError::AnotherSite) }
}

/// The page that sent a form, whether or not the form is valid.
pub(crate) fn submitted_from(request: &Request) -> RetryPage {
    let fields = Parameters::of_body(request).or_else(|_| Parameters::of_query(request)).unwrap_or_default();
    let email = fields.value("email").map(str::trim).filter(|email| {
        // Supabase decides which addresses exist. This filter only drops text that is certainly no address.
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
