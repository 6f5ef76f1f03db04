//! Verifies the signature of a delivery.
//!
//! Standard Webhooks 1.0.0, signed with a secret that both sides hold ("Verifying webhook authenticity"). The library of the
//! standard (`standardwebhooks`) reads the machine's clock, and here time is an argument.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use shared::clock::Timestamp;
use subtle::{Choice, ConstantTimeEq};

/// The difference between the delivery's timestamp and our clock that is allowed: it covers clocks that differ and
/// slow deliveries.
const TOLERANCE: Duration = Duration::from_mins(5);

/// The valid secrets. There is more than one while the sender changes from an old secret to a new one.
pub(crate) struct Secrets(Vec<Key>);

/// A delivery whose signature was verified with one of the secrets.
pub(crate) struct VerifiedDelivery<'a> {
    /// Its `webhook-id`.
    pub(crate) id: &'a HeaderValue,
    pub(crate) body: VerifiedBody<'a>,
}

/// The body of a verified delivery. Only [`Secrets::verify`] makes one outside of tests.
pub(crate) struct VerifiedBody<'a>(pub(crate) &'a [u8]);

/// Why the signature of a delivery is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// A header is missing.
    MissingHeader,
    /// A header is repeated. API Gateway joins repeated headers with a comma.
    RepeatedHeader,
    /// A header does not have the form that the standard prescribes.
    MalformedHeader,
    /// The delivery was signed too long ago, or in the future.
    TimestampOutOfTolerance,
    /// No `v1` signature matches one of the secrets.
    Mismatch,
}

/// An HMAC-SHA256 key, padded with zeros to a block of the hash (RFC 2104 §2). The library accepts every key of that length.
struct Key([u8; 64]);

impl Secrets {
    /// Parses `whsec_…`; several secrets are separated by commas.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.split(',').map(|text| Key::parse(text.trim())).collect::<Option<_>>().map(Self)
    }

    /// Returns the delivery if one of the signatures matches one of the secrets and the timestamp is recent.
    pub(crate) fn verify<'a>(
        &self,
        headers: &'a HeaderMap,
        body: &'a [u8],
        now: Timestamp,
    ) -> Result<VerifiedDelivery<'a>, SignatureError> {
        const MAX_SIGNATURES: usize = 16;

        let id_header = single_header(headers, "webhook-id")?;
        let id = text_of(id_header)?;
        // The id has no dot, so that the end of the id is unambiguous in the signed text.
        if !(1..=128).contains(&id.len())
            || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        {
            return Err(SignatureError::MalformedHeader);
        }
        let time = text_of(single_header(headers, "webhook-timestamp")?)?;
        if !(1..=12).contains(&time.len()) || !time.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SignatureError::MalformedHeader);
        }
        let seconds: i64 = time.parse().map_err(|_| SignatureError::MalformedHeader)?;
        let signatures = text_of(single_header(headers, "webhook-signature")?)?.split(' ').map(Signature::parse);
        let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(SignatureError::MalformedHeader);
        }
        if now.seconds().abs_diff(seconds) > TOLERANCE.as_secs() {
            return Err(SignatureError::TimestampOutOfTolerance);
        }
        // Compares every secret with every signature, so that the time it takes does not show which one matched.
        let parts = [id.as_bytes(), b".", time.as_bytes(), b".", body];
        let matches = self.0.iter().map(|key| key.mac(&parts)).fold(Choice::from(0), |matches, mac| {
            signatures.iter().flatten().fold(matches, |matches, signature| matches | mac.ct_eq(&signature.0))
        });
        if !bool::from(matches) {
            return Err(SignatureError::Mismatch);
        }
        Ok(VerifiedDelivery { id: id_header, body: VerifiedBody(body) })
    }
}

impl Key {
    /// Parses the standard's text form: a prefix, then 24 to 64 bytes in base64.
    fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        let mut key = [0; 64];
        key.get_mut(..bytes.len()).filter(|key| key.len() >= 24)?.copy_from_slice(&bytes);
        Some(Self(key))
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// A signature of version 1.
struct Signature([u8; 32]);

impl Signature {
    /// Parses `v1,<base64>`. A signature of another version is `None`.
    fn parse(text: &str) -> Result<Option<Self>, SignatureError> {
        let (version, signature) = text.split_once(',').ok_or(SignatureError::MalformedHeader)?;
        if version.is_empty() || signature.contains(',') {
            return Err(SignatureError::MalformedHeader);
        }
        if version != "v1" {
            return Ok(None);
        }
        let bytes = STANDARD.decode(signature).map_err(|_| SignatureError::MalformedHeader)?;
        Ok(Some(Self(bytes.try_into().map_err(|_| SignatureError::MalformedHeader)?)))
    }
}

/// A header that may occur only once. A comma proves no repetition here, as the list of signatures contains commas: the parser of
/// each header rejects a joined value.
fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a HeaderValue, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(SignatureError::MissingHeader),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(SignatureError::RepeatedHeader),
    }
}

fn text_of(header: &HeaderValue) -> Result<&str, SignatureError> {
    header.to_str().map_err(|_| SignatureError::MalformedHeader)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    /// The example of the specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const TIME: i64 = 1_614_265_330;

    fn verified(secrets: &str, headers: &[(&'static str, &str)], body: &[u8], at: i64) -> Result<(), SignatureError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let secrets = Secrets::parse(secrets).unwrap();
        secrets.verify(&map, body, Timestamp::from_seconds(at)).map(|verified| {
            assert_eq!((verified.id, verified.body.0), (&map["webhook-id"], body));
        })
    }

    fn headers<'a>(id: &'a str, time: &'a str, signature: &'a str) -> [(&'static str, &'a str); 3] {
        [("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)]
    }

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";

    #[test]
    fn only_the_exact_signed_delivery_is_verified() {
        let sound = headers(ID, "1614265330", SIGNATURE);
        let other = &format!("whsec_{}", STANDARD.encode([7; 32]));
        assert_eq!(verified(SECRET, &sound, BODY, TIME), Ok(()));
        assert_eq!(verified(&format!("{other}, {SECRET}"), &sound, BODY, TIME), Ok(()));
        assert_eq!(verified(&format!("{SECRET},{other}"), &sound, BODY, TIME), Ok(()));
        let several = format!("v1,{} v1a,c29tZXRoaW5n {SIGNATURE} v2,x", STANDARD.encode([0; 32]));
        assert_eq!(verified(SECRET, &headers(ID, "1614265330", &several), BODY, TIME), Ok(()));

        assert_eq!(verified(other, &sound, BODY, TIME), Err(SignatureError::Mismatch));
        assert_eq!(verified(SECRET, &sound, b"{}", TIME), Err(SignatureError::Mismatch));
        assert_eq!(
            verified(SECRET, &headers("msg_x", "1614265330", SIGNATURE), BODY, TIME),
            Err(SignatureError::Mismatch)
        );
        assert_eq!(verified(SECRET, &headers(ID, "1614265331", SIGNATURE), BODY, TIME), Err(SignatureError::Mismatch));
        let unknown = SIGNATURE.replace("v1,", "v1a,");
        assert_eq!(verified(SECRET, &headers(ID, "1614265330", &unknown), BODY, TIME), Err(SignatureError::Mismatch));
    }

    #[test]
    fn timestamp_tolerance_is_five_minutes() {
        let sound = headers(ID, "1614265330", SIGNATURE);
        for (seconds, verdict) in [
            (-301, Err(SignatureError::TimestampOutOfTolerance)),
            (-300, Ok(())),
            (300, Ok(())),
            (301, Err(SignatureError::TimestampOutOfTolerance)),
        ] {
            assert_eq!(verified(SECRET, &sound, BODY, TIME + seconds), verdict, "{seconds}");
        }
    }

    #[test]
    fn missing_repeated_and_malformed_headers_are_rejected() {
        let sound = headers(ID, "1614265330", SIGNATURE);
        for name in 0..3 {
            let without: Vec<_> = (0..3).filter(|place| *place != name).map(|place| sound[place]).collect();
            assert_eq!(verified(SECRET, &without, BODY, TIME), Err(SignatureError::MissingHeader));
            let twice: Vec<_> = sound.iter().chain([&sound[name]]).copied().collect();
            assert_eq!(verified(SECRET, &twice, BODY, TIME), Err(SignatureError::RepeatedHeader));
            let joined = format!("{0},{0}", sound[name].1);
            let mut joined_headers = sound;
            joined_headers[name].1 = &joined;
            assert_eq!(verified(SECRET, &joined_headers, BODY, TIME), Err(SignatureError::MalformedHeader));
        }
        let (long, sixteen) = ("a".repeat(129), [SIGNATURE; 17].join(" "));
        for malformed in [
            headers("", "1614265330", SIGNATURE),
            headers("msg.1", "1614265330", SIGNATURE),
            headers(&long, "1614265330", SIGNATURE),
            headers(ID, "", SIGNATURE),
            headers(ID, "+1614265330", SIGNATURE),
            headers(ID, "-1", SIGNATURE),
            headers(ID, "1614265330.0", SIGNATURE),
            headers(ID, "1614265330000000", SIGNATURE),
            headers(ID, "1614265330", ""),
            headers(ID, "1614265330", "v1"),
            headers(ID, "1614265330", "v1,"),
            headers(ID, "1614265330", "v1,c2hvcnQ="),
            headers(ID, "1614265330", "v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            headers(ID, "1614265330", &sixteen),
        ] {
            assert_eq!(verified(SECRET, &malformed, BODY, TIME), Err(SignatureError::MalformedHeader), "{malformed:?}");
        }
    }

    #[test]
    fn webhook_secrets_have_24_to_64_bytes() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1; bytes]));
        for (text, is) in [
            (of(24), true),
            (of(64), true),
            (of(23), false),
            (of(65), false),
            (format!("{},{}", of(32), of(24)), true),
            (format!("{},", of(32)), false),
            (of(32).replace("whsec_", ""), false),
            ("whsec_!".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(Secrets::parse(&text).is_some(), is, "{text}");
        }
    }
}
