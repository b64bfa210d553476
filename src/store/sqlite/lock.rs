//! The lock on a database. It is taken on the inode of the file, so every name of the file is the same
//! lock, and it is held from before SQLite opens the file until after SQLite has closed it.
//!
//! Closing any descriptor of a file drops all POSIX locks that the process has on that file, and SQLite's
//! own locks are POSIX locks. So a file that this process has open already is not opened again, and
//! whoever wants to know something about it asks `stat`.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::location;
use super::open::OpenError;

/// How often the lock is tried when another file takes the path's place meanwhile. A file is replaced
/// once by a restore; more than a few times is a program that must be stopped.
const TRIES: usize = 5;

/// The databases that this process has open, each with the descriptors that have to stay open as long as
/// SQLite uses the file. It belongs to the process because POSIX locks do.
static OPEN: Mutex<BTreeMap<FileId, Vec<File>>> = Mutex::new(BTreeMap::new());

/// What tells one file from another, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What to do where there is no database file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Create,
    Refuse,
}

/// An exclusive lock on a database. It has to be dropped after every SQLite connection to the file.
#[derive(Debug)]
pub(super) struct DatabaseLock {
    id: FileId,
    /// `None` only while this is being dropped.
    file: Option<File>,
    /// The lock file `<database>.lock`, which earlier versions of this program lock instead of the
    /// database. Nothing but such a version is kept away by it.
    lock_file: File,
}

impl DatabaseLock {
    /// Locks the database at `path`, and tells its one path, however it was named.
    pub(super) fn acquire(path: &Path, missing: Missing) -> Result<(PathBuf, Self), OpenError> {
        for _ in 0..TRIES {
            let path = real_path(path)?;
            if let Some(lock) = Self::try_acquire(&path, missing)? {
                return Ok((path, lock));
            }
        }
        Err(OpenError::Unstable(path.to_owned()))
    }

    /// `None` where the path named another file afterwards.
    fn try_acquire(path: &Path, missing: Missing) -> Result<Option<Self>, OpenError> {
        location::check_folder(path)?;
        let mut open = open_files();
        if let Ok(found) = fs::metadata(path) {
            if open.contains_key(&FileId::of(&found)) {
                return Err(OpenError::InUse(path.to_owned()));
            }
            // Opening a pipe or a device can wait for ever. What a folder is refused with is the
            // kernel's own word.
            if !found.is_file() && !found.is_dir() {
                return Err(OpenError::NotAFile(path.to_owned()));
            }
        }
        let cannot = |source| OpenError::NotWritable { path: path.to_owned(), source };
        let file = open_private(path, missing).map_err(cannot)?;
        let id = FileId::of(&file.metadata().map_err(cannot)?);
        if let Some(kept) = open.get_mut(&id) {
            // The path was replaced since it was looked at. Closing this descriptor would drop the
            // locks of the SQLite that has the file open.
            kept.push(file);
            return Err(OpenError::InUse(path.to_owned()));
        }
        lock(&file, path, path)?;
        let lock_file = lock_file(path)?;
        if !is_at(path, id) {
            return Ok(None);
        }
        open.insert(id, Vec::new());
        drop(open);
        let lock = Self { id, file: Some(file), lock_file };
        location::check(path)?;
        Ok(Some(lock))
    }

    /// The identity of the locked file.
    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// The locked file as it is now, wherever it is.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.as_ref().ok_or(io::ErrorKind::NotFound)?.metadata()
    }

    /// Reads a few bytes of the file, wherever it is. SQLite keeps pages in memory, so that it may not
    /// notice for long that a disk is gone.
    pub(super) fn read(&self) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.read_at(&mut [0; 16], 0).map(drop)
    }

    /// The number of the descriptor, by which an operator reaches a file that has no name any more.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        self.file.as_ref().map(AsRawFd::as_raw_fd)
    }
}

impl Drop for DatabaseLock {
    fn drop(&mut self) {
        // Until the descriptors are closed nobody in this process may open the file again.
        let mut open = open_files();
        // A child process that was just forked has a copy of each descriptor, and closing ours alone
        // would leave the locks with it.
        let released = self.file.as_ref().map_or(Ok(()), File::unlock);
        if let Err(error) = released.and(self.lock_file.unlock()) {
            tracing::warn!(%error, "database lock not released before its file is closed");
        }
        self.file = None;
        open.remove(&self.id);
    }
}

fn open_files() -> MutexGuard<'static, BTreeMap<FileId, Vec<File>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the path, which has no symbolic link in it, names that file.
fn is_at(path: &Path, id: FileId) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| FileId::of(&found) == id)
}

/// The one path of the file, however it was named: its log lies beside that path.
fn real_path(path: &Path) -> Result<PathBuf, OpenError> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let folder = location::folder(path);
    let missing = || OpenError::DirectoryMissing(folder.to_owned());
    let name = path.file_name().ok_or_else(missing)?;
    Ok(folder.canonicalize().map_err(|_| missing())?.join(name))
}

/// Opens a file, or makes it readable by its owner alone: it holds what customers bought. SQLite gives
/// its log the same permissions.
fn open_private(path: &Path, missing: Missing) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(missing == Missing::Create)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Takes the lock file of earlier versions. It stays behind when the lock is free again: removing it
/// would let two such versions lock two files of the same name.
fn lock_file(database: &Path) -> Result<File, OpenError> {
    let path = super::beside(database, ".lock");
    let file = open_private(&path, Missing::Create)
        .map_err(|source| OpenError::NotWritable { path: path.clone(), source })?;
    lock(&file, &path, database)?;
    Ok(file)
}

fn lock(file: &File, path: &Path, database: &Path) -> Result<(), OpenError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse(database.to_owned()),
        TryLockError::Error(source) => OpenError::NotWritable { path: path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{DatabaseLock, FileId, Missing, OpenError, fs, open_files};

    #[test]
    fn acquire_replaced_path_locks_the_file_that_is_there_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let (_, first) = DatabaseLock::acquire(&path, Missing::Create).unwrap();
        fs::rename(&path, folder.path().join("moved.db")).unwrap();
        // The lock file of earlier versions is still held.
        let refused = DatabaseLock::acquire(&path, Missing::Create);
        assert!(matches!(refused, Err(OpenError::InUse(_))), "{refused:?}");
        fs::remove_file(folder.path().join("journal.db.lock")).unwrap();
        let (_, second) = DatabaseLock::acquire(&path, Missing::Create).unwrap();
        assert_ne!(first.id(), second.id());
        // Where the first one is now it is still locked.
        let refused = DatabaseLock::acquire(&folder.path().join("moved.db"), Missing::Create);
        assert!(matches!(refused, Err(OpenError::InUse(_))), "{refused:?}");
    }

    #[test]
    fn acquire_dangling_link_locks_what_it_points_to() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target.db"), folder.path().join("link.db"));
        symlink(&target, &link).unwrap();
        let (path, lock) = DatabaseLock::acquire(&link, Missing::Create).unwrap();
        assert_eq!(path, target.canonicalize().unwrap());
        assert_eq!(lock.id(), FileId::of(&fs::metadata(&target).unwrap()));
    }

    #[test]
    fn acquire_missing_file_is_refused_where_nothing_may_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let refused = DatabaseLock::acquire(&path, Missing::Refuse);
        assert!(matches!(refused, Err(OpenError::NotWritable { .. })), "{refused:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn drop_frees_the_file_for_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let (_, lock) = DatabaseLock::acquire(&path, Missing::Create).unwrap();
        let id = lock.id();
        assert!(open_files().contains_key(&id));
        drop(lock);
        assert!(!open_files().contains_key(&id));
        DatabaseLock::acquire(&path, Missing::Refuse).unwrap();
    }
}
