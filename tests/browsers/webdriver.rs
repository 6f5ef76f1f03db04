//! The `WebDriver` protocol (W3C, `https://www.w3.org/TR/webdriver2/`): how a program acts in a browser.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// A browser that a driver has started, and will end with this.
pub(crate) struct Session {
    http: reqwest::Client,
    driver: SocketAddr,
    id: String,
}

/// What a driver says instead of an answer.
#[derive(Clone, Debug)]
pub(crate) struct WebDriverError {
    /// `stale element reference` and so on (§6.6 of the protocol).
    pub(crate) error: String,
    message: String,
}

/// A part of a page, as a driver calls it.
#[derive(Clone, Debug)]
pub(crate) struct Element(String);

impl Session {
    /// Has the driver at that address start its browser.
    pub(crate) async fn begin(
        http: reqwest::Client,
        driver: SocketAddr,
        wanted: &Value,
    ) -> Result<Self, WebDriverError> {
        let body = json!({ "capabilities": { "alwaysMatch": wanted } });
        let begun = ask(http.post(format!("http://{driver}/session")).body(body.to_string())).await?;
        Ok(Self { http, driver, id: begun["sessionId"].as_str().expect("a session").to_owned() })
    }

    pub(crate) async fn get(&self, command: &str) -> Result<Value, WebDriverError> {
        ask(self.http.get(self.at(command))).await
    }

    pub(crate) async fn post(&self, command: &str, parameters: &Value) -> Result<Value, WebDriverError> {
        ask(self.http.post(self.at(command)).body(parameters.to_string())).await
    }

    pub(crate) async fn delete(&self, command: &str) -> Result<Value, WebDriverError> {
        ask(self.http.delete(self.at(command))).await
    }

    /// The first part of the page that an `XPath` leads to.
    pub(crate) async fn find(&self, xpath: &str) -> Result<Element, WebDriverError> {
        let found = self.post("element", &json!({ "using": "xpath", "value": xpath })).await?;
        Ok(Element(found[ELEMENT].as_str().expect("an element").to_owned()))
    }

    /// What a person reads there.
    pub(crate) async fn text(&self, element: &Element) -> Result<String, WebDriverError> {
        let text = self.get(&element.at("text")).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    fn at(&self, command: &str) -> String {
        format!("http://{}/session/{}/{command}", self.driver, self.id)
    }
}

impl Element {
    /// A command about it.
    pub(crate) fn at(&self, command: &str) -> String {
        format!("element/{}/{command}", self.0)
    }

    /// As a parameter of a command.
    pub(crate) fn as_parameter(&self) -> Value {
        json!({ ELEMENT: self.0 })
    }
}

/// Ends the browser, whatever became of the test: drivers leave theirs behind when they are killed.
impl Drop for Session {
    fn drop(&mut self) {
        const TIMEOUT: Duration = Duration::from_secs(20);
        let Self { driver, id, .. } = self;
        let request = format!("DELETE /session/{id} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\r\n");
        // Without its driver there is no browser any more.
        let Ok(mut connection) = TcpStream::connect(*driver) else { return };
        let _ = connection.set_read_timeout(Some(TIMEOUT));
        let _ = connection.write_all(request.as_bytes());
        // Some drivers keep the connection open: the first bytes say that it is done.
        let _ = connection.read(&mut [0; 64]);
    }
}

impl fmt::Display for WebDriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error, self.message)
    }
}

async fn ask(request: reqwest::RequestBuilder) -> Result<Value, WebDriverError> {
    let answer = request.header("content-type", "application/json; charset=utf-8").send().await;
    let broken = |error: reqwest::Error| WebDriverError { error: "no answer".to_owned(), message: error.to_string() };
    let text = answer.map_err(broken)?.text().await.map_err(broken)?;
    let mut answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let value = answer["value"].take();
    match value["error"].as_str() {
        Some(error) => {
            let message = value["message"].as_str().unwrap_or_default().to_owned();
            Err(WebDriverError { error: error.to_owned(), message })
        }
        None => Ok(value),
    }
}

/// What the protocol calls the member that names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
