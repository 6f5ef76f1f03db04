//! `amble audit`: what happened, by whom, to what.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use shared::clock::Timestamp;
use shared::oauth::client::ClientId;
use shared::oauth::grant_id::GrantId;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::activity::{Activities, ActivityQuery};
use shared::telemetry::terminal::{in_line, printable};
use supabase_users::person_selector::PersonSelector;

use crate::arguments;
use crate::audit_log::AuditLine;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::Output;

/// What can be done with the audit.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show what happened lately, the oldest first
    Show {
        #[command(flatten)]
        filter: AuditArguments,
        /// How far back
        #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = arguments::span)]
        since: Duration,
    },
    /// Show what happens, as it happens, until it is interrupted; with --json, a line for each event
    Follow {
        #[command(flatten)]
        filter: AuditArguments,
    },
}

/// Names events: those that fit all that is given.
#[derive(Args)]
pub(crate) struct AuditArguments {
    /// In this tenant
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<TenantId>,
    /// Of this person, by user id or e-mail address
    #[arg(long, value_parser = PersonSelector::parse)]
    person: Option<PersonSelector>,
    /// Of this client
    #[arg(long, value_parser = arguments::client)]
    client: Option<ClientId>,
    /// Of this grant
    #[arg(long, value_parser = arguments::grant, allow_hyphen_values = true)]
    grant: Option<GrantId>,
}

/// Selects events: those that fit all that is given.
struct AuditFilter {
    tenant: Option<TenantId>,
    person: Option<PersonId>,
    client: Option<ClientId>,
    grant: Option<GrantId>,
}

pub(crate) async fn run(command: Command, context: &Context, json: bool) -> Result<Output, CommandError> {
    match command {
        Command::Show { filter, since } => {
            let filter = filter.resolve(context).await?;
            let lines = read(context, &filter, millis(context.now.minus(since))).await?;
            let text = if lines.is_empty() {
                "Nothing of the kind has happened.\n".to_owned()
            } else {
                lines.iter().map(format_line).collect()
            };
            let events: Vec<_> = lines.into_iter().map(|line| Value::Object(line.members)).collect();
            Ok(Output { text, json: json!({ "events": events }) })
        }
        Command::Follow { filter } => follow(context, &filter.resolve(context).await?, json).await,
    }
}

async fn follow(context: &Context, filter: &AuditFilter, json: bool) -> Result<Output, CommandError> {
    const PAUSE: Duration = Duration::from_secs(2);
    /// Events may come late, and out of order.
    const MAX_DELAY: Duration = Duration::from_mins(2);

    let clock = context.environment.clock();
    let begun = millis(clock.now());
    let mut seen = HashSet::new();
    loop {
        for line in read(context, filter, begun.max(millis(clock.now().minus(MAX_DELAY)))).await? {
            if !seen.insert(line.id.clone()) {
                continue;
            }
            let text = if json { format!("{}\n", Value::Object(line.members)) } else { format_line(&line) };
            let mut out = io::stdout().lock();
            if out.write_all(printable(&text).as_bytes()).and_then(|()| out.flush()).is_err() {
                // Nobody reads on.
                return Ok(Output { text: String::new(), json: Value::Null });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What happened from `since` on, the oldest first.
async fn read(context: &Context, filter: &AuditFilter, since: i64) -> Result<Vec<AuditLine>, CommandError> {
    if context.audit_log.is_in_cloudwatch() {
        let (mut lines, mut from) = (Vec::new(), None);
        loop {
            let (page, next) =
                context.audit_log.read(&filter.pattern(), since, from).await.map_err(CommandError::AuditReadFailed)?;
            lines.extend(page);
            from = next;
            if from.is_none() {
                return Ok(lines);
            }
        }
    }
    let activities = context.audit_log.activities.as_ref().ok_or(CommandError::NoAudit("this deployment"))?;
    let tenant = filter.tenant.as_ref().ok_or(CommandError::AuditByTenant)?;
    let mut lines = of_tenant(activities, tenant, since, context.environment.clock().now()).await?;
    lines.retain(|line| filter.matches(&line.members));
    Ok(lines)
}

async fn of_tenant(
    activities: &Activities,
    tenant: &TenantId,
    since: i64,
    now: Timestamp,
) -> Result<Vec<AuditLine>, CommandError> {
    const PAGE_SIZE: usize = 100;
    let (mut lines, mut before) = (Vec::new(), None);
    loop {
        let query = ActivityQuery { before: before.as_ref(), ..ActivityQuery::everything(tenant) };
        let (page, next) = activities.latest(&query, PAGE_SIZE, now).await?;
        let all = page.len();
        let recent = page.into_iter().take_while(|activity| activity.at >= since);
        lines.extend(recent.map(|activity| AuditLine { at: activity.at, id: activity.id, members: activity.line }));
        match next {
            Some(next) if lines.len() >= all => before = Some(next),
            _ => break,
        }
        if lines.last().is_some_and(|line| line.at < since) {
            break;
        }
    }
    lines.reverse();
    Ok(lines)
}

impl AuditArguments {
    async fn resolve(self, context: &Context) -> Result<AuditFilter, CommandError> {
        let Self { tenant, person, client, grant } = self;
        let person = match &person {
            Some(person) => Some(context.find_person(person).await?),
            None => None,
        };
        Ok(AuditFilter { tenant, person, client, grant })
    }
}

impl AuditFilter {
    fn members(&self) -> impl Iterator<Item = (&'static str, String)> {
        let grant = self.grant.as_ref().map(|grant| ("grant", grant.to_text()));
        let tenant = self.tenant.as_ref().map(|tenant| ("tenant", tenant.to_string()));
        let person = self.person.as_ref().map(|person| ("person", person.to_string()));
        let client = self.client.as_ref().map(|client| ("client", client.to_string()));
        [grant, tenant, person, client].into_iter().flatten()
    }

    /// In the language of CloudWatch's filters.
    fn pattern(&self) -> String {
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
        let all: Vec<_> = std::iter::once("($.event = *)".to_owned())
            .chain(self.members().map(|(name, value)| format!("($.{name} = \"{}\")", quoted(&value))))
            .collect();
        format!("{{ {} }}", all.join(" && "))
    }

    fn matches(&self, line: &Map<String, Value>) -> bool {
        self.members().all(|(name, value)| line.get(name).and_then(Value::as_str) == Some(&value))
    }
}

/// When, what, and then whatever else the line says.
fn format_line(line: &AuditLine) -> String {
    const SHOWN_OR_COMMON: [&str; 8] = ["event", "timestamp", "level", "target", "at", "v", "id", "invocation"];
    let event = line.members.get("event").and_then(Value::as_str).unwrap_or_default();
    let rest = line.members.iter().filter(|(name, _)| !SHOWN_OR_COMMON.contains(&name.as_str()));
    let rest: Vec<_> = rest
        .map(|(name, value)| {
            format!("{name}={}", in_line(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        })
        .collect();
    let at = Timestamp::from_seconds(line.at.div_euclid(1000)).to_rfc3339();
    format!("{at}  {event:<22}  {}", rest.join("  ")).trim_end().to_owned() + "\n"
}

const fn millis(time: Timestamp) -> i64 {
    time.seconds().saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_a_cloudwatch_pattern() {
        let none = AuditFilter { tenant: None, person: None, client: None, grant: None };
        assert_eq!(none.pattern(), "{ ($.event = *) }");
        let tenant = TenantId::parse("acme");
        let client = ClientId::parse("https://a.example/\"x\\");
        let both = AuditFilter { tenant, client, ..none };
        assert_eq!(
            both.pattern(),
            r#"{ ($.event = *) && ($.tenant = "acme") && ($.client = "https://a.example/\"x\\") }"#
        );
        let line =
            |client: &str| Map::from_iter([("tenant".to_owned(), json!("acme")), ("client".to_owned(), json!(client))]);
        assert!(both.matches(&line("https://a.example/\"x\\")) && !both.matches(&line("c_other")));
    }
}
