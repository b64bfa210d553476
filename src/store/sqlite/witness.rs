//! A second memory of how far the journal was: a small file beside the database, by which it is seen
//! that a copy of an earlier day was put in its place. What happened after the last note is not seen,
//! and neither is a folder that was put back whole. It must not be needed to read the database.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::beside;
use super::location::folder;

/// How the name of the file ends.
const SUFFIX: &str = ".seen";

/// What is noted: which store, and its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) store_id: Uuid,
    pub(super) position: u64,
}

/// The file.
#[derive(Debug)]
pub(super) struct Witness {
    path: PathBuf,
    noted: Noted,
}

impl Witness {
    /// Compares what is noted with what the database is; where nothing is noted, it is noted now. The
    /// text says why the database is doubted.
    pub(super) fn open(database: &Path, now: Noted) -> io::Result<Result<Self, String>> {
        let path = beside(database, SUFFIX);
        let doubt = match read(&path)? {
            None => None,
            Some(noted) if noted.store_id != now.store_id => {
                Some("another store stood here before".to_owned())
            }
            Some(noted) if noted.position > now.position => Some(format!(
                "the store ends with change {}, and had {} before",
                now.position, noted.position
            )),
            Some(_) => None,
        };
        Ok(match doubt {
            Some(doubt) => Err(doubt),
            None => Ok(Self::note_new(path, now)?),
        })
    }

    /// Notes what the database is, whatever was noted before.
    pub(super) fn approve(database: &Path, now: Noted) -> io::Result<()> {
        Self::note_new(beside(database, SUFFIX), now).map(drop)
    }

    /// Notes how far the journal is.
    pub(super) fn note(&mut self, position: u64) -> io::Result<()> {
        if position > self.noted.position {
            let noted = Noted { position, ..self.noted };
            write(&self.path, noted)?;
            self.noted = noted;
        }
        Ok(())
    }

    fn note_new(path: PathBuf, noted: Noted) -> io::Result<Self> {
        write(&path, noted)?;
        Ok(Self { path, noted })
    }
}

fn read(path: &Path) -> io::Result<Option<Noted>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let noted = text.trim_end().split_once(' ').and_then(|(store_id, position)| {
        Some(Noted { store_id: store_id.parse().ok()?, position: position.parse().ok()? })
    });
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "it is not what was written");
    noted.map(Some).ok_or_else(unreadable)
}

/// Replaces the file whole, so that a crash leaves the one or the other.
fn write(path: &Path, noted: Noted) -> io::Result<()> {
    let next = beside(path, ".next");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    writeln!(file, "{} {}", noted.store_id, noted.position)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(folder(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{Noted, Uuid, Witness, fs};

    #[test]
    fn what_goes_back_is_doubted_until_it_is_approved() {
        let folder = tempfile::TempDir::new().unwrap();
        let database = folder.path().join("journal.db");
        let at = |position| Noted { store_id: Uuid::nil(), position };
        let doubt = |noted| Witness::open(&database, noted).unwrap().err();
        let mut witness = Witness::open(&database, at(3)).unwrap().unwrap();
        witness.note(5).unwrap();
        assert_eq!(doubt(at(5)), None);
        assert_eq!(doubt(at(7)), None);
        assert!(doubt(at(6)).unwrap().contains("had 7 before"));
        assert!(doubt(at(6)).is_some(), "asking alone settles nothing");
        Witness::approve(&database, at(6)).unwrap();
        assert_eq!(doubt(at(6)), None);
        let other = Noted { store_id: Uuid::max(), position: 100 };
        assert!(doubt(other).unwrap().contains("another store"));
        fs::write(folder.path().join("journal.db.seen"), "garbage").unwrap();
        assert!(Witness::open(&database, at(6)).is_err());
    }
}
