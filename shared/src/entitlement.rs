//! What a grant allows now. Nobody issues a token or lets one in without an [`Entitlement`].

use crate::oauth::approval_basis::BasisError;
use crate::oauth::grant::Approval;
use crate::oauth::revocation_reason::RevocationReason;
use crate::oauth::scope::Scopes;
use crate::store::directory::Membership;

/// What a grant allows now: approved ∩ what the role of its person allows. Only for a grant that its membership still carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entitlement(Scopes);

impl Entitlement {
    /// Of an approval, as `membership` of its person in its tenant is now.
    ///
    /// # Errors
    /// When the grant is over, whatever its own item says: why.
    pub fn of(approval: &Approval, membership: Option<&Membership>) -> Result<Self, RevocationReason> {
        let membership = membership.filter(|it| it.person == approval.person && it.tenant == approval.tenant);
        let membership = membership.ok_or(RevocationReason::MembershipGone)?;
        membership.basis.check(&approval.basis, &approval.client).map_err(|error| match error {
            BasisError::OtherInstance => RevocationReason::MembershipGone,
            BasisError::Revoked => RevocationReason::RevokedTogether,
        })?;
        Ok(Self(approval.scopes.intersection(membership.role.permissions)))
    }

    /// The scopes.
    #[must_use]
    pub const fn scopes(self) -> Scopes {
        self.0
    }
}
