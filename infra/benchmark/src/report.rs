//! Tables in Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::figures::{Cold, Figures, Warm};

/// Everything, a table for each question.
pub(crate) fn tables(figures: &Figures) -> String {
    [sizes(figures), warm(&figures.warm), cold(&figures.cold), connect(&figures.warm)].join("\n")
}

fn sizes(figures: &Figures) -> String {
    let mut table = "| program | binary, MB | compressed, MB |\n| --- | ---: | ---: |\n".to_owned();
    for (name, (binary, compressed)) in &figures.sizes {
        let _ = writeln!(table, "| {name} | {:.2} | {:.2} |", megabytes(*binary), megabytes(*compressed));
    }
    table
}

fn warm(rows: &[Warm]) -> String {
    let mut table = "| program | request | processor, ms | median, ms | p99, ms | resident at first, MiB | … at the end | calls |\n\
                     | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |\n"
        .to_owned();
    for row in rows {
        let (first, last) = row.resident;
        let _ = writeln!(
            table,
            "| {} | {} | {:.3} | {:.2} | {:.2} | {:.1} | {:.1} | {} |",
            row.program,
            row.kind,
            row.processor / 1e3,
            row.median / 1e3,
            row.p99 / 1e3,
            mebibytes(first),
            mebibytes(last),
            calls(&row.calls)
        );
    }
    let requests = rows.iter().map(|row| row.requests).max().unwrap_or_default();
    let _ =
        writeln!(table, "\nEach over {requests} requests; the processor's time is that of the program's own process.");
    table
}

/// Warm requests with few grants in the tables, and with many.
pub(crate) fn growth(few: usize, before: &[Warm], many: usize, after: &[Warm]) -> String {
    let mut table = format!(
        "| program | request | processor, ms: {few} grants | {many} grants | × | resident, MiB: {few} grants | {many} grants |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
    );
    for (before, after) in before.iter().zip(after) {
        let _ = writeln!(
            table,
            "| {} | {} | {:.3} | {:.3} | {:.2} | {:.1} | {:.1} |",
            after.program,
            after.kind,
            before.processor / 1e3,
            after.processor / 1e3,
            after.processor / before.processor,
            mebibytes(before.resident.1),
            mebibytes(after.resident.1)
        );
    }
    table
}

fn cold(rows: &[Cold]) -> String {
    let mut table = "| program | processor of | TLS | start to first question, ms | p99 | first answer, ms | p99 |\n\
                     | --- | --- | --- | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for row in rows {
        let memory = row.memory.map_or_else(|| "(whole)".to_owned(), |memory| format!("{memory} MB"));
        let _ = writeln!(
            table,
            "| {} | {memory} | {} | {:.1} | {:.1} | {:.1} | {:.1} |",
            row.program,
            if row.tls { "yes" } else { "no" },
            row.start.median / 1e3,
            row.start.p99 / 1e3,
            row.first.median / 1e3,
            row.first.p99 / 1e3
        );
    }
    table
}

/// What one connection costs until the client has its tools.
fn connect(rows: &[Warm]) -> String {
    const STEPS: [(&str, &str, f64); 6] = [
        ("wellknown", "a document", 2.0),
        ("register", "a new client", 1.0),
        ("authorize", "page", 1.0),
        ("authorize", "approve", 1.0),
        ("token", "code", 1.0),
        ("mcp", "tools/list of 50 tools", 1.0),
    ];
    let all: f64 = STEPS
        .iter()
        .filter_map(|(program, kind, times)| {
            let row = rows.iter().find(|row| row.program == *program && row.kind == *kind)?;
            Some(row.processor * times)
        })
        .sum();
    format!(
        "One connect (two documents, register, page, approve, code, first `tools/list`): {:.2} ms of our own processor.\n",
        all / 1e3
    )
}

/// Two runs side by side.
pub(crate) fn comparison(before: &Figures, after: &Figures) -> String {
    let mut table = "| what | before | after | after / before |\n| --- | ---: | ---: | ---: |\n".to_owned();
    let (old, new) = (flat(before), flat(after));
    for (what, after) in &new {
        match old.get(what) {
            Some(before) => {
                let _ = writeln!(table, "| {what} | {before:.3} | {after:.3} | {:.2} |", after / before);
            }
            None => {
                let _ = writeln!(table, "| {what} | – | {after:.3} | |");
            }
        }
    }
    table
}

/// Every figure by what it is of.
fn flat(figures: &Figures) -> BTreeMap<String, f64> {
    let mut flat = BTreeMap::new();
    for (name, (binary, compressed)) in &figures.sizes {
        flat.insert(format!("{name}: binary, MB"), megabytes(*binary));
        flat.insert(format!("{name}: compressed, MB"), megabytes(*compressed));
    }
    for row in &figures.warm {
        let of = format!("{}, {}", row.program, row.kind);
        flat.insert(format!("{of}: processor, ms"), row.processor / 1e3);
        flat.insert(format!("{of}: median, ms"), row.median / 1e3);
        flat.insert(format!("{of}: resident at the end, MiB"), mebibytes(row.resident.1));
    }
    for row in &figures.cold {
        let tls = if row.tls { ", TLS" } else { "" };
        let memory = row.memory.map(|memory| format!(", {memory} MB")).unwrap_or_default();
        flat.insert(format!("{}{tls}{memory}: start, ms", row.program), row.start.median / 1e3);
        flat.insert(format!("{}{tls}{memory}: first answer, ms", row.program), row.first.median / 1e3);
    }
    flat
}

fn calls(calls: &BTreeMap<String, f64>) -> String {
    let named =
        calls.iter().map(
            |(action, count)| {
                if (count - 1.0).abs() < 0.01 { action.to_owned() } else { format!("{count:.2} {action}") }
            },
        );
    named.collect::<Vec<_>>().join(", ")
}

#[expect(clippy::cast_precision_loss, reason = "sizes of programs")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "sizes of memory")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
