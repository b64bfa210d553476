//! Spares an upstream that does not answer further reads. It must not stop a spend.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use purveyor_sdk::Error;
use tokio::time::Instant;

/// So many reads in a row without an answer open the breaker.
const FAILURES: u32 = 5;
/// How long the breaker stays open before one read may try.
const PAUSE: Duration = Duration::from_secs(10);

/// Spares an upstream that does not answer. It stops reads alone: a spend to such an upstream fails
/// before anything is sent, which costs nothing, and an accepted write shall not wait for a breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    closed_from: Option<Instant>,
}

impl Breaker {
    /// Whether a read may be tried.
    ///
    /// # Errors
    ///
    /// UPSTREAM_UNAVAILABLE while the breaker is open.
    pub(super) fn check(&self) -> Result<(), Error> {
        let mut state = self.state();
        let Some(from) = state.closed_from else {
            return Ok(());
        };
        let now = Instant::now();
        if now < from {
            let message =
                "the upstream did not answer the last reads; it is left alone for a while";
            return Err(Error::unavailable(message).with_retry_after(from - now));
        }
        // This one tries; the others wait for what it finds.
        state.closed_from = Some(now + PAUSE);
        Ok(())
    }

    /// Tells whether a read that was tried came to a complete answer.
    pub(super) fn record(&self, answered: bool) {
        let mut state = self.state();
        if answered {
            *state = State::default();
            return;
        }
        state.failures += 1;
        if state.failures >= FAILURES {
            state.closed_from = Some(Instant::now() + PAUSE);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::v1::ErrorReason;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_breaker_opens_and_lets_one_try() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.check().unwrap();
            breaker.record(false);
        }
        assert_eq!(breaker.check().unwrap_err().reason, ErrorReason::UpstreamUnavailable);
        tokio::time::advance(PAUSE).await;
        breaker.check().unwrap();
        breaker.check().unwrap_err();
        breaker.record(true);
        breaker.check().unwrap();
    }
}
