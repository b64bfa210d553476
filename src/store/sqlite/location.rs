//! Whether a database lies where one gateway can have it for itself: on a file system whose locks hold,
//! under one name, and in the folder in which its log lies.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statfs, statx};

use super::open::OpenError;

/// File systems that other machines change too: their locks and their shared memory do not reach from
/// one machine to the other, or are those of a server that may forget them. The numbers are `f_type`.
const NETWORK_FILE_SYSTEMS: [(u64, &str); 5] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x517B, "SMB"),
    (0x0102_1997, "9p"),
];

/// What decides whether a file can be used.
#[derive(Clone, Copy, Debug)]
struct Location {
    /// `f_type` of the file system.
    file_system: u64,
    links: u64,
    /// The mount that the file is seen through; `None` where the kernel does not tell.
    mount: Option<u64>,
    /// The mount that the file's folder is seen through.
    folder_mount: Option<u64>,
}

/// Why a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsuitable {
    NetworkFileSystem(&'static str),
    MountedApart,
    SeveralNames(u64),
}

/// The rules, in the order in which a cure makes sense.
fn judge(location: Location) -> Result<(), Unsuitable> {
    if let Some(kind) = network_file_system(location.file_system) {
        return Err(Unsuitable::NetworkFileSystem(kind));
    }
    if let (Some(mount), Some(folder)) = (location.mount, location.folder_mount)
        && mount != folder
    {
        return Err(Unsuitable::MountedApart);
    }
    if location.links > 1 {
        return Err(Unsuitable::SeveralNames(location.links));
    }
    Ok(())
}

fn network_file_system(file_system: u64) -> Option<&'static str> {
    let kind = NETWORK_FILE_SYSTEMS.iter().find(|(number, _)| *number == file_system);
    kind.map(|(_, name)| *name)
}

/// Refuses a folder on a network file system, before anything is made in it.
pub(super) fn check_folder(database: &Path) -> Result<(), OpenError> {
    let cannot = |source| OpenError::NotWritable { path: database.to_owned(), source };
    let file_system = file_system(folder(database)).map_err(cannot)?;
    match network_file_system(file_system) {
        Some(kind) => {
            Err(OpenError::NetworkFileSystem { path: database.to_owned(), file_system: kind })
        }
        None => Ok(()),
    }
}

/// Refuses a database that lies where one gateway cannot have it for itself. What is left of its log and
/// of the log's index has to lie beside it too.
pub(super) fn check(database: &Path) -> Result<(), OpenError> {
    check_file(database)?;
    for suffix in super::LOG_SUFFIXES {
        check_file(&super::beside(database, suffix))?;
    }
    Ok(())
}

/// A file that does not exist is not refused.
fn check_file(path: &Path) -> Result<(), OpenError> {
    let cannot = |source| OpenError::NotWritable { path: path.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(cannot)?,
    };
    if !found.is_file() {
        return Err(OpenError::NotAFile(path.to_owned()));
    }
    let location = Location {
        file_system: file_system(path).map_err(cannot)?,
        links: found.nlink(),
        mount: mount(path),
        folder_mount: mount(folder(path)),
    };
    judge(location).map_err(|unsuitable| {
        let path = path.to_owned();
        match unsuitable {
            Unsuitable::NetworkFileSystem(file_system) => {
                OpenError::NetworkFileSystem { path, file_system }
            }
            Unsuitable::MountedApart => OpenError::MountedApart(path),
            Unsuitable::SeveralNames(links) => OpenError::SeveralNames { path, links },
        }
    })
}

/// The folder that a path names something in.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The kernel's number is 32 bits wide, whatever it is stored in.
fn file_system(path: &Path) -> io::Result<u64> {
    Ok(statfs(path)?.f_type as u64 & 0xFFFF_FFFF)
}

/// Linux before 5.8 does not tell, and neither does a sandbox without `statx`.
fn mount(path: &Path) -> Option<u64> {
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
    StatxFlags::from_bits_retain(found.stx_mask)
        .contains(StatxFlags::MNT_ID)
        .then_some(found.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::{Location, Unsuitable, judge, mount};

    /// What most disks have.
    const EXT4: u64 = 0xEF53;

    #[test]
    fn judge_location_refuses_what_two_gateways_could_share() {
        let check = |file_system, links, mounts: (Option<u64>, Option<u64>), expected| {
            let (mount, folder_mount) = mounts;
            let location = Location { file_system, links, mount, folder_mount };
            assert_eq!(judge(location), expected, "{location:?}");
        };
        let one = (Some(7), Some(7));
        check(EXT4, 1, one, Ok(()));
        check(0x6573_5546, 1, one, Ok(())); // FUSE
        check(0x794C_7630, 1, one, Ok(())); // overlayfs
        check(0x0102_1994, 1, one, Ok(())); // tmpfs
        let network = |kind| Err(Unsuitable::NetworkFileSystem(kind));
        check(0x6969, 1, one, network("NFS"));
        check(0xFF53_4D42, 1, one, network("CIFS"));
        check(0xFE53_4D42, 1, one, network("SMB"));
        check(0x517B, 1, one, network("SMB"));
        check(0x0102_1997, 1, one, network("9p"));
        check(EXT4, 2, one, Err(Unsuitable::SeveralNames(2)));
        check(EXT4, 1, (Some(8), Some(7)), Err(Unsuitable::MountedApart));
        // A file that is refused for several reasons is told the one that has to be cured first.
        check(0x6969, 2, (Some(8), Some(7)), network("NFS"));
        check(EXT4, 2, (Some(8), Some(7)), Err(Unsuitable::MountedApart));
        // A kernel that does not tell.
        check(EXT4, 1, (None, None), Ok(()));
        check(EXT4, 1, (None, Some(7)), Ok(()));
        check(EXT4, 2, (None, None), Err(Unsuitable::SeveralNames(2)));
    }

    #[test]
    fn mount_of_a_file_is_that_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.db");
        std::fs::write(&file, "").unwrap();
        assert!(mount(&file).is_some(), "this kernel does not tell");
        assert_eq!(mount(&file), mount(folder.path()));
    }
}
