//! `admin` on Lambda.

use admin::Admin;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Admin::new).await
}
