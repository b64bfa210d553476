//! A disk that fails when it is told to: a library that is loaded into a gateway before the C library, so
//! that the kernel's errors are ours to choose wherever the tests run. It must not know a scenario.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::LazyLock;

use rustix::io::Errno;
use tempfile::TempDir;

/// What the library is told, and what a power loss would leave.
pub(crate) struct Disk(TempDir);

/// Calls of one kind that fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing {
    /// open (for writing), read, write or sync.
    pub(crate) call: &'static str,
    pub(crate) errno: Errno,
    /// The files' name; a star at its end stands for any rest.
    pub(crate) name: &'static str,
}

impl Disk {
    /// Fails at nothing yet.
    pub(crate) fn new() -> Self {
        let disk = Self(tempfile::tempdir().expect("a folder for the disk"));
        fs::create_dir(disk.path("kept")).expect("a folder");
        disk
    }

    /// What a process has to be started with.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("PURVEYOR_TEST_FAULTS", self.path("faults")),
            ("PURVEYOR_TEST_DISK", self.path("kept")),
        ]
    }

    /// From now on these calls fail, and no others.
    pub(crate) fn fail(&self, failing: &[Failing]) {
        let line = |it: &Failing| format!("{} {} {}\n", it.call, it.errno.raw_os_error(), it.name);
        let next = self.path("next");
        fs::write(&next, failing.iter().map(line).collect::<String>()).expect("it is told");
        fs::rename(next, self.path("faults")).expect("it is told whole");
    }

    /// From now on nothing fails.
    pub(crate) fn heal(&self) {
        fs::remove_file(self.path("faults")).expect("something failed");
    }

    /// Leaves in `folder`, of the files that were flushed, what the disk has of them.
    pub(crate) fn lose_power(&self, folder: &Path) {
        for kept in fs::read_dir(self.path("kept")).expect("the folder") {
            let kept = kept.expect("a file");
            fs::copy(kept.path(), folder.join(kept.file_name())).expect("it is copied");
        }
        // It is memory.
        fs::remove_file(folder.join("purveyor.db-shm")).expect("the log's index");
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

/// The library, compiled once in a run. The tests of plugins need a C compiler too.
fn library() -> &'static Path {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disk/disk.c");
        let (made, library) = (folder.join(process::id().to_string()), folder.join("disk.so"));
        let compiled = Command::new("cc")
            .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .args([&made, &source])
            .output()
            .expect("there is a C compiler");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        // Never half a library: another run may be loading it.
        fs::rename(made, &library).expect("it is put in its place");
        library
    });
    &LIBRARY
}
