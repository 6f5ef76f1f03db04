//! A page of the entities that a list, a search or a view asks for.
//!
//! A call examines so many entities and no more, whatever it is looking for: by id, a page may then have few rows or none, and its
//! cursor goes on; in another order the whole type has to be seen, and where that is too much the answer says so.

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::store::workspace::entity::{Entity, EntityPage};
use shared::store::workspace::query::{Condition, QueryError, Sort, SortKey, Words};
use shared::store::workspace::{Name, Workspace};

use super::arguments::parse_cursor;
use super::page_size::{PAGE_CUT, Room};
use super::tool_error::ToolError;
use crate::cursor;

/// A search for entities.
#[derive(Debug)]
pub(super) struct EntitySearch<'a> {
    /// The entities' type.
    pub(super) kind: &'a Name,
    /// What they contain.
    pub(super) words: Option<Words>,
    /// What holds for them.
    pub(super) filter: &'a [Condition],
    /// Their order.
    pub(super) sort: &'a Sort,
    /// Where the page before ended.
    pub(super) cursor: Option<&'a str>,
    /// How it names that place.
    pub(super) cursor_form: CursorForm,
    /// Most rows of the page.
    pub(super) limit: PageLimit,
}

/// How the cursor of a sorted page names the place where it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CursorForm {
    /// By what the last row is sorted by. It leads on even if that row has changed.
    SortKey,
    /// By the id of the last row, where the caller may not see what it is sorted by, nor find it out by making a cursor.
    Id,
}

/// Most rows of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageLimit(u16);

/// Most records of a page
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(super) struct LimitArgument(
    #[cfg_attr(test, schemars(range(min = 1, max = PageLimit::MOST), extend("default" = PageLimit::DEFAULT)))] u64,
);

/// What was found.
#[derive(Debug)]
pub(super) struct SearchPage<R> {
    rows: Vec<R>,
    room: Room,
    end: EntityPageEnd,
}

/// Whether there is more than a page shows.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct EntityPageEnd {
    /// There may be more: call again with this cursor, even after a page without records
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Only if this was cut for its size: what to do
    #[serde(skip_serializing_if = "Option::is_none")]
    shortened: Option<&'static str>,
    /// Only if not all records could be considered: why, and what to do
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'static str>,
}

/// Entities examined per call, and the bytes of their fields: what DynamoDB reads in about a second, 2,000 read units at most, and
/// what fits several times into a function's memory when parsed.
const MAX_ENTITIES_SCANNED: usize = 5_000;
const MAX_BYTES_SCANNED: usize = 8 * 1024 * 1024;
/// Entities per query, which DynamoDB also ends at 1 MB.
const QUERY_LIMIT: u16 = 1_000;

const INCOMPLETE: &str = "There are too many records to sort: only the first of them by id were. To see all, search without sort, \
    and go on with each nextCursor.";

const ROW_GONE: &str =
    "The row after which the page would begin is not there, or no longer. Begin again without a cursor.";

impl PageLimit {
    /// The most that may be asked for.
    pub(super) const MOST: u16 = 100;
    /// What is meant where nothing is said.
    pub(super) const DEFAULT: u16 = 50;

    pub(super) fn parse(limit: Option<LimitArgument>) -> Result<Self, ToolError> {
        let limit = limit.map_or(Self::DEFAULT, |LimitArgument(limit)| u16::try_from(limit).unwrap_or(u16::MAX));
        if (1..=Self::MOST).contains(&limit) {
            return Ok(Self(limit));
        }
        Err(ToolError::failed("invalid_arguments", "The arguments do not fit: limit must be from 1 to 100."))
    }
}

impl EntitySearch<'_> {
    /// The page, with a row for each entity.
    pub(super) async fn page<R: Serialize>(
        &self,
        workspace: &Workspace,
        row: impl Fn(&Entity) -> R,
    ) -> Result<SearchPage<R>, ToolError> {
        if self.sort.is_by_id() { self.by_id(workspace, row).await } else { self.sorted(workspace, row).await }
    }

    async fn by_id<R: Serialize>(
        &self,
        workspace: &Workspace,
        row: impl Fn(&Entity) -> R,
    ) -> Result<SearchPage<R>, ToolError> {
        let mut after = parse_cursor(self.cursor, cursor::decode_name)?;
        let (mut found, mut budget) = (SearchPage::new(), ScanBudget::default());
        // Where every entity is a row, one more than the page holds tells whether it is the last.
        let all = self.words.is_none() && self.filter.is_empty();
        let most = if all { self.limit.0 + 1 } else { QUERY_LIMIT };
        loop {
            let batch = workspace.entities(self.kind, after.as_ref(), most).await?;
            let spent = budget.spend(&batch);
            for entity in batch.entities {
                if found.is_full(self.limit) || (self.matches(&entity) && !found.push_if_fits(row(&entity))) {
                    found.end.next_cursor = after.as_ref().map(cursor::encode_name);
                    return Ok(found);
                }
                after = Some(entity.id);
            }
            after = batch.next;
            if after.is_none() || spent || found.is_full(self.limit) {
                found.end.next_cursor = after.as_ref().map(cursor::encode_name);
                return Ok(found);
            }
        }
    }

    async fn sorted<R: Serialize>(
        &self,
        workspace: &Workspace,
        row: impl Fn(&Entity) -> R,
    ) -> Result<SearchPage<R>, ToolError> {
        let from = self.place(workspace).await?;
        let (mut after, mut found, mut budget) = (None, SearchPage::new(), ScanBudget::default());
        let mut best: Vec<(SortKey, Entity)> = Vec::new();
        loop {
            let batch = workspace.entities(self.kind, after.as_ref(), QUERY_LIMIT).await?;
            let spent = budget.spend(&batch);
            let wanted = batch.entities.into_iter().filter(|entity| self.matches(entity));
            let placed = wanted.map(|entity| (self.sort.sort_key(&entity), entity));
            let is_ahead = |place: &SortKey| from.as_ref().is_none_or(|from| self.sort.compare(place, from).is_gt());
            best.extend(placed.filter(|(place, _)| is_ahead(place)));
            best.sort_by(|(one, _), (other, _)| self.sort.compare(one, other));
            best.truncate(usize::from(self.limit.0) + 1);
            found.end.incomplete = (spent && batch.next.is_some()).then_some(INCOMPLETE);
            after = batch.next;
            if after.is_none() || spent {
                break;
            }
        }
        let mut last = None;
        for (place, entity) in &best {
            if found.is_full(self.limit) || !found.push_if_fits(row(entity)) {
                found.end.next_cursor = last.map(|(place, entity): (&SortKey, &Entity)| match self.cursor_form {
                    CursorForm::SortKey => cursor::encode_place(&place.to_json()),
                    CursorForm::Id => cursor::encode_name(&entity.id),
                });
                break;
            }
            last = Some((place, entity));
        }
        Ok(found)
    }

    /// Where the page before ended.
    async fn place(&self, workspace: &Workspace) -> Result<Option<SortKey>, ToolError> {
        if self.cursor_form == CursorForm::SortKey {
            return parse_cursor(self.cursor, |cursor| self.sort.parse_sort_key(&cursor::decode_place(cursor)?));
        }
        let Some(id) = parse_cursor(self.cursor, cursor::decode_name)? else { return Ok(None) };
        let last = workspace.entity(self.kind, &id).await?.filter(|entity| self.matches(entity));
        let last = last.ok_or_else(|| ToolError::failed("invalid_arguments", ROW_GONE))?;
        Ok(Some(self.sort.sort_key(&last)))
    }

    fn matches(&self, entity: &Entity) -> bool {
        self.filter.iter().all(|condition| condition.holds(entity))
            && self.words.as_ref().is_none_or(|words| words.hold(entity))
    }
}

impl<R: Serialize> SearchPage<R> {
    fn new() -> Self {
        Self { rows: Vec::new(), room: Room::default(), end: EntityPageEnd::default() }
    }

    /// Whether nothing was found, and nothing was left to look at.
    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.end.next_cursor.is_none()
    }

    /// The rows, and whether there are more.
    pub(super) fn into_parts(self) -> (Vec<R>, EntityPageEnd) {
        (self.rows, self.end)
    }

    fn is_full(&self, limit: PageLimit) -> bool {
        self.rows.len() >= usize::from(limit.0)
    }

    /// Whether there was room for one more.
    fn push_if_fits(&mut self, row: R) -> bool {
        let fits = self.room.take(&row);
        if fits {
            self.rows.push(row);
        } else {
            self.end.shortened = Some(PAGE_CUT);
        }
        fits
    }
}

/// What has been examined.
#[derive(Default)]
struct ScanBudget {
    entities: usize,
    bytes: usize,
}

impl ScanBudget {
    /// Whether that was all of it.
    fn spend(&mut self, batch: &EntityPage) -> bool {
        self.entities += batch.entities.len();
        self.bytes += batch.bytes;
        self.entities >= MAX_ENTITIES_SCANNED || self.bytes >= MAX_BYTES_SCANNED
    }
}

impl From<QueryError> for ToolError {
    fn from(malformed: QueryError) -> Self {
        Self::failed("invalid_arguments", format!("The arguments do not fit: {malformed}."))
    }
}
