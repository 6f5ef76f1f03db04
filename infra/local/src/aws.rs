//! Where the services of AWS are for a function: on this machine.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use shared::aws::Way;
use shared::aws::patience::Patience;

/// Where the three services are.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) dynamo: String,
    pub(crate) kms: String,
    pub(crate) lambda: String,
}

/// The way of `caller`, whose access key says who it is. Nothing of the machine's own AWS settings gets in.
pub(crate) fn way(caller: &str, addresses: &Addresses, connector: &SharedHttpConnector) -> Way {
    let credentials = SharedCredentialsProvider::new(Credentials::new(caller, "local", None, None, "local"));
    let addresses = addresses.clone();
    // As each function's environment variables `AWS_ENDPOINT_URL_DYNAMODB`, `…_KMS` and `…_LAMBDA` would say it.
    Way::new("us-east-1", credentials, connector.clone(), Patience::OF_A_PERSON, move |service| match service {
        "DynamoDB" => Some(addresses.dynamo.clone()),
        "KMS" => Some(addresses.kms.clone()),
        "Lambda" => Some(addresses.lambda.clone()),
        _ => None,
    })
}
