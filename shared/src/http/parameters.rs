//! Form and query parameters: size-capped, UTF-8, and each name that means something once.

use lambda_http::Request;
use percent_encoding::percent_decode_str;
use thiserror::Error;

use super::body;
use crate::api_gateway_event::MalformedPart;

/// The parameters of a request. An empty value counts as left out (OAuth 2.1 §3.1, §3.2).
///
/// Has no `Debug`: it holds codes, tokens and secrets.
#[derive(Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

/// Why parameters could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ParameterError {
    /// Larger than we read.
    #[error("the request is too large")]
    TooLarge,
    /// A body that is not a form.
    #[error("the body must be application/x-www-form-urlencoded")]
    NotAForm,
    /// Percent-encoding that does not decode to UTF-8.
    #[error("a parameter is not valid UTF-8")]
    NotUtf8,
    /// A part that breaks the rules of HTTP.
    #[error("the {0} is malformed")]
    NotHttp(MalformedPart),
    /// A name that occurs twice and must not.
    #[error("a parameter is repeated")]
    Repeated,
}

impl Parameters {
    /// The largest legitimate request, an approval with a long `state`, has about 3 KB.
    pub const LIMIT: usize = 16 * 1024;

    /// From the query string.
    ///
    /// # Errors
    /// When it is too large, not UTF-8 or names a parameter twice.
    pub fn of_query(request: &Request) -> Result<Self, ParameterError> {
        // From `rawQueryString`: the event's map of parameters joins repeated ones with a comma.
        Self::parse(request.uri().query().unwrap_or_default(), |_| true)
    }

    /// From the query string of an OAuth client, in which only the parameters `once` must not be repeated (OAuth 2.1 §3.1). What
    /// means nothing here is ignored, however often it is sent.
    ///
    /// # Errors
    /// When it is too large, not UTF-8 or names one of `once` twice.
    pub fn of_query_with(request: &Request, once: &[&str]) -> Result<Self, ParameterError> {
        Self::parse(request.uri().query().unwrap_or_default(), |name| once.contains(&name))
    }

    /// From a form body.
    ///
    /// # Errors
    /// When it is too large, not a form, not UTF-8 or names a parameter twice.
    pub fn of_body(request: &Request) -> Result<Self, ParameterError> {
        Self::parse(form(request)?, |_| true)
    }

    /// From a form body of an OAuth client, in which only the parameters `once` must not be repeated (OAuth 2.1 §3.2).
    ///
    /// # Errors
    /// When it is too large, not a form, not UTF-8 or names one of `once` twice.
    pub fn of_body_with(request: &Request, once: &[&str]) -> Result<Self, ParameterError> {
        Self::parse(form(request)?, |name| once.contains(&name))
    }

    /// From `name=value&…`; `is_single` names those that must not be repeated.
    fn parse(text: &str, is_single: impl Fn(&str) -> bool) -> Result<Self, ParameterError> {
        if text.len() > Self::LIMIT {
            return Err(ParameterError::TooLarge);
        }
        let mut seen: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if is_single(&name) && seen.iter().any(|(earlier, _)| *earlier == name) {
                return Err(ParameterError::Repeated);
            }
            seen.push((name, value));
        }
        Ok(Self(seen))
    }

    /// The values of `name` that are not empty, in their order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The value of `name`, if it was sent and is not empty: the first of several.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All that were sent, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn form(request: &Request) -> Result<&str, ParameterError> {
    if !body::is_of_type(request, "application/x-www-form-urlencoded") {
        return Err(ParameterError::NotAForm);
    }
    std::str::from_utf8(body::bytes(request)).map_err(|_| ParameterError::NotUtf8)
}

pub(super) fn decode(text: &str) -> Result<String, ParameterError> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(Into::into).map_err(|_| ParameterError::NotUtf8)
}
