//! The numbers that a person sees nothing of and agrees to: what a form ends is what had been connected when its page was shown.
//!
//! A form that is sent again, by the back button, raises a number from the value that it was shown with. It has grown since, so nothing
//! that was connected since ends.

use std::borrow::Cow;

use shared::oauth::instance_id::InstanceId;
use shared::oauth::tenant::TenantId;
use shared::store::directory::Membership;
use shared::store::joint_revocations::TenantNumbers;

/// The instance and the number of revocations of each membership, or of a tenant, by tenant.
pub(crate) struct AgreedNumbers(Vec<(TenantId, Option<InstanceId>, u64)>);

const START: &str = "of";

impl AgreedNumbers {
    /// The name of the field.
    pub(crate) const FIELD: &str = "numbers";

    pub(crate) fn of_memberships(memberships: &[Membership]) -> Self {
        let numbers = memberships.iter().map(|membership| {
            let approval = &membership.basis.approval;
            (membership.tenant.clone(), approval.membership, approval.membership_revocations)
        });
        Self(numbers.collect())
    }

    pub(crate) fn of_tenant(tenant: &TenantId, numbers: &TenantNumbers) -> Self {
        Self(vec![(tenant.clone(), numbers.instance, numbers.revocations)])
    }

    /// As a field of a form: `acme.<instance>.3`, one beside another after a word, as a form's empty field counts as none.
    pub(crate) fn field(&self) -> (Cow<'static, str>, String) {
        let text = self.0.iter().map(|(tenant, instance, number)| {
            format!("{tenant}.{}.{number}", instance.map(|instance| instance.to_text()).unwrap_or_default())
        });
        (Self::FIELD.into(), std::iter::once(START.to_owned()).chain(text).collect::<Vec<_>>().join(" "))
    }

    /// From the text of a field.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parse = |text: &str| {
            let [tenant, instance, number] = text.split('.').collect::<Vec<_>>().try_into().ok()?;
            let instance = if instance.is_empty() { None } else { Some(InstanceId::parse(instance)?) };
            Some((TenantId::parse(tenant)?, instance, number.parse().ok()?))
        };
        let mut parts = text.split(' ');
        parts.next().filter(|start| *start == START)?;
        parts.map(parse).collect::<Option<_>>().map(Self)
    }

    /// Those of `memberships` that are still the ones that were shown, with the numbers that they had then.
    pub(crate) fn apply(&self, memberships: Vec<Membership>) -> Vec<Membership> {
        let shown = |mut membership: Membership| {
            let approval = &mut membership.basis.approval;
            let agreed = self.0.iter().find(|(tenant, ..)| *tenant == membership.tenant);
            let (_, _, number) = agreed.filter(|(_, instance, _)| *instance == approval.membership)?;
            approval.membership_revocations = *number;
            Some(membership)
        };
        memberships.into_iter().filter_map(shown).collect()
    }

    /// `numbers` of the tenant with the number that it had then; nothing if it is another tenant of the same id.
    pub(crate) fn apply_to_tenant(&self, tenant: &TenantId, numbers: TenantNumbers) -> Option<TenantNumbers> {
        let (_, _, number) =
            self.0.iter().find(|(shown, instance, _)| shown == tenant && *instance == numbers.instance)?;
        Some(numbers.as_of(*number))
    }
}
