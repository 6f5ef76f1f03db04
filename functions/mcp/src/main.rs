//! `mcp` on Lambda.

use mcp::Mcp;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Mcp::new).await
}
