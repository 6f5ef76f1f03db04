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

/// A known client at one of its registered addresses. Whoever holds one may be answered by redirect, once the person has signed
/// in; nothing else can make a redirect (OAuth 2.1 §4.1.2.1).
pub(crate) struct RedirectTarget {
    client: Client,
    redirect_uri: RedirectUri,
    state: Option<String>,
    issuer: String,
}

impl RedirectTarget {
    /// The address that was asked for, if `client` registered it; a client with a single one need not name it (§2.3.2), unless it
    /// is on loopback, where the request alone knows the port.
    pub(crate) fn find(client: Option<Client>, parameters: &Parameters, issuer: &Issuer) -> Result<Self, ErrorPage> {
        let client = client.ok_or(ErrorPage::UnknownClient)?;
        if let ClientKind::Blocked { .. } = client.kind {
            return Err(ErrorPage::Blocked);
        }
        let redirect_uri = match (parameters.value("redirect_uri"), client.redirect_uris.as_slice()) {
            (Some(asked), registered) => {
                let asked = RedirectUri::parse(asked).ok_or(ErrorPage::UnregisteredRedirectUri)?;
                let known = registered.iter().any(|registered| registered.matches(&asked));
                if known { asked } else { return Err(ErrorPage::UnregisteredRedirectUri) }
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

    /// Whether the answer goes to the origin that the client's description of itself is from. On loopback it could go to any program
    /// that uses the id of another.
    pub(crate) fn is_document_origin(&self) -> bool {
        let origin = |text: &str| Url::parse(text).map(|url| url.origin()).ok();
        self.client.id.is_metadata_document_url()
            && !self.redirect_uri.is_loopback()
            && origin(self.client.id.as_str()) == origin(self.redirect_uri.as_str())
    }

    pub(crate) const fn redirect_uri(&self) -> &RedirectUri {
        &self.redirect_uri
    }

    /// The code (§4.1.2).
    pub(crate) fn redirect_code(&self, code: &str) -> Response {
        self.redirect(&[("code", code)])
    }

    /// The error (§4.1.2.1).
    pub(crate) fn redirect_error(&self, error: &AuthorizeError) -> Response {
        let (code, sentence) = error.oauth_error();
        response::with_reason(self.redirect(&[("error", code.as_str()), ("error_description", sentence)]), error)
    }

    /// With `state` as it came, if it came, and `iss` always (RFC 9207 §2).
    fn redirect(&self, parameters: &[(&str, &str)]) -> Response {
        let mut all = parameters.to_vec();
        all.extend(self.state.as_deref().map(|state| ("state", state)));
        all.push(("iss", &self.issuer));
        response::see_other(&self.redirect_uri.with(&all))
    }
}
