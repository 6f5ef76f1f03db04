//! Reading requests and shaping answers.

pub mod answer;
pub mod body;
pub mod cors;
pub mod credentials;
pub mod parameters;
pub mod style;
pub mod told;
