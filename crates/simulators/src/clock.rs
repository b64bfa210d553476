//! The simulator's own time: real or manual, and moved on by command in both cases. Nothing in a
//! simulator may read the machine's time or sleep except through this clock.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

/// A clock that can be moved on. Waiting on it ends early when it is moved.
#[derive(Debug)]
pub struct Clock {
    base: Base,
    moved: watch::Sender<Duration>,
}

#[derive(Debug)]
enum Base {
    Real,
    Manual(Timestamp),
}

impl Clock {
    /// Follows the machine's clock, plus what it is moved on by.
    #[must_use]
    pub fn real() -> Self {
        Self { base: Base::Real, moved: watch::Sender::new(Duration::ZERO) }
    }

    /// Stands at `start` and moves only by [`Clock::advance`].
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self { base: Base::Manual(start), moved: watch::Sender::new(Duration::ZERO) }
    }

    /// The simulated time. It stays at the end of representable time when moved beyond it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let base = match self.base {
            Base::Real => Timestamp::now(),
            Base::Manual(start) => start,
        };
        base.checked_add(*self.moved.borrow()).unwrap_or(Timestamp::MAX)
    }

    /// Moves the clock on and wakes everybody who waits on it.
    pub fn advance(&self, by: Duration) {
        self.moved.send_modify(|moved| *moved = moved.saturating_add(by));
    }

    /// Waits until `pause` of simulated time has passed since this was called, not since it was
    /// first polled. On a manual clock this needs somebody to move it.
    pub fn pause(&self, pause: Duration) -> impl Future<Output = ()> + Send + '_ {
        let mut moved = self.moved.subscribe();
        let deadline = self.now().checked_add(pause).unwrap_or(Timestamp::MAX);
        async move {
            loop {
                let left = Duration::try_from(self.now().duration_until(deadline));
                let Some(left) = left.ok().filter(|left| !left.is_zero()) else { return };
                match self.base {
                    // The sender lives as long as this clock, so waiting cannot fail.
                    Base::Manual(_) => drop(moved.changed().await),
                    Base::Real => tokio::select! {
                        () = tokio::time::sleep(left) => {}
                        _ = moved.changed() => {}
                    },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Clock;

    #[tokio::test]
    async fn a_manual_clock_moves_only_by_command() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
        let wait = clock.pause(Duration::from_secs(60));
        let mut wait = std::pin::pin!(wait);
        for seconds in [0, 30] {
            clock.advance(Duration::from_secs(seconds));
            tokio::select! {
                biased;
                () = &mut wait => panic!("woke before its time"),
                () = tokio::task::yield_now() => {}
            }
        }
        clock.advance(Duration::from_secs(30));
        wait.await;
        assert_eq!(clock.now().as_second(), 60);
    }

    #[tokio::test]
    async fn a_real_clock_can_be_moved_on() {
        let clock = Clock::real();
        let before = clock.now();
        clock.advance(Duration::from_secs(3600));
        assert!(clock.now().duration_since(before).as_secs() >= 3600);
    }
}
