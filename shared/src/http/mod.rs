//! Reading requests and shaping answers.

pub mod accent;
pub mod body;
pub(crate) mod client_address;
pub mod client_authentication;
pub mod cookie;
pub mod cors;
pub mod csrf;
pub mod edge;
pub mod flash;
pub mod host_cookie;
pub mod layout;
pub mod oauth_error_response;
pub mod parameters;
pub mod public_paths;
pub mod response;
pub mod sanitized_text;
