//! Log lines for CloudWatch: each is one JSON object, whose members can be queried.
//!
//! `tracing_subscriber`'s own JSON knows texts, numbers and booleans, and would write an object as a text with escapes: lines of
//! the audit and of requests hold objects (CloudWatch reads metrics from one), so their members are put into the line here.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::telemetry::{audit, request_log};

/// Writes lines to standard output, with timestamps, from now on.
pub(crate) fn to_cloudwatch() {
    let lines = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(JsonLines::default());
    tracing_subscriber::registry().with(lines).with(LevelFilter::INFO).init();
}

/// The form of a line. Events of the audit and lines of requests are objects already: their members become
/// members of the line.
pub struct JsonLines(Format<Json>);

impl Default for JsonLines {
    fn default() -> Self {
        Self(Format::default().json().flatten_event(true).with_current_span(false).with_span_list(false))
    }
}

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if let Some(line) = audit::repeated_line(event) {
            return writeln!(writer, "{line}");
        }
        let object = audit::json(event).or_else(|| request_log::request_line(event));
        let Some(members) = object.as_deref().and_then(|json| json.strip_prefix('{')) else {
            return self.0.format_event(context, writer, event);
        };
        // Lambda sorts lines by these two members (its JSON log format).
        writer.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        let (level, target) = (event.metadata().level(), event.metadata().target());
        writeln!(writer, r#"","level":"{level}","target":"{target}",{members}"#)
    }
}
