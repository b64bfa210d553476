//! One database file has one gateway: whatever name the file is opened by, and whoever removed the lock
//! file of earlier versions, a second gateway and the commands that need the file for themselves are
//! refused. Backups take no lock.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};

use purveyor::store::sqlite::{OpenError, SqliteStore};
use purveyor_sdk::v1::operation::State;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::support::client::succeeded;
use crate::support::program::{Program, confirm, look_through, refused};
use crate::support::requests::purchase;
use crate::support::{built, configuration, gandi, until};

const DATABASE: &str = "purveyor.db";
const IN_USE: &str = "is used by another process";

/// Names the database to processes that shall open it.
const RACER: &str = "PURVEYOR_TEST_RACER";

async fn serving() -> (Program, impl Sized) {
    let (upstream, provider) = gandi().await;
    let program = Program::start(configuration().provider("gandi", provider));
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
    (program, upstream)
}

/// A folder with a configuration that names its database so.
fn folder_for(database: &Path) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = configuration().store(&format!("sqlite:{}", database.display()));
    configuration.write(folder.path()).expect("it is written");
    folder
}

/// Nothing that needs the file for itself gets it; each is told `reason`.
async fn all_are_refused(folder: &Path, reason: &str) {
    let said = refused(folder, &[]).await;
    assert!(said.contains(reason), "serve: {said}");
    let (whole, said) = look_through(folder);
    assert!(!whole && said.contains(reason), "check: {said}");
    let confirmed = confirm(folder);
    let said = String::from_utf8_lossy(&confirmed.stderr);
    assert!(!confirmed.status.success() && said.contains(reason), "confirm: {said}");
}

fn remove_lock_file(folder: &Path) {
    fs::remove_file(folder.join("purveyor.db.lock")).expect("there is a lock file");
}

#[tokio::test]
async fn serve_removed_lock_file_still_refuses_a_second_gateway() {
    let (program, _upstream) = serving().await;
    remove_lock_file(program.folder());
    all_are_refused(program.folder(), IN_USE).await;
    // The lock file that the refused ones left is no lock either.
    all_are_refused(program.folder(), IN_USE).await;
    assert!(program.serves().await);
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
}

#[tokio::test]
async fn serve_other_name_of_the_file_is_the_same_lock() {
    let (program, _upstream) = serving().await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (link, folder) = (elsewhere.path().join("link.db"), elsewhere.path().join("folder"));
    symlink(program.folder().join(DATABASE), &link).expect("a link");
    symlink(program.folder(), &folder).expect("a link");
    let hard = elsewhere.path().join("hard.db");
    fs::hard_link(program.folder().join(DATABASE), &hard).expect("a hard link");
    for name in [link, folder.join(DATABASE), hard] {
        let lock_file = program.folder().join("purveyor.db.lock");
        fs::remove_file(&lock_file).ok();
        all_are_refused(folder_for(&name).path(), IN_USE).await;
    }
    // It serves on, but would not start again.
    let warned = || program.said("database file has another hard link");
    until("the hard link is reported", async || warned() == 1).await;
    assert!(program.serves().await);
}

#[tokio::test]
async fn serve_hard_linked_file_is_refused_until_one_name_is_left() {
    let (program, _upstream) = serving().await;
    let folder = program.kill();
    let path = folder.path().join(DATABASE);
    let other = folder.path().join("copy.db");
    let several = "has 2 names (hard links)";
    // A log of several names is as bad.
    for name in [DATABASE, "purveyor.db-wal"] {
        fs::hard_link(folder.path().join(name), &other).expect("a hard link");
        all_are_refused(folder.path(), several).await;
        assert!(path.exists() && folder.path().join("purveyor.db-wal").exists());
        fs::remove_file(&other).expect("it is removed");
    }
    let program = Program::start_in(folder);
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
}

#[tokio::test]
async fn serve_lock_file_of_an_earlier_version_is_respected() {
    let (program, _upstream) = serving().await;
    let folder = program.kill();
    // What a gateway of an earlier version does.
    let lock = File::options().write(true).open(folder.path().join("purveyor.db.lock"));
    let lock = lock.expect("there is a lock file");
    lock.try_lock().expect("nobody has it");
    all_are_refused(folder.path(), IN_USE).await;
    drop(lock);
    assert!(Program::start_in(folder).serves().await);
}

/// How a process gets a mount namespace of its own: as root, and as anybody where the kernel allows that.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];

/// A shell script in a mount namespace of its own, so that its mounts end with it; `None`, and said, where
/// this machine does not allow that and is nobody's CI.
fn with_mounts(script: &str, arguments: &[&Path]) -> Option<(bool, String)> {
    let allowed = |namespace: &&&[&str]| {
        let tried = Command::new("unshare")
            .args(**namespace)
            .args(["sh", "-c", "mount --bind /tmp /tmp"])
            .output();
        tried.is_ok_and(|it| it.status.success())
    };
    let Some(namespace) = NAMESPACES.iter().find(allowed) else {
        let said =
            "CANNOT RUN: this process may not mount; the rule itself is tested without mounts";
        assert!(env::var_os("CI").is_none(), "{said}");
        eprintln!("{said}");
        return None;
    };
    let mut command = Command::new("unshare");
    command.args(*namespace).args(["sh", "-c", script, "sh"]).args(arguments);
    let ended = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
    Some((ended.status.success(), said))
}

#[tokio::test]
async fn check_bind_mounted_file_is_refused_and_bind_mounted_folder_is_not() {
    let (program, _upstream) = serving().await;
    let folder = program.kill();
    let target = tempfile::tempdir().expect("a folder");
    let mounted = target.path().join(DATABASE);
    fs::write(&mounted, "").expect("something to mount upon");
    let other = folder_for(&mounted);
    let configuration = other.path().join("purveyor.toml");
    let program = built().program("purveyor").expect("it is built");

    let one_file = format!(
        "mount --bind \"$1/{DATABASE}\" \"$2/{DATABASE}\" && \"$3\" store $5 --config \"$4\""
    );
    let arguments = [folder.path(), target.path(), program, &configuration];
    for command in ["check", "confirm"] {
        let arguments = [&arguments[..], &[Path::new(command)]].concat();
        let Some((succeeded, said)) = with_mounts(&one_file, &arguments) else { return };
        assert!(!succeeded && said.contains("is mounted apart from its folder"), "{said}");
        assert!(said.contains("mount the folder instead"), "{said}");
    }
    let log = folder.path().join("purveyor.db-wal");
    assert!(fs::metadata(log).expect("the log").size() > 0, "the log was touched");
    let the_folder = "mount --bind \"$1\" \"$2\" && \"$3\" store check --config \"$4\"";
    let Some((succeeded, said)) = with_mounts(the_folder, &arguments) else { return };
    assert!(succeeded && said.contains("the store is whole"), "{said}");
    // And the log alone is refused too.
    let elsewhere = target.path().join("elsewhere-wal");
    fs::write(&elsewhere, "").expect("a file");
    let configuration = folder_for(&folder.path().join(DATABASE));
    let configuration = configuration.path().join("purveyor.toml");
    let the_log = format!(
        "touch \"$1/{DATABASE}-wal\" && mount --bind \"$2\" \"$1/{DATABASE}-wal\" \
         && \"$3\" store check --config \"$4\""
    );
    let arguments = [folder.path(), &elsewhere, program, &configuration];
    let Some((succeeded, said)) = with_mounts(&the_log, &arguments) else { return };
    assert!(!succeeded && said.contains("purveyor.db-wal is mounted apart"), "{said}");
}

/// A process that opens the database and says how that ended.
fn racer(database: &Path) -> Child {
    let module = module_path!().split_once("::").unwrap().1;
    let test = format!("{module}::open_fresh_file_by_several_processes_has_one_winner");
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test.as_str(), "--exact", "--nocapture"]).env(RACER, database);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn race(database: &Path) {
    let opened = SqliteStore::open(database);
    let end = match &opened {
        Ok(_) => "won".to_owned(),
        Err(OpenError::InUse(_)) => "lost".to_owned(),
        Err(error) => format!("failed: {error}"),
    };
    std::io::stdout().write_all(format!("\nRACE {end}\n").as_bytes()).unwrap();
    // The winner has it until every other one has lost.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    process::exit(0);
}

#[test]
fn open_fresh_file_by_several_processes_has_one_winner() {
    if let Some(path) = env::var_os(RACER) {
        return race(Path::new(&path));
    }
    for _ in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("journal.db");
        let mut racers: Vec<_> = (0..6).map(|_| racer(&database)).collect();
        let (mut ends, mut outputs) = (Vec::new(), Vec::new());
        for racer in &mut racers {
            let mut lines = BufReader::new(racer.stdout.take().unwrap()).lines();
            let mut lines_read = lines.by_ref().map_while(Result::ok);
            ends.push(lines_read.find(|line| line.starts_with("RACE")).unwrap_or_default());
            // What nobody reads any more cannot be written.
            outputs.push(lines);
        }
        for mut racer in racers {
            drop(racer.stdin.take());
            racer.wait().unwrap();
        }
        ends.sort();
        let expected = [&["RACE lost"; 5][..], &["RACE won"]].concat();
        assert_eq!(ends, expected);
        SqliteStore::open(&database).unwrap();
    }
}

/// The POSIX locks that this process has on a file.
fn posix_locks(path: &Path) -> usize {
    let inode = format!(":{}", fs::metadata(path).unwrap().ino());
    let process = process::id().to_string();
    let locks = fs::read_to_string("/proc/locks").expect("the kernel lists locks");
    let mine = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.contains(&"POSIX")
            && words.contains(&process.as_str())
            && words.iter().any(|word| word.ends_with(&inode))
    };
    locks.lines().filter(mine).count()
}

#[tokio::test]
async fn open_second_time_in_one_process_keeps_the_locks_of_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let store = SqliteStore::open(&path).unwrap();
    let before = posix_locks(&path);
    assert!(before > 0, "SQLite has no lock");
    let link = folder.path().join("hard.db");
    fs::hard_link(&path, &link).unwrap();
    for name in [path.clone(), link.clone(), PathBuf::from(&path)] {
        fs::remove_file(folder.path().join("journal.db.lock")).ok();
        let refused = SqliteStore::open(&name).map(drop);
        assert!(matches!(refused, Err(OpenError::InUse(_))), "{refused:?}");
        let refused = SqliteStore::look_through(&name);
        assert!(matches!(refused, Err(OpenError::InUse(_))), "{refused:?}");
        assert_eq!(posix_locks(&path), before, "SQLite lost its locks");
    }
    fs::remove_file(link).unwrap();
    drop(store);
    assert_eq!(posix_locks(&path), 0);
    SqliteStore::open(&path).unwrap();
}

#[tokio::test]
async fn backup_of_a_serving_store_needs_no_lock() {
    let (program, _upstream) = serving().await;
    let client = program.client().await;
    let bought = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join(DATABASE);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(program.folder().join(DATABASE), flags);
    let copied = connection.expect("it opens").execute("VACUUM INTO ?1", [copy.to_str()]);
    copied.expect("it is copied");
    assert!(program.serves().await);
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    remove_lock_file(program.folder());
    all_are_refused(program.folder(), IN_USE).await;

    let configuration = fs::read_to_string(program.folder().join("purveyor.toml"));
    let lost = program.kill();
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(lost.path().join(format!("{DATABASE}{suffix}"))).ok();
    }
    fs::copy(&copy, lost.path().join(DATABASE)).expect("it is put back");
    assert!(configuration.expect("it was read").contains(DATABASE));
    assert!(confirm(lost.path()).status.success());
    let program = Program::start_in(lost);
    let found = program.client().await.operation(&bought.name).await;
    assert_eq!(found.state(), State::Succeeded);
}
