//! Documents: Markdown with its history.
//!
//! ```text
//! { tenant: "acme", item: "document#<id>", title: "Handbook", version: 3, size: 1834, written: 1795…, writer?: "<person>" }
//! { tenant: "acme", item: "edition#<id>#0000000003", the same, content: "# …" }
//! { tenant: "acme", item: "deleted-document#<id>", as the first was, deleted: 1795…, deleter: "<person>" }
//! ```
//!
//! The first item of a document says what it is called and which version is current; each version's content is an item of its
//! own that nothing ever changes. Both are written in one transaction, so a list reads no content and no version is lost.
//! Deleting a document only moves its first item aside: its versions stay, for an operator to restore.

use super::transaction::{Condition, Written};
use super::{CONTENT_LIMIT, Item, Listing, Name, NotKept, Page, TITLE_LIMIT, Unfit, Workspace};
use crate::clock::Timestamp;
use crate::fault::Fault;
use crate::oauth::tenant::PersonId;
use crate::store::item::unreadable;
use crate::store::{Key, read_together};

const KIND: &str = "document#";
const EDITION: &str = "edition#";
const DELETED: &str = "deleted-document#";

/// Most bytes of contents that one search reads: those of sixteen documents at least.
const SEARCHED: u32 = 4 * 1024 * 1024;
/// Most documents that one search finds.
const HITS: usize = 20;
/// Characters of an excerpt before what was found, and from there on.
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

/// What reading a document gave.
#[derive(Debug)]
pub enum Reading {
    /// The version, and which one is current.
    Found(Document, u32),
    /// There is no such version; this one is current.
    NoVersion(u32),
    /// There is no such document.
    Missing,
}

/// What came of a change that was made from some version.
#[derive(Debug)]
pub enum Change {
    /// It was made: the version that is current now, or was the last.
    Made(Edition),
    /// It was not: this version is current.
    Stale(u32),
    /// There is no such document.
    Missing,
}

/// A document that a search found.
#[derive(Debug)]
pub struct Hit {
    /// Which.
    pub edition: Edition,
    /// The content around what was found first.
    pub excerpt: String,
}

impl Workspace {
    /// A page of the documents, those after `after`.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn documents(&self, after: Option<&Name>) -> Result<Page<Edition>, Fault> {
        self.list(KIND, after, None, |item| head(KIND, item)).await
    }

    /// The first ids that begin with `prefix`, at most a hundred, and whether there are more.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn document_ids(&self, prefix: &str) -> Result<(Vec<Name>, bool), Fault> {
        self.names(KIND, prefix).await
    }

    /// The documents after `after` whose title or content has every word of `words`, in any case. One call looks at some of the
    /// documents only: what it found may be nothing though the page goes on.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn search_documents(&self, words: &str, after: Option<&Name>) -> Result<Page<Hit>, Fault> {
        let words: Vec<_> = words.split_whitespace().map(str::to_lowercase).collect();
        let Page { mut things, mut next } = self.documents(after).await?;
        let mut bytes = 0_u32;
        let affordable = things.iter().position(|document| {
            bytes = bytes.saturating_add(document.size);
            bytes > SEARCHED
        });
        if let Some(affordable) = affordable {
            things.truncate(affordable);
            next = things.last().map(|document| document.id.clone());
        }
        let keys: Vec<_> = things.iter().map(|document| self.edition_key(&document.id, document.version)).collect();
        let contents = read_together(&self.dynamo, &keys).await?;
        let mut hits = Vec::new();
        let last = things.last().map(|document| document.id.clone());
        for (edition, item) in things.into_iter().zip(contents) {
            let content = item.as_ref().and_then(|item| item.text("content"));
            let content = content.ok_or_else(|| unreadable(&self.table))?;
            let Some(excerpt) = found(&words, &edition.title, content) else { continue };
            let id = edition.id.clone();
            hits.push(Hit { edition, excerpt });
            if hits.len() == HITS {
                if last.as_ref() != Some(&id) {
                    next = Some(id);
                }
                break;
            }
        }
        Ok(Page { things: hits, next })
    }

    /// A version of the document, the current one if none is named.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn document(&self, id: &Name, version: Option<u32>) -> Result<Reading, Fault> {
        let (head, item) = match version {
            None => {
                let Some(head) = self.document_head(id).await? else { return Ok(Reading::Missing) };
                let mut items = read_together(&self.dynamo, &[self.edition_key(id, head.version)]).await?;
                (head, items.pop().flatten().ok_or_else(|| unreadable(&self.table))?)
            }
            Some(version) => {
                let current = vec![("tenant", self.tenant.to_string()), ("item", format!("{KIND}{id}"))];
                let current = Key { table: &self.table, attributes: current };
                let mut items = read_together(&self.dynamo, &[current, self.edition_key(id, version)]).await?;
                let item = items.pop().flatten();
                let Some(current) = items.pop().flatten() else { return Ok(Reading::Missing) };
                let head = head(KIND, &current).ok_or_else(|| unreadable(&self.table))?;
                let Some(item) = item else { return Ok(Reading::NoVersion(head.version)) };
                (head, item)
            }
        };
        let content = item.text("content").map(str::to_owned);
        match past(&item).zip(content) {
            Some((edition, content)) => Ok(Reading::Found(Document { edition, content }, head.version)),
            None => Err(unreadable(&self.table)),
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
    ) -> Result<Option<(Vec<Edition>, Option<u32>)>, Fault> {
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
        let after = before.map(|before| self.edition_key(id, before).attribute_values());
        let only = Some(("#item, #title, #version, #size, #written, #writer", NAMES));
        let listing = Listing { after, only, backwards: true, ..Listing::of(&format!("{EDITION}{id}#")) };
        let (items, last) = self.query(listing).await?;
        let versions: Option<Vec<_>> = items.iter().map(past).collect();
        let next = match last {
            Some(last) => Some(past_key(&last).ok_or_else(|| unreadable(&self.table))?.1),
            None => None,
        };
        Ok(Some((versions.ok_or_else(|| unreadable(&self.table))?, next)))
    }

    /// A new document of `by`, under an id of ours.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn create_document(
        &self,
        title: &str,
        content: &str,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<Edition, NotKept> {
        let size = fit(title, content)?;
        let (title, writer) = (title.to_owned(), Some(by.clone()));
        let next = Edition { id: Name::random(), title, version: 1, size, written: now, writer };
        match self.turn(&next, content, Condition::Absent).await? {
            Written::All => Ok(next),
            Written::Nothing(_) => Err(Fault::new("DynamoDB", "a random id was taken").into()),
        }
    }

    /// The next version of a document, made by `by` from version `base`: what is not given stays as it was.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn update_document(
        &self,
        id: &Name,
        base: u32,
        title: Option<&str>,
        content: Option<&str>,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<Change, NotKept> {
        let before;
        let (title, content) = match (title, content) {
            (Some(title), Some(content)) => (title, content),
            _ => match self.document(id, None).await? {
                Reading::Found(_, current) if current != base => return Ok(Change::Stale(current)),
                Reading::Found(document, _) => {
                    before = document;
                    (title.unwrap_or(&before.edition.title), content.unwrap_or(&before.content))
                }
                Reading::NoVersion(_) | Reading::Missing => return Ok(Change::Missing),
            },
        };
        let size = fit(title, content)?;
        let (title, writer) = (title.to_owned(), Some(by.clone()));
        let next = Edition { id: id.clone(), title, version: base.saturating_add(1), size, written: now, writer };
        let written = self.turn(&next, content, Condition::Version(base)).await?;
        Ok(self.changed(written, next)?)
    }

    /// Deletes a document, by `by`, who has seen version `base`. Its versions stay in the table, where only an operator finds
    /// them: [`Self::deleted_documents`], [`Self::restore_document`].
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn delete_document(&self, id: &Name, base: u32, by: &PersonId, now: Timestamp) -> Result<Change, Fault> {
        let Some(head) = self.document_head(id).await? else { return Ok(Change::Missing) };
        if head.version != base {
            return Ok(Change::Stale(head.version));
        }
        let aside = self.item(DELETED, &head).with("deleted", now).with("deleter", by.as_str());
        let transaction = self.transaction().delete(KIND, id, base)?.put(aside, Condition::Any)?;
        self.changed(transaction.write().await?, head)
    }

    /// A page of the documents that were deleted, those after `after`: for an operator.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn deleted_documents(&self, after: Option<&Name>) -> Result<Page<Edition>, Fault> {
        self.list(DELETED, after, None, |item| head(DELETED, item)).await
    }

    /// Puts a deleted document back as it was, with its history: for an operator. Whether there was one, and none in its place.
    ///
    /// # Errors
    /// When DynamoDB fails.
    pub async fn restore_document(&self, id: &Name) -> Result<bool, Fault> {
        let Some(head) = self.find(DELETED, id, |item| head(DELETED, item)).await? else { return Ok(false) };
        let back = self.item(KIND, &head);
        let transaction = self.transaction().put(back, Condition::Absent)?.delete(DELETED, id, head.version)?;
        Ok(matches!(transaction.write().await?, Written::All))
    }

    /// Keeps a document under an id of the operator's: a further version of what is there, or was deleted. One that says the same
    /// already stays as it is.
    ///
    /// # Errors
    /// When it is unfit, or DynamoDB fails.
    pub async fn keep_document(&self, id: &Name, title: &str, content: &str, now: Timestamp) -> Result<(), NotKept> {
        const TRIES: u32 = 5;

        let size = fit(title, content)?;
        for _ in 0..TRIES {
            let (condition, last) = match self.document(id, None).await? {
                Reading::Found(same, _) if same.edition.title == title && same.content == content => return Ok(()),
                Reading::Found(_, current) | Reading::NoVersion(current) => (Condition::Version(current), current),
                Reading::Missing if self.restore_document(id).await? => continue,
                Reading::Missing => (Condition::Absent, 0),
            };
            let version = last.saturating_add(1);
            let next = Edition { id: id.clone(), title: title.to_owned(), version, size, written: now, writer: None };
            if let Written::All = self.turn(&next, content, condition).await? {
                return Ok(());
            }
        }
        Err(Fault::new("DynamoDB.TransactWriteItems", "others were faster each time").into())
    }

    /// Makes `next` the current version, if `condition` holds of the one before.
    async fn turn(&self, next: &Edition, content: &str, condition: Condition) -> Result<Written, Fault> {
        let head = self.item(KIND, next);
        let key = format!("{EDITION}{}#{:010}", next.id, next.version);
        let edition = self.item(KIND, next).with("item", key).with("content", content);
        self.transaction().put(head, condition)?.put(edition, Condition::Absent)?.write().await
    }

    fn changed(&self, written: Written, made: Edition) -> Result<Change, Fault> {
        Ok(match written {
            Written::All => Change::Made(made),
            Written::Nothing(None) => Change::Missing,
            Written::Nothing(Some(item)) => {
                Change::Stale(item.number("version").ok_or_else(|| unreadable(&self.table))?)
            }
        })
    }

    async fn document_head(&self, id: &Name) -> Result<Option<Edition>, Fault> {
        self.find(KIND, id, |item| head(KIND, item)).await
    }

    fn edition_key(&self, id: &Name, version: u32) -> Key<'_> {
        let item = format!("{EDITION}{id}#{version:010}");
        Key { table: &self.table, attributes: vec![("tenant", self.tenant.to_string()), ("item", item)] }
    }

    fn item(&self, kind: &str, edition: &Edition) -> Item {
        Item::new(self.key(kind, &edition.id))
            .with("title", edition.title.as_str())
            .with("version", edition.version)
            .with("size", edition.size)
            .with("written", edition.written)
            .with_some("writer", edition.writer.as_ref().map(PersonId::as_str))
    }
}

/// Bytes of the content, if title and content are fit.
fn fit(title: &str, content: &str) -> Result<u32, Unfit> {
    if !(1..=TITLE_LIMIT).contains(&title.len()) {
        return Err(Unfit::Title);
    }
    let size = u32::try_from(content.len()).map_err(|_| Unfit::Content)?;
    if content.len() <= CONTENT_LIMIT { Ok(size) } else { Err(Unfit::Content) }
}

/// The content around the first of the words that is in it, or its beginning; `None` unless title and content have each word.
fn found(words: &[String], title: &str, content: &str) -> Option<String> {
    let (title, lower) = (title.to_lowercase(), content.to_lowercase());
    if !words.iter().all(|word| title.contains(word) || lower.contains(word)) {
        return None;
    }
    let place = words.iter().filter_map(|word| lower.find(word)).min().unwrap_or_default();
    // A letter may be longer or shorter in lower case.
    let before = content.chars().scan(0, |passed, letter| {
        let here = *passed;
        *passed += letter.to_lowercase().map(char::len_utf8).sum::<usize>();
        Some(here)
    });
    let place = before.take_while(|passed| *passed < place).count();
    let (ahead, onward) = EXCERPT;
    let start = place.saturating_sub(ahead);
    let mut letters = content.chars().skip(start);
    let shown: String = letters.by_ref().take(place - start + onward).collect();
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let (opening, ending) = (if start > 0 { "…" } else { "" }, if letters.next().is_some() { "…" } else { "" });
    Some(format!("{opening}{shown}{ending}"))
}

fn head(kind: &str, item: &Item) -> Option<Edition> {
    read(super::named(kind, item)?, item)
}

/// A version by its own item.
fn past(item: &Item) -> Option<Edition> {
    read(past_key(item)?.0, item)
}

fn past_key(item: &Item) -> Option<(Name, u32)> {
    let (id, version) = item.text("item")?.strip_prefix(EDITION)?.split_once('#')?;
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
    fn what_a_search_finds_and_shows() {
        let far = format!("{} needle {}", "hay ".repeat(100), "hay ".repeat(100));
        let around = format!("…{}needle {}hay…", "hay ".repeat(15), "hay ".repeat(42));
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
            assert_eq!(found(&words, title, content).as_deref(), excerpt, "{words:?} {content}");
        }
    }
}
