//! An MCP client, as Claude is one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::oauth::client::ClientId;
use shared::oauth::grant::{Approval, Grant};
use shared::oauth::pkce::CodeChallenge;
use shared::oauth::redirect_uri::RedirectUri;
use shared::oauth::resource::Resource;
use shared::oauth::scope::Scopes;
use shared::oauth::secret::Digest;
use shared::oauth::tenant::TenantId;
use shared::store::grants::{NewGrant, PutGrant};
use shared::store::pending_scopes::PendingScopes;

use crate::TestSystem;
use crate::http_response::HttpResponse;

/// A refresh token that could be one, of a grant that nobody has.
pub const UNKNOWN_REFRESH_TOKEN: &str =
    "rt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A registered client.
pub struct Connector<'w> {
    /// Its test system.
    pub test_system: &'w TestSystem,
    /// Its id.
    pub client_id: String,
    /// Where it wants to be answered.
    pub redirect_uri: String,
    /// Its secret, if it has one.
    pub secret: Option<String>,
}

/// One authorization request.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// What the browser is sent to.
    pub url: String,
    /// What the client keeps.
    pub verifier: String,
    /// What must come back.
    pub state: String,
}

/// The tokens of one answer.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token, if there was one.
    pub refresh: Option<String>,
    /// The scope that was issued.
    pub scope: String,
}

impl Connector<'_> {
    /// What it asks for, with the defaults of a real client; `changes` replaces parameters or, with `None`, leaves them out.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn authorization_request_with(&self, changes: &[(&str, Option<&str>)]) -> AuthorizationRequest {
        let (verifier, state) = (self.test_system.random(), self.test_system.random());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let resource = self.test_system.mcp_url();
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
        ];
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            parameters.extend(value.map(|value| (*name, value)));
        }
        let url = url::Url::parse_with_params(&self.test_system.at("/oauth/authorize"), parameters).expect("a URL");
        AuthorizationRequest { url: url.into(), verifier, state }
    }

    /// What it asks for.
    #[must_use]
    pub fn authorization_request(&self, scope: &str) -> AuthorizationRequest {
        self.authorization_request_with(&[("scope", Some(scope))])
    }

    /// Asks, and is approved by that person as if on the page, at a fraction of its time: for tests that need hundreds.
    ///
    /// # Panics
    /// When the grant cannot be kept.
    pub async fn approve_directly(&self, scope: &str, email: &str, tenant: &str) -> (AuthorizationRequest, String) {
        let (ask, system) = (self.authorization_request(scope), self.test_system.system());
        let now = system.clock().now();
        let id = ClientId::parse(&self.client_id).expect("an id");
        let client = system.clients().find(&id, now).await.expect("the table answers").expect("it is known");
        let scopes = Scopes::parse(scope);
        let membership = self.test_system.membership(email, tenant).await;
        let approval = Approval {
            client: id,
            person: self.test_system.person_id(email),
            tenant: TenantId::parse(tenant).expect("a tenant"),
            resource: Resource::from_stored(&self.test_system.mcp_url()).expect("ours"),
            scopes,
            at: now,
            email: Some(email.to_owned()),
            basis: membership.basis.approval,
        };
        let challenge = CodeChallenge::from_digest(Digest::of(ask.verifier.as_bytes()));
        let redirect_uri = RedirectUri::parse(&self.redirect_uri).expect("an address");
        let (grant, code) = Grant::approve(approval, challenge, redirect_uri);
        let (client, pending) = ((system.clients(), &client), PendingScopes::default());
        let new = NewGrant { grant: &grant, effective: scopes.permissions(), client, pending: &pending };
        assert!(matches!(system.grants().put(new, None, now).await, Ok(PutGrant::Made)), "kept");
        self.test_system.track_secret(&code.to_text());
        (ask, code.to_text())
    }

    /// Exchanges a code.
    pub async fn exchange(&self, ask: &AuthorizationRequest, code: &str) -> HttpResponse {
        self.exchange_with(ask, code, &[]).await
    }

    /// Exchanges a code, with changes to the request.
    pub async fn exchange_with(
        &self,
        ask: &AuthorizationRequest,
        code: &str,
        changes: &[(&str, Option<&str>)],
    ) -> HttpResponse {
        let resource = self.test_system.mcp_url();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("client_id", &self.client_id),
            ("code_verifier", &ask.verifier),
            ("resource", &resource),
        ];
        form.extend(self.secret.as_deref().map(|secret| ("client_secret", secret)));
        for (name, value) in changes {
            form.retain(|(known, _)| known != name);
            form.extend(value.map(|value| (*name, value)));
        }
        self.test_system.post_form("/oauth/token", &form).await
    }

    /// Refreshes.
    pub async fn refresh(&self, refresh_token: &str) -> HttpResponse {
        self.refresh_with(refresh_token, &[]).await
    }

    /// Refreshes, with more parameters.
    pub async fn refresh_with(&self, refresh_token: &str, more: &[(&str, &str)]) -> HttpResponse {
        let mut form =
            vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", &self.client_id)];
        form.extend(self.secret.as_deref().map(|secret| ("client_secret", secret)));
        form.extend(more);
        self.test_system.post_form("/oauth/token", &form).await
    }

    /// Revokes a token.
    pub async fn revoke(&self, token: &str) -> HttpResponse {
        let mut form = vec![("token", token), ("client_id", self.client_id.as_str())];
        form.extend(self.secret.as_deref().map(|secret| ("client_secret", secret)));
        self.test_system.post_form("/oauth/revoke", &form).await
    }

    /// Calls a method of the MCP server in the legacy era.
    pub async fn call(&self, token: &str, method: &str, params: Value) -> HttpResponse {
        self.test_system.call(Some(token), method, params).await
    }

    /// Calls a tool.
    pub async fn tool(&self, token: &str, name: &str, arguments: Value) -> HttpResponse {
        self.call(token, "tools/call", json!({ "name": name, "arguments": arguments })).await
    }
}

impl HttpResponse {
    /// The tokens in an answer of the token endpoint.
    ///
    /// # Panics
    /// When it is not such an answer.
    #[must_use]
    pub fn tokens(&self, test_system: &TestSystem) -> Tokens {
        assert_eq!(self.status, 200, "{self:?}");
        let body = self.json();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let tokens = Tokens {
            access: text("access_token").expect("an access token"),
            refresh: text("refresh_token"),
            scope: text("scope").expect("a scope"),
        };
        test_system.track_secret(&tokens.access);
        if let Some(refresh) = &tokens.refresh {
            test_system.track_secret(refresh);
        }
        tokens
    }
}
