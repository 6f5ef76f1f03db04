//! `revoke` on Lambda.

use revoke::Revoke;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Revoke::new(&Environment::from_lambda().await).await?).await
}
