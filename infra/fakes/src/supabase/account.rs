//! A person as GoTrue keeps them: what the seed says, and what has happened since.

use crate::supabase::seed::{Factor, Person};
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
    /// Set up, and not verified yet.
    unverified: Vec<Factor>,
    pub(super) record: Record,
}

/// What has happened, in Unix seconds. Survives a restart.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    created_at: i64,
    updated_at: i64,
    confirmed_at: Option<i64>,
    last_sign_in_at: Option<i64>,
    /// Of the last mail to a confirmed address.
    #[serde(default)]
    recovery_sent_at: Option<i64>,
    /// Of the last mail to an unconfirmed one.
    #[serde(default)]
    confirmation_sent_at: Option<i64>,
    /// Whether a mail, not an administrator, confirmed the address.
    #[serde(default)]
    confirmed_by_mail: bool,
    /// Of the last time that a factor was asked for.
    #[serde(default)]
    challenged_at: Option<i64>,
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
            recovery_sent_at: None,
            confirmation_sent_at: None,
            confirmed_by_mail: false,
            challenged_at: None,
            providers: vec!["email".to_owned()],
        });
        Some(Self { id, totp: totp.collect::<Option<_>>()?, unverified: Vec::new(), record, person })
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.record.confirmed_at.is_some()
    }

    /// Whoever reads the mail or signs in at a provider owns the address.
    pub(super) fn confirm(&mut self, now: i64) {
        if self.record.confirmed_at.is_none() {
            self.record.confirmed_at = Some(now);
            self.record.confirmed_by_mail = true;
        }
    }

    /// By an administrator's word.
    pub(super) fn confirm_by_administrator(&mut self, now: i64) {
        self.record.confirmed_at.get_or_insert(now);
    }

    pub(super) fn created_at(&self) -> i64 {
        self.record.created_at
    }

    /// Those that count, then those that do not yet; and whether each counts.
    pub(super) fn factors(&self) -> impl Iterator<Item = (&Factor, bool)> {
        let verified = self.person.factors.iter().map(|factor| (factor, true));
        verified.chain(self.unverified.iter().map(|factor| (factor, false)))
    }

    pub(super) fn enroll(&mut self, factor: Factor, key: TotpKey) {
        self.totp.insert(factor.id, key);
        self.unverified.push(factor);
    }

    /// A code of the factor was right: from now on it counts, and the others that do not are dropped.
    pub(super) fn verified(&mut self, factor: Uuid) {
        for unverified in std::mem::take(&mut self.unverified) {
            if unverified.id == factor {
                self.person.factors.push(unverified);
            } else {
                self.totp.remove(&unverified.id);
            }
        }
    }

    /// A mail was sent.
    pub(super) fn mailed(&mut self, now: i64) {
        let sent_at =
            if self.is_confirmed() { &mut self.record.recovery_sent_at } else { &mut self.record.confirmation_sent_at };
        *sent_at = Some(now);
    }

    /// A factor was asked for.
    pub(super) fn challenged(&mut self, now: i64) {
        self.record.challenged_at = Some(now);
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
        metadata.insert("email_verified".to_owned(), json!(self.is_confirmed()));
        if !self.person.full_name.is_empty() {
            metadata.insert("full_name".to_owned(), json!(self.person.full_name));
        }
        // What the last new provider said of the person.
        if let Some(provider) = self.record.providers.iter().rfind(|provider| *provider != "email")
            && let Value::Object(claims) = self.provider_claims(provider)
        {
            metadata.extend(claims);
        }
        Value::Object(metadata)
    }

    /// What a provider says of the person.
    fn provider_claims(&self, provider: &str) -> Value {
        let subject = self.provider_subject(provider);
        json!({
            "custom_claims": {},
            "email": self.person.email,
            "email_verified": true,
            "full_name": self.person.full_name,
            "iss": PROVIDER,
            "name": self.person.full_name,
            "phone_verified": false,
            "provider_id": subject,
            "sub": subject,
        })
    }

    /// The provider's own id of the person.
    fn provider_subject(&self, provider: &str) -> String {
        format!("{provider}-{}", uuid_of(&format!("{provider}/{}", self.person.email)).simple())
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
        add("recovery_sent_at", record.recovery_sent_at);
        add("confirmation_sent_at", record.confirmation_sent_at);
        add("last_sign_in_at", record.last_sign_in_at);
        add("banned_until", self.person.banned.then_some(BANNED_UNTIL));
        let factors: Vec<Value> = self
            .factors()
            .map(|(factor, verified)| {
                json!({
                    "id": factor.id,
                    "friendly_name": factor.friendly_name,
                    "factor_type": "totp",
                    "status": if verified { "verified" } else { "unverified" },
                    "created_at": rfc3339(record.created_at),
                    "updated_at": rfc3339(record.created_at),
                    "phone": "",
                    "last_challenged_at": rfc3339(record.challenged_at.unwrap_or(record.created_at)),
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
        let (id, data) = if provider == "email" {
            let data = json!({
                "email": self.person.email,
                "email_verified": self.record.confirmed_by_mail,
                "phone_verified": false,
                "sub": self.id,
            });
            (self.id.to_string(), data)
        } else {
            (self.provider_subject(provider), self.provider_claims(provider))
        };
        json!({
            "identity_id": uuid_of(&format!("{provider}:{}", self.id)),
            "id": id,
            "user_id": self.id,
            "identity_data": data,
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

/// The issuer of every provider here.
const PROVIDER: &str = "http://provider.example";
/// 2100-01-01: a ban of the seed has no end.
const BANNED_UNTIL: i64 = 4_102_444_800;
