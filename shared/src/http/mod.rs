//! Reading requests and shaping answers.

pub mod accent;
pub mod answer;
pub mod body;
pub mod cors;
pub mod credentials;
pub mod notice;
pub mod own_cookie;
pub mod own_page;
pub mod parameters;
pub mod shell;
pub mod told;
pub mod visible;
