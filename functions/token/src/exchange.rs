//! A code becomes tokens (OAuth 2.1 §4.1.3): two calls to the tables and one to KMS when all goes well.

use shared::audit::{self, Event};
use shared::clock::Timestamp;
use shared::oauth::client::Credentials;
use shared::oauth::grant::{ABSOLUTE, Ending, Unproven};
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
        let id = &asked.code.grant;
        let (client, grant) = self.grants.find_with_client(id, &self.clients, &credentials.id, now).await?;
        let client = client.ok_or(Refusal::UnknownClient)?.authenticate(credentials)?;
        let grant = grant.ok_or(Refusal::UnknownCode)?;
        let approval = grant.approval.clone();

        let judged = grant.prove(&asked.code, &client, asked.redirect_uri.as_deref(), &asked.verifier, now);
        audit::record(&Event::CodeJudged {
            grant: &id.to_text(),
            client: approval.client.as_str(),
            tenant: approval.tenant.as_str(),
            person: approval.person.as_str(),
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
                audit::record(&Event::GrantActivated {
                    grant: &id.to_text(),
                    client: approval.client.as_str(),
                    tenant: approval.tenant.as_str(),
                    person: approval.person.as_str(),
                });
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
