//! Every log line of every test system, kept to be searched.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use local::log_subscription;
use serde_json::Value;
use shared::telemetry::log;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Starts keeping lines, once per process, at the level at which a deployment logs.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let form =
            tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(log::JsonLines::default());
        let kept = form.with_writer(|| Lines).with_filter(LevelFilter::INFO);
        tracing_subscriber::registry().with(kept).with(log_subscription::layer()).try_init().expect("nobody else logs");
    });
}

/// How much there is.
pub(crate) fn length() -> usize {
    lines().len()
}

/// What was written after the first `length` bytes.
pub(crate) fn since(length: usize) -> String {
    String::from_utf8_lossy(&lines()[length..]).into_owned()
}

/// A line of a function that is a process.
pub(crate) fn hear(line: &str) {
    lines().extend_from_slice(format!("{line}\n").as_bytes());
}

/// Shows the last lines beside a test that failed.
pub(crate) fn show_last() {
    let text = String::from_utf8_lossy(&lines()).into_owned();
    let last: Vec<_> = text.lines().rev().take(12).collect();
    for line in last.into_iter().rev() {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// The lines that are JSON, after the first `length` bytes.
pub(crate) fn all(length: usize) -> Vec<Value> {
    containing("{", length)
}

/// Those of the audit.
pub(crate) fn audit(length: usize) -> Vec<Value> {
    containing(r#""target":"audit""#, length).into_iter().filter(|line| line["target"] == "audit").collect()
}

/// To parse every line takes long where there are many test systems.
fn containing(text: &str, length: usize) -> Vec<Value> {
    let lines = since(length);
    lines.lines().filter(|line| line.contains(text)).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn lines() -> MutexGuard<'static, Vec<u8>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lines().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
