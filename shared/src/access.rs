//! Who may work where. An [`Access`] is made only of what proves it, and nobody reaches a tenant's things without one.

use crate::clock::Timestamp;
use crate::keys::verifier::Genuine;
use crate::oauth::api_key::{ApiKey, KeyId};
use crate::oauth::client::ClientId;
use crate::oauth::grant::{Active, Grant, GrantId};
use crate::oauth::resource::Resource;
use crate::oauth::scope::Scopes;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::store::directory::Standing;
use crate::store::keys::KnownKey;

/// Someone who was let in, and what they may do: the one tenant whose things they can name.
#[derive(Clone, Debug)]
pub struct Access {
    tenant: TenantId,
    person: PersonId,
    scopes: Scopes,
    by: By,
}

/// What they showed.
#[derive(Clone, Debug)]
pub enum By {
    /// An access token.
    Token {
        /// The grant it comes from.
        grant: GrantId,
        /// The client that holds it.
        client: ClientId,
    },
    /// An API key.
    Key(KeyId),
}

/// Why a genuine token gives no access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfounded {
    /// Its grant has not begun, has ended or has expired.
    NotInUse,
    /// It does not say what its grant says.
    AnotherGrant,
}

impl Unfounded {
    /// As the audit writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotInUse => "not_in_use",
            Self::AnotherGrant => "another_grant",
        }
    }
}

impl Access {
    /// By a genuine token for `resource` and the grant it names (RFC 9068 §4), which must be in use: revocation counts at the
    /// very next call. With the grant in use, whose generation the caller may have to note.
    ///
    /// # Errors
    /// When the grant is not in use, or is not the token's.
    pub fn of_token<'g>(
        token: &Genuine,
        grant: &'g Grant,
        resource: &Resource,
        now: Timestamp,
    ) -> Result<(Self, &'g Active), Unfounded> {
        let (claims, approval) = (token.claims(), &grant.approval);
        let active = grant.in_use(now).ok_or(Unfounded::NotInUse)?;
        let same = claims.grant == grant.id.to_text()
            && approval.client.as_str() == claims.client_id
            && approval.person.as_str() == claims.sub
            && approval.tenant.as_str() == claims.tenant
            && approval.resource == *resource
            && resource.serves(&approval.tenant);
        if !same {
            return Err(Unfounded::AnotherGrant);
        }
        let access = Self {
            tenant: approval.tenant.clone(),
            person: approval.person.clone(),
            scopes: active
                .leaves(Scopes::parse(&claims.scope).intersection(approval.scopes), claims.generation)
                .permissions(),
            by: By::Token { grant: grant.id.clone(), client: approval.client.clone() },
        };
        Ok((access, active))
    }

    /// By an API key at `resource`, as far as its maker's role allows now. `None` when the secret is not the key's, `resource` is
    /// another tenant's, or `standing` is not the maker's in the key's tenant.
    #[must_use]
    pub fn of_key(shown: &ApiKey, known: KnownKey, resource: &Resource, standing: &Standing) -> Option<Self> {
        let theirs =
            shown.id == known.id && known.digest.matches(&shown.secret.digest()) && resource.serves(&known.tenant);
        (theirs && standing.person == known.maker && standing.tenant == known.tenant).then(|| Self {
            tenant: known.tenant,
            person: known.maker,
            scopes: known.scopes.intersection(standing.role.permissions).permissions(),
            by: By::Key(known.id),
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

    /// What they showed.
    #[must_use]
    pub const fn by(&self) -> &By {
        &self.by
    }
}
