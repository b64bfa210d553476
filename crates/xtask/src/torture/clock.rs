//! The wall clock of one life of a gateway, which is stepped while it lives. It must not decide when.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask::faketime;

/// A clock and the steps that are still to come.
#[derive(Debug)]
pub(crate) struct SteppedClock {
    file: PathBuf,
    begin: Instant,
    steps: VecDeque<(Duration, i64)>,
    ahead: i64,
    made: u64,
}

impl SteppedClock {
    /// A clock that is stepped so long after now and by so many seconds, each time. A step that is due
    /// at once is made before anybody looks.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub(crate) fn start(file: &Path, steps: &[(Duration, i64)]) -> Result<Self> {
        let steps = steps.iter().copied().collect();
        let mut clock =
            Self { file: file.to_owned(), begin: Instant::now(), steps, ahead: 0, made: 0 };
        faketime::set(file, 0)?;
        clock.follow()?;
        Ok(clock)
    }

    /// How many steps it has made.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Makes the steps that are due.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub(crate) fn follow(&mut self) -> Result<()> {
        let before = self.made;
        while let Some(&(at, by)) = self.steps.front()
            && at <= self.begin.elapsed()
        {
            self.steps.pop_front();
            self.ahead += by;
            self.made += 1;
        }
        if self.made > before { faketime::set(&self.file, self.ahead) } else { Ok(()) }
    }
}
