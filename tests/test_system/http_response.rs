//! What came back: all of it, so that tests can assert all of it.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use serde_json::Value;

use crate::placement::as_tests_say;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl HttpResponse {
    /// Reads a response to its end.
    ///
    /// # Panics
    /// When the connection breaks.
    pub async fn read(response: reqwest::Response) -> Self {
        let (status, origin) = (response.status().as_u16(), response.url().origin().ascii_serialization());
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                // A cookie comes back as it went.
                let value =
                    if name == SET_COOKIE { value.into() } else { as_tests_say(&value, &origin, name == LOCATION) };
                (name.as_str().to_owned(), value)
            })
            .collect();
        let is_page =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let body = as_tests_say(&response.text().await.expect("the body arrives"), &origin, is_page);
        Self { status, headers, body }
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Each value of a header.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body without the id of the request, which no other answer has.
    #[must_use]
    pub fn body_without_request_id(&self) -> String {
        self.header("apigw-requestid").map_or_else(|| self.body.clone(), |id| self.body.replace(id, ""))
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        assert!(
            self.header("content-type").is_some_and(|kind| kind.starts_with("application/json")),
            "not JSON: {self:?}"
        );
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Where it redirects to.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no redirect: {self:?}"))
    }

    /// The parameters of the address that it redirects to, each of which must occur once.
    ///
    /// # Panics
    /// When one is repeated.
    #[must_use]
    pub fn redirect_parameters(&self) -> BTreeMap<String, String> {
        let url = url::Url::parse(self.location()).expect("an absolute address");
        let mut parameters = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            let repeated = parameters.insert(name.clone().into_owned(), value.into_owned());
            assert!(repeated.is_none(), "{name} is repeated: {url}");
        }
        parameters
    }
}
