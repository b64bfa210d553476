//! Reads a plugin's file once, if nobody but root and this service could have written it. What is
//! checked is what is read: the file is opened once, and every question goes to that descriptor.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// The most bytes of a plugin. A release build has under 2 MB, a debug build some tens.
pub(super) const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

const GROUP_OR_WORLD_WRITABLE: u32 = 0o022;

/// Why a file is not read.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The path leads through a symbolic link at its end.
    #[error("it is a symbolic link")]
    SymbolicLink,
    /// A directory, a pipe, a device.
    #[error("it is not a regular file")]
    NotRegular,
    /// Somebody else could change it.
    #[error("it is owned by user {owner}, neither root nor the service's user {service}")]
    Owner {
        /// The owner's number.
        owner: u32,
        /// The service's number.
        service: u32,
    },
    /// Others could change it.
    #[error("its group or everybody may write it (mode {mode:04o})")]
    Writable {
        /// The permission bits.
        mode: u32,
    },
    /// No plugin is as large.
    #[error("it has {size} bytes, and {MAX_FILE_BYTES} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
}

/// The bytes of a file that can be trusted as far as its owner can.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    check(&metadata, rustix::process::geteuid().as_raw())?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    if size > MAX_FILE_BYTES { Err(FileError::TooLarge { size }) } else { Ok(bytes) }
}

/// SHA-256 in lowercase hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn open(path: &Path) -> Result<File, FileError> {
    // O_NONBLOCK, because opening a pipe would wait for a writer; it means nothing for a file.
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| {
        if error.raw_os_error() == Some(libc::ELOOP) {
            FileError::SymbolicLink
        } else {
            FileError::Io(error)
        }
    })
}

fn check(metadata: &Metadata, service: u32) -> Result<(), FileError> {
    if !metadata.is_file() {
        return Err(FileError::NotRegular);
    }
    let owner = metadata.uid();
    if owner != 0 && owner != service {
        return Err(FileError::Owner { owner, service });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & GROUP_OR_WORLD_WRITABLE != 0 {
        return Err(FileError::Writable { mode });
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(FileError::TooLarge { size: metadata.len() });
    }
    Ok(())
}
