//! `token` on Lambda.

use token::Token;
use shared::environment::Environment;
use shared::lambda;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Token::new(&Environment::from_lambda().await).await?).await
}
