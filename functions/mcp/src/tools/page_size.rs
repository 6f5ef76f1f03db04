//! How large the result of a tool may be. Hosts refuse larger ones, and then the model sees nothing of it: Claude Code takes 25,000
//! tokens, claude.ai some 150,000 characters. They count text and structured content, which say the same, both.

use serde::Serialize;

/// The most bytes of a result as JSON, which stands in it twice: 25,000 tokens of 2.6 bytes each, in all.
pub(super) const MAX_JSON: usize = 32 * 1024;
/// The most bytes of text that stands in a result once.
pub(super) const MAX_TEXT: usize = 2 * MAX_JSON;

/// In a page that ends for its size.
pub(super) const PAGE_CUT: &str =
    "The page ends here, as hosts take no larger result. Call again with nextCursor for the rest.";
/// In the part of a content that goes on.
pub(super) const CONTENT_CUT: &str =
    "This is a part of the content, as hosts take no larger result. Call again with nextCursor for the part after it.";

/// What a result has room for.
#[derive(Debug, Default)]
pub(super) struct Room {
    used: usize,
}

impl Room {
    /// Whether there is room for one more row. The first always has room: a row is never larger than [`MAX_JSON`] by far.
    pub(super) fn take(&mut self, row: &impl Serialize) -> bool {
        // Serialising our own types cannot fail: their keys are text.
        let bytes = serde_json::to_vec(row).map_or(0, |json| json.len());
        let fits = self.used == 0 || self.used + bytes <= MAX_JSON;
        if fits {
            self.used += bytes;
        }
        fits
    }
}

/// The rows that a page has room for, and the key of the last of them if others had none.
pub(super) fn rows<T, K, R: Serialize>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
    row: impl Fn(T) -> R,
) -> (Vec<R>, Option<K>) {
    let (mut room, mut rows, mut last) = (Room::default(), Vec::new(), None);
    for item in items {
        let this = key(&item);
        let row = row(item);
        if !room.take(&row) {
            return (rows, last);
        }
        rows.push(row);
        last = Some(this);
    }
    (rows, None)
}

/// The part of `content` from the byte `from` on that a result has room for, and where it goes on. Nothing if no part begins there.
pub(super) fn content_part(content: &str, from: usize) -> Option<(&str, Option<usize>)> {
    let rest = content.get(from..)?;
    let part = beginning(rest, MAX_JSON);
    let to = from + part.len();
    Some((part, (to < content.len()).then_some(to)))
}

/// As much of the beginning of `text` as has `most` bytes in JSON.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let mut room = most;
    let end = text.char_indices().find(|(_, character)| {
        let bytes = match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            other => other.len_utf8(),
        };
        let fits = bytes <= room;
        room = room.saturating_sub(bytes);
        !fits
    });
    end.map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_their_size_in_json() {
        for (text, most, begins) in [
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("a\"b", 2, "a"),
            ("a\"b", 3, "a\""),
            ("a\nb\u{1}c", 10, "a\nb\u{1}"),
            ("a\nb\u{1}c", 9, "a\nb"),
            ("\u{e9}\u{e9}", 3, "\u{e9}"),
            ("", 0, ""),
        ] {
            assert_eq!(beginning(text, most), begins, "{text:?} {most}");
            assert!(serde_json::to_string(begins).unwrap().len() - 2 <= most);
        }
    }

    #[test]
    fn parts_make_up_the_content() {
        let content = format!("# \u{c4}rger\n{}", "\"Zeile\" \u{1f980}\n".repeat(9_000));
        let (mut read, mut from, mut parts) = (String::new(), Some(0), 0);
        while let Some(at) = from {
            let (part, next) = content_part(&content, at).unwrap();
            assert!(serde_json::to_string(part).unwrap().len() <= MAX_JSON + 2);
            read.push_str(part);
            (from, parts) = (next, parts + 1);
        }
        assert_eq!((read == content, parts), (true, 5));
        assert_eq!(content_part("\u{e9}", 1), None);
        assert_eq!(content_part("a", 2), None);
        assert_eq!(content_part("", 0), Some(("", None)));
    }

    #[test]
    fn pages_end_where_there_is_no_room() {
        let row = |number: usize| "x".repeat(number);
        let of = |sizes: &[usize]| {
            let (rows, last) = rows(sizes.iter().copied().enumerate(), |(place, _)| *place, |(_, size)| row(size));
            (rows.len(), last)
        };
        assert_eq!(of(&[]), (0, None));
        assert_eq!(of(&[10, 10]), (2, None));
        assert_eq!(of(&[20_000, 12_000, 800, 1]), (2, Some(1)));
        assert_eq!(of(&[40_000]), (1, None));
        assert_eq!(of(&[40_000, 1]), (1, Some(0)));
    }
}
