//! The Supabase project that people sign in with: what its settings mean for our sign-in page, and what its tokens must say.
//!
//! By its public endpoints, with the publishable key. With a test person it also begins a session, which it ends.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Map, Value, json};
use url::Url;

use super::finding::Check;
use super::probe::{Probe, ProbeRequest, ProbeResponse};
use super::test_person::TestPerson;
use crate::deployment::Project;
use crate::error::CommandError;

/// The project, asked as the functions ask it.
struct ProjectProbe<'a> {
    probe: Probe,
    project: &'a Project,
}

/// Whether Supabase's own OAuth server is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OAuthServer {
    On,
    Off,
    Unknown,
}

pub(crate) async fn check(project: &Project, person: Option<&TestPerson>) -> Result<Check, CommandError> {
    let mut check = Check::new("supabase");
    let url = Url::parse(&project.url).map_err(|_| CommandError::InvalidUrl(format!("{} is no URL", project.url)))?;
    let probe = Probe::new(&url).map_err(|error| CommandError::InvalidUrl(error.to_string()))?;
    let probe = ProjectProbe { probe, project };
    if !probe.settings(&mut check).await {
        return Ok(check);
    }
    probe.issuer(&mut check).await;
    probe.keys(&mut check).await;
    let oauth_server = probe.oauth_server(&mut check).await;
    match person {
        Some(person) => probe.tokens(&mut check, person, oauth_server).await,
        None if oauth_server == OAuthServer::On => check.skip(
            "give --person and --password-env to look whether a custom access token hook keeps the claims amr and client_id, as it \
             must where that server is on",
        ),
        None => {}
    }
    Ok(check)
}

impl ProjectProbe<'_> {
    fn at(&self, path: &str) -> String {
        format!("{}/auth/v1{path}", self.project.url.trim_end_matches('/'))
    }

    async fn get(&self, check: &mut Check, path: &str) -> Option<ProbeResponse> {
        self.send(check, ProbeRequest { method: Method::GET, url: &self.at(path), headers: &[], body: None }).await
    }

    /// Asks with the publishable key; an answer that does not come is a finding.
    async fn send(&self, check: &mut Check, request: ProbeRequest<'_>) -> Option<ProbeResponse> {
        let own = [("apikey", self.project.publishable_key.as_str()), ("x-supabase-api-version", "2024-01-01")];
        let headers: Vec<_> = own.into_iter().chain(request.headers.iter().copied()).collect();
        match self.probe.try_send(ProbeRequest { headers: &headers, ..request }).await {
            Ok(response) => Some(response),
            Err(reason) => {
                check.broken(
                    "supabase_no_answer",
                    reason,
                    "Nobody can sign in, and nobody can approve a connection.",
                    "Compare SupabaseUrl with the address of the project, and look at status.supabase.com.",
                );
                None
            }
        }
    }

    /// Which ways of signing in there are; whether the project could be asked at all.
    async fn settings(&self, check: &mut Check) -> bool {
        let Some(response) = self.get(check, "/settings").await else { return false };
        let Some(settings) = response.object().filter(|_| response.status == 200) else {
            check.broken(
                "supabase_refuses",
                response.summary(),
                "Nobody can sign in: the project refuses the key, or something else answers at that address.",
                "Compare SupabaseUrl and SupabasePublishableKey with the API settings of the project.",
            );
            return false;
        };
        let on = |name: &str| settings.get(name) == Some(&Value::Bool(true));
        let external = settings.get("external").and_then(Value::as_object);
        let external: Vec<_> =
            external.into_iter().flatten().filter(|(_, on)| **on == true).map(|(id, _)| id).collect();
        let email = external.iter().any(|id| *id == "email");
        let providers: Vec<_> = external
            .iter()
            .filter(|id| !["email", "phone", "anonymous_users"].contains(&id.as_str()))
            .map(|id| id.as_str())
            .collect();
        check.observed(format!("e-mail sign-in {} (external.email)", if email { "on" } else { "off" }));
        check.observed(if providers.is_empty() {
            "no provider on".to_owned()
        } else {
            format!("providers: {}", providers.join(", "))
        });
        if self.project.hosts_login && !email && providers.is_empty() {
            check.broken(
                "no_way_to_sign_in",
                "neither e-mail (external.email) nor any provider is on",
                "Our sign-in page has nothing to offer.",
                "Switch e-mail or a provider on (Authentication, Sign In / Providers), or name a page of your own in LoginUrl.",
            );
        }
        if self.project.hosts_login && email && on("disable_signup") {
            check.weak(
                "sign_up_off",
                "sign-up is off (disable_signup)",
                "Supabase sends no mail to somebody whose address was never confirmed, so they cannot confirm it on our page. All \
                 others sign in as usual.",
                "Confirm the address of whoever you create: Auto Confirm User in the dashboard, email_confirm in the admin API.",
            );
        }
        if email && on("mailer_autoconfirm") && !on("disable_signup") {
            check.weak(
                "addresses_unconfirmed",
                "addresses count as confirmed without a mail (mailer_autoconfirm)",
                "Anybody can sign up with an address that is not theirs, and pages show it beside what they connect.",
                "Switch “Confirm email” on (Authentication, Sign In / Providers, Email).",
            );
        }
        true
    }

    /// Whether the functions take its tokens. Old servers do not say.
    async fn issuer(&self, check: &mut Check) {
        let Some(response) = self.get(check, "/.well-known/openid-configuration").await else { return };
        let Some(issuer) = response.object().and_then(|document| document.get("issuer")?.as_str().map(str::to_owned))
        else {
            return;
        };
        let accepted = self.project.issuer.clone().unwrap_or_else(|| self.at(""));
        if accepted.split(',').any(|accepted| accepted.trim() == issuer) {
            check.observed(format!("tokens of {issuer}"));
        } else {
            check.broken(
                "supabase_issuer",
                format!("its tokens name the issuer {issuer}, and the deployment accepts {accepted}"),
                "Every session is refused, so nobody is ever signed in.",
                "Set the parameter SupabaseIssuer to that issuer, and deploy again.",
            );
        }
    }

    async fn keys(&self, check: &mut Check) {
        let Some(response) = self.get(check, "/.well-known/jwks.json").await else { return };
        let keys = response.object().and_then(|document| Some(document.get("keys")?.as_array()?.len()));
        if keys == Some(0) {
            check.weak(
                "shared_secret",
                "the project publishes no key (jwks.json): it signs with a shared secret",
                "Supabase is asked about each person's token once a minute, and a session ends with its access token, after an hour.",
                "Change to asymmetric JWT signing keys (Project Settings, JWT Keys).",
            );
        }
    }

    async fn oauth_server(&self, check: &mut Check) -> OAuthServer {
        let Some(response) = self.get(check, "/.well-known/oauth-authorization-server").await else {
            return OAuthServer::Unknown;
        };
        let document = response.object().unwrap_or_default();
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        match (response.status, text("code"), text("issuer")) {
            (404, Some("feature_disabled"), _) => {
                check.observed("its own OAuth server off");
                OAuthServer::Off
            }
            (200, _, Some(_)) => {
                check.observed("its own OAuth server on");
                OAuthServer::On
            }
            _ => {
                check.weak(
                    "oauth_server_unknown",
                    format!("{}, so nobody knows whether its own OAuth server is on", response.summary()),
                    "A token without amr, which a custom access token hook may have dropped, is answered 503.",
                    "Let this path through to Supabase Auth; if the project is self-hosted, update it.",
                );
                OAuthServer::Unknown
            }
        }
    }

    /// What a session of the test person says. The session is ended.
    async fn tokens(&self, check: &mut Check, person: &TestPerson, oauth_server: OAuthServer) {
        let url = self.at("/token?grant_type=password");
        let body = json!({ "email": person.email, "password": person.password }).to_string();
        let headers = [("content-type", "application/json")];
        let request = ProbeRequest { method: Method::POST, url: &url, headers: &headers, body: Some(body) };
        let Some(response) = self.send(check, request).await else { return };
        let answer = response.object().unwrap_or_default();
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let Some(token) = text("access_token") else {
            let code = text("code").unwrap_or("no code");
            check.skip(format!("{} cannot sign in at the project: {} {code}", person.email, response.status));
            return;
        };
        if has_amr(token) {
            check.observed("tokens say how people signed in (amr)");
        } else if oauth_server == OAuthServer::On {
            check.broken(
                "amr_dropped",
                "tokens do not say how people signed in (amr), and the project's own OAuth server is on",
                "Nobody can sign in: such a token could be one that this server gave to another application.",
                "Have the custom access token hook keep the claims amr and client_id.",
            );
        } else {
            check.weak(
                "amr_dropped",
                "tokens do not say how people signed in (amr)",
                "When the project's own OAuth server is switched on, nobody can sign in any more.",
                "Have the custom access token hook keep the claims amr and client_id.",
            );
        }
        let (url, bearer) = (self.at("/logout?scope=local"), format!("Bearer {token}"));
        let headers = [("authorization", bearer.as_str())];
        let request = ProbeRequest { method: Method::POST, url: &url, headers: &headers, body: None };
        if let Some(response) = self.send(check, request).await
            && response.status != 204
        {
            check.weak(
                "session_left",
                format!("ending the session of {} is answered {}", person.email, response.status),
                "The doctor's session at Supabase goes on until it expires.",
                "Sign this person out in Supabase's dashboard.",
            );
        }
    }
}

fn has_amr(token: &str) -> bool {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Map<String, Value>> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    let methods = claims.as_ref().and_then(|claims| claims.get("amr")?.as_array());
    let name = |entry: &Value| entry.get("method").unwrap_or(entry).as_str().is_some_and(|name| !name.is_empty());
    methods.is_some_and(|methods| methods.iter().any(name))
}
