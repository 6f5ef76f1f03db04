//! A person as GoTrue keeps them: what the seed says, and what has happened since.

use crate::supabase::seed::Person;
use crate::supabase::timestamp::rfc3339;
use crate::supabase::totp::TotpKey;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::{Builder, Uuid};

pub(super) struct Account {
    pub(super) id: Uuid,
    pub(super) person: Person,
    /// By factor id.
    pub(super) totp: BTreeMap<Uuid, TotpKey>,
    pub(super) record: Record,
}

/// What has happened, in Unix seconds. Survives a restart.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    created_at: i64,
    updated_at: i64,
    confirmed_at: Option<i64>,
    last_sign_in_at: Option<i64>,
    /// Ways in, in the order of first use.
    providers: Vec<String>,
}

impl Account {
    /// `None` when a factor's secret is not base32.
    pub(super) fn of(person: Person, saved: &BTreeMap<Uuid, Record>, now: i64) -> Option<Self> {
        let person = Person { email: person.email.to_lowercase(), ..person };
        let id = person.id.unwrap_or_else(|| uuid_of(&person.email));
        let totp = person.factors.iter().map(|factor| Some((factor.id, TotpKey::of(&factor.secret)?)));
        let record = saved.get(&id).cloned().unwrap_or_else(|| Record {
            created_at: now,
            updated_at: now,
            confirmed_at: person.confirmed.then_some(now),
            last_sign_in_at: None,
            providers: vec!["email".to_owned()],
        });
        Some(Self { id, totp: totp.collect::<Option<_>>()?, record, person })
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.record.confirmed_at.is_some()
    }

    pub(super) fn confirm(&mut self, now: i64) {
        self.record.confirmed_at.get_or_insert(now);
    }

    /// The person has just signed in through `provider`.
    pub(super) fn signed_in(&mut self, provider: Option<&str>, now: i64) {
        self.record.last_sign_in_at = Some(now);
        self.record.updated_at = now;
        if let Some(provider) = provider
            && !self.record.providers.iter().any(|known| known == provider)
        {
            self.record.providers.push(provider.to_owned());
        }
    }

    pub(super) fn app_metadata(&self) -> Value {
        let mut metadata = self.person.app_metadata.clone();
        metadata.insert("provider".to_owned(), json!(self.record.providers.first()));
        metadata.insert("providers".to_owned(), json!(self.record.providers));
        Value::Object(metadata)
    }

    pub(super) fn user_metadata(&self) -> Value {
        let mut metadata = self.person.user_metadata.clone();
        metadata.insert("email".to_owned(), json!(self.person.email));
        metadata.insert("email_verified".to_owned(), json!(self.is_confirmed()));
        metadata.insert("full_name".to_owned(), json!(self.person.full_name));
        metadata.insert("phone_verified".to_owned(), json!(false));
        metadata.insert("sub".to_owned(), json!(self.id));
        Value::Object(metadata)
    }

    /// The `user` of token answers and of `GET /user`. Members without a value are left out, as in GoTrue.
    pub(super) fn user(&self) -> Value {
        let record = &self.record;
        let mut user = json!({
            "id": self.id,
            "aud": "authenticated",
            "role": "authenticated",
            "email": self.person.email,
            "phone": "",
            "app_metadata": self.app_metadata(),
            "user_metadata": self.user_metadata(),
            "identities": record.providers.iter().map(|provider| self.identity(provider)).collect::<Vec<_>>(),
            "created_at": rfc3339(record.created_at),
            "updated_at": rfc3339(record.updated_at),
            "is_anonymous": self.person.anonymous,
        });
        let mut add = |name, at: Option<i64>| {
            if let (Some(at), Some(members)) = (at, user.as_object_mut()) {
                members.insert(str::to_owned(name), json!(rfc3339(at)));
            }
        };
        add("email_confirmed_at", record.confirmed_at);
        add("confirmed_at", record.confirmed_at);
        add("last_sign_in_at", record.last_sign_in_at);
        add("banned_until", self.person.banned.then_some(BANNED_UNTIL));
        let factors: Vec<Value> = self
            .person
            .factors
            .iter()
            .map(|factor| {
                json!({
                    "id": factor.id,
                    "friendly_name": factor.friendly_name,
                    "factor_type": "totp",
                    "status": "verified",
                    "created_at": rfc3339(record.created_at),
                    "updated_at": rfc3339(record.created_at),
                })
            })
            .collect();
        if let (false, Some(members)) = (factors.is_empty(), user.as_object_mut()) {
            members.insert("factors".to_owned(), Value::Array(factors));
        }
        user
    }

    fn identity(&self, provider: &str) -> Value {
        let at = rfc3339(self.record.created_at);
        json!({
            "identity_id": uuid_of(&format!("{provider}:{}", self.id)),
            "id": self.id,
            "user_id": self.id,
            "identity_data": {
                "email": self.person.email,
                "email_verified": self.is_confirmed(),
                "full_name": self.person.full_name,
                "phone_verified": false,
                "sub": self.id,
            },
            "provider": provider,
            "last_sign_in_at": at,
            "created_at": at,
            "updated_at": at,
            "email": self.person.email,
        })
    }
}

/// The same id for the same name at every start, in the form of a random one.
fn uuid_of(name: &str) -> Uuid {
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(digest(&SHA256, name.as_bytes()).as_ref()) {
        *byte = *hashed;
    }
    Builder::from_random_bytes(bytes).into_uuid()
}

/// 2100-01-01: a ban of the seed has no end.
const BANNED_UNTIL: i64 = 4_102_444_800;
