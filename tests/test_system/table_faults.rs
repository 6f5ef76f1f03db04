//! The whole black box with tables as AWS has them: `TABLE_FAULTS=lag`, or `TABLE_FAULTS=conflicts`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::time::Duration;

use local::table_faults::TableFaults;
use local::table_faults::fault_kind::FaultKind;
use local::table_faults::fault_settings::FaultSettings;

/// What whoever runs the tests wants to happen to every test's tables.
pub(crate) fn from_env() -> Option<FaultSettings> {
    #[expect(clippy::disallowed_methods, reason = "it is of whoever runs the tests")]
    let setting = std::env::var("TABLE_FAULTS").ok()?;
    let of_all = FaultSettings { seed: seed_of_test(), spared: vec!["operator", "tests"], ..FaultSettings::default() };
    match setting.as_str() {
        "" => None,
        "lag" => {
            let gsi_lag = Duration::from_millis(200)..=Duration::from_millis(1500);
            Some(FaultSettings { gsi_lag, base_lag: true, ..of_all })
        }
        "conflicts" => {
            let tx_hold = Duration::from_millis(5)..=Duration::from_millis(20);
            // Pages of one item: who takes a first page for complete is wrong each time, and not by chance.
            let settings = FaultSettings { tx_hold, cut_to: Some(1), ..of_all };
            Some(settings.with(FaultKind::Throttle, 0.05))
        }
        other => panic!("TABLE_FAULTS={other}: lag, or conflicts"),
    }
}

/// Of a test that failed: what had happened to it.
pub(crate) fn show(faults: Option<&TableFaults>) {
    let Some(faults) = faults else { return };
    let _ = writeln!(std::io::stderr(), "what happened to the tables: {:?}", faults.counts());
}

/// Another in each test, and the same each time: a test's thread has its name.
fn seed_of_test() -> u64 {
    let mut hasher = DefaultHasher::new();
    std::thread::current().name().hash(&mut hasher);
    hasher.finish()
}
