//! The client assertions that were used, in the table of grants: each may be used once (RFC 7523 §3, `jti`).
//!
//! ```text
//! { id: "assertion#<digest of the client's id and jti>", expires: 1795… }
//! ```
//!
//! Written only together with what the assertion is used for. It may go when the assertion has expired.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::Update;

use super::item::{Item, Value};
use crate::oauth::client_assertion::VerifiedAssertion;
use crate::oauth::secret::to_text;

/// The write in `table` that records `assertion`, if it was not used before. The id of a grant never holds a `#`.
pub(super) fn addition(table: &str, assertion: &VerifiedAssertion) -> Result<Update, BuildError> {
    let id = format!("assertion#{}", to_text(assertion.id.as_bytes()));
    Update::builder()
        .table_name(table)
        .set_key(Some(Item::default().with("id", id).into_inner()))
        .update_expression("SET expires = :expires")
        .condition_expression("attribute_not_exists(id)")
        .expression_attribute_values(":expires", Value::from(assertion.expires).0)
        .build()
}
