//! Tool tokens: what we tell a tenant's tool, signed. Their keys and their issuer are not those of access tokens, so that neither token
//! passes for the other, even where a verifier forgets to look at the type (RFC 8725 §3.11, §3.12).
//!
//! The issuer is ours with `/tools`, the keys are published at `/tools/.well-known/jwks.json`. No other function signs with them, and
//! this one signs with no others.

use serde::Serialize;
use shared::oauth::issuer::Issuer;
use shared::signing_keys::keyring::Keyring;
use shared::signing_keys::signer::Signer;
use shared::upstream_error::UpstreamError;
use tokio::sync::OnceCell;

/// The media type in the header: not that of access tokens (RFC 9068), which [`shared::signing_keys::verifier`] demands.
const TOKEN_TYPE: &str = "tool-call+jwt";

/// Signs them.
pub(crate) struct ToolTokenSigner {
    issuer: String,
    keyring: Keyring,
    /// Made by the first call of a tool that needs it: most instances never call one.
    signer: OnceCell<Signer>,
}

impl ToolTokenSigner {
    /// With the first key of `keyring`, for tools of the deployment of `issuer`.
    pub(super) fn new(keyring: Keyring, issuer: &Issuer) -> Self {
        Self { issuer: issuer.at("/tools"), keyring, signer: OnceCell::new() }
    }

    /// Who signs them: `iss`.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token of these claims.
    ///
    /// # Errors
    /// When KMS does not give the key's public half, which names it, or does not sign.
    pub(super) async fn sign(&self, claims: &impl Serialize) -> Result<String, UpstreamError> {
        let signer = self.signer.get_or_try_init(|| Signer::fetch(self.keyring.clone())).await?;
        signer.sign(TOKEN_TYPE, claims).await
    }
}
