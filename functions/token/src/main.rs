//! `token` on Lambda.

use shared::lambda;
use token::Token;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Token::new).await
}
