//! The `Cookie` header of a request (RFC 6265 §4.2), for every reader of cookies.

use http::HeaderMap;
use http::header::COOKIE;

/// The cookies of a request as names and values, in their order. One that is no text hides no other: any host of the domain can set it.
pub fn of(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let cookies = headers.get_all(COOKIE).iter().flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    cookies.filter_map(|cookie| pair(str::from_utf8(cookie).ok()?))
}

/// The cookies in the text of one header.
pub fn parse(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(pair)
}

/// `lambda_http` joins cookies without a space, so a space is optional here.
fn pair(cookie: &str) -> Option<(&str, &str)> {
    cookie.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn cookie_that_is_no_text_hides_no_other() {
        let mut headers = HeaderMap::new();
        for header in [&b"a=1;b=\xfc; c=3"[..], "d=\u{fc};e".as_bytes()] {
            headers.append(COOKIE, HeaderValue::from_bytes(header).unwrap());
        }
        assert_eq!(of(&headers).collect::<Vec<_>>(), [("a", "1"), ("c", "3"), ("d", "\u{fc}")]);
    }
}
