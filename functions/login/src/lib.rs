//! Not written yet.

use shared::environment::{Environment, Misconfigured};
use shared::http::answer;
use shared::lambda::{Function, Request, Response};

/// The endpoint.
pub struct Login;

impl Login {
    /// With what it needs of the environment.
    ///
    /// # Errors
    /// When a setting is missing.
    pub async fn new(_: &Environment) -> Result<Self, Misconfigured> {
        Ok(Self)
    }
}

impl Function for Login {
    const NAME: &'static str = "login";

    async fn handle(&self, _: Request) -> Response {
        answer::empty(http::StatusCode::NOT_IMPLEMENTED)
    }
}
