//! A second memory of a store: a small file apart from the database, by which it is seen that an earlier
//! copy was put in its place. What happened after the last note is not seen, and neither is a copy of both.
//! It must not be needed to read the database.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use uuid::Uuid;

/// What is noted of a store. A field that a kind of store does not have is 0 or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) store_id: Uuid,
    /// The last change that was acknowledged.
    pub(super) position: u64,
    /// Where the store is: what a copy of it does not share. Empty where an earlier version wrote the note.
    pub(super) place: String,
    /// The history of the server; it only grows.
    pub(super) timeline: i64,
    /// How often operators have confirmed the store; it only grows.
    pub(super) confirmations: i64,
    /// The store's age. It only grows.
    pub(super) age: i64,
}

impl Noted {
    /// Why a store that is so now is not the one that was noted.
    pub(super) fn speaks_against(&self, now: &Noted) -> Option<String> {
        if self.store_id != now.store_id {
            return Some("another store stood here before".to_owned());
        }
        if self.confirmations < now.confirmations {
            // An operator has looked at it since.
            return None;
        }
        if self.timeline > now.timeline {
            return Some(format!(
                "the server is on timeline {}, and was on timeline {} before: it is an old primary",
                now.timeline, self.timeline
            ));
        }
        if self.position > now.position {
            return Some(format!(
                "the store ends with change {}, and had {} before",
                now.position, self.position
            ));
        }
        if self.age > now.age {
            return Some("the store is younger than it was before".to_owned());
        }
        if !is_same_place(&self.place, &now.place) {
            return Some(format!(
                "the store was copied or restored: it is {}, and was {} before",
                now.place, self.place
            ));
        }
        None
    }
}

/// Whether two places can be the same one: a file system may not tell when a file was made, and an earlier
/// version noted nothing.
fn is_same_place(noted: &str, now: &str) -> bool {
    let without = |place: &str| place.split_once(BORN).map(|(inode, _)| inode.to_owned());
    noted.is_empty()
        || noted == now
        || without(now).is_some_and(|inode| inode == noted)
        || without(noted).is_some_and(|inode| inode == now)
}

/// What stands before the moment at which a file was made.
pub(super) const BORN: &str = " born ";

/// The file.
#[derive(Debug)]
pub(super) struct Witness {
    path: PathBuf,
    noted: Noted,
}

impl Witness {
    /// What is noted in a file; `None`: there is no file.
    pub(super) fn read(path: &Path) -> io::Result<Option<Noted>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let unreadable =
            || io::Error::new(io::ErrorKind::InvalidData, "it is not what was written");
        parse(&text).map(Some).ok_or_else(unreadable)
    }

    /// Notes what the store is, whatever was noted before.
    pub(super) fn begin(path: &Path, noted: Noted) -> io::Result<Self> {
        write(path, &noted)?;
        Ok(Self { path: path.to_owned(), noted })
    }

    /// Notes how far the store is, where that is further or otherwise than noted.
    pub(super) fn note(&mut self, noted: Noted) -> io::Result<()> {
        let aged = |noted: &Noted| Noted { age: 0, ..noted.clone() };
        if aged(&noted) != aged(&self.noted) {
            write(&self.path, &noted)?;
            self.noted = noted;
        }
        Ok(())
    }

    /// As [`Witness::note`], of the position alone.
    pub(super) fn note_position(&mut self, position: u64) -> io::Result<()> {
        self.note(Noted { position: position.max(self.noted.position), ..self.noted.clone() })
    }
}

/// One line for each field; an earlier version wrote one line with identity and position.
fn parse(text: &str) -> Option<Noted> {
    if let Some((store_id, position)) = text.trim_end().split_once(' ')
        && let Ok(store_id) = store_id.parse()
    {
        return Some(Noted { store_id, position: position.parse().ok()?, ..Noted::default() });
    }
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    fn number<T: FromStr>(text: Option<&str>) -> Option<T> {
        text?.parse().ok()
    }
    Some(Noted {
        store_id: number(field("store"))?,
        position: number(field("position"))?,
        place: field("place")?.to_owned(),
        timeline: number(field("timeline"))?,
        confirmations: number(field("confirmations"))?,
        age: number(field("age"))?,
    })
}

/// Replaces the file whole, so that a crash leaves the one or the other.
fn write(path: &Path, noted: &Noted) -> io::Result<()> {
    let Noted { store_id, position, place, timeline, confirmations, age } = noted;
    let text = format!(
        "store {store_id}\nposition {position}\ntimeline {timeline}\n\
         confirmations {confirmations}\nage {age}\nplace {place}\n"
    );
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let next = PathBuf::from(next);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{Noted, Uuid, Witness, fs};

    fn at(position: u64) -> Noted {
        Noted { position, place: "inode 7".to_owned(), ..Noted::default() }
    }

    #[test]
    fn store_that_went_back_or_moved_is_not_the_noted_one() {
        fn check(now: Noted, expected: &str) {
            let noted = Noted { timeline: 2, confirmations: 1, age: 9, ..at(7) };
            let told = noted.speaks_against(&now).unwrap_or_default();
            assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{told}");
        }
        let now = |position| Noted { timeline: 2, confirmations: 1, age: 9, ..at(position) };
        check(now(7), "");
        check(Noted { age: 10, ..now(8) }, "");
        check(now(6), "ends with change 6, and had 7 before");
        check(Noted { age: 8, ..now(7) }, "younger");
        check(Noted { timeline: 1, ..now(7) }, "old primary");
        check(Noted { place: "inode 8".to_owned(), ..now(7) }, "it is inode 8, and was inode 7");
        check(Noted { place: "inode 7 born 1.5".to_owned(), ..now(7) }, "");
        check(Noted { place: "inode 8 born 1.5".to_owned(), ..now(7) }, "copied or restored");
        check(Noted { store_id: Uuid::max(), ..now(7) }, "another store");
        // An operator has looked at it since.
        check(Noted { timeline: 1, confirmations: 2, age: 0, ..at(3) }, "");
    }

    #[test]
    fn note_is_read_as_it_was_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("seen");
        assert_eq!(Witness::read(&path).unwrap(), None);
        let noted = Noted { timeline: 3, confirmations: 1, age: 5, ..at(3) };
        let mut witness = Witness::begin(&path, noted.clone()).unwrap();
        assert_eq!(Witness::read(&path).unwrap(), Some(noted.clone()));
        witness.note_position(5).unwrap();
        witness.note_position(4).unwrap();
        assert_eq!(Witness::read(&path).unwrap(), Some(Noted { position: 5, ..noted }));
        // As an earlier version wrote it.
        fs::write(&path, format!("{} 12\n", Uuid::max())).unwrap();
        let earlier = Noted { store_id: Uuid::max(), position: 12, ..Noted::default() };
        assert_eq!(Witness::read(&path).unwrap(), Some(earlier));
        for garbage in ["garbage", "", "store 7\nposition 1\n"] {
            fs::write(&path, garbage).unwrap();
            assert!(Witness::read(&path).is_err(), "{garbage:?}");
        }
    }
}
