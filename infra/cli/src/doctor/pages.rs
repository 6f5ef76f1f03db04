//! The pages as a person meets them: a browser without JavaScript, its cookies, and the forms that it is shown.

use std::collections::BTreeMap;

use reqwest::Method;
use scraper::{Html, Selector};
use url::Url;

use super::finding::Check;
use super::probe::{Probe, ProbeRequest, ProbeResponse};

/// A browser.
pub(crate) struct Browser<'p> {
    probe: &'p Probe,
    cookies: BTreeMap<String, String>,
}

/// A form on a page, as the browser would send it.
pub(crate) struct Form {
    action: String,
    fields: Vec<(String, String)>,
    /// What can be chosen, by the name of the field: enabled radio buttons.
    choices: Vec<(String, String)>,
}

/// A page, and where it is.
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) response: ProbeResponse,
}

impl<'p> Browser<'p> {
    pub(crate) const fn new(probe: &'p Probe) -> Self {
        Self { probe, cookies: BTreeMap::new() }
    }

    /// Opens an address, and follows redirects as long as they stay on `origin`.
    pub(crate) async fn visit(&mut self, check: &mut Check, url: &str, origin: &str) -> Option<Page> {
        const MOST: usize = 10;
        let mut url = Url::parse(url).ok()?;
        for _ in 0..MOST {
            let cookies = self.header();
            let headers: Vec<_> = cookies.as_deref().map(|cookies| ("cookie", cookies)).into_iter().collect();
            let request = ProbeRequest { method: Method::GET, url: url.as_str(), headers: &headers, body: None };
            let response = self.probe.send(check, request).await?;
            self.keep(&response);
            let next = response.header("location").and_then(|location| url.join(location).ok());
            match next {
                Some(next) if response.is_redirect() && next.origin().ascii_serialization() == origin => url = next,
                _ => return Some(Page { url, response }),
            }
        }
        check.broken(
            "circles",
            format!("people are sent in circles at {}", url.path()),
            "People never arrive at a page.",
            "Look whether the session's cookies reach the functions (SessionCookie, and what stands in front).",
        );
        None
    }

    /// Sends a form as a browser does from our own page.
    pub(crate) async fn submit(&mut self, check: &mut Check, page: &Page, form: &Form) -> Option<ProbeResponse> {
        let url = page.url.join(&form.action).ok()?;
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        let cookies = self.header();
        let mut headers = vec![
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "null"),
            ("sec-fetch-site", "same-origin"),
        ];
        headers.extend(cookies.as_deref().map(|cookies| ("cookie", cookies)));
        let request = ProbeRequest { method: Method::POST, url: url.as_str(), headers: &headers, body: Some(body) };
        let response = self.probe.send(check, request).await?;
        self.keep(&response);
        Some(response)
    }

    fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn keep(&mut self, response: &ProbeResponse) {
        for line in response.cookies() {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let Some((name, value)) = pair.split_once('=') else { continue };
            if attributes.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Form {
    /// The form of a page that has a field of that name.
    pub(crate) fn find(page: &Page, field: &str) -> Option<Self> {
        let (forms, named, inputs) = (selector("form")?, selector(&format!("[name=\"{field}\"]"))?, selector("input")?);
        let html = Html::parse_document(&page.response.body);
        let form = html.select(&forms).find(|form| form.select(&named).next().is_some())?;
        let (mut fields, mut choices) = (Vec::new(), Vec::new());
        for input in form.select(&inputs).map(|input| input.value()) {
            let Some(name) = input.attr("name") else { continue };
            let pair = (name.to_owned(), input.attr("value").unwrap_or_default().to_owned());
            let kind = input.attr("type");
            if kind == Some("radio") && input.attr("disabled").is_none() {
                choices.push(pair.clone());
            }
            if !matches!(kind, Some("checkbox" | "radio")) || input.attr("checked").is_some() {
                fields.push(pair);
            }
        }
        Some(Self { action: form.value().attr("action")?.to_owned(), fields, choices })
    }

    /// With a field set.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a field, as it is.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What can be chosen for a field.
    pub(crate) fn choices(&self, name: &str) -> impl Iterator<Item = &str> {
        self.choices.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The title of a page, for whoever reads that it is another one than expected.
pub(crate) fn title(response: &ProbeResponse) -> String {
    let html = Html::parse_document(&response.body);
    let title = selector("h1").and_then(|h1| html.select(&h1).next().map(|h1| h1.text().collect::<String>()));
    title.map_or_else(
        || format!("{} without a heading", response.status),
        |title| format!("{} “{}”", response.status, title.trim()),
    )
}

fn selector(text: &str) -> Option<Selector> {
    Selector::parse(text).ok()
}
