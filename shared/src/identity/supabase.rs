//! The HTTP client of Supabase Auth.

use std::error::Error;
use std::fmt::Write;
use std::sync::OnceLock;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use super::address_forwarding::{AddressForwarding, Forwarded, ForwardsAddress, SECRET_KEY_PREFIX};
use crate::environment::{ConfigError, Environment};
use crate::telemetry::request_counts;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// A Supabase project, called with one of its keys.
pub struct Supabase {
    url: Url,
    base: String,
    key: HeaderValue,
    /// For the calls that say where a person comes from; `login` alone has it.
    forwarding: Option<AddressForwarding>,
    client: OnceLock<Client>,
}

/// A call to be made.
pub struct SupabaseRequest<'a> {
    /// Its name in errors.
    pub call: &'static str,
    /// Its method.
    pub method: Method,
    /// What follows `/auth/v1`.
    pub path: &'a str,
    /// The person's token, if it is made for a person.
    pub bearer: Option<&'a Bearer>,
    /// Its JSON body.
    pub body: Option<Value>,
    /// Whether Supabase is to hear the person's address in place of ours.
    pub forwards_address: ForwardsAddress,
    /// How long it may take.
    pub timeout: Duration,
}

/// The response of Supabase.
pub struct SupabaseResponse {
    /// The status.
    pub status: StatusCode,
    /// The code of an error.
    pub code: Option<String>,
    body: Vec<u8>,
}

/// A person's access token at Supabase. It cannot be printed.
pub struct Bearer(String);

impl Supabase {
    /// From `SUPABASE_URL` and `SUPABASE_PUBLISHABLE_KEY`, and `FORWARDING_SECRET` if it is set. Makes no call.
    ///
    /// # Errors
    /// When one is missing, the URL is neither https nor loopback, or the key is a secret key.
    pub fn new(environment: &Environment) -> Result<Self, ConfigError> {
        const NAME: &str = "SUPABASE_PUBLISHABLE_KEY";
        let key = environment.required(NAME)?;
        if key.starts_with(SECRET_KEY_PREFIX) {
            return Err(ConfigError::Unusable(NAME, "a secret key, which opens everything"));
        }
        let forwarding = AddressForwarding::new(environment);
        Ok(Self { forwarding, ..Self::with_key(environment, NAME, &key)? })
    }

    /// From `SUPABASE_URL` and `SUPABASE_SECRET_KEY`, for its admin API. Such a key opens the whole project. Makes no call.
    ///
    /// # Errors
    /// When one is missing, the URL is neither https nor loopback, or the key is no secret key.
    pub fn with_secret_key(environment: &Environment) -> Result<Self, ConfigError> {
        const NAME: &str = "SUPABASE_SECRET_KEY";
        let key = environment.required(NAME)?;
        if !key.starts_with(SECRET_KEY_PREFIX) {
            return Err(ConfigError::Unusable(NAME, "a key that begins with sb_secret_"));
        }
        Self::with_key(environment, NAME, &key)
    }

    fn with_key(environment: &Environment, name: &'static str, key: &str) -> Result<Self, ConfigError> {
        const INVALID_URL: ConfigError =
            ConfigError::Unusable("SUPABASE_URL", "an https address (http on a loopback host) without a query");
        let url = Url::parse(&environment.required("SUPABASE_URL")?).map_err(|_| INVALID_URL)?;
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !secure || !plain || url.password().is_some() {
            return Err(INVALID_URL);
        }
        let mut key =
            HeaderValue::from_str(key).map_err(|_| ConfigError::Unusable(name, "not what a header can carry"))?;
        key.set_sensitive(true);
        let base = format!("{}/auth/v1", url.as_str().trim_end_matches('/'));
        Ok(Self { url, base, key, forwarding: None, client: OnceLock::new() })
    }

    /// The URL of Supabase Auth, and by default the `iss` of its tokens.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The name of the session cookie that supabase-js makes of this address: it has the first label of the
    /// host.
    #[must_use]
    pub fn cookie(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("sb-{}-auth-token", host.split('.').next().unwrap_or_default())
    }

    /// Sends a request. An error status is a response too.
    ///
    /// # Errors
    /// When there is no response, it is too large, or it is a redirect.
    pub async fn send(&self, request: SupabaseRequest<'_>) -> Result<SupabaseResponse, UpstreamError> {
        let forwarded = match &self.forwarding {
            // Boxed: the future of a call to AWS is large, and few deployments make it.
            Some(forwarding) => Box::pin(forwarding.of_current_request(request.forwards_address)).await,
            None => None,
        };
        let response = self.exchange(&request, forwarded.as_ref()).await?;
        match (&self.forwarding, forwarded) {
            // The gateway before Supabase Auth names no code. It does not know the key, so the call went no further.
            (Some(forwarding), Some(_)) if response.status == StatusCode::UNAUTHORIZED && response.code.is_none() => {
                forwarding.refused();
                Box::pin(self.exchange(&request, None)).await
            }
            (Some(forwarding), None) if request.forwards_address == ForwardsAddress::UnlessCaptcha => {
                forwarding.learn(response.status, response.code.as_deref());
                Ok(response)
            }
            _ => Ok(response),
        }
    }

    async fn exchange(
        &self,
        request: &SupabaseRequest<'_>,
        forwarded: Option<&Forwarded>,
    ) -> Result<SupabaseResponse, UpstreamError> {
        request_counts::timed(
            "Supabase",
            tokio::time::timeout(request.timeout, self.exchange_untimed(request, forwarded)),
        )
        .await
        .map_err(|_| upstream_call::timed_out(request.call))?
    }

    async fn exchange_untimed(
        &self,
        request: &SupabaseRequest<'_>,
        forwarded: Option<&Forwarded>,
    ) -> Result<SupabaseResponse, UpstreamError> {
        let upstream_error = |error: reqwest::Error| upstream_call::failed(request.call, chain(&error.without_url()));
        let client = self.client(request.call)?;
        let response = match self.build(client, request, forwarded).send().await {
            // The request was never sent, so even a POST may be sent again.
            Err(error) if error.is_connect() => self.build(client, request, forwarded).send().await,
            sent => sent,
        };
        let mut response = response.map_err(upstream_error)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(upstream_call::failed(request.call, format!("a redirect ({status})")));
        }
        let named = response.headers().get("x-sb-error-code").and_then(|code| code.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(upstream_error)? {
            if body.len() + chunk.len() > LIMIT {
                return Err(upstream_call::failed(request.call, "an answer larger than we read"));
            }
            body.extend_from_slice(&chunk);
        }
        let code = if status.is_success() { None } else { code(&body, named) };
        Ok(SupabaseResponse { status, code, body })
    }

    fn build(
        &self,
        client: &Client,
        request: &SupabaseRequest<'_>,
        forwarded: Option<&Forwarded>,
    ) -> reqwest::RequestBuilder {
        let mut builder = client
            .request(request.method.clone(), format!("{}{}", self.base, request.path))
            .header("apikey", forwarded.map_or(&self.key, |forwarded| &forwarded.key))
            // Codes as strings.
            .header("x-supabase-api-version", "2024-01-01")
            .header(ACCEPT, "application/json");
        if let Some(forwarded) = forwarded {
            builder = builder.header("sb-forwarded-for", forwarded.address.to_string());
        }
        if let Some(bearer) = request.bearer
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", bearer.expose()))
        {
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        builder
    }

    /// Created at the first call: reading the machine's root certificates takes time, and a cold start may
    /// not need them.
    fn client(&self, call: &'static str) -> Result<&Client, UpstreamError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // An error means that a provider is installed already. The build has only this one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(1))
            // Shorter than any server's: a function that was frozen has connections that are closed.
            .pool_idle_timeout(Duration::from_secs(20))
            .build()
            .map_err(|error| upstream_call::failed(call, chain(&error)))?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl<'a> SupabaseRequest<'a> {
    /// A call that reads.
    #[must_use]
    pub const fn get(call: &'static str, path: &'a str) -> Self {
        let timeout = Duration::from_secs(2);
        let forwards_address = ForwardsAddress::Never;
        Self { call, method: Method::GET, path, bearer: None, body: None, forwards_address, timeout }
    }

    /// A call with a body, which may send a mail or hash a password.
    #[must_use]
    pub const fn post(call: &'static str, path: &'a str, body: Value) -> Self {
        let timeout = Duration::from_secs(5);
        let forwards_address = ForwardsAddress::Never;
        Self { call, method: Method::POST, path, bearer: None, body: Some(body), forwards_address, timeout }
    }
}

impl SupabaseResponse {
    /// The body of a success. Unknown members are ignored.
    ///
    /// # Errors
    /// When it is not what `call` answers with.
    pub fn json<T: DeserializeOwned>(&self, call: &'static str) -> Result<T, UpstreamError> {
        // The error of `serde_json` may quote what it read, which can be a token: only its place is logged.
        serde_json::from_slice(&self.body).map_err(|error| {
            upstream_call::failed(
                call,
                format!("{}, unreadable at line {} column {}", self.status, error.line(), error.column()),
            )
        })
    }

    /// The text of an error, up to a few hundred characters: the message of the project's own hook for its
    /// people, or the reason where one code has several. It may contain anything, so it is never logged.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        /// Characters.
        const LONGEST: usize = 300;
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        let text = ["message", "msg"].into_iter().find_map(|name| body.get(name).and_then(Value::as_str))?.trim();
        (!text.is_empty()).then(|| text.chars().take(LONGEST).collect())
    }

    /// As an upstream error: neither a success nor an error code that was expected. That Supabase wants fewer calls is no failure
    /// of it, and is not counted as one.
    #[must_use]
    pub fn upstream_error(&self, call: &'static str) -> UpstreamError {
        let reason = format!("{} {}", self.status, self.code.as_deref().unwrap_or("without a code"));
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            return UpstreamError::too_many_requests(call, reason);
        }
        upstream_call::failed(call, reason)
    }
}

impl Bearer {
    /// From a token response or a cookie.
    #[must_use]
    pub const fn new(token: String) -> Self {
        Self(token)
    }

    /// For the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer(…)")
    }
}

/// Larger than any session: a token of 16 KiB and a person with much metadata.
const LIMIT: usize = 256 * 1024;

/// The code of an error. Looked for in this order: new form, old form, header, OAuth's form.
fn code(body: &[u8], named: Option<String>) -> Option<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = text("code").or_else(|| text("error_code")).or(named).or_else(|| text("error"))?;
    // It is logged, so it must be a short word.
    (code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then_some(code)
}

/// `error` and what caused it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_code_is_read_from_every_form() {
        for (body, header, expected) in [
            (r#"{"code":"bad_jwt","message":"x"}"#, None, Some("bad_jwt")),
            (r#"{"code":403,"error_code":"bad_jwt","msg":"x"}"#, None, Some("bad_jwt")),
            ("<html>", Some("bad_jwt"), Some("bad_jwt")),
            (r#"{"error":"invalid_request"}"#, None, Some("invalid_request")),
            (r#"{"message":"Invalid API key","hint":"x"}"#, None, None),
            (r#"{"code":"a sentence, not a code"}"#, None, None),
            ("", None, None),
        ] {
            assert_eq!(code(body.as_bytes(), header.map(str::to_owned)).as_deref(), expected, "{body}");
        }
    }
}
