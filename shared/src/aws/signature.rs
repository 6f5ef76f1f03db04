//! AWS Signature Version 4 of requests as ours are: a body in memory, no query ("Create a signed AWS API request", IAM user guide).
//!
//! The key of a day is made once. `aws-sigv4`'s own `sign` makes it for each request, and takes apart addresses and headers of every
//! shape: with it, signatures were two fifths of a refresh's instructions on a processor without instructions for SHA-256.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::sign::v4::generate_signing_key;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::date_time::{DateTime, Format};

use super::service::Failure;
use crate::oauth::secret::{Digest, Secret};

/// Signs requests to one service in one region.
#[derive(Default)]
pub(super) struct Signer(Mutex<Option<Day>>);

/// What signs on one day.
struct Day {
    /// As `20261231`.
    date: String,
    /// Whose secret is in the key.
    access_key: String,
    key: Secret<32>,
}

impl Signer {
    /// Adds who asks and when, and the signature, to a request that lacks nothing else.
    ///
    /// # Errors
    /// When it has a query, or whoever asks has no access key.
    pub(super) fn sign(
        &self,
        request: &mut HttpRequest,
        (region, service): (&str, &str),
        identity: &Identity,
        now: SystemTime,
    ) -> Result<(), Failure> {
        let asking = identity.data::<Credentials>().ok_or("an identity without an access key")?;
        let at = DateTime::from_secs(DateTime::from(now).secs()).fmt(Format::DateTime)?.replace(['-', ':'], "");
        let date = at.split('T').next().unwrap_or_default();
        request.headers_mut().try_insert("x-amz-date", at.clone())?;
        if let Some(token) = asking.session_token() {
            request.headers_mut().try_insert("x-amz-security-token", token.to_owned())?;
        }

        let (canonical, signed) = canonical(request)?;
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(Digest::of(canonical.as_bytes()).as_bytes()));
        let key = self.key(date, asking, || generate_signing_key(asking.secret_access_key(), now, region, service));
        let signature = hex(key?.mac(&[text.as_bytes()]).expose());
        let id = asking.access_key_id();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
        request.headers_mut().try_insert("authorization", authorization)?;
        Ok(())
    }

    /// The key of a day, which `make` makes if it is not the last one again.
    fn key<K: AsRef<[u8]>>(
        &self,
        date: &str,
        asking: &Credentials,
        make: impl FnOnce() -> K,
    ) -> Result<Secret<32>, Failure> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let access_key = asking.access_key_id();
        if let Some(day) = last.as_ref().filter(|day| day.date == date && day.access_key == access_key) {
            return Ok(day.key.clone());
        }
        let key = Secret::from_bytes(make().as_ref().try_into()?);
        *last = Some(Day { date: date.to_owned(), access_key: access_key.to_owned(), key: key.clone() });
        Ok(key)
    }
}

/// The canonical request, and the names of the headers in it: those that AWS reads. What is on the way may change others.
fn canonical(request: &HttpRequest) -> Result<(String, String), Failure> {
    let (_, address) = request.uri().split_once("://").ok_or("no address")?;
    let path = address.find('/').and_then(|start| address.get(start..)).unwrap_or("/");
    if path.contains('?') {
        return Err("an address with a query".into());
    }
    let read = |name: &str| name.starts_with("x-amz-") || matches!(name, "host" | "content-type");
    let mut headers: Vec<_> = request.headers().iter().filter(|(name, _)| read(name)).collect();
    headers.sort_unstable();

    // The path as it is sent, encoded once more: of what the SDK leaves in it, only the percent sign is not for paths.
    let (mut canonical, mut names) = (format!("{}\n{}\n\n", request.method(), path.replace('%', "%25")), String::new());
    for (name, value) in headers {
        let before = if names.is_empty() { "" } else { ";" };
        write!(names, "{before}{name}")?;
        writeln!(canonical, "{name}:{}", value.trim())?;
    }
    let body = Digest::of(request.body().bytes().ok_or("a body that is sent as it is made")?);
    write!(canonical, "\n{names}\n{}", hex(body.as_bytes()))?;
    Ok((canonical, names))
}

/// As the signature wants bytes written.
fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
    use aws_sigv4::sign::v4::SigningParams;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    const DYNAMODB: &str = "https://dynamodb.eu-central-1.amazonaws.com/";
    const INVOKE: &str = "https://lambda.eu-central-1.amazonaws.com/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A123456789012%3Afunction%3Aa_b-c%3Alive/invocations";

    fn request(url: &str, headers: &[(&'static str, &'static str)], body: &str) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").unwrap();
        request.set_uri(url).unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, *value);
        }
        request
    }

    fn asking(access_key: &str, secret: &str, token: Option<&str>) -> Identity {
        Credentials::new(access_key, secret, token.map(str::to_owned), None, "test").into()
    }

    /// What AWS's own library says, of the headers that we sign.
    fn expected(request: &HttpRequest, service: &str, identity: &Identity, now: SystemTime) -> String {
        let mut settings = SigningSettings::default();
        settings.excluded_headers.get_or_insert_default().extend(["user-agent".into(), "x-amzn-trace-id".into()]);
        let parameters = SigningParams::builder().identity(identity).settings(settings).time(now);
        let parameters = parameters.region("eu-central-1").name(service).build().unwrap().into();
        let body = SignableBody::Bytes(request.body().bytes().unwrap());
        let signable = SignableRequest::new("POST", request.uri(), request.headers().iter(), body).unwrap();
        let (headers, _) = sign(signable, &parameters).unwrap().into_parts().0.into_parts();
        headers.iter().find(|header| header.name() == "authorization").unwrap().value().to_owned()
    }

    #[test]
    fn a_signature_is_what_the_library_of_aws_makes() {
        let plain = [("host", "dynamodb.eu-central-1.amazonaws.com"), ("user-agent", "amble-connect/0.1.0")];
        let full = [
            ("content-type", "application/x-amz-json-1.0"),
            ("host", "dynamodb.eu-central-1.amazonaws.com"),
            ("x-amz-target", "DynamoDB_20120810.GetItem"),
            ("x-amzn-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
        ];
        let invoke = [
            ("content-type", "application/octet-stream"),
            ("host", "lambda.eu-central-1.amazonaws.com"),
            ("x-amz-invocation-type", "RequestResponse"),
        ];
        let service = Signer::default();
        // The last second of a year and the one before, the next day, as another, and as the first again.
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7);
        let (eve, year) = (1_798_761_599, 1_798_761_600);
        let (ana, ben) = (asking("AKIDANA", "secret", Some("a+token/of=a session")), asking("AKIDBEN", "other", None));
        for (identity, seconds) in [(&ana, eve), (&ana, eve - 1), (&ana, year), (&ben, year), (&ana, year)] {
            for (url, headers, body) in [
                (DYNAMODB, &plain[..], ""),
                (DYNAMODB, &full, r#"{"TableName":"grants","Key":{"id":{"S":"é"}}}"#),
                ("https://dynamodb.eu-central-1.amazonaws.com", &full, "{}"),
                (INVOKE, &invoke, "{}"),
            ] {
                let mut signed = request(url, headers, body);
                service.sign(&mut signed, ("eu-central-1", "dynamodb"), identity, at(seconds)).unwrap();

                let expected = expected(&request(url, headers, body), "dynamodb", identity, at(seconds));
                assert_eq!(signed.headers().get("authorization"), Some(expected.as_str()), "{url} at {seconds}");
            }
        }
    }

    #[test]
    fn what_cannot_be_signed_is_not_sent() {
        let mut queried = request("https://lambda.eu-central-1.amazonaws.com/a?Qualifier=live", &[], "");
        let mut streamed = HttpRequest::new(SdkBody::taken());
        streamed.set_uri(DYNAMODB).unwrap();
        for request in [&mut queried, &mut streamed] {
            let (asking, now) = (asking("AKID", "secret", None), SystemTime::UNIX_EPOCH);
            let signed = Signer::default().sign(request, ("eu-central-1", "lambda"), &asking, now);
            assert!(signed.is_err() && request.headers().get("authorization").is_none());
        }
    }
}
