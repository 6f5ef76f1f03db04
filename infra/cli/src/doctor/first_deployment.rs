//! What only AWS can settle, and no test on one machine: looked at once, after the first deployment of a stack.
//!
//! What can be seen from outside is checked. For the rest, the report says how to look.

use url::Url;

use super::documents::Documents;
use super::finding::Check;
use super::raw_request::{self, RawRequest, RawResponse};
use super::target::Target;

/// What no URI may hold (RFC 3986 §3.4), and a client that sends it all the same.
const CHARACTERS: [(&str, &str); 4] = [("\"", "a quotation mark"), ("<", "<"), (">", ">"), ("\u{7f}", "DEL")];

const NOT_OURS: &str = "Anybody can raise the alarms VersionFails and ServerErrors, and so roll a deployment back.";
const LOOK: &str = "Read the function's log for that time: an error of Lambda names what it did not understand. Tell those who make Amble \
                    Connect; until it is mended, deploy with Rollout=AllAtOnce, which no alarm stops.";

/// Everything on the list. `connection` is whether a whole connection was tried, and did well.
pub(crate) async fn checks(target: &Target, documents: &Documents, connection: Option<bool>) -> Vec<Check> {
    let metadata = Url::parse(&target.resource_metadata()).unwrap_or_else(|_| target.parsed.clone());
    let authorize = Url::parse(&documents.authorize).unwrap_or_else(|_| target.parsed.clone());
    let mut checks = vec![raw_query([(&metadata, "a document"), (&authorize, "a page")]).await];
    checks.push(raw_host(&metadata).await);
    checks.push(header_names(&target.parsed).await);
    checks.push(slash(&target.parsed).await);
    checks.push(head(&metadata).await);
    checks.push(leading_keys(connection));
    checks.push(throttles());
    checks.push(rollback());
    checks
}

/// A query that is none: it must be refused, by whomever.
async fn raw_query(addresses: [(&Url, &str); 2]) -> Check {
    let mut check = Check::new("raw_query");
    for (url, what) in addresses {
        for (character, name) in CHARACTERS {
            let suffix = format!("?a={character}");
            let response = raw_request::send(RawRequest { method: "GET", url, suffix: &suffix, of_host: "" }).await;
            judge(&mut check, &format!("{what} with {name} in the query"), &response, "raw_query_fails");
        }
    }
    check
}

/// A host that is none.
async fn raw_host(url: &Url) -> Check {
    let mut check = Check::new("raw_host");
    for (of_host, name) in [("\"", "a quotation mark"), ("<>", "<>"), (":99999", "the port 99999")] {
        let response = raw_request::send(RawRequest { method: "GET", url, suffix: "", of_host }).await;
        judge(&mut check, &format!("a host with {name}"), &response, "raw_host_fails");
    }
    check
}

fn judge(check: &mut Check, what: &str, response: &RawResponse, code: &'static str) {
    match response {
        RawResponse::Answer { status: 500.., .. } => {
            check.broken(code, format!("{what} is answered {}", summary(response)), NOT_OURS, LOOK);
        }
        RawResponse::Unreachable(reason) => check.skip(format!("{what}: {reason}")),
        RawResponse::Answer { .. } | RawResponse::Closed => check.observed(format!("{what}: {}", summary(response))),
    }
}

/// By its status, and by whether the answer is a function's or of something before it.
fn summary(response: &RawResponse) -> String {
    match response {
        RawResponse::Answer { status, head, body } => {
            let is_ours = head.contains("apigw-requestid:") && head.contains("x-content-type-options:");
            let by = match (is_ours, body.starts_with(r#"{"message":"#)) {
                (true, _) => "a function",
                (false, true) => "API Gateway",
                (false, false) => "something before the function",
            };
            format!("{status} by {by}")
        }
        RawResponse::Closed => "the connection is closed".to_owned(),
        RawResponse::Unreachable(reason) => reason.clone(),
    }
}

/// API Gateway may rename `WWW-Authenticate`.
async fn header_names(url: &Url) -> Check {
    let mut check = Check::new("header_names");
    for method in ["GET", "POST", "DELETE"] {
        match raw_request::send(RawRequest { method, url, suffix: "", of_host: "" }).await {
            RawResponse::Answer { head, .. } if has(&head, "www-authenticate") => {
                check.observed(format!("{method}: WWW-Authenticate under its own name"));
            }
            RawResponse::Answer { head, .. } if has(&head, "x-amzn-remapped-www-authenticate") => check.broken(
                "header_renamed",
                format!("{method} is answered with x-amzn-remapped-www-authenticate in place of WWW-Authenticate"),
                "Clients that do not look elsewhere do not find out where to sign in.",
                "Look whether the responseParameters of this route are in the API: `aws apigatewayv2 get-integrations --api-id …`. They \
                 map X-Challenge onto WWW-Authenticate for 401 and 403.",
            ),
            RawResponse::Answer { status, .. } => check.broken(
                "header_dropped",
                format!("{method} is answered {status} without WWW-Authenticate"),
                "Clients that do not look elsewhere do not find out where to sign in.",
                "Look at what stands in front of the API and drops headers. Without such a thing, look whether the route leads to mcp.",
            ),
            other => check.skip(format!("{method}: {}", summary(&other))),
        }
    }
    check
}

fn has(head: &str, name: &str) -> bool {
    head.lines().any(|line| line.split_once(':').is_some_and(|(known, _)| known == name))
}

/// Whether a route is also that of the path with a slash at its end. Both are well, and a failure is not.
async fn slash(url: &Url) -> Check {
    let mut check = Check::new("slash");
    let path = url.path();
    let response = raw_request::send(RawRequest { method: "GET", url, suffix: "/", of_host: "" }).await;
    match &response {
        RawResponse::Answer { status: 401, .. } => check.observed(format!("{path}/ is answered as {path} is")),
        RawResponse::Answer { status: 404, .. } => check.observed(format!("{path}/ is not found: {}", summary(&response))),
        RawResponse::Answer { .. } => check.broken(
            "slash_answered",
            format!("{path}/ is answered {}", summary(&response)),
            "Whoever pastes the URL with a slash at its end cannot connect, and is not told why.",
            "Compare with the local system (`cargo run`), which answers 401 or 404: if API Gateway takes the slash for another route, \
             tell those who make Amble Connect.",
        ),
        other => check.skip(summary(other)),
    }
    check
}

/// HEAD where GET is.
async fn head(url: &Url) -> Check {
    let mut check = Check::new("head");
    let path = url.path();
    let response = raw_request::send(RawRequest { method: "HEAD", url, suffix: "", of_host: "" }).await;
    match &response {
        RawResponse::Answer { status, body, .. } if *status < 500 && body.is_empty() => {
            check.observed(format!("HEAD {path}: {status}"));
        }
        RawResponse::Answer { .. } => check.broken(
            "head_answered",
            format!("HEAD {path} is answered {}, or with a body", summary(&response)),
            "Monitors and link checkers take the deployment for broken.",
            "Look at the access log for this request: its `status` and `integrationError` say who failed.",
        ),
        other => check.skip(summary(other)),
    }
    check
}

/// Policies narrow what a function may do by the keys of items (`dynamodb:LeadingKeys`). Only a real request shows that it is allowed.
fn leading_keys(connection: Option<bool>) -> Check {
    let mut check = Check::new("leading_keys");
    match connection {
        Some(true) => check.observed("a whole connection was made, used and ended: IAM allows what functions need"),
        Some(false) => check.skip(
            "the check `connect` says what failed; AccessDenied in a function's log names the action and the table",
        ),
        None => check.skip(
            "give --person and --password-env: only a whole connection shows that IAM allows what functions need",
        ),
    }
    check
}

/// Found out only by flooding the deployment.
fn throttles() -> Check {
    let mut check = Check::new("throttles");
    check.skip(
        "cannot be seen without a flood: compare RouteSettings of `aws apigatewayv2 get-stages --api-id …` with the template, and \
         `aws service-quotas list-service-quotas --service-code apigateway` with their sum",
    );
    check
}

/// `CodeDeploy` reads the alarms with a role of its own.
fn rollback() -> Check {
    let mut check = Check::new("rollback");
    check.skip(
        "cannot be seen from outside: deploy a second time with Rollout=Canary10Percent5Minutes. If CodeDeploy may not read the alarms \
         (cloudwatch:DescribeAlarms of the role RolloutRole), `aws deploy get-deployment` says so in errorInformation, and the stack \
         goes back. Then deploy with Rollout=AllAtOnce, and widen the role's policy to Resource *",
    );
    check
}
