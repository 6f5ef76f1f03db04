//! `wellknown` on Lambda.

use shared::lambda;
use wellknown::WellKnown;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(WellKnown::new).await
}
