//! A form that cannot be approved. It is answered by a redirect to the request that it is about, whose page says why and holds what
//! the person had chosen: so that no page in the history is one that a form was sent for.

use serde::{Deserialize, Serialize};
use shared::http::flash;
use shared::http::parameters::Parameters;
use shared::lambda::Response;
use shared::oauth::issuer::Issuer;
use shared::oauth::tenant::TenantId;

use crate::consent::ConsentFormError;
use crate::request;

/// Why, and what was chosen.
#[derive(Deserialize, Serialize)]
pub(crate) struct RejectedForm {
    #[serde(rename = "again")]
    pub(crate) error: ConsentFormError,
    tenant: Option<String>,
    /// Names of ticked boxes.
    ticked: Option<Vec<String>>,
}

impl RejectedForm {
    /// Keeps the choices of a form that the person had before them. What somebody else may have sent chooses nothing for them.
    pub(crate) fn of(error: ConsentFormError, parameters: &Parameters) -> Self {
        // Bytes of the names that are kept: a cookie has 4 KB. Only who was offered much in dozens of tenants comes near.
        const MAX_BYTES: usize = 1500;
        if matches!(error, ConsentFormError::Forged | ConsentFormError::AnotherAccount) {
            return Self { error, tenant: None, ticked: None };
        }
        let tenant = parameters.value("tenant").and_then(TenantId::parse).map(|tenant| tenant.to_string());
        let boxes = parameters.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
        let mut room = MAX_BYTES;
        let ticked = boxes.filter(|name| name.starts_with("allow:") || name.starts_with("also:")).take_while(|name| {
            let fits = name.len() <= room;
            room = room.saturating_sub(name.len());
            fits
        });
        Self { error, tenant, ticked: Some(ticked.map(str::to_owned).collect()) }
    }

    /// The answer to the form.
    pub(crate) fn redirect(&self, parameters: &Parameters, issuer: &Issuer) -> Response {
        flash::redirect(&issuer.at(&request::return_to(parameters)), self, issuer)
    }

    pub(crate) fn has_chosen(&self, tenant: &TenantId) -> bool {
        self.tenant.as_deref() == Some(tenant.as_str())
    }

    /// Whether the box of that name was ticked; nothing where the choices are not known.
    pub(crate) fn has_ticked(&self, field: &str) -> Option<bool> {
        self.ticked.as_ref().map(|ticked| ticked.iter().any(|name| name == field))
    }
}
