//! Where a list goes on, as clients hold it: opaque to them, and only a place, so that it opens nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::store::workspace::Name;

use crate::resources::Uri;

/// The cursor of what comes after `name`.
pub(crate) fn after(name: &Name) -> String {
    URL_SAFE_NO_PAD.encode(name.as_str())
}

/// Where a cursor points, if it is one.
pub(crate) fn read(cursor: &str) -> Option<Name> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    Name::parse(std::str::from_utf8(&bytes).ok()?)
}

/// The cursor of the versions before `version`.
pub(crate) fn before_version(version: u32) -> String {
    URL_SAFE_NO_PAD.encode(version.to_string())
}

/// Where a cursor of versions points, if it is one.
pub(crate) fn read_version(cursor: &str) -> Option<u32> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    std::str::from_utf8(&bytes).ok()?.parse().ok()
}

/// The cursor of the resources after `uri`.
pub(crate) fn after_resource(uri: &Uri) -> String {
    URL_SAFE_NO_PAD.encode(uri.to_string())
}

/// Where a cursor of resources points, if it is one.
pub(crate) fn read_resource(cursor: &str) -> Option<Uri> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    Uri::parse(std::str::from_utf8(&bytes).ok()?)
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
}
