//! `audit` on Lambda.

use audit::Audit;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::listen(Audit::new).await
}
