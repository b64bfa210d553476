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
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The library.
///
/// # Errors
/// When it is not installed.
pub fn library() -> Result<PathBuf> {
    let found = packaged().or_else(|| placed(Path::new("/usr")));
    found.with_context(|| format!("libfaketime is not installed: apt-get install {PACKAGE}"))
}

/// Where the package has put it, as dpkg knows. It knows whose library is this machine's, too.
fn packaged() -> Option<PathBuf> {
    let listed = Command::new("dpkg").args(["-L", PACKAGE]).output().ok()?;
    let text = String::from_utf8_lossy(&listed.stdout);
    text.lines().find(|line| line.ends_with(LIBRARY)).map(PathBuf::from)
}

/// Where distributions without dpkg put it: `lib*/faketime` or `lib/*/faketime`.
fn placed(usr: &Path) -> Option<PathBuf> {
    let folders = |of: &Path| {
        let entries = fs::read_dir(of).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        // The same one each time.
        folders.sort();
        folders
    };
    let is_lib = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lib"))
    };
    let libs = folders(usr).into_iter().filter(is_lib);
    let mut places = libs.chain(folders(&usr.join("lib"))).map(|folder| folder.join(LIBRARY));
    places.find(|path| path.is_file())
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
    use std::time::{Instant, SystemTime};

    use rustix::time::{ClockId, clock_gettime};

    use super::{LIBRARY, install, placed, set, variables};

    /// What the child of the test below is asked for.
    const CHILD: &str = "PURVEYOR_CLOCKS_OF_A_CHILD";

    /// Seconds of the wall clock, of CLOCK_BOOTTIME as the gateway reads it, and of CLOCK_MONOTONIC as
    /// the standard library reads it.
    fn clocks() -> [i64; 3] {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let boot = clock_gettime(ClockId::Boottime).tv_sec;
        let monotonic = format!("{:?}", Instant::now());
        let monotonic = monotonic.split("tv_sec: ").nth(1).unwrap().split(',').next().unwrap();
        [i64::try_from(wall).unwrap(), boot, monotonic.parse().unwrap()]
    }

    #[test]
    fn placed_finds_the_library_where_distributions_put_it() {
        for lib in ["lib", "lib64", "lib/x86_64-linux-gnu"] {
            let usr = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(usr.path().join("lib/other")).unwrap();
            assert_eq!(placed(usr.path()), None);
            let library = usr.path().join(lib).join(LIBRARY);
            std::fs::create_dir_all(library.parent().unwrap()).unwrap();
            std::fs::write(&library, "").unwrap();
            assert_eq!(placed(usr.path()), Some(library));
        }
    }

    #[test]
    fn set_steps_the_wall_clock_and_no_other() {
        if std::env::var_os(CHILD).is_some() {
            let [wall, boot, monotonic] = clocks();
            println!("\nclocks {wall} {boot} {monotonic}");
            return;
        }
        let library = install().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        for ahead in [0, 600, -86_400] {
            set(&file, ahead).unwrap();
            let before = clocks();
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "faketime::tests::set_steps_the_wall_clock_and_no_other"]);
            child.arg("--nocapture").env(CHILD, "1").envs(variables(&library, &file));
            let told = String::from_utf8(child.output().unwrap().stdout).unwrap();
            let told = told.lines().find_map(|line| line.strip_prefix("clocks ")).expect(&told);
            let told: Vec<i64> = told.split(' ').map(|number| number.parse().unwrap()).collect();
            for (clock, by) in [ahead, 0, 0].into_iter().enumerate() {
                let since = told[clock] - before[clock] - by;
                assert!((0..60).contains(&since), "{ahead}, clock {clock}: {since}");
            }
        }
    }
}
