//! What a person and a tenant may do within an hour: calls of tenants' own tools, bytes that are written, and things that are made. It
//! lies in the table of workspaces, in partitions of its own.
//!
//! ```text
//! person  { tenant: "budget#person#5c1f6b0a-…", item: "hour#498705", calls: 17, bytes: 18432, items: 3,
//!           "calls#grant:<id>": 14, "calls#key:<id>": 3, kind: "budget", expires: 1795… }
//! tenant  { tenant: "budget#tenant#acme", item: "hour#498705", calls: 60, bytes: 2097152, items: 40, kind: "budget", expires: 1795… }
//! ```
//!
//! The number in the key counts hours since 1970. A person has one budget in all tenants. It is counted by one write for each call and
//! each change, so it is exact.
//!
//! All of a tenant's people would write its one item, and one item of DynamoDB takes 1,000 writes a second. So a process takes
//! `PORTIONS` of the tenant's budget one after another, and spends them by itself: the item is written at most a thousand times an
//! hour for portions, and a few times more by each process where little is left. What a process has taken and not spent when it ends is
//! lost to the tenant until the hour is over.
//!
//! What was refused is remembered by the process until the hour is over. So work that is over budget costs no call, but for the first
//! time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Key;
use super::hourly_counts::{self, Addition, Hour};
use super::item::Item;
use crate::access::{Access, Principal};
use crate::clock::Timestamp;
use crate::oauth::tenant::{PersonId, TenantId};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const KIND: &str = "budget";

/// Into how many portions the budget of a tenant is divided.
const PORTIONS: u64 = 1000;

/// What a person may do in an hour, at 100 %.
const OF_PERSON: Amounts = Amounts { calls: 3_000, bytes: 256 * MIB, items: 10_000 };
/// What all people of a tenant may do in an hour, at 100 %.
const OF_TENANT: Amounts = Amounts { calls: 30_000, bytes: 1024 * MIB, items: 40_000 };

const MIB: u64 = 1024 * 1024;

/// Amounts of all that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Calls of tools that tenants have registered.
    pub calls: u64,
    /// Bytes written, each write as whole kilobytes, as DynamoDB bills them.
    pub bytes: u64,
    /// Documents, entities and chats that are made.
    pub items: u64,
}

/// One of what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// [`Amounts::calls`].
    Calls,
    /// [`Amounts::bytes`].
    Bytes,
    /// [`Amounts::items`].
    Items,
}

/// Whose budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// That of a connection or an API key, which has one of calls only.
    Credential,
    /// That of a person, in all tenants.
    Person,
    /// That of a tenant.
    Tenant,
}

/// A budget that does not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose.
    pub whose: Whose,
    /// Of what.
    pub measure: Measure,
    /// How much there is in an hour.
    pub max: u64,
    /// When the next hour begins.
    pub resets: Timestamp,
}

/// What was used of a budget in this hour.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// What was used. Of a tenant, with what processes have taken and not yet spent.
    pub used: Amounts,
    /// What there is in an hour.
    pub max: Amounts,
    /// When the next hour begins.
    pub resets: Timestamp,
}

/// The budgets of a deployment.
#[derive(Clone)]
pub struct Budgets {
    dynamo: aws_sdk_dynamodb::Client,
    table: String,
    of_person: Amounts,
    of_tenant: Amounts,
    counts: Arc<Mutex<ProcessCounts>>,
}

/// What the process has taken and was refused in an hour.
#[derive(Default)]
struct ProcessCounts {
    hour: Option<Hour>,
    /// What it has taken of each tenant's budget, and not spent.
    portions: HashMap<TenantId, Amounts>,
    /// The least that was refused, of whose budget (by the partition, and the credential if it was that one) and of what.
    refused: HashMap<(String, Whose, Measure), u64>,
}

impl Amounts {
    /// One call of a tool.
    pub const CALL: Self = Self { calls: 1, bytes: 0, items: 0 };

    /// A write of that many bytes, which makes something or changes it.
    #[must_use]
    pub fn write(bytes: usize, makes: bool) -> Self {
        let kilobytes = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(1024).max(1);
        Self { calls: 0, bytes: kilobytes.saturating_mul(1024), items: u64::from(makes) }
    }

    /// Of each measure.
    #[must_use]
    pub const fn each(self) -> [(Measure, u64); 3] {
        [(Measure::Calls, self.calls), (Measure::Bytes, self.bytes), (Measure::Items, self.items)]
    }

    /// The amount of `measure`.
    #[must_use]
    pub const fn of(self, measure: Measure) -> u64 {
        match measure {
            Measure::Calls => self.calls,
            Measure::Bytes => self.bytes,
            Measure::Items => self.items,
        }
    }

    fn map(self, change: impl Fn(Measure, u64) -> u64) -> Self {
        Self {
            calls: change(Measure::Calls, self.calls),
            bytes: change(Measure::Bytes, self.bytes),
            items: change(Measure::Items, self.items),
        }
    }

    fn plus(self, other: Self) -> Self {
        self.map(|measure, amount| amount.saturating_add(other.of(measure)))
    }

    fn minus(self, other: Self) -> Self {
        self.map(|measure, amount| amount.saturating_sub(other.of(measure)))
    }

    fn covers(self, other: Self) -> bool {
        self.each().into_iter().all(|(measure, amount)| amount >= other.of(measure))
    }

    /// At least one, so that nobody is shut out by a small percentage.
    fn percent(self, percent: u64) -> Self {
        self.map(|_, amount| (amount.saturating_mul(percent) / 100).max(1))
    }
}

impl Measure {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Bytes => "bytes",
            Self::Items => "items",
        }
    }
}

impl Budgets {
    pub(crate) fn new(dynamo: aws_sdk_dynamodb::Client, table: String, percent: u64) -> Self {
        let (of_person, of_tenant) = (OF_PERSON.percent(percent), OF_TENANT.percent(percent));
        Self { dynamo, table, of_person, of_tenant, counts: Arc::default() }
    }

    /// Counts `cost` for the person and the tenant of `access`, and its calls for its connection or API key, which may make
    /// `max_of_credential` of them. A budget that does not suffice is returned: then the work must not be done.
    ///
    /// Takes one call, and a second one where a portion of the tenant's budget is spent.
    ///
    /// # Errors
    /// When DynamoDB fails: then the work must not be done either.
    pub async fn spend(
        &self,
        access: &Access,
        cost: Amounts,
        max_of_credential: u64,
        now: Timestamp,
    ) -> Result<Option<Exceeded>, UpstreamError> {
        let hour = Hour::of(now);
        let exceeded = |whose, measure, max| Some(Exceeded { whose, measure, max, resets: hour.end() });
        let credential = match access.principal() {
            Principal::Client { grant, .. } => format!("calls#grant:{}", grant.to_text()),
            Principal::ApiKey(key) => format!("calls#key:{}", key.to_text()),
        };
        let (person, tenant) = (partition_of_person(access.person()), partition_of_tenant(access.tenant()));
        let mut additions: Vec<_> = additions(cost, self.of_person).map(|found| (Whose::Person, found)).collect();
        if cost.calls > 0 {
            let of_credential = Addition { name: &credential, amount: cost.calls, max: max_of_credential };
            additions.insert(0, (Whose::Credential, (Measure::Calls, of_credential)));
        }
        for (whose, (measure, addition)) in &additions {
            let key = if *whose == Whose::Credential { &credential } else { &person };
            if self.was_refused(key, *whose, *measure, addition.amount, hour) {
                return Ok(exceeded(*whose, *measure, addition.max));
            }
        }
        if let Some(measure) = self.take_portion(access.tenant(), &tenant, cost, hour).await? {
            return Ok(exceeded(Whose::Tenant, measure, self.of_tenant.of(measure)));
        }
        let all: Vec<_> = additions.iter().map(|(_, (_, addition))| *addition).collect();
        let place = hourly_counts::add(&self.dynamo, &self.key(&person, hour), KIND, &all, hour).await?;
        let Some((whose, (measure, addition))) = place.and_then(|place| additions.get(place)) else { return Ok(None) };
        let mut counts = self.counts_of(hour);
        let portion = counts.portions.entry(access.tenant().clone()).or_default();
        *portion = portion.plus(cost);
        let key = if *whose == Whose::Credential { &credential } else { &person };
        counts.remember(key, *whose, *measure, addition.amount);
        drop(counts);
        Ok(exceeded(*whose, *measure, addition.max))
    }

    /// What a person has used in this hour.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn of_person(&self, person: &PersonId, now: Timestamp) -> Result<Usage, UpstreamError> {
        self.usage(&partition_of_person(person), self.of_person, now).await
    }

    /// What all people of a tenant have used in this hour.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn of_tenant(&self, tenant: &TenantId, now: Timestamp) -> Result<Usage, UpstreamError> {
        self.usage(&partition_of_tenant(tenant), self.of_tenant, now).await
    }

    async fn usage(&self, partition: &str, max: Amounts, now: Timestamp) -> Result<Usage, UpstreamError> {
        const CALL: &str = "DynamoDB.GetItem";
        let hour = Hour::of(now);
        let get = self.dynamo.get_item().table_name(&self.table).consistent_read(true);
        let get = get.set_key(Some(self.key(partition, hour).attribute_values()));
        let answer = get.send().await.map_err(|error| upstream_call::failed_at_aws(CALL, &error))?;
        let item = Item::new(answer.item.unwrap_or_default());
        let used = Amounts::default().map(|measure, _| item.number(measure.attribute()).unwrap_or_default());
        Ok(Usage { used, max, resets: hour.end() })
    }

    /// Takes `cost` from what the process has of the tenant's budget, after taking another portion if that is too little. What there
    /// is too little of, if there is.
    async fn take_portion(
        &self,
        tenant: &TenantId,
        partition: &str,
        cost: Amounts,
        hour: Hour,
    ) -> Result<Option<Measure>, UpstreamError> {
        let missing = {
            let mut counts = self.counts_of(hour);
            let portion = counts.portions.entry(tenant.clone()).or_default();
            if portion.covers(cost) {
                *portion = portion.minus(cost);
                return Ok(None);
            }
            cost.minus(*portion)
        };
        if let Some((measure, _)) = missing.each().into_iter().find(|(measure, amount)| {
            *amount > 0 && self.was_refused(partition, Whose::Tenant, *measure, *amount, hour)
        }) {
            return Ok(Some(measure));
        }
        let portion = missing.map(|measure, amount| match amount {
            0 => 0,
            amount => amount.max(self.of_tenant.of(measure) / PORTIONS),
        });
        let mut refused = None;
        // A whole portion, and where so much is not left, just what it takes.
        for taken in [portion, missing] {
            let additions: Vec<_> = additions(taken, self.of_tenant).collect();
            let all: Vec<_> = additions.iter().map(|(_, addition)| *addition).collect();
            let place = hourly_counts::add(&self.dynamo, &self.key(partition, hour), KIND, &all, hour).await?;
            let Some((measure, _)) = place.and_then(|place| additions.get(place)) else {
                let mut counts = self.counts_of(hour);
                let portion = counts.portions.entry(tenant.clone()).or_default();
                // Another call of this process may have spent what was left meanwhile: then it has spent that much more than it took.
                *portion = portion.plus(taken).minus(cost);
                return Ok(None);
            };
            refused = Some(*measure);
            if portion == missing {
                break;
            }
        }
        if let Some(measure) = refused {
            self.counts_of(hour).remember(partition, Whose::Tenant, measure, missing.of(measure));
        }
        Ok(refused)
    }

    fn was_refused(&self, key: &str, whose: Whose, measure: Measure, amount: u64, hour: Hour) -> bool {
        let counts = self.counts_of(hour);
        counts.refused.get(&(key.to_owned(), whose, measure)).is_some_and(|refused| amount >= *refused)
    }

    /// What the process has taken and was refused in `hour`; nothing of another one.
    fn counts_of(&self, hour: Hour) -> MutexGuard<'_, ProcessCounts> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.hour != Some(hour) {
            *counts = ProcessCounts { hour: Some(hour), ..ProcessCounts::default() };
        }
        counts
    }

    fn key(&self, partition: &str, hour: Hour) -> Key<'_> {
        let attributes = vec![("tenant", partition.to_owned()), ("item", format!("hour#{}", hour.number()))];
        Key { table: &self.table, attributes }
    }
}

impl ProcessCounts {
    fn remember(&mut self, key: &str, whose: Whose, measure: Measure, amount: u64) {
        let least = self.refused.entry((key.to_owned(), whose, measure)).or_insert(amount);
        *least = amount.min(*least);
    }
}

/// What of `amounts` is to be added to the counts of a budget.
fn additions(amounts: Amounts, max: Amounts) -> impl Iterator<Item = (Measure, Addition<'static>)> {
    let each = amounts.each().into_iter().filter(|(_, amount)| *amount > 0);
    each.map(move |(measure, amount)| (measure, Addition { name: measure.attribute(), amount, max: max.of(measure) }))
}

/// No tenant's id holds a `#`.
fn partition_of_person(person: &PersonId) -> String {
    format!("budget#person#{person}")
}

fn partition_of_tenant(tenant: &TenantId) -> String {
    format!("budget#tenant#{tenant}")
}
