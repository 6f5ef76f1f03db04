//! One service, and how a question to it becomes an answer: written, signed, sent, sent once more where that may help, read.

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::retry::ProvideErrorKind;
use http_body_util::BodyExt;

use super::patience::Patience;
use super::question::Question;
use super::signature::Signer;
use super::{Region, Way, signed_at, variable};
use crate::metrics::timed;

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A service that the SDK knows.
pub(crate) trait Known {
    /// What the SDK calls it.
    const ID: &'static str;
    /// What it is called in a signature.
    const SIGNING_NAME: &'static str;

    /// Where it is in a region, or elsewhere.
    fn endpoint(region: &Region, elsewhere: Option<String>) -> impl Future<Output = Result<Endpoint, Failure>> + Send;
}

macro_rules! known {
    ($(#[$doc:meta])* $Service:ident, $id:literal, $signing_name:literal, $sdk:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub(crate) enum $Service {}

        impl Known for $Service {
            const ID: &'static str = $id;
            const SIGNING_NAME: &'static str = $signing_name;

            async fn endpoint(region: &Region, elsewhere: Option<String>) -> Result<Endpoint, Failure> {
                use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

                let place = Params::builder().region(&region.name).set_endpoint(elsewhere);
                let place = place.use_dual_stack(region.dual_stack).use_fips(region.fips).build()?;
                DefaultResolver::new().resolve_endpoint(&place).await
            }
        }
    };
}

known!(/** The tables. */ DynamoDb, "DynamoDB", "dynamodb", aws_sdk_dynamodb);
known!(/** The signing keys. */ Kms, "KMS", "kms", aws_sdk_kms);
known!(/** Functions that others wrote. */ Lambda, "Lambda", "lambda", aws_sdk_lambda);

/// The longest pause before another try; a random part of it is waited, so that those who failed together do not return together.
const PAUSE: Duration = Duration::from_millis(50);

/// A service, as a function asks it.
#[derive(Clone)]
pub(crate) struct Service<K> {
    way: Way,
    patience: Patience,
    endpoint: Arc<OnceLock<Endpoint>>,
    signer: Arc<Signer>,
    known: PhantomData<fn() -> K>,
}

impl<K: Known> Service<K> {
    pub(crate) fn new(way: &Way) -> Self {
        Self::waiting(way, way.0.patience)
    }

    pub(crate) fn waiting(way: &Way, patience: Patience) -> Self {
        Self { way: way.clone(), patience, endpoint: Arc::default(), signer: Arc::default(), known: PhantomData }
    }

    /// Asks, and once more if that may help. The time that it takes is counted as the request's.
    ///
    /// # Errors
    /// When the service refuses, or there is no answer.
    pub(crate) async fn send<Q: Question<Of = K>>(
        &self,
        question: Q,
    ) -> Result<Q::Output, SdkError<Q::Error, HttpResponse>> {
        timed(K::ID, async {
            let input = question.into_input().map_err(SdkError::construction_failure)?;
            let request = write(Q::operation(), input).map_err(SdkError::construction_failure)?;
            let mut tried = 1;
            loop {
                let failed = match self.exchange(&request).await {
                    Ok(answer) => match read::<Q>(answer) {
                        Ok(output) => {
                            self.way.0.spare.give(tried > 1);
                            return Ok(output);
                        }
                        Err(failed) => failed,
                    },
                    Err(Unanswered::Unsent(error)) => return Err(SdkError::construction_failure(error)),
                    Err(Unanswered::Lost(error)) => SdkError::dispatch_failure(error),
                    Err(Unanswered::TimedOut) => SdkError::timeout_error("no answer in time"),
                };
                if tried == self.patience.tries || !may_help(&failed) || !self.way.0.spare.take() {
                    return Err(failed);
                }
                tried += 1;
                tokio::time::sleep(some_of(PAUSE)).await;
            }
        })
        .await
    }

    /// One try.
    async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, Unanswered> {
        let request = self.signed(request).await.map_err(Unanswered::Unsent)?;
        let answered = async {
            let mut answer = self.way.0.connector.call(request).await.map_err(Unanswered::Lost)?;
            if answer.body().bytes().is_none() {
                let body = answer.take_body().collect().await;
                let body = body.map_err(|error| Unanswered::Lost(ConnectorError::io(error)))?;
                *answer.body_mut() = SdkBody::from(body.to_bytes());
            }
            Ok(answer)
        };
        match self.patience.for_an_answer {
            Some(limit) => tokio::time::timeout(limit, answered).await.unwrap_or(Err(Unanswered::TimedOut)),
            None => answered.await,
        }
    }

    /// A copy with address and signature (AWS Signature Version 4).
    async fn signed(&self, request: &HttpRequest) -> Result<HttpRequest, Failure> {
        let mut request = request.try_clone().ok_or("a body that is sent as it is made")?;
        request.uri_mut().set_endpoint(self.endpoint().await?.url())?;
        let authority = request.uri().split('/').nth(2).unwrap_or_default().to_owned();
        request.headers_mut().insert("host", authority);

        let identity = self.way.identity().await?;
        let scope = (self.way.0.region.name.as_str(), K::SIGNING_NAME);
        self.signer.sign(&mut request, scope, &identity, signed_at())?;
        Ok(request)
    }

    /// Where it is.
    pub(super) async fn endpoint(&self) -> Result<&Endpoint, Failure> {
        if let Some(endpoint) = self.endpoint.get() {
            return Ok(endpoint);
        }
        let endpoint = K::endpoint(&self.way.0.region, (self.way.0.elsewhere)(K::ID)).await?;
        Ok(self.endpoint.get_or_init(|| endpoint))
    }
}

/// The request as the operation writes it, without an address.
fn write(operation: &FrozenLayer, input: Input) -> Result<HttpRequest, Failure> {
    let serializer = operation.load::<SharedRequestSerializer>().ok_or("an operation without a form")?;
    let mut request = serializer.serialize_input(input, &mut ConfigBag::base())?;
    request.headers_mut().insert("user-agent", concat!("amble-connect/", env!("CARGO_PKG_VERSION")));
    // By it X-Ray joins what belongs together, and Lambda sees a function that invokes itself.
    if let Some(trace) = variable("_X_AMZN_TRACE_ID") {
        request.headers_mut().try_insert("x-amzn-trace-id", trace)?;
    }
    Ok(request)
}

/// Why a try gave nothing to read.
enum Unanswered {
    /// It could not be made.
    Unsent(Failure),
    /// It may have been heard.
    Lost(ConnectorError),
    TimedOut,
}

/// What the answer says.
#[expect(clippy::result_large_err, reason = "the error is the SDK's, as callers know it")]
fn read<Q: Question>(answer: HttpResponse) -> Result<Q::Output, SdkError<Q::Error, HttpResponse>> {
    let plain = if answer.status().as_u16() == 200 { answer.body().bytes().and_then(Q::read) } else { None };
    plain.map_or_else(|| sdk_reads::<Q>(answer), Ok)
}

/// … as the SDK's operation reads it.
#[expect(clippy::result_large_err, reason = "the error is the SDK's, as callers know it")]
pub(super) fn sdk_reads<Q: Question>(answer: HttpResponse) -> Result<Q::Output, SdkError<Q::Error, HttpResponse>> {
    let Some(deserializer) = Q::operation().load::<SharedResponseDeserializer>() else {
        return Err(SdkError::response_error("an operation without a form", answer));
    };
    match deserializer.deserialize_nonstreaming_with_config(&answer, &ConfigBag::base()) {
        Ok(output) => match output.downcast::<Q::Output>() {
            Ok(output) => Ok(output),
            Err(_) => Err(SdkError::response_error("an answer to another question", answer)),
        },
        Err(error) => {
            let mut refusal = None;
            let error = error.map_operation_error(|told| refusal = told.downcast::<Q::Error>().ok());
            Err(match refusal {
                Some(refusal) => SdkError::service_error(refusal, answer),
                None => SdkError::response_error(format!("{error:?}"), answer),
            })
        }
    }
}

/// Whether the same question may be answered differently: nothing was heard, the service is overburdened or out of order.
fn may_help<E: ProvideErrorKind>(failed: &SdkError<E, HttpResponse>) -> bool {
    match failed {
        SdkError::TimeoutError(_) => true,
        SdkError::DispatchFailure(error) => error.is_timeout() || error.is_io(),
        SdkError::ResponseError(error) => out_of_order(error.raw()),
        SdkError::ServiceError(error) => {
            let known = |codes: &[&str]| error.err().code().is_some_and(|code| codes.contains(&code));
            let kind = error.err().retryable_error_kind();
            kind.is_some() || known(THROTTLING_ERRORS) || known(TRANSIENT_ERRORS) || out_of_order(error.raw())
        }
        _ => false,
    }
}

/// As the SDK's own classifier of statuses.
fn out_of_order(answer: &HttpResponse) -> bool {
    matches!(answer.status().as_u16(), 500 | 502 | 503 | 504)
}

fn some_of(pause: Duration) -> Duration {
    let mut random = [0];
    // Without randomness the whole pause is as good.
    if getrandom::fill(&mut random).is_err() { pause } else { pause * u32::from(random[0]) / 256 }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
