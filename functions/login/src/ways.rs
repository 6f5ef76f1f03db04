//! The ways of signing in that the project offers.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use shared::clock::Timestamp;
use shared::fault::Fault;
use shared::identity::supabase::{Ask, Supabase};
use tokio::sync::Mutex;

/// What was offered when last asked.
#[derive(Default)]
pub(crate) struct Ways(Mutex<Option<(Offered, Timestamp)>>);

/// What a page can offer.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) email: bool,
    pub(crate) providers: Vec<Provider>,
}

/// A provider of identities.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) id: String,
    pub(crate) name: String,
}

impl Offered {
    /// The provider that a form names.
    pub(crate) fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|known| known.id == id)
    }
}

impl Ways {
    const FRESH: Duration = Duration::from_mins(5);

    /// As the project says. If it says nothing, what it last said, or e-mail: a page that might work is better than none.
    pub(crate) async fn offered(&self, at: &Supabase, now: Timestamp) -> Offered {
        let mut last = self.0.lock().await;
        if let Some((offered, asked)) = &*last
            && now.since(*asked) < Self::FRESH
        {
            return offered.clone();
        }
        match ask(at).await {
            Ok(offered) => last.insert((offered, now)).0.clone(),
            Err(fault) => {
                tracing::warn!(%fault, "the ways of signing in are not known");
                last.as_ref().map_or(Offered { email: true, providers: Vec::new() }, |(offered, _)| offered.clone())
            }
        }
    }
}

async fn ask(at: &Supabase) -> Result<Offered, Fault> {
    #[derive(Deserialize)]
    struct Settings {
        external: BTreeMap<String, bool>,
    }
    const CALL: &str = "Supabase.Settings";
    let answer = at.ask(Ask::get(CALL, "/settings")).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.fault(CALL));
    }
    let external = answer.read::<Settings>(CALL)?.external;
    let on = external.iter().filter(|(id, on)| **on && !matches!(id.as_str(), "email" | "phone" | "anonymous_users"));
    let providers = on.map(|(id, _)| Provider { id: id.clone(), name: name(id) }).collect();
    Ok(Offered { email: external.get("email").copied().unwrap_or(false), providers })
}

/// As the provider calls itself; one that we do not know, by its id.
fn name(id: &str) -> String {
    let known = match id {
        "azure" => "Microsoft",
        "github" => "GitHub",
        "gitlab" => "GitLab",
        "linkedin" | "linkedin_oidc" => "LinkedIn",
        "slack_oidc" => "Slack",
        "twitter" => "X",
        "workos" => "WorkOS",
        "kakao" => "Kakao",
        _ => {
            let mut letters = id.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            return first.into_iter().chain(letters).collect::<String>().replace('_', " ");
        }
    };
    known.to_owned()
}
