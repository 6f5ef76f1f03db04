//! A secret in AWS Secrets Manager, for what must not be in a variable of a published version.

use http::HeaderValue;

use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// A secret by its ARN. Which one may be read is IAM's to say.
pub(crate) struct StoredSecret {
    client: aws_sdk_secretsmanager::Client,
    arn: String,
}

impl StoredSecret {
    pub(crate) const fn new(client: aws_sdk_secretsmanager::Client, arn: String) -> Self {
        Self { client, arn }
    }

    /// The text that it holds now, for a header that is never logged.
    ///
    /// # Errors
    /// When Secrets Manager does not give it, or it is none that begins with `prefix`.
    pub(crate) async fn fetch(&self, prefix: &str) -> Result<HeaderValue, UpstreamError> {
        const CALL: &str = "SecretsManager.GetSecretValue";
        let fetched = self.client.get_secret_value().secret_id(&self.arn).send().await;
        let fetched = fetched.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let text = fetched.secret_string().unwrap_or_default().trim();
        match HeaderValue::from_str(text) {
            Ok(mut value) if text.starts_with(prefix) => {
                value.set_sensitive(true);
                Ok(value)
            }
            _ => Err(upstream_call::failed(CALL, format!("the secret does not begin with {prefix}"))),
        }
    }
}
