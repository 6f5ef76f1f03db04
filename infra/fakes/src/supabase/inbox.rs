//! `GET /inbox/{email}`: the mails of one address, for the people who try the local system and for tests. As JSON when
//! asked for.

use crate::supabase::error::SupabaseError;
use crate::supabase::mail::Mail;
use crate::supabase::project::Supabase;
use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;
use url::{Host, Url};

pub(super) async fn show(
    State(supabase): State<Arc<Supabase>>,
    headers: HeaderMap,
    Path(email): Path<String>,
) -> Result<Response, SupabaseError> {
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A name that a stranger's page resolves to this machine is not this machine's (DNS rebinding).
    if !is_loopback(header(header::HOST)) {
        return Err(SupabaseError::NotLoopback);
    }
    let mut mails = supabase.inbox(&email);
    if header(header::ACCEPT).starts_with("application/json") {
        return Ok(([(header::CACHE_CONTROL, "no-store")], Json(mails)).into_response());
    }
    mails.reverse();
    let page = Page { email: &email, mails }.render().map_err(|_| SupabaseError::UnexpectedFailure)?;
    Ok((PAGE_HEADERS, Html(page)).into_response())
}

fn is_loopback(authority: &str) -> bool {
    match Url::parse(&format!("http://{authority}")).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct Page<'a> {
    email: &'a str,
    /// Newest first.
    mails: Vec<Mail>,
}

/// Pages of the fake Supabase: no script, no frame, no copy.
pub(super) const PAGE_HEADERS: [(HeaderName, &str); 3] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
];
