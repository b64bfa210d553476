//! A purchase is done when its servers run, whatever the upstream says before; what does not go on is
//! told, with what is missing.

use std::time::Duration;

use purveyor_sdk::plugin::v1::find_response::Outcome as Found;
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::step_outcome::{Outcome as Stepped, Pending};
use purveyor_sdk::plugin::v1::{Write, resource};
use purveyor_sdk::serde_json::json;
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{ErrorReason, Order};
use purveyor_sdk::{Error, Standing};
use purveyor_simulators::klikk::{Mode, Options};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, TOKEN, open, order};

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: u64 = 3_600_000;

/// What a poll shows, in short: done, or what the work that goes on amounts to.
#[derive(Debug)]
enum Shown {
    Done(Box<Order>),
    UnderWay,
    Stands(Standing, String),
    Failed(ErrorReason, String),
}

impl Shown {
    #[track_caller]
    fn order(self) -> Order {
        let Self::Done(order) = self else { panic!("{self:?}") };
        *order
    }

    #[track_caller]
    fn stands(self, expected: Standing, says: &str) {
        let Self::Stands(standing, message) = self else { panic!("{self:?}") };
        assert_eq!(standing, expected, "{message}");
        assert!(message.contains(says), "{message}");
    }
}

/// Sends an order that is accepted, and answers the handle that follows it.
async fn place(bench: &Bench, write: &Write) -> Vec<u8> {
    let at = bench.first(write).await;
    match bench.step_at(write, &at).await.unwrap() {
        Stepped::Pending(pending) => pending.handle,
        other => panic!("{other:?}"),
    }
}

async fn poll(bench: &Bench, write: &Write, handle: &[u8]) -> Shown {
    match bench.poll_one(write, handle).await.unwrap() {
        Polled::Done(done) => match done.resource.unwrap().kind {
            Some(resource::Kind::Order(order)) => Shown::Done(Box::new(order)),
            other => panic!("{other:?}"),
        },
        Polled::Pending(pending) if pending.standing() == Standing::Unspecified => Shown::UnderWay,
        Polled::Pending(Pending { standing, error, .. }) => {
            let standing = Standing::try_from(standing).unwrap();
            Shown::Stands(standing, error.unwrap().message)
        }
        Polled::Failed(failed) => {
            let error = Error::from(failed.error.unwrap());
            Shown::Failed(error.reason, error.message)
        }
        other => panic!("{other:?}"),
    }
}

/// Loses the answer of an order that is made, finds it, and answers the handle that follows it.
async fn find(bench: &Bench, write: &Write) -> Vec<u8> {
    let at = bench.first(write).await;
    bench.upstream.inject(Fault::next("order_create", FaultKind::DropAfterCommit));
    assert!(bench.step_at(write, &at).await.is_err());
    match bench.search(write, &at, &[], "").await.unwrap() {
        Found::Found(found) => match found.outcome.unwrap().outcome {
            Some(Stepped::Pending(pending)) => pending.handle,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn reasons(order: &Order) -> Vec<&str> {
    order.notices.iter().map(|notice| notice.reason.as_str()).collect()
}

#[tokio::test]
async fn found_order_in_final_state_of_failure_fails() {
    for status in [500, 410] {
        let mode = Mode { order_status: Some(status), ..Mode::default() };
        let bench = Bench::in_mode(mode).await;
        let write = order(&["a"]);
        let handle = find(&bench, &write).await;
        let shown = poll(&bench, &write, &handle).await;
        let Shown::Failed(reason, message) = shown else { panic!("{shown:?}") };
        assert_eq!(reason, ErrorReason::UpstreamFailed);
        assert!(message.contains(&format!("order 73 says {status}")), "{message}");
    }
}

#[tokio::test]
async fn final_word_without_servers_awaits_them() {
    let mode = Mode { effect_lag_ms: HOUR_MS, ..Mode::default() };
    let bench = Bench::in_mode(mode.clone()).await;
    let write = order(&["a", "b"]);
    for handle in [place(&bench, &write).await, {
        let bench = Bench::in_mode(mode).await;
        find(&bench, &write).await
    }] {
        let shown = poll(&bench, &write, &handle).await;
        shown.stands(Standing::EffectAwaited, "its item 1293, which says 201 (Delivered), has no");
    }
    let handle = place(&bench, &write).await;
    bench.upstream.advance(HOUR);
    let done = poll(&bench, &write, &handle).await.order();
    assert_eq!((done.state(), done.items[1].services.len()), (State::Completed, 1));
}

#[tokio::test]
async fn server_that_is_installed_keeps_the_order_under_way() {
    let mode = Mode { effect_lag_ms: HOUR_MS, lag_installs: true, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let write = order(&["a"]);
    let handle = find(&bench, &write).await;
    for _ in 0..3 {
        let shown = poll(&bench, &write, &handle).await;
        assert!(matches!(shown, Shown::UnderWay), "{shown:?}");
    }
    bench.upstream.advance(HOUR);
    assert_eq!(poll(&bench, &write, &handle).await.order().state(), State::Completed);
}

#[tokio::test]
async fn one_server_of_two_is_not_the_order() {
    let bench = Bench::new().await;
    let write = order(&["a", "b"]);
    let handle = place(&bench, &write).await;
    bench.upstream.set_status(73, Some(1294), 201, "Delivered").unwrap();
    bench.upstream.set_status(73, None, 201, "Order is delivered").unwrap();
    let shown = poll(&bench, &write, &handle).await;
    shown.stands(Standing::EffectAwaited, "item 1293");
    bench.upstream.set_status(73, Some(1294), 500, "No capacity").unwrap();
    let shown = poll(&bench, &write, &handle).await;
    shown.stands(Standing::EffectAwaited, "item 1293");
}

#[tokio::test]
async fn word_that_nobody_knows_decides_nothing() {
    let write = order(&["a"]);
    let bench = Bench::in_mode(Mode { order_status: Some(777), ..Mode::default() }).await;
    let handle = find(&bench, &write).await;
    poll(&bench, &write, &handle).await.stands(Standing::Unclear, "order 73 says 777");

    let mode = Mode { server_state: Some("dreaming".to_owned()), ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let handle = place(&bench, &write).await;
    poll(&bench, &write, &handle).await.stands(Standing::Unclear, "says dreaming");
    let taught = json!({ "server_states": { "dreaming": "running" } });
    let taught = open(bench.upstream.url(), taught).unwrap();
    assert_eq!(taught.follow(&write, handle).await.order().state(), State::Completed);
}

#[tokio::test]
async fn order_that_is_not_found_is_told_and_may_come_back() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let handle = place(&bench, &write).await;
    let missing = FaultKind::Fault { code: 404, text: "Not found".to_owned() };
    bench.upstream.inject(Fault::next("order_status", missing));
    bench.upstream.vanish(73, Some(1), true).unwrap();
    for _ in 0..2 {
        let shown = poll(&bench, &write, &handle).await;
        shown.stands(Standing::Unclear, "does not know order 73 any more");
    }
    bench.upstream.vanish(73, Some(0), false).unwrap();
    assert_eq!(poll(&bench, &write, &handle).await.order().state(), State::Completed);
}

#[tokio::test]
async fn servers_of_a_vanished_order_show_that_it_was_delivered() {
    let bench = Bench::new().await;
    let write = order(&["a", "b"]);
    let handle = place(&bench, &write).await;
    bench.upstream.vanish(73, None, false).unwrap();
    let done = poll(&bench, &write, &handle).await.order();
    assert_eq!((done.state(), done.name.as_str()), (State::Completed, "providers/test/orders/73"));
    assert_eq!((done.items[1].display_name.as_str(), done.items[1].id.as_str()), ("b", "1294"));
    bench.set(|mode| mode.server_state = Some("installing".to_owned()));
    let shown = poll(&bench, &write, &handle).await;
    shown.stands(Standing::Unclear, "does not know order 73 any more");
}

#[tokio::test]
async fn lapsed_order_is_not_done() {
    let bench = Bench::poor(Mode::default()).await;
    let write = order(&["a"]);
    bench.upstream.inject(Fault::next("order_create", FaultKind::DropAfterCommit));
    let at = bench.first(&write).await;
    assert!(bench.step_at(&write, &at).await.is_err());
    bench.upstream.advance(15 * 24 * HOUR);
    let found = bench.search(&write, &at, &[], "").await.unwrap();
    let Found::Found(found) = found else { panic!("{found:?}") };
    let Some(Stepped::Pending(pending)) = found.outcome.unwrap().outcome else { panic!() };
    poll(&bench, &write, &pending.handle).await.stands(Standing::NotDone, "order 73 says 408");
}

#[tokio::test]
async fn servers_that_run_count_whatever_the_order_says() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let handle = place(&bench, &write).await;
    bench.get_order("73").await.unwrap();
    for status in [408, 410, 500, 777] {
        bench.upstream.set_status(73, None, status, "told").unwrap();
        let done = poll(&bench, &write, &handle).await.order();
        assert_eq!(done.items[0].services, ["providers/test/services/1293"], "{status}");
        bench.set(|mode| mode.server_state = Some("installing".to_owned()));
        let shown = poll(&bench, &write, &handle).await;
        match status {
            777 => assert!(matches!(shown, Shown::UnderWay), "{shown:?}"),
            _ => shown.stands(Standing::Unclear, "has a server that says installing"),
        }
        bench.set(|mode| mode.server_state = None);
    }
}

#[tokio::test]
async fn order_that_is_renamed_while_it_is_followed_stays_ours() {
    let mode = Mode { delivery_ms: HOUR_MS, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let write = order(&["a"]);
    let handle = place(&bench, &write).await;
    let Polled::Pending(read) = bench.poll_one(&write, &handle).await.unwrap() else { panic!() };
    let found = bench.search(&write, &bench.first(&write).await, &[], "").await.unwrap();
    let Found::Found(found) = found else { panic!("{found:?}") };
    let Some(Stepped::Pending(found)) = found.outcome.unwrap().outcome else { panic!() };
    bench.upstream.person_renames(73, None, "web [database]").unwrap();
    bench.upstream.advance(HOUR);
    for handle in [read.handle, found.handle] {
        assert!(reasons(&poll(&bench, &write, &handle).await.order()).is_empty());
    }
    poll(&bench, &write, &handle).await.stands(Standing::Unclear, "of another request");
}

#[tokio::test]
async fn answer_that_names_another_order_is_no_success() {
    let bench = Bench::new().await;
    let stranger = bench.upstream.person_buys(TOKEN, &["shop"], Duration::ZERO).unwrap();
    assert_eq!(stranger, 73);
    bench.set(|mode| mode.answered_order = Some(73));
    let write = order(&["a"]);
    let handle = place(&bench, &write).await;
    let shown = poll(&bench, &write, &handle).await;
    shown.stands(Standing::Unclear, "order 73 was there before the request");

    bench.upstream.person_renames(73, None, "shop [01234567]").unwrap();
    let shown = poll(&bench, &write, &handle).await;
    shown.stands(Standing::Unclear, "carries the mark 01234567 of another request");

    // It is new, and has not what was asked for.
    bench.set(|mode| mode.answered_order = Some(76));
    let handle = place(&bench, &write).await;
    assert_eq!(bench.upstream.person_buys(TOKEN, &["b", "c"], Duration::ZERO), Ok(76));
    poll(&bench, &write, &handle).await.stands(Standing::Unclear, "order 76 has other items");
}

#[tokio::test]
async fn order_whose_mark_is_lost_goes_on_with_a_notice() {
    let bench = Bench::in_mode(Mode { name_limit: Some(8), ..Mode::default() }).await;
    let write = order(&["my server", "another"]);
    let done = bench.run(&write).await.order();
    assert_eq!((done.state(), reasons(&done)), (State::Completed, vec!["MARK_LOST"]));
    assert_eq!(done.items[0].display_name, "my serve");

    // Names that are sent without marks have none to lose.
    let unmarked = open(bench.upstream.url(), json!({ "item_tokens": false })).unwrap();
    assert!(reasons(&unmarked.run(&write).await.order()).is_empty());
}

#[tokio::test]
async fn order_without_mark_is_not_ours_beside_one_with_it() {
    let bench = Bench::new().await;
    bench.set(|mode| mode.answered_order = Some(74));
    let write = order(&["a"]);
    let handle = place(&bench, &write).await;
    assert_eq!(bench.upstream.person_buys(TOKEN, &["a"], Duration::ZERO), Ok(74));
    let shown = poll(&bench, &write, &handle).await;
    shown.stands(Standing::Unclear, "order 74 carries no mark, and order 73 carries its own");
}

#[tokio::test]
async fn mark_of_long_name_survives_a_cut() {
    let options =
        Options { mode: Mode { name_limit: Some(32), ..Mode::default() }, ..Default::default() };
    let bench = Bench::with(options, json!({})).await;
    let done = bench.buy(&["the server of the shop in the city"]).await;
    assert!(reasons(&done).is_empty(), "{done:?}");
    assert_eq!(done.items[0].display_name, "the server of the sho");
    assert_eq!(bench.list_services("").await[0].display_name, "the server of the sho");
}

#[tokio::test]
async fn handle_of_an_earlier_version_is_followed() {
    let bench = Bench::in_mode(Mode { name_limit: Some(8), ..Mode::default() }).await;
    let write = order(&["my server"]);
    place(&bench, &write).await;
    let done = poll(&bench, &write, b"[1,{\"order\":73,\"looks\":0}]").await.order();
    assert!(reasons(&done).is_empty(), "how it was sent is not known");
}
