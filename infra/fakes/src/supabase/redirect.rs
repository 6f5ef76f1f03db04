//! Where people may be sent back to, and the addresses that send them (GoTrue `internal/utilities/request.go`).

use crate::supabase::parameters::Parameters;
use crate::supabase::project::{Site, Supabase};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use url::{Host, Url, form_urlencoded};

impl Supabase {
    /// The address asked for (header, then query), else the `Referer`, else `SITE_URL`: the first that is allowed. Nobody
    /// is told that theirs was not.
    pub(super) fn redirect_to(&self, headers: &HeaderMap, parameters: &Parameters) -> String {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let requested = match header("redirect_to") {
            "" => parameters.first("redirect_to"),
            requested => requested,
        };
        let allowed =
            [requested, header(header::REFERER.as_str())].into_iter().find(|address| self.site.allows(address));
        allowed.unwrap_or(&self.site.site_url).to_owned()
    }
}

impl Site {
    pub(super) fn allows(&self, address: &str) -> bool {
        if address.chars().any(|letter| letter <= ' ' || letter == '\u{7f}') {
            return false;
        }
        let (Ok(site), Ok(url)) = (Url::parse(&self.site_url), Url::parse(address)) else { return false };
        let loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        // RFC 8252 §7.3: a native app listens on any port of the loopback interface.
        let at_the_site = site.scheme() == url.scheme()
            && site.host() == url.host()
            && (loopback || site.port_or_known_default() == url.port_or_known_default());
        at_the_site
            || match url.host() {
                Some(Host::Ipv4(_) | Host::Ipv6(_)) => loopback,
                Some(Host::Domain(_)) | None => {
                    let compared = address.split('#').next().unwrap_or_default();
                    self.allow_list.iter().any(|glob| matches(glob, compared))
                }
            }
    }
}

/// `*` is any run without `.` and `/`, `**` any run, `?` one character other than these; the rest stands for itself.
fn matches(glob: &str, text: &str) -> bool {
    let separates = |letter: char| letter == '.' || letter == '/';
    if let Some(rest) = glob.strip_prefix("**") {
        return text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| matches(rest, text.split_at(at).1));
    }
    if let Some(rest) = glob.strip_prefix('*') {
        let run = text.find(separates).unwrap_or(text.len());
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]).take_while(|at| *at <= run);
        return ends.into_iter().any(|at| matches(rest, text.split_at(at).1));
    }
    let (mut pattern, mut letters) = (glob.chars(), text.chars());
    match (pattern.next(), letters.next()) {
        (None, None) => true,
        (Some('?'), Some(letter)) if !separates(letter) => matches(pattern.as_str(), letters.as_str()),
        (Some(wanted), Some(letter)) if wanted == letter => matches(pattern.as_str(), letters.as_str()),
        _ => false,
    }
}

/// Sets parameters of the query, which comes out sorted, as from Go's `url.Values`. The rest of the address stays as it
/// was written: an address without a path gets none.
pub(super) fn with_query(url: &str, parameters: &[(&str, String)]) -> String {
    let (url, fragment) = url.split_once('#').map_or((url, None), |(url, fragment)| (url, Some(fragment)));
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    pairs.retain(|(name, _)| parameters.iter().all(|(set, _)| set != name));
    pairs.extend(parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{address}?{}{fragment}", sorted(pairs))
}

/// Sets the fragment to these parameters, sorted. The empty `sb` tells clients whose fragment it is.
pub(super) fn with_fragment(url: &str, parameters: &[(&str, String)]) -> String {
    let address = url.split('#').next().unwrap_or_default();
    let pairs = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    format!("{address}#{}", sorted(pairs.chain([("sb".to_owned(), String::new())]).collect()))
}

/// What went wrong, as a fragment. GoTrue encodes these twice.
pub(super) fn with_error_fragment(url: &str, parameters: &[(&str, String)]) -> String {
    with_fragment(url, parameters).replace('%', "%25").replacen(&url.replace('%', "%25"), url, 1)
}

/// A redirect as Go's `http.Redirect` writes it, with a page for browsers that do not follow.
pub(super) fn redirect(status: StatusCode, location: &str) -> Response {
    redirect_then(status, location, "")
}

/// The same, and more text after it.
pub(super) fn redirect_then(status: StatusCode, location: &str, more: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut link = String::new();
    for letter in location.chars() {
        match letter {
            '&' => link.push_str("&amp;"),
            '<' => link.push_str("&lt;"),
            '>' => link.push_str("&gt;"),
            '"' => link.push_str("&#34;"),
            '\'' => link.push_str("&#39;"),
            letter => link.push(letter),
        }
    }
    let page = Html(format!("<a href=\"{link}\">{reason}</a>.\n\n{more}"));
    (status, [(header::LOCATION, location)], page).into_response()
}

fn sorted(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supabase::secret::Secret;

    #[test]
    fn redirect_urls_are_allowed_by_site_url_or_allow_list() {
        let site = Site {
            url: "http://127.0.0.1:54321".to_owned(),
            site_url: "https://app.example.com/welcome".to_owned(),
            allow_list: vec![
                "https://*.preview.example.org/**".to_owned(),
                "https://connect.example.com/auth/callback**".to_owned(),
            ],
            publishable_key: "sb_publishable_x".to_owned(),
            secret_key: Secret::from("sb_secret_x"),
        };

        for (address, allowed) in [
            ("https://app.example.com/anything?at=all", true),
            ("https://app.example.com:444/", false),
            ("http://app.example.com/", false),
            ("https://connect.example.com/auth/callback?flow=1", true),
            ("https://connect.example.com/auth/callback/deeper", true),
            ("https://connect.example.com/auth/callbac", false),
            ("https://connect.example.com.evil.org/auth/callback", false),
            ("https://one.preview.example.org/a/b", true),
            ("https://one.two.preview.example.org/", false),
            ("http://127.0.0.1:9999/cb", true),
            ("http://10.0.0.1/cb", false),
            ("\thttps://app.example.com/", false),
            ("", false),
        ] {
            assert_eq!(site.allows(address), allowed, "{address}");
        }
    }

    #[test]
    fn existing_query_is_kept() {
        let code = [("code", "new".to_owned())];

        assert_eq!(with_query("https://a.example/cb?flow=1&code=old", &code), "https://a.example/cb?code=new&flow=1");
        assert_eq!(with_query("http://localhost:3000", &code), "http://localhost:3000?code=new");
    }

    /// As recorded.
    #[test]
    fn an_error_is_encoded_twice_in_a_fragment() {
        let error = [("error_description", "no code: 5c1f".to_owned())];

        let url = with_error_fragment("https://a.example/cb?x=%3A", &error);

        assert_eq!(url, "https://a.example/cb?x=%3A#error_description=no+code%253A+5c1f&sb=");
    }
}
