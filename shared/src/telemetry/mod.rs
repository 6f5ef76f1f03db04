//! What is written down of a request: its audit events, its metrics, and its lines in the log.
//!
//! It knows the vocabulary of [`oauth`](crate::oauth) and the [`clock`](crate::clock), and nobody above it.
//!
//! | module | what it is |
//! | --- | --- |
//! | `request_attributes` | what the metrics and the lines of one request are told apart by |
//! | [`metrics`] | what is counted of a request |
//! | [`request_context`] | what the lines about one request share |
//! | [`request_counts`] | counts and times what happens in the current request |
//! | [`audit`] | the events that say what was decided, and about whom |
//! | `request_log` | the one line of each request |
//! | [`log`] | the form of log lines |
//! | [`terminal`] | what others chose, as the terminals of `amble` and of the local system may show it |

pub mod audit;
pub mod log;
pub mod metrics;
pub(crate) mod request_attributes;
pub mod request_context;
pub mod request_counts;
pub(crate) mod request_log;
pub mod terminal;
