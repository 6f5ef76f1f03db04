//! What every page has in common: the look, by the deployment's settings, and the content security policy.
//!
//! A page is a template that extends `shared/templates/page.html`, and its struct has a `layout: &Layout`.
//! The top of `style.css` lists the classes.

use std::fmt::{Display, Write};
use std::slice;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use lambda_http::{Body, Response};
use sha2::{Digest, Sha256};
use url::Url;

use super::accent::Accent;
use super::public_paths::PublicPaths;
use super::response;
use crate::environment::{ConfigError, Environment};
use crate::telemetry::request_context::RequestContext;

/// The stylesheet, without the deployment's colour.
pub(super) const STYLE: &str = include_str!("style.css");

/// A script for pages with forms: a second click sends nothing.
pub const ONCE: &str = include_str!("once.js");

/// A script for pages with a button that gives something away, which is marked `data-deliberate`: only a press that was meant counts.
/// The stylesheet holds such a button back for as long where no script runs.
pub const DELIBERATE: &str = include_str!("deliberate.js");

/// The look of a deployment.
pub struct Layout {
    product: String,
    logo: Option<String>,
    icon: String,
    support: Option<String>,
    style: String,
    style_hash: String,
    paths: PublicPaths,
}

/// Where the forms of a page may be sent (`form-action`).
///
/// Chromium holds the redirect after a form to `form-action` too (w3c/webappsec-csp issue 8).
#[derive(Clone, Copy, Debug)]
pub enum FormAction<'a> {
    /// To our own origin, with a redirect to these origins (`https://claude.ai`) or schemes (`cursor:`).
    To(&'a [&'a str]),
    /// To an application that may redirect the browser to any address. With any `form-action`, Chromium would
    /// block that redirect, after the person has approved.
    Anywhere,
}

impl FormAction<'_> {
    /// To our own origin only.
    pub const OWN_ORIGIN: Self = Self::To(&[]);
}

/// What a page loads from other origins, by the directives of CSP3 §6.1. These are constants of the code: no
/// setting and no client changes a policy.
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

impl Layout {
    /// From `PRODUCT_NAME` and, if they are set: `LOGO` (an image as a `data:` address), `ACCENT_COLOR` (`#rrggbb`) and `SUPPORT_URL`
    /// (`https:` or `mailto:`). Its links lead to `ADMIN_PATH` and `AUTH_PATH`.
    ///
    /// # Errors
    /// When one is missing or unusable.
    pub fn new(environment: &Environment) -> Result<Self, ConfigError> {
        const LOGO: ConfigError =
            ConfigError::Unusable("LOGO", "data:image/svg+xml;base64,… (or png, webp) of at most 2048 characters");
        const ACCENT: ConfigError = ConfigError::Unusable("ACCENT_COLOR", "a colour like #1d4ed8");
        const SUPPORT: ConfigError = ConfigError::Unusable("SUPPORT_URL", "an https or mailto address");
        let logo = environment.optional("LOGO");
        if logo.as_deref().is_some_and(|logo| !is_image(logo)) {
            return Err(LOGO);
        }
        let accent = match environment.optional("ACCENT_COLOR") {
            Some(text) => Accent::parse(&text).ok_or(ACCENT)?,
            None => Accent::DEFAULT,
        };
        let support = environment.optional("SUPPORT_URL").map(|text| support(&text).ok_or(SUPPORT)).transpose()?;
        Ok(Self::of(environment.product_name()?, logo, accent, support, environment.public_paths()?))
    }

    fn of(product: String, logo: Option<String>, accent: Accent, support: Option<String>, paths: PublicPaths) -> Self {
        let style = format!("{}{STYLE}", accent.properties());
        let icon = logo.clone().unwrap_or_else(|| icon(accent));
        let style_hash = hash(&style);
        Self { product, logo, icon, support, style, style_hash, paths }
    }

    /// What the product is called.
    #[must_use]
    pub fn product(&self) -> &str {
        &self.product
    }

    /// Where the links and forms of pages lead.
    #[must_use]
    pub const fn paths(&self) -> &PublicPaths {
        &self.paths
    }

    /// The exact content of the page's one `<style>`: the policy has its digest.
    #[must_use]
    pub fn style(&self) -> &str {
        &self.style
    }

    /// Its logo, as the address of an image.
    #[must_use]
    pub fn logo(&self) -> Option<&str> {
        self.logo.as_deref()
    }

    /// The icon of the browser's tab: the logo, or else a square in the deployment's colour. Without one,
    /// browsers request `/favicon.ico`, which the page's policy forbids.
    #[must_use]
    pub fn icon(&self) -> &str {
        &self.icon
    }

    /// Where people find help.
    #[must_use]
    pub fn support(&self) -> Option<&str> {
        self.support.as_deref()
    }

    /// The id of the request that is being answered, for the page of its error: whoever helps finds in the logs by it what happened.
    /// None where API Gateway gave it none.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        RequestContext::current()?.request_id().map(str::to_owned)
    }

    /// The same of the form that was answered by a redirect to this page: the reason is in the lines of that request.
    #[must_use]
    pub fn form_request_id(&self) -> Option<String> {
        RequestContext::current()?.form_request_id().map(str::to_owned)
    }

    /// A rendered page as a response. `script` is the exact text of its one `<script>`. No page needs a
    /// script to work.
    pub fn page(
        &self,
        status: StatusCode,
        form_action: FormAction<'_>,
        script: Option<&str>,
        rendered: Result<String, impl Display>,
    ) -> Response<Body> {
        self.page_with(ThirdParty::NONE, status, form_action, script.as_slice(), rendered)
    }

    /// The same with several scripts of ours, and what it loads from a third party.
    pub fn page_with(
        &self,
        third_party: ThirdParty,
        status: StatusCode,
        form_action: FormAction<'_>,
        scripts: &[&str],
        rendered: Result<String, impl Display>,
    ) -> Response<Body> {
        match rendered {
            Ok(html) => response::page(status, &self.policy(third_party, form_action, scripts), html),
            Err(error) => response::with_reason(response::empty(StatusCode::INTERNAL_SERVER_ERROR), &error),
        }
    }

    fn policy(&self, third_party: ThirdParty, form_action: FormAction<'_>, scripts: &[&str]) -> String {
        let ThirdParty { script_src, frame_src, style_src, connect_src } = third_party;
        let mut policy = "default-src 'none'".to_owned();
        add(&mut policy, "style-src", slice::from_ref(&self.style_hash), style_src);
        policy.push_str("; base-uri 'none'; frame-ancestors 'none'; img-src data:");
        let hashes: Vec<String> = scripts.iter().map(|script| hash(script)).collect();
        add(&mut policy, "script-src", &hashes, script_src);
        add(&mut policy, "frame-src", &[], frame_src);
        add(&mut policy, "connect-src", &[], connect_src);
        if let FormAction::To(sources) = form_action {
            policy.push_str("; form-action 'self'");
            for source in sources.iter().map(|source| expressible(source)) {
                // A source that could end the directive is left out: no client may change a policy.
                if !source.is_empty() && source.bytes().all(|b| b.is_ascii_alphanumeric() || b":/.-+_".contains(&b)) {
                    let _ = write!(policy, " {source}");
                }
            }
        }
        policy
    }
}

/// Adds a directive to `policy` that allows these hashes and sources, if there are any.
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

/// An image as a `data:` URL, so that a page fetches nothing. An SVG runs no script as an image. The limit
/// leaves room for the other settings: Lambda allows 4 KB in all.
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

/// CSP3 §2.3.1 has no IPv6 addresses: there only the scheme can be given.
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

    fn layout(logo: Option<&str>) -> Layout {
        Layout::of("Amble".to_owned(), logo.map(str::to_owned), Accent::DEFAULT, None, PublicPaths::default())
    }

    #[test]
    fn form_action_takes_only_origins_and_schemes() {
        let own = layout(None).policy(ThirdParty::NONE, FormAction::OWN_ORIGIN, &[]);
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
            let policy = layout(None).policy(ThirdParty::NONE, FormAction::To(&[source]), &[]);
            assert!(policy.ends_with(ending), "{source}: {policy}");
        }
    }

    #[test]
    fn policy_allows_only_what_the_page_uses() {
        let bare = layout(None).policy(ThirdParty::NONE, FormAction::Anywhere, &[]);
        assert!(!["script-src", "form-action"].iter().any(|it| bare.contains(it)), "{bare}");
        let full = layout(None).policy(ThirdParty::NONE, FormAction::Anywhere, &["let a = 1"]);
        assert!(full.contains("; img-src data:;") && full.contains("; script-src 'sha256-"), "{full}");
    }

    #[test]
    fn icon_is_a_data_url() {
        const LOGO: &str = "data:image/png;base64,iVBORw0KGgo=";
        assert_eq!(layout(Some(LOGO)).icon(), LOGO);
        let own = layout(None);
        assert!(
            is_image(own.icon())
                && own.policy(ThirdParty::NONE, FormAction::OWN_ORIGIN, &[]).contains("; img-src data:;"),
            "{}",
            own.icon()
        );
    }

    #[test]
    fn policy_names_third_party_sources() {
        let host = &["https://check.example"];
        let third_party = ThirdParty { script_src: host, frame_src: host, ..ThirdParty::NONE };
        let layout = layout(None);
        let policy = layout.policy(third_party, FormAction::OWN_ORIGIN, &["let a = 1"]);
        let expected = format!(
            "default-src 'none'; style-src '{}'; base-uri 'none'; frame-ancestors 'none'; img-src data:; \
             script-src '{}' https://check.example; frame-src https://check.example; form-action 'self'",
            layout.style_hash,
            hash("let a = 1")
        );
        assert_eq!(policy, expected);
        let policy =
            layout.policy(ThirdParty { style_src: host, connect_src: host, ..third_party }, FormAction::Anywhere, &[]);
        let expected = format!(
            "default-src 'none'; style-src '{}' https://check.example; base-uri 'none'; frame-ancestors 'none'; img-src data:; \
             script-src https://check.example; frame-src https://check.example; connect-src https://check.example",
            layout.style_hash
        );
        assert_eq!(policy, expected);
    }

    #[test]
    fn logo_is_an_image_data_url() {
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
    fn support_url_is_https_or_mailto() {
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
