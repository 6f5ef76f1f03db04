//! Where a list goes on, as clients hold it: opaque to them, and only a place, so that it opens nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::store::workspace::Name;

/// The cursor of what comes after `name`.
pub(crate) fn after(name: &Name) -> String {
    URL_SAFE_NO_PAD.encode(name.as_str())
}

/// Where a cursor points, if it is one.
pub(crate) fn read(cursor: &str) -> Option<Name> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    Name::parse(std::str::from_utf8(&bytes).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let name = Name::parse("weekly-report").unwrap();
        assert_eq!(read(&after(&name)), Some(name));

        for other in ["", "weekly-report", "!", &URL_SAFE_NO_PAD.encode("a#b"), &URL_SAFE_NO_PAD.encode([0xff])] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
