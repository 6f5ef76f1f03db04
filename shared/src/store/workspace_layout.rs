//! In which partitions of the table the items of a tenant lie. The tenant's own item says it: see [`super::directory`].
//!
//! ```text
//! by kind  { tenant: "tenant#acme#skill", item: "skill#weekly-report", … }
//!          { tenant: "tenant#acme#entity#invoice", item: "entity#invoice#2026-001", … }
//! whole    { tenant: "acme", item: "skill#weekly-report", … }
//! ```
//!
//! DynamoDB takes 1,000 units of writes and gives 3,000 of reads a second for a partition. By kind, what is busy takes nothing from the
//! rest. What one thing has many of lies in a partition of that thing: the entities of a type, the versions of a document, the messages
//! of a chat. So each list is one query of one partition. An item has the same sort key in either layout. No tenant's id holds a `#`.
//!
//! While its items are moved, a tenant has both layouts. Then each item is in one of them. Readers look where it was before they look
//! where it goes, and miss none. Where another item is in its place already, or contradicts it, that one counts: see
//! [`super::workspace_move`]. Nobody writes.

use crate::oauth::tenant::TenantId;

/// In which partitions the items of a tenant lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkspaceLayout {
    /// All in one, as earlier versions of this program wrote them. What says nothing else is of such a version.
    Whole,
    /// By kind, as those of a tenant that is made now.
    ByKind,
    /// They are being moved, to lie by kind.
    Splitting,
    /// They are being moved back into one.
    Joining,
}

/// Where an item may lie, in the order in which readers look.
pub(super) struct Places {
    pub(super) first: String,
    /// While items are moved: where they go.
    pub(super) second: Option<String>,
}

impl Places {
    /// Where the item is, unless it has been moved.
    pub(super) fn source(self) -> String {
        self.first
    }

    /// Where the item goes, or is if none is moved.
    pub(super) fn target(self) -> String {
        self.second.unwrap_or(self.first)
    }
}

/// The kinds whose items are all in one partition.
pub(super) const KINDS: [&str; 4] = ["skill", "tool", "view", "budget"];
/// The kinds that have partitions of their own for each item, and which.
pub(super) const PARENTS: [(&str, &[&str]); 4] = [
    ("document", &["edition"]),
    ("deleted-document", &["edition"]),
    ("chat", &["chat-message"]),
    ("entity-type", &["entity", "deleted-entity"]),
];

impl WorkspaceLayout {
    /// As the table has it; nothing for what earlier versions wrote.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::ByKind => Some("by_kind"),
            Self::Splitting => Some("splitting"),
            Self::Joining => Some("joining"),
        }
    }

    /// From the table.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Option<Self> {
        [Self::Whole, Self::ByKind, Self::Splitting, Self::Joining].into_iter().find(|layout| layout.as_str() == text)
    }

    /// Whether items are being moved, and none is written.
    #[must_use]
    pub const fn is_moving(self) -> bool {
        matches!(self, Self::Splitting | Self::Joining)
    }

    /// Where the item with that sort key may lie, or those whose sort keys begin so.
    pub(super) fn places(self, tenant: &TenantId, item: &str) -> Places {
        let (whole, by_kind) = (tenant.to_string(), partition_by_kind(tenant, item));
        match self {
            Self::Whole => Places { first: whole, second: None },
            Self::ByKind => Places { first: by_kind, second: None },
            Self::Splitting => Places { first: whole, second: Some(by_kind) },
            Self::Joining => Places { first: by_kind, second: Some(whole) },
        }
    }
}

/// Where the item with that sort key lies by kind.
pub(super) fn partition_by_kind(tenant: &TenantId, item: &str) -> String {
    let (kind, rest) = item.split_once('#').unwrap_or((item, ""));
    let has_parent = PARENTS.iter().any(|(_, children)| children.contains(&kind));
    match rest.split_once('#') {
        Some((parent, _)) if has_parent => partition_of(tenant, kind, Some(parent)),
        _ => partition_of(tenant, kind, None),
    }
}

/// The partition of a kind, or of what `parent` has of it.
pub(super) fn partition_of(tenant: &TenantId, kind: &str, parent: Option<&str>) -> String {
    match parent {
        None => format!("tenant#{tenant}#{kind}"),
        Some(parent) => format!("tenant#{tenant}#{kind}#{parent}"),
    }
}

/// The sort key of what contradicts an item: of the deleted thing of the same name, or of the thing if this is the deleted one.
pub(super) fn counterpart(sort_key: &str) -> Option<String> {
    const DELETED: &str = "deleted-";
    match sort_key.strip_prefix(DELETED) {
        Some(thing) => Some(thing.to_owned()),
        None if ["document#", "entity#"].iter().any(|kind| sort_key.starts_with(kind)) => {
            Some(format!("{DELETED}{sort_key}"))
        }
        None => None,
    }
}

/// The sort keys of the document that has this version, if it is one: as it is there, and as it is deleted.
pub(super) fn document_of_version(sort_key: &str) -> Option<[String; 2]> {
    let (id, _) = sort_key.strip_prefix("edition#")?.split_once('#')?;
    Some([format!("document#{id}"), format!("deleted-document#{id}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_partition_and_each_thing_one_for_what_it_has_many_of() {
        let acme = TenantId::parse("acme").unwrap();
        for (item, partition) in [
            ("skill#weekly-report", "tenant#acme#skill"),
            ("skill#", "tenant#acme#skill"),
            ("document#handbook", "tenant#acme#document"),
            ("deleted-document#handbook", "tenant#acme#deleted-document"),
            ("edition#handbook#0000000003", "tenant#acme#edition#handbook"),
            ("edition#handbook#", "tenant#acme#edition#handbook"),
            ("entity-type#invoice", "tenant#acme#entity-type"),
            ("entity#invoice#2026-001", "tenant#acme#entity#invoice"),
            ("deleted-entity#invoice#2026-001", "tenant#acme#deleted-entity#invoice"),
            ("chat#c1", "tenant#acme#chat"),
            ("chat-message#c1#0000000001", "tenant#acme#chat-message#c1"),
            ("budget#498705", "tenant#acme#budget"),
        ] {
            assert_eq!(partition_by_kind(&acme, item), partition, "{item}");
        }
    }

    #[test]
    fn layouts_are_parsed_as_they_are_stored() {
        for layout in
            [WorkspaceLayout::Whole, WorkspaceLayout::ByKind, WorkspaceLayout::Splitting, WorkspaceLayout::Joining]
        {
            assert_eq!(WorkspaceLayout::parse(layout.as_str()), Some(layout));
        }
        assert_eq!(WorkspaceLayout::parse(Some("other")), None);
    }
}
