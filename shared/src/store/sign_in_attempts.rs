//! What was tried from one address to sign in, by the hour: one item for an address and an hour, beside the clients. All instances
//! of `login` count in it.
//!
//! ```text
//! { id: "sign-ins <digest> 498705", kind: "sign_ins", password?: 3, mail?: 1, code?: 2, factor?: 1, expires: 1795… }
//! ```
//!
//! No client has such an id: it has a blank. The digest of the address is keyed, so that the table alone does not tell who signed in.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::clients::{Clients, SIGN_INS};
use super::item::Value;
use crate::clock::Timestamp;
use crate::oauth::secret::{Secret, to_text};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInStep {
    /// A password.
    Password,
    /// To have a mail sent.
    Mail,
    /// The code of a mail.
    Code,
    /// The code of an authenticator.
    Factor,
}

/// An attempt that was counted.
pub struct CountedSignIn {
    id: String,
    step: SignInStep,
}

const UPDATE: &str = "DynamoDB.UpdateItem";

/// The hour itself, and one more for clocks that differ.
const RETENTION: Duration = Duration::from_hours(2);

impl Clients {
    /// Counts an attempt from the address of that keyed digest in this hour. Nothing if there were `max` of them, which counts
    /// nothing.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn count_sign_in(
        &self,
        address: &Secret<32>,
        step: SignInStep,
        max: u32,
        now: Timestamp,
    ) -> Result<Option<CountedSignIn>, UpstreamError> {
        let id = format!("sign-ins {} {}", to_text(address.expose()), now.seconds().div_euclid(3600));
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(id.clone()))
            .update_expression("SET kind = :kind, expires = :expires ADD #step :one")
            .condition_expression("attribute_not_exists(#step) OR #step < :max")
            .expression_attribute_names("#step", step.as_str())
            .expression_attribute_values(":kind", Value::from(SIGN_INS).0)
            .expression_attribute_values(":expires", Value::from(now.plus(RETENTION)).0)
            .expression_attribute_values(":one", Value::from(1_u32).0)
            .expression_attribute_values(":max", Value::from(max).0);
        match update.send().await {
            Ok(_) => Ok(Some(CountedSignIn { id, step })),
            Err(error) if is_refused(&error) => Ok(None),
            Err(error) => Err(upstream_call::failed_at_aws(UPDATE, &error)),
        }
    }

    /// Counts `counted` no more: it succeeded.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn uncount_sign_in(&self, counted: CountedSignIn) -> Result<(), UpstreamError> {
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .key("id", AttributeValue::S(counted.id))
            .update_expression("SET #step = #step - :one")
            .condition_expression("#step > :none")
            .expression_attribute_names("#step", counted.step.as_str())
            .expression_attribute_values(":one", Value::from(1_u32).0)
            .expression_attribute_values(":none", Value::from(0_u32).0);
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_refused(&error) => Ok(()),
            Err(error) => Err(upstream_call::failed_at_aws(UPDATE, &error)),
        }
    }
}

impl SignInStep {
    /// The attribute that counts it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Mail => "mail",
            Self::Code => "code",
            Self::Factor => "factor",
        }
    }
}

/// Whether the condition did not hold.
fn is_refused(error: &SdkError<UpdateItemError, HttpResponse>) -> bool {
    matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_)))
}
