//! Chats: conversations that were begun, each with its first message.
//!
//! ```text
//! { tenant: "tenant#acme#chat", item: "chat#<id>", title: "Quarterly figures", created: 1795…, creator: "<person>" }
//! { tenant: "tenant#acme#chat-message#<id>", item: "chat-message#<id>#0000000001", role: "user", text: "…", written: 1795…,
//!   writer: "<person>" }
//! ```

use super::transaction::{Condition, TransactionOutcome};
use super::{Item, Name, TITLE_LIMIT, ValidationError, Workspace, WriteError, item_of};
use crate::clock::Timestamp;
use crate::oauth::tenant::PersonId;
use crate::upstream_call;

const KIND: &str = "chat#";
const MESSAGE: &str = "chat-message#";

/// Most bytes of a message.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

/// Most characters of the message that become the title, if no title is given.
const OPENING: usize = 60;

/// A chat that was begun.
#[derive(Clone, Debug)]
pub struct Chat {
    /// Its id.
    pub id: Name,
    /// For people.
    pub title: String,
    /// When.
    pub created: Timestamp,
}

impl Workspace {
    /// Starts a chat with a message of `by`. Its title is `title` or the beginning of the message.
    ///
    /// # Errors
    /// When the title or the message is unfit, or DynamoDB fails.
    pub async fn create_chat(
        &self,
        title: Option<&str>,
        message: &str,
        by: &PersonId,
        now: Timestamp,
    ) -> Result<Chat, WriteError> {
        if !(1..=MESSAGE_LIMIT).contains(&message.len()) || message.trim().is_empty() {
            return Err(ValidationError::Message.into());
        }
        let title = title.map_or_else(|| opening(message), str::to_owned);
        if !(1..=TITLE_LIMIT).contains(&title.len()) {
            return Err(ValidationError::Title.into());
        }
        let id = Name::random();
        let chat = item_of(KIND, &id).with("title", title.as_str()).with("created", now).with("creator", by.as_str());
        let first = Item::default()
            .with("item", format!("{MESSAGE}{id}#{:010}", 1))
            .with("role", "user")
            .with("text", message)
            .with("written", now)
            .with("writer", by.as_str());
        let transaction = self.transaction().await?.put(chat, Condition::Absent)?.put(first, Condition::Absent)?;
        match transaction.write().await? {
            TransactionOutcome::Committed => Ok(Chat { id, title, created: now }),
            TransactionOutcome::ConditionFailed(_) => {
                Err(upstream_call::failed("DynamoDB", "a random id was taken").into())
            }
        }
    }
}

/// The beginning of a message's first line that is not empty, ended at a character.
fn opening(message: &str) -> String {
    let line = message.trim().lines().next().unwrap_or_default().trim();
    let mut title: String = line.chars().take(OPENING).collect();
    while title.len() > TITLE_LIMIT - '…'.len_utf8() {
        title.pop();
    }
    if title.len() < line.len() {
        title.push('…');
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untitled_chat_is_titled_by_its_first_line() {
        for (message, title) in [
            ("How did we do?", "How did we do?".to_owned()),
            ("\n  How did we do? \n\nAnd why?", "How did we do?".to_owned()),
            (&"a".repeat(60), "a".repeat(60)),
            (&"a".repeat(61), format!("{}…", "a".repeat(60))),
            (&"ü".repeat(61), format!("{}…", "ü".repeat(58))),
            (&"🎲".repeat(61), format!("{}…", "🎲".repeat(29))),
        ] {
            assert_eq!(opening(message), title);
            assert!(title.len() <= TITLE_LIMIT);
        }
    }
}
