//! Moves the items of a tenant from one layout to the other ([`super::workspace_layout`]): for operators. No function calls any of this.
//!
//! The tenant says that its items are being moved, and from then on nobody writes them. Whoever moves them waits until the calls that
//! were let in before have ended. Then each item is moved by a transaction: written where it goes, if nothing is there, and deleted where
//! it was, if it is as it was read. It is carried out only while the tenant still says the same. So each item is in one place at any
//! time, a move that comes late does nothing, and whoever is interrupted begins again.
//!
//! An earlier version of this program that is deployed again knows one layout alone. What it wrote meanwhile comes into the way of what
//! was there before. Such an item stays where it is, and is reported: nothing is overwritten, and no version counts twice. Nor is it read
//! meanwhile.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem};
use thiserror::Error;

use super::directory::LAYOUT;
use super::item::{Item, Value, unparsable_item};
use super::operator::with_partition;
use super::transaction::{self, TransactionOutcome};
use super::workspace::Workspaces;
use super::workspace_layout::{WorkspaceLayout, counterpart, document_of_version};
use crate::oauth::secret::{Secret, to_text};
use crate::oauth::tenant::TenantId;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// Items that one transaction moves: two or three writes each, of the hundred that it may have. A page of them has 1 MB at most, so a
/// transaction has less than the 4 MB that it may have.
const AT_ONCE: i32 = 25;

/// How often all is looked through again, if an item had changed since it was read.
const PASSES: u32 = 3;

/// How the sort keys of counts begin, which are over in minutes and stay where they are.
const COUNTS: &str = "budget#";

/// What was moved.
#[derive(Debug, Default)]
pub struct MovedItems {
    /// How many items.
    pub count: usize,
    /// The sort keys of those that were left, as there is another item in their place, or one that they contradict.
    pub left: Vec<String>,
}

/// Why items were not moved, or not all.
#[derive(Debug, Error)]
pub enum MoveError {
    /// Somebody else ended the move, or began another one.
    #[error("the layout of the workspace was changed meanwhile")]
    LayoutChanged,
    /// An item was written although nobody should.
    #[error("the workspace is being written")]
    Written,
    /// DynamoDB failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl Workspaces {
    /// The sort keys of a tenant's items that nobody looks for, as they lie in another layout than `layout`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn misplaced(&self, tenant: &TenantId, layout: WorkspaceLayout) -> Result<Vec<String>, UpstreamError> {
        let mut misplaced = Vec::new();
        for partition in self.partitions_left(tenant, layout).await? {
            for key in self.keys_in(&partition).await? {
                let sort_key = key.text("item").ok_or_else(|| unparsable_item(&self.table))?;
                if !sort_key.starts_with(COUNTS) {
                    misplaced.push(sort_key.to_owned());
                }
            }
        }
        Ok(misplaced)
    }

    /// The partitions that are empty when all items of a tenant lie as in `layout`, or have been moved as it says. A document comes before
    /// its versions: they are left if it is.
    async fn partitions_left(&self, tenant: &TenantId, layout: WorkspaceLayout) -> Result<Vec<String>, UpstreamError> {
        match layout {
            WorkspaceLayout::ByKind | WorkspaceLayout::Splitting => Ok(vec![tenant.to_string()]),
            WorkspaceLayout::Whole | WorkspaceLayout::Joining => {
                let partitions = self.partitions(tenant).await?;
                Ok(partitions.parents_first().filter(|place| *place != tenant.as_str()).map(str::to_owned).collect())
            }
        }
    }

    /// Moves all items of a tenant whose layout is `layout`, telling how many were moved so far. Those that are left are told in the
    /// end.
    ///
    /// # Errors
    /// When that is not its layout any more, somebody writes, or DynamoDB fails. Then call it again.
    pub async fn move_items(
        &self,
        tenant: &TenantId,
        layout: WorkspaceLayout,
        mut progress: impl FnMut(usize),
    ) -> Result<MovedItems, MoveError> {
        let mut outcome = MovedItems::default();
        for _ in 0..PASSES {
            outcome.left.clear();
            let mut is_written = false;
            for source in self.partitions_left(tenant, layout).await? {
                let mut from = None;
                loop {
                    let query = self.dynamo.query().table_name(&self.table).consistent_read(true).limit(AT_ONCE);
                    let page = with_partition(query, "tenant", &source).set_exclusive_start_key(from).send().await;
                    let page = page.map_err(|error| upstream_call::failed_at_aws("DynamoDB.Query", &error))?;
                    let items = page.items.unwrap_or_default().into_iter().map(Item::new);
                    let moves = items.filter_map(|item| Move::of(tenant, layout, item)).collect::<Vec<_>>();
                    is_written |= self.move_some(tenant, layout, &moves, &mut outcome).await?;
                    progress(outcome.count);
                    from = page.last_evaluated_key;
                    if from.is_none() {
                        break;
                    }
                }
            }
            if !is_written {
                return Ok(outcome);
            }
        }
        Err(MoveError::Written)
    }

    /// Makes `moves` together, or one by one if that is refused. Whether an item was written since it was read.
    async fn move_some(
        &self,
        tenant: &TenantId,
        layout: WorkspaceLayout,
        moves: &[Move],
        outcome: &mut MovedItems,
    ) -> Result<bool, MoveError> {
        let mut is_written = false;
        // No transaction may name an item twice.
        let names =
            |one: &Move, item: &str| one.counterpart.as_ref().is_some_and(|(_, counterpart)| counterpart == item);
        let fit_together = moves
            .iter()
            .all(|one| !one.belongs_to_any(&outcome.left) && moves.iter().all(|other| !names(other, &one.sort_key)));
        if fit_together && !moves.is_empty() && self.write_moves(tenant, layout, moves).await?.is_empty() {
            outcome.count += moves.len();
            return Ok(false);
        }
        for one in moves {
            let failed = if one.belongs_to_any(&outcome.left) {
                vec![Part::Target]
            } else {
                self.write_moves(tenant, layout, std::slice::from_ref(one)).await?
            };
            if failed.is_empty() {
                outcome.count += 1;
            } else if failed.contains(&Part::Source) {
                is_written = true;
            } else {
                outcome.left.push(one.sort_key.clone());
            }
        }
        Ok(is_written)
    }

    /// Makes `moves`, all or none. The parts that were in the way.
    async fn write_moves(
        &self,
        tenant: &TenantId,
        layout: WorkspaceLayout,
        moves: &[Move],
    ) -> Result<Vec<Part>, MoveError> {
        let built = self.layout_check(tenant, layout).and_then(|check| {
            let mut parts = vec![(Part::Layout, check)];
            for one in moves {
                parts.extend(one.parts(&self.table)?);
            }
            Ok(parts)
        });
        let (parts, writes): (Vec<_>, Vec<_>) =
            built.map_err(|error| transaction::build_error(&error))?.into_iter().unzip();
        let token = to_text(Secret::<16>::random().expose());
        match transaction::write(&self.dynamo, &writes, &token).await.map_err(UpstreamError::from)? {
            TransactionOutcome::Committed => Ok(Vec::new()),
            TransactionOutcome::ConditionFailed(failed) => {
                let failed: Vec<_> = failed.iter().filter_map(|failed| parts.get(failed.write).copied()).collect();
                if failed.contains(&Part::Layout) { Err(MoveError::LayoutChanged) } else { Ok(failed) }
            }
        }
    }

    /// That the tenant still has that layout.
    fn layout_check(&self, tenant: &TenantId, layout: WorkspaceLayout) -> Result<TransactWriteItem, BuildError> {
        let check = ConditionCheck::builder()
            .table_name(&self.directory.table)
            .set_key(Some(self.directory.tenant_key(tenant).attribute_values()))
            .condition_expression("#layout = :layout")
            .expression_attribute_names("#layout", LAYOUT)
            .expression_attribute_values(":layout", Value::from(layout.as_str().unwrap_or_default()).0);
        Ok(TransactWriteItem::builder().condition_check(check.build()?).build())
    }
}

/// One item on its way.
struct Move {
    item: Item,
    sort_key: String,
    target: String,
    /// The item that must not be there as well, and its partition: nothing is there and deleted at once.
    counterpart: Option<(String, String)>,
}

/// A part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// That the items are still to be moved.
    Layout,
    /// That nothing is where the item goes.
    Target,
    /// That the item is as it was read.
    Source,
}

impl Move {
    /// Nothing for what is not moved.
    fn of(tenant: &TenantId, layout: WorkspaceLayout, item: Item) -> Option<Self> {
        let sort_key = item.text("item").filter(|sort_key| !sort_key.starts_with(COUNTS))?.to_owned();
        let target = layout.places(tenant, &sort_key).second?;
        let counterpart = counterpart(&sort_key).map(|other| (layout.places(tenant, &other).target(), other));
        Some(Self { item, sort_key, target, counterpart })
    }

    /// Whether it is a version of a document that was left.
    fn belongs_to_any(&self, left: &[String]) -> bool {
        document_of_version(&self.sort_key).is_some_and(|document| document.iter().any(|head| left.contains(head)))
    }

    fn parts(&self, table: &str) -> Result<Vec<(Part, TransactWriteItem)>, BuildError> {
        const ABSENT: &str = "attribute_not_exists(#item)";
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(self.item.clone().with("tenant", self.target.as_str()).into_inner()))
            .condition_expression(ABSENT)
            .expression_attribute_names("#item", "item");
        let mut delete = Delete::builder().table_name(table);
        let mut conditions = Vec::new();
        for (place, (name, value)) in self.item.clone().into_inner().into_iter().enumerate() {
            if ["tenant", "item"].contains(&name.as_str()) {
                delete = delete.key(name, value);
            } else {
                conditions.push(format!("#a{place} = :a{place}"));
                delete = delete.expression_attribute_names(format!("#a{place}"), name);
                delete = delete.expression_attribute_values(format!(":a{place}"), value);
            }
        }
        let delete = delete.condition_expression(conditions.join(" AND "));
        let mut parts = vec![
            (Part::Target, TransactWriteItem::builder().put(put.build()?).build()),
            (Part::Source, TransactWriteItem::builder().delete(delete.build()?).build()),
        ];
        if let Some((partition, counterpart)) = &self.counterpart {
            let key = Item::default().with("tenant", partition.as_str()).with("item", counterpart.as_str());
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key.into_inner()))
                .condition_expression(ABSENT)
                .expression_attribute_names("#item", "item");
            parts.push((Part::Target, TransactWriteItem::builder().condition_check(check.build()?).build()));
        }
        Ok(parts)
    }
}
