//! The ways of signing in that the project offers.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use shared::clock::Timestamp;
use shared::identity::supabase::{Supabase, SupabaseRequest};
use shared::upstream_error::UpstreamError;
use tokio::sync::Mutex;

use crate::error::LoginError;
use crate::supabase_error::SupabaseError;

/// What was offered when last asked.
#[derive(Default)]
pub(crate) struct SignInMethods(Mutex<Option<(OfferedMethods, Timestamp)>>);

/// What a page can offer.
#[derive(Clone)]
pub(crate) struct OfferedMethods {
    pub(crate) email: bool,
    /// Whether a mail goes to an address that was never confirmed, and confirms it.
    pub(crate) confirms: bool,
    pub(crate) providers: Vec<Provider>,
}

/// A provider of identities.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) id: String,
    pub(crate) name: String,
}

impl OfferedMethods {
    /// The error in the words that fit this deployment: it offers nothing that cannot work here.
    pub(crate) fn fitting_error(&self, error: LoginError) -> LoginError {
        match error {
            LoginError::Supabase(SupabaseError::Unconfirmed) if !self.confirms => SupabaseError::Unconfirmable.into(),
            error => error,
        }
    }

    /// The provider that a form names.
    pub(crate) fn provider(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|known| known.id == id)
    }
}

impl SignInMethods {
    const FRESH: Duration = Duration::from_mins(5);
    /// So that whoever leaves again and again has us ask once.
    const NOW: Duration = Duration::from_secs(5);

    /// As the project says. If it says nothing, what it last said, or e-mail: a page that might work is better than none.
    pub(crate) async fn offered(&self, supabase: &Supabase, now: Timestamp) -> OfferedMethods {
        self.offered_within(Self::FRESH, supabase, now).await
    }

    /// As the project says now, for whoever is about to leave for a provider: what Supabase answers there, of one that was switched
    /// off since, is not for people.
    pub(crate) async fn offered_now(&self, supabase: &Supabase, now: Timestamp) -> OfferedMethods {
        self.offered_within(Self::NOW, supabase, now).await
    }

    async fn offered_within(&self, age: Duration, supabase: &Supabase, now: Timestamp) -> OfferedMethods {
        let mut last = self.0.lock().await;
        if let Some((offered, asked)) = &*last
            && now.since(*asked) < age
        {
            return offered.clone();
        }
        refreshed(&mut last, supabase, now).await
    }
}

async fn refreshed(
    last: &mut Option<(OfferedMethods, Timestamp)>,
    supabase: &Supabase,
    now: Timestamp,
) -> OfferedMethods {
    match fetch_settings(supabase).await {
        Ok(offered) => last.insert((offered, now)).0.clone(),
        Err(error) => {
            tracing::warn!(%error, "the settings of Supabase Auth could not be fetched");
            let unknown = || OfferedMethods { email: true, confirms: true, providers: Vec::new() };
            last.as_ref().map_or_else(unknown, |(offered, _)| offered.clone())
        }
    }
}

async fn fetch_settings(supabase: &Supabase) -> Result<OfferedMethods, UpstreamError> {
    #[derive(Deserialize)]
    struct Settings {
        external: BTreeMap<String, bool>,
        #[serde(default)]
        disable_signup: bool,
    }
    const CALL: &str = "Supabase.Settings";
    let answer = supabase.send(SupabaseRequest::get(CALL, "/settings")).await?;
    if answer.status != StatusCode::OK {
        return Err(answer.upstream_error(CALL));
    }
    let Settings { external, disable_signup } = answer.json(CALL)?;
    let on = external.iter().filter(|(id, on)| **on && !matches!(id.as_str(), "email" | "phone" | "anonymous_users"));
    let providers = on.map(|(id, _)| Provider { id: id.clone(), name: name(id) }).collect();
    Ok(OfferedMethods { email: external.get("email").copied().unwrap_or(false), confirms: !disable_signup, providers })
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
