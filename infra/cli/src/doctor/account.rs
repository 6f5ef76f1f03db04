//! How many functions the account may run at the same time: a new account has few, and nobody is told.

use aws_config::SdkConfig;
use aws_sdk_lambda::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_lambda::types::AccountLimit;

use super::finding::Check;

/// With less, a few slow requests keep everybody else waiting. A new account has 10, an old one 1,000.
const ENOUGH: i32 = 100;

const RAISE: &str = "Ask AWS for more, which costs nothing: `aws service-quotas request-service-quota-increase --service-code lambda \
                     --quota-code L-B99A9384 --desired-value 1000`. An answer can take some days.";

pub(crate) async fn check(aws: &SdkConfig) -> Check {
    let mut check = Check::new("account");
    let region = aws.region().map(ToString::to_string).unwrap_or_default();
    let settings = match aws_sdk_lambda::Client::new(aws).get_account_settings().send().await {
        Ok(settings) => settings,
        Err(error) => {
            let reason = error.as_service_error().and_then(ProvideErrorMetadata::message);
            let reason = reason.map_or_else(|| DisplayErrorContext(&error).to_string(), str::to_owned);
            check.skip(format!("needs lambda:GetAccountSettings: {reason}"));
            return check;
        }
    };
    let Some(limit) = settings.account_limit().map(AccountLimit::concurrent_executions) else {
        check.skip("Lambda does not say how many functions may run at the same time");
        return check;
    };
    let seen = format!("at most {limit} functions run at the same time in {region}, those of other stacks included");
    if limit < ENOUGH {
        check.weak(
            "concurrency_low",
            seen,
            "When as many are running, Lambda turns requests away: people see errors, and Claude has to try again.",
            RAISE,
        );
    } else {
        check.observed(seen);
    }
    check
}
