//! Where the response to a client may be redirected.

use shared::http::parameters::Parameters;
use shared::http::response;
use shared::lambda::Response;
use shared::oauth::client::{Client, ClientKind};
use shared::oauth::issuer::Issuer;
use shared::oauth::redirect_uri::RedirectUri;

use crate::error::AuthorizeError;
use crate::error_page::ErrorPage;

/// A known client with one of its registered redirect URIs. Only a value of this type can redirect to a client, and
/// only after the person has signed in (OAuth 2.1 §4.1.2.1).
pub(crate) struct RedirectTarget {
    client: Client,
    redirect_uri: RedirectUri,
    state: Option<String>,
    issuer: String,
}

impl RedirectTarget {
    /// Refuses a redirect URI that no client can have, before anybody is asked which client it is.
    pub(crate) fn check_uri(parameters: &Parameters) -> Result<(), ErrorPage> {
        match parameters.value("redirect_uri").map(RedirectUri::parse) {
            Some(Err(error)) => Err(ErrorPage::UnusableRedirectUri(error)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// The redirect URI of the request, if `client` registered it. A client with a single redirect URI may leave it out (§2.3.2),
    /// unless it is on loopback, where only the request names the port.
    pub(crate) fn find(client: Option<Client>, parameters: &Parameters, issuer: &Issuer) -> Result<Self, ErrorPage> {
        let client = client.ok_or(ErrorPage::UnknownClient)?;
        if let ClientKind::Blocked { .. } = client.kind {
            return Err(ErrorPage::Blocked);
        }
        let redirect_uri = match (parameters.value("redirect_uri"), client.redirect_uris.as_slice()) {
            (Some(requested), registered) => {
                let requested = RedirectUri::parse(requested).map_err(ErrorPage::UnusableRedirectUri)?;
                let known = registered.iter().any(|registered| registered.matches(&requested));
                if known { requested } else { return Err(ErrorPage::UnregisteredRedirectUri) }
            }
            (None, [only]) if !only.is_loopback() => {
                RedirectUri::parse(only.as_str()).map_err(ErrorPage::UnusableRedirectUri)?
            }
            (None, _) => return Err(ErrorPage::MissingRedirectUri),
        };
        let state = parameters.value("state").map(str::to_owned);
        Ok(Self { client, redirect_uri, state, issuer: issuer.to_string() })
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// The redirect with the code (§4.1.2).
    pub(crate) fn redirect_code(&self, code: &str) -> Response {
        response::see_other(&self.url(&[("code", code)]))
    }

    /// The redirect with the error (§4.1.2.1).
    pub(crate) fn redirect_error(&self, error: &AuthorizeError) -> Response {
        response::with_reason(response::see_other(&self.error_url(error)), error)
    }

    /// Where that redirect leads.
    pub(crate) fn error_url(&self, error: &AuthorizeError) -> String {
        let (code, description) = error.oauth_error();
        self.url(&[("error", code.as_str()), ("error_description", description)])
    }

    /// Adds `state` unchanged if the request had one, and always `iss` (RFC 9207 §2).
    fn url(&self, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        all.extend(self.state.as_deref().map(|state| ("state", state)));
        all.push(("iss", &self.issuer));
        self.redirect_uri.with(&all)
    }
}
