//! Watches whether the open database is still the file that its path names. SQLite goes on with a file
//! that was deleted, moved or replaced, and all that is committed then is forgotten at the next start.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::lock::{DatabaseLock, FileId};
use super::{LOG_SUFFIXES, beside};
use crate::store::StoreError;

/// What happened to the files. Only a restart ends it.
#[derive(Debug)]
struct FileLoss {
    message: String,
    /// Whether the file that is open still is a database that the log can be written into.
    usable: bool,
}

/// One file as it was opened.
#[derive(Debug)]
struct WatchedFile {
    path: PathBuf,
    id: FileId,
}

/// The database, its log and the log's index, as they were opened.
#[derive(Debug)]
pub(super) struct FileWatch {
    database: WatchedFile,
    log: Vec<WatchedFile>,
    loss: OnceLock<FileLoss>,
    /// Whether a second name of the database was reported.
    linked: AtomicBool,
    /// Keeps the file locked as long as anybody may write to it.
    lock: Arc<DatabaseLock>,
}

impl FileWatch {
    /// Begins with the files as they are now, which is after SQLite has opened all of them.
    ///
    /// # Errors
    ///
    /// When one of them is missing, or the database is not the file that was locked.
    pub(super) fn start(database: &Path, lock: Arc<DatabaseLock>) -> io::Result<Self> {
        let watch = |path: PathBuf| {
            let id = FileId::of(&fs::symlink_metadata(&path)?);
            Ok::<_, io::Error>(WatchedFile { path, id })
        };
        let log = LOG_SUFFIXES.iter().map(|suffix| watch(beside(database, suffix)));
        let log = log.collect::<Result<_, _>>()?;
        let database = watch(database.to_owned())?;
        if database.id != lock.id() {
            return Err(io::Error::other("it was replaced while it was opened"));
        }
        Ok(Self { database, log, loss: OnceLock::new(), linked: AtomicBool::new(false), lock })
    }

    /// Compares the files with what was opened. It costs one `stat` for each of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when one of them is lost, for ever after, and while one of them cannot
    /// be looked at.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.loss.get().is_none() {
            let found = self.find_loss().map_err(|(path, error)| {
                StoreError::Unavailable(format!("{} cannot be looked at: {error}", path.display()))
            })?;
            let Some(loss) = found else { return Ok(()) };
            // Whoever notices first reports it.
            if self.loss.set(loss).is_ok() {
                self.report();
            }
        }
        self.check_known()
    }

    /// Whether the database can be read, by a few bytes of it.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn read(&self) -> io::Result<()> {
        self.lock.read()
    }

    /// As [`FileWatch::check`], by what was noticed before.
    pub(super) fn check_known(&self) -> Result<(), StoreError> {
        match self.loss.get() {
            Some(loss) => Err(StoreError::Unavailable(loss.message.clone())),
            None => Ok(()),
        }
    }

    /// Whether a file is lost.
    pub(super) fn lost(&self) -> bool {
        self.loss.get().is_some()
    }

    /// Whether what stands in the log can be written into the file that is open.
    pub(super) fn usable(&self) -> bool {
        self.loss.get().is_none_or(|loss| loss.usable)
    }

    /// Tells operators what is lost and what to do.
    pub(super) fn report(&self) {
        if let Some(loss) = self.loss.get() {
            tracing::error!(
                reason = loss.message,
                "database file lost, nothing is accepted or sent until a restart"
            );
        }
    }

    fn find_loss(&self) -> Result<Option<FileLoss>, (&Path, io::Error)> {
        let WatchedFile { path, id } = &self.database;
        let found = look(path).map_err(|error| (path.as_path(), error))?;
        match found {
            Some(found) if FileId::of(&found) == *id => {
                if found.len() == 0 {
                    let message = format!(
                        "{} was emptied while the gateway used it; stop the gateway, and put a backup in \
                         its place without the -wal and -shm files beside it",
                        path.display()
                    );
                    return Ok(Some(FileLoss { message, usable: false }));
                }
                self.report_link(found.nlink());
            }
            found => return Ok(Some(self.database_loss(found.is_some()))),
        }
        for WatchedFile { path, id } in &self.log {
            let found = look(path).map_err(|error| (path.as_path(), error))?;
            if found.is_none_or(|found| FileId::of(&found) != *id) {
                let message = format!(
                    "{} was deleted, moved or replaced while the gateway used it; stop the gateway, which \
                     closes the database in order, and start it again",
                    path.display()
                );
                return Ok(Some(FileLoss { message, usable: true }));
            }
        }
        Ok(None)
    }

    fn database_loss(&self, replaced: bool) -> FileLoss {
        let (path, process) = (self.database.path.display(), process::id());
        let descriptor = self.lock.descriptor().unwrap_or_default();
        let open = PathBuf::from(format!("/proc/{process}/fd/{descriptor}"));
        let deleted = self.lock.metadata().is_ok_and(|found| found.nlink() == 0);
        let event = if replaced { "replaced by another file" } else { "deleted or moved" };
        let remedy = if deleted {
            format!(
                "it has no name any more: copy {} while this process runs, stop the gateway, put the copy \
                 back in its place without the -wal and -shm files beside it, run `purveyor store confirm \
                 --nothing-lost`, and start the gateway again",
                open.display()
            )
        } else {
            let now = fs::read_link(&open).map_or_else(
                |_| "it has another name".to_owned(),
                |now| format!("it is now at {}", now.display()),
            );
            format!("{now}: stop the gateway, put the file back, and start the gateway again")
        };
        let message = format!("{path} was {event} while the gateway used it; {remedy}");
        FileLoss { message, usable: true }
    }

    /// A second name does no harm while the gateway runs, because the lock is on the inode; but its next
    /// start refuses the file.
    fn report_link(&self, links: u64) {
        if links > 1 && !self.linked.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path = %self.database.path.display(),
                links,
                "database file has another hard link, remove it before the next start"
            );
        }
    }
}

/// The file at a path, which is a file and no link to one.
fn look(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use crate::store::sqlite::SqliteStore;
    use crate::store::{Store, StoreError};

    async fn write(store: &SqliteStore) -> Result<(), StoreError> {
        let sql = "UPDATE meta SET probe = zeroblob(1)";
        store.writer.write(move |connection| Ok(connection.execute(sql, []).map(drop)?)).await
    }

    fn open(folder: &Path) -> SqliteStore {
        fs::create_dir(folder.join("store")).unwrap();
        SqliteStore::open(&folder.join("store/journal.db")).unwrap()
    }

    #[tokio::test]
    async fn write_file_lost_before_its_commit_is_not_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let path = folder.path().join("store/journal.db");
        let written = store.writer.write(move |connection| {
            connection.execute("UPDATE meta SET probe = zeroblob(1)", [])?;
            fs::remove_file(path).unwrap();
            Ok(())
        });
        // Ambiguous would be read back, and found in the file that is lost.
        let written = written.await;
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
        assert!(!store.healthy());
        let again = write(&store).await;
        assert!(matches!(again, Err(StoreError::Unavailable(_))), "{again:?}");
    }

    #[tokio::test]
    async fn check_path_that_cannot_be_looked_at_is_unhealthy_for_as_long() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let (here, away) = (folder.path().join("store"), folder.path().join("away"));
        fs::rename(&here, &away).unwrap();
        // A link to itself leads nowhere, and says nothing of the file.
        symlink(&here, &here).unwrap();
        assert!(!store.healthy());
        let refused = write(&store).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        fs::remove_file(&here).unwrap();
        fs::rename(&away, &here).unwrap();
        assert!(store.healthy());
        assert_eq!(write(&store).await, Ok(()));
    }
}
