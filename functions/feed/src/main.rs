//! `feed` on Lambda.

use feed::ProductFeed;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(ProductFeed::new).await
}
