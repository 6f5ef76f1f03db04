//! `GET /settings`: which ways of signing in there are.

use crate::supabase::project::Supabase;
use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(super) async fn show(State(supabase): State<Arc<Supabase>>) -> Json<Value> {
    let config = supabase.state().config.clone();
    let on = |provider: &&String| !config.providers_off.contains(*provider);
    let enabled = |name: &str| supabase.providers.iter().filter(on).any(|provider| provider == name);
    let social = SOCIAL.iter().map(|name| ((*name).to_owned(), json!(enabled(name))));
    let others = [("anonymous_users", false), ("email", config.email_enabled), ("phone", config.phone_enabled)];
    let others = others.into_iter().map(|(name, on)| (name.to_owned(), json!(on)));
    Json(json!({
        "external": social.chain(others).collect::<Map<_, _>>(),
        "disable_signup": config.disable_signup,
        "mailer_autoconfirm": config.mailer_autoconfirm,
        "phone_autoconfirm": false,
        "sms_provider": if config.phone_enabled { "twilio" } else { "" },
        "saml_enabled": false,
        "saml_private_key_next_configured": true,
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
