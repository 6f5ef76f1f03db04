//! A function that does nothing: what `lambda_http` and Lambda's Runtime API cost by themselves.

use lambda_http::{Body, Error, Request, Response, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_http::run(service_fn(async |_: Request| Ok::<_, Error>(Response::new(Body::Empty)))).await
}
