//! What all lines about one request have in common: the attributes that they are found by.

use std::net::IpAddr;

/// What identifies a request in logs, audit lines and metrics.
#[derive(Debug, Default)]
pub(crate) struct RequestAttributes {
    /// The function that answers.
    pub(crate) function: &'static str,
    /// The stack that it belongs to; nothing where Lambda does not say what the function is called.
    pub(crate) stack: Option<String>,
    /// What API Gateway calls the request: the access log and the answer's `apigw-requestid` say the same.
    pub(crate) request: Option<String>,
    /// What Lambda calls it.
    pub(crate) invocation: String,
    /// Where it came from, as far as that is known: who API Gateway saw, unless the deployment has a hop that it trusts before that.
    pub(crate) ip: Option<String>,
    /// Who is limited as one by where it came from. Nothing where that is not known.
    pub(crate) subscriber: Option<IpAddr>,
}
