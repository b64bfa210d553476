//! `purveyor backup` and `purveyor restore`: the copy is made beside a running gateway, is checked, says that it
//! is one, and is put where no store is.

use std::fs;
use std::path::Path;
use std::process::Output;

use purveyor_sdk::v1::operation::State;
use purveyor_simulators::Kind;

use super::stage::{Home, Keeper};
use crate::support::client::succeeded;
use crate::support::postgres::{run, server};
use crate::support::program::{Program, backup, confirm, restore};
use crate::support::requests::purchase;
use crate::support::{asked, configuration, gandi, sold, until};

const CREATE: &str = "hosting.product.create";

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(output: &Output, expected: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(expected), "{said}");
}

/// Takes the store away, as a disk that is lost does.
async fn lose(home: Home, keeper: &Keeper, folder: &Path) {
    match home {
        Home::Sqlite => {
            for name in ["purveyor.db", "purveyor.db-wal", "purveyor.db-shm", "purveyor.db.seen"] {
                fs::remove_file(folder.join(name)).ok();
            }
        }
        Home::Postgres => {
            let sql = "DROP SCHEMA purveyor CASCADE";
            run(server(), keeper.database(), sql).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_of_a_running_gateway_is_restored_and_is_known_to_be_one() {
    for home in [Home::Sqlite, Home::Postgres] {
        let (upstream, provider) = gandi().await;
        let keeper = Keeper::new(home).await;
        let program = keeper.start(configuration().provider("gandi", provider));
        let client = program.client().await;
        let first = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
        let kept = tempfile::tempdir().expect("a folder for the backup");
        let to = kept.path().join("backup");
        let made = text(&backup(program.folder(), &to));
        assert!(made.contains("was checked") && made.contains("1 operations"), "{made}");
        assert!(program.serves().await);
        refused(&backup(program.folder(), &to), "exists already");
        let request = purchase("gandi", &[("shares", 2)]);
        succeeded(client.ordered(request.clone()).await);

        let folder = program.kill();
        refused(&restore(folder.path(), &to), "holds a store already");
        lose(home, &keeper, folder.path()).await;
        let restored = text(&restore(folder.path(), &to));
        assert!(restored.contains("nothing is spent until"), "{restored}");
        let program = Program::start_in(folder);
        until("health tells", async || !program.serves().await).await;
        let client = program.client().await;
        assert_eq!(client.operation(&first.name).await.state(), State::Succeeded);
        let held = client.order(request).await.expect("it is accepted anew");
        assert!(held.message.contains("backup of 20"), "{held:#?}");
        assert_eq!(asked(&upstream, CREATE), 2);

        let folder = program.kill();
        assert!(confirm(folder.path()).status.success());
        let program = Program::start_in(folder);
        succeeded(program.client().await.done(&held.name).await);
        // The mark is gone: another start asks nobody.
        let program = program.restart();
        assert!(program.serves().await);
        assert_eq!(sold(&upstream, Kind::ProductAdd).len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_that_was_changed_or_is_none_is_refused() {
    for home in [Home::Sqlite, Home::Postgres] {
        let (_upstream, provider) = gandi().await;
        let keeper = Keeper::new(home).await;
        let program = keeper.start(configuration().provider("gandi", provider));
        let client = program.client().await;
        succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
        let kept = tempfile::tempdir().expect("a folder for the backup");
        let to = kept.path().join("backup");
        text(&backup(program.folder(), &to));
        let folder = program.kill();
        lose(home, &keeper, folder.path()).await;
        let changed = match home {
            Home::Sqlite => to.clone(),
            Home::Postgres => to.join("operations.copy"),
        };
        let mut content = fs::read(&changed).expect("it is read");
        let last = content.len() - 2;
        content[last] ^= 1;
        fs::write(&changed, content).expect("it is written");
        refused(&restore(folder.path(), &to), "its checksum is not");
        refused(&restore(folder.path(), &kept.path().join("none")), "is missing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_into_a_folder_is_a_database_and_its_checksum() {
    let (_upstream, provider) = gandi().await;
    let program = Program::start(configuration().provider("gandi", provider));
    let kept = tempfile::tempdir().expect("a folder for the backup");
    let made = text(&backup(program.folder(), kept.path()));
    assert!(made.contains("purveyor.db holds"), "{made}");
    let names = ["purveyor.db", "purveyor.db.sha256"];
    let mut found: Vec<_> = fs::read_dir(kept.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    found.sort();
    assert_eq!(found, names);
}
