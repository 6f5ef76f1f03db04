//! Where the services of AWS are for a function: on this machine.

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

/// Where the services are.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) dynamo: String,
    pub(crate) kms: String,
    pub(crate) lambda: String,
    pub(crate) secrets: String,
}

impl Addresses {
    /// The variables that tell a program of them, as the SDK reads them.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamo),
            ("AWS_ENDPOINT_URL_KMS", &self.kms),
            ("AWS_ENDPOINT_URL_LAMBDA", &self.lambda),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.secrets),
        ]
    }
}

/// The configuration of the SDK's clients of `caller`, whose access key says who it is. Nothing of the machine's own AWS settings
/// gets in.
pub(crate) fn sdk_config(caller: &str, addresses: &Addresses, connector: &SharedHttpConnector) -> SdkConfig {
    let credentials = Credentials::new(caller, "local", None, None, "local");
    shared::aws::sdk_config(connector)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .service_config(addresses.clone())
        .build()
}

/// As each function's environment [`variables`](Addresses::variables) would say it.
impl LoadServiceConfig for Addresses {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let name = format!("{}_{}", key.env(), key.service_id().replace(' ', "_").to_ascii_uppercase());
        self.variables().into_iter().find(|(known, _)| *known == name).map(|(_, address)| address.to_owned())
    }
}
