//! Serves the sign-in stand-in by itself on a free port of 127.0.0.1, with one person, and prints its address as the first
//! line: for driving it by hand and with `tests/supabase-js.mjs`.

use stand_ins::supabase::secret::Secret;
use stand_ins::supabase::seed::{Person, Seed};
use stand_ins::supabase::{Site, Supabase};
use std::io::{Error, Write as _};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let site = Site {
        url: url.clone(),
        site_url: "http://localhost:3000".to_owned(),
        allow_list: Vec::new(),
        publishable_key: "sb_publishable_local".to_owned(),
        secret_key: Secret::from("sb_secret_local"),
    };
    let people = vec![Person::new("ana@example.com", "correct horse battery staple", "Ana Müller")];
    let seed = Seed { people, providers: vec!["google".to_owned()] };
    let supabase = Supabase::new(seed, site, Arc::new(unix_seconds)).map_err(Error::other)?;
    writeln!(std::io::stdout(), "{url}")?;
    axum::serve(listener, supabase.router()).await
}

#[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}
