//! What a client calls itself, on a page where people decide by it.

/// The most characters of a name.
pub const LONGEST: usize = 100;

/// The name in `text`, trimmed: none if it is empty, too long, or has characters that deceive.
#[must_use]
pub fn parse(text: &str) -> Option<String> {
    let name = text.trim();
    let fits = (1..=LONGEST).contains(&name.chars().count()) && !name.chars().any(deceives);
    fits.then(|| name.to_owned())
}

/// Control characters, and those that reorder text or show nothing (Unicode's `Default_Ignorable_Code_Point`, blanks that are
/// not spaces).
#[must_use]
pub fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}
