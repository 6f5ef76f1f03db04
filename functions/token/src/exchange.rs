//! A code becomes tokens (OAuth 2.1 §4.1.3): two calls to the tables and one to KMS when all goes well.

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::client::{Client, Credentials};
use shared::oauth::flow::Flow;
use shared::oauth::grant::{ABSOLUTE, Ending, Grant, GrantId, Unproven};
use shared::store::grants::Turn;

use crate::Token;
use crate::asked::CodeAsked;
use crate::mint::{Mint, Tokens};
use crate::refusal::Refusal;

impl Token {
    pub(crate) async fn exchange(
        &self,
        asked: CodeAsked,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Tokens, Refusal> {
        let id = asked.code.grant.clone();
        let refused = |grant: Option<&Grant>, refusal: &Refusal| refused(Some(&id), grant, credentials, refusal, now);
        let found = self.grants.find_with_client(&id, &self.clients, &credentials.id, now).await;
        let (client, grant) = found.map_err(Refusal::from).inspect_err(|refusal| refused(None, refusal))?;
        // An id is no secret: whoever shows it with another code does not get to write about its tenant.
        let known = grant.clone().filter(|grant| grant.sent(&asked.code));
        let issued = self.issue(asked, credentials, client, grant, now).await;
        issued.inspect_err(|refusal| refused(known.as_ref(), refusal))
    }

    async fn issue(
        &self,
        asked: CodeAsked,
        credentials: &Credentials,
        client: Option<Client>,
        grant: Option<Grant>,
        now: Timestamp,
    ) -> Result<Tokens, Refusal> {
        let id = &asked.code.grant;
        let client = client.ok_or(Refusal::UnknownClient)?.authenticate(credentials)?;
        let grant = grant.ok_or(Refusal::UnknownCode)?;
        let (approval, flow) = (grant.approval.clone(), Flow::of(&grant.binding.challenge));

        let judged = grant.prove(&asked.code, &client, asked.redirect_uri.as_deref(), &asked.verifier, now);
        let theirs = !matches!(judged, Err(Unproven::AnotherCode));
        audit::record(&Event::CodeJudged {
            grant: &id.to_text(),
            client: approval.client.as_str(),
            tenant: theirs.then_some(approval.tenant.as_str()),
            person: theirs.then_some(approval.person.as_str()),
            verdict: judged.as_ref().map_or_else(|unproven| unproven.as_str(), |_| "proven"),
        });
        let proven = match judged {
            Ok(proven) => proven,
            Err(Unproven::Replayed) => {
                // OAuth 2.1 §4.1.3: a code shown twice, with its verifier, has leaked; all it led to ends.
                self.end(id, &approval, Ending::CodeReplayed, now).await?;
                return Err(Refusal::Unproven(Unproven::Replayed));
            }
            Err(unproven) => return Err(Refusal::Unproven(unproven)),
        };

        // Not earlier: to someone who proves nothing, this answer would tell that the grant exists.
        asked.target.check(&approval.resource)?;

        let (active, refresh_token) = proven.activate(now);
        let mint = Mint {
            grant: id,
            approval: &approval,
            generation: 1,
            scopes: proven.effective(),
            ends: approval.at.plus(ABSOLUTE),
        };
        let tokens = self.mint(mint, refresh_token.as_ref(), now).await?;
        match self.grants.activate(proven, active).await? {
            Turn::Won => {
                let activated = Event::GrantActivated {
                    grant: &id.to_text(),
                    client: approval.client.as_str(),
                    tenant: approval.tenant.as_str(),
                    person: approval.person.as_str(),
                };
                audit::step(Some(flow), now, &activated);
                Ok(tokens)
            }
            // Shown twice with its verifier, as above: a thief must not gain by being faster.
            Turn::Lost(_) => {
                self.end(id, &approval, Ending::CodeReplayed, now).await?;
                Err(Refusal::CodeRaced)
            }
            Turn::Gone => Err(Refusal::UnknownCode),
        }
    }
}

/// Tells the audit, with the grant if the code is its own.
pub(crate) fn refused(
    id: Option<&GrantId>,
    grant: Option<&Grant>,
    credentials: &Credentials,
    refusal: &Refusal,
    now: Timestamp,
) {
    let id = id.map(GrantId::to_text);
    let event = Event::TokenRefused {
        grant: id.as_deref(),
        client: credentials.id.as_str(),
        tenant: grant.map(|grant| grant.approval.tenant.as_str()),
        person: grant.map(|grant| grant.approval.person.as_str()),
        reason: refusal.as_str(),
    };
    audit::step(grant.map(|grant| Flow::of(&grant.binding.challenge)), now, &event);
}
