//! What a service may be asked: the operations that are used, as the SDK knows them.

use std::fmt::Debug;
use std::sync::OnceLock;

use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_types::config_bag::{FrozenLayer, Layer};
use aws_smithy_types::retry::ProvideErrorKind;

use super::items;
use super::service::{DynamoDb, Failure, Kms, Known, Lambda};

/// An operation with all that it is given: a builder of the SDK's.
pub(crate) trait Question {
    /// Whom it is for.
    type Of: Known;
    /// What is answered.
    type Output: Debug + Send + Sync + 'static;
    /// How it is refused.
    type Error: std::error::Error + ProvideErrorKind + Send + Sync + 'static;

    /// How the operation is written and read.
    fn operation() -> &'static FrozenLayer;

    /// What it is given.
    fn into_input(self) -> Result<Input, Failure>;

    /// What a body of status 200 says, where there is a shorter way to it than the SDK's and it is plain.
    fn read(body: &[u8]) -> Option<Self::Output>;
}

/// By that way, if one is named.
macro_rules! shorter {
    ($body:ident) => {{
        let _ = $body;
        None
    }};
    ($body:ident, $read:path) => {
        $read($body)
    };
}

macro_rules! questions {
    ($($Service:ident: $sdk:ident::$module:ident::{$Operation:ident, $Builder:ident, $Output:ident, $Error:ident} $(read by $read:path)?;)+) => {$(
        impl Question for $sdk::operation::$module::builders::$Builder {
            type Of = $Service;
            type Output = $sdk::operation::$module::$Output;
            type Error = $sdk::operation::$module::$Error;

            fn operation() -> &'static FrozenLayer {
                static OPERATION: OnceLock<FrozenLayer> = OnceLock::new();
                OPERATION.get_or_init(|| {
                    let known = $sdk::operation::$module::$Operation::new().config();
                    known.unwrap_or_else(|| Layer::new(stringify!($Operation)).freeze())
                })
            }

            fn into_input(self) -> Result<Input, Failure> {
                Ok(Input::erase(self.build()?))
            }

            fn read(body: &[u8]) -> Option<Self::Output> {
                shorter!(body $(, $read)?)
            }
        }
    )+};
}

questions! {
    DynamoDb: aws_sdk_dynamodb::batch_get_item::{BatchGetItem, BatchGetItemInputBuilder, BatchGetItemOutput, BatchGetItemError} read by items::got_together;
    DynamoDb: aws_sdk_dynamodb::batch_write_item::{BatchWriteItem, BatchWriteItemInputBuilder, BatchWriteItemOutput, BatchWriteItemError};
    DynamoDb: aws_sdk_dynamodb::delete_item::{DeleteItem, DeleteItemInputBuilder, DeleteItemOutput, DeleteItemError};
    DynamoDb: aws_sdk_dynamodb::get_item::{GetItem, GetItemInputBuilder, GetItemOutput, GetItemError} read by items::got;
    DynamoDb: aws_sdk_dynamodb::put_item::{PutItem, PutItemInputBuilder, PutItemOutput, PutItemError};
    DynamoDb: aws_sdk_dynamodb::query::{Query, QueryInputBuilder, QueryOutput, QueryError} read by items::found;
    DynamoDb: aws_sdk_dynamodb::scan::{Scan, ScanInputBuilder, ScanOutput, ScanError};
    DynamoDb: aws_sdk_dynamodb::transact_write_items::{
        TransactWriteItems, TransactWriteItemsInputBuilder, TransactWriteItemsOutput, TransactWriteItemsError
    };
    DynamoDb: aws_sdk_dynamodb::update_item::{UpdateItem, UpdateItemInputBuilder, UpdateItemOutput, UpdateItemError} read by items::updated;
    Kms: aws_sdk_kms::get_public_key::{GetPublicKey, GetPublicKeyInputBuilder, GetPublicKeyOutput, GetPublicKeyError};
    Kms: aws_sdk_kms::sign::{Sign, SignInputBuilder, SignOutput, SignError};
    Lambda: aws_sdk_lambda::invoke::{Invoke, InvokeInputBuilder, InvokeOutput, InvokeError};
}
