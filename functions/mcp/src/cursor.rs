//! The cursors of lists: opaque to clients. A cursor is only a place in a list, and gives no access.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use shared::store::workspace::Name;

use crate::error::CallError;
use crate::resource_uri::ResourceUri;

/// Most bytes of a cursor of ours: three texts to sort by, and an id.
const LIMIT: usize = 8 * 1024;

/// Where the cursor of a request points, as `decode` reads it; `None` for the first page.
pub(crate) fn parse<T>(cursor: Option<&str>, decode: impl Fn(&str) -> Option<T>) -> Result<Option<T>, CallError> {
    cursor.map(|cursor| decode(cursor).ok_or(CallError::InvalidCursor)).transpose()
}

/// The cursor of what comes after `name`.
pub(crate) fn encode_name(name: &Name) -> String {
    URL_SAFE_NO_PAD.encode(name.as_str())
}

/// Where a cursor points, if it is one.
pub(crate) fn decode_name(cursor: &str) -> Option<Name> {
    Name::parse(&text(cursor)?)
}

/// The cursor of what comes after a place in an order.
pub(crate) fn encode_place(place: &Value) -> String {
    URL_SAFE_NO_PAD.encode(place.to_string())
}

/// The place that [`encode_place`] wrote, if a cursor can be one.
pub(crate) fn decode_place(cursor: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().filter(|_| cursor.len() <= LIMIT)?;
    serde_json::from_slice(&bytes).ok()
}

/// The cursor of the versions before `version`.
pub(crate) fn encode_version(version: u32) -> String {
    URL_SAFE_NO_PAD.encode(version.to_string())
}

/// Where a cursor of versions points, if it is one.
pub(crate) fn decode_version(cursor: &str) -> Option<u32> {
    text(cursor)?.parse().ok()
}

/// The cursor of the part of a content of that version that begins at a byte.
pub(crate) fn encode_part(version: u32, from: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("{version}:{from}"))
}

/// The version and the byte to which a cursor of parts points, if it is one.
pub(crate) fn decode_part(cursor: &str) -> Option<(u32, usize)> {
    let text = text(cursor)?;
    let (version, from) = text.split_once(':')?;
    Some((version.parse().ok()?, from.parse().ok()?))
}

/// The cursor of the resources after `uri`.
pub(crate) fn encode_resource(uri: &ResourceUri) -> String {
    URL_SAFE_NO_PAD.encode(uri.to_string())
}

/// Where a cursor of resources points, if it is one.
pub(crate) fn decode_resource(cursor: &str) -> Option<ResourceUri> {
    ResourceUri::parse(&text(cursor)?)
}

fn text(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encoded_cursors_are_decoded() {
        let name = Name::parse("weekly-report").unwrap();
        assert_eq!(decode_name(&encode_name(&name)), Some(name));

        for other in ["", "weekly-report", "!", &URL_SAFE_NO_PAD.encode("a#b"), &URL_SAFE_NO_PAD.encode([0xff])] {
            assert_eq!(decode_name(other), None, "{other}");
            assert_eq!(decode_resource(other), None, "{other}");
        }
        assert_eq!(decode_version(&encode_version(17)), Some(17));
        assert_eq!(decode_version(&encode_name(&Name::parse("weekly-report").unwrap())), None);
        assert_eq!(decode_part(&encode_part(3, 32_768)), Some((3, 32_768)));
        for other in ["", "3", &encode_version(3), &URL_SAFE_NO_PAD.encode("3:-1"), &URL_SAFE_NO_PAD.encode("3:1:2")] {
            assert_eq!(decode_part(other), None, "{other}");
        }
        let uri = ResourceUri::parse("skill://weekly-report").unwrap();
        assert_eq!(decode_resource(&encode_resource(&uri)), Some(uri));
    }

    #[test]
    fn only_encoded_places_are_decoded() {
        let place = serde_json::json!([["2026-11-30", 17.5, null], "in-1"]);
        assert_eq!(decode_place(&encode_place(&place)), Some(place));

        let long = encode_place(&Value::from("a".repeat(LIMIT)));
        for other in ["", "!", &URL_SAFE_NO_PAD.encode("in-1"), &long] {
            assert_eq!(decode_place(other), None, "{other}");
        }
    }
}
