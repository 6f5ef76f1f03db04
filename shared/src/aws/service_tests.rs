use std::sync::Mutex;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemInput};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{HttpConnectorFuture, SharedHttpConnector};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::*;
use crate::aws::Dynamo;

/// A service that gives these answers in turn, and what it heard.
#[derive(Clone, Debug, Default)]
struct Stage(Arc<Mutex<(Vec<Answer>, Vec<HttpRequest>)>>);

#[derive(Debug)]
enum Answer {
    Says(u16, &'static str),
    Breaks,
    Silence,
}

const ITEM: Answer = Answer::Says(200, r#"{"Item":{"id":{"S":"one"}}}"#);
const OVERBURDENED: Answer = Answer::Says(
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"Slow down."}"#,
);
const OUT_OF_ORDER: Answer = Answer::Says(503, "");
const REFUSAL: Answer = Answer::Says(
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Message":"No.","Item":{"id":{"S":"one"}}}"#,
);

impl HttpConnector for Stage {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut stage = self.0.lock().unwrap();
        stage.1.push(request);
        let answer = if stage.0.is_empty() { Answer::Breaks } else { stage.0.remove(0) };
        HttpConnectorFuture::new(async move {
            match answer {
                Answer::Says(status, body) => Ok(HttpResponse::new(status.try_into().unwrap(), body.into())),
                Answer::Breaks => Err(ConnectorError::io("the line broke".into())),
                Answer::Silence => std::future::pending().await,
            }
        })
    }
}

impl Stage {
    fn with(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new()))))
    }

    fn heard(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    fn dynamo(&self) -> Dynamo {
        self.dynamo_as(SharedCredentialsProvider::new(Credentials::new(
            "AKID",
            "secret",
            Some("session".into()),
            None,
            "test",
        )))
    }

    fn dynamo_as(&self, credentials: SharedCredentialsProvider) -> Dynamo {
        Dynamo::new(&Way::new(
            "eu-central-1",
            credentials,
            SharedHttpConnector::new(self.clone()),
            Patience::OF_A_PERSON,
            |_| None,
        ))
    }

    async fn get(&self) -> Result<GetItemOutput, SdkError<GetItemError, HttpResponse>> {
        self.dynamo()
            .send(GetItemInput::builder().table_name("things").key("id", AttributeValue::S("one".into())))
            .await
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_read() {
    let stage = Stage::with([ITEM]);
    let item = stage.get().await.unwrap().item.unwrap();
    assert_eq!(item["id"], AttributeValue::S("one".into()));
    assert_eq!(stage.heard(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_answered_differently_is_asked_once_more() {
    for first in [OVERBURDENED, OUT_OF_ORDER, Answer::Breaks, Answer::Silence] {
        let named = format!("{first:?}");
        let stage = Stage::with([first, ITEM]);
        assert!(stage.get().await.is_ok(), "{named}");
        assert_eq!(stage.heard(), 2, "{named}");
    }
}

#[tokio::test(start_paused = true)]
async fn and_no_oftener() {
    let stage = Stage::with([OVERBURDENED, OVERBURDENED, ITEM]);
    let error = stage.get().await.unwrap_err();
    assert!(
        matches!(error.as_service_error(), Some(GetItemError::ProvisionedThroughputExceededException(_))),
        "{error:?}"
    );
    assert_eq!(stage.heard(), 2);

    let began = tokio::time::Instant::now();
    let stage = Stage::with([Answer::Silence, Answer::Silence, ITEM]);
    assert!(matches!(stage.get().await, Err(SdkError::TimeoutError(_))));
    assert_eq!(stage.heard(), 2);
    assert!(began.elapsed() < Duration::from_secs(2), "two tries and a pause: {:?}", began.elapsed());

    let stage = Stage::with([Answer::Breaks, Answer::Breaks, ITEM]);
    assert!(matches!(stage.get().await, Err(SdkError::DispatchFailure(_))));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer() {
    let stage = Stage::with([REFUSAL, ITEM]);
    let item = [("id".to_owned(), AttributeValue::S("one".into()))].into();
    let put = PutItemInput::builder().table_name("things").set_item(Some(item));
    let error = stage.dynamo().send(put).await.unwrap_err();
    let Some(PutItemError::ConditionalCheckFailedException(refusal)) = error.as_service_error() else {
        panic!("{error:?}")
    };
    assert_eq!(refusal.item().unwrap()["id"], AttributeValue::S("one".into()));
    assert_eq!(stage.heard(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_not_asked_for_again() {
    let stage = Stage::with([Answer::Says(200, "<html>"), ITEM]);
    assert!(matches!(stage.get().await, Err(SdkError::ServiceError(_) | SdkError::ResponseError(_))));
    assert_eq!(stage.heard(), 1);
}

/// "Create a signed AWS API request" of the IAM user guide, computed here from what arrives.
#[tokio::test(start_paused = true)]
async fn a_request_says_who_asks() {
    let stage = Stage::with([ITEM]);
    stage.get().await.unwrap();
    let request = stage.0.lock().unwrap().1.remove(0);
    assert_eq!(request.uri(), "https://dynamodb.eu-central-1.amazonaws.com/");
    let header = |name: &str| request.headers().get(name).unwrap_or_else(|| panic!("{name} is not there"));
    assert_eq!(header("host"), "dynamodb.eu-central-1.amazonaws.com");
    assert_eq!(header("x-amz-target"), "DynamoDB_20120810.GetItem");
    assert_eq!(header("x-amz-security-token"), "session");

    let authorization = header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
    let parts: Vec<_> = authorization.split(", ").map(|part| part.split_once('=').unwrap()).collect();
    let [("Credential", credential), ("SignedHeaders", signed), ("Signature", signature)] = parts[..] else {
        panic!("{authorization}")
    };
    let scope = credential.strip_prefix("AKID/").unwrap();
    let at = header("x-amz-date");
    let day = at.split_once('T').unwrap().0;
    assert_eq!(scope, format!("{day}/eu-central-1/dynamodb/aws4_request"));
    let names: Vec<_> = signed.split(';').collect();
    for name in ["host", "x-amz-date", "x-amz-security-token", "x-amz-target"] {
        assert!(names.contains(&name), "{name} is not signed");
    }
    let headers: Vec<_> = names.iter().map(|name| format!("{name}:{}\n", header(name))).collect();
    let headers = headers.concat();
    let body = digest(request.body().bytes().unwrap());
    let asked = digest(format!("POST\n/\n\n{headers}\n{signed}\n{body}").as_bytes());
    let key = [day, "eu-central-1", "dynamodb", "aws4_request"]
        .into_iter()
        .fold(b"AWS4secret".to_vec(), |key, part| mac(&key, part));
    assert_eq!(signature, hex(&mac(&key, &format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{asked}"))));
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// An operator's credentials are fetched from somewhere, and end.
#[tokio::test(start_paused = true)]
async fn credentials_are_kept_until_they_end() {
    #[derive(Debug)]
    struct Lent(Arc<Mutex<u32>>, Duration);

    impl ProvideCredentials for Lent {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            *self.0.lock().unwrap() += 1;
            let end = signed_at() + self.1;
            future::ProvideCredentials::ready(Ok(Credentials::new("AKID", "secret", None, Some(end), "test")))
        }
    }

    for (lasts, fetched) in [(Duration::from_hours(1), 1), (Duration::from_secs(30), 3)] {
        let (asked, stage) = (Arc::default(), Stage::with([ITEM, ITEM, ITEM]));
        let dynamo = stage.dynamo_as(SharedCredentialsProvider::new(Lent(Arc::clone(&asked), lasts)));
        for _ in 0..3 {
            dynamo.send(GetItemInput::builder().table_name("things")).await.unwrap();
        }
        assert_eq!(*asked.lock().unwrap(), fetched);
    }
}

/// A service that is down for long is not asked twice as often as before.
#[tokio::test(start_paused = true)]
async fn further_tries_run_out_and_come_back() {
    let stage = Stage::default();
    let dynamo = stage.dynamo();
    let get = || dynamo.send(GetItemInput::builder().table_name("things"));
    for call in 1..=120 {
        assert!(get().await.is_err());
        assert_eq!(stage.heard(), if call <= 100 { 2 * call } else { 100 + call });
    }

    stage.0.lock().unwrap().0.extend([ITEM, ITEM, ITEM, ITEM, ITEM, OUT_OF_ORDER, ITEM]);
    for _ in 0..6 {
        assert!(get().await.is_ok(), "five calls make up for one try");
    }
}
