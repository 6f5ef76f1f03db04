//! `token` on Lambda.

use shared::environment::Environment;
use shared::lambda;
use token::Token;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda::Error> {
    lambda::serve(Token::new(&Environment::from_lambda().await).await?).await
}
