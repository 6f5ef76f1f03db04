//! Flash messages: what a page shows after a form.
//!
//! The response to the form is a redirect (303, RFC 9110 §15.4.4) to a page that can be reloaded. So the
//! browser's history never sends the form again. The message is in a cookie for five minutes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambda_http::{Body, Request, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::http::host_cookie;
use crate::http::parameters::Parameters;
use crate::http::response;
use crate::oauth::issuer::Issuer;
use crate::oauth::secret::{Secret, to_text};
use crate::telemetry::request_context::RequestContext;

/// Seconds. A reload shows it again until then.
const MAX_AGE: u32 = 300;

const NAME: &str = "mcp-notice";

/// The parameter with the id of the message. The same address without it, in another tab, does not show the
/// message.
pub const PARAMETER: &str = "notice";

/// The reason in the log line of a page that shows the error of the form before it.
pub const SHOWN_AFTER_FORM: &str = "the page after a form that failed: the log line of the form says why";

/// How much longer an address gets by the id of a message, at most.
pub const ADDED_LEN: usize = 24;

/// What the cookie holds.
#[derive(Deserialize, Serialize)]
struct Flash<T> {
    notice: T,
    /// The id of the form's request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

/// Redirects to the page at `address`, which will show `notice`: never a secret.
#[must_use]
pub fn redirect(address: &str, notice: &impl Serialize, issuer: &Issuer) -> Response<Body> {
    redirect_by(str::to_owned, address, notice, issuer)
}

/// The same by way of the page that `way` makes of the address. That page leads there.
#[must_use]
pub fn redirect_by(
    way: impl FnOnce(&str) -> String,
    address: &str,
    notice: &impl Serialize,
    issuer: &Issuer,
) -> Response<Body> {
    let id = to_text(Secret::<6>::random().expose());
    let separator = if address.contains('?') { '&' } else { '?' };
    let mut response = response::see_other(&way(&format!("{address}{separator}{PARAMETER}={id}")));
    let request = RequestContext::current().and_then(|context| context.request_id().map(str::to_owned));
    let notice = serde_json::to_vec(&Flash { notice, request }).unwrap_or_default();
    host_cookie::set(&mut response, NAME, &format!("{id}.{}", URL_SAFE_NO_PAD.encode(notice)), Some(MAX_AGE), issuer);
    response
}

/// The flash message of the page that `request` asks for, if there is one. From then on the context of the request knows which request
/// the form was, by [`RequestContext::form_request_id`].
#[must_use]
pub fn read<T: DeserializeOwned>(request: &Request, issuer: &Issuer) -> Option<T> {
    let query = Parameters::of_query(request).ok()?;
    let (id, notice) = host_cookie::value(request, NAME, issuer)?.split_once('.')?;
    query.value(PARAMETER).filter(|requested| *requested == id)?;
    let flash: Flash<T> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(notice).ok()?).ok()?;
    if let (Some(context), Some(request)) = (RequestContext::current(), flash.request) {
        context.set_form_request_id(request);
    }
    Some(flash.notice)
}
