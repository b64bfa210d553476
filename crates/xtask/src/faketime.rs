//! Runs a program with a wall clock that can be stepped while it runs: libfaketime, as the distribution
//! has it. The clocks that count from boot stay true: `FAKETIME_DONT_FAKE_MONOTONIC` keeps libfaketime
//! away from CLOCK_MONOTONIC and CLOCK_BOOTTIME alike, which a test below shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::geteuid;

use crate::apt;

/// The package, and the library in it that knows threads.
const PACKAGE: &str = "libfaketime";
const LIBRARY: &str = "/libfaketimeMT.so.1";

/// The library.
///
/// # Errors
/// When it is not installed.
pub fn library() -> Result<PathBuf> {
    let listed = Command::new("dpkg").args(["-L", PACKAGE]).output();
    let listed = listed.context("cannot ask dpkg where libfaketime is")?;
    let text = String::from_utf8_lossy(&listed.stdout);
    let found = text.lines().find(|line| line.ends_with(LIBRARY)).map(PathBuf::from);
    found.with_context(|| format!("libfaketime is not installed: apt-get install {PACKAGE}"))
}

/// Installs the library from the distribution where that can be done: as root, with apt.
///
/// # Errors
/// When it is neither there nor can be installed.
pub fn install() -> Result<PathBuf> {
    if let Ok(found) = library() {
        return Ok(found);
    }
    ensure!(geteuid().is_root(), "stepped clocks need libfaketime, and only root can install it");
    eprintln!("    installing libfaketime, once: some gateways run with a clock that is stepped");
    apt::install(PACKAGE)?;
    library()
}

/// Writes how many seconds a program's wall clock is ahead of the machine's. A program that runs reads
/// it at its next look at the clock.
///
/// # Errors
/// When the file cannot be written.
pub fn set(file: &Path, ahead_seconds: i64) -> Result<()> {
    // Never half a number: the program reads while this writes.
    let whole = file.with_extension("next");
    fs::write(&whole, format!("{ahead_seconds:+}\n"))
        .with_context(|| format!("cannot write {whole:?}"))?;
    fs::rename(&whole, file).with_context(|| format!("cannot write {file:?}"))
}

/// The environment of a program whose wall clock follows `file`.
#[must_use]
pub fn variables<'a>(library: &'a Path, file: &'a Path) -> [(&'static str, &'a str); 4] {
    let text = |path: &'a Path| path.to_str().unwrap_or_default();
    [
        ("LD_PRELOAD", text(library)),
        ("FAKETIME_TIMESTAMP_FILE", text(file)),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]
}

/// Removes what the library shares between processes and what a killed program leaves behind.
pub fn clean_up(process: u32) {
    for name in [format!("faketime_shm_{process}"), format!("sem.faketime_sem_{process}")] {
        // A program that ended by itself has removed it.
        let _gone = fs::remove_file(Path::new("/dev/shm").join(name));
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::SystemTime;

    use super::{install, set, variables};

    #[test]
    fn set_steps_the_wall_clock_and_leaves_the_uptime_true() {
        let library = install().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        for ahead in [0, 600, -86_400] {
            set(&file, ahead).unwrap();
            let mut date = Command::new("date");
            date.arg("+%s").envs(variables(&library, &file));
            let told = String::from_utf8(date.output().unwrap().stdout).unwrap();
            let told: i64 = told.trim().parse().unwrap();
            let difference = told - i64::try_from(now).unwrap() - ahead;
            assert!((0..60).contains(&difference), "{ahead}: {difference}");
        }
    }
}
