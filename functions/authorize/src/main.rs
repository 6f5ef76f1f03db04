//! `authorize` on Lambda.

use authorize::Authorize;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Authorize::new(&Environment::from_lambda().await).await?).await
}
