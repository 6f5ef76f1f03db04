//! The key of a client that proves itself by assertions (`private_key_jwt`, RFC 7523).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fakes::kms::key::Key;
use fakes::kms::key_spec::KeySpec;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use shared::jwk::JwkSet;
use shared::oauth::client::{Client, ClientId, ClientKind};
use shared::oauth::client_keys::{ClientKeys, KeySource};
use shared::oauth::redirect_uri::RedirectUri;
use shared::store::clients::PutOutcome;

use crate::connector::{AuthorizationRequest, Connector};
use crate::http_response::HttpResponse;
use crate::{CALLBACK, TestSystem};

/// What says that `client_assertion` is a JWT.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A private key with its name.
pub struct ClientKey {
    kid: String,
    algorithm: Algorithm,
    private: EncodingKey,
}

impl ClientKey {
    /// A new RSA key, for RS256.
    ///
    /// # Panics
    /// When none can be made.
    #[must_use]
    pub fn rsa(kid: &str) -> Self {
        /// What PKCS#8 puts before the key of RSA-2048 (RFC 5208, RFC 8017 A.1.2).
        const PKCS8_HEADER: usize = 26;
        let key = Key::generate(KeySpec::Rsa2048, kid).expect("a key");
        let private = EncodingKey::from_rsa_der(&key.to_pkcs8()[PKCS8_HEADER..]);
        Self { kid: kid.to_owned(), algorithm: Algorithm::RS256, private }
    }

    /// A new P-256 key, for ES256.
    ///
    /// # Panics
    /// When none can be made.
    #[must_use]
    pub fn p256(kid: &str) -> Self {
        let key = Key::generate(KeySpec::EccNistP256, kid).expect("a key");
        Self { kid: kid.to_owned(), algorithm: Algorithm::ES256, private: EncodingKey::from_ec_der(key.to_pkcs8()) }
    }

    /// What it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        if matches!(self.algorithm, Algorithm::ES256) { "ES256" } else { "RS256" }
    }

    /// Its public half, as a member of a set.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn public(&self) -> Value {
        let public = Jwk::from_encoding_key(&self.private, self.algorithm).expect("its public half");
        let mut public = serde_json::to_value(&public).expect("JSON");
        public["kid"] = json!(self.kid);
        public["use"] = json!("sig");
        public
    }

    /// The claims of an assertion of `connector` that is good for five minutes.
    #[must_use]
    pub fn claims(connector: &Connector<'_>) -> Value {
        let now = connector.test_system.system().clock().now().seconds();
        json!({
            "iss": connector.client_id,
            "sub": connector.client_id,
            "aud": connector.test_system.at("/oauth/token"),
            "iat": now,
            "exp": now + 300,
            "jti": connector.test_system.random(),
        })
    }

    /// A good assertion of `connector`.
    #[must_use]
    pub fn assertion(&self, connector: &Connector<'_>) -> String {
        self.assertion_with(connector, &[])
    }

    /// The same with other claims; what is null is left out.
    #[must_use]
    pub fn assertion_with(&self, connector: &Connector<'_>, changes: &[(&str, Value)]) -> String {
        let mut claims = Self::claims(connector);
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        if let Some(claims) = claims.as_object_mut() {
            claims.retain(|_, value| !value.is_null());
        }
        let header = json!({ "alg": self.algorithm(), "kid": self.kid, "typ": "JWT" });
        let assertion = self.sign(&header.to_string(), &claims.to_string());
        connector.test_system.track_secret(&assertion);
        assertion
    }

    /// A JWT of these parts, whatever they say.
    ///
    /// # Panics
    /// When it cannot be signed.
    #[must_use]
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = crypto::sign(message.as_bytes(), &self.private, self.algorithm).expect("signed");
        format!("{message}.{signature}")
    }
}

/// A set of public keys.
#[must_use]
pub fn key_set(keys: &[&ClientKey]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>() })
}

impl Connector<'_> {
    /// Exchanges a code, proving itself by an assertion.
    pub async fn exchange_by(&self, assertion: &str, ask: &AuthorizationRequest, code: &str) -> HttpResponse {
        let proof = [("client_assertion_type", Some(ASSERTION_TYPE)), ("client_assertion", Some(assertion))];
        self.exchange_with(ask, code, &proof).await
    }

    /// Refreshes, proving itself by an assertion.
    pub async fn refresh_by(&self, assertion: &str, refresh_token: &str) -> HttpResponse {
        let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion)];
        self.refresh_with(refresh_token, &proof).await
    }

    /// Revokes a token, proving itself by an assertion.
    pub async fn revoke_by(&self, assertion: &str, token: &str) -> HttpResponse {
        let form = [
            ("token", token),
            ("client_id", self.client_id.as_str()),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion),
        ];
        self.test_system.post_form("/oauth/revoke", &form).await
    }
}

impl TestSystem {
    /// A client that an operator registered, with its keys.
    ///
    /// # Panics
    /// When it cannot be kept.
    pub async fn client_with_keys(&self, id: &str, keys: &[&ClientKey]) -> Connector<'_> {
        let source = KeySource::Inline(JwkSet::parse(&key_set(keys)).expect("a set"));
        let client = Client {
            id: ClientId::parse(id).expect("an id"),
            name: Some("Acme by its key".to_owned()),
            redirect_uris: vec![RedirectUri::parse(CALLBACK).expect("an address")],
            refreshes: true,
            kind: ClientKind::PrivateKeyJwt(ClientKeys { source, algorithm: None }),
        };
        assert_eq!(self.system().clients().put(&client).await.expect("kept"), PutOutcome::Written, "{id}");
        Connector { test_system: self, client_id: id.to_owned(), redirect_uri: CALLBACK.to_owned(), secret: None }
    }
}
