//! What the product's database sends: a change of one row of its table of members, or that a person was banned or deleted.

use std::num::NonZeroU64;

use serde::Deserialize;
use shared::http::body;
use shared::lambda::Request;
use shared::oauth::tenant::{PersonId, TenantId};

use crate::error::FeedError;
use crate::signature::VerifiedBody;

/// A delivery of the product's database.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) content: Content,
    /// The number of the delivery in the order of all changes.
    pub(crate) sequence: u64,
}

/// What a delivery is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// One change; two if an update moved the membership to another person or tenant.
    Memberships(Vec<Change>),
    /// The person is banned at the sign-in service. They stay a member, and nothing of theirs goes on.
    PersonBanned(PersonId),
    /// The person is deleted at the sign-in service.
    PersonDeleted(PersonId),
}

/// The change of one membership.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) person: PersonId,
    pub(crate) tenant: TenantId,
    /// The new role; none if the membership ends.
    pub(crate) role: Option<String>,
}

/// The body. The parser refuses repeated and unknown members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliveryBody {
    #[serde(rename = "type")]
    kind: Kind,
    record: Option<Row>,
    old_record: Option<Row>,
    person: Option<String>,
    sequence: NonZeroU64,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Insert,
    Update,
    Delete,
    PersonBanned,
    PersonDeleted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    tenant: String,
    person: String,
    role: String,
}

impl Delivery {
    pub(crate) fn read(request: &Request, VerifiedBody(body): VerifiedBody<'_>) -> Result<Self, FeedError> {
        // `serde` would accept an array for a struct.
        if !body::is_of_type(request, "application/json") || body.trim_ascii_start().first() != Some(&b'{') {
            return Err(FeedError::InvalidJson);
        }
        let DeliveryBody { kind, record, old_record, person, sequence } =
            serde_json::from_slice(body).map_err(|_| FeedError::InvalidJson)?;
        let person = person.map(|person| PersonId::parse(&person).ok_or(FeedError::InvalidPerson)).transpose()?;
        let content = match (kind, record, old_record, person) {
            (Kind::Insert, Some(row), None, None) => Content::Memberships(vec![row.upserted()?]),
            (Kind::Delete, None, Some(old), None) => Content::Memberships(vec![old.deleted()?]),
            (Kind::Update, Some(row), Some(old), None) => {
                let (deleted, upserted) = (old.deleted()?, row.upserted()?);
                let moved = (&deleted.person, &deleted.tenant) != (&upserted.person, &upserted.tenant);
                Content::Memberships(if moved { vec![deleted, upserted] } else { vec![upserted] })
            }
            (Kind::PersonBanned, None, None, Some(person)) => Content::PersonBanned(person),
            (Kind::PersonDeleted, None, None, Some(person)) => Content::PersonDeleted(person),
            _ => return Err(FeedError::InvalidRows),
        };
        Ok(Self { content, sequence: sequence.get() })
    }
}

impl Row {
    fn upserted(self) -> Result<Change, FeedError> {
        let fits = (1..=64).contains(&self.role.chars().count()) && !self.role.chars().any(char::is_control);
        let role = fits.then(|| self.role.clone()).ok_or(FeedError::InvalidRole)?;
        Ok(Change { role: Some(role), ..self.deleted()? })
    }

    fn deleted(&self) -> Result<Change, FeedError> {
        let person = PersonId::parse(&self.person).ok_or(FeedError::InvalidPerson)?;
        let tenant = TenantId::parse(&self.tenant).ok_or(FeedError::InvalidTenant)?;
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

    fn parse(body: &str) -> Result<Delivery, FeedError> {
        Delivery::read(&request("application/json"), VerifiedBody(body.as_bytes()))
    }

    fn delivery(kind: &str, record: &str, old: &str) -> String {
        format!(r#"{{"type":"{kind}","record":{record},"old_record":{old},"sequence":7}}"#)
    }

    #[test]
    fn changed_rows_become_membership_changes() {
        let other = &ROW.replace("acme", "globex").replace("member", "viewer");
        for (kind, record, old, means) in [
            ("INSERT", ROW, "null", &[("acme", Some("member"))][..]),
            ("DELETE", "null", ROW, &[("acme", None)]),
            ("UPDATE", ROW, ROW, &[("acme", Some("member"))]),
            ("UPDATE", other, ROW, &[("acme", None), ("globex", Some("viewer"))]),
        ] {
            let Delivery { content, sequence } = parse(&delivery(kind, record, old)).unwrap();
            let Content::Memberships(changes) = content else { panic!("{content:?}") };
            let changes: Vec<_> =
                changes.iter().map(|change| (change.tenant.as_str(), change.role.as_deref())).collect();
            assert_eq!((changes.as_slice(), sequence), (means, 7), "{kind} {record} {old}");
        }
    }

    #[test]
    fn person_is_banned_or_deleted() {
        let id = "5c1f6b0a-3d0e-4c57-9f0e-8a1b2c3d4e02";
        let person = PersonId::parse(id).unwrap();
        for (kind, means) in [
            ("PERSON_BANNED", Content::PersonBanned(person.clone())),
            ("PERSON_DELETED", Content::PersonDeleted(person.clone())),
        ] {
            let body = format!(r#"{{"type":"{kind}","person":"{id}","sequence":7}}"#);
            let Delivery { content, sequence } = parse(&body).unwrap();
            assert_eq!((content, sequence), (means, 7));
            for (body, why) in [
                (body.replace(kind, "INSERT"), FeedError::InvalidRows),
                (body.replace("\"sequence", &format!("\"record\":{ROW},\"sequence")), FeedError::InvalidRows),
                (body.replace(&format!("\"person\":\"{id}\","), ""), FeedError::InvalidRows),
                (body.replace("5c1f", "5C1F"), FeedError::InvalidPerson),
            ] {
                assert_eq!(parse(&body).unwrap_err().to_string(), why.to_string(), "{body}");
            }
        }
        let both = delivery("DELETE", "null", ROW).replace("\"sequence", &format!("\"person\":\"{id}\",\"sequence"));
        assert!(matches!(parse(&both), Err(FeedError::InvalidRows)));
    }

    #[test]
    fn malformed_deliveries_are_rejected() {
        let sound = delivery("INSERT", ROW, "null");
        for (body, why) in [
            (format!("[{sound}]"), FeedError::InvalidJson),
            (r#"["INSERT",null,null,7]"#.to_owned(), FeedError::InvalidJson),
            (format!("{sound} {sound}"), FeedError::InvalidJson),
            (sound.replace("INSERT", "TRUNCATE"), FeedError::InvalidJson),
            (sound.replace(":7", ":7.5"), FeedError::InvalidJson),
            (sound.replace(":7", ":-7"), FeedError::InvalidJson),
            (sound.replace(":7", ":0"), FeedError::InvalidJson),
            (sound.replace(":7", ":\"7\""), FeedError::InvalidJson),
            (sound.replace(":7", ":7,\"sequence\":8"), FeedError::InvalidJson),
            (sound.replace(":7", ":7,\"schema\":\"public\""), FeedError::InvalidJson),
            (sound.replace(r#""role""#, r#""role":"owner","role""#), FeedError::InvalidJson),
            (sound.replace(r#","role":"member""#, ""), FeedError::InvalidJson),
            (delivery("INSERT", "null", ROW), FeedError::InvalidRows),
            (delivery("INSERT", ROW, ROW), FeedError::InvalidRows),
            (delivery("UPDATE", ROW, "null"), FeedError::InvalidRows),
            (delivery("DELETE", ROW, "null"), FeedError::InvalidRows),
            (sound.replace("5c1f", "5C1F"), FeedError::InvalidPerson),
            (sound.replace("acme", "Acme"), FeedError::InvalidTenant),
            (sound.replace("\"member", "\""), FeedError::InvalidRole),
            (sound.replace("\"member", &format!("\"{}", "m".repeat(65))), FeedError::InvalidRole),
            (sound.replace("\"member", "\"mem\\nber"), FeedError::InvalidRole),
        ] {
            let refused = parse(&body).unwrap_err();
            assert_eq!(refused.to_string(), why.to_string(), "{body}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded"] {
            assert!(matches!(
                Delivery::read(&request(kind), VerifiedBody(sound.as_bytes())),
                Err(FeedError::InvalidJson)
            ));
        }
        assert!(Delivery::read(&request("Application/JSON; charset=utf-8"), VerifiedBody(sound.as_bytes())).is_ok());
    }
}
