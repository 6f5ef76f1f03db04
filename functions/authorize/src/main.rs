//! `authorize` on Lambda.

use authorize::Authorize;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Authorize::new).await
}
