//! A person with a browser without JavaScript.

use std::collections::BTreeMap;
use std::sync::Mutex;

use scraper::{Html, Selector};

use crate::TestSystem;
use crate::connector::AuthorizationRequest;
use crate::http_response::HttpResponse;

/// A person, and what their browser keeps.
pub struct Person<'w> {
    test_system: &'w TestSystem,
    /// Their e-mail address.
    pub email: String,
    password: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A form on a page, as the browser would send it.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it goes.
    pub action: String,
    /// What it holds, ticked boxes only.
    pub fields: Vec<(String, String)>,
}

impl<'w> Person<'w> {
    /// Someone who is not signed in anywhere.
    #[must_use]
    pub fn new(test_system: &'w TestSystem, email: &str, password: &str) -> Self {
        Self { test_system, email: email.to_owned(), password: password.to_owned(), cookies: Mutex::default() }
    }

    /// Opens an address; no redirect is followed.
    ///
    /// # Panics
    /// When nothing answers.
    pub async fn open(&self, url: &str) -> HttpResponse {
        let request =
            self.test_system.http().get(self.test_system.absolute(url)).header("cookie", self.cookie_header());
        self.keep_cookies(HttpResponse::read(request.send().await.expect("an answer")).await)
    }

    /// Opens an address and follows redirects as long as they stay on our origin.
    ///
    /// # Panics
    /// When there are more than ten.
    pub async fn open_following_redirects(&self, url: &str) -> HttpResponse {
        let answer = self.open(url).await;
        self.follow_redirects(answer).await
    }

    /// The page to which an answer leads, on our origin: that after a form, say.
    ///
    /// # Panics
    /// When there are more than ten redirects.
    pub async fn follow_redirects(&self, mut answer: HttpResponse) -> HttpResponse {
        for _ in 0..10 {
            match answer.header("location") {
                Some(next) if (300..400).contains(&answer.status) && self.test_system.is_ours(next) => {
                    let next = next.to_owned();
                    answer = self.open(&next).await;
                }
                _ => return answer,
            }
        }
        panic!("redirected in circles: {answer:?}");
    }

    /// Sends a form as a browser does from our own page.
    ///
    /// # Panics
    /// When nothing answers.
    pub async fn submit(&self, form: &Form) -> HttpResponse {
        self.submit_with(form, &[("origin", "null"), ("sec-fetch-site", "same-origin")]).await
    }

    /// Sends a form, and the page to which it leads.
    ///
    /// # Panics
    /// When nothing answers, or the redirects go in a circle.
    pub async fn submit_and_follow(&self, form: &Form) -> HttpResponse {
        let answer = self.submit(form).await;
        self.follow_redirects(answer).await
    }

    /// Sends a form with these headers beside the cookies.
    ///
    /// # Panics
    /// When nothing answers.
    pub async fn submit_with(&self, form: &Form, headers: &[(&str, &str)]) -> HttpResponse {
        let request = self
            .test_system
            .http()
            .post(self.test_system.absolute(&form.action))
            .header("cookie", self.cookie_header())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(self.test_system.http().placed_form(encoded(&form.fields)));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.keep_cookies(HttpResponse::read(request.send().await.expect("an answer")).await)
    }

    /// Signs in with the password, wherever the login page leads.
    ///
    /// # Panics
    /// When signing in fails.
    pub async fn sign_in(&self, url: &str) -> HttpResponse {
        let page = self.open_following_redirects(url).await;
        let Some(form) = Form::find(&page, "password") else { return page };
        let answer = self.submit(&form.with("email", &self.email).with("password", &self.password)).await;
        assert!((300..400).contains(&answer.status), "{answer:?}");
        let next = answer.location().to_owned();
        self.open_following_redirects(&next).await
    }

    /// Approves everything in one tenant; the redirect that goes back to the client.
    pub async fn approve(&self, ask: &AuthorizationRequest, tenant: &str) -> HttpResponse {
        self.approve_without(ask, tenant, &[]).await
    }

    /// Approves in one tenant after unticking `scopes`.
    ///
    /// # Panics
    /// When there is no consent page.
    pub async fn approve_without(&self, ask: &AuthorizationRequest, tenant: &str, scopes: &[&str]) -> HttpResponse {
        let page = self.sign_in(&ask.url).await;
        let mut form = Form::find(&page, "decision").unwrap_or_else(|| panic!("no consent page: {page:?}"));
        for scope in scopes {
            form = form.without(&format!("allow:{scope}"));
        }
        let answer = self.submit(&form.with("tenant", tenant).with("decision", "approve")).await;
        if let Some(code) = answer.header("location").and_then(|_| answer.redirect_parameters().get("code").cloned()) {
            self.test_system.track_secret(&code);
        }
        answer
    }

    /// Approves, and hands the code over.
    ///
    /// # Panics
    /// When there is no code.
    pub async fn code(&self, ask: &AuthorizationRequest, tenant: &str) -> String {
        let answer = self.approve(ask, tenant).await;
        answer.redirect_parameters().remove("code").unwrap_or_else(|| panic!("no code: {answer:?}"))
    }

    /// The cookies, as the browser would send them.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn cookie_header(&self) -> String {
        let cookies = self.cookies.lock().expect("unpoisoned");
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// A cookie that another site of the product has set.
    ///
    /// # Panics
    /// Never in practice.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().expect("unpoisoned").insert(name.to_owned(), value.to_owned());
    }

    /// Clears the browser's cookies.
    ///
    /// # Panics
    /// Never in practice.
    pub fn clear_cookies(&self) {
        self.cookies.lock().expect("unpoisoned").clear();
    }

    fn keep_cookies(&self, answer: HttpResponse) -> HttpResponse {
        let mut cookies = self.cookies.lock().expect("unpoisoned");
        for line in answer.headers("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').expect("name=value");
            if attributes.to_ascii_lowercase().contains("max-age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        drop(cookies);
        answer
    }
}

impl Form {
    /// The form of a page that has a field of that name.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn find(page: &HttpResponse, field: &str) -> Option<Self> {
        let select = |text: &str| Selector::parse(text).expect("a selector");
        let html = Html::parse_document(&page.body);
        html.select(&select("form")).find_map(|form| {
            form.select(&select(&format!("[name=\"{field}\"]"))).next()?;
            let inputs = select("input");
            let fields = form.select(&inputs).filter_map(|input| {
                let input = input.value();
                let boxed = matches!(input.attr("type"), Some("checkbox" | "radio"));
                if boxed && input.attr("checked").is_none() {
                    return None;
                }
                Some((input.attr("name")?.to_owned(), input.attr("value").unwrap_or_default().to_owned()))
            });
            Some(Self { action: form.value().attr("action")?.to_owned(), fields: fields.collect() })
        })
    }

    /// With a field set.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self
    }
}

/// As a form body.
#[must_use]
pub fn encoded<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
