//! `GET /settings`: which ways of signing in there are.

use crate::supabase::Supabase;
use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) async fn show(State(supabase): State<Arc<Supabase>>) -> Json<Value> {
    let enabled = |name: &str| supabase.providers.iter().any(|provider| provider == name);
    let social = SOCIAL.iter().map(|name| ((*name).to_owned(), json!(enabled(name))));
    let others = [("anonymous_users", false), ("email", true), ("phone", false)];
    let others = others.into_iter().map(|(name, on)| (name.to_owned(), json!(on)));
    Json(json!({
        "external": social.chain(others).collect::<Map<_, _>>(),
        "disable_signup": true,
        "mailer_autoconfirm": false,
        "phone_autoconfirm": false,
        "sms_provider": "",
        "saml_enabled": false,
        "saml_private_key_next_configured": false,
        "passkeys_enabled": false,
    }))
}

/// The providers that the settings list.
pub(super) const SOCIAL: [&str; 23] = [
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "snapchat",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "kakao",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "spotify",
    "slack",
    "slack_oidc",
    "workos",
    "twitch",
    "twitter",
    "zoom",
];
