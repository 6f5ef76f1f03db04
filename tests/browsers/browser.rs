//! A browser in one person's hands. Nothing in here knows which engine it is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use test_system::TestSystem;
use test_system::connector::{AuthorizationRequest, Connector};
use tokio::time::sleep;
use url::Url;

use super::engine::{Engine, Running};
use super::proxy::Proxy;
use super::webdriver::{Element, WebDriverError};

/// A browser. It ends with this.
pub(crate) struct Browser<'w> {
    test_system: &'w TestSystem,
    running: Running,
    /// Its network.
    pub(crate) network: Proxy,
}

impl<'w> Browser<'w> {
    pub(crate) async fn start(test_system: &'w TestSystem, engine: Engine) -> Self {
        let network = Proxy::start(&[&test_system.issuer(), test_system.system().supabase_url()]).await;
        let running = engine.start(test_system.http().inner(), network.address).await;
        Self { test_system, running, network }
    }

    pub(crate) async fn open(&self, url: &str) {
        let url = self.test_system.absolute(url);
        done(self.running.session.post("url", &json!({ "url": url })).await);
    }

    pub(crate) async fn url(&self) -> String {
        done(self.running.session.get("url").await).as_str().expect("a URL").to_owned()
    }

    /// Goes back in the history. Where the browser will not show what is there, it says so on a page of its own.
    pub(crate) async fn back(&self) {
        self.navigate("back").await;
    }

    /// The same of the page that is there.
    pub(crate) async fn reload(&self) {
        self.navigate("refresh").await;
    }

    async fn navigate(&self, command: &str) {
        if let Err(refused) = self.running.session.post(command, &json!({})).await {
            assert_eq!(refused.error, "unknown error", "{refused}");
        }
    }

    /// Types into the field of that label what it is to hold.
    pub(crate) async fn fill(&self, label: &str, value: &str) {
        let field = self.field(label).await;
        done(self.running.session.post(&field.at("clear"), &json!({})).await);
        done(self.running.session.post(&field.at("value"), &json!({ "text": value })).await);
    }

    /// What the field of that label holds.
    pub(crate) async fn value_of(&self, label: &str) -> String {
        let field = self.field(label).await;
        let held = done(self.running.session.get(&field.at("property/value")).await);
        held.as_str().unwrap_or_default().to_owned()
    }

    /// Pastes into the field of that label.
    pub(crate) async fn paste(&self, label: &str) {
        const CONTROL: &str = "\u{e009}";
        let field = self.field(label).await;
        done(self.running.session.post(&field.at("click"), &json!({})).await);
        let keys = json!([
            { "type": "keyDown", "value": CONTROL }, { "type": "keyDown", "value": "v" },
            { "type": "keyUp", "value": "v" }, { "type": "keyUp", "value": CONTROL },
        ]);
        self.act(json!([{ "type": "key", "id": "keyboard", "actions": keys }])).await;
    }

    async fn field(&self, label: &str) -> Element {
        self.find(&format!("//*[@id=//label[normalize-space(.)=\"{label}\"]/@for]")).await
    }

    /// Clicks on the label of a box or a radio button that begins so.
    pub(crate) async fn choose(&self, label: &str) {
        let xpath = format!("//label[starts-with(normalize-space(.), \"{label}\")]//input");
        let choice = self.find(&xpath).await;
        done(self.running.session.post(&choice.at("click"), &json!({})).await);
    }

    /// Clicks on a button, or a link that says this.
    pub(crate) async fn press(&self, name: &str) {
        let button = self.find_to_press(name).await;
        done(self.running.session.post(&button.at("click"), &json!({})).await);
    }

    /// A button, or a link that says this. Its page is looked at first, if the button gives something away.
    async fn find_to_press(&self, name: &str) -> Element {
        let button = self.find(&named(name)).await;
        let deliberate = done(self.running.session.get(&button.at("attribute/data-deliberate")).await);
        if !deliberate.is_null() {
            sleep(Duration::from_millis(800)).await;
        }
        button
    }

    /// Clicks on it, and waits until the page that it stood on has gone.
    pub(crate) async fn press_and_wait(&self, name: &str) {
        let button = self.find_to_press(name).await;
        done(self.running.session.post(&button.at("click"), &json!({})).await);
        self.wait_for("another page", async || self.running.session.text(&button).await.err()).await;
    }

    /// Waits for a page that says why a form was refused.
    pub(crate) async fn wait_for_refusal(&self) -> String {
        self.find("//*[@role=\"alert\"][not(@hidden)]").await;
        self.page().await.expect("a page").text
    }

    /// Has the page copy what it shows, and waits until it says so.
    pub(crate) async fn copy_key(&self) {
        self.press("Copy the key").await;
        self.find("//*[@role=\"status\"][normalize-space(.)=\"Copied.\"]").await;
    }

    /// Clicks on it twice, as fast as a double click is.
    pub(crate) async fn double_click(&self, name: &str) {
        let button = self.find_to_press(name).await;
        self.double_click_on(&button, 0).await;
    }

    /// Clicks twice on what has this id; what is selected then.
    pub(crate) async fn select_by_double_click(&self, id: &str) -> String {
        let element = self.find(&format!("//*[@id=\"{id}\"]")).await;
        // At its left: its text may not fill it.
        let width = done(self.running.session.get(&element.at("rect")).await)["width"].as_f64().expect("a width");
        let half: i64 = format!("{:.0}", width / 2.0).parse().expect("a whole number");
        self.double_click_on(&element, 60 - half).await;
        let script = json!({ "script": "return String(getSelection())", "args": [] });
        done(self.running.session.post("execute/sync", &script).await).as_str().expect("text").to_owned()
    }

    /// `aside` is the distance from its middle.
    async fn double_click_on(&self, element: &Element, aside: i64) {
        let script = json!({
            "script": "arguments[0].scrollIntoView({ block: 'center' })",
            "args": [element.as_parameter()],
        });
        done(self.running.session.post("execute/sync", &script).await);
        let pause = json!({ "type": "pause", "duration": 40 });
        let (down, up) = (json!({ "type": "pointerDown", "button": 0 }), json!({ "type": "pointerUp", "button": 0 }));
        let to = json!({ "type": "pointerMove", "x": aside, "y": 0, "duration": 0, "origin": element.as_parameter() });
        let actions = json!([to, down, up, pause, down, up]);
        let mouse =
            json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": actions });
        self.act(json!([mouse])).await;
    }

    async fn act(&self, actions: Value) {
        done(self.running.session.post("actions", &json!({ "actions": actions })).await);
    }

    /// Waits for a page of ours of that heading; what there is to read.
    pub(crate) async fn wait_for_page(&self, heading: &str) -> String {
        self.wait_for(heading, async || {
            let page = self.page().await?;
            page.heading.contains(heading).then_some(page.text)
        })
        .await
    }

    /// Waits until this can be read.
    pub(crate) async fn wait_for_text(&self, text: &str) -> String {
        self.wait_for(text, async || Some(self.page().await?.text).filter(|read| read.contains(text))).await
    }

    /// The page that is there, if a site made it and not the browser itself.
    pub(crate) async fn page(&self) -> Option<Page> {
        let session = &self.running.session;
        let main = session.find("//main[@id=\"main\"] | //body[h1=\"Elsewhere\"] | //body[main/h1]").await.ok()?;
        let heading = session.find("//h1").await.ok()?;
        Some(Page { heading: session.text(&heading).await.ok()?, text: session.text(&main).await.ok()? })
    }

    /// Goes back in the history: there must be a page of a site, and no form may be sent for it.
    pub(crate) async fn go_back_to_a_page(&self) -> Page {
        let sent = self.network.asked("POST ");
        self.back().await;
        self.is_at_a_page("after Back", sent).await
    }

    /// Reloads the page: it must still be there, and no form may be sent for it.
    pub(crate) async fn reload_page(&self) -> Page {
        let (before, sent) = (self.page().await.expect("a page"), self.network.asked("POST "));
        self.reload().await;
        let page = self.is_at_a_page("after a reload", sent).await;
        assert_eq!(page.heading, before.heading, "after a reload");
        page
    }

    async fn is_at_a_page(&self, when: &str, sent: usize) -> Page {
        // Long enough for a form to be sent without a word.
        sleep(Duration::from_millis(500)).await;
        let page = self.wait_for(when, async || self.page().await).await;
        assert_eq!(self.network.asked("POST "), sent, "{when} a form was sent again: {:?}", self.network.all_asked());
        page
    }

    /// Waits to be back at the client; the parameters that the browser brings there.
    pub(crate) async fn wait_for_redirect(
        &self,
        connector: &Connector<'_>,
        ask: &AuthorizationRequest,
    ) -> BTreeMap<String, String> {
        let begins = format!("{}?", connector.redirect_uri);
        let url = self.wait_for(&begins, async || Some(self.url().await).filter(|url| url.starts_with(&begins))).await;
        let parameters: BTreeMap<_, _> = Url::parse(&url).expect("a URL").query_pairs().into_owned().collect();
        assert_eq!(parameters["state"], ask.state);
        assert_eq!(parameters["iss"], self.test_system.issuer());
        if let Some(code) = parameters.get("code") {
            self.test_system.track_secret(code);
        }
        parameters
    }

    /// Approves what is asked on the page; the client must get its tokens.
    pub(crate) async fn approve(&self, connector: &Connector<'_>, ask: &AuthorizationRequest) {
        self.press("Approve").await;
        let landed = self.wait_for_redirect(connector, ask).await;
        let code = landed.get("code").unwrap_or_else(|| panic!("no code: {landed:?}"));
        let tokens = connector.exchange(ask, code).await.tokens(self.test_system);
        assert!(tokens.scope.contains("skills:read"), "{tokens:?}");
    }

    /// Types in address and password of one of the demo's people.
    pub(crate) async fn fill_credentials(&self, name: &str) {
        self.wait_for_page("Sign in to").await;
        self.fill("E-mail address", &format!("{name}@example.com")).await;
        self.fill("Password", &format!("{name}-demo")).await;
    }

    pub(crate) async fn sign_in(&self, name: &str) {
        self.fill_credentials(name).await;
        self.press("Sign in").await;
    }

    /// Opens another tab and turns to it; the one before.
    pub(crate) async fn open_tab(&self) -> Value {
        let before = done(self.running.session.get("window").await);
        let tab = done(self.running.session.post("window/new", &json!({ "type": "tab" })).await);
        self.switch_to(&tab["handle"]).await;
        before
    }

    /// The tab that is not this one.
    pub(crate) async fn other_tab(&self, tab: &Value) -> Value {
        let tabs = done(self.running.session.get("window/handles").await);
        tabs.as_array().expect("tabs").iter().find(|other| *other != tab).expect("another tab").clone()
    }

    pub(crate) async fn switch_to(&self, tab: &Value) {
        done(self.running.session.post("window", &json!({ "handle": tab })).await);
    }

    /// Forgets who is signed in. `WebKit` answers before its cookies are gone, so the page has to say it.
    pub(crate) async fn clear_cookies(&self) {
        self.open("/auth/login").await;
        self.wait_for("nobody signed in", async || {
            done(self.running.session.delete("cookie").await);
            self.open("/auth/login").await;
            self.page().await.filter(|page| page.heading.contains("Sign in to"))
        })
        .await;
    }

    /// Keeps these cookies for the system, as if it had set them.
    pub(crate) async fn set_cookies(&self, header: &str) {
        for (name, value) in header.split("; ").filter_map(|pair| pair.split_once('=')) {
            let cookie = json!({ "name": name, "value": value, "path": "/", "httpOnly": true, "sameSite": "Lax" });
            done(self.running.session.post("cookie", &json!({ "cookie": cookie })).await);
        }
    }

    /// How many parts of the page an `XPath` leads to.
    pub(crate) async fn count(&self, xpath: &str) -> usize {
        let found = done(self.running.session.post("elements", &json!({ "using": "xpath", "value": xpath })).await);
        found.as_array().map_or(0, Vec::len)
    }

    async fn find(&self, xpath: &str) -> Element {
        self.wait_for(xpath, async || self.running.session.find(xpath).await.ok()).await
    }

    async fn wait_for<T>(&self, wanted: &str, attempt: impl AsyncFn() -> Option<T>) -> T {
        const TIMEOUT: Duration = Duration::from_secs(15);
        const PAUSE: Duration = Duration::from_millis(50);
        for _ in 0..TIMEOUT.as_millis() / PAUSE.as_millis() {
            if let Some(found) = attempt().await {
                return found;
            }
            sleep(PAUSE).await;
        }
        let there = match self.running.session.find("//body").await {
            Ok(body) => self.running.session.text(&body).await.unwrap_or_default(),
            Err(refused) => refused.to_string(),
        };
        panic!(
            "{wanted} does not come; at {} there is:\n{there}\nasked: {:?}",
            self.url().await,
            self.network.all_asked()
        )
    }
}

/// What a person reads on a page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) heading: String,
    pub(crate) text: String,
}

fn named(name: &str) -> String {
    format!("//*[self::button or self::a][normalize-space(.)=\"{name}\"]")
}

fn done(answer: Result<Value, WebDriverError>) -> Value {
    answer.unwrap_or_else(|refused| panic!("{refused}"))
}
