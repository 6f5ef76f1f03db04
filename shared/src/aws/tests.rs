use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::error::{ConnectorError, SdkError};
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};

use super::*;
use crate::upstream_error::UpstreamError;

/// A service that gives these answers in turn, and the requests that reached it.
#[derive(Clone, Debug, Default)]
struct Service(Arc<Mutex<(Vec<Answer>, Vec<HttpRequest>)>>);

#[derive(Debug)]
enum Answer {
    Says(u16, &'static str),
    Breaks,
    Silence,
}

const ITEM: Answer = Answer::Says(200, r#"{"Item":{"id":{"S":"one"}}}"#);
const THROTTLED: Answer = Answer::Says(
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"Slow down."}"#,
);
const UNAVAILABLE: Answer = Answer::Says(503, "");
const INTERNAL: Answer =
    Answer::Says(500, r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"Try again."}"#);
const ACCOUNT_LIMIT: Answer =
    Answer::Says(400, r#"{"__type":"com.amazonaws.dynamodb.v20120810#RequestLimitExceeded","message":"Slow down."}"#);
const THROTTLING: Answer =
    Answer::Says(400, r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"Slow down."}"#);
const CONFLICT: Answer = Answer::Says(
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"A transaction holds the item."}"#,
);
const CONDITION_FAILED: Answer = Answer::Says(
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Message":"No.","Item":{"id":{"S":"one"}}}"#,
);

impl HttpConnector for Service {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut service = self.0.lock().unwrap();
        service.1.push(request);
        let answer = if service.0.is_empty() { Answer::Breaks } else { service.0.remove(0) };
        HttpConnectorFuture::new(async move {
            match answer {
                Answer::Says(status, body) => {
                    let mut answer = HttpResponse::new(status.try_into().unwrap(), body.into());
                    answer.headers_mut().insert("x-amzn-requestid", "REQUEST1");
                    Ok(answer)
                }
                Answer::Breaks => Err(ConnectorError::io("the line broke".into())),
                Answer::Silence => std::future::pending().await,
            }
        })
    }
}

impl Service {
    fn with(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new()))))
    }

    fn attempts(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    fn config(&self, variables: &[(&str, &str)]) -> Result<SdkConfig, AwsConfigError> {
        let config = sdk_config_from(Env::from_slice(variables), &SharedHttpConnector::new(self.clone()))?;
        let credentials = Credentials::new("AKID", "secret", Some("session".into()), None, "test");
        Ok(config.credentials_provider(SharedCredentialsProvider::new(credentials)).build())
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        dynamodb(&self.config(&[("AWS_REGION", "eu-central-1")]).unwrap())
    }

    async fn get(&self) -> Result<GetItemOutput, SdkError<GetItemError>> {
        self.dynamodb().get_item().table_name("things").key("id", AttributeValue::S("one".into())).send().await
    }
}

#[tokio::test(start_paused = true)]
async fn transient_failure_is_retried() {
    for first in [THROTTLED, THROTTLING, ACCOUNT_LIMIT, INTERNAL, UNAVAILABLE, Answer::Breaks, Answer::Silence] {
        let named = format!("{first:?}");
        let service = Service::with([first, ITEM]);
        let item = service.get().await.unwrap_or_else(|error| panic!("{named}: {error:?}")).item.unwrap();
        assert_eq!(item["id"], AttributeValue::S("one".into()), "{named}");
        assert_eq!(service.attempts(), 2, "{named}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_most_five_attempts_within_two_seconds() {
    let began = tokio::time::Instant::now();
    let service = Service::with([THROTTLED, THROTTLED, THROTTLED, THROTTLED, THROTTLED, ITEM]);
    let error = service.get().await.unwrap_err();
    assert!(matches!(error.as_service_error(), Some(GetItemError::ProvisionedThroughputExceededException(_))));
    assert_eq!(service.attempts(), 5);
    assert!(began.elapsed() <= Duration::from_millis(750), "{:?}", began.elapsed());

    let began = tokio::time::Instant::now();
    let service = Service::with([Answer::Silence, Answer::Silence, Answer::Silence, ITEM]);
    assert!(matches!(service.get().await, Err(SdkError::TimeoutError(_))));
    assert_eq!(service.attempts(), 3);
    assert!(began.elapsed() <= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn failed_condition_is_not_retried() {
    let service = Service::with([CONDITION_FAILED, ITEM]);
    let put = service.dynamodb().put_item().table_name("things").item("id", AttributeValue::S("one".into()));
    let error = put.send().await.unwrap_err();
    let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
        panic!("{error:?}")
    };
    assert_eq!(failed.item().unwrap()["id"], AttributeValue::S("one".into()));
    assert_eq!(service.attempts(), 1);
}

/// A transaction holds an item for milliseconds.
#[tokio::test(start_paused = true)]
async fn plain_write_is_repeated_after_a_transaction_conflict() {
    let one = || AttributeValue::S("one".into());
    for conflicts in [4, 5] {
        let service = || {
            let conflicts = std::iter::repeat_with(|| CONFLICT).take(conflicts);
            Service::with(conflicts.chain([Answer::Says(200, "{}")]))
        };
        let (puts, updates, deletes) = (service(), service(), service());
        let put = puts.dynamodb().put_item().table_name("things").item("id", one()).send().await;
        let update = updates.dynamodb().update_item().table_name("things").key("id", one()).send().await;
        let delete = deletes.dynamodb().delete_item().table_name("things").key("id", one()).send().await;
        assert_eq!((put.is_ok(), update.is_ok(), delete.is_ok()), (conflicts < 5, conflicts < 5, conflicts < 5));
        assert_eq!((puts.attempts(), updates.attempts(), deletes.attempts()), (5, 5, 5));
    }
}

/// However many conflicts there are, a failure of the service is still tried again.
#[tokio::test(start_paused = true)]
async fn transaction_conflicts_leave_the_retry_quota_alone() {
    let service = Service::with(std::iter::repeat_with(|| CONFLICT).take(1000).chain([UNAVAILABLE, ITEM]));
    let dynamodb = service.dynamodb();
    for _ in 0..200 {
        let put = dynamodb.put_item().table_name("things").item("id", AttributeValue::S("one".into()));
        assert!(put.send().await.is_err());
    }
    assert_eq!(service.attempts(), 1000);
    dynamodb.get_item().table_name("things").key("id", AttributeValue::S("one".into())).send().await.unwrap();
    assert_eq!(service.attempts(), 1002);
}

/// A service that is down for long is not called five times as often as before: the SDK's retry quota.
#[tokio::test(start_paused = true)]
async fn retry_quota_runs_out_while_a_service_is_down() {
    let service = Service::default();
    let dynamodb = service.dynamodb();
    for _ in 0..200 {
        assert!(dynamodb.get_item().table_name("things").send().await.is_err());
    }
    assert_eq!(service.attempts(), 250);
}

#[tokio::test(start_paused = true)]
async fn error_names_code_message_and_request_id() {
    let error = Service::with([THROTTLED, THROTTLED, THROTTLED, THROTTLED, THROTTLED]).get().await.unwrap_err();
    assert_eq!(
        UpstreamError::of_aws("DynamoDB.GetItem", &error).to_string(),
        "DynamoDB.GetItem: ProvisionedThroughputExceededException: Slow down. (AWS request REQUEST1)"
    );
    let error = Service::with([Answer::Says(200, "<html>"), ITEM]).get().await.unwrap_err();
    let text = UpstreamError::of_aws("DynamoDB.GetItem", &error).to_string();
    assert!(text.ends_with("(AWS request REQUEST1)"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn lambda_invocation_is_not_retried_and_its_connection_not_reused() {
    for first in [UNAVAILABLE, Answer::Breaks] {
        let service = Service::with([first, Answer::Says(200, "{}")]);
        let lambda = lambda(&service.config(&[("AWS_REGION", "eu-central-1")]).unwrap());
        assert!(lambda.invoke().function_name("words").send().await.is_err());
        let request = service.0.lock().unwrap().1.remove(0);
        assert_eq!(request.headers().get("connection"), Some("close"));
        assert!(!request.headers().get("authorization").unwrap().contains("connection"));
        assert_eq!(service.attempts(), 0, "one attempt, which was taken above");
    }
}

#[tokio::test(start_paused = true)]
async fn endpoints_follow_the_environment_variables() {
    let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
    let dual_stack = ("AWS_USE_DUALSTACK_ENDPOINT", "TRUE");
    let own = ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1");
    let all = ("AWS_ENDPOINT_URL", "http://127.0.0.1:2");
    let empty = ("AWS_ENDPOINT_URL", "");
    let cases: [(&[_], _); 7] = [
        (&[], "https://dynamodb.us-east-1.amazonaws.com/"),
        (&[empty], "https://dynamodb.us-east-1.amazonaws.com/"),
        (&[fips], "https://dynamodb-fips.us-east-1.amazonaws.com/"),
        (&[dual_stack], "https://dynamodb.us-east-1.api.aws/"),
        (&[own], "http://127.0.0.1:1/"),
        (&[all], "http://127.0.0.1:2/"),
        (&[own, all], "http://127.0.0.1:1/"),
    ];
    for (variables, expected) in cases {
        let service = Service::with([ITEM]);
        let config = service.config(&[&[("AWS_REGION", "us-east-1")], variables].concat()).unwrap();
        dynamodb(&config).get_item().table_name("things").send().await.unwrap();
        let request = service.0.lock().unwrap().1.remove(0);
        assert_eq!(request.uri(), expected, "{variables:?}");
        let opened = dynamodb_endpoint(&config).await.unwrap();
        assert_eq!(opened.url().trim_end_matches('/'), expected.trim_end_matches('/'), "{variables:?}");
    }
}

#[test]
fn region_is_required_and_flags_are_booleans() {
    let service = Service::default();
    let error = |variables: &[_]| service.config(variables).unwrap_err().to_string();
    assert_eq!(error(&[("AWS_REGION", "")]), "AWS_REGION is not set");
    assert_eq!(
        error(&[("AWS_REGION", "us-east-1"), ("AWS_USE_FIPS_ENDPOINT", "yes")]),
        "AWS_USE_FIPS_ENDPOINT is not usable: true or false"
    );
}
