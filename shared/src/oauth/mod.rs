//! The vocabulary of OAuth as types: pure, without I/O, HTTP or a clock.

pub mod access_token;
pub mod api_key;
pub mod approval_basis;
pub mod blocked_hosts;
pub mod client;
pub mod client_assertion;
pub mod client_keys;
pub mod client_name;
pub mod connection_attempt;
pub mod error;
pub mod grant;
pub mod grant_id;
pub mod instance_id;
pub mod issuer;
pub mod pkce;
pub mod redirect_uri;
pub mod refresh_token;
pub mod refresh_token_rotation;
pub mod requested_scopes;
pub mod resource;
pub mod role;
pub mod scope;
pub mod scope_meaning;
pub mod secret;
pub mod tenant;
pub mod vouched_hosts;
