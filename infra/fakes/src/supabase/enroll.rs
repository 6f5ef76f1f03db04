//! `POST /factors`: sets up an authenticator, which counts once a code of it has been verified. Gone after a restart.

use crate::supabase::error::SupabaseError;
use crate::supabase::parameters;
use crate::supabase::project::Supabase;
use crate::supabase::random;
use crate::supabase::secret::Secret;
use crate::supabase::seed::Factor;
use crate::supabase::totp::{self, TotpKey};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use url::{Url, form_urlencoded};

pub(super) async fn enroll(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, SupabaseError> {
    let mut state = supabase.state();
    let me = supabase.signed_in(&state, &headers)?;
    let params: Params = parameters::json(&body, "api.EnrollFactorParams")?;
    if params.factor_type != "totp" {
        return Err(SupabaseError::Invalid("factor_type needs to be totp, phone, or webauthn"));
    }
    let aal = state.sessions.find(me.session).ok_or(SupabaseError::SessionNotFound)?.aal();
    let account = state.people.find_mut(me.person).ok_or(SupabaseError::UnexpectedFailure)?;
    if account.factors().any(|(factor, _)| factor.friendly_name == params.friendly_name) {
        return Err(SupabaseError::FactorNameTaken(params.friendly_name));
    }
    if !account.person.factors.is_empty() && aal != "aal2" {
        return Err(SupabaseError::InsufficientAal);
    }
    let bytes: [u8; 20] = random::bytes()?;
    let secret = totp::base32(&bytes);
    let site = Url::parse(&supabase.site.site_url).ok();
    let host = site.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
    let host = host.map(|(host, port)| port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")));
    let issuer = params.issuer.filter(|issuer| !issuer.is_empty()).or(host).unwrap_or_default();
    let label: String =
        form_urlencoded::byte_serialize(format!("{issuer}:{}", account.person.email).as_bytes()).collect();
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("algorithm", "SHA1"),
            ("digits", "6"),
            ("issuer", &issuer),
            ("period", "30"),
            ("secret", &secret),
        ])
        .finish();
    let uri = format!("otpauth://totp/{label}?{query}");
    let id = random::uuid()?;
    let factor = Factor { id, friendly_name: params.friendly_name, secret: Secret::from(secret.as_str()) };
    let key = TotpKey::of(&factor.secret).ok_or(SupabaseError::UnexpectedFailure)?;
    let answer = json!({
        "id": id,
        "type": "totp",
        "friendly_name": factor.friendly_name,
        // The real one draws the address here.
        "totp": { "qr_code": "<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>", "secret": secret, "uri": uri },
    });
    account.enroll(factor, key);
    Ok(Json(answer))
}

#[derive(Deserialize)]
struct Params {
    #[serde(default)]
    factor_type: String,
    #[serde(default)]
    friendly_name: String,
    issuer: Option<String>,
}
