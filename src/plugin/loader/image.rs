//! Puts checked bytes where the dynamic linker can read them and nobody can change them: sealed
//! memory, or a private copy where an operator asks for one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use uuid::Uuid;

/// A path that no other load has had. The dynamic linker compares paths before anything else, and
/// would answer a path it knows with the older code.
#[derive(Debug)]
pub(super) struct Image {
    path: PathBuf,
}

impl Image {
    /// Copies the bytes to memory that is sealed against every change.
    pub(super) fn in_memory(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let mut file = File::from(create(name)?);
        file.write_all(bytes)?;
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        // Open for ever, as the mapping is: a number that is free would be given to the next
        // load, whose path would then not be its own.
        let _leaked = file.into_raw_fd();
        Ok(Self { path })
    }

    /// Copies the bytes to a file that only this service can write. It stays, for the debugger.
    pub(super) fn in_directory(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let metadata = directory.symlink_metadata()?;
        let service = rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || metadata.uid() != service || metadata.mode() & 0o077 != 0 {
            let reason = "the private directory has to be a directory of mode 0700 that the \
                          service owns, on a file system that allows exec";
            return Err(io::Error::other(reason));
        }
        let path = directory.join(format!("{name}-{}.so", Uuid::new_v4()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(&path)?;
        file.write_all(bytes)?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Kernels from 6.3 on want to be told that memory may be executed; older ones do not know the flag.
fn create(name: &str) -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(name, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(name, flags),
        other => other,
    }
}
