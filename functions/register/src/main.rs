//! `register` on Lambda.

use register::Register;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Register::new(&Environment::from_lambda().await).await?).await
}
