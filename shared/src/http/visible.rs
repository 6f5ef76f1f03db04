//! Text that others wrote, as a page shows it: nothing in it hides or turns the text around it.

use std::fmt::{self, Write};

use crate::oauth::client_name::deceives;

/// Displays as the text, with `�` in place of what is invisible or changes the direction of other text (Unicode Technical Report #36
/// §2). Escaping is the template's affair, and so is `<bdi>`, within which text that reads from right to left moves nothing around it.
#[derive(Clone, Copy, Debug)]
pub struct Visible<'a>(pub &'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| f.write_char(if deceives(character) { '\u{fffd}' } else { character }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_seen() {
        for (text, shown) in [
            ("Acme", "Acme"),
            ("Müller 安 שלום", "Müller 安 שלום"),
            ("moc.\u{202e}example", "moc.\u{fffd}example"),
            ("a\u{200b}b\u{2066}\u{0}", "a\u{fffd}b\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(Visible(text).to_string(), shown);
        }
    }
}
