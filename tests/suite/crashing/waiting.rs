//! The gateway is killed while orders wait for another: whoever is next goes on at once, and after it the
//! next, although the one that had to wake them is gone.

use std::time::Duration;

use purveyor::store::operation::Operation as Stored;
use purveyor::store::sqlite::SqliteStore;
use purveyor::store::{Change, Store};
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::{Operation, UpstreamRef};
use purveyor_simulators::gandi::Gandi;
use purveyor_simulators::{Fault, Kind, Simulator};
use tempfile::TempDir;

use super::CREATE;
use crate::support::client::{order, succeeded};
use crate::support::program::Program;
use crate::support::requests::purchase;
use crate::support::{HOUR, LATER, asked, configuration, gandi, sold, until};

/// So far away that nobody who waits finds out by looking for himself.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// One order whose outcome is unknown, and some alike that wait for it.
async fn queue(waiting: usize) -> (Program, Simulator<Gandi>, Vec<String>) {
    let (upstream, provider) = gandi().await;
    let provider = provider.timing("upstream_processing_ms", 600_000);
    let program = Program::start(configuration().provider("gandi", provider));
    let client = program.client().await;
    succeeded(client.ordered(purchase("gandi", &[("memory", 1)])).await);
    upstream.inject(Fault::next(CREATE, LATER));
    let first = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&first.name, State::Reconciling).await;
    let mut names = vec![first.name.clone()];
    for _ in 0..waiting {
        let next = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
        let blocked = || async { client.operation(&next.name).await.blocked_by == first.name };
        until("it waits for the first", blocked).await;
        names.push(next.name);
    }
    (program, upstream, names)
}

/// Lets those who wait look for themselves in an hour only, and changes the first as is said.
async fn edit(folder: &TempDir, first: impl Fn(&mut Stored)) {
    let store = SqliteStore::open(&folder.path().join("purveyor.db")).expect("a store");
    let mut waiting = store.blocked(100).await.expect("they are read");
    let by = waiting[0].blocked_by.expect("it waits");
    for operation in &mut waiting {
        operation.wake_time = operation.wake_time.map(|time| time + AN_HOUR);
    }
    let mut holder = store.get(by).await.expect("it is read").expect("it is there");
    let before = holder.clone();
    first(&mut holder);
    let changed = waiting.into_iter().chain((holder != before).then_some(holder));
    for mut operation in changed {
        operation.version += 1;
        let change = Change::of(operation);
        store.commit(change).await.expect("it is committed");
    }
}

async fn each_is_a_sale(program: &Program, upstream: &Simulator<Gandi>, names: &[String]) {
    let client = program.client().await;
    succeeded(client.done(&names[0]).await);
    let mut ids = Vec::new();
    for name in &names[1..] {
        let operation: Operation = succeeded(client.done(name).await);
        ids.push(order(&operation).upstream.as_ref().expect("sold").id().to_owned());
    }
    // In the order in which they came.
    assert_eq!(sold(upstream, Kind::ProductAdd)[2..], ids);
    assert_eq!(asked(upstream, CREATE), 1 + names.len() as u64);
}

#[tokio::test]
async fn who_waited_before_the_kill_is_woken_after_it() {
    let (program, upstream, names) = queue(3).await;
    let folder = program.kill();
    edit(&folder, |_| {}).await;
    let program = Program::start_in(folder);
    let client = program.client().await;
    assert_eq!(client.operation(&names[1]).await.blocked_by, names[0], "its outcome is unknown");
    upstream.advance(HOUR);
    each_is_a_sale(&program, &upstream, &names).await;
}

/// The last thing that the killed gateway did was to store what the first had become.
#[tokio::test]
async fn who_waited_for_what_has_ended_is_woken_at_the_start() {
    let (program, upstream, names) = queue(3).await;
    let folder = program.kill();
    upstream.advance(HOUR);
    until("it is sold", async || sold(&upstream, Kind::ProductAdd).len() == 2).await;
    let id = sold(&upstream, Kind::ProductAdd)[1].clone();
    edit(&folder, |first| {
        first.state = State::Succeeded;
        first.wake_time = None;
        first.settle = None;
        first.upstream = UpstreamRef::of(&*id);
        first.attempts[0].outcome = Outcome::Applied;
        first.attempts[0].upstream_id.clone_from(&id);
    })
    .await;
    let program = Program::start_in(folder);
    each_is_a_sale(&program, &upstream, &names).await;
}
