//! What stands in the recordings for what differs each time: `<uuid 3>`, `<time>` and so on. The same number is the same
//! value wherever it stands, in answers as in requests.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

pub(crate) struct Placeholders {
    /// Header and claims of the recorded tokens, by placeholder.
    jwts: Value,
    bound: BTreeMap<String, String>,
}

impl Placeholders {
    pub(crate) fn new(jwts: Value) -> Self {
        Self { jwts, bound: BTreeMap::new() }
    }

    pub(crate) fn bound(&self, placeholder: &str) -> Option<&str> {
        self.bound.get(placeholder).map(String::as_str)
    }

    /// A recorded request with our values. `hash` is that of the newest mail.
    pub(crate) fn fill(&self, recorded: &str, hash: &str, now: i64) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = recorded;
        while let Some((before, placeholder, after)) = next(rest) {
            filled.push_str(before);
            match self.bound(placeholder) {
                Some(value) => filled.push_str(value),
                None if placeholder.starts_with("<hash ") => filled.push_str(hash),
                None if placeholder.starts_with("<jwt ") => filled.push_str(&self.forged(placeholder, now)?),
                None => return Err(format!("{placeholder} never came")),
            }
            rest = after;
        }
        Ok(filled + rest)
    }

    /// A token that the server never issued: the recorded one, with a signature that is none.
    fn forged(&self, placeholder: &str, now: i64) -> Result<String, String> {
        let recorded = &self.jwts[placeholder];
        let mut parts = Vec::new();
        for part in ["header", "claims"] {
            let text = recorded[part].to_string().replace("\"<seconds>\"", &(now + 3600).to_string());
            parts.push(BASE64_URL_SAFE_NO_PAD.encode(self.fill(&text, "", now)?));
        }
        let signature = if recorded["header"]["alg"] == "none" { &[][..] } else { &[7; 64] };
        Ok(format!("{}.{}", parts.join("."), BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Compares values; what differs is told with its place.
    pub(crate) fn value(&mut self, at: &str, recorded: &Value, ours: &Value, told: &mut Vec<String>) {
        match (recorded, ours) {
            (Value::Object(recorded), Value::Object(ours)) => {
                for (name, recorded) in recorded {
                    match ours.get(name) {
                        Some(ours) => self.value(&format!("{at}.{name}"), recorded, ours, told),
                        None => told.push(format!("{at}.{name} is not there")),
                    }
                }
                let more = ours.keys().filter(|name| !recorded.contains_key(*name));
                told.extend(more.map(|name| format!("{at}.{name} is there")));
            }
            (Value::Array(recorded), Value::Array(ours)) if recorded.len() == ours.len() => {
                for (place, (recorded, ours)) in recorded.iter().zip(ours).enumerate() {
                    self.value(&format!("{at}[{place}]"), recorded, ours, told);
                }
            }
            (Value::String(recorded), Value::Number(ours)) if recorded == "<seconds>" && ours.is_i64() => {}
            (Value::String(recorded), Value::String(ours)) => self.text(at, recorded, ours, told),
            (recorded, ours) if recorded == ours => {}
            (recorded, ours) => told.push(format!("{at} is {ours}, recorded {recorded}")),
        }
    }

    pub(crate) fn text(&mut self, at: &str, recorded: &str, ours: &str, told: &mut Vec<String>) {
        self.matches(at, recorded, ours, false, told);
    }

    /// Of a recorded text that was cut.
    pub(crate) fn beginning(&mut self, at: &str, recorded: &str, ours: &str, told: &mut Vec<String>) {
        self.matches(at, recorded, ours, true, told);
    }

    fn matches(&mut self, at: &str, recorded: &str, ours: &str, cut: bool, told: &mut Vec<String>) {
        let staged = staged(recorded);
        let differs = || format!("{at} is {ours:?}, recorded {recorded:?}");
        let (mut pattern, mut text) = (staged.as_str(), ours);
        while let Some((before, placeholder, after)) = next(pattern) {
            let Some(rest) = text.strip_prefix(before) else { return told.push(differs()) };
            let literal = next(after).map_or(after, |(literal, ..)| literal);
            let end = match literal {
                "" => Some(rest.len()),
                // The cut can be anywhere in what follows.
                literal if cut && next(after).is_none() => {
                    let first = literal.chars().next().unwrap_or_default();
                    rest.find(literal).or_else(|| rest.find(first))
                }
                literal => rest.find(literal),
            };
            let Some(end) = end else { return told.push(differs()) };
            self.bind(at, placeholder, &rest[..end], told);
            (pattern, text) = (after, &rest[end..]);
        }
        if !(text == pattern || cut && text.starts_with(pattern)) {
            told.push(differs());
        }
    }

    /// The value is of the placeholder's kind, and the same as before.
    fn bind(&mut self, at: &str, placeholder: &str, value: &str, told: &mut Vec<String>) {
        let lower = |value: &str| value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let fits = match placeholder.trim_matches(['<', '>']).split(' ').next().unwrap_or_default() {
            "uuid" | "kid" => Uuid::parse_str(value).is_ok(),
            "hash" => value.len() == 56 && lower(value),
            "time" => value.len() >= 20 && value.ends_with('Z') && value.contains('T'),
            "seconds" | "N" => value.parse::<i64>().is_ok(),
            "refresh" => (value.len() == 12 && lower(value)) || value.len() == 51,
            "jwt" => {
                let (recorded, ours) = (self.jwts[placeholder].clone(), decoded(value));
                self.value(&format!("{at} {placeholder}"), &recorded, &ours, told);
                true
            }
            _ => !value.is_empty(),
        };
        // Times and the like have no number: any value fits.
        let numbered = placeholder.contains(char::is_numeric);
        if !fits {
            told.push(format!("{at} has {value:?} for {placeholder}"));
        } else if numbered && self.bound(placeholder).is_some_and(|known| known != value) {
            told.push(format!("{at} has another {placeholder} than before"));
        } else {
            self.bound.insert(placeholder.to_owned(), value.to_owned());
        }
    }
}

/// The text before the first placeholder, the placeholder, and the rest.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let starts = KINDS.iter().filter_map(|kind| text.find(&format!("<{kind}")));
    let start = starts.min()?;
    let end = start + text[start..].find('>')? + 1;
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// What the recording's provider said and where it was, in terms of ours.
fn staged(recorded: &str) -> String {
    recorded
        .replace("http://provider.example/protocol/openid-connect/auth", "http://localhost:54321/provider")
        .replace("<refresh 23>%40example.com", "<provider refresh token>")
        .replace("kcr.ana@example.com", "<provider refresh token>")
        .replace("kc.ana@example.com", "<provider token>")
        .replace("kc-36324b2c364c", "<provider id>")
        .replace("after N seconds", "after <N> seconds")
}

fn decoded(token: &str) -> Value {
    let part = |at: usize| {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(at)?).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    serde_json::json!({ "header": part(0), "claims": part(1) })
}

const KINDS: [&str; 11] =
    ["uuid ", "jwt ", "refresh ", "hash ", "provider ", "time>", "seconds>", "kid>", "x>", "y>", "N>"];
