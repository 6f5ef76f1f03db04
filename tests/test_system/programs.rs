//! The same tests on the programs that are deployed, each a process of its own: `PROGRAMS=target/lambda`, with the path of
//! libfaketime in `FAKETIME_LIBRARY`, which turns their clocks as the tests turn theirs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use local::Programs;

use crate::captured_log;

/// The clock of the processes of one test system: a file that says what time it is.
pub(crate) struct FakeClock(PathBuf);

/// The programs and their clock, if the tests are to run on programs.
pub(crate) fn from_env() -> Option<(Programs, FakeClock)> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    #[expect(clippy::disallowed_methods, reason = "these are of whoever runs the tests")]
    let variable = |name: &str| std::env::var(name).ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(variable("PROGRAMS")?);
    let library = variable("FAKETIME_LIBRARY").expect("the path of libfaketime in FAKETIME_LIBRARY");
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let fake_clock = std::env::temp_dir().join(format!("amble-clock-{}-{number}", std::process::id()));
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", fake_clock.to_str().expect("a path that is text")),
        ("FAKETIME_FMT", "%s"),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("TZ", "UTC"),
    ];
    let authority = variable("SSL_CERT_FILE").map(|path| ("SSL_CERT_FILE".to_owned(), path));
    let variables: BTreeMap<_, _> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(authority).collect();
    Some((Programs { folder, variables, on_line: Arc::new(captured_log::hear) }, FakeClock(fake_clock)))
}

impl FakeClock {
    /// It is `seconds` since the epoch, and stays so.
    pub(crate) fn set(&self, seconds: i64) {
        // In one step: who reads it must not find it empty.
        let next = self.0.with_extension("next");
        std::fs::write(&next, seconds.to_string()).expect("a file");
        std::fs::rename(next, &self.0).expect("a file");
    }
}

impl Drop for FakeClock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
