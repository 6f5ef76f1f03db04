//! Documents: Markdown with its history.
//!
//! ```text
//! { tenant: "tenant#acme#document", item: "document#<id>", title: "Handbook", version: 3, size: 1834, written: 1795…,
//!   writer?: "<person>", oldest?: 2 }
//! { tenant: "tenant#acme#edition#<id>", item: "edition#<id>#0000000003", the same, content: "# …" }
//! { tenant: "tenant#acme#deleted-document", item: "deleted-document#<id>", as the first was, deleted: 1795…, deleter: "<person>" }
//! ```
//!
//! The first item of a document has its title and its current version. The content of each version is an item
//! of its own that never changes, in a partition of the document's versions. Both are written in one transaction. So a list reads no
//! content, and no version is lost.
//!
//! The last [`KEPT`] versions are kept, which is 12.5 MiB at most. The transaction that writes a version removes the one that is too
//! many: from `oldest` on, which is 1 if it is not there. Where earlier versions of this program kept more, it removes
//! `REMOVED_AT_ONCE` each time, until no more are left than there should be. A removal that comes late is refused with its version.
//!
//! Deleting a document only renames its first item: its versions stay, and an operator can
//! restore it. So a version never repeats: ids that are not an operator's are random, and an operator's document that was
//! deleted is restored before it is written again.

use std::ops::Range;

use super::transaction::{Condition, TransactionError, TransactionOutcome};
use super::{CONTENT_LIMIT, Item, ItemQuery, Name, Page, TITLE_LIMIT, ValidationError, Workspace, WriteError, item_of};
use crate::clock::Timestamp;
use crate::oauth::tenant::PersonId;
use crate::store::item::unparsable_item;
use crate::upstream_call;
use crate::upstream_error::UpstreamError;

const KIND: &str = "document#";
const EDITION: &str = "edition#";
const DELETED: &str = "deleted-document#";

/// How many versions of a document are kept, the current one included.
pub const KEPT: u32 = 50;
/// How many versions one write removes, if there are more.
const REMOVED_AT_ONCE: u32 = 8;

/// Most bytes of contents that one search reads: at least four documents, and few enough to be read in time.
const SEARCHED: u32 = 1024 * 1024;
/// Most documents that one search finds.
const HITS: usize = 20;
/// Characters of an excerpt before the match, and from there on.
const EXCERPT: (usize, usize) = (60, 180);

/// A version of a document, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// The document's id.
    pub id: Name,
    /// Its title in this version.
    pub title: String,
    /// Which version, from 1.
    pub version: u32,
    /// Bytes of the content.
    pub size: u32,
    /// When it was written.
    pub written: Timestamp,
    /// By whom; nobody for the operator.
    pub writer: Option<PersonId>,
}

/// A version of a document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Which.
    pub edition: Edition,
    /// Markdown.
    pub content: String,
}

/// A document as a change finds it: at the version on which it is based.
#[derive(Debug)]
pub struct DocumentBase {
    head: Head,
    content: Option<String>,
}

/// The result of looking for that.
#[derive(Debug)]
pub enum BaseLookup {
    /// The document is at that version.
    Found(DocumentBase),
    /// It is at this one.
    Conflict(u32),
    /// There is no such document.
    NotFound,
}

/// The first item of a document.
#[derive(Clone, Debug)]
struct Head {
    /// The current version.
    edition: Edition,
    /// The oldest version that may be left.
    oldest: u32,
}

/// The result of reading a document.
#[derive(Debug)]
pub enum DocumentLookup {
    /// The version, and which one is current.
    Found(Document, u32),
    /// There is no such version; this one is current.
    VersionNotFound(u32),
    /// There is no such document.
    NotFound,
}

/// The outcome of a change that was made from some version.
#[derive(Debug)]
pub enum DocumentUpdate {
    /// It was made. This is the version that is current now, or was the last.
    Applied(Edition),
    /// It was not made, as this version is current.
    Conflict(u32),
    /// There is no such document.
    NotFound,
}

/// A document that a search found.
#[derive(Debug)]
pub struct Hit {
    /// Which.
    pub edition: Edition,
    /// The content around the first match.
    pub excerpt: String,
}

impl Workspace {
    /// A page of the documents, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn documents(&self, after: Option<&Name>) -> Result<Page<Edition>, UpstreamError> {
        self.list(KIND, after, None, |item| head(KIND, item)).await
    }

    /// The first ids that begin with `prefix`, at most a hundred, and whether there are more.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn document_ids(&self, prefix: &str) -> Result<(Vec<Name>, bool), UpstreamError> {
        self.names(KIND, prefix).await
    }

    /// The documents after `after` whose title or content has every word of `words`, in any case. One call
    /// searches only some of the documents, so a page may be empty although more follow.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn search_documents(&self, words: &str, after: Option<&Name>) -> Result<Page<Hit>, UpstreamError> {
        let words: Vec<_> = words.split_whitespace().map(str::to_lowercase).collect();
        let Page { mut items, mut next } = self.documents(after).await?;
        let mut bytes = 0_u32;
        let affordable = items.iter().position(|document| {
            bytes = bytes.saturating_add(document.size);
            bytes > SEARCHED
        });
        if let Some(affordable) = affordable {
            items.truncate(affordable);
            next = items.last().map(|document| document.id.clone());
        }
        let keys: Vec<_> = items.iter().map(|document| edition_key(&document.id, document.version)).collect();
        let contents = self.items(&keys).await?;
        let mut hits = Vec::new();
        let last = items.last().map(|document| document.id.clone());
        for (edition, item) in items.into_iter().zip(contents) {
            let content = item.as_ref().and_then(|item| item.text("content"));
            let content = content.ok_or_else(|| unparsable_item(&self.table))?;
            let Some(excerpt) = matching_excerpt(&words, &edition.title, content) else { continue };
            let id = edition.id.clone();
            hits.push(Hit { edition, excerpt });
            if hits.len() == HITS {
                if last.as_ref() != Some(&id) {
                    next = Some(id);
                }
                break;
            }
        }
        Ok(Page { items: hits, next })
    }

    /// A version of the document, the current one if none is named.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn document(&self, id: &Name, version: Option<u32>) -> Result<DocumentLookup, UpstreamError> {
        let (head, item) = match version {
            None => {
                let Some(Head { edition, .. }) = self.document_head(id).await? else {
                    return Ok(DocumentLookup::NotFound);
                };
                let item = self.edition_item(id, edition.version).await?;
                (edition, item)
            }
            Some(version) => {
                let mut items = self.items(&[format!("{KIND}{id}"), edition_key(id, version)]).await?;
                let item = items.pop().flatten();
                let Some(current) = items.pop().flatten() else { return Ok(DocumentLookup::NotFound) };
                let head = head(KIND, &current).ok_or_else(|| unparsable_item(&self.table))?;
                let Some(item) = item else { return Ok(DocumentLookup::VersionNotFound(head.version)) };
                (head, item)
            }
        };
        let content = item.text("content").map(str::to_owned);
        match read_edition(&item).zip(content) {
            Some((edition, content)) => Ok(DocumentLookup::Found(Document { edition, content }, head.version)),
            None => Err(unparsable_item(&self.table)),
        }
    }

    /// A page of a document's versions, the latest first, those before `before`; `None` without such a document.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn document_versions(
        &self,
        id: &Name,
        before: Option<u32>,
    ) -> Result<Option<(Vec<Edition>, Option<u32>)>, UpstreamError> {
        const NAMES: &[(&str, &str)] = &[
            ("#title", "title"),
            ("#version", "version"),
            ("#size", "size"),
            ("#written", "written"),
            ("#writer", "writer"),
        ];
        if self.document_head(id).await?.is_none() {
            return Ok(None);
        }
        let after = before.map(|before| edition_key(id, before));
        let only = Some(("#item, #title, #version, #size, #written, #writer", NAMES));
        let item_query = ItemQuery { after, only, backwards: true, ..ItemQuery::of(&format!("{EDITION}{id}#")) };
        let (items, last) = self.query(item_query).await?;
        let versions: Option<Vec<_>> = items.iter().map(read_edition).collect();
        let next = match last {
            Some(last) => Some(parse_edition_key(&last).ok_or_else(|| unparsable_item(&self.table))?.1),
            None => None,
        };
        Ok(Some((versions.ok_or_else(|| unparsable_item(&self.table))?, next)))
    }

    /// Creates a document of `by` with a random id.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn create_document(
        &self,
        title: &str,
        content: &str,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<Edition, WriteError> {
        let size = content_size(title, content)?;
        let (title, writer) = (title.to_owned(), Some(by.clone()));
        let next = Edition { id: Name::random(), title, version: 1, size, written: now, writer };
        match self.put_version(&next, content, None).await?? {
            TransactionOutcome::Committed => Ok(next),
            TransactionOutcome::ConditionFailed(_) => {
                Err(upstream_call::failed("DynamoDB", "a random id was taken").into())
            }
        }
    }

    /// The document if it is at `version`, on which a change is based: with its content if that is asked for.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn document_base(
        &self,
        id: &Name,
        version: u32,
        with_content: bool,
    ) -> Result<BaseLookup, UpstreamError> {
        let Some(head) = self.document_head(id).await? else { return Ok(BaseLookup::NotFound) };
        if head.edition.version != version {
            return Ok(BaseLookup::Conflict(head.edition.version));
        }
        let content = if with_content {
            let item = self.edition_item(id, version).await?;
            Some(item.text("content").ok_or_else(|| unparsable_item(&self.table))?.to_owned())
        } else {
            None
        };
        Ok(BaseLookup::Found(DocumentBase { head, content }))
    }

    /// Writes the next version of a document, by `by`, based on `base`.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn update_document(
        &self,
        DocumentBase { head, .. }: DocumentBase,
        title: &str,
        content: &str,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<DocumentUpdate, WriteError> {
        let size = content_size(title, content)?;
        let (title, writer) = (title.to_owned(), Some(by.clone()));
        let (id, base) = (head.edition.id.clone(), head.edition.version);
        let next = Edition { id, title, version: base.saturating_add(1), size, written: now, writer };
        let written = self.put_version(&next, content, Some(&head)).await?;
        match self.changed(written, next.clone(), base).await? {
            DocumentUpdate::Conflict(version) if version > base && self.has_version(&next, content).await? => {
                Ok(DocumentUpdate::Applied(next))
            }
            outcome => Ok(outcome),
        }
    }

    /// Deletes a document, by `by`, based on version `base`. Its versions stay in the table, for an operator:
    /// [`Self::deleted_documents`], [`Self::restore_document`].
    ///
    /// # Errors
    /// While the items are being moved, or when DynamoDB fails.
    pub async fn delete_document(
        &self,
        id: &Name,
        base: u32,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<DocumentUpdate, WriteError> {
        let Some(head) = self.document_head(id).await? else { return Ok(DocumentUpdate::NotFound) };
        if head.edition.version != base {
            return Ok(DocumentUpdate::Conflict(head.edition.version));
        }
        let aside = head_item(DELETED, &head).with("deleted", now).with("deleter", by.as_str());
        let transaction = self.transaction().await?;
        let transaction = transaction.delete(KIND, id, Condition::Version(base))?.put(aside, Condition::Any)?;
        Ok(self.changed(transaction.write().await, head.edition, base).await?)
    }

    /// A page of the documents that were deleted, those after `after`: for an operator.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn deleted_documents(&self, after: Option<&Name>) -> Result<Page<Edition>, UpstreamError> {
        self.list(DELETED, after, None, |item| head(DELETED, item)).await
    }

    /// Restores a deleted document with its history: for an operator. False if there is none, or another
    /// document has its id.
    ///
    /// # Errors
    /// While the items are being moved, or when DynamoDB fails.
    pub async fn restore_document(&self, id: &Name) -> Result<bool, WriteError> {
        let Some(head) = self.find(DELETED, id, |item| Head::read(DELETED, item)).await? else { return Ok(false) };
        let (back, version) = (head_item(KIND, &head), Condition::Version(head.edition.version));
        let transaction = self.transaction().await?.put(back, Condition::Absent)?.delete(DELETED, id, version)?;
        Ok(matches!(transaction.write().await?, TransactionOutcome::Committed))
    }

    /// Stores a document under an id that the operator chose, as the next version if there is or was such a
    /// document. A document with the same content stays as it is.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn put_document(&self, id: &Name, title: &str, content: &str, now: Timestamp) -> Result<(), WriteError> {
        const TRIES: u32 = 5;

        let size = content_size(title, content)?;
        for _ in 0..TRIES {
            let head = self.document_head(id).await?;
            if let Some(Head { edition: same, .. }) = head.as_ref().filter(|head| head.edition.title == title)
                && self.edition_item(id, same.version).await?.text("content") == Some(content)
            {
                return Ok(());
            }
            if head.is_none() && self.restore_document(id).await? {
                continue;
            }
            let version = head.as_ref().map_or(0, |head| head.edition.version).saturating_add(1);
            let next = Edition { id: id.clone(), title: title.to_owned(), version, size, written: now, writer: None };
            match self.put_version(&next, content, head.as_ref()).await? {
                Ok(TransactionOutcome::Committed) => return Ok(()),
                Ok(TransactionOutcome::ConditionFailed(_)) | Err(TransactionError::Conflict) => {}
                Err(TransactionError::Upstream(error)) => return Err(error.into()),
            }
        }
        Err(upstream_call::failed("DynamoDB.TransactWriteItems", "the version had changed at each attempt").into())
    }

    /// Makes `next` the current version, if the one `before` still is; the first one if there was none. Removes the versions that are
    /// too many then.
    ///
    /// # Errors
    /// While the items are being moved. Inside, as the transaction has them: a conflict may be none to the caller.
    async fn put_version(
        &self,
        next: &Edition,
        content: &str,
        before: Option<&Head>,
    ) -> Result<Result<TransactionOutcome, TransactionError>, WriteError> {
        let condition = before.map_or(Condition::Absent, |head| Condition::Version(head.edition.version));
        let surplus = before.map(|head| head.surplus_before(next.version)).unwrap_or_default();
        let oldest = before.map_or(1, |head| surplus.end.max(head.oldest));
        let key = edition_key(&next.id, next.version);
        let edition = edition_item(KIND, next).with("item", key).with("content", content);
        let head = head_item(KIND, &Head { edition: next.clone(), oldest });
        let mut transaction = self.transaction().await?.put(head, condition)?.put(edition, Condition::Absent)?;
        for version in surplus {
            transaction = transaction.remove(&edition_key(&next.id, version))?;
        }
        Ok(transaction.write().await)
    }

    /// The outcome of the change to `made` that was based on version `base`. If other transactions were in the way at
    /// each attempt, the table tells which version they made.
    async fn changed(
        &self,
        written: Result<TransactionOutcome, TransactionError>,
        made: Edition,
        base: u32,
    ) -> Result<DocumentUpdate, UpstreamError> {
        match written {
            Ok(TransactionOutcome::Committed) => Ok(DocumentUpdate::Applied(made)),
            Ok(TransactionOutcome::ConditionFailed(failed)) => {
                // The document itself is the first of the writes.
                let head = failed.into_iter().find(|failed| failed.write == 0);
                let Some(item) = head.ok_or_else(|| unparsable_item(&self.table))?.item else {
                    return Ok(DocumentUpdate::NotFound);
                };
                let version = item.number("version").ok_or_else(|| unparsable_item(&self.table))?;
                Ok(DocumentUpdate::Conflict(version))
            }
            Err(TransactionError::Conflict) => match self.document_head(&made.id).await? {
                None => Ok(DocumentUpdate::NotFound),
                Some(Head { edition, .. }) if edition.version != base => Ok(DocumentUpdate::Conflict(edition.version)),
                Some(_) => Err(TransactionError::Conflict.into()),
            },
            Err(TransactionError::Upstream(error)) => Err(error),
        }
    }

    /// Whether a version is stored just as it was to be written: an earlier try of this write may have been carried out, its answer lost,
    /// and other transactions have been in the way of the tries that followed.
    async fn has_version(&self, made: &Edition, content: &str) -> Result<bool, UpstreamError> {
        let stored = self.document(&made.id, Some(made.version)).await?;
        Ok(matches!(stored, DocumentLookup::Found(stored, _) if stored.edition == *made && stored.content == content))
    }

    async fn document_head(&self, id: &Name) -> Result<Option<Head>, UpstreamError> {
        self.find(KIND, id, |item| Head::read(KIND, item)).await
    }

    /// The item of a version that is there.
    async fn edition_item(&self, id: &Name, version: u32) -> Result<Item, UpstreamError> {
        let mut items = self.items(&[edition_key(id, version)]).await?;
        items.pop().flatten().ok_or_else(|| unparsable_item(&self.table))
    }
}

impl DocumentBase {
    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.head.edition.title
    }

    /// Its content, if that was asked for.
    #[must_use]
    pub fn content(&self) -> Option<&str> {
        self.content.as_deref()
    }
}

impl Head {
    fn read(kind: &str, item: &Item) -> Option<Self> {
        let oldest = if item.has("oldest") { item.number("oldest")? } else { 1 };
        Some(Self { edition: head(kind, item)?, oldest })
    }

    /// The versions to be removed when `next` is written: the oldest ones that are too many then, a few at a time.
    fn surplus_before(&self, next: u32) -> Range<u32> {
        let first_kept = next.saturating_sub(KEPT - 1);
        self.oldest..first_kept.min(self.oldest.saturating_add(REMOVED_AT_ONCE))
    }
}

/// Bytes of the content, if title and content are valid.
///
/// # Errors
/// With what is wrong with them.
pub fn content_size(title: &str, content: &str) -> Result<u32, ValidationError> {
    if !(1..=TITLE_LIMIT).contains(&title.len()) {
        return Err(ValidationError::Title);
    }
    let size = u32::try_from(content.len()).map_err(|_| ValidationError::Content)?;
    if content.len() <= CONTENT_LIMIT { Ok(size) } else { Err(ValidationError::Content) }
}

/// The content around the first of the words that is in it, or its beginning; `None` unless title and content have each word.
fn matching_excerpt(words: &[String], title: &str, content: &str) -> Option<String> {
    let (title, lower) = (title.to_lowercase(), content.to_lowercase());
    if !words.iter().all(|word| title.contains(word) || lower.contains(word)) {
        return None;
    }
    let position = words.iter().filter_map(|word| lower.find(word)).min().unwrap_or_default();
    // A letter may be longer or shorter in lower case.
    let before = content.chars().scan(0, |passed, letter| {
        let here = *passed;
        *passed += letter.to_lowercase().map(char::len_utf8).sum::<usize>();
        Some(here)
    });
    let position = before.take_while(|passed| *passed < position).count();
    let (ahead, onward) = EXCERPT;
    let start = position.saturating_sub(ahead);
    let mut letters = content.chars().skip(start);
    let excerpt: String = letters.by_ref().take(position - start + onward).collect();
    let excerpt = excerpt.split_whitespace().collect::<Vec<_>>().join(" ");
    let (opening, ending) = (if start > 0 { "…" } else { "" }, if letters.next().is_some() { "…" } else { "" });
    Some(format!("{opening}{excerpt}{ending}"))
}

fn edition_key(id: &Name, version: u32) -> String {
    format!("{EDITION}{id}#{version:010}")
}

fn head_item(kind: &str, Head { edition, oldest }: &Head) -> Item {
    edition_item(kind, edition).with_some("oldest", (*oldest > 1).then_some(*oldest))
}

fn edition_item(kind: &str, edition: &Edition) -> Item {
    item_of(kind, &edition.id)
        .with("title", edition.title.as_str())
        .with("version", edition.version)
        .with("size", edition.size)
        .with("written", edition.written)
        .with_some("writer", edition.writer.as_ref().map(PersonId::as_str))
}

fn head(kind: &str, item: &Item) -> Option<Edition> {
    read(super::named(kind, item)?, item)
}

/// A version by its own item.
fn read_edition(item: &Item) -> Option<Edition> {
    read(parse_edition_key(item.text("item")?)?.0, item)
}

fn parse_edition_key(sort_key: &str) -> Option<(Name, u32)> {
    let (id, version) = sort_key.strip_prefix(EDITION)?.split_once('#')?;
    Some((Name::parse(id)?, version.parse().ok()?))
}

fn read(id: Name, item: &Item) -> Option<Edition> {
    Some(Edition {
        id,
        title: item.text("title")?.to_owned(),
        version: item.number("version")?,
        size: item.number("size")?,
        written: item.time("written")?,
        writer: match item.text("writer") {
            Some(person) => Some(PersonId::parse(person)?),
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_50_versions_are_kept() {
        for (oldest, next, surplus) in [
            (1, 2, 0..0),
            (1, 50, 0..0),
            (1, 51, 1..2),
            (2, 52, 2..3),
            // Written by a version that kept all.
            (1, 53, 1..4),
            (1, 1000, 1..9),
            (949, 1000, 949..951),
        ] {
            let edition = Edition {
                id: Name::parse("a").unwrap(),
                title: "A".to_owned(),
                version: next - 1,
                size: 0,
                written: Timestamp::from_seconds(0),
                writer: None,
            };
            let range = Head { edition, oldest }.surplus_before(next);
            assert!(range == surplus || range.is_empty() && surplus.is_empty(), "{oldest} {next}: {range:?}");
        }
    }

    #[test]
    fn search_finds_all_words_and_shows_an_excerpt() {
        let far = format!("{} needle {}", "x".repeat(100), "y".repeat(300));
        let around = format!("…{} needle {}…", "x".repeat(59), "y".repeat(173));
        for (words, title, content, excerpt) in [
            ("refund", "Handbook", "How a Refund is made.", Some("How a Refund is made.")),
            ("refund handbook", "Handbook", "How a refund\n\nis made.", Some("How a refund is made.")),
            ("handbook", "Handbook", "", Some("")),
            ("refund invoice", "Handbook", "How a refund is made.", None),
            ("straße", "x", "in der STRASSE", None),
            ("ärger", "x", "Kein ÄRGER mehr", Some("Kein ÄRGER mehr")),
            // Three bytes where the upper case has two.
            ("needle", "x", &format!("{}Needle", "İ".repeat(100)), Some(&format!("…{}Needle", "İ".repeat(60)))),
            ("needle", "x", &far, Some(&around)),
        ] {
            let words: Vec<_> = words.split_whitespace().map(str::to_lowercase).collect();
            assert_eq!(matching_excerpt(&words, title, content).as_deref(), excerpt, "{words:?} {content}");
        }
    }
}
