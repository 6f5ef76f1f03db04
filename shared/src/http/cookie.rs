//! The `Cookie` header of a request (RFC 6265 §4.2), for every reader of cookies.

use http::HeaderMap;
use http::header::COOKIE;

/// White space around a name and a value.
const SPACE: [char; 2] = [' ', '\t'];

/// The cookies of a request as names and values, in their order. One that is no text hides no other: any host of the domain can set it.
pub fn of(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let cookies = headers.get_all(COOKIE).iter().flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    cookies.filter_map(|cookie| pair(str::from_utf8(cookie).ok()?))
}

/// The cookies in the text of one header.
pub fn parse(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(pair)
}

/// `lambda_http` joins cookies without a space, so a space is optional here. No other white space is taken away (RFC 6265 §5.2): browsers
/// keep `__Host-` for this host only where a name begins with it, and any host of the domain can set a name that begins with U+2000.
fn pair(cookie: &str) -> Option<(&str, &str)> {
    cookie.split_once('=').map(|(name, value)| (name.trim_matches(SPACE), value.trim_matches(SPACE)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn white_space_beyond_ascii_is_part_of_a_name() {
        for space in ["\u{2000}", "\u{85}", "\u{a0}", "\u{3000}", "\u{b}", "\u{c}"] {
            let [before, after] = [format!("{space}__Host-session=1"), format!("__Host-session{space}=1; a=1")];
            for header in [before, after] {
                assert!(parse(&header).all(|(name, _)| name != "__Host-session"), "{header:?}");
            }
        }
        assert_eq!(parse("\t__Host-session = 1\t; a=2").collect::<Vec<_>>(), [("__Host-session", "1"), ("a", "2")]);
    }

    #[test]
    fn cookie_that_is_no_text_hides_no_other() {
        let mut headers = HeaderMap::new();
        for header in [&b"a=1;b=\xfc; c=3"[..], "d=\u{fc};e".as_bytes()] {
            headers.append(COOKIE, HeaderValue::from_bytes(header).unwrap());
        }
        assert_eq!(of(&headers).collect::<Vec<_>>(), [("a", "1"), ("c", "3"), ("d", "\u{fc}")]);
    }
}
