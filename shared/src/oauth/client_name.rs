//! The name that a client gives itself. People read it on the consent page, so it must not deceive.

use icu_normalizer::DecomposingNormalizerBorrowed;
use serde_json::Value;

/// The most characters of a name.
pub const MAX_LENGTH: usize = 100;

/// The name in `text`, trimmed: none if it is empty, too long, or has characters that deceive.
#[must_use]
pub fn parse(text: &str) -> Option<String> {
    let name = text.trim();
    let fits = (1..=MAX_LENGTH).contains(&name.chars().count()) && !is_deceptive(name);
    fits.then(|| name.to_owned())
}

/// The name in the member `client_name` of what a client says of itself (RFC 7591 §2), as far as it can be shown. A name is
/// decoration: a bad one refuses no client.
#[must_use]
pub fn of_metadata(member: Option<&Value>) -> Option<String> {
    clean(member?.as_str()?)
}

/// The name in `text` as it can be shown: without the characters that deceive, blanks as one space, and cut at the limit. None
/// if nothing is left.
fn clean(text: &str) -> Option<String> {
    let mut name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    loop {
        // Without one of them another may be out of its place.
        while is_deceptive(&name) {
            name = flag_deceptive(&name).filter(|(_, deceptive)| !deceptive).map(|(character, _)| character).collect();
        }
        let cut: String = name.trim().chars().take(MAX_LENGTH).collect();
        if cut == name {
            break;
        }
        name = cut;
    }
    (!name.is_empty()).then_some(name)
}

/// What a name looks like: two names of one look fold to the same. Accents, blanks, signs and the case of letters do not count, and a
/// letter of another script counts as the Latin one that it resembles (the idea of Unicode Technical Standard #39 §4, for the letters
/// of names that people know).
#[must_use]
pub fn fold(name: &str) -> String {
    // They decompose to letters.
    let signs = ['™', '℠', '®', '©'];
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&name.replace(signs, "")).into_owned();
    decomposed
        .chars()
        .filter_map(latin)
        .flat_map(char::to_lowercase)
        .map(|it| if it == 'i' { 'l' } else { it })
        .collect()
}

/// The Latin letter or digit that a character looks like: none for what is no letter of a name.
fn latin(character: char) -> Option<char> {
    let latin = match character {
        '0' | 'О' | 'о' | 'Ο' | 'ο' | 'Օ' | 'օ' | 'ჿ' | 'ø' | 'Ø' => 'o',
        '1' | '|' | '!' | 'І' | 'і' | 'Ӏ' | 'ӏ' | 'Ι' | 'ι' | 'ı' | 'ɩ' | 'ǀ' | 'ł' | 'Ł' => 'l',
        '3' | 'Е' | 'е' | 'Ε' | 'ε' | 'є' | 'ҽ' => 'e',
        '4' | '@' | 'А' | 'а' | 'Α' | 'α' | 'ɑ' => 'a',
        '5' | '$' | 'Ѕ' | 'ѕ' => 's',
        'С' | 'с' | 'Ϲ' | 'ϲ' | 'ᴄ' => 'c',
        'ԁ' | 'ɗ' | 'đ' => 'd',
        'ɡ' | 'ց' => 'g',
        'Н' | 'н' | 'Η' | 'һ' | 'հ' => 'h',
        'Ν' | 'ո' | 'ɴ' => 'n',
        'Р' | 'р' | 'Ρ' | 'ρ' => 'p',
        'Т' | 'т' | 'Τ' | 'τ' => 't',
        'Ս' | 'ս' | 'υ' | 'ʋ' | 'ц' => 'u',
        'Ѵ' | 'ѵ' | 'ν' => 'v',
        'Х' | 'х' | 'Χ' | 'χ' => 'x',
        other => other,
    };
    latin.is_alphanumeric().then_some(latin)
}

/// Whether a name has characters that are invisible or change the direction of the text around it.
#[must_use]
pub fn is_deceptive(name: &str) -> bool {
    flag_deceptive(name).any(|(_, deceptive)| deceptive)
}

/// Each character of a name, and whether it is deceptive in its place. Some scripts and emoji are written
/// with invisible characters, which are allowed there and nowhere else: within Latin letters they would make
/// two names that look the same.
pub fn flag_deceptive(name: &str) -> impl Iterator<Item = (char, bool)> {
    let right_to_left = name.chars().any(is_right_to_left);
    let (mut before, mut of_flag): (Option<char>, usize) = (None, 0);
    name.char_indices().map(move |(at, character)| {
        let written = match character {
            // Marks of direction, in names that are written from right to left.
            '\u{200e}' | '\u{200f}' | '\u{61c}' => right_to_left,
            // Joiners: of Arabic and Indic scripts, and between emoji.
            '\u{200c}' | '\u{200d}' => before.is_some_and(|it| {
                let next = name.get(at + character.len_utf8()..).and_then(|rest| rest.chars().next());
                is_joined(it) || (it == EMOJI || is_emoji(it)) && next.is_some_and(is_emoji)
            }),
            // The looks of an emoji, or of a digit on a key.
            '\u{fe0e}' | EMOJI => before.is_some_and(|it| {
                let on_key = it.is_ascii_digit() || matches!(it, '#' | '*');
                is_emoji(it) || on_key && name.get(at..).is_some_and(|rest| rest.starts_with("\u{fe0f}\u{20e3}"))
            }),
            // The letters of a region, after its flag (Unicode Technical Standard #51, annex C).
            '\u{e0020}'..='\u{e007f}' => of_flag > 0,
            _ => false,
        };
        of_flag = if character == FLAG {
            name.get(at + character.len_utf8()..).map_or(0, region_letters)
        } else {
            of_flag.saturating_sub(1)
        };
        before = Some(character);
        (character, is_invisible(character) && !written)
    })
}

/// How many letters of a region `text` begins with, the end among them: none if there is no end within six.
fn region_letters(text: &str) -> usize {
    let letters = text.chars().take_while(|it| matches!(it, '\u{e0020}'..='\u{e007e}')).take(7).count();
    let ended = text.chars().nth(letters) == Some('\u{e007f}');
    if ended && (1..=6).contains(&letters) { letters + 1 } else { 0 }
}

/// A flag that letters of a region may follow.
const FLAG: char = '\u{1f3f4}';

/// Letters of the scripts that are written with joiners: from Arabic to Sinhala, Tibetan, Myanmar, Khmer and Mongolian.
fn is_joined(character: char) -> bool {
    let letters = matches!(
        character,
        '\u{600}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1780}'..='\u{18af}'
    );
    letters && !is_invisible(character)
}

/// What is shown as an emoji, or can be (Unicode Technical Standard #51, `emoji-data.txt`, by its ranges).
fn is_emoji(character: char) -> bool {
    matches!(
        character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2194}'..='\u{21aa}'
            | '\u{231a}'..='\u{23fa}' | '\u{24c2}' | '\u{25aa}'..='\u{25fe}' | '\u{2600}'..='\u{27bf}'
            | '\u{2934}'..='\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}'
    )
}

/// Asks for a character to be shown as an emoji.
const EMOJI: char = '\u{fe0f}';

/// Control characters, and those that reorder text or show nothing (Unicode's `Default_Ignorable_Code_Point`, blanks that are
/// not spaces).
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Letters of Hebrew, Arabic and their kin (Unicode's blocks whose letters have the classes `R` and `AL`).
fn is_right_to_left(character: char) -> bool {
    matches!(
        character,
        '\u{5d0}'..='\u{60b}' | '\u{61e}'..='\u{65f}' | '\u{66d}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joiners_are_allowed_within_scripts_and_emoji() {
        for name in [
            "Räum & Söhne",
            "❤\u{fe0f} Acme",
            "👩\u{200d}💻 Team",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3} first",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "חברה בע\u{5f4}מ\u{200f}!",
            "شرکت می\u{200c}شود",
            "\u{200f}Acme שלום",
        ] {
            assert_eq!(parse(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn names_are_cleaned_to_what_can_be_shown() {
        let long = format!("{}👩\u{200d}💻", "x".repeat(98));
        for (text, name) in [
            ("Claude Code (my-server)", Some("Claude Code (my-server)")),
            ("\u{2601}\u{fe0f} Cloud agent", Some("\u{2601}\u{fe0f} Cloud agent")),
            ("Ac\u{200d}me", Some("Acme")),
            ("Acme\u{fe0f}\u{fe0f}", Some("Acme")),
            ("Cl\u{202e}edua", Some("Cledua")),
            ("Claude\nVerified\u{2028}by\tus", Some("Claude Verified by us")),
            ("👩\u{200d}\u{200d}💻", Some("👩💻")),
            ("  Acme \u{200b} ", Some("Acme")),
            (long.as_str(), Some(&long[..102])),
            ("", None),
            (" \n", None),
            ("\u{200b}\u{200d}", None),
        ] {
            let cleaned = clean(text);
            assert_eq!(cleaned.as_deref(), name, "{text:?}");
            assert!(cleaned.is_none_or(|cleaned| parse(&cleaned).as_ref() == Some(&cleaned)), "{text:?}");
        }
    }

    #[test]
    fn invisible_characters_are_refused_elsewhere() {
        for name in [
            "Ac\u{200d}me",
            "Ac\u{200c}me",
            "Ac\u{200e}me",
            "Acme\u{200f}",
            "Acme\u{fe0f}",
            "1\u{fe0f}",
            "\u{200d}",
            "\u{fe0f}\u{fe0f}",
            "❤\u{fe0f}\u{fe0f}",
            "a\u{e0067}",
            "💻\u{e0067}",
            "🏴\u{e0067}\u{e0062}",
            "🏴\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e007f}",
            "Mü\u{fe0f}ller",
            "Việ\u{200d}t",
            "Claude’\u{200d}s",
            "Claude™\u{200d}",
            "あ\u{200d}い",
            "שלום\u{202e}",
            "שלום\u{2067}",
            "שלום\u{200b}",
            "👩\u{200d}\u{200d}💻",
        ] {
            assert_eq!(parse(name), None, "{name:?}");
        }
    }
}
