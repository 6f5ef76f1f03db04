//! `membership` on Lambda.

use membership::Membership;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Membership::new).await
}
