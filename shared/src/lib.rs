//! What two or more functions need, and nothing that only one does.
//!
//! | module | who needs it |
//! | --- | --- |
//! | [`access`] | mcp; apart, because the store hands a tenant's things to nobody without one |
//! | [`audit`] | every function that decides something |
//! | [`clock`] | all |
//! | [`environment`] | all: settings, and what they lead to |
//! | [`event`] | all: what API Gateway sends, checked before anything reads it |
//! | [`upstream_error`] | all that call out |
//! | [`http`] | all |
//! | [`identity`] | authorize, login |
//! | [`invoker`] | mcp; apart, because only `shared` knows AWS |
//! | [`signing_keys`] | token and mcp sign; wellknown, revoke, mcp verify |
//! | [`lambda`] | all |
//! | [`log`] | all: the form of log lines |
//! | [`metrics`] | all: counted and timed in `lambda` and where calls are made |
//! | [`oauth`] | all |
//! | [`outbound`] | authorize, mcp |
//! | [`store`] | register, authorize, token, revoke, mcp, feed; the local system writes through it |
//! | [`request_context`] | all: what lines about one request share |

pub mod access;
pub mod audit;
pub mod aws;
pub mod clock;
pub mod environment;
pub mod event;
pub mod http;
pub mod identity;
pub mod invoker;
pub mod lambda;
pub mod log;
pub mod metrics;
pub mod oauth;
pub mod outbound;
pub mod request_context;
pub mod signing_keys;
pub mod store;
pub mod upstream_error;
