//! A whole connection with a test person: sign in, approve, exchange, refresh, call, disconnect. What was connected is revoked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Map, Value, json};
use shared::clock::Timestamp;
use shared::oauth::secret::{Digest, Secret, to_text};
use url::Url;

use super::documents::Documents;
use super::finding::Check;
use super::pages::{Browser, Form, Page, title};
use super::probe::{Probe, ProbeRequest, ProbeResponse};
use super::registration::CALLBACK;
use super::target::Target;
use super::test_person::TestPerson;

/// As hosted Claude calls itself where it is known by its own description.
const CLAUDE: &str = "https://claude.ai/oauth/mcp-oauth-client-metadata";

/// One connection that is tried.
pub(crate) struct Connection<'a> {
    pub(crate) probe: &'a Probe,
    pub(crate) target: &'a Target,
    pub(crate) documents: &'a Documents,
    pub(crate) client: &'a str,
    pub(crate) person: &'a TestPerson,
    /// The ids of the published keys.
    pub(crate) keys: &'a [String],
    pub(crate) now: Timestamp,
}

/// What comes with tokens. Its holder must not show them.
struct Tokens {
    access: String,
    refresh: Option<String>,
}

const PAGES: &str = "Look at the page in a browser as this person, and at `amble audit show --tenant TENANT`.";
const TOKEN: &str = "Read the log of the function token for that time.";
const MCP: &str = "Read the log of the function mcp for that time.";

impl Connection<'_> {
    pub(crate) async fn check(&self) -> Check {
        let mut check = Check::new("connect");
        let mut browser = Browser::new(self.probe);
        let verifier = to_text(Secret::<32>::random().expose());
        let state = to_text(Secret::<16>::random().expose());
        let url = self.request(self.client, &verifier, &state);
        let Some(page) = self.sign_in(&mut check, &mut browser, &url).await else { return check };
        let Some(code) = self.approve(&mut check, &mut browser, page, &state).await else { return check };
        let Some(tokens) = self.exchange(&mut check, &code, &verifier).await else { return check };
        self.check_access_token(&mut check, &tokens.access);
        // From here on there is something to revoke, whatever fails.
        let newest = if let Some(refresh) = &tokens.refresh {
            self.refresh(&mut check, refresh).await.unwrap_or(tokens)
        } else {
            check.broken(
                "no_refresh_token",
                "the exchange gave no refresh token",
                "People are signed out every hour.",
                "Have the metadata list offline_access, and leave “Stay connected” ticked.",
            );
            tokens
        };
        self.call(&mut check, &newest.access, 200).await;
        let token = newest.refresh.as_deref().unwrap_or(&newest.access);
        self.revoke(&mut check, token).await;
        self.call(&mut check, &newest.access, 401).await;
        if self.documents.by_description {
            self.by_document(&mut check, &mut browser, &verifier, &state).await;
        }
        if check.is_well() {
            check.observed(format!("{} signed in, approved, refreshed, called and disconnected", self.person.email));
        }
        check
    }

    fn request(&self, client: &str, verifier: &str, state: &str) -> String {
        let challenge = to_text(Digest::of(verifier.as_bytes()).as_bytes());
        let mut scopes = self.documents.scopes.clone();
        scopes.push("offline_access".to_owned());
        let parameters = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("state", state),
            ("scope", &scopes.join(" ")),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &self.target.url),
        ];
        Url::parse_with_params(&self.documents.authorize, parameters)
            .map_or_else(|_| self.documents.authorize.clone(), String::from)
    }

    /// The consent page.
    async fn sign_in(&self, check: &mut Check, browser: &mut Browser<'_>, url: &str) -> Option<Page> {
        let page = browser.visit(check, url, &self.documents.issuer_origin(self.target)).await?;
        if Form::find(&page, "decision").is_some() {
            return Some(page);
        }
        let Some(form) = Form::find(&page, "password") else {
            if page.response.is_redirect() {
                check.skip("the sign-in page is the product's own, which the doctor cannot fill in");
            } else {
                check.broken(
                    "no_sign_in_form",
                    format!("the way to sign in ends at {} with {}", page.url.path(), title(&page.response)),
                    "People cannot sign in with a password.",
                    PAGES,
                );
            }
            return None;
        };
        if page.response.body.contains("id=\"captcha\"") {
            check.skip("the sign-in page demands a captcha, which the doctor cannot pass");
            return None;
        }
        let form = form.with("email", &self.person.email).with("password", &self.person.password);
        let response = browser.submit(check, &page, &form).await?;
        let next =
            response.header("location").filter(|_| response.is_redirect()).and_then(|next| page.url.join(next).ok());
        let Some(next) = next else {
            check.broken(
                "not_signed_in",
                format!("{} cannot sign in: {}", self.person.email, title(&response)),
                "This person cannot connect.",
                "Check the password, and that the person may sign in with one at Supabase.",
            );
            return None;
        };
        let page = browser.visit(check, next.as_str(), &self.documents.issuer_origin(self.target)).await?;
        if Form::find(&page, "decision").is_none() && next.query_pairs().any(|(name, _)| name == "notice") {
            check.broken(
                "not_signed_in",
                format!("{} cannot sign in: the sign-in page refuses the form", self.person.email),
                "This person cannot connect.",
                "Check the password, and that the person may sign in with one at Supabase.",
            );
            return None;
        }
        if Form::find(&page, "decision").is_none() {
            check.broken(
                "no_consent_page",
                format!("after signing in there is {} at {}", title(&page.response), page.url.path()),
                "People sign in, and then nothing comes of it.",
                "Look whether the session's cookies reach the functions (SessionCookie, and what stands in front).",
            );
            return None;
        }
        Some(page)
    }

    /// The code that the approval leads to.
    async fn approve(&self, check: &mut Check, browser: &mut Browser<'_>, page: Page, state: &str) -> Option<String> {
        let form = Form::find(&page, "decision")?;
        let chosen = self.person.tenant.as_deref().or_else(|| form.choices("tenant").next()).or(form.value("tenant"));
        let Some(chosen) = chosen.map(str::to_owned) else {
            check.broken(
                "no_workspace",
                format!("{} is in no workspace that could be connected", self.person.email),
                "This person cannot connect anything.",
                "Let them in with `amble member add TENANT PERSON --role ROLE`.",
            );
            return None;
        };
        check.observed(format!("workspace {chosen}"));
        let response = browser.submit(check, &page, &form.with("tenant", &chosen).with("decision", "approve")).await?;
        if !matches!(response.status, 302 | 303) {
            let (code, breaks) = match response.status {
                307 | 308 => {
                    ("repeats_forms", "The browser repeats the form at Claude, whose callback takes only GET.")
                }
                _ => ("not_approved", "People approve, and nothing comes of it."),
            };
            check.broken(code, format!("approving is answered {}", title(&response)), breaks, PAGES);
            return None;
        }
        let location = response.header("location").unwrap_or_default();
        let Some(back) = Url::parse(location).ok().filter(|_| location.starts_with(CALLBACK)) else {
            check.broken(
                "answered_elsewhere",
                "the approval does not lead back to the client",
                "Claude never learns that it was approved.",
                PAGES,
            );
            return None;
        };
        let value =
            |name: &str| back.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        if value("state").as_deref() != Some(state) {
            check.broken("state_lost", "state does not come back as it was sent", "Claude refuses the answer.", PAGES);
        }
        if value("iss").as_deref() != Some(&self.documents.issuer) {
            check.broken(
                "iss_differs",
                format!(
                    "iss of the answer is {}, not {}",
                    value("iss").unwrap_or_else(|| "missing".to_owned()),
                    self.documents.issuer
                ),
                "Clients refuse answers that are not of the issuer (RFC 9207).",
                "Set the parameter Issuer to the one origin of the deployment, and deploy again.",
            );
        }
        let code = value("code");
        if code.is_none() {
            let error = value("error").unwrap_or_else(|| "no error".to_owned());
            check.broken("no_code", format!("the answer has no code, but {error}"), "Claude is refused.", PAGES);
        }
        code
    }

    async fn exchange(&self, check: &mut Check, code: &str, verifier: &str) -> Option<Tokens> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("client_id", self.client),
            ("code_verifier", verifier),
            ("resource", &self.target.url),
        ];
        let response = self.probe.post_form(check, &self.documents.token, &fields).await?;
        tokens(
            check,
            &response,
            "exchange_failed",
            "the exchange of the code",
            "Claude has a code and gets no tokens for it: “connected”, and then nothing works.",
        )
    }

    /// At once, as Claude does.
    async fn refresh(&self, check: &mut Check, token: &str) -> Option<Tokens> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", self.client),
            ("resource", &self.target.url),
        ];
        let response = self.probe.post_form(check, &self.documents.token, &fields).await?;
        tokens(check, &response, "refresh_failed", "refreshing", "People are signed out after an hour.")
    }

    /// Whether the access token is one that everybody could check.
    fn check_access_token(&self, check: &mut Check, token: &str) {
        const SKEW: u64 = 60;
        let part = |position| -> Option<Map<String, Value>> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(position)?).ok()?).ok()
        };
        let (Some(header), Some(claims)) = (part(0), part(1)) else {
            check.broken("token_unreadable", "the access token is no JWT", "The MCP server cannot check it.", TOKEN);
            return;
        };
        let text = |members: &Map<String, Value>, name: &str| {
            members.get(name).and_then(Value::as_str).unwrap_or("missing").to_owned()
        };
        let kid = text(&header, "kid");
        if !self.keys.contains(&kid) {
            check.broken(
                "unknown_key",
                format!("the access token is signed with the key {kid}, which the key set does not have"),
                "Whoever checks tokens by the key set refuses it.",
                "Keep replaced keys in PreviousSigningKeys for an hour, and look for caches in front of the key set.",
            );
        }
        for (name, expected) in [("iss", &self.documents.issuer), ("aud", &self.target.url)] {
            let found = text(&claims, name);
            if found != *expected {
                check.broken(
                    "token_for_another",
                    format!("{name} of the access token is {found}, not {expected}"),
                    "The MCP server refuses the token.",
                    "Set Issuer to the origin of the deployment, and ResourceUrl to the URL that people paste if it is on another host.",
                );
            }
        }
        let issued = claims.get("iat").and_then(Value::as_i64).unwrap_or_default();
        if self.now.seconds().abs_diff(issued) > SKEW {
            check.broken(
                "token_clock",
                format!(
                    "the access token was issued at {}, and it is {}",
                    Timestamp::from_seconds(issued).to_rfc3339(),
                    self.now.to_rfc3339()
                ),
                "Clients take tokens for expired, or for not yet valid.",
                "Compare this machine's clock with the deployment's.",
            );
        }
    }

    /// Lists the tools; `status` is what must come of it.
    async fn call(&self, check: &mut Check, token: &str, status: u16) {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }).to_string();
        let request = ProbeRequest { method: Method::POST, url: &self.target.url, headers: &headers, body: Some(body) };
        let Some(response) = self.probe.send(check, request).await else { return };
        if response.status != status {
            let (code, seen, breaks) = if status == 200 {
                ("call_refused", "a call with a fresh token", "Claude is connected, and cannot use anything.")
            } else {
                ("still_let_in", "a call after disconnecting", "What was ended goes on working.")
            };
            check.broken(code, format!("{seen} is answered {}", response.status), breaks, MCP);
        } else if status == 200 && !response.body.contains("\"tools\"") {
            check.broken(
                "no_tools",
                "tools/list is answered without tools",
                "Claude is connected, and sees nothing to use.",
                MCP,
            );
        }
    }

    async fn revoke(&self, check: &mut Check, token: &str) {
        let fields = [("token", token), ("client_id", self.client)];
        let Some(response) = self.probe.post_form(check, &self.documents.revoke, &fields).await else { return };
        if response.status != 200 {
            check.broken(
                "not_revoked",
                format!("revoking is answered {}: the doctor's test connection is still there", response.status),
                "Clients that disconnect stay connected.",
                "Read the log of the function revoke, and end it with `amble grant end --person PERSON --client CLIENT`.",
            );
        }
    }

    /// The deployment reads Claude's own description, which it needs the internet for.
    async fn by_document(&self, check: &mut Check, browser: &mut Browser<'_>, verifier: &str, state: &str) {
        let url = self.request(CLAUDE, verifier, state);
        let Some(page) = browser.visit(check, &url, &self.documents.issuer_origin(self.target)).await else { return };
        if Form::find(&page, "decision").is_some() {
            check.observed("Claude's own description is taken");
        } else {
            check.broken(
                "document_not_taken",
                format!("with Claude's own description as the client there is {}", title(&page.response)),
                "Hosted Claude connects in this way first, and cannot.",
                "See that the functions reach the internet and that ClientMetadataHosts, if it is set, has claude.ai.",
            );
        }
    }
}

/// The tokens of an answer.
fn tokens(
    check: &mut Check,
    response: &ProbeResponse,
    code: &'static str,
    what: &str,
    breaks: &'static str,
) -> Option<Tokens> {
    let answer = response.object().filter(|_| response.status == 200);
    let text = |name: &str| answer.as_ref().and_then(|answer| answer.get(name)?.as_str().map(str::to_owned));
    let Some(access) = text("access_token") else {
        let error = response.object().and_then(|answer| answer.get("error")?.as_str().map(str::to_owned));
        check.broken(
            code,
            format!("{what} is answered {} {}", response.status, error.as_deref().unwrap_or("without an access token")),
            breaks,
            TOKEN,
        );
        return None;
    };
    if !response.is_kept_from_caches() {
        check.broken(
            "token_cached",
            format!(
                "the answer to {what} may be kept: {}",
                response.header("cache-control").unwrap_or("no Cache-Control")
            ),
            "A cache could give one client the tokens of another (OAuth 2.1 §3.2.3).",
            "Have caches leave the endpoint alone, and let Cache-Control: no-store through.",
        );
    }
    Some(Tokens { access, refresh: text("refresh_token") })
}
