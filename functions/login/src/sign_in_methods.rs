//! The sign-in methods that the project offers.

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

/// The sign-in methods, cached.
#[derive(Default)]
pub(crate) struct SignInMethods(Mutex<Cached>);

/// What is known of the project.
#[derive(Default)]
struct Cached {
    methods: Option<(OfferedMethods, Timestamp)>,
    /// When Supabase last failed to say, if it has not said since.
    failed: Option<Timestamp>,
}

/// The sign-in methods that a page can offer.
#[derive(Clone)]
pub(crate) struct OfferedMethods {
    pub(crate) email: bool,
    /// Whether Supabase sends mails to an address that was never confirmed. Such a mail confirms the address.
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
    /// The error whose sentence fits the project: it advises nothing that cannot work here.
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
    /// How long the cached methods are fresh.
    const FRESH: Duration = Duration::from_mins(5);
    /// The same before a redirect to a provider. It is not zero, so that repeated redirects make one request.
    const FRESH_FOR_REDIRECT: Duration = Duration::from_secs(5);
    /// How long after a request that failed there is no other: anybody can open the page. Longer than a request may take.
    const PAUSE: Duration = Duration::from_secs(3);

    /// The methods of the project. If Supabase does not answer, the last known methods, or e-mail: a page that may
    /// work is better than none.
    pub(crate) async fn offered(&self, supabase: &Supabase, now: Timestamp) -> OfferedMethods {
        self.offered_within(Self::FRESH, supabase, now).await
    }

    /// The current methods, before a redirect to a provider. If the provider was switched off since, Supabase would
    /// show the person an error in JSON.
    pub(crate) async fn offered_now(&self, supabase: &Supabase, now: Timestamp) -> OfferedMethods {
        self.offered_within(Self::FRESH_FOR_REDIRECT, supabase, now).await
    }

    async fn offered_within(&self, age: Duration, supabase: &Supabase, now: Timestamp) -> OfferedMethods {
        let mut cached = self.0.lock().await;
        if let Some((methods, fetched_at)) = &cached.methods
            && now.since(*fetched_at) < age
        {
            return methods.clone();
        }
        if cached.failed.is_none_or(|failed| now.since(failed) >= Self::PAUSE) {
            match fetch_settings(supabase).await {
                Ok(methods) => *cached = Cached { methods: Some((methods, now)), failed: None },
                Err(error) => {
                    tracing::warn!(%error, "the settings of Supabase Auth could not be fetched");
                    cached.failed = Some(now);
                }
            }
        }
        let unknown = || OfferedMethods { email: true, confirms: true, providers: Vec::new() };
        cached.methods.as_ref().map_or_else(unknown, |(methods, _)| methods.clone())
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
    let response = supabase.send(SupabaseRequest::get(CALL, "/settings")).await?;
    if response.status != StatusCode::OK {
        return Err(response.upstream_error(CALL));
    }
    let Settings { external, disable_signup } = response.json(CALL)?;
    let on = external.iter().filter(|(id, on)| **on && !matches!(id.as_str(), "email" | "phone" | "anonymous_users"));
    let providers = on.map(|(id, _)| Provider { id: id.clone(), name: name(id) }).collect();
    Ok(OfferedMethods { email: external.get("email").copied().unwrap_or(false), confirms: !disable_signup, providers })
}

/// The name that the provider uses for itself; for an unknown provider, a name made of its id.
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
