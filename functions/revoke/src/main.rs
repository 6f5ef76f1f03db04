//! `revoke` on Lambda.

use revoke::Revoke;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Revoke::new).await
}
