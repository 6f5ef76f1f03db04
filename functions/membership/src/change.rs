//! What the product tells: how one row of its table of members has changed.

use std::num::NonZeroU64;

use serde::Deserialize;
use shared::http::body;
use shared::lambda::Request;
use shared::oauth::tenant::{PersonId, TenantId};

use crate::refusal::Refusal;
use crate::signature::Signed;

/// A delivery.
#[derive(Debug)]
pub(crate) struct Told {
    /// One, or two if a membership became another's.
    pub(crate) changes: Vec<Change>,
    /// Its place among all changes.
    pub(crate) number: u64,
}

/// What becomes of one membership.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) person: PersonId,
    pub(crate) tenant: TenantId,
    /// None if it ends.
    pub(crate) role: Option<String>,
}

/// The body. A member named twice, or one that is not ours, is refused by the parser.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    #[serde(rename = "type")]
    kind: Kind,
    record: Option<Row>,
    old_record: Option<Row>,
    sequence: NonZeroU64,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Kind {
    Insert,
    Update,
    Delete,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    tenant: String,
    person: String,
    role: String,
}

impl Told {
    pub(crate) fn read(request: &Request, Signed(body): Signed<'_>) -> Result<Self, Refusal> {
        // `serde` would take an array for a struct.
        if !body::is_of_type(request, "application/json") || body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Refusal::NotJson);
        }
        let Delivery { kind, record, old_record, sequence } =
            serde_json::from_slice(body).map_err(|_| Refusal::NotJson)?;
        let changes = match (kind, record, old_record) {
            (Kind::Insert, Some(row), None) => vec![row.kept()?],
            (Kind::Delete, None, Some(old)) => vec![old.left()?],
            (Kind::Update, Some(row), Some(old)) => {
                let (left, kept) = (old.left()?, row.kept()?);
                let moved = (&left.person, &left.tenant) != (&kept.person, &kept.tenant);
                if moved { vec![left, kept] } else { vec![kept] }
            }
            _ => return Err(Refusal::Rows),
        };
        Ok(Self { changes, number: sequence.get() })
    }
}

impl Row {
    fn kept(self) -> Result<Change, Refusal> {
        let fits = (1..=64).contains(&self.role.chars().count()) && !self.role.chars().any(char::is_control);
        let role = fits.then(|| self.role.clone()).ok_or(Refusal::Role)?;
        Ok(Change { role: Some(role), ..self.left()? })
    }

    fn left(&self) -> Result<Change, Refusal> {
        let person = PersonId::parse(&self.person).ok_or(Refusal::Person)?;
        let tenant = TenantId::parse(&self.tenant).ok_or(Refusal::Tenant)?;
        Ok(Change { person, tenant, role: None })
    }
}

#[cfg(test)]
mod tests {
    use shared::lambda::Body;

    use super::*;

    const ROW: &str = r#"{"tenant":"acme","person":"5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02","role":"member"}"#;

    fn request(kind: &str) -> Request {
        http::Request::builder().header("content-type", kind).body(Body::Empty).unwrap()
    }

    fn told(body: &str) -> Result<Told, Refusal> {
        Told::read(&request("application/json"), Signed(body.as_bytes()))
    }

    fn delivery(kind: &str, record: &str, old: &str) -> String {
        format!(r#"{{"type":"{kind}","record":{record},"old_record":{old},"sequence":7}}"#)
    }

    #[test]
    fn what_a_row_that_changed_means() {
        let other = &ROW.replace("acme", "globex").replace("member", "viewer");
        for (kind, record, old, means) in [
            ("INSERT", ROW, "null", &[("acme", Some("member"))][..]),
            ("DELETE", "null", ROW, &[("acme", None)]),
            ("UPDATE", ROW, ROW, &[("acme", Some("member"))]),
            ("UPDATE", other, ROW, &[("acme", None), ("globex", Some("viewer"))]),
        ] {
            let Told { changes, number } = told(&delivery(kind, record, old)).unwrap();
            let changes: Vec<_> =
                changes.iter().map(|change| (change.tenant.as_str(), change.role.as_deref())).collect();
            assert_eq!((changes.as_slice(), number), (means, 7), "{kind} {record} {old}");
        }
    }

    #[test]
    fn what_is_no_change() {
        let sound = delivery("INSERT", ROW, "null");
        for (body, why) in [
            (format!("[{sound}]"), Refusal::NotJson),
            (r#"["INSERT",null,null,7]"#.to_owned(), Refusal::NotJson),
            (format!("{sound} {sound}"), Refusal::NotJson),
            (sound.replace("INSERT", "TRUNCATE"), Refusal::NotJson),
            (sound.replace(":7", ":7.5"), Refusal::NotJson),
            (sound.replace(":7", ":-7"), Refusal::NotJson),
            (sound.replace(":7", ":0"), Refusal::NotJson),
            (sound.replace(":7", ":\"7\""), Refusal::NotJson),
            (sound.replace(":7", ":7,\"sequence\":8"), Refusal::NotJson),
            (sound.replace(":7", ":7,\"schema\":\"public\""), Refusal::NotJson),
            (sound.replace(r#""role""#, r#""role":"owner","role""#), Refusal::NotJson),
            (sound.replace(r#","role":"member""#, ""), Refusal::NotJson),
            (delivery("INSERT", "null", ROW), Refusal::Rows),
            (delivery("INSERT", ROW, ROW), Refusal::Rows),
            (delivery("UPDATE", ROW, "null"), Refusal::Rows),
            (delivery("DELETE", ROW, "null"), Refusal::Rows),
            (sound.replace("5c1f", "5C1F"), Refusal::Person),
            (sound.replace("acme", "Acme"), Refusal::Tenant),
            (sound.replace("\"member", "\""), Refusal::Role),
            (sound.replace("\"member", &format!("\"{}", "m".repeat(65))), Refusal::Role),
            (sound.replace("\"member", "\"mem\\nber"), Refusal::Role),
        ] {
            let refused = told(&body).unwrap_err();
            assert_eq!(refused.to_string(), why.to_string(), "{body}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded"] {
            assert!(matches!(Told::read(&request(kind), Signed(sound.as_bytes())), Err(Refusal::NotJson)));
        }
        assert!(Told::read(&request("Application/JSON; charset=utf-8"), Signed(sound.as_bytes())).is_ok());
    }
}
