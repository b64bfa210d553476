//! A store that must not be used is refused at start: the program ends with an error that names it, says
//! what is wrong and what to do, and has changed nothing on the disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use purveyor::store::sqlite::SqliteStore;
use purveyor_simulators::gandi::Options;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rustix::io::Errno;
use tempfile::TempDir;
use xtask::configuration::Configuration;
use xtask::postgres::Server;

use crate::support::client::succeeded;
use crate::support::disk::{Disk, Failing};
use crate::support::postgres::{database, run, server};
use crate::support::program::{Program, refused};
use crate::support::requests::purchase;
use crate::support::{configuration, provider_at, upstream};

const DATABASE: &str = "purveyor.db";

/// A gateway's folder with a store that was used, after a kill: its log is there too.
async fn used() -> TempDir {
    let upstream = upstream(Options::default()).await;
    let configuration = configuration().provider("gandi", provider_at(upstream.url()));
    let program = Program::start(configuration);
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
    program.kill()
}

/// The same after the store was closed: one file.
async fn closed() -> TempDir {
    let folder = used().await;
    drop(SqliteStore::open(&folder.path().join(DATABASE)).expect("it is whole"));
    folder
}

/// What the store's files hold. The index of the log is made from it at every start, and a log in which
/// nothing stands is as good as none.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut content = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with(DATABASE) && !name.ends_with("-shm") && path.is_file() {
            let bytes = fs::read(&path).expect("it can be read");
            if !(name.ends_with("-wal") && bytes.is_empty()) {
                content.insert(name, bytes);
            }
        }
    }
    content
}

async fn is_refused(folder: &Path, variables: &[(&str, String)], told: &[&str]) {
    let before = content(folder);
    let said = refused(folder, variables).await;
    for what in told.iter().chain([&DATABASE]) {
        assert!(said.contains(what), "{what:?} is not in {said}");
    }
    let after = content(folder);
    assert!(before == after, "{told:?}: {:?} became {:?}", before.keys(), after.keys());
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_refused() {
    let write = |path: &Path, offset: u64, bytes: &[u8]| {
        let file = File::options().write(true).open(path).expect("it can be written");
        file.write_all_at(bytes, offset).expect("it is written");
    };
    let check = async |damage: &dyn Fn(&Path), told: &[&str]| {
        let folder = closed().await;
        let path = folder.path().join(DATABASE);
        damage(&path);
        is_refused(folder.path(), &[], told).await;
    };
    let newer = ["has schema version 7", "versions up to 6", "start the version that wrote it"];
    check(&|path| write(path, 60, &7_u32.to_be_bytes()), &newer).await;
    let foreign = ["is a database of another program", "store.url"];
    check(&|path| write(path, 68, &7_u32.to_be_bytes()), &foreign).await;
    let damaged = ["is not a whole database", "backup", "purveyor store confirm"];
    check(&|path| write(path, 0, &[0xA5; 100]), &damaged).await;
    check(&|path| write(path, 5 * 4096, &[0xFF; 4096]), &damaged).await;
    let half = |path: &Path| {
        let file = File::options().write(true).open(path).expect("it can be written");
        file.set_len(file.metadata().expect("a length").len() / 2).expect("it is shorter");
    };
    check(&half, &damaged).await;
    let folder = |path: &Path| {
        fs::remove_file(path).expect("it is there");
        fs::create_dir(path).expect("a folder");
    };
    check(&folder, &["cannot be written", "Is a directory"]).await;
}

#[tokio::test]
async fn a_newer_store_keeps_its_log() {
    let folder = used().await;
    let path = folder.path().join(DATABASE);
    let connection = Connection::open(&path).expect("it is whole");
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("it is set");
    connection.pragma_update(None, "user_version", 7).expect("it is written");
    drop(connection);
    assert!(content(folder.path()).contains_key("purveyor.db-wal"));
    is_refused(folder.path(), &[], &["has schema version 7"]).await;
}

#[tokio::test]
async fn an_emptied_file_is_noticed() {
    let folder = used().await;
    for name in ["purveyor.db", "purveyor.db-wal"] {
        File::options().write(true).open(folder.path().join(name)).unwrap().set_len(0).unwrap();
    }
    let program = Program::start_in(folder);
    assert!(!program.serves().await);
    assert!(program.said("another store stood here before") > 0);
}

#[tokio::test]
async fn a_store_that_another_gateway_uses_is_refused() {
    let upstream = upstream(Options::default()).await;
    let configuration = configuration().provider("gandi", provider_at(upstream.url()));
    let program = Program::start(configuration);
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
    let said = refused(program.folder(), &[]).await;
    for what in [DATABASE, "is used by another process", "stop that one"] {
        assert!(said.contains(what), "{said}");
    }
    // The other has not noticed.
    assert!(program.serves().await);
    succeeded(program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_or_read_is_refused_and_used_when_it_can() {
    let (disk, mut folder) = (Disk::new(), used().await);
    let check =
        async |folder: &TempDir, failing: &[(&'static str, Errno, &'static str)], told: &[&str]| {
            let failing: Vec<_> =
                failing.iter().map(|&(call, errno, name)| Failing { call, errno, name }).collect();
            disk.fail(&failing);
            is_refused(folder.path(), &disk.variables(), told).await;
            disk.heal();
        };
    let (all, log) = ("purveyor.db*", "purveyor.db-wal");
    let unwritable = "cannot be written; look at its owner and permissions";
    // What a read-only mount does to everybody, root too, and what permissions do to others.
    check(&folder, &[("open", Errno::ROFS, all)], &[unwritable, "Read-only file system"]).await;
    check(&folder, &[("open", Errno::ROFS, DATABASE)], &[unwritable, "Read-only file system"])
        .await;
    check(&folder, &[("open", Errno::ACCESS, all)], &[unwritable, "Permission denied"]).await;
    check(&folder, &[("write", Errno::NOSPC, all)], &["look at whether its disk is full"]).await;
    check(&folder, &[("read", Errno::IO, DATABASE)], &["cannot be opened", "or failing"]).await;
    check(&folder, &[("sync", Errno::IO, log)], &["cannot be opened", "or failing"]).await;
    folder = Program::start_in(folder).kill();
    assert!(Program::start_in(folder).serves().await);
}

#[tokio::test]
async fn a_server_that_must_not_be_used_is_refused() {
    let check = async |server: &Server, name: &str, told: &[&str]| {
        let folder = tempfile::tempdir().expect("a folder for the gateway");
        let configuration: Configuration = configuration().store(&server.url(name));
        configuration.write(folder.path()).expect("the configuration is written");
        let said = refused(folder.path(), &[]).await;
        for what in told.iter().chain([&name]) {
            assert!(said.contains(what), "{what:?} is not in {said}");
        }
    };
    let newer = database(server()).await;
    drop(Program::start(configuration().store(&server().url(&newer))));
    run(server(), &newer, "UPDATE purveyor.meta SET schema_version = 7").await;
    let told = ["has schema version 7", "versions up to 6", "start the version that wrote it"];
    check(server(), &newer, &told).await;

    let foreign = database(server()).await;
    run(server(), &foreign, "CREATE SCHEMA purveyor; CREATE TABLE purveyor.orders ()").await;
    check(server(), &foreign, &["schema purveyor of another program", "store.url"]).await;

    let hasty = database(server()).await;
    run(server(), "postgres", &format!("ALTER DATABASE {hasty} SET synchronous_commit = off"))
        .await;
    check(server(), &hasty, &["synchronous_commit is off", "set it to on"]).await;

    check(server(), "nowhere", &["does not exist"]).await;

    let own = Server::start().expect("a server of its own");
    let name = database(&own).await;
    let program = Program::start(configuration().store(&own.url(&name)));
    run(&own, "postgres", "ALTER SYSTEM SET fsync = off").await;
    run(&own, "postgres", "SELECT pg_reload_conf()").await;
    check(&own, &name, &["fsync is off", "set it to on"]).await;
    drop(program);
}
