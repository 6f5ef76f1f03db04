//! Mails to sign in with that Supabase did not send. Nobody who asks for one is told, or everybody would learn who has an account: the
//! function login counts them (`SignInMailFailed`), and its log has the reason.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::error::{DisplayErrorContext, ProvideErrorMetadata};
use serde_json::Value;
use shared::clock::Timestamp;

use super::finding::Check;

const SPAN: Duration = Duration::from_hours(24);
/// Of what CloudWatch gives at a time.
const MOST_PAGES: usize = 50;

/// The lines of requests that count one. Their reason names what has to be changed.
const PATTERN: &str = "{ $.SignInMailFailed > 0 }";

/// By the setting that a reason names, and the last for any other: what is found, what it means, and what to do.
const SETTINGS: [(&str, &str, &str, &str); 7] = [
    (
        "EXTERNAL_EMAIL_MAGIC_LINK_ENABLED",
        "magic_link_off",
        "“E-mail me a code” sends nothing, while passwords work.",
        "Switch magic links on; or switch e-mail sign-in off (external.email), and our page offers neither.",
    ),
    (
        "EXTERNAL_EMAIL_AUTHORIZED_ADDRESSES",
        "mail_not_authorized",
        "Without a mail server of its own, the project mails to the members of its own team alone.",
        "Give the project a mail server (Authentication, Emails, SMTP Settings).",
    ),
    (
        "MAILER_EMAIL_VALIDATION_EXTENDED",
        "address_refused",
        "The project checks addresses, and takes these for none that get mail.",
        "If the addresses are good, switch this check off, or correct them in the project.",
    ),
    (
        "RATE_LIMIT_EMAIL_SENT",
        "mails_used_up",
        "The mails that the project may send in an hour were used up: nobody got one until the next.",
        "Raise the limit (Authentication, Rate Limits), which needs a mail server of the project's own.",
    ),
    (
        "SMTP_HOST",
        "mail_server",
        "The project's mail server did not take the mails.",
        "Look at the project's Auth logs, and at its mail server (Authentication, Emails, SMTP Settings).",
    ),
    (
        "HOOK_SEND_EMAIL",
        "mail_hook",
        "The project's own hook was to send the mails, and sent none.",
        "Look at that hook (Authentication, Hooks), and at its log.",
    ),
    ("", "mail_failed", "People who asked for a code got no mail.", "Look at the project's Auth logs for that time."),
];

/// Of one reason.
#[derive(Default)]
struct Failures {
    times: usize,
    /// Milliseconds since 1970-01-01 UTC.
    last: i64,
}

/// What the log of `stack` has of the last day.
pub(crate) async fn check(aws: &SdkConfig, stack: &str, now: Timestamp) -> Check {
    let mut check = Check::new("sign_in_mails");
    let group = format!("/aws/lambda/{stack}-login");
    match reasons(aws, &group, now).await {
        Err(reason) => check.skip(format!("{group} could not be read, which takes logs:FilterLogEvents: {reason}")),
        Ok((reasons, all)) => {
            let looked_at = if all { "in the last day" } else { "in the part of the last day that was looked at" };
            if reasons.is_empty() {
                check.observed(format!("no mail failed {looked_at}"));
            }
            for (reason, Failures { times, last }) in reasons {
                let known = SETTINGS.into_iter().find(|(setting, ..)| reason.contains(setting));
                let (_, found, breaks, remedy) = known.unwrap_or_default();
                let last = Timestamp::from_seconds(last / 1000).to_rfc3339();
                // What is over by now shows here for a day.
                check.weak(found, format!("{times} failed {looked_at}, the last at {last}: {reason}"), breaks, remedy);
            }
        }
    }
    check
}

/// What failed, by its reason, and whether all of the log was looked at.
async fn reasons(aws: &SdkConfig, group: &str, now: Timestamp) -> Result<(BTreeMap<String, Failures>, bool), String> {
    let logs = aws_sdk_cloudwatchlogs::Client::new(aws);
    let (mut reasons, mut next) = (BTreeMap::new(), None);
    for _ in 0..MOST_PAGES {
        let request = logs.filter_log_events().log_group_name(group).filter_pattern(PATTERN);
        let request = request.start_time(now.minus(SPAN).seconds() * 1000).set_next_token(next);
        let page = request.send().await.map_err(|error| {
            let reason = error.as_service_error().and_then(ProvideErrorMetadata::message);
            reason.map_or_else(|| DisplayErrorContext(&error).to_string(), str::to_owned)
        })?;
        for event in page.events.unwrap_or_default() {
            let line: Value = event.message().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
            if line.get("SignInMailFailed").is_none() {
                continue;
            }
            let reason = line.get("reason").and_then(Value::as_str).unwrap_or("no reason given");
            let of_reason: &mut Failures = reasons.entry(reason.to_owned()).or_default();
            of_reason.times += 1;
            of_reason.last = of_reason.last.max(event.timestamp.unwrap_or_default());
        }
        next = page.next_token;
        if next.is_none() {
            return Ok((reasons, true));
        }
    }
    Ok((reasons, false))
}
