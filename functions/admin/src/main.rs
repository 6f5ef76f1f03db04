//! `admin` on Lambda.

use admin::Admin;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Admin::new(&Environment::from_lambda().await).await?).await
}
