//! Authorization. An [`Access`] is made only from verified credentials, and nobody reaches the data of a tenant without one.

use crate::clock::Timestamp;
use crate::entitlement::Entitlement;
use crate::oauth::api_key::{ApiKey, ApiKeyError, ApiKeyId, ApiKeyRecord};
use crate::oauth::client::ClientId;
use crate::oauth::grant::{Active, Grant};
use crate::oauth::grant_id::GrantId;
use crate::oauth::redirect_uri::RedirectUri;
use crate::oauth::resource::Resource;
use crate::oauth::revocation_reason::RevocationReason;
use crate::oauth::scope::Scopes;
use crate::oauth::scope_meaning::ScopeMeaning;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::signing_keys::verifier::VerifiedAccessToken;
use crate::store::api_keys::MakerMembership;
use crate::store::directory::Membership;
use crate::store::workspace_layout::WorkspaceLayout;

/// What an authenticated caller may do, in the one tenant that they can reach.
#[derive(Clone, Debug)]
pub struct Access {
    tenant: TenantId,
    person: PersonId,
    scopes: Scopes,
    allowed_by_role: Scopes,
    denied: Scopes,
    scope_meaning: ScopeMeaning,
    workspace_layout: WorkspaceLayout,
    principal: Principal,
}

/// Who calls: a client under a grant, or an API key.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A client with an access token.
    Client {
        /// The grant it comes from.
        grant: GrantId,
        /// The client that holds it.
        client: ClientId,
        /// Where its code was sent.
        redirect_uri: RedirectUri,
    },
    /// An API key.
    ApiKey(ApiKeyId),
}

/// Why a verified token gives no access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// Its grant has not begun, is revoked or has expired.
    GrantNotInUse,
    /// It does not say what its grant says.
    GrantMismatch,
    /// It is of a pair that was superseded before anybody had used it: its response was lost, or stolen.
    Superseded,
    /// Its grant is over, although its item does not say so yet. The caller revokes it.
    GrantOver(RevocationReason),
}

impl AccessError {
    /// As the audit writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GrantNotInUse => "not_in_use",
            Self::GrantMismatch => "another_grant",
            Self::Superseded => "superseded",
            Self::GrantOver(reason) => reason.as_str(),
        }
    }
}

impl Access {
    /// From a verified token for `resource`, the grant it names (RFC 9068 §4), and the `membership` of its
    /// person as it is now. The grant must be in use, and its membership must carry it, so revocation and a
    /// lower role count at the next call; a higher role counts at the next token. The grant in use is returned
    /// as well, as the caller may have to record its generation.
    ///
    /// # Errors
    /// When the grant is not in use, is over, or is not the token's, or the token is superseded.
    pub fn from_access_token<'g>(
        token: &VerifiedAccessToken,
        grant: &'g Grant,
        membership: Option<&Membership>,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<(Self, &'g Active), AccessError> {
        let (claims, approval) = (token.claims(), &grant.approval);
        let active = grant.in_use(now).ok_or(AccessError::GrantNotInUse)?;
        let same = claims.grant == grant.id.to_text()
            && approval.client.as_str() == claims.client_id
            && approval.person.as_str() == claims.sub
            && approval.tenant.as_str() == claims.tenant
            && approval.resource == *resource
            && resource.serves(&approval.tenant);
        if !same {
            return Err(AccessError::GrantMismatch);
        }
        if grant.has_superseded(claims.generation) {
            return Err(AccessError::Superseded);
        }
        let entitlement = Entitlement::of(approval, membership).map_err(AccessError::GrantOver)?;
        let access = Self {
            tenant: approval.tenant.clone(),
            person: approval.person.clone(),
            scopes: Scopes::parse(&claims.scope).intersection(entitlement.scopes()).permissions(),
            allowed_by_role: membership.map_or(Scopes::NONE, |membership| membership.role.permissions),
            denied: grant.denied,
            scope_meaning: grant.scope_meaning,
            workspace_layout: membership.map_or(WorkspaceLayout::Whole, |membership| membership.workspace_layout),
            principal: Principal::Client {
                grant: grant.id.clone(),
                client: approval.client.clone(),
                redirect_uri: grant.binding.redirect_uri.clone(),
            },
        };
        Ok((access, active))
    }

    /// From an API key at `resource`, as far as its maker's role allows now.
    ///
    /// # Errors
    /// When `presented` is not the key, `resource` is another tenant's, or `maker` does not carry the key.
    pub fn from_api_key(
        presented: &ApiKey,
        record: ApiKeyRecord,
        resource: &Resource,
        maker: &MakerMembership,
    ) -> Result<Self, ApiKeyError> {
        let scopes = record.authorize(presented, &maker.basis())?;
        if !resource.serves(&record.tenant) {
            return Err(ApiKeyError::OtherMembership);
        }
        Ok(Self {
            tenant: record.tenant,
            person: record.maker,
            scopes,
            allowed_by_role: maker.membership.role.permissions,
            denied: Scopes::NONE,
            scope_meaning: record.scope_meaning,
            workspace_layout: maker.membership.workspace_layout,
            principal: Principal::ApiKey(record.id),
        })
    }

    /// Where they may work.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who they are, or who made their key.
    #[must_use]
    pub const fn person(&self) -> &PersonId {
        &self.person
    }

    /// What they may do.
    #[must_use]
    pub const fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// What the role allows now, of the person or of who made the key. It admits nothing: [`Self::scopes`] does.
    #[must_use]
    pub const fn allowed_by_role(&self) -> Scopes {
        self.allowed_by_role
    }

    /// What the person denied when they approved the connection. No step-up starts for it.
    #[must_use]
    pub const fn denied(&self) -> Scopes {
        self.denied
    }

    /// What lists show and the instructions name: for a client what the role allows now and the person has not denied, as its
    /// connection can get more scopes; for an API key, which cannot, what it may do. It admits nothing: [`Self::scopes`] does.
    #[must_use]
    pub const fn visible(&self) -> Scopes {
        match self.principal {
            Principal::Client { .. } => self.allowed_by_role.difference(self.denied),
            Principal::ApiKey(_) => self.scopes,
        }
    }

    /// What the scopes meant when the connection was approved, or the key was made.
    #[must_use]
    pub const fn scope_meaning(&self) -> ScopeMeaning {
        self.scope_meaning
    }

    /// In which partitions the workspace of the tenant lies.
    #[must_use]
    pub const fn workspace_layout(&self) -> WorkspaceLayout {
        self.workspace_layout
    }

    /// Who calls: a client under a grant, or an API key.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }
}
