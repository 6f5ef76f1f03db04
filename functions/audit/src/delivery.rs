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

/// Most bytes of a delivery, decompressed. CloudWatch fills an asynchronous invocation of 1 MiB, and lines
/// compress to about a tenth.
const LIMIT: u64 = 32 << 20;

/// A delivery.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Lines that were logged.
    LogEvents(Vec<LogEvent>),
    /// CloudWatch Logs checks that the destination can be reached.
    ControlMessage,
}

/// One line.
#[derive(Debug, Deserialize)]
pub(crate) struct LogEvent {
    /// CloudWatch's name for it: the same however often it is delivered.
    pub(crate) id: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub(crate) timestamp: i64,
    /// What was written.
    pub(crate) message: String,
}

/// Why a delivery cannot be read.
#[derive(Debug, Error)]
pub(crate) enum DeliveryError {
    #[error("the event is not one of CloudWatch Logs")]
    NotALogsEvent,
    #[error("the data of CloudWatch Logs could not be decompressed")]
    Gzip,
    #[error("the data of CloudWatch Logs has more than {LIMIT} bytes")]
    TooLarge,
    #[error("the data of CloudWatch Logs could not be parsed: line {0}, column {1}")]
    Json(usize, usize),
}

impl Delivery {
    pub(crate) fn read(event: &Value) -> Result<Self, DeliveryError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Content {
            message_type: String,
            log_events: Vec<LogEvent>,
        }
        let data = event.pointer("/awslogs/data").and_then(Value::as_str).ok_or(DeliveryError::NotALogsEvent)?;
        let compressed = STANDARD.decode(data).map_err(|_| DeliveryError::NotALogsEvent)?;
        let mut text = Vec::new();
        let read = MultiGzDecoder::new(compressed.as_slice()).take(LIMIT + 1).read_to_end(&mut text);
        if read.map_err(|_| DeliveryError::Gzip)? as u64 > LIMIT {
            return Err(DeliveryError::TooLarge);
        }
        let content: Content =
            serde_json::from_slice(&text).map_err(|error| DeliveryError::Json(error.line(), error.column()))?;
        Ok(match content.message_type.as_str() {
            "DATA_MESSAGE" => Self::LogEvents(content.log_events),
            _ => Self::ControlMessage,
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

    fn delivered(text: &[u8]) -> Result<Delivery, DeliveryError> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        Delivery::read(&json!({ "awslogs": { "data": STANDARD.encode(gzip.finish().unwrap()) } }))
    }

    #[test]
    fn data_and_control_messages_are_read() {
        let text = r#"{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","subscriptionFilters":["f"],
            "logEvents":[{"id":"7","timestamp":12,"message":"{}"}]}"#;
        let Ok(Delivery::LogEvents(lines)) = delivered(text.as_bytes()) else { panic!("lines") };
        assert_eq!((lines[0].id.as_str(), lines[0].timestamp, lines[0].message.as_str()), ("7", 12, "{}"));
        let trial = r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: …"}]}"#;
        assert!(matches!(delivered(trial.as_bytes()), Ok(Delivery::ControlMessage)));
    }

    #[test]
    fn malformed_deliveries_are_rejected() {
        for event in [json!({}), json!({ "awslogs": {} }), json!({ "awslogs": { "data": "%" } })] {
            assert!(matches!(Delivery::read(&event), Err(DeliveryError::NotALogsEvent)), "{event}");
        }
        let event = json!({ "awslogs": { "data": STANDARD.encode("not gzip") } });
        assert!(matches!(Delivery::read(&event), Err(DeliveryError::Gzip)));
        assert!(matches!(delivered(b"{}"), Err(DeliveryError::Json(..))));
        let bomb = vec![b' '; usize::try_from(LIMIT).unwrap() + 1];
        assert!(matches!(delivered(&bomb), Err(DeliveryError::TooLarge)));
    }
}
