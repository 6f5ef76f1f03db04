//! The product, whose database tells how memberships change.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::TestSystem;
use crate::http_response::HttpResponse;

/// Where it tells.
pub const WEBHOOK_PATH: &str = "/hooks/membership";

impl TestSystem {
    /// Tells a change, signed as it must be: what a person was in a tenant, and is.
    pub async fn deliver_change(
        &self,
        email: &str,
        tenant: &str,
        was: Option<&str>,
        is: Option<&str>,
        number: u64,
    ) -> HttpResponse {
        self.deliver_webhook(&self.membership_change(email, tenant, was, is, number).to_string(), |headers| headers)
            .await
    }

    /// Tells that a person was banned (`PERSON_BANNED`) or deleted (`PERSON_DELETED`) at the sign-in service.
    pub async fn deliver_person(&self, kind: &str, email: &str, number: u64) -> HttpResponse {
        let told = json!({ "type": kind, "person": self.person_id(email).as_str(), "sequence": number });
        self.deliver_webhook(&told.to_string(), |headers| headers).await
    }

    /// A change, as it is told.
    ///
    /// # Panics
    /// When nothing was and nothing is.
    #[must_use]
    pub fn membership_change(
        &self,
        email: &str,
        tenant: &str,
        was: Option<&str>,
        is: Option<&str>,
        number: u64,
    ) -> Value {
        let row = |role: &str| json!({ "tenant": tenant, "person": self.person_id(email).as_str(), "role": role });
        let kind = match (was, is) {
            (None, Some(_)) => "INSERT",
            (Some(_), Some(_)) => "UPDATE",
            (Some(_), None) => "DELETE",
            (None, None) => panic!("no change"),
        };
        json!({ "type": kind, "record": is.map(row), "old_record": was.map(row), "sequence": number })
    }

    /// Delivers a body under headers that `change` may change: signed now, until then.
    pub async fn deliver_webhook(
        &self,
        body: &str,
        change: impl FnOnce(Vec<(&'static str, String)>) -> Vec<(&'static str, String)>,
    ) -> HttpResponse {
        let headers = change(webhook_headers("change_1", self.now(), body, local::MEMBERSHIP_SECRET));
        let request =
            self.http().post(self.at(WEBHOOK_PATH)).header("content-type", "application/json").body(body.to_owned());
        self.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, value))).await
    }
}

/// The headers of a delivery (Standard Webhooks 1.0.0).
///
/// # Panics
/// When the secret is none.
#[must_use]
pub fn webhook_headers(id: &str, time: i64, body: &str, secret: &str) -> Vec<(&'static str, String)> {
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length will do");
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    vec![("webhook-id", id.to_owned()), ("webhook-timestamp", time.to_string()), ("webhook-signature", signature)]
}
