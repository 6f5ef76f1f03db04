//! Text on a terminal: what others chose must not steer it.

use std::fmt::Write;

/// Lines: what steers is written as JSON escapes it, but for the ends of lines.
#[must_use]
pub fn printable(text: &str) -> String {
    escaped(text, |it| steers(it) && it != '\n')
}

/// The same of what stands within a line.
#[must_use]
pub fn in_line(text: &str) -> String {
    escaped(text, steers)
}

/// Control characters, and those that end a line or reorder it (Unicode Standard Annex #9 §2).
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, it| {
        if is_escaped(it) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(it));
        } else {
            escaped.push(it);
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_steers_the_terminal() {
        let text = "two\nlines\u{1b}[8m\u{202e}\u{9b}2J";
        assert_eq!(printable(text), "two\nlines\\u001b[8m\\u202e\\u009b2J");
        assert_eq!(in_line(text), "two\\u000alines\\u001b[8m\\u202e\\u009b2J");
    }
}
