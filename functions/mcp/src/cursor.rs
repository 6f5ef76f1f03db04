//! Where a list goes on, as clients hold it: opaque to them, and only a place, so that it opens nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use shared::store::workspace::Name;

use crate::resources::Uri;

/// Most bytes of a cursor of ours: three texts to sort by, and an id.
const LIMIT: usize = 8 * 1024;

/// The cursor of what comes after `name`.
pub(crate) fn after(name: &Name) -> String {
    URL_SAFE_NO_PAD.encode(name.as_str())
}

/// Where a cursor points, if it is one.
pub(crate) fn read(cursor: &str) -> Option<Name> {
    Name::parse(&text(cursor)?)
}

/// The cursor of what comes after a place in an order.
pub(crate) fn after_place(place: &Value) -> String {
    URL_SAFE_NO_PAD.encode(place.to_string())
}

/// The place that [`after_place`] wrote, if a cursor can be one.
pub(crate) fn read_place(cursor: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().filter(|_| cursor.len() <= LIMIT)?;
    serde_json::from_slice(&bytes).ok()
}

/// The cursor of the versions before `version`.
pub(crate) fn before_version(version: u32) -> String {
    URL_SAFE_NO_PAD.encode(version.to_string())
}

/// Where a cursor of versions points, if it is one.
pub(crate) fn read_version(cursor: &str) -> Option<u32> {
    text(cursor)?.parse().ok()
}

/// The cursor of the resources after `uri`.
pub(crate) fn after_resource(uri: &Uri) -> String {
    URL_SAFE_NO_PAD.encode(uri.to_string())
}

/// Where a cursor of resources points, if it is one.
pub(crate) fn read_resource(cursor: &str) -> Option<Uri> {
    Uri::parse(&text(cursor)?)
}

fn text(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
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
            assert_eq!(read_resource(other), None, "{other}");
        }
        assert_eq!(read_version(&before_version(17)), Some(17));
        assert_eq!(read_version(&after(&Name::parse("weekly-report").unwrap())), None);
        let uri = Uri::parse("skill://weekly-report").unwrap();
        assert_eq!(read_resource(&after_resource(&uri)), Some(uri));
    }

    #[test]
    fn a_place_reads_back_and_nothing_else_does() {
        let place = serde_json::json!([["2026-11-30", 17.5, null], "in-1"]);
        assert_eq!(read_place(&after_place(&place)), Some(place));

        let long = after_place(&Value::from("a".repeat(LIMIT)));
        for other in ["", "!", &URL_SAFE_NO_PAD.encode("in-1"), &long] {
            assert_eq!(read_place(other), None, "{other}");
        }
    }
}
