//! What a command has to say, for people and for scripts.

use std::io::{self, Write};

use serde_json::Value;

/// An answer in both forms.
pub(crate) struct Output {
    /// Whole lines.
    pub(crate) text: String,
    /// The same as JSON.
    pub(crate) json: Value,
}

impl Output {
    pub(crate) fn write(&self, json: bool, out: &mut impl Write) -> io::Result<()> {
        let text = if json { &format!("{}\n", self.json) } else { &self.text };
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

/// Rows under their headings, each column as wide as it must be.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(rows);
    let mut widths = [0; N];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; N]| {
        let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    lines().map(line).collect()
}

/// What and its value, a line each.
pub(crate) fn fields(rows: &[(&str, String)]) -> String {
    rows.iter().map(|(what, value)| format!("{what:<17}{value}").trim_end().to_owned() + "\n").collect()
}
