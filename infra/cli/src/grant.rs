//! `amble grant`: what people have connected.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::entitlement::Entitlement;
use shared::joint_revocation::JointRevocation;
use shared::oauth::blocked_hosts::BlockedHosts;
use shared::oauth::client::ClientId;
use shared::oauth::grant::{Approval, Grant, GrantState};
use shared::oauth::grant_id::GrantId;
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::tenant::{PersonId, TenantId};
use shared::revocation::Revocation;
use shared::store::connections::ConnectionFilter;
use shared::store::directory::Directory;
use shared::store::grants::Grants;
use shared::store::operator::GrantFilter;
use supabase_users::person_selector::PersonSelector;

use crate::arguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::{Output, fields, table};
use crate::second_search::SecondSearch;

/// What can be done to grants.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List grants by tenant, person or client, or by several of these; one of the last few seconds may not be listed yet
    List {
        #[command(flatten)]
        filter: GrantArguments,
        /// Those as well that have ended or expired, as long as they are kept
        #[arg(long)]
        all: bool,
    },
    /// Show one grant
    Show {
        /// Its id, as `amble grant list` tells it
        #[arg(value_parser = arguments::grant, allow_hyphen_values = true)]
        grant: GrantId,
    },
    /// End one grant, or all that fit: their tokens are refused from the next call on. Asks first if there may be several
    End {
        /// The id of one, as `amble grant list` tells it
        #[arg(value_parser = arguments::grant, allow_hyphen_values = true, conflicts_with_all = ["tenant", "person", "client"])]
        grant: Option<GrantId>,
        #[command(flatten)]
        filter: GrantArguments,
        #[command(flatten)]
        second_search: SecondSearch,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Names grants: those that fit all that is given.
#[derive(Args)]
pub(crate) struct GrantArguments {
    /// In this tenant
    #[arg(long, value_parser = arguments::tenant)]
    tenant: Option<TenantId>,
    /// Of this person, by user id or e-mail address
    #[arg(long, value_parser = PersonSelector::parse)]
    person: Option<PersonSelector>,
    /// Of this client; by itself it reads the whole table, as no index leads there
    #[arg(long, value_parser = arguments::client)]
    client: Option<ClientId>,
}

/// Selects grants: those that fit all that is given.
struct GrantSelection {
    tenant: Option<TenantId>,
    person: Option<PersonId>,
    client: Option<ClientId>,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<Output, CommandError> {
    match command {
        Command::List { filter, all } => list(context, &filter.selection(context).await?, all).await,
        Command::Show { grant } => {
            let found = judge(context, vec![find(context, &grant).await?]).await?;
            found.first().map(|grant| one(grant, context.now)).ok_or_else(|| CommandError::NoGrant(grant.to_text()))
        }
        Command::End { grant: Some(id), .. } => revoke_one(context, &id).await,
        Command::End { grant: None, filter, yes, second_search } => {
            let selection = filter.selection(context).await?;
            let listed = selection.find(context).await?.iter().filter(|grant| grant.is_open(context.now)).count();
            if listed > 0 {
                let what = format!("ends every connection {}; listed: {listed}", selection.description());
                context.confirm(&what, yes)?;
            }
            let ended = revoke_matching(context, &selection, &second_search).await?;
            let which = selection.description();
            let text = format!("Every connection {which} has ended. Connections that were listed: {ended}.\n");
            Ok(Output { text, json: json!({ "ended": ended }) })
        }
    }
}

/// Ends every grant that fits; how many were listed.
async fn revoke_matching(
    context: &Context,
    selection: &GrantSelection,
    second_search: &SecondSearch,
) -> Result<usize, CommandError> {
    let (directory, grants) = (context.environment.directory()?, context.environment.grants()?);
    let joint = joint_revocation(context, (&directory, &grants), RevocationReason::Administrator);
    let filter = match (&selection.tenant, &selection.person, &selection.client) {
        (Some(tenant), Some(person), None) => {
            if let Some(membership) = directory.membership(person, tenant).await? {
                joint.of_member(&membership).await?;
            }
            ConnectionFilter::Tenant { tenant, person: Some(person), client: None }
        }
        (None, Some(person), None) => {
            for membership in directory.memberships(person).await? {
                joint.of_member(&membership).await?;
            }
            ConnectionFilter::Person(person)
        }
        (Some(tenant), None, client) => {
            if let Some(numbers) = directory.tenant_numbers(tenant).await? {
                joint.in_tenant(tenant, &numbers, client.as_ref()).await?;
            }
            ConnectionFilter::Tenant { tenant, person: None, client: client.as_ref() }
        }
        // No number ends these. The whole table is read, consistently: none is missing.
        (_, _, Some(client)) => {
            let mut found = grants.list(&GrantFilter::Client(client.clone())).await?;
            found.retain(|grant| selection.includes(grant));
            return revoke_each(context, found).await;
        }
        (None, None, None) => return Err(CommandError::NoGrantSelection),
    };
    let listed = joint.mark_listed(filter, usize::MAX).await?.count;
    let again = context.wait_for_index(second_search).await;
    Ok(if again { listed + joint.mark_listed(filter, usize::MAX).await?.count } else { listed })
}

/// The revocation of many grants by an operator. It is recorded before and after.
pub(crate) fn joint_revocation<'a>(
    context: &'a Context,
    tables: (&'a Directory, &'a Grants),
    reason: RevocationReason,
) -> JointRevocation<'a, &'a Context> {
    JointRevocation::new(tables, reason, None, context.now).with_recorder(context)
}

/// Ends every grant of a client that is open; how many.
pub(crate) async fn revoke_all_of_client(context: &Context, client: &ClientId) -> Result<usize, CommandError> {
    let grants = context.environment.grants()?.list(&GrantFilter::Client(client.clone())).await?;
    revoke_each(context, grants).await
}

/// Ends every grant that is open of a client which is blocked by a host, by where it was answered or by what else the client has; how
/// many.
pub(crate) async fn revoke_all_blocked(
    context: &Context,
    hosts: &BlockedHosts,
    clients: &HashSet<ClientId>,
) -> Result<usize, CommandError> {
    let mut grants = context.environment.grants()?.list(&GrantFilter::Every).await?;
    grants.retain(|Grant { approval, binding, .. }| {
        clients.contains(&approval.client)
            || hosts.since(&binding.redirect_uri.host()).is_some()
            || hosts.since_of_document(&approval.client).is_some()
    });
    revoke_each(context, grants).await
}

async fn revoke_each(context: &Context, grants: Vec<Grant>) -> Result<usize, CommandError> {
    let table = context.environment.grants()?;
    let revocation = Revocation::with_recorder(&table, context);
    let open: Vec<_> = grants.into_iter().filter(|grant| grant.is_open(context.now)).collect();
    let reason = RevocationReason::Administrator;
    let announced: Vec<_> = open.iter().map(|grant| revocation.announce(grant.into(), reason, None)).collect();
    let mut ended = 0;
    context.flush().await;
    for announced in announced {
        if announced.complete(context.now).await? {
            ended += 1;
            context.progress(&format!("{ended} of {} connections ended", open.len()));
        }
    }
    Ok(ended)
}

async fn revoke_one(context: &Context, id: &GrantId) -> Result<Output, CommandError> {
    let grant = find(context, id).await?;
    if let GrantState::Revoked { reason, .. } = grant.state {
        return Err(CommandError::GrantEnded(id.to_text(), reason.as_str()));
    }
    let table = context.environment.grants()?;
    let revocation = Revocation::with_recorder(&table, context);
    let announced = revocation.announce((&grant).into(), RevocationReason::Administrator, None);
    context.flush().await;
    announced.complete(context.now).await?;
    Ok(Output { text: format!("Grant {} has ended.\n", id.to_text()), json: json!({ "ended": 1 }) })
}

impl GrantArguments {
    async fn selection(self, context: &Context) -> Result<GrantSelection, CommandError> {
        let Self { tenant, person, client } = self;
        let person = match &person {
            Some(person) => Some(context.find_person(person).await?),
            None => None,
        };
        Ok(GrantSelection { tenant, person, client })
    }
}

impl GrantSelection {
    /// Through the index that finds the fewest.
    async fn find(&self, context: &Context) -> Result<Vec<Grant>, CommandError> {
        let whose = match (&self.person, &self.tenant, &self.client) {
            (Some(person), ..) => GrantFilter::Person(person.clone()),
            (None, Some(tenant), _) => GrantFilter::Tenant(tenant.clone()),
            (None, None, Some(client)) => GrantFilter::Client(client.clone()),
            (None, None, None) => return Err(CommandError::NoGrantSelection),
        };
        let mut grants = context.environment.grants()?.list(&whose).await?;
        grants.retain(|grant| self.includes(grant));
        Ok(grants)
    }

    fn includes(&self, Grant { approval, .. }: &Grant) -> bool {
        self.person.as_ref().is_none_or(|person| *person == approval.person)
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == approval.tenant)
            && self.client.as_ref().is_none_or(|client| *client == approval.client)
    }

    /// As a sentence says it.
    fn description(&self) -> String {
        let parts = [
            self.person.as_ref().map(|person| format!("of {person}")),
            self.client.as_ref().map(|client| format!("of {client}")),
            self.tenant.as_ref().map(|tenant| format!("in {tenant}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

async fn find(context: &Context, id: &GrantId) -> Result<Grant, CommandError> {
    context.environment.grants()?.find(id).await?.ok_or_else(|| CommandError::NoGrant(id.to_text()))
}

async fn list(context: &Context, selection: &GrantSelection, all: bool) -> Result<Output, CommandError> {
    let mut grants = judge(context, selection.find(context).await?).await?;
    grants.retain(|grant| all || grant.is_open(context.now));
    let row = |grant: &Grant| {
        let approval = &grant.approval;
        [
            grant.id.to_text(),
            state(grant, context.now),
            approval.tenant.to_string(),
            approval.person.to_string(),
            approval.at.to_rfc3339(),
            grant.binding.redirect_uri.host(),
            approval.client.to_string(),
        ]
    };
    let rows: Vec<_> = grants.iter().map(row).collect();
    let text = if rows.is_empty() {
        "No such grant is listed. One of the last few seconds may not be listed yet.\n".to_owned()
    } else {
        table(["GRANT", "STATE", "TENANT", "PERSON", "APPROVED", "ANSWERED AT", "CLIENT"], &rows)
    };
    let json: Vec<_> = grants.iter().map(|grant| to_json(grant, context.now)).collect();
    Ok(Output { text, json: json!({ "grants": json }) })
}

/// The grants, each as a call would find it: one whose membership no longer carries it has ended, whether its item says so or not.
async fn judge(context: &Context, grants: Vec<Grant>) -> Result<Vec<Grant>, CommandError> {
    let directory = context.environment.directory()?;
    let (mut judged, mut memberships) = (Vec::new(), HashMap::new());
    for grant in grants {
        let Approval { person, tenant, .. } = &grant.approval;
        let over = if grant.is_open(context.now) {
            // One person may have many connections in one tenant.
            let membership = match memberships.entry((person.clone(), tenant.clone())) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(directory.membership(person, tenant).await?),
            };
            Entitlement::of(&grant.approval, membership.as_ref()).err()
        } else {
            None
        };
        judged.push(match over {
            Some(reason) => Grant { state: GrantState::Revoked { reason, at: context.now }, ..grant },
            None => grant,
        });
    }
    Ok(judged)
}

fn one(grant: &Grant, now: Timestamp) -> Output {
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
        GrantState::Issued => rows.push(("Code until", grant.expires().to_rfc3339())),
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
    Output { text: fields(&rows), json: to_json(grant, now) }
}

fn state(grant: &Grant, now: Timestamp) -> String {
    match &grant.state {
        GrantState::Revoked { reason, .. } => format!("ended: {}", reason.as_str()),
        _ if now >= grant.expires() => "expired".to_owned(),
        GrantState::Issued => "issued".to_owned(),
        GrantState::Active(_) => "active".to_owned(),
    }
}

/// Names, times and what was approved; never a digest or a salt.
fn to_json(grant: &Grant, now: Timestamp) -> Value {
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
        GrantState::Issued => {}
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
