//! Empties the write-ahead log into the file as it grows, and reports a log that a reader outside keeps
//! from being emptied. SQLite would do the former by itself and keep a failure to itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::open::LOG_BYTES_MAX;

/// How many frames of the log wait to be written into the file at most, about: a log that is longer makes
/// reads slower, and a shorter one is emptied too often.
const LOG_FRAMES: i64 = 1000;

/// How often a log that is kept is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The header of a frame, bytes; a page follows it.
const FRAME_HEADER: i64 = 24;

/// How long the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LogSize {
    /// What has to be read of it.
    frames: i64,
    /// What of that stands in the file too.
    emptied: i64,
}

/// What is known of the log from one time to the next.
pub(super) struct WriteAheadLog {
    path: PathBuf,
    /// A frame, bytes.
    frame: i64,
    before: LogSize,
    reported: Option<Instant>,
}

impl WriteAheadLog {
    pub(super) fn new(database: &Path) -> Self {
        Self {
            path: super::beside(database, "-wal"),
            frame: 0,
            before: LogSize::default(),
            reported: None,
        }
    }

    /// Empties the log into the file once it is long.
    ///
    /// # Errors
    ///
    /// When the log cannot be looked at or not be emptied; a reader that keeps it is no error.
    pub(super) fn empty(&mut self, connection: &Connection) -> Result<(), LogError> {
        let mut size = size(connection).map_err(LogError::Unreadable)?;
        if size.frames - size.emptied >= LOG_FRAMES {
            connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
                .map_err(LogError::NotEmptied)?;
            size = self::size(connection).map_err(LogError::Unreadable)?;
        }
        if self.frame == 0 {
            let page: i64 = connection
                .query_row("PRAGMA page_size", [], |row| row.get(0))
                .map_err(LogError::Unreadable)?;
            self.frame = page + FRAME_HEADER;
        }
        self.report(size);
        Ok(())
    }

    fn report(&mut self, size: LogSize) {
        let before = std::mem::replace(&mut self.before, size);
        if !pinned(before, size, LOG_BYTES_MAX / self.frame)
            || self.reported.is_some_and(|reported| reported.elapsed() < REPORT_INTERVAL)
        {
            return;
        }
        self.reported = Some(Instant::now());
        tracing::warn!(
            path = %self.path.display(),
            bytes = size.frames.saturating_mul(self.frame),
            unwritten_bytes = (size.frames - size.emptied).saturating_mul(self.frame),
            "another program reads the store and keeps its log from being emptied, so the log grows; end \
             the program that has it open"
        );
    }
}

/// Why the log was not emptied.
#[derive(Debug)]
pub(super) enum LogError {
    Unreadable(rusqlite::Error),
    NotEmptied(rusqlite::Error),
}

fn size(connection: &Connection) -> Result<LogSize, rusqlite::Error> {
    let mut asked = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
    asked.query_row([], |row| Ok(LogSize { frames: row.get(1)?, emptied: row.get(2)? }))
}

/// Whether a log of more than `limit` frames is kept by a reader: part of it could not be written into the
/// file, or all of it could and it still did not begin anew with the next write.
fn pinned(before: LogSize, now: LogSize, limit: i64) -> bool {
    let appended = before.frames > limit && now.frames > before.frames;
    now.frames > limit && (now.emptied < now.frames || appended)
}

#[cfg(test)]
mod tests {
    use super::{LogSize, pinned};

    #[test]
    fn pinned_log_is_one_that_grows_past_the_limit() {
        let check = |before: (i64, i64), now: (i64, i64), expected| {
            let size = |(frames, emptied)| LogSize { frames, emptied };
            assert_eq!(pinned(size(before), size(now), 100), expected, "{before:?} {now:?}");
        };
        check((0, 0), (50, 0), false);
        check((50, 50), (100, 50), false);
        check((100, 50), (101, 50), true);
        // One transaction that is longer than the limit, and was emptied at once.
        check((0, 0), (500, 500), false);
        // Nothing was written since.
        check((500, 500), (500, 500), false);
        // The log begins anew.
        check((500, 500), (3, 0), false);
        // A reader of the end of the log keeps it from beginning anew.
        check((500, 500), (501, 501), true);
    }
}
