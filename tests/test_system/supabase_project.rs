//! A Supabase project apart from the system: the fake Supabase as a program of its own, or a real one. Its people are made by the
//! admin API, and removed again whatever happens; nobody else of it is touched.

use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Stdio;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use fakes::supabase::secret::Secret as FactorSecret;
use fakes::supabase::totp::TotpKey;
use local::member::Member;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::http_response::HttpResponse;
use crate::person::Person;
use crate::placement::client_builder;
use crate::{Options, Secret, TestSystem, to_text};

/// The keys of the fake Supabase as a program: the publishable and the secret one.
const KEYS: [&str; 2] = ["sb_publishable_apart", "sb_secret_apart"];

/// The project.
pub struct SupabaseProject {
    /// Its address.
    pub url: String,
    /// What browsers may have.
    pub publishable_key: String,
    secret_key: String,
    http: reqwest::Client,
    made: Mutex<Vec<String>>,
    /// It ends with this.
    program: Option<Child>,
}

/// Somebody who was made in it.
#[derive(Clone)]
pub struct ProjectUser {
    /// Their user id.
    pub id: String,
    /// Their address, which nobody reads.
    pub email: String,
    /// Their password.
    pub password: String,
}

impl SupabaseProject {
    /// Starts the fake Supabase: `program` is the path of `fake-supabase`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(program: &str) -> Self {
        let mut command = Command::new(program);
        let command = command.args(KEYS).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let url = lines.next_line().await.expect("it speaks").expect("its address");
        let [publishable_key, secret_key] = KEYS;
        Self { program: Some(child), ..Self::at(&url, publishable_key, secret_key) }
    }

    /// One that runs already.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn at(url: &str, publishable_key: &str, secret_key: &str) -> Self {
        // Fails only when it is installed already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            url: url.trim_end_matches('/').to_owned(),
            publishable_key: publishable_key.to_owned(),
            secret_key: secret_key.to_owned(),
            http: client_builder().build().expect("a client"),
            made: Mutex::default(),
            program: None,
        }
    }

    /// Whether its mails can be read: those of the fake Supabase.
    #[must_use]
    pub const fn has_inbox(&self) -> bool {
        self.program.is_some()
    }

    /// Whether what it sends reaches nobody.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        let host = url::Url::parse(&self.url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
        match host {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Runs a test, and then removes the people whom it made, also when it failed.
    ///
    /// # Panics
    /// When the test does, or somebody cannot be removed.
    pub async fn run_with_cleanup(self, test: impl AsyncFnOnce(&Self)) {
        let outcome = {
            let mut test = Box::pin(test(&self));
            let step = |context: &mut Context<'_>| match catch_unwind(AssertUnwindSafe(|| test.as_mut().poll(context)))
            {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
                Err(panic) => Poll::Ready(Err(panic)),
            };
            poll_fn(step).await
        };
        let made = std::mem::take(&mut *self.made.lock().expect("unpoisoned"));
        let mut left = Vec::new();
        for id in made {
            let gone = self.admin(Method::DELETE, &format!("/admin/users/{id}"), None).await;
            if gone.status != 200 {
                left.push(format!("{id}: {}", gone.status));
            }
        }
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
        assert!(left.is_empty(), "people of the test are left in the project: {left:?}");
    }

    /// Makes somebody with a password, whose address is confirmed; `changes` says what is otherwise.
    ///
    /// # Panics
    /// When they cannot be made.
    pub async fn create_user(&self, changes: &Value) -> ProjectUser {
        let random = to_text(Secret::<9>::random().expose()).to_lowercase().replace('_', "-");
        let (email, password) =
            (format!("amble-sign-in-{random}@example.com"), to_text(Secret::<18>::random().expose()));
        let mut person = json!({ "email": email, "password": password, "email_confirm": true });
        for (name, value) in changes.as_object().into_iter().flatten() {
            person[name] = value.clone();
        }
        let answer = self.admin(Method::POST, "/admin/users", Some(person)).await;
        assert_eq!(answer.status, 200, "nobody can be made; is the secret key right? {answer:?}");
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        self.made.lock().expect("unpoisoned").push(id.clone());
        ProjectUser { id, email, password }
    }

    /// Changes somebody who was made.
    ///
    /// # Panics
    /// When they cannot be changed.
    pub async fn update_user(&self, made: &ProjectUser, changes: Value) {
        let answer = self.admin(Method::PUT, &format!("/admin/users/{}", made.id), Some(changes)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The code and the hash that a mail to them would have; none is sent.
    ///
    /// # Panics
    /// When there is none.
    pub async fn generate_link(&self, made: &ProjectUser) -> (String, String) {
        let asked = json!({ "type": "magiclink", "email": made.email });
        let answer = self.admin(Method::POST, "/admin/generate_link", Some(asked)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let text = |name: &str| answer.json()[name].as_str().expect("a text").to_owned();
        (text("email_otp"), text("hashed_token"))
    }

    /// A session of theirs by password, as Supabase's own clients get one: the answer of `/token`.
    ///
    /// # Panics
    /// When there is none.
    pub async fn session(&self, made: &ProjectUser) -> Value {
        let body = json!({ "email": made.email, "password": made.password });
        let answer = self.post("/token?grant_type=password", None, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Gives them an authenticator; what tells its codes.
    ///
    /// # Panics
    /// When they can have none.
    pub async fn enroll_totp(&self, made: &ProjectUser) -> TotpKey {
        let session = self.session(made).await;
        let bearer = session["access_token"].as_str();
        let asked = json!({ "factor_type": "totp", "friendly_name": "Phone" });
        let factor = self.post("/factors", bearer, &asked).await;
        assert_eq!(factor.status, 200, "{factor:?}");
        let factor = factor.json();
        let key = TotpKey::of(&FactorSecret::from(factor["totp"]["secret"].as_str().expect("a secret")));
        let (key, id) = (key.expect("base32"), factor["id"].as_str().expect("an id"));
        let challenge = self.post(&format!("/factors/{id}/challenge"), bearer, &json!({})).await.json();
        let shown = json!({ "challenge_id": challenge["id"], "code": key.code(unix_seconds()) });
        let verified = self.post(&format!("/factors/{id}/verify"), bearer, &shown).await;
        assert_eq!(verified.status, 200, "{verified:?}");
        key
    }

    /// A call with the publishable key.
    pub async fn post(&self, path: &str, bearer: Option<&str>, body: &Value) -> HttpResponse {
        let request = self.request(Method::POST, path, &self.publishable_key);
        let request = request.header("content-type", "application/json").body(body.to_string());
        self.sent(with_bearer(request, bearer)).await
    }

    /// The same, only reading.
    pub async fn get(&self, path: &str, bearer: Option<&str>) -> HttpResponse {
        self.sent(with_bearer(self.request(Method::GET, path, &self.publishable_key), bearer)).await
    }

    /// The mails to somebody, oldest first.
    ///
    /// # Panics
    /// Of a project whose mails cannot be read.
    pub async fn inbox(&self, made: &ProjectUser) -> Vec<Value> {
        let request = self.http.get(format!("{}/inbox/{}", self.url, made.email)).header("accept", "application/json");
        self.sent(request).await.json().as_array().expect("mails").clone()
    }

    /// A system whose people are this project's, at the time of this machine; `members` as `--member` has them.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_test_system(&self, members: &[String]) -> TestSystem {
        let test_system = TestSystem::at_time(unix_seconds(), |options| self.replace_demo(options, members)).await;
        for key in [&self.publishable_key, &self.secret_key] {
            test_system.track_secret(key);
        }
        test_system
    }

    /// Sets the options of a system so that this project's people sign in.
    ///
    /// # Panics
    /// When a member is none.
    pub fn replace_demo(&self, options: &mut Options, members: &[String]) {
        let members = members.iter().map(|member| Member::parse(member).expect("ID=ROLE@TENANT")).collect();
        let project = local::project::Project::parse(&self.url, &self.publishable_key).expect("a project");
        let project = project.with_secret_key(&self.secret_key).expect("a key");
        options.project = Some(project.with_members(members).expect("members"));
    }

    async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> HttpResponse {
        let request = self.request(method, path, &self.secret_key);
        // An older secret key is a token as well; a new one may stand there if it is the same.
        let request = with_bearer(request, Some(&self.secret_key));
        self.sent(match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        })
        .await
    }

    fn request(&self, method: Method, path: &str, key: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/auth/v1{path}", self.url));
        request.header("apikey", key).header("x-supabase-api-version", "2024-01-01")
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> HttpResponse {
        HttpResponse::read(request.send().await.expect("the project answers")).await
    }
}

impl ProjectUser {
    /// This person, with a browser in which nobody is signed in.
    #[must_use]
    pub fn person<'w>(&self, test_system: &'w TestSystem) -> Person<'w> {
        test_system.track_secret(&self.password);
        Person::new(test_system, &self.email, &self.password)
    }

    /// As `--member` has them.
    #[must_use]
    pub fn member(&self, role: &str, tenant: &str) -> String {
        format!("{}={role}@{tenant}", self.id)
    }
}

fn with_bearer(request: reqwest::RequestBuilder, bearer: Option<&str>) -> reqwest::RequestBuilder {
    match bearer {
        Some(bearer) => request.header("authorization", format!("Bearer {bearer}")),
        None => request,
    }
}

/// The time of this machine, which is that of every project apart.
///
/// # Panics
/// Before 1970.
#[must_use]
pub fn unix_seconds() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a project apart has the machine's time")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    since.as_secs().cast_signed()
}
