//! A sign-in that leaves our site and comes back: PKCE between us and Supabase Auth (RFC 7636).

use std::time::Duration;

use shared::clock::Timestamp;
use shared::identity::cookies::Jar;
use shared::lambda::Response;
use shared::oauth::issuer::Issuer;
use shared::oauth::secret::{Digest, Secret, from_text, to_text};

use crate::next::Next;
use crate::session;

/// One that is under way, kept in a cookie of its own.
///
/// The cookie is not sealed. The verifier proves that the browser which comes back is the one that left, and its user may know
/// it: they would only sign themselves in. Others cannot read it (`HttpOnly`, `Secure`), nor put theirs in its place
/// (`__Host-`); `next` is checked again when it is read. What cannot be abused needs no key that must be kept.
pub(crate) struct Flow {
    pub(crate) id: String,
    pub(crate) verifier: String,
    pub(crate) next: Option<Next>,
    started: Timestamp,
}

impl Flow {
    /// As long as the code of a mail lives.
    const LIFE: Duration = Duration::from_hours(1);
    /// Of several tabs, and of their size together: API Gateway takes heads of 10 KB, and a session has its share of that.
    const MOST: usize = 3;
    const ROOM: usize = 3000;

    pub(crate) fn begin(next: Option<Next>, now: Timestamp) -> Self {
        let verifier = to_text(Secret::<32>::random().expose());
        Self { id: to_text(Secret::<16>::random().expose()), verifier, next, started: now }
    }

    pub(crate) fn challenge(&self) -> String {
        to_text(Digest::of(self.verifier.as_bytes()).as_bytes())
    }

    /// The flow `id` that this browser began.
    pub(crate) fn of(jar: &Jar, id: &str, issuer: &Issuer, now: Timestamp) -> Option<Self> {
        from_text::<16>(id)?;
        let flow = Self::parse(id, jar.value(&name(id, issuer))?)?;
        (now.since(flow.started) < Self::LIFE).then_some(flow)
    }

    /// Gives it to the browser, and takes away the oldest of too many others.
    pub(crate) fn keep(&self, response: &mut Response, jar: &Jar, issuer: &Issuer, now: Timestamp) {
        let (prefix, value) = (name("", issuer), self.value());
        let mut others: Vec<(Self, usize)> = jar
            .names()
            .filter_map(|name| name.strip_prefix(&prefix))
            .filter_map(|id| Some((Self::of(jar, id, issuer, now)?, jar.value(&name(id, issuer))?.len())))
            .collect();
        others.sort_by_key(|(flow, _)| std::cmp::Reverse(flow.started));
        let mut room = Self::ROOM.saturating_sub(value.len());
        for (place, (flow, size)) in others.iter().enumerate() {
            if place + 1 < Self::MOST && *size <= room {
                room -= size;
            } else {
                room = 0;
                flow.forget(response, issuer);
            }
        }
        let life = i64::try_from(Self::LIFE.as_secs()).unwrap_or(0);
        session::set_own(response, &name(&self.id, issuer), &value, Some(life), issuer);
    }

    pub(crate) fn forget(&self, response: &mut Response, issuer: &Issuer) {
        session::set_own(response, &name(&self.id, issuer), "", Some(0), issuer);
    }

    fn value(&self) -> String {
        let next = self.next.as_ref().map_or("", Next::as_str);
        format!("{}.{}.{}", self.started.seconds(), self.verifier, session::to_cookie(next))
    }

    fn parse(id: &str, value: &str) -> Option<Self> {
        let mut parts = value.splitn(3, '.');
        let started = Timestamp::from_seconds(parts.next()?.parse().ok()?);
        let verifier = parts.next()?.to_owned();
        from_text::<32>(&verifier)?;
        let next = Next::parse(&session::from_cookie(parts.next()?)?);
        Some(Self { id: id.to_owned(), verifier, next, started })
    }
}

fn name(id: &str, issuer: &Issuer) -> String {
    session::own(&format!("mcp-login-{id}"), issuer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::SET_COOKIE;
    use shared::http::answer::empty;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_339_800);

    #[test]
    fn a_flow_comes_back_in_its_browser_within_its_time() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let next = Next::parse("/oauth/authorize?a=b;c,d%20e");
        let flow = Flow::begin(next.clone(), NOW);
        let mut response = empty(http::StatusCode::OK);
        flow.keep(&mut response, &Jar::parse(""), &issuer, NOW);
        let set = response.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        assert!(set.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"), "{set}");
        let jar = Jar::parse(set.split(';').next().unwrap());

        let back = Flow::of(&jar, &flow.id, &issuer, NOW.plus(Duration::from_secs(3599))).unwrap();
        assert_eq!((back.verifier, back.next), (flow.verifier.clone(), next));

        assert!(Flow::of(&jar, &flow.id, &issuer, NOW.plus(Duration::from_hours(1))).is_none());
        assert!(Flow::of(&jar, &Flow::begin(None, NOW).id, &issuer, NOW).is_none());
        assert!(Flow::of(&Jar::parse(""), &flow.id, &issuer, NOW).is_none());
        assert!(Flow::of(&jar, "../x", &issuer, NOW).is_none());
    }

    #[test]
    fn of_too_many_flows_the_oldest_go() {
        let issuer = Issuer::parse("https://connect.example.com").unwrap();
        let old: Vec<Flow> = (0..4u64).map(|age| Flow::begin(None, NOW.plus(Duration::from_secs(age)))).collect();
        let header: Vec<_> = old.iter().map(|flow| format!("{}={}", name(&flow.id, &issuer), flow.value())).collect();
        let later = NOW.plus(Duration::from_secs(9));
        let mut response = empty(http::StatusCode::OK);

        Flow::begin(None, later).keep(&mut response, &Jar::parse(&header.join(";")), &issuer, later);

        let gone: Vec<_> = response.headers().get_all(SET_COOKIE).iter().filter_map(|set| set.to_str().ok()).collect();
        let gone = |flow: &Flow| gone.iter().any(|set| set.contains(&flow.id) && set.contains("Max-Age=0"));
        assert_eq!(old.iter().map(gone).collect::<Vec<_>>(), [true, true, false, false]);
    }
}
