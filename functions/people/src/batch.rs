//! The people of one run, and what Supabase says of each. Where there are too many for it, several runs share them.

use shared::clock::Timestamp;
use shared::identity::supabase::Supabase;
use shared::oauth::secret::Digest;
use shared::oauth::tenant::PersonId;
use shared::upstream_error::UpstreamError;

use crate::account::Account;

/// As many as are asked about in one run: at some 100 ms for each, a third of the function's time.
const MOST: usize = 2_000;
/// How often there is a run.
const SECONDS: i64 = 3_600;
/// As many errors one after another, and nobody else is asked about.
const MAX_ERRORS: usize = 3;

/// What Supabase said.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) banned: Vec<PersonId>,
    pub(crate) deleted: Vec<PersonId>,
    pub(crate) active: usize,
    /// Its last failure.
    pub(crate) failure: Option<UpstreamError>,
}

/// Those of `people` for the run at `now`, each once. Everybody is in one of as many runs as it takes to share them. Their order is
/// another one in each hour: a few who always fail, and end a run, are not before the same others each time.
pub(crate) fn of(mut people: Vec<PersonId>, now: Timestamp) -> Vec<PersonId> {
    people.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    people.dedup();
    let runs = people.len().div_ceil(MOST).max(1);
    let hour = now.seconds() / SECONDS;
    let run = usize::try_from(hour).unwrap_or_default() % runs;
    let mut batch: Vec<_> = people.into_iter().skip(run).step_by(runs).collect();
    batch.sort_by_cached_key(|person| *Digest::of(format!("{hour} {person}").as_bytes()).as_bytes());
    batch
}

/// What Supabase says about each of `batch`. One failure keeps nobody else from being asked about, [`MAX_ERRORS`] in a row do. The next
/// run asks again about those who are left.
pub(crate) async fn ask(supabase: &Supabase, batch: &[PersonId], now: Timestamp) -> Answers {
    let (mut answers, mut in_a_row) = (Answers::default(), 0);
    for person in batch {
        match Account::fetch(supabase, person, now).await {
            Ok(account) => {
                in_a_row = 0;
                match account {
                    Account::Active => answers.active += 1,
                    Account::Banned => answers.banned.push(person.clone()),
                    Account::Deleted => answers.deleted.push(person.clone()),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "Supabase did not say whether a person is banned or deleted");
                (answers.failure, in_a_row) = (Some(error), in_a_row + 1);
                if in_a_row == MAX_ERRORS {
                    break;
                }
            }
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_another_one_in_each_hour() {
        let person = |number: usize| PersonId::parse(&format!("5c1f6b0a-3d0e-4c57-9f0e-{number:012x}")).unwrap();
        let people: Vec<_> = (0..20).map(person).collect();
        let first = |hour: i64| of(people.clone(), Timestamp::from_seconds(SECONDS * hour)).remove(0).to_string();
        let firsts: std::collections::BTreeSet<_> = (498_705..498_729).map(first).collect();
        assert!(firsts.len() > 8, "{firsts:?}");
    }

    #[test]
    fn everybody_is_in_one_of_the_runs() {
        for (count, runs) in [(0, 1), (1, 1), (MOST, 1), (MOST + 1, 2), (5 * MOST, 5)] {
            let person = |number: usize| PersonId::parse(&format!("5c1f6b0a-3d0e-4c57-9f0e-{number:012x}")).unwrap();
            // Whoever has a connection and a key is there twice.
            let people: Vec<_> = (0..count).chain(0..count.min(7)).map(person).collect();
            let mut all = Vec::new();
            for run in 0..runs {
                let batch = of(people.clone(), Timestamp::from_seconds(1_795_339_800 + SECONDS * run));
                assert!(batch.len() <= MOST, "{count} {run}: {}", batch.len());
                all.extend(batch);
            }
            all.sort_by(|one, other| one.as_str().cmp(other.as_str()));
            assert_eq!(all, (0..count).map(person).collect::<Vec<_>>(), "{count}");
        }
    }
}
