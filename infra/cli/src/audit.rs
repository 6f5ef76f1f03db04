//! `amble audit`: what happened, by whom, to what.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use shared::clock::Timestamp;
use shared::oauth::client::ClientId;
use shared::oauth::grant::GrantId;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::activity::Activities;

use crate::arguments;
use crate::desk::Desk;
use crate::failed::Failed;
use crate::said::Said;
use crate::trail::Line;

/// What can be done with the audit.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show what happened lately, the oldest first
    Show {
        #[command(flatten)]
        about: About,
        /// How far back
        #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = arguments::span)]
        since: Duration,
    },
    /// Show what happens, as it happens, until it is interrupted; with --json, a line for each event
    Follow {
        #[command(flatten)]
        about: About,
    },
}

/// What about: events that fit all that is said.
#[derive(Args)]
pub(crate) struct About {
    /// In this tenant
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<TenantId>,
    /// Of this person
    #[arg(long, value_parser = arguments::person)]
    person: Option<PersonId>,
    /// Of this client
    #[arg(long, value_parser = arguments::client)]
    client: Option<ClientId>,
    /// Of this grant
    #[arg(long, value_parser = arguments::grant, allow_hyphen_values = true)]
    grant: Option<GrantId>,
}

pub(crate) async fn run(command: Command, desk: &Desk, json: bool) -> Result<Said, Failed> {
    match command {
        Command::Show { about, since } => {
            let lines = read(desk, &about, millis(desk.now.minus(since))).await?;
            let text = if lines.is_empty() {
                "Nothing of the kind has happened.\n".to_owned()
            } else {
                lines.iter().map(readable).collect()
            };
            let events: Vec<_> = lines.into_iter().map(|line| Value::Object(line.members)).collect();
            Ok(Said { text, json: json!({ "events": events }) })
        }
        Command::Follow { about } => follow(desk, &about, json).await,
    }
}

async fn follow(desk: &Desk, about: &About, json: bool) -> Result<Said, Failed> {
    const PAUSE: Duration = Duration::from_secs(2);
    /// Events may come late, and out of order.
    const LATE: Duration = Duration::from_mins(2);

    let clock = desk.environment.clock();
    let begun = millis(clock.now());
    let mut seen = HashSet::new();
    loop {
        for line in read(desk, about, begun.max(millis(clock.now().minus(LATE)))).await? {
            if !seen.insert(line.id.clone()) {
                continue;
            }
            let text = if json { format!("{}\n", Value::Object(line.members)) } else { readable(&line) };
            let mut out = io::stdout().lock();
            if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                // Nobody reads on.
                return Ok(Said { text: String::new(), json: Value::Null });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What happened from `since` on, the oldest first.
async fn read(desk: &Desk, about: &About, since: i64) -> Result<Vec<Line>, Failed> {
    if desk.trail.is_in_cloudwatch() {
        let (mut lines, mut from) = (Vec::new(), None);
        loop {
            let (page, next) = desk.trail.read(&about.pattern(), since, from).await.map_err(Failed::AuditUnread)?;
            lines.extend(page);
            from = next;
            if from.is_none() {
                return Ok(lines);
            }
        }
    }
    let activities = desk.trail.activities.as_ref().ok_or(Failed::NoAudit("this deployment"))?;
    let tenant = about.tenant.as_ref().ok_or(Failed::AuditByTenant)?;
    let mut lines = of_tenant(activities, tenant, since, desk.environment.clock().now()).await?;
    lines.retain(|line| about.fits(&line.members));
    Ok(lines)
}

async fn of_tenant(
    activities: &Activities,
    tenant: &TenantId,
    since: i64,
    now: Timestamp,
) -> Result<Vec<Line>, Failed> {
    const MOST: usize = 100;
    let (mut lines, mut before) = (Vec::new(), None);
    loop {
        let (page, next) = activities.latest(tenant, before.as_ref(), MOST, now).await?;
        let all = page.len();
        let recent = page.into_iter().take_while(|activity| activity.at >= since);
        lines.extend(recent.map(|activity| Line { at: activity.at, id: activity.id, members: activity.line }));
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

impl About {
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

    fn fits(&self, line: &Map<String, Value>) -> bool {
        self.members().all(|(name, value)| line.get(name).and_then(Value::as_str) == Some(&value))
    }
}

/// When, what, and then whatever else the line says.
fn readable(line: &Line) -> String {
    const TOLD: [&str; 8] = ["event", "timestamp", "level", "target", "at", "v", "id", "invocation"];
    let event = line.members.get("event").and_then(Value::as_str).unwrap_or_default();
    let rest = line.members.iter().filter(|(name, _)| !TOLD.contains(&name.as_str()));
    let rest: Vec<_> = rest
        .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
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
    fn cloudwatch_is_asked_for_what_fits_all_of_it() {
        let none = About { tenant: None, person: None, client: None, grant: None };
        assert_eq!(none.pattern(), "{ ($.event = *) }");
        let tenant = TenantId::parse("acme");
        let client = ClientId::parse("https://a.example/\"x\\");
        let both = About { tenant, client, ..none };
        assert_eq!(
            both.pattern(),
            r#"{ ($.event = *) && ($.tenant = "acme") && ($.client = "https://a.example/\"x\\") }"#
        );
        let line =
            |client: &str| Map::from_iter([("tenant".to_owned(), json!("acme")), ("client".to_owned(), json!(client))]);
        assert!(both.fits(&line("https://a.example/\"x\\")) && !both.fits(&line("c_other")));
    }
}
