//! What backups of every kind of store share: checksums beside the files, what is told of a backup, and why
//! one is refused. It must not know how a store is copied.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{postgres, sqlite};

/// What a backup holds, as it was read from the backup itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSummary {
    /// Where it is.
    pub path: PathBuf,
    /// When it was made.
    pub time: Timestamp,
    /// Which store it is a copy of.
    pub store_id: Uuid,
    /// The version of its tables.
    pub schema_version: u32,
    /// How many operations it has.
    pub operations: u64,
    /// The last change that it has.
    pub last_position: u64,
}

/// Why a store was not backed up or restored. Nothing of a store that there is was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something stands where the copy would be.
    #[error("{0} exists already; name another place, or move it away")]
    Exists(PathBuf),
    /// What is read is not what a backup is.
    #[error("{path} is not a backup that `purveyor backup` made: {what}", path = path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// It was changed since it was made.
    #[error("{path} is damaged: {what}; use another backup", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// There is a store already.
    #[error("{0} holds a store already, and nothing is restored over it; move it away first")]
    InUse(String),
    /// The embedded store.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// The shared store.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
}

impl BackupError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// Makes a file that must not exist, readable by its owner alone.
pub(super) fn create(path: &Path) -> Result<File, BackupError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(path.to_owned()),
        _ => BackupError::Io { path: path.to_owned(), source },
    })
}

/// Writes a whole file that must not exist, and waits for the disk.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), BackupError> {
    let mut file = create(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(BackupError::io(path))
}

/// Waits until the names in a folder are on the disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(BackupError::io(folder))
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn checksum(path: &Path) -> Result<String, BackupError> {
    let mut file = File::open(path).map_err(BackupError::io(path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(BackupError::io(path))? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// A line of a checksum file, as `sha256sum --check` reads it.
pub(super) fn checksum_line(path: &Path) -> Result<String, BackupError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(format!("{}  {name}\n", checksum(path)?))
}

/// Compares each file that a checksum file names with its checksum; the names, in order.
pub(super) fn check(sums: &Path) -> Result<Vec<String>, BackupError> {
    let text = fs::read_to_string(sums).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            BackupError::NotABackup { path: sums.to_owned(), what: "it is missing".to_owned() }
        }
        _ => BackupError::Io { path: sums.to_owned(), source },
    })?;
    let mut names = Vec::new();
    for line in text.lines() {
        let parts = line.split_once("  ").filter(|(_, name)| !name.contains('/'));
        let Some((expected, name)) = parts else {
            let what = format!("{line:?} is no checksum");
            return Err(BackupError::Damaged { path: sums.to_owned(), what });
        };
        let path = sums.with_file_name(name);
        if checksum(&path)? != expected {
            let what = "its checksum is not the one that was written with it".to_owned();
            return Err(BackupError::Damaged { path, what });
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::{BackupError, check, checksum_line, fs, write};

    #[test]
    fn files_are_checked_against_their_checksums() {
        let folder = tempfile::tempdir().unwrap();
        let (file, sums) = (folder.path().join("a"), folder.path().join("sums"));
        assert!(matches!(check(&sums), Err(BackupError::NotABackup { .. })));
        write(&file, b"content").unwrap();
        assert!(matches!(write(&file, b"other"), Err(BackupError::Exists(_))));
        write(&sums, checksum_line(&file).unwrap().as_bytes()).unwrap();
        assert_eq!(check(&sums).unwrap(), ["a"]);
        fs::write(&file, b"Content").unwrap();
        assert!(matches!(check(&sums), Err(BackupError::Damaged { .. })));
        for line in ["nonsense", "abc  ../a"] {
            fs::write(&sums, line).unwrap();
            assert!(matches!(check(&sums), Err(BackupError::Damaged { .. })), "{line}");
        }
    }
}
