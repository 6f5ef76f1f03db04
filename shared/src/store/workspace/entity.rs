//! Entities: the tenant's records, each of a type.
//!
//! ```text
//! { tenant: "tenant#acme#entity#invoice", item: "entity#invoice#2026-001", version: 3, fields: "{…}", created: 1795…,
//!   updated: 1795…, updated_by?: "5c1f6b0a-…", made_by: <16 bytes> }
//! { tenant: "tenant#acme#deleted-entity#invoice", item: "deleted-entity#invoice#2026-001", version: 3 }
//! ```
//!
//! Every change is one conditional write, and a refused one returns the item as it is. So no change
//! overwrites another. `made_by` identifies the write that made the version: a retry after a lost response
//! recognises its own write by it.
//!
//! The second item is the tombstone of an entity that was deleted. It keeps the last version, and goes when an entity of that
//! type and id is made again, with the version after that. So a version never repeats, and what is based on one that was
//! deleted never hits what was made since.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use serde_json::{Map, Value};

use super::transaction::{Condition, FailedCondition, TransactionOutcome};
use super::{
    Item, ItemQuery, JSON_LIMIT, Name, ValidationError, Workspace, WriteError, item_of, name_in, named, object,
    unparsable_item,
};
use crate::clock::Timestamp;
use crate::oauth::secret::Secret;
use crate::oauth::tenant::PersonId;
use crate::store::backoff::Backoff;
use crate::store::item::Value as Attribute;
use crate::store::item_update::{contended, write_as_read};
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// The name of its type.
    pub kind: Name,
    /// Its id, within the type.
    pub id: Name,
    /// 1 for the first entity of that type and id, one more at each change, and when it is made again.
    pub version: u32,
    /// Its fields, as the schema of its type describes them.
    pub fields: Map<String, Value>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// Who changed it last. Nothing if it was an operator.
    pub updated_by: Option<PersonId>,
}

/// Fields of an entity that can be stored.
#[derive(Clone, Debug)]
pub struct Fields {
    object: Map<String, Value>,
    text: String,
}

/// Some entities, in the order of their ids, from one call.
#[derive(Debug)]
pub struct EntityPage {
    /// The entities.
    pub entities: Vec<Entity>,
    /// Bytes of their fields as JSON.
    pub bytes: usize,
    /// The last id, if there may be more after it.
    pub next: Option<Name>,
}

/// The outcome of a change.
#[derive(Debug)]
pub enum EntityUpdate {
    /// It was made. This is the entity as it is now, or as it was before it was deleted.
    Applied(Entity),
    /// The entity has another version than the change is based on.
    Conflict(Box<Entity>),
    /// There is no such entity.
    NotFound,
}

impl Fields {
    /// From an object.
    ///
    /// # Errors
    /// When it is longer than [`JSON_LIMIT`] as JSON, or could not be read again.
    pub fn new(object: Map<String, Value>) -> Result<Self, ValidationError> {
        if has_reserved_member(&object) {
            return Err(ValidationError::ReservedMember);
        }
        let text = serde_json::to_string(&object).map_err(|_| ValidationError::Fields)?;
        if text.len() <= JSON_LIMIT { Ok(Self { object, text }) } else { Err(ValidationError::Fields) }
    }

    /// How many bytes they are as JSON.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.text.len()
    }

    /// As an object.
    #[must_use]
    pub const fn as_object(&self) -> &Map<String, Value> {
        &self.object
    }
}

/// `serde_json` treats an object whose first member has this name specially (its feature `raw_value`, which
/// `lambda_http` enables). Such an object would make every list that contains it unreadable.
fn has_reserved_member(members: &Map<String, Value>) -> bool {
    fn inside(value: &Value) -> bool {
        match value {
            Value::Object(members) => has_reserved_member(members),
            Value::Array(values) => values.iter().any(inside),
            _ => false,
        }
    }
    members.iter().any(|(name, value)| name.starts_with("$serde_json::") || inside(value))
}

impl Workspace {
    /// The entity of that type and id.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn entity(&self, kind: &Name, id: &Name) -> Result<Option<Entity>, UpstreamError> {
        self.find(&prefix(kind), id, |item| read(kind, item)).await
    }

    /// At most `limit` entities of a type, those after `after`, and fewer if they are large. The read is
    /// consistent: it includes what a model has just written.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn entities(&self, kind: &Name, after: Option<&Name>, limit: u16) -> Result<EntityPage, UpstreamError> {
        let prefix = prefix(kind);
        let after = after.map(|after| format!("{prefix}{after}"));
        let item_query = ItemQuery { after, most: limit.into(), ..ItemQuery::of(&prefix) };
        let (items, last) = self.query(item_query).await?;
        let bytes = items.iter().filter_map(|item| item.text("fields")).map(str::len).sum();
        let entities = items.iter().map(|item| read(kind, item)).collect::<Option<_>>();
        let next = match last {
            Some(last) => Some(name_in(&prefix, &last).ok_or_else(|| unparsable_item(&self.table))?),
            None => None,
        };
        Ok(EntityPage { entities: entities.ok_or_else(|| unparsable_item(&self.table))?, bytes, next })
    }

    /// Creates an entity, if there is none of that type and id.
    ///
    /// # Errors
    /// While the items are being moved, or when DynamoDB fails.
    pub async fn create_entity(
        &self,
        kind: &Name,
        id: &Name,
        fields: Fields,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<EntityUpdate, WriteError> {
        match self.insert_entity(kind, id, &fields.text, Some(by), now).await? {
            Insertion::Made(version) => {
                let (kind, id, fields, updated_by) = (kind.clone(), id.clone(), fields.object, Some(by.clone()));
                Ok(EntityUpdate::Applied(Entity { kind, id, version, fields, created: now, updated: now, updated_by }))
            }
            Insertion::Exists(item) => Ok(self.resolve_conflict(kind, Some(item), &[])?),
        }
    }

    /// Makes an entity, if there is none of that type and id: with version 1, or the one after the last that was deleted.
    async fn insert_entity(
        &self,
        kind: &Name,
        id: &Name,
        fields: &str,
        by: Option<&PersonId>,
        now: Timestamp,
    ) -> Result<Insertion, WriteError> {
        // One to meet the tombstone, one to replace it, and as many again for those who make and delete it meanwhile.
        const TRIES: u32 = 4;

        // The usual entity was never deleted, so the tombstone is not read before it is in the way.
        let (mut tombstone, mut version) = (Condition::Absent, 1_u32);
        for _ in 0..TRIES {
            let item = item_of(&prefix(kind), id)
                .with("version", version)
                .with("fields", fields)
                .with("created", now)
                .with("updated", now)
                .with_some("updated_by", by.map(PersonId::as_str))
                .with("made_by", maker().as_slice());
            let transaction = self.transaction().await?.put(item, Condition::Absent)?;
            let failed = match transaction.delete(&tombstone_prefix(kind), id, tombstone)?.write().await? {
                TransactionOutcome::Committed => return Ok(Insertion::Made(version)),
                TransactionOutcome::ConditionFailed(failed) => failed,
            };
            let mut left = None;
            for FailedCondition { write, item } in failed {
                match (write, item) {
                    (0, Some(item)) => return Ok(Insertion::Exists(item)),
                    (0, None) => return Err(unparsable_item(&self.table).into()),
                    (_, item) => left = item,
                }
            }
            (tombstone, version) = match left {
                None => (Condition::Absent, 1),
                Some(item) => {
                    let last: u32 = item.number("version").ok_or_else(|| unparsable_item(&self.table))?;
                    (Condition::Version(last), last.saturating_add(1))
                }
            };
        }
        Err(contended(&self.table).into())
    }

    /// Replaces the fields of an entity, if it still has the version that was read.
    ///
    /// # Errors
    /// While the items are being moved, or when DynamoDB fails.
    pub async fn update_entity(
        &self,
        entity: Entity,
        fields: Fields,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<EntityUpdate, WriteError> {
        const CALL: &str = "DynamoDB.UpdateItem";
        let maker = maker();
        let next = entity.version.saturating_add(1);
        let key = self.key_to_write(&format!("{}{}", prefix(&entity.kind), entity.id)).await?;
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.attribute_values()))
            .condition_expression("version = :version")
            .update_expression(
                "SET version = :next, #fields = :fields, updated = :now, updated_by = :by, made_by = :made_by",
            )
            .expression_attribute_names("#fields", "fields")
            .expression_attribute_values(":version", Attribute::from(entity.version).0)
            .expression_attribute_values(":next", Attribute::from(next).0)
            .expression_attribute_values(":fields", AttributeValue::S(fields.text))
            .expression_attribute_values(":now", Attribute::from(now).0)
            .expression_attribute_values(":by", AttributeValue::S(by.to_string()))
            .expression_attribute_values(":made_by", Attribute::from(maker.as_slice()).0)
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = update.send().await else {
            let (fields, updated_by) = (fields.object, Some(by.clone()));
            return Ok(EntityUpdate::Applied(Entity { version: next, fields, updated: now, updated_by, ..entity }));
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refusal)) => {
                Ok(self.resolve_conflict(&entity.kind, refusal.item().cloned().map(Item::new), &maker)?)
            }
            _ => Err(upstream_call::failed_at_aws(CALL, &error).into()),
        }
    }

    /// Deletes an entity that was just read, if it still has that version. An entity that is gone already
    /// counts as deleted: a retry cannot tell its own delete from another one.
    ///
    /// # Errors
    /// While the items are being moved, or when DynamoDB fails.
    pub async fn delete_entity(&self, entity: Entity) -> Result<EntityUpdate, WriteError> {
        let tombstone = item_of(&tombstone_prefix(&entity.kind), &entity.id).with("version", entity.version);
        let transaction = self.transaction().await?;
        let transaction = transaction.delete(&prefix(&entity.kind), &entity.id, Condition::Version(entity.version))?;
        let transaction = transaction.put(tombstone, Condition::Any)?;
        match transaction.write().await? {
            TransactionOutcome::Committed => Ok(EntityUpdate::Applied(entity)),
            TransactionOutcome::ConditionFailed(failed) => match failed.into_iter().find_map(|write| write.item) {
                None => Ok(EntityUpdate::Applied(entity)),
                Some(item) => {
                    let current = read(&entity.kind, &item).ok_or_else(|| unparsable_item(&self.table))?;
                    Ok(EntityUpdate::Conflict(Box::new(current)))
                }
            },
        }
    }

    /// Creates an entity, or stores these fields as its next version, whatever its version is: for operators.
    /// The caller checks that they fit the type's schema. It is written over the version that was read just before, so that a first
    /// try that arrives late does not undo what followed.
    ///
    /// # Errors
    /// When it is unfit, others wrote it at the same time, or DynamoDB fails.
    pub async fn put_entity(
        &self,
        kind: &Name,
        id: &Name,
        fields: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let fields = Fields::new(fields.clone())?.text;
        let key = self.key_to_write(&format!("{}{id}", prefix(kind))).await?;
        let mut backoff = Backoff::new();
        loop {
            let outcome = write_as_read(&self.dynamo, &key, |update, item| {
                let Some(item) = item else { return Ok(None) };
                let stored = read(kind, item).ok_or_else(|| unparsable_item(&self.table))?;
                let update = update
                    .set("version", stored.version.saturating_add(1))
                    .set("fields", fields.as_str())
                    .set("updated", now)
                    .remove(["updated_by"]);
                Ok::<_, UpstreamError>(Some(update))
            });
            if outcome.await?.is_applied() {
                return Ok(());
            }
            if let Insertion::Made(_) = self.insert_entity(kind, id, &fields, None, now).await? {
                return Ok(());
            }
            if !backoff.wait().await {
                return Err(contended(&self.table).into());
            }
        }
    }

    /// The meaning of a refused write. If the entity is as this very write made it, the write was a retry and
    /// has succeeded.
    fn resolve_conflict(&self, kind: &Name, item: Option<Item>, maker: &[u8]) -> Result<EntityUpdate, UpstreamError> {
        let Some(item) = item else { return Ok(EntityUpdate::NotFound) };
        let entity = read(kind, &item).ok_or_else(|| unparsable_item(&self.table))?;
        let own = item.bytes("made_by") == Some(maker);
        Ok(if own { EntityUpdate::Applied(entity) } else { EntityUpdate::Conflict(Box::new(entity)) })
    }
}

/// The outcome of making an entity.
enum Insertion {
    /// It was made, with this version.
    Made(u32),
    /// There is one already. This is its item.
    Exists(Item),
}

fn prefix(kind: &Name) -> String {
    format!("entity#{kind}#")
}

fn tombstone_prefix(kind: &Name) -> String {
    format!("deleted-entity#{kind}#")
}

fn maker() -> [u8; 16] {
    *Secret::random().expose()
}

fn read(kind: &Name, item: &Item) -> Option<Entity> {
    Some(Entity {
        kind: kind.clone(),
        id: named(&prefix(kind), item)?,
        version: item.number("version")?,
        fields: object(item, "fields")?,
        created: item.time("created")?,
        updated: item.time("updated")?,
        updated_by: match item.text("updated_by") {
            Some(person) => Some(PersonId::parse(person)?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kept, `x` would be read as JSON text that is none once its first member is gone, and with it every page that holds it.
    #[test]
    fn reserved_members_are_refused() {
        let magic = "$serde_json::private::RawValue";
        for fields in [
            serde_json::json!({ "x": { "!": 1, magic: "not json" } }),
            serde_json::json!({ "x": [{ "!": 1, magic: "1" }] }),
            serde_json::json!({ "!": 1, magic: "{}" }),
        ] {
            assert_eq!(
                Fields::new(fields.as_object().unwrap().clone()).unwrap_err(),
                ValidationError::ReservedMember,
                "{fields}"
            );
        }
        let plain = serde_json::json!({ "x": { "$ref": magic } });
        assert!(Fields::new(plain.as_object().unwrap().clone()).is_ok());
    }
}
