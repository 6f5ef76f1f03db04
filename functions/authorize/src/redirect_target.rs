//! Where the response to a client may be redirected.

use shared::http::parameters::Parameters;
use shared::http::response;
use shared::lambda::Response;
use shared::oauth::client::{Client, ClientKind};
use shared::oauth::issuer::Issuer;
use shared::oauth::redirect_uri::RedirectUri;
use url::Url;

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
            (None, [only]) if !only.is_loopback() => only.clone(),
            (None, _) => return Err(ErrorPage::MissingRedirectUri),
        };
        let state = parameters.value("state").map(str::to_owned);
        Ok(Self { client, redirect_uri, state, issuer: issuer.to_string() })
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the response goes to the origin of the client's metadata document. On loopback it never counts: any
    /// program can use another client's id there.
    pub(crate) fn is_document_origin(&self) -> bool {
        let origin = |text: &str| Url::parse(text).map(|url| url.origin()).ok();
        self.client.id.is_metadata_document_url()
            && !self.redirect_uri.is_loopback()
            && origin(self.client.id.as_str()) == origin(self.redirect_uri.as_str())
    }

    pub(crate) const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// The redirect with the code (§4.1.2).
    pub(crate) fn redirect_code(&self, code: &str) -> Response {
        self.redirect(&[("code", code)])
    }

    /// The redirect with the error (§4.1.2.1).
    pub(crate) fn redirect_error(&self, error: &AuthorizeError) -> Response {
        let (code, description) = error.oauth_error();
        response::with_reason(self.redirect(&[("error", code.as_str()), ("error_description", description)]), error)
    }

    /// Adds `state` unchanged if the request had one, and always `iss` (RFC 9207 §2).
    fn redirect(&self, parameters: &[(&str, &str)]) -> Response {
        let mut all = parameters.to_vec();
        all.extend(self.state.as_deref().map(|state| ("state", state)));
        all.push(("iss", &self.issuer));
        response::see_other(&self.redirect_uri.with(&all))
    }
}
