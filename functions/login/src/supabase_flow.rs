//! A PKCE flow between us and Supabase Auth (RFC 7636).

use std::time::Duration;

use shared::clock::Timestamp;
use shared::http::host_cookie;
use shared::identity::cookies::Jar;
use shared::lambda::Response;
use shared::oauth::issuer::Issuer;
use shared::oauth::secret::{Digest, Secret, from_text, to_text};

use crate::form::CsrfToken;
use crate::next::Next;
use crate::session_cookies::{from_cookie, to_cookie};

/// A flow that this browser began. Each flow has a cookie of its own.
///
/// The cookie is not encrypted, so no key has to be kept for it. The verifier proves that the browser that returns is
/// the browser that left. Its user may know the verifier: they could only sign themselves in. Others cannot read the
/// cookie (`HttpOnly`, `Secure`) or replace it (`__Host-`), and `next` is checked again when it is read.
pub(crate) struct SupabaseFlow {
    pub(crate) id: String,
    pub(crate) verifier: String,
    pub(crate) next: Option<Next>,
    /// The address of the mail, if the flow has one.
    pub(crate) email: Option<String>,
    started: Timestamp,
}

impl SupabaseFlow {
    /// Seconds between two mails to one address (`SMTP_MAX_FREQUENCY`).
    const BETWEEN_MAILS: u64 = 60;
    /// The most flows, of several tabs, and the most bytes of their cookies together. API Gateway accepts 10 KB of
    /// headers, which the session also uses.
    const MAX_FLOWS: usize = 3;
    const MAX_BYTES: usize = 3000;

    pub(crate) fn start(next: Option<Next>, now: Timestamp) -> Self {
        let verifier = to_text(Secret::<32>::random().expose());
        Self { id: to_text(Secret::<16>::random().expose()), verifier, next, email: None, started: now }
    }

    /// The flow of a mail. A link of Supabase always belongs to the newest flow of a person, also when Supabase sent
    /// no mail for that flow. So a second request of this browser, by a double click or in another tab, uses the same
    /// verifier, and with the same `next` also the same flow.
    pub(crate) fn for_email(
        jar: &Jar,
        csrf_token: &CsrfToken,
        email: &str,
        next: Option<Next>,
        issuer: &Issuer,
        now: Timestamp,
    ) -> Self {
        let email = email.trim().to_lowercase();
        let verifier = to_text(csrf_token.derive("verifier", &email).expose());
        let id = Self::id_for_email(csrf_token, &email, next.as_ref());
        // The time of the last mail, not of the last click.
        let started = Self::from_cookies(jar, &id, issuer, now).map(|flow| flow.started);
        let started = started.filter(|at| now.since(*at).as_secs() < Self::BETWEEN_MAILS).unwrap_or(now);
        Self { id, verifier, next, email: Some(email), started }
    }

    fn id_for_email(csrf_token: &CsrfToken, email: &str, next: Option<&Next>) -> String {
        let subject = format!("{email}\n{}", next.map_or("", Next::as_str));
        let derived = csrf_token.derive("flow", &subject);
        // The id is as long as a random one.
        to_text(derived.expose().split_at(16).0)
    }

    /// The verifiers of this browser: that of this flow, then those of the others, newest first. The number is
    /// limited, as a request may carry any number of cookies.
    pub(crate) fn verifiers(&self, jar: &Jar, issuer: &Issuer, now: Timestamp) -> Vec<String> {
        let mut verifiers = vec![self.verifier.clone()];
        for (flow, _) in Self::all_open(jar, issuer, now) {
            if !verifiers.contains(&flow.verifier) {
                verifiers.push(flow.verifier);
            }
        }
        verifiers.truncate(Self::MAX_FLOWS);
        verifiers
    }

    /// Seconds until Supabase sends another mail to this address.
    pub(crate) fn mail_in(&self, now: Timestamp) -> u64 {
        Self::BETWEEN_MAILS.saturating_sub(now.since(self.started).as_secs())
    }

    /// The flows of this browser, newest first, each with the length of its cookie.
    fn all_open(jar: &Jar, issuer: &Issuer, now: Timestamp) -> Vec<(Self, usize)> {
        let prefix = host_cookie::name(&name(""), issuer);
        let mut open: Vec<(Self, usize)> = jar
            .names()
            .filter_map(|name| name.strip_prefix(&prefix))
            .filter_map(|id| {
                let size = stored(jar, id, issuer)?.len();
                Some((Self::from_cookies(jar, id, issuer, now)?, size))
            })
            .collect();
        open.sort_by_key(|(flow, _)| std::cmp::Reverse(flow.started));
        open
    }

    pub(crate) fn challenge(&self) -> String {
        to_text(Digest::of(self.verifier.as_bytes()).as_bytes())
    }

    /// The flow `id` that this browser began.
    pub(crate) fn from_cookies(jar: &Jar, id: &str, issuer: &Issuer, now: Timestamp) -> Option<Self> {
        from_text::<16>(id)?;
        let flow = Self::parse(id, &stored(jar, id, issuer)?)?;
        (now.since(flow.started) < Duration::from_secs(MAX_AGE.into())).then_some(flow)
    }

    /// Sets the cookie of this flow, and clears the oldest of too many others.
    pub(crate) fn set_cookie(&self, response: &mut Response, jar: &Jar, issuer: &Issuer, now: Timestamp) {
        let value = self.value();
        let mut others = Self::all_open(jar, issuer, now);
        others.retain(|(flow, _)| flow.id != self.id);
        let mut room = Self::MAX_BYTES.saturating_sub(value.len());
        for (place, (flow, size)) in others.iter().enumerate() {
            if place + 1 < Self::MAX_FLOWS && *size <= room {
                room -= size;
            } else {
                room = 0;
                flow.clear_cookie(response, issuer);
            }
        }
        for (number, chunk) in chunks(&value).enumerate() {
            host_cookie::set(response, &chunk_name(&self.id, number), chunk, Some(MAX_AGE), issuer);
        }
    }

    pub(crate) fn clear_cookie(&self, response: &mut Response, issuer: &Issuer) {
        for (number, _) in chunks(&self.value()).enumerate() {
            host_cookie::set(response, &chunk_name(&self.id, number), "", Some(0), issuer);
        }
    }

    /// `next` stands last and nearly as it is: it can be long, and base64 would make it longer.
    fn value(&self) -> String {
        let next = escaped(self.next.as_ref().map_or("", Next::as_str));
        let email = to_cookie(self.email.as_deref().unwrap_or_default());
        format!("{}.{}.{MARK}{email}.{next}", self.started.seconds(), self.verifier)
    }

    fn parse(id: &str, value: &str) -> Option<Self> {
        let mut parts = value.splitn(4, '.');
        let started = Timestamp::from_seconds(parts.next()?.parse().ok()?);
        let verifier = parts.next()?.to_owned();
        from_text::<32>(&verifier)?;
        let email = from_cookie(parts.next()?.strip_prefix(MARK)?).filter(|email| !email.is_empty());
        let next = Next::parse(&unescaped(parts.next()?)?);
        Some(Self { id: id.to_owned(), verifier, next, email, started })
    }
}

/// Tells this form of the value from that of earlier versions, which had base64 in this place.
const MARK: char = '*';

/// What a [`Next`] may have and the value of a cookie may not (RFC 6265 §4.1.1), the percent sign, as [`Jar`] decodes what follows
/// it, and the escape itself; each with what stands for it.
const ESCAPES: [(char, &str); 4] = [('!', "!0"), ('%', "!1"), (',', "!2"), (';', "!3")];

/// Browsers keep 4,096 bytes of a cookie, its name among them.
const CHUNK: usize = 3500;

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match ESCAPES.iter().find(|(escape, _)| *escape == character) {
            Some((_, stands_for_it)) => escaped.push_str(stands_for_it),
            None => escaped.push(character),
        }
    }
    escaped
}

fn unescaped(text: &str) -> Option<String> {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('!') {
        let (code, after) = escape.split_at_checked(1)?;
        let (character, _) = ESCAPES.iter().find(|(_, known)| known.strip_prefix('!') == Some(code))?;
        unescaped.push_str(before);
        unescaped.push(*character);
        rest = after;
    }
    unescaped.push_str(rest);
    Some(unescaped)
}

/// The value of a flow's cookies, put together.
fn stored(jar: &Jar, id: &str, issuer: &Issuer) -> Option<String> {
    let chunk = |number| jar.value(&host_cookie::name(&chunk_name(id, number), issuer));
    let mut value = chunk(0)?.to_owned();
    (1..).map_while(chunk).for_each(|chunk| value.push_str(chunk));
    Some(value)
}

fn chunks(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let (chunk, later) = rest?.split_at_checked(CHUNK).unwrap_or((rest?, ""));
        rest = (!later.is_empty()).then_some(later);
        Some(chunk)
    })
}

fn chunk_name(id: &str, number: usize) -> String {
    if number == 0 { name(id) } else { format!("{}.{number}", name(id)) }
}

/// Seconds. The code of a mail is valid as long.
const MAX_AGE: u32 = 3600;

fn name(id: &str) -> String {
    format!("mcp-login-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::SET_COOKIE;
    use shared::http::response::empty;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);

    #[test]
    fn flow_is_read_back_until_it_expires() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let next = Next::parse("/oauth/authorize?a=b;c,d%20e");
        let flow = SupabaseFlow::start(next.clone(), NOW);
        let mut response = empty(http::StatusCode::OK);
        flow.set_cookie(&mut response, &Jar::parse(""), &issuer, NOW);
        let set = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(set.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"), "{set}");
        let jar = Jar::parse(set.split(';').next().unwrap());

        let retry_page =
            SupabaseFlow::from_cookies(&jar, &flow.id, &issuer, NOW.plus(Duration::from_secs(3599))).unwrap();
        assert_eq!((retry_page.verifier, retry_page.next), (flow.verifier.clone(), next));

        assert!(SupabaseFlow::from_cookies(&jar, &flow.id, &issuer, NOW.plus(Duration::from_hours(1))).is_none());
        assert!(SupabaseFlow::from_cookies(&jar, &SupabaseFlow::start(None, NOW).id, &issuer, NOW).is_none());
        assert!(SupabaseFlow::from_cookies(&Jar::parse(""), &flow.id, &issuer, NOW).is_none());
        assert!(SupabaseFlow::from_cookies(&jar, "../x", &issuer, NOW).is_none());
    }

    #[test]
    fn long_flow_is_kept_in_several_cookies() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let next = Next::parse(&format!("/oauth/authorize?a=b;c,d%20e!&state={}", "s%2B".repeat(1500)));
        let flow = SupabaseFlow::start(next.clone(), NOW);
        let mut response = empty(http::StatusCode::OK);
        flow.set_cookie(&mut response, &Jar::parse(""), &issuer, NOW);
        let all_set = |response: &Response| -> Vec<String> {
            response.headers().get_all(SET_COOKIE).iter().map(|set| set.to_str().unwrap().to_owned()).collect()
        };
        let set = all_set(&response);
        assert_eq!(set.len(), 3);
        assert!(set.iter().all(|set| set.split(';').next().unwrap().len() <= 4096), "{set:?}");
        let jar = Jar::parse(&set.iter().map(|set| set.split(';').next().unwrap()).collect::<Vec<_>>().join("; "));

        let again = SupabaseFlow::from_cookies(&jar, &flow.id, &issuer, NOW).unwrap();
        let mut cleared = empty(http::StatusCode::OK);
        again.clear_cookie(&mut cleared, &issuer);

        assert_eq!((&again.verifier, &again.next), (&flow.verifier, &next));
        assert_eq!(again.verifiers(&jar, &issuer, NOW), [flow.verifier]);
        let names = |set: &[String]| -> Vec<String> {
            set.iter().map(|set| set.split('=').next().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&all_set(&cleared)), names(&set));
    }

    #[test]
    fn oldest_flows_are_dropped() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let old: Vec<SupabaseFlow> =
            (0..4u64).map(|age| SupabaseFlow::start(None, NOW.plus(Duration::from_secs(age)))).collect();
        let header: Vec<_> = old
            .iter()
            .map(|flow| format!("{}={}", host_cookie::name(&name(&flow.id), &issuer), flow.value()))
            .collect();
        let later = NOW.plus(Duration::from_secs(9));
        let mut response = empty(http::StatusCode::OK);

        SupabaseFlow::start(None, later).set_cookie(&mut response, &Jar::parse(&header.join(";")), &issuer, later);

        let gone: Vec<_> = response.headers().get_all(SET_COOKIE).iter().filter_map(|set| set.to_str().ok()).collect();
        let gone = |flow: &SupabaseFlow| gone.iter().any(|set| set.contains(&flow.id) && set.contains("Max-Age=0"));
        assert_eq!(old.iter().map(gone).collect::<Vec<_>>(), [true, true, false, false]);
    }
}
