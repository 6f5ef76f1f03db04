//! KMS on its wire: what `aws-sdk-kms` sends and reads, and every refusal by its AWS name.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use aws_sdk_kms::config::{Credentials, Region, SharedCredentialsProvider};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use axum::body::{Body, to_bytes};
use axum::http::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fakes::kms::key::Key;
use fakes::kms::key_spec::KeySpec;
use fakes::kms::mac_key::MacKey;
use fakes::kms::outage::Outage;
use fakes::kms::{Calls, Kms};
use serde_json::{Value, json};
use shared::aws::{http_connector, sdk_config};
use std::sync::Arc;
use tower::ServiceExt as _;

const RSA: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
const EC: &str = "0987dcba-09fe-87dc-65ba-ab0987654321";
const HMAC: &str = "1a2b3c4d-5e6f-4a1b-8c2d-3e4f5a6b7c8d";
/// Of the message of the test, by the key of 32 sevens.
const MAC: &str = "GbhH/0AJKIWQHeiiZmSFAL6T/CXHV5oL5xFj0m8oljo=";
const ARN: &str = "arn:aws:kms:us-east-1:111122223333:";

#[tokio::test]
async fn each_key_signs_what_its_public_key_verifies() {
    let kms = fresh();
    let message = b"header.claims";
    let cases: [(&str, &str, &dyn VerificationAlgorithm); 3] = [
        (RSA, "RSASSA_PKCS1_V1_5_SHA_256", &RSA_PKCS1_2048_8192_SHA256),
        (RSA, "RSASSA_PSS_SHA_256", &RSA_PSS_2048_8192_SHA256),
        (EC, "ECDSA_SHA_256", &ECDSA_P256_SHA256_ASN1),
    ];
    for (id, algorithm, verification) in cases {
        let (_, public) = call(&kms, "GetPublicKey", &json!({ "KeyId": id })).await;
        let spki = BASE64_STANDARD.decode(public["PublicKey"].as_str().unwrap()).unwrap();
        for (kind, input) in [("RAW", message.to_vec()), ("DIGEST", digest(&SHA256, message).as_ref().to_vec())] {
            let input = BASE64_STANDARD.encode(input);
            let asked = json!({ "KeyId": id, "Message": input, "MessageType": kind, "SigningAlgorithm": algorithm });

            let (status, answer) = call(&kms, "Sign", &asked).await;

            assert_eq!(status, 200, "{answer}");
            let signature = BASE64_STANDARD.decode(answer["Signature"].as_str().unwrap()).unwrap();
            assert_eq!(
                answer,
                json!({
                    "KeyId": format!("{ARN}key/{id}"),
                    "Signature": answer["Signature"],
                    "SigningAlgorithm": algorithm,
                })
            );
            UnparsedPublicKey::new(verification, &spki).verify(message, &signature).unwrap();
            assert!(UnparsedPublicKey::new(verification, &spki).verify(b"another", &signature).is_err());
        }
    }
}

#[tokio::test]
async fn public_key_response_has_usage_and_algorithms() {
    let (status, answer) = call(&fresh(), "GetPublicKey", &json!({ "KeyId": EC })).await;

    let spki = BASE64_STANDARD.decode(answer["PublicKey"].as_str().unwrap()).unwrap();
    assert!(ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &spki).is_ok());
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({
            "KeyId": format!("{ARN}key/{EC}"),
            "PublicKey": answer["PublicKey"],
            "CustomerMasterKeySpec": "ECC_NIST_P256",
            "KeySpec": "ECC_NIST_P256",
            "KeyUsage": "SIGN_VERIFY",
            "SigningAlgorithms": ["ECDSA_SHA_256"],
        })
    );
}

#[tokio::test]
async fn key_is_found_by_id_arn_and_alias() {
    let kms = fresh();
    for name in [RSA.to_owned(), format!("{ARN}key/{RSA}"), "alias/tokens".to_owned(), format!("{ARN}alias/tokens")] {
        let (status, answer) = call(&kms, "GetPublicKey", &json!({ "KeyId": name })).await;

        assert_eq!((status, &answer["KeyId"]), (200, &json!(format!("{ARN}key/{RSA}"))), "{name}");
    }
}

#[tokio::test]
async fn errors_have_the_names_that_aws_gives_them() {
    let kms = fresh();
    let sign = |key: &str, bytes: usize, kind: &str, algorithm: &str| {
        let message = BASE64_STANDARD.encode(vec![7; bytes]);
        json!({ "KeyId": key, "Message": message, "MessageType": kind, "SigningAlgorithm": algorithm })
    };
    let (rsa, ecdsa) = ("RSASSA_PKCS1_V1_5_SHA_256", "ECDSA_SHA_256");
    for (operation, input, name) in [
        ("Sign", sign("alias/nobody", 5, "RAW", rsa), "NotFoundException"),
        ("Sign", sign("key/0", 5, "RAW", rsa), "NotFoundException"),
        ("Sign", sign(&format!("key/{RSA}"), 5, "RAW", rsa), "NotFoundException"),
        ("GetPublicKey", json!({ "KeyId": "0" }), "NotFoundException"),
        ("Sign", sign(RSA, 5, "RAW", ecdsa), "InvalidKeyUsageException"),
        ("Sign", sign(EC, 5, "RAW", rsa), "InvalidKeyUsageException"),
        ("Sign", sign(RSA, 5, "RAW", "ED25519"), "ValidationException"),
        ("Sign", sign(RSA, 5, "HALF_RAW", rsa), "ValidationException"),
        ("Sign", sign(RSA, 0, "RAW", rsa), "ValidationException"),
        ("Sign", sign(RSA, 4097, "RAW", rsa), "ValidationException"),
        ("Sign", sign(RSA, 31, "DIGEST", rsa), "ValidationException"),
        ("Sign", sign(EC, 33, "DIGEST", ecdsa), "ValidationException"),
        ("Sign", json!({ "Message": "AAAA", "SigningAlgorithm": rsa }), "ValidationException"),
        ("Sign", json!({ "KeyId": RSA, "SigningAlgorithm": rsa }), "ValidationException"),
        ("Sign", json!({ "KeyId": RSA, "Message": "%", "SigningAlgorithm": rsa }), "SerializationException"),
        ("Sign", json!([]), "SerializationException"),
        ("Decrypt", json!({}), "UnknownOperationException"),
    ] {
        let (status, answer) = call(&kms, operation, &input).await;

        assert_eq!((status, &answer["__type"]), (400, &json!(name)), "{operation} {input} {answer}");
    }
    let (status, _) = call(&kms, "Sign", &sign(RSA, 4096, "RAW", rsa)).await;
    assert_eq!(status, 200);
}

/// The code is that of `openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07` over the message.
#[tokio::test]
async fn a_mac_key_makes_the_hmac_of_a_message() {
    let kms = fresh();
    let asked =
        json!({ "KeyId": HMAC, "Message": BASE64_STANDARD.encode("a message"), "MacAlgorithm": "HMAC_SHA_256" });

    let made = call(&kms, "GenerateMac", &asked).await;

    let arn = format!("{ARN}key/{HMAC}");
    assert_eq!(made, (200, json!({ "KeyId": arn, "Mac": MAC, "MacAlgorithm": "HMAC_SHA_256" })));
    let changed = |name: &str, value: Value| {
        let mut asked = asked.clone();
        asked[name] = value;
        asked
    };
    for (asked, name) in [
        (changed("KeyId", json!(RSA)), "NotFoundException"),
        (changed("KeyId", Value::Null), "ValidationException"),
        (changed("MacAlgorithm", json!("HMAC_SHA_512")), "ValidationException"),
        (changed("MacAlgorithm", Value::Null), "ValidationException"),
        (changed("Message", json!("")), "ValidationException"),
        (changed("Message", json!(BASE64_STANDARD.encode([0; 4097]))), "ValidationException"),
        (changed("Message", Value::Null), "ValidationException"),
        (changed("Message", json!("%")), "SerializationException"),
    ] {
        let (status, answer) = call(&kms, "GenerateMac", &asked).await;
        assert_eq!((status, &answer["__type"]), (400, &json!(name)), "{asked} {answer}");
    }
    assert_eq!(call(&kms, "GenerateMac", &changed("KeyId", json!(arn))).await, made);
    kms.disable(HMAC);
    assert_eq!(call(&kms, "GenerateMac", &asked).await.1["__type"], "DisabledException");
}

#[tokio::test]
async fn requests_without_credentials_are_rejected() {
    let bare = Request::post("/").header("x-amz-target", "TrentService.Sign").body(Body::empty()).unwrap();
    let basic = Request::post("/").header("authorization", "Basic eA==").body(Body::empty()).unwrap();

    let kms = fresh();
    assert_eq!(send(&kms, bare).await.1["__type"], "MissingAuthenticationTokenException");
    assert_eq!(send(&kms, basic).await.1["__type"], "UnrecognizedClientException");
    assert_eq!(kms.calls(), Calls::default());
}

#[tokio::test]
async fn a_key_survives_pkcs8() {
    for spec in [KeySpec::Rsa2048, KeySpec::EccNistP256] {
        let key = Key::generate(spec, "one").unwrap();
        let again = Key::from_pkcs8("one", key.to_pkcs8()).unwrap();
        assert_eq!(again.spec(), spec);

        let input = json!({ "KeyId": "one" });
        let [before, after] = [key, again].map(|key| Kms::new(vec![key], Vec::new()));
        assert_eq!(call(&before, "GetPublicKey", &input).await, call(&after, "GetPublicKey", &input).await);
    }
    assert!(Key::from_pkcs8("one", b"not a key").is_err());
}

/// The real client over a real socket, retries included.
#[tokio::test]
async fn the_sdk_signs_sees_errors_and_retries_outages() {
    let kms = fresh();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, kms.router()).into_future());
    let credentials = Credentials::new("ANOTREAL", "notreal", None, None, "test");
    let config = sdk_config(&http_connector::without_tls())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint);
    let client = aws_sdk_kms::Client::new(&config.build());
    let sign = || {
        let digest = Blob::new(digest(&SHA256, b"header.claims").as_ref());
        let sign = client.sign().key_id("alias/tokens").message(digest).message_type(MessageType::Digest);
        sign.signing_algorithm(SigningAlgorithmSpec::RsassaPkcs1V15Sha256).send()
    };

    kms.fail_next(Outage::Throttled, 1);
    let signature = sign().await.unwrap().signature.unwrap();
    assert_eq!(kms.calls(), Calls { sign: 2, ..Calls::default() });

    let spki = client.get_public_key().key_id(RSA).send().await.unwrap().public_key.unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki.as_ref())
        .verify(b"header.claims", signature.as_ref())
        .unwrap();

    kms.disable(RSA);
    assert!(sign().await.unwrap_err().into_service_error().is_disabled_exception());
    kms.enable(RSA);
    kms.fail_next(Outage::InvalidState, 1);
    assert!(sign().await.unwrap_err().into_service_error().is_kms_invalid_state_exception());
    sign().await.unwrap();
    server.abort();
}

fn fresh() -> Arc<Kms> {
    let keys = vec![
        Key::generate(KeySpec::Rsa2048, RSA).unwrap().aliased("alias/tokens"),
        Key::generate(KeySpec::EccNistP256, EC).unwrap(),
    ];
    Kms::new(keys, vec![MacKey::from_bytes(HMAC, [7; 32])])
}

async fn call(kms: &Arc<Kms>, operation: &str, input: &Value) -> (u16, Value) {
    let request = Request::post("/")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=ANOTREAL/20261122/us-east-1/kms/aws4_request")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("TrentService.{operation}"));
    send(kms, request.body(Body::from(input.to_string())).unwrap()).await
}

async fn send(kms: &Arc<Kms>, request: Request<Body>) -> (u16, Value) {
    let response = kms.router().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/x-amz-json-1.1");
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&to_bytes(response.into_body(), 65_536).await.unwrap()).unwrap())
}
