//! A function's answer as HTTP.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::GatewayError;
use super::mapping::{Mapping, rename_challenge};

/// An answer in payload format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionResponse {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// What goes out for the answer `json`. An answer that is none is the function's failure.
pub(crate) fn into_http(
    json: &str,
    mapping: &Mapping,
    renames_challenge: bool,
) -> Result<Response<Body>, GatewayError> {
    let answer: FunctionResponse = serde_json::from_str(json).map_err(invalid_response)?;
    let status = StatusCode::from_u16(answer.status_code).map_err(invalid_response)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(invalid_response)?;
        headers.insert(name, HeaderValue::from_str(value).map_err(invalid_response)?);
    }
    // The connection is the gateway's own business, the length too.
    for name in [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    if renames_challenge {
        rename_challenge(&mut headers);
    }
    mapping.apply(status, &mut headers);
    for cookie in &answer.cookies {
        headers.append(header::SET_COOKIE, HeaderValue::from_str(cookie).map_err(invalid_response)?);
    }
    let body = match answer.body {
        Some(text) if answer.is_base64_encoded => STANDARD.decode(text).map_err(invalid_response)?,
        Some(text) => text.into_bytes(),
        None => Vec::new(),
    };
    if !body.is_empty() {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn invalid_response(error: impl std::fmt::Display) -> GatewayError {
    GatewayError::Failed(format!("the answer cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_function_response_becomes_http() {
        let answer = json!({
            "statusCode": 201,
            "headers": { "content-type": "image/png", "x-one": "1", "content-length": "999" },
            "multiValueHeaders": { "x-one": ["2"] },
            "cookies": ["a=1; Path=/", "b=2"],
            "body": "AAH/",
            "isBase64Encoded": true,
        });
        let response = into_http(&answer.to_string(), &Mapping::default(), false).unwrap();
        assert_eq!(response.status(), 201);
        let mut headers: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        assert_eq!(
            headers,
            [("content-type", "image/png"), ("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2"), ("x-one", "1")]
        );
        assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap().as_ref(), [0, 1, 255]);
    }

    #[test]
    fn an_invalid_response_is_the_functions_failure() {
        for answer in [
            "null",
            "{}",
            r#"{"statusCode":99}"#,
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            r#"{"statusCode":200,"headers":{"a":"b\r\nc: d"}}"#,
            r#"{"statusCode":200,"body":"!","isBase64Encoded":true}"#,
        ] {
            let failed = into_http(answer, &Mapping::default(), false);
            assert!(matches!(failed, Err(GatewayError::Failed(_))), "{answer}");
        }
    }
}
