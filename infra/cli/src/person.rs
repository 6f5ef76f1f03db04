//! `amble person`: people, wherever they are members.

use clap::Subcommand;
use serde_json::json;
use shared::member_revocation::{MarkedMember, MemberRevocation};
use shared::oauth::revocation_reason::RevocationReason;
use shared::oauth::tenant::PersonId;
use shared::store::directory::Membership;
use shared::store::operator::GrantFilter;
use supabase_users::person_selector::PersonSelector;

use crate::context::Context;
use crate::error::CommandError;
use crate::output::Output;
use crate::second_search::SecondSearch;
use crate::{grant, key};

/// What can be done to people.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// End all that a person has connected, and revoke all API keys that they made, in every tenant. They stay a member and may connect
    /// again: ban or delete them at Supabase first. Asks first
    End {
        /// Whose, by user id or e-mail address
        #[arg(value_parser = PersonSelector::parse)]
        person: PersonSelector,
        /// Only tell what would end
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        second_search: SecondSearch,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<Output, CommandError> {
    let Command::End { person, dry_run, second_search, yes } = command;
    let person = context.find_person(&person).await?;
    let memberships = context.environment.directory()?.memberships(&person).await?;
    let listed = list(context, &person, &memberships).await?;
    let tenants: Vec<_> = memberships.iter().map(|membership| membership.tenant.as_str()).collect();
    let where_ = if tenants.is_empty() { "in no tenant".to_owned() } else { format!("in {}", tenants.join(", ")) };
    let to_json = |MarkedMember { grants, keys }: MarkedMember| json!({ "person": person.as_str(), "tenants": tenants, "grants": grants, "keys": keys, "dry_run": dry_run });
    let MarkedMember { grants, keys } = listed;
    let what = format!("everything of {person} {where_}; connections: {grants}, API keys: {keys}");
    if dry_run {
        return Ok(Output { text: format!("This would end {what}.\n"), json: to_json(listed) });
    }
    context.confirm(&format!("ends {what}"), yes)?;
    let ended = end(context, &person, &memberships, &second_search).await?;
    let MarkedMember { grants, keys } = ended;
    let text = format!(
        "Everything of {person} {where_} has ended. Connections that were listed: {grants}, API keys revoked: {keys}.\n"
    );
    Ok(Output { text, json: to_json(ended) })
}

/// What is open and listed.
async fn list(context: &Context, person: &PersonId, memberships: &[Membership]) -> Result<MarkedMember, CommandError> {
    let grants = context.environment.grants()?.list(&GrantFilter::Person(person.clone())).await?;
    let grants = grants.iter().filter(|grant| grant.is_open(context.now)).count();
    let mut keys = 0;
    for membership in memberships {
        let all = key::all(context, &membership.tenant).await?;
        keys += all.iter().filter(|key| key.maker == *person).count();
    }
    Ok(MarkedMember { grants, keys })
}

/// From the write of each membership on all that rests on it is over. The rest is for lists and the audit.
async fn end(
    context: &Context,
    person: &PersonId,
    memberships: &[Membership],
    second_search: &SecondSearch,
) -> Result<MarkedMember, CommandError> {
    let (directory, grants, keys) =
        (context.environment.directory()?, context.environment.grants()?, context.environment.keys()?);
    let reason = RevocationReason::PersonEnded;
    let joint = grant::joint_revocation(context, (&directory, &grants), reason);
    for membership in memberships {
        joint.renew_member(membership, None).await?;
    }
    let left = MemberRevocation::new((&directory, &grants, &keys), reason, context.now).with_recorder(context);
    let mut ended = MarkedMember::default();
    let mut mark = async || {
        for membership in memberships {
            let marked = left.mark(person, &membership.tenant, None).await?;
            ended = MarkedMember { grants: ended.grants + marked.grants, keys: ended.keys + marked.keys };
        }
        Ok::<_, CommandError>(())
    };
    mark().await?;
    if context.wait_for_index(second_search).await {
        mark().await?;
    }
    Ok(ended)
}
