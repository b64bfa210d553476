//! libfaketime: a library that is loaded into a program before the C library and sets its wall clock. The
//! time since boot, which the gateway asks the kernel for, stays true.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::apt;

/// Where the library is.
///
/// # Errors
/// When it is not installed.
pub fn library() -> Result<PathBuf> {
    // Debian and Fedora.
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let folders = multiarch.map(|entry| entry.path()).chain([PathBuf::from("/usr/lib64")]);
    folders
        .map(|folder| folder.join("faketime/libfaketime.so.1"))
        .find(|library| library.exists())
        .context("libfaketime is not installed: apt-get install libfaketime")
}

/// Installs it where that can be done.
///
/// # Errors
/// When it is neither there nor can be installed.
pub fn install() -> Result<PathBuf> {
    if library().is_err() {
        apt::install("libfaketime", "setting clocks in tests")?;
    }
    library()
}
