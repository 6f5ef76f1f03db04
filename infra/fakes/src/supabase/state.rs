//! All that the project knows, behind one lock.

use crate::supabase::account::{Account, Record};
use crate::supabase::config::Config;
use crate::supabase::error::SupabaseError;
use crate::supabase::flow_state::{FlowState, ProviderRedirect};
use crate::supabase::keyring::Keyring;
use crate::supabase::mail::Mail;
use crate::supabase::mfa_challenge::MfaChallenge;
use crate::supabase::one_time_code::OneTimeCode;
use crate::supabase::rate_limit_bucket::RateLimitBucket;
use crate::supabase::seed::Person;
use crate::supabase::sessions::Sessions;
use crate::supabase::setup_error::SetupError;
use crate::supabase::totp::TotpKey;
use aws_lc_rs::error::Unspecified;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What a restart must not lose is serialised, the rest is skipped.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    pub(super) keyring: Keyring,
    pub(super) sessions: Sessions,
    /// PKCE flows in the order of their start.
    pub(super) flows: Vec<FlowState>,
    /// By person; a new code replaces the last.
    pub(super) codes: BTreeMap<Uuid, OneTimeCode>,
    pub(super) people: People,
    /// Visits to the social provider, by `state`.
    #[serde(skip)]
    pub(super) provider_redirects: BTreeMap<Uuid, ProviderRedirect>,
    #[serde(skip)]
    pub(super) challenges: BTreeMap<Uuid, MfaChallenge>,
    #[serde(skip)]
    pub(super) mails: Vec<Mail>,
    #[serde(skip)]
    pub(super) config: Config,
    /// By route and address.
    #[serde(skip)]
    pub(super) buckets: BTreeMap<(&'static str, String), RateLimitBucket>,
    #[serde(skip)]
    pub(super) rate_limited: bool,
    #[serde(skip)]
    pub(super) down: bool,
    #[serde(skip)]
    pub(super) down_at: BTreeSet<String>,
    #[serde(skip)]
    pub(super) rate_limited_at: BTreeSet<String>,
    #[serde(skip)]
    pub(super) addresses_changed: u32,
}

/// Everyone, once the seed has been read; what happened to them, as it is saved.
#[derive(Default)]
pub(super) struct People {
    accounts: BTreeMap<Uuid, Account>,
    saved: BTreeMap<Uuid, Record>,
}

impl State {
    pub(super) fn new() -> Result<Self, Unspecified> {
        Ok(Self {
            keyring: Keyring::new()?,
            sessions: Sessions::default(),
            flows: Vec::new(),
            codes: BTreeMap::new(),
            people: People::default(),
            provider_redirects: BTreeMap::new(),
            challenges: BTreeMap::new(),
            mails: Vec::new(),
            config: Config::default(),
            buckets: BTreeMap::new(),
            rate_limited: false,
            down: false,
            down_at: BTreeSet::new(),
            rate_limited_at: BTreeSet::new(),
            addresses_changed: 0,
        })
    }

    /// Lets the people of the seed in, with what is known of them; what belongs to nobody any more ends.
    pub(super) fn load_seed(&mut self, seed: Vec<Person>, now: i64) -> Result<(), SetupError> {
        for person in seed {
            let account = Account::of(person, &self.people.saved, now).ok_or(SetupError::Factor)?;
            if self.people.find_by_email(&account.person.email).is_some()
                || self.people.accounts.contains_key(&account.id)
            {
                return Err(SetupError::DuplicatePerson);
            }
            self.people.accounts.insert(account.id, account);
        }
        self.people.saved.clear();
        let Self { people, sessions, codes, flows, .. } = self;
        sessions.end(|session| people.find(session.person).is_none());
        codes.retain(|person, _| people.find(*person).is_some());
        flows.retain(|flow| flow.person.is_none_or(|person| people.find(person).is_some()));
        Ok(())
    }

    pub(super) fn remove(&mut self, person: Uuid) {
        self.people.accounts.remove(&person);
        self.sessions.end(|session| session.person == person);
        self.codes.remove(&person);
        self.flows.retain(|flow| flow.person != Some(person));
    }

    pub(super) fn sign_out_everywhere(&mut self, email: &str) {
        if let Some(id) = self.people.find_by_email(email).map(|account| account.id) {
            self.sessions.end(|session| session.person == id);
        }
    }

    pub(super) fn factor_key(&self, factor: Uuid) -> Option<&TotpKey> {
        self.people.all().find_map(|account| account.totp.get(&factor))
    }
}

impl People {
    pub(super) fn all(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(super) fn find(&self, id: Uuid) -> Option<&Account> {
        self.accounts.get(&id)
    }

    pub(super) fn find_mut(&mut self, id: Uuid) -> Option<&mut Account> {
        self.accounts.get_mut(&id)
    }

    /// Addresses compare in lower case.
    pub(super) fn find_by_email(&self, email: &str) -> Option<&Account> {
        self.all().find(|account| account.person.email == email.to_lowercase())
    }

    /// Somebody new, whose address is not confirmed yet. Gone after a restart: only the people of the seed stay.
    pub(super) fn sign_up(&mut self, email: &str, now: i64) -> Result<Uuid, SupabaseError> {
        self.add(Person { password: None, confirmed: false, ..Person::new(email, "", "") }, now)
    }

    /// Somebody new, gone after a restart as well.
    pub(super) fn add(&mut self, person: Person, now: i64) -> Result<Uuid, SupabaseError> {
        let account = Account::of(person, &BTreeMap::new(), now).ok_or(SupabaseError::UnexpectedFailure)?;
        let id = account.id;
        self.accounts.insert(id, account);
        Ok(id)
    }

    pub(super) fn set_banned(&mut self, email: &str, banned: bool) {
        if let Some(id) = self.find_by_email(email).map(|account| account.id)
            && let Some(account) = self.find_mut(id)
        {
            account.person.banned = banned;
        }
    }
}

impl Serialize for People {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.accounts.iter().map(|(id, account)| (id, &account.record)))
    }
}

impl<'de> Deserialize<'de> for People {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { accounts: BTreeMap::new(), saved: BTreeMap::deserialize(deserializer)? })
    }
}
