//! A form of the consent page that was not accepted. The response is a redirect to the address of the request. The
//! page there shows the error and keeps the person's choices. So no page in the browser's history is the response to
//! a form.

use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;
use shared::http::flash;
use shared::http::parameters::Parameters;
use shared::identity::{Identity, MAX_RETURN_TO_LEN};
use shared::lambda::Response;
use shared::oauth::grant::Grant;
use shared::oauth::issuer::Issuer;
use shared::oauth::tenant::TenantId;

use crate::consent_form_error::ConsentFormError;
use crate::request;

/// How the names of boxes begin that show what the client did not request.
const MORE: &str = "more:";

/// The error, and the choices in the form.
#[derive(Deserialize, Serialize)]
pub(crate) struct RejectedForm {
    #[serde(rename = "again")]
    pub(crate) error: ConsentFormError,
    tenant: Option<String>,
    /// Names of ticked boxes; `None` if the choices are not kept.
    ticked: Option<Vec<String>>,
    /// The connection that is to end for the new one.
    #[serde(default)]
    replaces: Option<Replaced>,
}

/// A connection that would end for a new one.
#[derive(Deserialize, Serialize)]
pub(crate) struct Replaced {
    pub(crate) grant: String,
    /// Its tenant, by id.
    pub(crate) tenant: String,
    /// When it was last used, in seconds since 1970.
    used: i64,
}

impl RejectedForm {
    /// Keeps the choices of the form, unless somebody else than the person may have made them.
    pub(crate) fn of(error: ConsentFormError, parameters: &Parameters) -> Self {
        // The most bytes of names, as a cookie holds 4 KB. Only a page with pending scopes in dozens of tenants has as many.
        const MAX_BYTES: usize = 1500;
        if matches!(error, ConsentFormError::Forged | ConsentFormError::AnotherAccount) {
            return Self { error, tenant: None, ticked: None, replaces: None };
        }
        let tenant = parameters.value("tenant").and_then(TenantId::parse).map(|tenant| tenant.to_string());
        let mut room = MAX_BYTES;
        let ticked = ticked_boxes(parameters).into_iter().take_while(|name| {
            let fits = name.len() <= room;
            room = room.saturating_sub(name.len());
            fits
        });
        Self { error, tenant, ticked: Some(ticked.map(str::to_owned).collect()), replaces: None }
    }

    /// The page is to ask whether `grant` may end for the new connection.
    pub(crate) fn replacing(grant: &Grant, parameters: &Parameters) -> Self {
        let replaces = Replaced {
            grant: grant.id.to_text(),
            tenant: grant.approval.tenant.to_string(),
            used: grant.last_used().seconds(),
        };
        Self { replaces: Some(replaces), ..Self::of(ConsentFormError::ReplacesAnother, parameters) }
    }

    /// The connection that would end.
    pub(crate) const fn replaces(&self) -> Option<&Replaced> {
        self.replaces.as_ref()
    }

    /// The response to the form.
    pub(crate) fn redirect(&self, parameters: &Parameters, issuer: &Issuer) -> Response {
        flash::redirect(&issuer.at(&request::return_to(parameters)), self, issuer)
    }

    /// The response to a form of a person who has to sign in again. They come back to the page with their choices.
    pub(crate) fn redirect_to_sign_in(
        &self,
        parameters: &Parameters,
        identity: &Identity,
        issuer: &Issuer,
    ) -> Response {
        let return_to = request::return_to(parameters);
        // What would not fit into the address of the sign-in page has the person sign in at their own.
        if return_to.len() + flash::ADDED_LEN > MAX_RETURN_TO_LEN {
            return self.redirect(parameters, issuer);
        }
        flash::redirect_by(|address| identity.reauthentication_url(address), &return_to, self, issuer)
    }

    /// Whether anything was ticked that the client had not requested.
    pub(crate) fn has_ticked_more(&self) -> bool {
        self.ticked.iter().flatten().any(|name| name.starts_with(MORE))
    }

    pub(crate) fn has_chosen(&self, tenant: &TenantId) -> bool {
        self.tenant.as_deref() == Some(tenant.as_str())
    }

    /// Whether the box of that name was ticked; `None` if the choices are not kept.
    pub(crate) fn has_ticked(&self, field: &str) -> Option<bool> {
        self.ticked.as_ref().map(|ticked| ticked.iter().any(|name| name == field))
    }
}

/// The names of the ticked boxes of a form.
pub(crate) fn ticked_boxes(parameters: &Parameters) -> Vec<&str> {
    let ticked = parameters.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
    ticked.filter(|name| ["allow:", "also:", MORE].iter().any(|kind| name.starts_with(kind))).collect()
}

impl Replaced {
    /// The day on which it was last used, in UTC.
    pub(crate) fn last_used(&self) -> String {
        Timestamp::from_seconds(self.used).to_rfc3339().chars().take(10).collect()
    }
}
