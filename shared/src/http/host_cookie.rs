//! Cookies with the prefix `__Host-`: only this host can set them (RFC 6265bis §4.1.3.2), and no script can
//! read them.

use lambda_http::{Body, Request, Response};

use crate::http::{cookie, response};
use crate::oauth::issuer::Issuer;

/// The name of the cookie in the browser. Over plain HTTP on loopback the prefix is not possible.
#[must_use]
pub fn name(name: &str, issuer: &Issuer) -> String {
    if issuer.is_plain_http() { name.to_owned() } else { format!("__Host-{name}") }
}

/// The value that came with `request`.
#[must_use]
pub fn value<'a>(request: &'a Request, name: &str, issuer: &Issuer) -> Option<&'a str> {
    let name = self::name(name, issuer);
    cookie::of(request.headers()).find_map(|(known, value)| (known == name).then_some(value))
}

/// Sets the cookie for `age` seconds. 0 deletes it, `None` keeps it until the browser is closed. `value` has
/// only what a cookie may have.
pub fn set(response: &mut Response<Body>, name: &str, value: &str, age: Option<u32>, issuer: &Issuer) {
    response::set_cookie(response, &self::name(name, issuer), value, age, issuer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response::empty;
    use http::header::{COOKIE, SET_COOKIE};

    #[test]
    fn cookies_are_host_only_and_http_only() {
        for (issuer, kept, attributes) in [
            ("https://connect.example.com", "__Host-x", "Path=/; Max-Age=9; HttpOnly; SameSite=Lax; Secure"),
            ("http://localhost:8787", "x", "Path=/; Max-Age=9; HttpOnly; SameSite=Lax"),
        ] {
            let issuer = Issuer::parse(issuer).unwrap();
            let mut response = empty(http::StatusCode::OK);
            set(&mut response, "x", "y", Some(9), &issuer);
            assert_eq!(response.headers()[SET_COOKIE].to_str().unwrap(), format!("{kept}=y; {attributes}"));

            let request = http::Request::get("/").header(COOKIE, format!("a=b; {kept}=y; xx=z"));
            let request = request.body(lambda_http::Body::Empty).unwrap();
            assert_eq!((value(&request, "x", &issuer), value(&request, "z", &issuer)), (Some("y"), None));
        }
    }
}
