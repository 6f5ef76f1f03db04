//! What a command has to say, for people and for scripts.

use std::io::{self, Write};

use serde_json::Value;
use shared::telemetry::terminal::{in_line, printable};

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
        out.write_all(printable(text).as_bytes())?;
        out.flush()
    }
}

/// Rows under their headings, each column as wide as it must be.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| in_line(cell))).collect();
    let headings = headings.map(str::to_owned);
    let lines = || std::iter::once(&headings).chain(&rows);
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
    rows.iter().map(|(what, value)| format!("{what:<17}{}", in_line(value)).trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_steers_the_terminal_or_forges_a_line() {
        let text = "a\n\u{1b}]52;c;eA==\u{7}\u{9b}2J\r";
        let (json, mut written) = (serde_json::json!({ "kid": text }), Vec::new());
        let output = Output { text: fields(&[("Keys", text.to_owned())]), json: json.clone() };

        output.write(false, &mut written).unwrap();
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "Keys             a\\u000a\\u001b]52;c;eA==\\u0007\\u009b2J\\u000d\n"
        );
        let row = table(["KEYS"], &[[text.to_owned()]]);
        assert_eq!(row, "KEYS\na\\u000a\\u001b]52;c;eA==\\u0007\\u009b2J\\u000d\n");
        let mut written = Vec::new();
        output.write(true, &mut written).unwrap();
        assert!(written.iter().all(|byte| *byte == b'\n' || (b' '..=b'~').contains(byte)));
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), json);
    }
}
