//! The database file is deleted, moved or replaced while a gateway uses it, or its log is: the gateway
//! notices before it accepts or sends anything, says so, logs what it still observes upstream, and leaves
//! one file that holds all that was acknowledged.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use purveyor_sdk::v1::ListProductsRequest;
use purveyor_sdk::v1::operation::State;
use purveyor_simulators::gandi::{Gandi, Options};
use purveyor_simulators::{Fault, Kind, Simulator};
use rusqlite::Connection;
use rustix::process::Pid;
use tempfile::TempDir;

use crate::support::client::{succeeded, told};
use crate::support::program::{Program, confirm};
use crate::support::requests::purchase;
use crate::support::{
    FOR_EVER, HOUR, asked, check_each, configuration, provider, sold, until, upstream,
};

const CREATE: &str = "hosting.product.create";
const DATABASE: &str = "store/purveyor.db";
const LOG: &str = "store/purveyor.db-wal";
const INDEX: &str = "store/purveyor.db-shm";

/// What the log says once when a file is lost.
const LOST: &str = "database file lost, nothing is accepted or sent until a restart";
/// What the log says of an outcome that cannot be stored.
const UNSTORED: &str = "what was seen upstream cannot be stored; trying again";
/// What the log says when all that was acknowledged stands in the database file.
const SAVED: &str = "the log was written into the database file that was lost";

/// A gateway that has sold once.
struct Serving {
    program: Program,
    upstream: Simulator<Gandi>,
    first: String,
}

impl Serving {
    async fn start() -> Self {
        let upstream = upstream(Options::default()).await;
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("store")).expect("a folder");
        let configuration = configuration().store(&format!("sqlite:{DATABASE}"));
        let configuration = configuration.provider("gandi", provider(&upstream));
        configuration.write(folder.path()).expect("it is written");
        let program = Program::start_in(folder);
        let bought = program.client().await.ordered(purchase("gandi", &[("shares", 1)])).await;
        let first = succeeded(bought).name;
        Self { program, upstream, first }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.program.folder().join(name)
    }

    /// An order is refused at once, health tells, and reads of the upstream go on.
    async fn is_lost(&self, reason: &str) {
        let client = self.program.client().await;
        let order = client.order(purchase("gandi", &[("shares", 1)])).await;
        let order = order.expect_err("an order was accepted into a lost file");
        assert_eq!(told(&order).1, "STORE_UNAVAILABLE", "{order:?}");
        until("health tells", async || !self.program.serves().await).await;
        assert_eq!(self.program.said(LOST), 1);
        assert!(self.program.said(reason) > 0, "{reason:?} is not in {}", self.log());
        let parent = "providers/gandi".to_owned();
        let products = ListProductsRequest { parent, ..Default::default() };
        client.products().list_products(products).await.expect("reads need no store");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("gateway.log")).expect("there is a log")
    }
}

fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).expect("it is moved");
}

/// A way in which a file is lost, and what the log says of it.
type Loss = (fn(&Path), &'static str);

fn delete(folder: &Path) {
    fs::remove_file(folder.join(DATABASE)).expect("it is deleted");
}

fn losses() -> [Loss; 11] {
    let moved = "it is now at ";
    let log = "-wal was deleted, moved or replaced";
    [
        (delete, "store/purveyor.db was deleted or moved"),
        (|folder| rename(&folder.join(DATABASE), &folder.join("moved.db")), moved),
        (|folder| rename(&folder.join("store"), &folder.join("elsewhere")), moved),
        (
            |folder| {
                fs::copy(folder.join(DATABASE), folder.join("copy.db")).expect("it is copied");
                rename(&folder.join("copy.db"), &folder.join(DATABASE));
            },
            "was replaced by another file",
        ),
        (
            // The same file, but its log stays where no gateway would look for it.
            // There is no moment without a file.
            |folder| {
                let (moved, link) = (folder.join("moved.db"), folder.join("link.db"));
                fs::hard_link(folder.join(DATABASE), &moved).expect("another name");
                symlink(&moved, &link).expect("a link");
                rename(&link, &folder.join(DATABASE));
            },
            "was replaced by another file",
        ),
        (
            |folder| {
                let file = File::options().write(true).open(folder.join(DATABASE));
                file.expect("it opens").set_len(0).expect("it is emptied");
            },
            "store/purveyor.db was emptied",
        ),
        (|folder| fs::remove_file(folder.join(LOG)).expect("it is deleted"), log),
        (|folder| rename(&folder.join(LOG), &folder.join("moved-wal")), log),
        (
            |folder| {
                fs::copy(folder.join(LOG), folder.join("copy-wal")).expect("it is copied");
                rename(&folder.join("copy-wal"), &folder.join(LOG));
            },
            log,
        ),
        (
            |folder| fs::remove_file(folder.join(INDEX)).expect("it is deleted"),
            "-shm was deleted, moved or replaced",
        ),
        (
            // The database first: a look between two of the files tells what it misses.
            |folder| {
                delete(folder);
                fs::remove_dir_all(folder.join("store")).expect("it is deleted");
            },
            "store/purveyor.db was deleted or moved",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_lost_file_accepts_nothing_and_says_so() {
    let check = async |(lose, reason): Loss| {
        let serving = Serving::start().await;
        lose(serving.program.folder());
        serving.is_lost(reason).await;
        // Nothing brings it back but a restart.
        if serving.path("moved.db").exists() {
            rename(&serving.path("moved.db"), &serving.path(DATABASE));
        }
        serving.is_lost(reason).await;
        assert_eq!(asked(&serving.upstream, CREATE), 1);
    };
    check_each(losses(), |(_, reason)| (*reason).to_owned(), check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permit_lost_file_is_refused() {
    let check = async |(lose, _): Loss| {
        let Serving { program, upstream, .. } = Serving::start().await;
        // The evidence before the spend is slow.
        upstream.inject(Fault::next("operation.list", FOR_EVER));
        let taken = asked(&upstream, "operation.list");
        let request = purchase("gandi", &[("shares", 1)]);
        program.client().await.order(request).await.expect("it is accepted");
        until("evidence is taken", async || asked(&upstream, "operation.list") > taken).await;
        lose(program.folder());
        upstream.advance(HOUR);
        until("the step ends", async || program.said(UNSTORED) > 0).await;
        assert_eq!(asked(&upstream, CREATE), 1, "it was spent");
    };
    check_each(losses(), |(_, reason)| (*reason).to_owned(), check).await;
}

#[tokio::test]
async fn outcome_that_cannot_be_stored_is_logged_whole_once() {
    let serving = Serving::start().await;
    serving.upstream.inject(Fault::next(CREATE, FOR_EVER));
    let request = purchase("gandi", &[("shares", 1)]);
    let order = serving.program.client().await.order(request).await.expect("it is accepted");
    until("the request arrives", async || asked(&serving.upstream, CREATE) == 2).await;
    delete(serving.program.folder());
    serving.upstream.advance(HOUR);
    until("the outcome is logged", async || serving.program.said(UNSTORED) > 0).await;
    let again = || serving.program.said("what was seen upstream still cannot be stored");
    until("it is tried again", async || again() >= 2).await;
    assert_eq!(serving.program.said(UNSTORED), 1);
    let sold = sold(&serving.upstream, Kind::ProductAdd).pop().expect("it was sold");
    let log = serving.log();
    let line = log.lines().find(|line| line.contains(UNSTORED)).expect("it is there");
    let request_id = order.name.trim_start_matches("operations/");
    for part in [
        request_id,
        "gandi",
        "CREATE_ORDER",
        "product.create",
        "SPEND",
        &sold,
        "attempt",
        "account",
        "target",
        "outcome",
        "http_status",
        "observed",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
    assert!(!log.contains(crate::support::API_KEY), "the log has a secret");
}

/// Starts the next gateway on what is left.
async fn goes_on(folder: TempDir, first: &str) {
    let program = Program::start_in(folder);
    assert!(program.serves().await, "the store is doubted");
    let client = program.client().await;
    assert_eq!(client.operation(first).await.state(), State::Succeeded);
    succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
}

#[tokio::test]
async fn kill_after_the_log_was_lost_loses_nothing() {
    for name in [LOG, INDEX] {
        let Serving { program, first, upstream: _upstream } = Serving::start().await;
        fs::remove_file(program.folder().join(name)).expect("it is deleted");
        until("the log is saved", async || program.said(SAVED) > 0).await;
        goes_on(program.kill(), &first).await;
    }
}

#[tokio::test]
async fn lost_file_leaves_the_processor_to_others() {
    const WATCHED: Duration = Duration::from_secs(2);
    let Serving { program, upstream: _upstream, .. } = Serving::start().await;
    delete(program.folder());
    until("the log is saved", async || program.said(SAVED) > 0).await;
    let (before, began) = (processor_time(program.process()), Instant::now());
    until("it is watched", async || began.elapsed() >= WATCHED).await;
    let used = processor_time(program.process()) - before;
    assert!(used < WATCHED / 2, "{used:?} of {WATCHED:?} with nothing to do");
}

/// How long a process has run on processors.
fn processor_time(process: Pid) -> Duration {
    let stat =
        fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).expect("it runs");
    // The name of the program may hold anything. Behind it, times are the 12th and the 13th, in
    // hundredths of a second.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let times = fields.split(' ').skip(11).take(2);
    let ticks: u64 = times.map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

#[tokio::test]
async fn moved_file_put_back_goes_on() {
    let Serving { program, first, upstream: _upstream } = Serving::start().await;
    rename(&program.folder().join(DATABASE), &program.folder().join("moved.db"));
    until("the log is saved", async || program.said(SAVED) > 0).await;
    let folder = program.kill();
    rename(&folder.path().join("moved.db"), &folder.path().join(DATABASE));
    goes_on(folder, &first).await;
}

#[tokio::test]
async fn deleted_file_is_copied_from_the_process_as_the_log_says() {
    let serving = Serving::start().await;
    delete(serving.program.folder());
    until("the log is saved", async || serving.program.said(SAVED) > 0).await;
    let log = serving.log();
    let (_, said) = log.split_once("copy /proc/").expect("the log says what to do");
    let open = format!("/proc/{}", said.split_whitespace().next().expect("a path"));
    fs::copy(open, serving.path("copy.db")).expect("it is copied");
    let Serving { program, first, upstream: _upstream } = serving;
    let folder = program.kill();
    for name in [LOG, INDEX] {
        fs::remove_file(folder.path().join(name)).expect("it is removed");
    }
    rename(&folder.path().join("copy.db"), &folder.path().join(DATABASE));
    // It is whole, and another file all the same.
    assert!(said.contains("purveyor store confirm --nothing-lost"), "{said}");
    assert!(confirm(folder.path()).status.success());
    goes_on(folder, &first).await;
}

#[tokio::test]
async fn replaced_file_is_not_mixed_with_the_log_of_the_lost_one() {
    let Serving { program, first, upstream } = Serving::start().await;
    // A backup, and then more orders, which stand in the log.
    let (path, copy) = (program.folder().join(DATABASE), program.folder().join("backup.db"));
    let connection = Connection::open(&path).expect("it opens");
    connection.execute("VACUUM INTO ?1", [copy.to_str()]).expect("it is copied");
    drop(connection);
    let client = program.client().await;
    let later = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    rename(&copy, &path);
    until("the log is saved", async || program.said(SAVED) > 0).await;
    assert_eq!(fs::metadata(program.folder().join(LOG)).expect("the log").len(), 0);
    let program = Program::start_in(program.kill());
    // It is what the backup was, and noticed to be older.
    assert!(!program.serves().await);
    let client = program.client().await;
    assert_eq!(client.operation(&first).await.state(), State::Succeeded);
    let listed = client.all_operations().await;
    assert!(listed.iter().all(|operation| operation.name != later.name));
    drop(upstream);
}

#[tokio::test]
async fn log_kept_by_a_reader_is_reported_and_the_gateway_serves_on() {
    const KEPT: &str = "another program reads the store and keeps its log from being emptied";
    let Serving { program, upstream: _upstream, .. } = Serving::start().await;
    let path = program.folder().join(DATABASE);
    let reader = Connection::open(&path).expect("it opens");
    reader.execute_batch("BEGIN; SELECT count(*) FROM operations;").expect("it reads");
    let writer = Connection::open(&path).expect("it opens");
    assert_eq!(program.said(KEPT), 0);
    writer.execute("UPDATE meta SET probe = zeroblob(?1)", [70 << 20]).expect("it is written");
    until("it is reported", async || program.said(KEPT) > 0).await;
    let client = program.client().await;
    for _ in 0..3 {
        succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    }
    assert!(program.serves().await);
    assert_eq!(program.said(KEPT), 1, "it is reported once a minute");
    reader.execute_batch("COMMIT").expect("it ends");
}
