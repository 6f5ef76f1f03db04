//! `amble grant`: what people have connected.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::audit::Event;
use shared::clock::Timestamp;
use shared::oauth::client::ClientId;
use shared::oauth::grant::{Grant, GrantId, GrantState, RevocationReason};
use shared::oauth::tenant::{PersonId, TenantId};
use shared::store::operator::GrantFilter;

use crate::arguments;
use crate::desk::Desk;
use crate::failed::Failed;
use crate::said::{Said, fields, table};

/// What can be done to grants.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List grants by tenant, person or client, or by several of these
    List {
        #[command(flatten)]
        which: Which,
        /// Those as well that have ended or expired, as long as they are kept
        #[arg(long)]
        all: bool,
    },
    /// Show one grant
    Show {
        #[arg(value_parser = arguments::grant, allow_hyphen_values = true)]
        grant: GrantId,
    },
    /// End one grant, or all that fit: their tokens are refused from the next call on. Asks first if there may be several
    End {
        #[arg(value_parser = arguments::grant, allow_hyphen_values = true, conflicts_with_all = ["tenant", "person", "client"])]
        grant: Option<GrantId>,
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Which grants: those that fit all that is said.
#[derive(Args)]
pub(crate) struct Which {
    /// In this tenant
    #[arg(long, value_parser = arguments::tenant)]
    pub(crate) tenant: Option<TenantId>,
    /// Of this person
    #[arg(long, value_parser = arguments::person)]
    pub(crate) person: Option<PersonId>,
    /// Of this client; by itself it reads the whole table, as no index leads there
    #[arg(long, value_parser = arguments::client)]
    pub(crate) client: Option<ClientId>,
}

/// Why an operator ends a grant.
#[derive(Clone, Copy)]
pub(crate) enum Why {
    /// Because they want it to end.
    Wanted,
    /// Because its person is no longer in its tenant.
    Member,
}

pub(crate) async fn run(command: Command, desk: &Desk) -> Result<Said, Failed> {
    match command {
        Command::List { which, all } => list(desk, &which, all).await,
        Command::Show { grant } => Ok(one(&find(desk, &grant).await?, desk.now)),
        Command::End { grant: Some(id), .. } => end_one(desk, &id).await,
        Command::End { grant: None, which, yes } => {
            let alive = which.find(desk).await?.into_iter().filter(|grant| is_alive(grant, desk.now)).count();
            if alive > 0 {
                desk.confirm(&format!("ends {alive} connections"), yes)?;
            }
            let ended = end_which(desk, &which, Why::Wanted).await?;
            Ok(Said { text: format!("Connections that ended: {ended}.\n"), json: json!({ "ended": ended }) })
        }
    }
}

/// Whether anything of it may still be accepted.
pub(crate) fn is_alive(grant: &Grant, now: Timestamp) -> bool {
    !matches!(grant.state, GrantState::Revoked { .. }) && now < grant.expires()
}

/// Ends every grant of someone that is alive; how many.
pub(crate) async fn end_all(desk: &Desk, whose: &GrantFilter, why: Why) -> Result<usize, Failed> {
    let grants = desk.environment.grants()?.list(whose).await?;
    end(desk, grants, why).await
}

/// Ends every grant that fits and is alive; how many.
pub(crate) async fn end_which(desk: &Desk, which: &Which, why: Why) -> Result<usize, Failed> {
    let grants = which.find(desk).await?;
    end(desk, grants, why).await
}

async fn end(desk: &Desk, grants: Vec<Grant>, why: Why) -> Result<usize, Failed> {
    let table = desk.environment.grants()?;
    let alive: Vec<_> = grants.into_iter().filter(|grant| is_alive(grant, desk.now)).collect();
    let mut ended = 0;
    for grant in &alive {
        note_ending(desk, grant, why);
    }
    desk.tell().await;
    for grant in &alive {
        if table.revoke(&grant.id, why.ending(), desk.now).await? {
            ended += 1;
            note_ended(desk, grant, why);
            desk.progress(&format!("{ended} of {} connections ended", alive.len()));
        }
    }
    Ok(ended)
}

async fn end_one(desk: &Desk, id: &GrantId) -> Result<Said, Failed> {
    let grant = find(desk, id).await?;
    if let GrantState::Revoked { reason, .. } = grant.state {
        return Err(Failed::GrantEnded(id.to_text(), reason.as_str()));
    }
    note_ending(desk, &grant, Why::Wanted);
    desk.tell().await;
    if desk.environment.grants()?.revoke(id, RevocationReason::Administrator, desk.now).await? {
        note_ended(desk, &grant, Why::Wanted);
    }
    Ok(Said { text: format!("Grant {} has ended.\n", id.to_text()), json: json!({ "ended": 1 }) })
}

/// The line that a function writes before it ends one.
fn note_ending(desk: &Desk, Grant { id, approval, .. }: &Grant, why: Why) {
    desk.note_event(&Event::GrantEnding {
        grant: &id.to_text(),
        client: approval.client.as_str(),
        tenant: approval.tenant.as_str(),
        person: approval.person.as_str(),
        reason: why.ending().as_str(),
        by: None,
    });
}

/// And after.
fn note_ended(desk: &Desk, Grant { id, approval, .. }: &Grant, why: Why) {
    desk.note_event(&Event::GrantEnded {
        grant: &id.to_text(),
        client: approval.client.as_str(),
        tenant: approval.tenant.as_str(),
        person: approval.person.as_str(),
        reason: why.ending().as_str(),
        by: None,
    });
}

impl Why {
    const fn ending(self) -> RevocationReason {
        match self {
            Self::Wanted => RevocationReason::Administrator,
            Self::Member => RevocationReason::MembershipGone,
        }
    }
}

impl Which {
    /// Through the index that finds the fewest.
    async fn find(&self, desk: &Desk) -> Result<Vec<Grant>, Failed> {
        let whose = match (&self.person, &self.tenant, &self.client) {
            (Some(person), ..) => GrantFilter::Person(person.clone()),
            (None, Some(tenant), _) => GrantFilter::Tenant(tenant.clone()),
            (None, None, Some(client)) => GrantFilter::Client(client.clone()),
            (None, None, None) => return Err(Failed::WhichGrants),
        };
        let mut grants = desk.environment.grants()?.list(&whose).await?;
        grants.retain(|Grant { approval, .. }| {
            self.person.as_ref().is_none_or(|person| *person == approval.person)
                && self.tenant.as_ref().is_none_or(|tenant| *tenant == approval.tenant)
                && self.client.as_ref().is_none_or(|client| *client == approval.client)
        });
        Ok(grants)
    }
}

async fn find(desk: &Desk, id: &GrantId) -> Result<Grant, Failed> {
    desk.environment.grants()?.find(id).await?.ok_or_else(|| Failed::NoGrant(id.to_text()))
}

async fn list(desk: &Desk, which: &Which, all: bool) -> Result<Said, Failed> {
    let mut grants = which.find(desk).await?;
    grants.retain(|grant| all || is_alive(grant, desk.now));
    let row = |grant: &Grant| {
        let approval = &grant.approval;
        [
            grant.id.to_text(),
            state(grant, desk.now),
            approval.tenant.to_string(),
            approval.person.to_string(),
            approval.at.to_rfc3339(),
            approval.client.to_string(),
        ]
    };
    let rows: Vec<_> = grants.iter().map(row).collect();
    let text = if rows.is_empty() {
        "There is no such grant.\n".to_owned()
    } else {
        table(["GRANT", "STATE", "TENANT", "PERSON", "APPROVED", "CLIENT"], &rows)
    };
    let json: Vec<_> = grants.iter().map(|grant| described(grant, desk.now)).collect();
    Ok(Said { text, json: json!({ "grants": json }) })
}

fn one(grant: &Grant, now: Timestamp) -> Said {
    let approval = &grant.approval;
    let mut rows = vec![
        ("Grant", grant.id.to_text()),
        ("State", state(grant, now)),
        ("Client", approval.client.to_string()),
        ("Person", approval.person.to_string()),
        ("Tenant", approval.tenant.to_string()),
        ("For", approval.resource.to_string()),
        ("May", approval.scopes.to_string()),
        ("Approved", approval.at.to_rfc3339()),
        ("Answered at", grant.binding.redirect_uri.host()),
    ];
    match &grant.state {
        GrantState::Issued { .. } => rows.push(("Code until", grant.expires().to_rfc3339())),
        GrantState::Active(active) => {
            rows.push(("Exchanged", active.since.to_rfc3339()));
            if let Some(family) = &active.family {
                rows.push(("Refreshed", format!("{} (generation {})", family.rotated.to_rfc3339(), family.generation)));
            }
            rows.push((
                "Used",
                if active.seen == 0 { "never".to_owned() } else { format!("generation {}", active.seen) },
            ));
            rows.push(("Expires", grant.expires().to_rfc3339()));
        }
        GrantState::Revoked { at, .. } => rows.push(("Ended", at.to_rfc3339())),
    }
    Said { text: fields(&rows), json: described(grant, now) }
}

fn state(grant: &Grant, now: Timestamp) -> String {
    match &grant.state {
        GrantState::Revoked { reason, .. } => format!("ended: {}", reason.as_str()),
        _ if now >= grant.expires() => "expired".to_owned(),
        GrantState::Issued { .. } => "issued".to_owned(),
        GrantState::Active(_) => "active".to_owned(),
    }
}

/// Names, times and what was approved; never a digest or a salt.
fn described(grant: &Grant, now: Timestamp) -> Value {
    let approval = &grant.approval;
    let mut json = json!({
        "grant": grant.id.to_text(),
        "state": match &grant.state { GrantState::Revoked { .. } => "ended".to_owned(), _ => state(grant, now) },
        "client": approval.client.as_str(),
        "person": approval.person.as_str(),
        "tenant": approval.tenant.as_str(),
        "resource": approval.resource.to_string(),
        "scope": approval.scopes.to_string(),
        "approved": approval.at.to_rfc3339(),
        "host": grant.binding.redirect_uri.host(),
    });
    let Some(members) = json.as_object_mut() else { return json };
    match &grant.state {
        GrantState::Issued { .. } => {}
        GrantState::Active(active) => {
            members.insert("exchanged".to_owned(), Value::from(active.since.to_rfc3339()));
            members.insert("used_generation".to_owned(), Value::from(active.seen));
            if let Some(family) = &active.family {
                members.insert("refreshed".to_owned(), Value::from(family.rotated.to_rfc3339()));
                members.insert("generation".to_owned(), Value::from(family.generation));
            }
        }
        GrantState::Revoked { reason, at } => {
            members.insert("reason".to_owned(), Value::from(reason.as_str()));
            members.insert("ended".to_owned(), Value::from(at.to_rfc3339()));
        }
    }
    if !matches!(grant.state, GrantState::Revoked { .. }) {
        members.insert("expires".to_owned(), Value::from(grant.expires().to_rfc3339()));
    }
    json
}
