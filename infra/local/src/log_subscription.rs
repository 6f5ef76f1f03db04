//! CloudWatch Logs on this machine: what functions write for the audit reaches the function that is subscribed to it,
//! in the form it has on AWS, and no request waits for it.
//!
//! Lines are a process's, systems may be many: a line belongs to the system whose number its `invocation` begins with.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::lambda::{self, Listener};
use shared::telemetry::log;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tracing::instrument::WithSubscriber;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// Who waits for lines, by number.
static SYSTEMS: Mutex<BTreeMap<u64, UnboundedSender<Message>>> = Mutex::new(BTreeMap::new());
/// The number of the next system.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A layer of the log: takes lines of the audit to where they are delivered.
#[must_use]
pub fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(log::JsonLines::default());
    lines.with_writer(|| AuditWriter).with_filter(Targets::new().with_target("audit", LevelFilter::INFO))
}

/// Takes one line at a time.
struct AuditWriter;

impl Write for AuditWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        deliver(String::from_utf8_lossy(line).trim_end().to_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes a line of a function that is a process where it is to be delivered, if it is for the audit.
pub(crate) fn forward_audit_line(line: &str) {
    if line.contains(r#""target":"audit""#) {
        deliver(line.to_owned());
    }
}

fn deliver(text: String) {
    let line: Value = serde_json::from_str(&text).unwrap_or_default();
    let member = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let system = member("invocation").split('-').next().and_then(|number| u64::from_str_radix(number, 16).ok());
    if let Some(waiting) = system.and_then(|system| systems().get(&system).cloned()) {
        // Nobody receives it any more when the system is about to go.
        let _ = waiting.send(Message::Line { function: member("function").to_owned(), text });
    }
}

enum Message {
    /// A line that a function has written.
    Line { function: String, text: String },
    /// Tell when all before it has been delivered.
    Mark(oneshot::Sender<()>),
}

/// One system's invocations of its functions, and what they write.
pub(crate) struct LogSubscription {
    system: u64,
    invocations: AtomicU64,
    sending: UnboundedSender<Message>,
    waiting: Mutex<Option<UnboundedReceiver<Message>>>,
}

impl LogSubscription {
    pub(crate) fn new() -> Arc<Self> {
        let (sending, waiting) = unbounded_channel();
        let system = NEXT.fetch_add(1, Ordering::Relaxed);
        systems().insert(system, sending.clone());
        let waiting = Mutex::new(Some(waiting));
        Arc::new(Self { system, invocations: AtomicU64::new(0), sending, waiting })
    }

    /// A name for the next invocation, in the form of Lambda's.
    pub(crate) fn next_request_id(&self) -> String {
        let number = self.invocations.fetch_add(1, Ordering::Relaxed);
        format!("{:08x}-0000-4000-8000-{number:012x}", self.system)
    }

    /// Whether one of this system's functions wrote `line`.
    pub(crate) fn wrote(&self, line: &Value) -> bool {
        let invocation = line.get("invocation").and_then(Value::as_str).unwrap_or_default();
        invocation.starts_with(&format!("{:08x}-", self.system))
    }

    /// Returns when all that was written before has been delivered, or never will be.
    pub(crate) async fn delivered(&self) {
        let (mark, reached) = oneshot::channel();
        if self.sending.send(Message::Mark(mark)).is_ok() {
            let _ = reached.await;
        }
    }

    /// Delivers what is written, in the order of time, until `stopped`, and then what is left.
    pub(crate) async fn deliver(
        &self,
        audit_subscriber: Arc<AuditSubscriber>,
        clock: Clock,
        stopped: impl Future<Output = ()>,
    ) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut waiting) = waiting else { return };
        tokio::pin!(stopped);
        let mut count: u64 = 0;
        loop {
            let first = tokio::select! {
                biased;
                sent = waiting.recv() => sent,
                () = &mut stopped => None,
            };
            let Some(first) = first else { return };
            let mut batch: BTreeMap<String, Vec<Value>> = BTreeMap::new();
            let mut marks = Vec::new();
            for sent in std::iter::once(first).chain(std::iter::from_fn(|| waiting.try_recv().ok())) {
                match sent {
                    Message::Line { function, text } => {
                        count += 1;
                        let (id, timestamp) = (format!("{count:056}"), clock.now().seconds() * 1000);
                        let line = json!({ "id": id, "timestamp": timestamp, "message": text });
                        batch.entry(function).or_default().push(line);
                    }
                    Message::Mark(mark) => marks.push(mark),
                }
            }
            for (function, lines) in batch {
                audit_subscriber.deliver(&subscription_event(&function, &lines)).await;
            }
            for mark in marks {
                let _ = mark.send(());
            }
        }
    }
}

impl Drop for LogSubscription {
    fn drop(&mut self) {
        systems().remove(&self.system);
    }
}

/// The event of lines that `function` wrote.
fn subscription_event(function: &str, lines: &[Value]) -> Value {
    let content = json!({
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": format!("/aws/lambda/amble-connect-{function}"),
        "logStream": "local",
        "subscriptionFilters": ["audit"],
        "logEvents": lines,
    });
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Neither fails: both write to memory.
    let _ = gzip.write_all(content.to_string().as_bytes());
    let compressed = gzip.finish().unwrap_or_default();
    json!({ "awslogs": { "data": STANDARD.encode(compressed) } })
}

type DeliveryFuture = std::pin::Pin<Box<dyn Future<Output = Result<(), lambda::Error>> + Send>>;

/// The function that is subscribed, and its own log group: nothing that it writes is delivered to it.
pub(crate) struct AuditSubscriber {
    handler: Box<dyn Fn(Value) -> DeliveryFuture + Send + Sync>,
    timeout: Duration,
    log: Dispatch,
    written: LogBuffer,
}

#[derive(Clone, Default)]
struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl LogBuffer {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AuditSubscriber {
    pub(crate) fn of(listener: impl Listener, timeout: Duration) -> Arc<Self> {
        let written = LogBuffer::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(log::JsonLines::default())
            .with_writer(move || writer.clone())
            .with_filter(LevelFilter::INFO);
        let log = Dispatch::new(tracing_subscriber::registry().with(lines));
        let listener = Arc::new(listener);
        let handler = Box::new(move |event| -> DeliveryFuture {
            let listener = Arc::clone(&listener);
            Box::pin(async move { listener.handle(event).await })
        });
        Arc::new(Self { handler, timeout, log, written })
    }

    /// One invocation.
    pub(crate) async fn invoke(&self, event: Value) -> Result<(), String> {
        let work = tokio::time::timeout(self.timeout, (self.handler)(event)).with_subscriber(self.log.clone());
        match tokio::spawn(work).await {
            Ok(Ok(done)) => done.map_err(|error| error.to_string()),
            Ok(Err(_)) => Err(format!("no answer within {:?}", self.timeout)),
            Err(ended) => Err(ended.to_string()),
        }
    }

    /// An asynchronous invocation: tried three times, as Lambda does it, but without its pauses.
    async fn deliver(&self, event: &Value) {
        const TRIES: usize = 3;
        for left in (0..TRIES).rev() {
            match self.invoke(event.clone()).await {
                Ok(()) => return,
                Err(reason) if left == 0 => tracing::error!(reason, "lines of the audit were not delivered"),
                Err(_) => {}
            }
        }
    }

    /// The audit log: every line that the function has written.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.written.bytes()).into_owned();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn systems() -> MutexGuard<'static, BTreeMap<u64, UnboundedSender<Message>>> {
    SYSTEMS.lock().unwrap_or_else(PoisonError::into_inner)
}
