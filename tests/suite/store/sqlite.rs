//! The SQLite store: the conformance suite on real files, what it refuses to open, and that nothing
//! that it acknowledged is lost when its process is killed.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use purveyor::store::operation::Operation;
use purveyor::store::sqlite::{OpenError, SqliteStore};
use purveyor::store::{Accepted, Lease, NewOperation, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::conformance::{Home, suite};
use super::samples::{at, id, new, operation};
use crate::support::until;

/// Names the database to the process that shall be killed.
const VICTIM: &str = "PURVEYOR_TEST_VICTIM";

/// How many acknowledged acceptances the process lives for.
const ACKNOWLEDGED: usize = 100;

/// A folder of its own.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("journal.db")
    }
}

#[async_trait]
impl Home for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.file()).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    suite(Folder::new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_nine() {
    if let Some(path) = env::var_os(VICTIM) {
        return accept_until_killed(Path::new(&path)).await;
    }
    let folder = Folder::new();
    let this_test = "what_was_acknowledged_survives_kill_nine";
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([full_name(this_test).as_str(), "--exact", "--nocapture"])
        .env(VICTIM, folder.file())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut acknowledged = lines.filter_map(|line| line.unwrap().parse::<Uuid>().ok());
    let mut expected: Vec<Uuid> = acknowledged.by_ref().take(ACKNOWLEDGED).collect();
    let refused = SqliteStore::open(&folder.file());
    assert!(matches!(refused, Err(OpenError::InUse(_))), "two processes have one database");
    victim.kill().unwrap();
    // What it still said before it died counts as well.
    expected.extend(acknowledged);
    assert!(!victim.wait().unwrap().success(), "it ended by itself");
    assert!(expected.len() >= ACKNOWLEDGED);

    let store = folder.open().await;
    for request_id in &expected {
        let stored = store.get(*request_id).await.unwrap();
        let stored = stored.unwrap_or_else(|| panic!("{request_id} is lost"));
        assert_eq!(stored, operation(request_id.as_u128()));
    }
    let last = store.positions().await.unwrap().last;
    assert!(usize::try_from(last).unwrap() >= expected.len());
}

/// The full name of a test of this file.
fn full_name(test: &str) -> String {
    let module = module_path!().split_once("::").unwrap().1;
    format!("{module}::{test}")
}

/// Accepts from several tasks for ever, and says which were acknowledged.
async fn accept_until_killed(path: &Path) {
    let store = Arc::new(SqliteStore::open(path).unwrap());
    let mut tasks = JoinSet::new();
    for task in 1..=16_u128 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for n in 0.. {
                let request_id = task << 64 | n;
                let accepted = store.accept(new(operation(request_id))).await.unwrap();
                assert_eq!(accepted, Accepted::Stored);
                // One write, which a pipe does not mix with others. After the kill it fails.
                let line = format!("{}\n", id(request_id));
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    tasks.join_all().await;
}

#[tokio::test]
async fn a_closed_store_has_no_log_and_only_its_owner_can_read_it() {
    let folder = Folder::new();
    let store = folder.open().await;
    store.accept(new(operation(1))).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for entry in fs::read_dir(folder.0.path()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(store);
    let mut names: Vec<_> =
        fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal.db", "journal.db.lock", "journal.db.seen"]);
}

#[tokio::test]
async fn a_lease_ends_with_the_process_that_had_it() {
    let folder = Folder::new();
    let store = folder.open().await;
    let mut due = operation(1);
    due.wake_time = Some(at(0));
    let lease = Some(Lease { replica: id(1001), until: at(1000) });
    store.accept(NewOperation { lease, ..new(due) }).await.unwrap();
    assert_eq!(store.wakes().await.unwrap().first(), Some(at(1000)));
    drop(store);
    let store = folder.open().await;
    assert_eq!(store.wakes().await.unwrap().first(), Some(at(0)));
}

#[test]
fn a_second_store_on_one_file_is_refused_under_every_name() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.file()).unwrap();
    let other_name = folder.0.path().join("other.db");
    symlink(folder.file(), &other_name).unwrap();
    for path in [folder.file(), other_name.clone()] {
        let error = refused(&path);
        assert!(matches!(error, OpenError::InUse(_)), "{error}");
    }
    drop(store);
    SqliteStore::open(&other_name).unwrap();
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let path = closed();
    // `user_version` in the header of the file.
    overwrite(&path.file(), 60, &99_u32.to_be_bytes());
    let before = fs::read(path.file()).unwrap();
    let error = refused(&path.file());
    assert!(matches!(error, OpenError::NewerSchema { found: 99, known: 7, .. }), "{error}");
    assert_eq!(fs::read(path.file()).unwrap(), before);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    let path = closed();
    // `application_id` in the header of the file.
    overwrite(&path.file(), 68, &7_u32.to_be_bytes());
    let before = fs::read(path.file()).unwrap();
    let error = refused(&path.file());
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
    assert_eq!(fs::read(path.file()).unwrap(), before);
}

#[test]
fn what_is_not_a_whole_database_is_refused() {
    let check = |damage: &dyn Fn(&Path)| {
        let path = closed();
        damage(&path.file());
        let error = refused(&path.file());
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    };
    check(&|path| fs::write(path, "this was a shopping list ".repeat(200)).unwrap());
    check(&|path| overwrite(path, 2 * 4096, &[0xFF; 4096]));
    check(&|path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(3 * 4096).unwrap();
    });
}

/// A closed store of so many bytes and more, and how long its file is.
async fn big(bytes: usize) -> (Folder, usize) {
    let folder = Folder::new();
    let store = folder.open().await;
    for n in 1..=16 {
        let request = vec![1; bytes / 16];
        store.accept(new(Operation { request, ..operation(n) })).await.unwrap();
    }
    drop(store);
    let length = fs::metadata(folder.file()).unwrap().len();
    (folder, usize::try_from(length).unwrap())
}

/// Where all of a file is not looked at before it is opened, what stands at the beginning of every
/// table and index is; what is damaged in its middle is noticed while it is open.
#[tokio::test]
async fn damage_in_the_middle_of_a_big_database_is_noticed_while_it_is_open() {
    let (folder, length) = big(8 << 20).await;
    overwrite(&folder.file(), length / 2 / 4096 * 4096, &[0xFF; 4096]);
    let store = SqliteStore::open(&folder.file()).unwrap();
    let noticed = || async { store.doubt().is_some() };
    until("it is noticed", noticed).await;
    assert!(!store.checking());
    assert!(store.doubt().unwrap().contains("the store is damaged"), "{:?}", store.doubt());
    drop(store);
    let error = SqliteStore::look_through(&folder.file()).unwrap_err();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_big_database_without_damage_is_looked_through_once() {
    let (folder, _) = big(8 << 20).await;
    let store = SqliteStore::open(&folder.file()).unwrap();
    until("it was looked through", || async { !store.checking() }).await;
    assert_eq!(store.doubt(), None);
    let error = SqliteStore::look_through(&folder.file()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    drop(store);
    SqliteStore::look_through(&folder.file()).unwrap();
}

#[tokio::test]
async fn a_big_database_is_refused_where_a_table_or_an_index_does_not_begin_as_it_must() {
    let (folder, _) = big(8 << 20).await;
    let whole = fs::read(folder.file()).unwrap();
    let roots: Vec<(String, u32)> = {
        let connection = rusqlite::Connection::open(folder.file()).unwrap();
        let sql = "SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0";
        let mut roots = connection.prepare(sql).unwrap();
        let roots = roots.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        roots.unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert!(roots.len() > 15, "{roots:?}");
    for (name, root) in roots {
        overwrite(&folder.file(), (root as usize - 1) * 4096, &[0xFF; 4096]);
        let opened = SqliteStore::open(&folder.file()).map(drop);
        assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{name}: {opened:?}");
        fs::write(folder.file(), &whole).unwrap();
    }
    // So is a file that was cut off.
    let file = fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
    file.set_len(whole.len() as u64 / 2).unwrap();
    assert!(matches!(refused(&folder.file()), OpenError::Corrupt { .. }));
}

#[test]
fn a_place_that_cannot_hold_a_store_is_refused() {
    let folder = Folder::new();
    let missing = folder.0.path().join("missing/journal.db");
    let error = refused(&missing);
    assert!(matches!(error, OpenError::DirectoryMissing(_)), "{error}");

    // Nothing can be written to a folder, not even by root.
    fs::create_dir(folder.0.path().join("journal.db.lock")).unwrap();
    let error = refused(&folder.file());
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    let taken = folder.0.path().join("folder.db");
    fs::create_dir(&taken).unwrap();
    let error = refused(&taken);
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    // A file system that takes no files from anybody.
    let error = refused(Path::new("/proc/journal.db"));
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
}

/// A folder with a store that was closed.
fn closed() -> Folder {
    let folder = Folder::new();
    drop(SqliteStore::open(&folder.file()).unwrap());
    folder
}

fn refused(path: &Path) -> OpenError {
    match SqliteStore::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

fn overwrite(path: &Path, offset: usize, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
    fs::write(path, content).unwrap();
}
