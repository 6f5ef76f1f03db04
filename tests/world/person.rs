//! A person with a browser without JavaScript.

use std::collections::BTreeMap;
use std::sync::Mutex;

use scraper::{Html, Selector};

use crate::World;
use crate::answer::Answer;
use crate::connector::Ask;

/// A person, and what their browser keeps.
pub struct Person<'w> {
    world: &'w World,
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
    pub fn new(world: &'w World, email: &str, password: &str) -> Self {
        Self { world, email: email.to_owned(), password: password.to_owned(), cookies: Mutex::default() }
    }

    /// Opens an address; no redirect is followed.
    ///
    /// # Panics
    /// When nothing answers.
    pub async fn open(&self, url: &str) -> Answer {
        let request = self.world.http().get(self.world.absolute(url)).header("cookie", self.cookie_header());
        self.keep_cookies(Answer::read(request.send().await.expect("an answer")).await)
    }

    /// Opens an address and follows redirects as long as they stay on our origin.
    ///
    /// # Panics
    /// When there are more than ten.
    pub async fn visit(&self, url: &str) -> Answer {
        let answer = self.open(url).await;
        self.read(answer).await
    }

    /// The page to which an answer leads, on our origin: that after a form, say.
    ///
    /// # Panics
    /// When there are more than ten redirects.
    pub async fn read(&self, mut answer: Answer) -> Answer {
        for _ in 0..10 {
            match answer.header("location") {
                Some(next) if (300..400).contains(&answer.status) && self.world.is_ours(next) => {
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
    pub async fn submit(&self, form: &Form) -> Answer {
        self.submit_with(form, &[("origin", "null"), ("sec-fetch-site", "same-origin")]).await
    }

    /// Sends a form, and the page to which it leads.
    ///
    /// # Panics
    /// When nothing answers, or the redirects go in a circle.
    pub async fn sends(&self, form: &Form) -> Answer {
        let answer = self.submit(form).await;
        self.read(answer).await
    }

    /// Sends a form with these headers beside the cookies.
    ///
    /// # Panics
    /// When nothing answers.
    pub async fn submit_with(&self, form: &Form, headers: &[(&str, &str)]) -> Answer {
        let request = self
            .world
            .http()
            .post(self.world.absolute(&form.action))
            .header("cookie", self.cookie_header())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encoded(&form.fields));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.keep_cookies(Answer::read(request.send().await.expect("an answer")).await)
    }

    /// Signs in with the password, wherever the login page leads.
    ///
    /// # Panics
    /// When signing in fails.
    pub async fn signs_in(&self, url: &str) -> Answer {
        let page = self.visit(url).await;
        let Some(form) = Form::find(&page, "password") else { return page };
        let answer = self.submit(&form.with("email", &self.email).with("password", &self.password)).await;
        assert!((300..400).contains(&answer.status), "{answer:?}");
        let next = answer.location().to_owned();
        self.visit(&next).await
    }

    /// Approves everything in one tenant; the redirect that goes back to the client.
    pub async fn approves(&self, ask: &Ask, tenant: &str) -> Answer {
        self.approves_without(ask, tenant, &[]).await
    }

    /// Approves in one tenant after unticking `scopes`.
    ///
    /// # Panics
    /// When there is no consent page.
    pub async fn approves_without(&self, ask: &Ask, tenant: &str, scopes: &[&str]) -> Answer {
        let page = self.signs_in(&ask.url).await;
        let mut form = Form::find(&page, "decision").unwrap_or_else(|| panic!("no consent page: {page:?}"));
        for scope in scopes {
            form = form.without(&format!("allow:{scope}"));
        }
        let answer = self.submit(&form.with("tenant", tenant).with("decision", "approve")).await;
        if let Some(code) = answer.header("location").and_then(|_| answer.redirected().get("code").cloned()) {
            self.world.remember(&code);
        }
        answer
    }

    /// Approves, and hands the code over.
    ///
    /// # Panics
    /// When there is no code.
    pub async fn code(&self, ask: &Ask, tenant: &str) -> String {
        let answer = self.approves(ask, tenant).await;
        answer.redirected().remove("code").unwrap_or_else(|| panic!("no code: {answer:?}"))
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
    pub fn has_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().expect("unpoisoned").insert(name.to_owned(), value.to_owned());
    }

    /// Clears the browser's cookies.
    ///
    /// # Panics
    /// Never in practice.
    pub fn forgets_cookies(&self) {
        self.cookies.lock().expect("unpoisoned").clear();
    }

    fn keep_cookies(&self, answer: Answer) -> Answer {
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
    pub fn find(page: &Answer, field: &str) -> Option<Self> {
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
