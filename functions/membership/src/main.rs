//! `membership` on Lambda.

use membership::Membership;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Membership::new(&Environment::from_lambda().await).await?).await
}
