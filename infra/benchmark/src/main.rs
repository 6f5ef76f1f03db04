//! What the deployed programs cost. Builds nothing: `cargo lambda build --release` comes before (docs/measuring.md).
//!
//! ```text
//! benchmark [--requests N] [--json FILE]             measures the programs, prints Markdown, keeps the figures
//! benchmark growth [--requests N] [--grants N]       warm requests, with a thousand grants in the tables and with so many
//! benchmark compare BEFORE.json AFTER.json           two files of figures side by side
//!
//! --programs FOLDER                                  of `FOLDER/<function>/bootstrap`, in place of target/lambda
//! ```
//!
//! | module | what it is |
//! | --- | --- |
//! | `warm` | requests of one kind after another: time, processor, calls, memory |
//! | `table_seed` | what else is in the tables |
//! | `cold` | a process from its start to its first answer, with TLS to AWS and a share of a processor |
//! | `process_cost` | what the kernel knows of a process |
//! | `figures`, `report` | what was measured, and how it is shown |

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "what cannot be measured ends it")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

mod cold;
mod figures;
mod process_cost;
mod quota;
mod report;
mod table_seed;
mod tls;
mod warm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use figures::Figures;

/// Where cargo-lambda puts the programs.
const LAMBDA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/lambda");

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["compare", before, after] => {
            println!("{}", report::comparison(&Figures::read(Path::new(before)), &Figures::read(Path::new(after))));
        }
        ["growth", options @ ..] => {
            let Some(Options { programs, requests, grants, json: None }) = parse_options(options) else {
                return usage();
            };
            let (few, ..) = Box::pin(warm::measure(&programs, requests, DEFAULT_GRANTS)).await;
            let (many, ..) = Box::pin(warm::measure(&programs, requests, grants)).await;
            println!("{}", report::growth(DEFAULT_GRANTS, &few, grants, &many));
        }
        options => {
            let Some(Options { programs, requests, json, .. }) = parse_options(options) else { return usage() };
            let (warm, invocations, _world) = Box::pin(warm::measure(&programs, requests, DEFAULT_GRANTS)).await;
            let cold = cold::measure(&programs, &invocations).await;
            let figures = Figures { sizes: sizes(&programs, &invocations), warm, cold };
            println!("{}", report::tables(&figures));
            if let Some(path) = json {
                figures.write(&path);
            }
        }
    }
    ExitCode::SUCCESS
}

/// Grants in the tables, where their number is not what is asked.
const DEFAULT_GRANTS: usize = 1000;

struct Options {
    programs: PathBuf,
    requests: usize,
    grants: usize,
    json: Option<PathBuf>,
}

fn parse_options(options: &[&str]) -> Option<Options> {
    let mut parsed = Options { programs: PathBuf::from(LAMBDA), requests: 1000, grants: 1_000_000, json: None };
    for pair in options.chunks(2) {
        match pair {
            ["--programs", folder] => parsed.programs = PathBuf::from(folder),
            ["--requests", number] => parsed.requests = number.parse().ok()?,
            ["--grants", number] => parsed.grants = number.parse().ok()?,
            ["--json", path] => parsed.json = Some(PathBuf::from(path)),
            _ => return None,
        }
    }
    Some(parsed)
}

fn usage() -> ExitCode {
    eprintln!(
        "benchmark [growth] [--programs FOLDER] [--requests N] [--grants N] [--json FILE] | compare BEFORE.json AFTER.json"
    );
    ExitCode::from(2)
}

/// Bytes of each binary, as it is and compressed as in the archive that Lambda is given.
fn sizes(programs: &Path, invocations: &BTreeMap<String, cold::LastInvocation>) -> BTreeMap<String, (u64, u64)> {
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::Write;

    invocations
        .keys()
        .map(|name| {
            let binary = std::fs::read(programs.join(name).join("bootstrap")).expect("a program that was built");
            let mut archive = DeflateEncoder::new(Vec::new(), Compression::new(6));
            archive.write_all(&binary).expect("memory");
            let compressed = archive.finish().expect("memory").len();
            (name.clone(), (binary.len() as u64, compressed as u64))
        })
        .collect()
}
