//! `login` on Lambda.

use login::Login;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Login::new(&Environment::from_lambda().await).await?).await
}
