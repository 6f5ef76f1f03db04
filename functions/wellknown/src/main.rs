//! `wellknown` on Lambda.

use wellknown::WellKnown;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(WellKnown::new(&Environment::from_lambda().await).await?).await
}
