//! Text that others wrote, made safe to be shown: no invisible characters, and none that change the direction
//! of the text around it.

use std::fmt::{self, Write};

use crate::oauth::client_name::flag_deceptive;

/// Displays as the text, with `�` in place of characters that are invisible or change the direction of other
/// text (Unicode Technical Report #36 §2). Characters that emoji and right-to-left scripts need stay, so show
/// it within `<bdi>` or [`IsolatedText`]. The template escapes it.
#[derive(Clone, Copy, Debug)]
pub struct SanitizedText<'a>(pub &'a str);

/// Displays as [`SanitizedText`] within a sentence, without changing the direction of the sentence. It stands
/// between the isolate characters, which do what `<bdi>` does where there is no markup (Unicode Standard
/// Annex #9 §2.3). A page turns them into `<bdi>` with [`parts`].
#[derive(Clone, Copy, Debug)]
pub struct IsolatedText<'a>(pub &'a str);

const FIRST_STRONG_ISOLATE: char = '\u{2068}';
const POP_DIRECTIONAL_ISOLATE: char = '\u{2069}';

impl fmt::Display for SanitizedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        flag_deceptive(self.0)
            .try_for_each(|(character, deceives)| f.write_char(if deceives { '\u{fffd}' } else { character }))
    }
}

impl fmt::Display for IsolatedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FIRST_STRONG_ISOLATE}{}{POP_DIRECTIONAL_ISOLATE}", SanitizedText(self.0))
    }
}

/// A sentence in parts: text of ours, each with the isolated text after it, if there is any.
pub fn parts(sentence: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    // No name has either of them: they count as deceptive.
    sentence.split(POP_DIRECTIONAL_ISOLATE).map(|part| match part.split_once(FIRST_STRONG_ISOLATE) {
        Some((ours, theirs)) => (ours, Some(theirs)),
        None => (part, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_replaced() {
        for (text, shown) in [
            ("Acme", "Acme"),
            ("Müller 安 שלום", "Müller 安 שלום"),
            ("👩\u{200d}💻 ב\u{200f}", "👩\u{200d}💻 ב\u{200f}"),
            ("moc.\u{202e}example", "moc.\u{fffd}example"),
            ("a\u{200b}b\u{2066}\u{0}", "a\u{fffd}b\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(SanitizedText(text).to_string(), shown);
        }
    }

    #[test]
    fn sentence_is_split_at_isolated_text() {
        let sentence = format!("End {} in {}?", IsolatedText("a\u{2069}b"), IsolatedText("Acme"));
        let parts: Vec<_> = parts(&sentence).collect();
        assert_eq!(parts, [("End ", Some("a\u{fffd}b")), (" in ", Some("Acme")), ("?", None)]);
    }
}
