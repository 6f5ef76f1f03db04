//! Serves the fake Supabase by itself on a free port of 127.0.0.1, with one person, and prints its address as the first
//! line: a project apart, for driving it by hand, with `infra/fakes/tests/supabase-js.mjs`, and from tests.
//!
//! ```text
//! fake-supabase PUBLISHABLE_KEY SECRET_KEY
//! ```

use std::io::{Error, Write as _};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fakes::supabase::project::{Site, Supabase};
use fakes::supabase::secret::Secret;
use fakes::supabase::seed::{Person, Seed};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut keys = std::env::args().skip(1);
    let (Some(publishable_key), Some(secret_key)) = (keys.next(), keys.next()) else {
        return Err(Error::other("two arguments are needed: its publishable key and its secret key"));
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let site = Site {
        url: url.clone(),
        site_url: "http://localhost:3000".to_owned(),
        allow_list: Vec::new(),
        publishable_key,
        secret_key: Secret::from(secret_key),
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
