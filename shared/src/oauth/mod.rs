//! The vocabulary of OAuth as types: pure, without I/O, HTTP or a clock.

pub mod access_token;
pub mod api_key;
pub mod client;
pub mod client_name;
pub mod error;
pub mod flow;
pub mod grant;
pub mod issuer;
pub mod pkce;
pub mod redirect_uri;
pub mod refresh;
pub mod resource;
pub mod role;
pub mod scope;
pub mod secret;
pub mod tenant;
