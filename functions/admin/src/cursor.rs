//! Cursors of lists, for pages and scripts. A cursor is opaque to them, and names only a place in a list that they
//! may see anyway.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::AdminError;

/// The cursor of a place.
pub(crate) fn write(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// The query of the page that continues at `place`.
pub(crate) fn query(place: &str) -> String {
    format!("after={}", write(place))
}

/// The place of a cursor, if there is one.
pub(crate) fn read<P>(cursor: Option<&str>, parse: impl Fn(&str) -> Option<P>) -> Result<Option<P>, AdminError> {
    const LONGEST: usize = 512;
    let Some(cursor) = cursor else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().filter(|_| cursor.len() <= LONGEST);
    let place = bytes.and_then(|bytes| parse(&String::from_utf8(bytes).ok()?));
    place.map(Some).ok_or(AdminError::InvalidCursor)
}

#[cfg(test)]
mod tests {
    use shared::store::connections::Cursor;

    use super::*;

    #[test]
    fn only_encoded_cursors_are_decoded() {
        let text = "1795339800.AAAAAAAAAAAAAAAAAAAAAA";
        let place = Cursor::parse(text).unwrap();
        assert_eq!(place.to_text(), text);
        assert_eq!(read(Some(&write(text)), Cursor::parse).unwrap(), Some(place));
        assert_eq!(read(None, Cursor::parse).unwrap(), None);
        for other in ["", "!", text, &write("1795339800"), &write("x.AAAAAAAAAAAAAAAAAAAAAA"), &"A".repeat(513)] {
            assert!(read(Some(other), Cursor::parse).is_err(), "{other}");
        }
    }
}
