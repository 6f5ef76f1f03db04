//! What a grant allows at the moment in which tokens are made of it: the same for its code and for its refresh tokens.

use shared::clock::Timestamp;
use shared::entitlement::Entitlement;
use shared::oauth::grant::Approval;
use shared::oauth::grant_id::GrantId;
use shared::revocation::Revocation;
use shared::store::directory::Directory;
use shared::store::grants::Grants;
use shared::telemetry::audit::ConnectionRef;

use crate::error::TokenError;

/// What the grant `id`, approved as `approval`, allows now. Since the approval its person may have left, or its connections may have been
/// revoked together: then the grant is revoked.
pub(crate) async fn entitle(
    (directory, grants): (&Directory, &Grants),
    id: &GrantId,
    approval: &Approval,
    now: Timestamp,
) -> Result<Entitlement, TokenError> {
    let membership = directory.membership(&approval.person, &approval.tenant).await?;
    match Entitlement::of(approval, membership.as_ref()) {
        Ok(entitlement) => Ok(entitlement),
        Err(reason) => {
            let connection = ConnectionRef::new(id, approval);
            Revocation::new(grants).revoke(connection, reason, None, now).await?;
            Err(TokenError::GrantOver(reason))
        }
    }
}
