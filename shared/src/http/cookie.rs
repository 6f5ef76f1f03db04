//! The `Cookie` header of a request (RFC 6265 §4.2), for every reader of cookies.

use http::HeaderMap;
use http::header::COOKIE;

/// The cookies of a request as names and values, in their order.
pub fn of(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok()).flat_map(parse)
}

/// The cookies in the text of one header. `lambda_http` joins cookies without a space, so a space is optional here.
pub fn parse(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(|cookie| cookie.split_once('=')).map(|(name, value)| (name.trim(), value.trim()))
}
