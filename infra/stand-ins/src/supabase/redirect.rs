//! Where people may be sent back to, and the addresses that send them (GoTrue `internal/utilities/request.go`).

use crate::supabase::parameters::Parameters;
use crate::supabase::refusal::Refusal;
use crate::supabase::{Site, Supabase};
use axum::http::{HeaderMap, header};
use url::{Host, Url, form_urlencoded};

impl Supabase {
    /// The address asked for (header, then query), else the `Referer`, else `SITE_URL`: the first that is allowed. Nobody
    /// is told that theirs was not.
    pub(super) fn redirect_to(&self, headers: &HeaderMap, parameters: &Parameters) -> Result<Url, Refusal> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let asked = match header("redirect_to") {
            "" => parameters.first("redirect_to"),
            asked => asked,
        };
        let allowed =
            [asked, header(header::REFERER.as_str())].into_iter().find_map(|address| self.site.allowed(address));
        allowed.map_or_else(|| self.site_url(), Ok)
    }

    pub(super) fn site_url(&self) -> Result<Url, Refusal> {
        Url::parse(&self.site.site_url).map_err(|_| Refusal::Fault)
    }
}

impl Site {
    fn allowed(&self, address: &str) -> Option<Url> {
        if address.chars().any(|letter| letter <= ' ' || letter == '\u{7f}') {
            return None;
        }
        let (site, url) = (Url::parse(&self.site_url).ok()?, Url::parse(address).ok()?);
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
        let allowed = at_the_site
            || match url.host() {
                Some(Host::Ipv4(_) | Host::Ipv6(_)) => loopback,
                Some(Host::Domain(_)) | None => {
                    let compared = address.split('#').next().unwrap_or_default();
                    self.allow_list.iter().any(|glob| matches(glob, compared))
                }
            };
        allowed.then_some(url)
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

/// Sets parameters of the query, which comes out sorted, as from Go's `url.Values`.
pub(super) fn with_query(mut url: Url, parameters: &[(&str, String)]) -> Url {
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    pairs.retain(|(name, _)| parameters.iter().all(|(set, _)| set != name));
    pairs.extend(parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    url.set_query(Some(&form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()));
    url
}

/// Sets the fragment to these parameters. The empty `sb` tells clients whose fragment it is.
pub(super) fn with_fragment(mut url: Url, parameters: &[(&str, String)]) -> Url {
    let fragment =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).append_pair("sb", "").finish();
    url.set_fragment(Some(&fragment));
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supabase::secret::Secret;

    #[test]
    fn an_address_is_allowed_on_the_site_or_by_the_list() {
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
            assert_eq!(site.allowed(address).is_some(), allowed, "{address}");
        }
    }

    #[test]
    fn a_query_that_is_there_is_kept() {
        let url = Url::parse("https://a.example/cb?flow=1&code=old").unwrap();

        assert_eq!(with_query(url, &[("code", "new".to_owned())]).as_str(), "https://a.example/cb?code=new&flow=1");
    }
}
