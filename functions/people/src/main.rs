//! `people` on Lambda.

use people::People;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::listen(People::new).await
}
