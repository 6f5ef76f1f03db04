//! When a call is made again that DynamoDB answered without carrying it out, or all of it: a transaction that it
//! cancelled, and what a batch left over. For the AWS SDK, both are answers. All else is up to the SDK:
//! [`retries`](crate::aws::retries).

use std::time::Duration;

use tokio::time::Instant;

/// Calls in all. What is met here is answered in milliseconds: a transaction holds its items for about 20 ms, and
/// a table that is short of capacity gets more every second.
pub(super) const MAX_ATTEMPTS: u32 = 8;

/// The longest pause before the second call. It doubles with each call: the pauses add up to 975 ms at most, and to
/// half of that on average.
const INITIAL: Duration = Duration::from_millis(25);
/// The longest pause of all.
const MAX: Duration = Duration::from_millis(200);

/// When the last call begins, at the latest. It gets the two seconds of any call, so all of it ends after three.
const DEADLINE: Duration = Duration::from_secs(1);

/// The pauses between the calls: exponential, with full jitter. Requests that met once would meet again if all of
/// them waited equally long.
pub(super) struct Backoff {
    began: Instant,
    attempts: u32,
}

impl Backoff {
    /// Before the first call.
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), attempts: 1 }
    }

    /// Waits before the next call. False if there must be none.
    pub(super) async fn wait(&mut self) -> bool {
        // Without randomness the pause is as long as it can be.
        let pause = full_jitter(longest_pause(self.attempts), getrandom::u32().unwrap_or(u32::MAX));
        if self.attempts >= MAX_ATTEMPTS || self.began.elapsed() + pause > DEADLINE {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.attempts += 1;
        true
    }
}

/// The longest pause after that many calls.
fn longest_pause(attempts: u32) -> Duration {
    INITIAL.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1))).min(MAX)
}

/// Any part of `longest`, each as likely as another.
fn full_jitter(longest: Duration, random: u32) -> Duration {
    longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_is_any_part_of_a_limit_that_doubles() {
        let limits = (1..MAX_ATTEMPTS).map(longest_pause);
        let milliseconds = [25, 50, 100, 200, 200, 200, 200];
        assert_eq!(limits.collect::<Vec<_>>(), milliseconds.map(Duration::from_millis));
        assert_eq!(longest_pause(u32::MAX), MAX);

        for longest in [INITIAL, MAX] {
            assert_eq!(full_jitter(longest, 0), Duration::ZERO);
            assert_eq!(full_jitter(longest, u32::MAX), longest);
            let half = full_jitter(longest, u32::MAX / 2);
            assert!(half.abs_diff(longest / 2) < Duration::from_micros(1), "{half:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_and_time_are_bounded_and_pauses_differ() {
        let (mut in_all, mut mean) = (Vec::new(), Duration::ZERO);
        for _ in 0..200 {
            let (began, mut backoff, mut attempts) = (Instant::now(), Backoff::new(), 1);
            while backoff.wait().await {
                attempts += 1;
            }
            assert_eq!(attempts, MAX_ATTEMPTS);
            assert!(began.elapsed() <= DEADLINE, "{:?}", began.elapsed());
            mean += began.elapsed() / 200;
            in_all.push(began.elapsed());
        }
        assert!((300..700).contains(&mean.as_millis()), "{mean:?}");
        in_all.dedup();
        assert!(in_all.len() > 100, "{in_all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_after_the_deadline() {
        let (mut backoff, mut attempts) = (Backoff::new(), 0);
        loop {
            attempts += 1;
            tokio::time::advance(Duration::from_millis(600)).await;
            if !backoff.wait().await {
                break;
            }
        }
        assert_eq!(attempts, 2);
    }
}
