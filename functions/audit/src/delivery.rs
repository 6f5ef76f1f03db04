//! What CloudWatch Logs delivers: lines of one log group, as JSON, compressed, as text.
//!
//! The form is that of "Log group-level subscription filters", CloudWatch Logs user guide.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Most bytes of a delivery, decompressed. CloudWatch fills an asynchronous invocation, 1 MiB, with what compresses to a tenth.
const LIMIT: u64 = 32 << 20;

/// A delivery.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Lines that were logged.
    Lines(Vec<Logged>),
    /// CloudWatch tries whether anybody hears.
    Trial,
}

/// One line.
#[derive(Debug, Deserialize)]
pub(crate) struct Logged {
    /// CloudWatch's name for it: the same however often it is delivered.
    pub(crate) id: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub(crate) timestamp: i64,
    /// What was written.
    pub(crate) message: String,
}

/// Why a delivery cannot be read.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    #[error("not an event of CloudWatch Logs")]
    Event,
    #[error("not compressed as CloudWatch Logs does it")]
    Compression,
    #[error("more than {LIMIT} bytes")]
    TooLarge,
    #[error("not a delivery: line {0}, column {1}")]
    Content(usize, usize),
}

impl Delivery {
    pub(crate) fn read(event: &Value) -> Result<Self, Unreadable> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Content {
            message_type: String,
            log_events: Vec<Logged>,
        }
        let data = event.pointer("/awslogs/data").and_then(Value::as_str).ok_or(Unreadable::Event)?;
        let compressed = STANDARD.decode(data).map_err(|_| Unreadable::Event)?;
        let mut text = Vec::new();
        let read = MultiGzDecoder::new(compressed.as_slice()).take(LIMIT + 1).read_to_end(&mut text);
        if read.map_err(|_| Unreadable::Compression)? as u64 > LIMIT {
            return Err(Unreadable::TooLarge);
        }
        let content: Content =
            serde_json::from_slice(&text).map_err(|error| Unreadable::Content(error.line(), error.column()))?;
        Ok(match content.message_type.as_str() {
            "DATA_MESSAGE" => Self::Lines(content.log_events),
            _ => Self::Trial,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;

    use super::*;

    fn delivered(text: &[u8]) -> Result<Delivery, Unreadable> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        Delivery::read(&json!({ "awslogs": { "data": STANDARD.encode(gzip.finish().unwrap()) } }))
    }

    #[test]
    fn what_is_delivered() {
        let text = r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],
            "logEvents":[{"id":"7","timestamp":12,"message":"{}"}]}"#;
        let Ok(Delivery::Lines(lines)) = delivered(text.as_bytes()) else { panic!("lines") };
        assert_eq!((lines[0].id.as_str(), lines[0].timestamp, lines[0].message.as_str()), ("7", 12, "{}"));
        let trial = r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: …"}]}"#;
        assert!(matches!(delivered(trial.as_bytes()), Ok(Delivery::Trial)));
    }

    #[test]
    fn what_is_no_delivery() {
        for event in [json!({}), json!({ "awslogs": {} }), json!({ "awslogs": { "data": "%" } })] {
            assert!(matches!(Delivery::read(&event), Err(Unreadable::Event)), "{event}");
        }
        let event = json!({ "awslogs": { "data": STANDARD.encode("not gzip") } });
        assert!(matches!(Delivery::read(&event), Err(Unreadable::Compression)));
        assert!(matches!(delivered(b"{}"), Err(Unreadable::Content(..))));
        let bomb = vec![b' '; usize::try_from(LIMIT).unwrap() + 1];
        assert!(matches!(delivered(&bomb), Err(Unreadable::TooLarge)));
    }
}
