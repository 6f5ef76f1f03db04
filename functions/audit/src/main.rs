//! `audit` on Lambda.

use audit::Audit;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::listen(Audit::new(&Environment::from_lambda().await).await?).await
}
