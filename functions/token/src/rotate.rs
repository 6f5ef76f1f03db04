//! A refresh token becomes its successor (OAuth 2.1 §4.3): three calls to the tables and one to KMS when all goes well.

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::client::Credentials;
use shared::oauth::grant::{ABSOLUTE, Active, Approval, Ending, Grant, GrantId, Life};
use shared::oauth::refresh::{Family, RefreshToken, Verdict};
use shared::oauth::scope::Scopes;
use shared::store::grants::Turn;

use crate::Token;
use crate::asked::RefreshAsked;
use crate::mint::{Mint, Tokens};
use crate::refusal::Refusal;

impl Token {
    pub(crate) async fn rotate(
        &self,
        asked: RefreshAsked,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Tokens, Refusal> {
        let (client, grant) =
            self.grants.find_with_client(&asked.token.grant, &self.clients, &credentials.id, now).await?;
        let client = client.ok_or(Refusal::UnknownClient)?.authenticate(credentials)?;
        let grant = grant.ok_or(Refusal::UnknownGrant)?;
        if *client.id() != grant.approval.client {
            return Err(Refusal::AnotherClient);
        }
        let (verdict, family) = self.judge(&grant, &asked.token, now).await?;
        // Not earlier: to someone who proves nothing, this answer would tell that the grant exists.
        if let Err(refusal) = within(&grant.approval, &asked) {
            // It earns nothing, but it was presented: whoever shows the one before from now on has not lost its answer.
            if verdict == Verdict::Current {
                self.grants.seen(&grant.id, family.generation, now).await?;
            }
            return Err(refusal);
        }
        let scopes = self.entitlement(&grant, asked.scopes, now).await?;

        let limit = grant.approval.at.plus(ABSOLUTE);
        let (next, ends) = match verdict {
            Verdict::Current => (family.turned(now), limit),
            // The successor exists: derive it from what the table says.
            Verdict::LostResponse => (family.answered(now), limit),
            _ => (family.clone(), grant.expires()),
        };
        let successor = asked.token.at(next.generation, &next.current);
        let mint = Mint { grant: &grant.id, approval: &grant.approval, generation: next.generation, scopes, ends };
        let tokens = self.mint(mint, Some(&successor), now).await?;
        let turn = match verdict {
            Verdict::Current => self.grants.turn(&grant, &family, &next).await?,
            Verdict::LostResponse => self.grants.answer_again(&grant, &next).await?,
            _ => return Ok(tokens),
        };
        match turn {
            Turn::Won => Ok(tokens),
            Turn::Gone => Err(Refusal::UnknownGrant),
            Turn::Lost(latest) => {
                let Life::Active(Active { family: Some(latest), .. }) = &latest.life else {
                    return Err(Refusal::Ended);
                };
                if verdict != Verdict::Current {
                    return Ok(tokens);
                }
                // Somebody turned it since it was read, from the same token: theirs is our successor too, and the access token
                // that was signed is of its generation. It was current when it was presented, so it is no replay, even if the
                // client has gone on with the other answer.
                let successor = latest.successor(&family, &asked.token).ok_or(Refusal::Outrun)?;
                record(&grant, Verdict::Concurrent);
                Ok(tokens.with(&successor))
            }
        }
    }

    /// The verdict on `token`, recorded; only one that earns tokens comes back, with the family it belongs to.
    async fn judge(&self, grant: &Grant, token: &RefreshToken, now: Timestamp) -> Result<(Verdict, Family), Refusal> {
        if let Life::Ended { .. } = grant.life {
            return Err(Refusal::Ended);
        }
        let (verdict, family) = grant.judge(token, now);
        record(grant, verdict);
        match (verdict, family) {
            (Verdict::Current | Verdict::Concurrent | Verdict::LostResponse, Some(family)) => {
                Ok((verdict, family.clone()))
            }
            (Verdict::Replayed, _) => {
                self.end(&grant.id, &grant.approval, Ending::RefreshReplayed, now).await?;
                Err(Refusal::Judged(verdict))
            }
            _ => Err(Refusal::Judged(verdict)),
        }
    }

    /// Approved ∩ what the role allows now, narrowed to what was asked for.
    async fn entitlement(&self, grant: &Grant, asked: Option<Scopes>, now: Timestamp) -> Result<Scopes, Refusal> {
        let Approval { person, tenant, scopes: approved, .. } = &grant.approval;
        let Some(standing) = self.directory.standing(person, tenant).await? else {
            self.end(&grant.id, &grant.approval, Ending::MembershipGone, now).await?;
            return Err(Refusal::NotAMember);
        };
        let allowed = approved.intersection(standing.role.permissions);
        Ok(asked.map_or(allowed, |asked| asked.intersection(allowed)))
    }

    /// Ends a grant; says so before and, once, after.
    pub(crate) async fn end(
        &self,
        id: &GrantId,
        approval: &Approval,
        why: Ending,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Approval { client, tenant, person, .. } = approval;
        let (grant, client, tenant, person) = (&id.to_text(), client.as_str(), tenant.as_str(), person.as_str());
        let reason = why.as_str();
        audit::record(&Event::GrantEnding { grant, client, tenant, person, reason, by: None });
        if self.grants.end(id, why, now).await? {
            audit::record(&Event::GrantEnded { grant, client, tenant, person, reason, by: None });
        }
        Ok(())
    }
}

/// OAuth 2.1 §4.3.1 and RFC 8707 §2.2: never beyond what was approved, and for nothing else.
fn within(approval: &Approval, asked: &RefreshAsked) -> Result<(), Refusal> {
    asked.target.check(&approval.resource)?;
    if asked.scopes.is_some_and(|asked| !approval.scopes.covers(asked)) { Err(Refusal::Scope) } else { Ok(()) }
}

fn record(grant: &Grant, verdict: Verdict) {
    let Approval { client, tenant, person, .. } = &grant.approval;
    let theirs = verdict != Verdict::Stranger;
    audit::record(&Event::RefreshJudged {
        grant: &grant.id.to_text(),
        client: client.as_str(),
        tenant: theirs.then_some(tenant.as_str()),
        person: theirs.then_some(person.as_str()),
        verdict: verdict.as_str(),
    });
}
