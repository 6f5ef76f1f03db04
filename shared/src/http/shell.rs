//! What every page has in common: how it looks, by the deployment's settings, and the content security policy that lets it look so
//! and do nothing else.
//!
//! A page is a template that extends `shared/templates/page.html` and whose struct has a `shell: &Shell`. What classes there are
//! to build it of stands at the top of `style.css`.

use std::fmt::{Display, Write};
use std::slice;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use sha2::{Digest, Sha256};
use url::Url;

use super::accent::Accent;
use super::answer;
use crate::environment::{Environment, Misconfigured};
use crate::lambda::Response;

/// The one stylesheet, but for the deployment's colour.
pub(super) const STYLE: &str = include_str!("style.css");

/// A script for pages with forms: a second click sends nothing.
pub const ONCE: &str = include_str!("once.js");

/// The look of a deployment.
pub struct Shell {
    product: String,
    logo: Option<String>,
    icon: String,
    support: Option<String>,
    style: String,
    style_hash: String,
}

/// Where the forms of a page lead. Chromium holds the redirect after a form to `form-action` too (w3c/webappsec-csp issue 8).
#[derive(Clone, Copy, Debug)]
pub enum Leads<'a> {
    /// To our own origin, and after a redirect to these: origins (`https://claude.ai`) or schemes (`cursor:`).
    To(&'a [&'a str]),
    /// To an application that may send the browser on, who knows where: with any `form-action`, Chromium would stop it there, after
    /// the person has approved.
    Anywhere,
}

impl Leads<'_> {
    /// To our own origin only.
    pub const HOME: Self = Self::To(&[]);
}

/// What a page lets in from elsewhere, by the directives of CSP3 §6.1. Constants of the code: no setting and no client writes
/// a policy.
#[derive(Clone, Copy, Debug)]
pub struct ThirdParty {
    /// Where scripts come from.
    pub script_src: &'static [&'static str],
    /// Where frames come from.
    pub frame_src: &'static [&'static str],
    /// Where stylesheets come from.
    pub style_src: &'static [&'static str],
    /// Where scripts of the page connect to.
    pub connect_src: &'static [&'static str],
}

impl ThirdParty {
    /// Nothing, as on nearly every page.
    pub const NONE: Self = Self { script_src: &[], frame_src: &[], style_src: &[], connect_src: &[] };
}

impl Shell {
    /// From `PRODUCT_NAME` and, if they are set: `LOGO` (an image as a `data:` address), `ACCENT_COLOR` (`#rrggbb`) and `SUPPORT_URL`
    /// (`https:` or `mailto:`).
    ///
    /// # Errors
    /// When one is missing or unusable.
    pub fn new(environment: &Environment) -> Result<Self, Misconfigured> {
        const LOGO: Misconfigured =
            Misconfigured::Unusable("LOGO", "data:image/svg+xml;base64,… (or png, webp) of at most 2048 characters");
        const ACCENT: Misconfigured = Misconfigured::Unusable("ACCENT_COLOR", "a colour like #1d4ed8");
        const SUPPORT: Misconfigured = Misconfigured::Unusable("SUPPORT_URL", "an https or mailto address");
        let logo = environment.optional("LOGO");
        if logo.as_deref().is_some_and(|logo| !is_image(logo)) {
            return Err(LOGO);
        }
        let accent = match environment.optional("ACCENT_COLOR") {
            Some(text) => Accent::parse(&text).ok_or(ACCENT)?,
            None => Accent::DEFAULT,
        };
        let support = environment.optional("SUPPORT_URL").map(|text| support(&text).ok_or(SUPPORT)).transpose()?;
        Ok(Self::of(environment.product_name()?, logo, accent, support))
    }

    fn of(product: String, logo: Option<String>, accent: Accent, support: Option<String>) -> Self {
        let style = format!("{}{STYLE}", accent.properties());
        let icon = logo.clone().unwrap_or_else(|| icon(accent));
        let style_hash = hash(&style);
        Self { product, logo, icon, support, style, style_hash }
    }

    /// What the product is called.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The content of the page's one `<style>`, to the byte: the policy names its digest.
    #[must_use]
    pub fn style(&self) -> &str {
        &self.style
    }

    /// Its logo, as the address of an image.
    #[must_use]
    pub fn logo(&self) -> Option<&str> {
        self.logo.as_deref()
    }

    /// What stands on the browser's tab: the logo, or else a square in the deployment's colour. A page without one makes browsers ask
    /// for `/favicon.ico`, and complain that the page's policy forbids it.
    #[must_use]
    pub fn icon(&self) -> &str {
        &self.icon
    }

    /// Where people find help.
    #[must_use]
    pub fn support(&self) -> Option<&str> {
        self.support.as_deref()
    }

    /// A rendered page as an answer. `script` is the text of its one `<script>`, to the byte; no page needs one to work.
    pub fn page(
        &self,
        status: StatusCode,
        leads: Leads<'_>,
        script: Option<&str>,
        rendered: Result<String, impl Display>,
    ) -> Response {
        self.page_with(ThirdParty::NONE, status, leads, script.as_slice(), rendered)
    }

    /// The same with several scripts of ours, and something of `third_party`.
    pub fn page_with(
        &self,
        third_party: ThirdParty,
        status: StatusCode,
        leads: Leads<'_>,
        scripts: &[&str],
        rendered: Result<String, impl Display>,
    ) -> Response {
        match rendered {
            Ok(html) => answer::page(status, &self.policy(third_party, leads, scripts), html),
            Err(error) => answer::because(answer::empty(StatusCode::INTERNAL_SERVER_ERROR), &error),
        }
    }

    fn policy(&self, third_party: ThirdParty, leads: Leads<'_>, scripts: &[&str]) -> String {
        let ThirdParty { script_src, frame_src, style_src, connect_src } = third_party;
        let mut policy = "default-src 'none'".to_owned();
        add(&mut policy, "style-src", slice::from_ref(&self.style_hash), style_src);
        policy.push_str("; base-uri 'none'; frame-ancestors 'none'; img-src data:");
        let hashes: Vec<String> = scripts.iter().map(|script| hash(script)).collect();
        add(&mut policy, "script-src", &hashes, script_src);
        add(&mut policy, "frame-src", &[], frame_src);
        add(&mut policy, "connect-src", &[], connect_src);
        if let Leads::To(sources) = leads {
            policy.push_str("; form-action 'self'");
            for source in sources.iter().map(|source| expressible(source)) {
                // What could end the directive is not a source: a policy must not be written by a client.
                if !source.is_empty() && source.bytes().all(|b| b.is_ascii_alphanumeric() || b":/.-+_".contains(&b)) {
                    let _ = write!(policy, " {source}");
                }
            }
        }
        policy
    }
}

/// Adds a directive to `policy` that allows what has one of these hashes or comes from these sources, if there are any.
fn add(policy: &mut String, directive: &str, hashes: &[String], sources: &[&str]) {
    if hashes.is_empty() && sources.is_empty() {
        return;
    }
    let _ = write!(policy, "; {directive}");
    for hash in hashes {
        let _ = write!(policy, " '{hash}'");
    }
    for source in sources {
        let _ = write!(policy, " {source}");
    }
}

/// An image that is in its own address: a page fetches nothing. As an image, an SVG runs no script. A function's settings have 4 KB
/// in all, and this is its share.
fn is_image(address: &str) -> bool {
    const KINDS: [&str; 3] = ["svg+xml", "png", "webp"];
    let data = KINDS.iter().find_map(|kind| address.strip_prefix(&format!("data:image/{kind};base64,")));
    address.len() <= 2048 && data.is_some_and(|data| !data.is_empty() && STANDARD.decode(data).is_ok())
}

fn icon(accent: Accent) -> String {
    let square = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="{accent}"/></svg>"#
    );
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(square))
}

fn support(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "https" | "mailto") && url.username().is_empty()).then(|| url.into())
}

/// CSP3 §2.3.1 knows no IPv6 address: there only the scheme can be named.
fn expressible(source: &str) -> &str {
    match source.split_once("//[") {
        Some((scheme, _)) => scheme,
        None => source,
    }
}

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(logo: Option<&str>) -> Shell {
        Shell::of("Amble".to_owned(), logo.map(str::to_owned), Accent::DEFAULT, None)
    }

    #[test]
    fn the_policy_names_where_forms_lead_and_nothing_a_client_could_smuggle_in() {
        let own = shell(None).policy(ThirdParty::NONE, Leads::HOME, &[]);
        assert!(own.starts_with("default-src 'none'; style-src 'sha256-"), "{own}");
        for (source, ending) in [
            ("https://claude.ai", "form-action 'self' https://claude.ai"),
            ("http://localhost:33418", "form-action 'self' http://localhost:33418"),
            ("http://[::1]:33418", "form-action 'self' http:"),
            ("cursor:", "form-action 'self' cursor:"),
            ("https://a; script-src *", "form-action 'self'"),
            ("https://a 'unsafe-inline'", "form-action 'self'"),
            ("*", "form-action 'self'"),
            ("", "form-action 'self'"),
        ] {
            let policy = shell(None).policy(ThirdParty::NONE, Leads::To(&[source]), &[]);
            assert!(policy.ends_with(ending), "{source}: {policy}");
        }
    }

    #[test]
    fn only_what_a_page_has_is_let_in() {
        let bare = shell(None).policy(ThirdParty::NONE, Leads::Anywhere, &[]);
        assert!(!["script-src", "form-action"].iter().any(|it| bare.contains(it)), "{bare}");
        let full = shell(None).policy(ThirdParty::NONE, Leads::Anywhere, &["let a = 1"]);
        assert!(full.contains("; img-src data:;") && full.contains("; script-src 'sha256-"), "{full}");
    }

    #[test]
    fn every_page_has_an_icon_in_itself() {
        const LOGO: &str = "data:image/png;base64,iVBORw0KGgo=";
        assert_eq!(shell(Some(LOGO)).icon(), LOGO);
        let own = shell(None);
        assert!(
            is_image(own.icon()) && own.policy(ThirdParty::NONE, Leads::HOME, &[]).contains("; img-src data:;"),
            "{}",
            own.icon()
        );
    }

    #[test]
    fn a_third_party_is_let_in_by_the_directives_that_it_needs() {
        let host = &["https://check.example"];
        let third_party = ThirdParty { script_src: host, frame_src: host, ..ThirdParty::NONE };
        let shell = shell(None);
        let policy = shell.policy(third_party, Leads::HOME, &["let a = 1"]);
        let expected = format!(
            "default-src 'none'; style-src '{}'; base-uri 'none'; frame-ancestors 'none'; img-src data:; \
             script-src '{}' https://check.example; frame-src https://check.example; form-action 'self'",
            shell.style_hash,
            hash("let a = 1")
        );
        assert_eq!(policy, expected);
        let policy =
            shell.policy(ThirdParty { style_src: host, connect_src: host, ..third_party }, Leads::Anywhere, &[]);
        let expected = format!(
            "default-src 'none'; style-src '{}' https://check.example; base-uri 'none'; frame-ancestors 'none'; img-src data:; \
             script-src https://check.example; frame-src https://check.example; connect-src https://check.example",
            shell.style_hash
        );
        assert_eq!(policy, expected);
    }

    #[test]
    fn a_logo_is_an_image_and_no_address_of_elsewhere() {
        for (text, good) in [
            ("data:image/svg+xml;base64,PHN2Zy8+", true),
            ("data:image/png;base64,iVBORw0KGgo=", true),
            ("data:text/html;base64,PHN2Zy8+", false),
            ("data:image/svg+xml,<svg/>", false),
            ("data:image/png;base64,", false),
            ("data:image/png;base64,\"><script>", false),
            ("https://cdn.example/logo.svg", false),
        ] {
            assert_eq!(is_image(text), good, "{text}");
        }
        assert!(!is_image(&format!("data:image/png;base64,{}", "A".repeat(2048))));
    }

    #[test]
    fn help_is_a_page_or_a_mailbox() {
        for (text, good) in [
            ("https://help.example.com/connect", true),
            ("mailto:help@example.com", true),
            ("http://help.example.com", false),
            ("javascript:alert(1)", false),
            ("https://user@example.com", false),
            ("help@example.com", false),
        ] {
            assert_eq!(support(text).is_some(), good, "{text}");
        }
    }
}
