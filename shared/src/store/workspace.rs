//! A tenant's own things: tools, skills and views.

use aws_sdk_dynamodb::Client as Dynamo;

/// The table of tenants' things.
#[derive(Clone)]
pub struct Workspace {
    dynamo: Dynamo,
    table: String,
}

impl Workspace {
    pub(crate) const fn new(dynamo: Dynamo, table: String) -> Self {
        Self { dynamo, table }
    }
}
