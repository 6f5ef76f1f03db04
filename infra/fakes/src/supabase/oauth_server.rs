//! `GET /.well-known/oauth-authorization-server` (RFC 8414): whether Supabase's own OAuth server is on, and where it is.

use crate::supabase::error::SupabaseError;
use crate::supabase::project::Supabase;
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn metadata(
    State(supabase): State<Arc<Supabase>>,
) -> Result<([(axum::http::HeaderName, &'static str); 1], Json<Value>), SupabaseError> {
    if !supabase.state().config.oauth_server_enabled {
        return Err(SupabaseError::OAuthServerDisabled);
    }
    Ok((crate::supabase::jwks::CACHED, Json(supabase.oauth_metadata())))
}

impl Supabase {
    /// The same document as OpenID Discovery's. Clients register only where the server is on.
    pub(super) fn oauth_metadata(&self) -> Value {
        let issuer = self.issuer();
        let at = |path: &str| format!("{issuer}{path}");
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": at("/oauth/authorize"),
            "token_endpoint": at("/oauth/token"),
            "jwks_uri": at("/.well-known/jwks.json"),
            "userinfo_endpoint": at("/oauth/userinfo"),
            "scopes_supported": ["openid", "profile", "email", "phone", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "claims_supported": [
                "sub", "aud", "iss", "exp", "iat", "auth_time", "nonce", "email", "email_verified", "phone_number",
                "phone_number_verified", "name", "picture", "preferred_username", "updated_at",
            ],
            "code_challenge_methods_supported": ["S256", "plain"],
        });
        if let (true, Some(members)) = (self.state().config.oauth_server_enabled, metadata.as_object_mut()) {
            members.insert("registration_endpoint".to_owned(), json!(at("/oauth/clients/register")));
        }
        metadata
    }
}
