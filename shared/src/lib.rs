//! What two or more functions need, and nothing that only one does.
//!
//! A module imports only from modules above it in this table. Within the store, a tenant's data (`store::workspace`) is above
//! [`access`], and the other tables are below it.
//!
//! | module | who needs it |
//! | --- | --- |
//! | [`clock`] | all |
//! | [`token_bucket`] | authorize, login, admin: what limits requests in one process |
//! | [`strict_json`] | authorize, token, revoke, feed; JSON without repeated members |
//! | [`jwk`] | authorize, token, revoke, login, admin: keys of others, and what they have signed |
//! | [`oauth`] | all: the vocabulary, pure |
//! | [`telemetry`] | all: audit, metrics, the request context, the log |
//! | [`upstream_error`], [`upstream_call`] | all that call a service |
//! | [`aws`] | all: the clients of AWS |
//! | [`invoker`] | mcp; apart, because only `shared` knows AWS |
//! | `stored_secret` | login: what must not be in a variable |
//! | [`signing_keys`] | token and mcp sign; wellknown, revoke, mcp verify |
//! | [`store`] | register, authorize, token, revoke, mcp, feed; the local system writes through it |
//! | [`entitlement`] | token, mcp, admin; apart, because nobody issues or lets in without one |
//! | [`access`] | mcp; apart, because the store hands a tenant's data to nobody without one |
//! | [`revocation`] | token, revoke, admin, feed, the operator's command line |
//! | [`joint_revocation`] | admin, feed, the operator's command line: many connections at once |
//! | [`api_key_issuer`] | admin, the operator's command line, the local system |
//! | [`environment`] | all: settings, and what they lead to |
//! | [`api_gateway_event`] | all: what API Gateway sends, checked before anything reads it |
//! | [`http`] | all |
//! | [`outbound`] | authorize, token, revoke, mcp |
//! | [`client_authenticator`] | token, revoke |
//! | [`identity`] | authorize, login, admin |
//! | [`lambda`] | all |

pub mod access;
pub mod api_gateway_event;
pub mod api_key_issuer;
pub mod aws;
pub mod client_authenticator;
pub mod clock;
pub mod entitlement;
pub mod environment;
pub mod http;
pub mod identity;
pub mod invoker;
pub mod joint_revocation;
pub mod jwk;
pub mod lambda;
pub mod member_revocation;
pub mod oauth;
pub mod outbound;
pub mod revocation;
pub mod signing_keys;
pub mod store;
mod stored_secret;
pub mod strict_json;
pub mod telemetry;
pub mod token_bucket;
pub mod upstream_call;
pub mod upstream_error;
