//! What the upstream says and what shows: a write is done by its effect alone.

use std::time::Duration;

use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::resource::Kind as Resource;
use purveyor_sdk::plugin::v1::step_outcome::Standing;
use purveyor_sdk::plugin::v1::{Op, Write};
use purveyor_sdk::serde_json::{self, Value, json};
use purveyor_sdk::testing::{Ended, write};
use purveyor_sdk::v1::order::State;
use purveyor_sdk::v1::{CancelOrderRequest, ErrorReason, Order, renewal};
use purveyor_simulators::gandi::Mode;
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{
    Bench, changes, item, order, person_buys, person_changes, poll_on, sent, states, twins,
};

const AWAITED: Standing = Standing::EffectAwaited;
const HOUR_MS: u64 = 3_600_000;

fn services(order: &Order) -> Vec<&str> {
    let names = order.items.iter().flat_map(|item| &item.services);
    names.map(|name| name.rsplit('/').next().unwrap()).collect()
}

#[tokio::test]
async fn change_done_without_effect_is_awaited_until_it_shows() {
    for (which, shown) in ["has the quantity 2", "still ends", "is still there"].iter().enumerate()
    {
        let bench = Bench::new().await;
        let service = bench.service("cores", 2, 1).await;
        bench.set(|mode| mode.effect_lag_ms = HOUR_MS);
        let write = &changes(&service)[which];
        let handle = sent(&bench, write).await;
        let (handle, view, standing, message) = poll_on(&bench, write, &handle).await;
        assert_eq!(standing, AWAITED, "{shown}");
        assert!(
            message.starts_with("operation 637367 is DONE") && message.contains(shown),
            "{message}"
        );
        match view {
            Resource::Renewal(view) => assert_eq!(view.state(), renewal::State::Processing),
            Resource::Service(view) => {
                assert_eq!((view.quantity, view.state()), (2, service.state()))
            }
            other => panic!("{other:?}"),
        }
        bench.upstream.advance(Duration::from_millis(HOUR_MS));
        let Ended::Done(done) = bench.follow(write, handle).await else { panic!("{shown}") };
        match done {
            Resource::Renewal(done) => assert_eq!(done.state(), renewal::State::Completed),
            Resource::Service(done) if which == 0 => assert_eq!(done.quantity, 5),
            Resource::Service(done) => assert_ne!(done.state(), service.state()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn purchase_done_without_product_is_awaited_until_it_shows() {
    for mode in [
        Mode::default(),
        Mode { operations_name_product: true, ..Mode::default() },
        Mode { operations_silent: true, ..Mode::default() },
    ] {
        let bench = Bench::in_mode(Mode { effect_lag_ms: HOUR_MS, ..mode }).await;
        let write = order(vec![item("ips", 1, 1)]);
        let handle = sent(&bench, &write).await;
        let (handle, view, standing, message) = poll_on(&bench, &write, &handle).await;
        let Resource::Order(view) = view else { panic!("{view:?}") };
        assert_eq!((standing, states(&view)), (AWAITED, vec![State::Provisioning]), "{message}");
        bench.upstream.advance(Duration::from_millis(HOUR_MS));
        let done = bench.follow(&write, handle).await.order();
        assert_eq!((done.state(), services(&done)), (State::Completed, vec!["11155"]));
    }
}

#[tokio::test]
async fn operation_of_something_else_never_completes_a_change() {
    for which in 0..3 {
        let (bench, service, other) = twins().await;
        let write = &changes(&service)[which];
        person_changes(&bench, &other, which, 5);
        let handle = br#"[1,{"operation":637368,"looks":0}]"#;
        let (.., standing, message) = poll_on(&bench, write, handle).await;
        assert_eq!(standing, AWAITED, "{message}");
    }
}

#[tokio::test]
async fn support_goes_on_with_a_renewal() {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 1).await;
    bench.set(|mode| mode.bill_ms = 60_000);
    let [_, write, _] = changes(&service);
    let handle = sent(&bench, &write).await;
    bench.upstream.set_step(637_367, "SUPPORT", Some("ask us")).unwrap();
    let (handle, view, standing, _) = poll_on(&bench, &write, &handle).await;
    let Resource::Renewal(view) = view else { panic!("{view:?}") };
    assert_eq!((view.state(), standing), (renewal::State::ActionRequired, Standing::Unspecified));
    bench.upstream.set_step(637_367, "DONE", None).unwrap();
    assert_eq!(bench.follow(&write, handle).await.renewal().state(), renewal::State::Completed);
}

#[tokio::test]
async fn cancelled_purchase_has_failed() {
    let bench = Bench::in_mode(Mode { bill_ms: 60_000, ..Mode::default() }).await;
    let write = order(vec![item("ips", 1, 1)]);
    let handle = sent(&bench, &write).await;
    bench.upstream.set_step(637_366, "CANCEL", None).unwrap();
    let Ended::Failed(error, Some(Resource::Order(view))) = bench.follow(&write, handle).await
    else {
        panic!("not failed");
    };
    assert_eq!((error.reason, view.state()), (ErrorReason::UpstreamFailed, State::Cancelled));
}

#[tokio::test]
async fn cancellation_that_is_carried_out_all_the_same_has_failed() {
    let mode = Mode { bill_ms: 60_000, cancels_in_vain: true, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    sent(&bench, &order(vec![item("ips", 1, 1)])).await;
    let name = "providers/test/orders/637366".to_owned();
    let request = CancelOrderRequest { name, ..CancelOrderRequest::default() };
    let write = write(Op::CancelOrder, &request, "637366");
    let handle = sent(&bench, &write).await;
    let (handle, _, standing, _) = poll_on(&bench, &write, &handle).await;
    assert_eq!(standing, Standing::Unspecified);
    bench.upstream.set_word(637_366, Some("HELD")).unwrap();
    let (handle, _, standing, message) = poll_on(&bench, &write, &handle).await;
    assert_eq!(standing, Standing::Unclear, "{message}");
    bench.upstream.set_word(637_366, None).unwrap();
    bench.upstream.set_step(637_366, "DONE", None).unwrap();
    let Ended::Failed(error, Some(Resource::Order(view))) = bench.follow(&write, handle).await
    else {
        panic!("not failed");
    };
    assert_eq!((error.reason, view.state()), (ErrorReason::UpstreamFailed, State::Completed));
    assert!(error.message.contains("carried it out"), "{error}");
}

fn writes(service: &purveyor_sdk::v1::Service) -> Vec<Write> {
    let mut writes = changes(service).to_vec();
    writes.push(order(vec![item("ips", 1, 1)]));
    writes
}

#[tokio::test]
async fn word_that_is_not_known_counts_by_the_effect() {
    for which in 0..4 {
        let bench = Bench::new().await;
        let service = bench.service("cores", 2, 1).await;
        bench.set(|mode| mode.effect_lag_ms = HOUR_MS);
        let write = &writes(&service)[which];
        let handle = sent(&bench, write).await;
        bench.upstream.set_word(637_367, Some("HELD")).unwrap();
        let (handle, .., standing, message) = poll_on(&bench, write, &handle).await;
        assert_eq!(standing, Standing::Unclear);
        assert!(message.starts_with("operation 637367 is HELD"), "{message}");
        bench.upstream.advance(Duration::from_millis(HOUR_MS));
        let ended = bench.follow(write, handle).await;
        assert!(matches!(ended, Ended::Done(_)), "{ended:?}");
    }
}

#[tokio::test]
async fn operation_that_is_not_there_once_is_followed_on() {
    for which in 0..4 {
        let bench = Bench::new().await;
        let service = bench.service("cores", 2, 1).await;
        bench.set(|mode| mode.bill_ms = 60_000);
        let write = &writes(&service)[which];
        let handle = sent(&bench, write).await;
        let fault = FaultKind::Fault { code: 510_242, text: "no such operation".to_owned() };
        bench.upstream.inject(Fault::next("operation.info", fault));
        let (handle, .., standing, message) = poll_on(&bench, write, &handle).await;
        assert_eq!(standing, Standing::Unclear);
        assert!(message.starts_with("the upstream does not know operation 637367"), "{message}");
        let (handle, .., standing, _) = poll_on(&bench, write, &handle).await;
        assert_eq!(standing, Standing::Unspecified);
        bench.upstream.set_step(637_367, "DONE", None).unwrap();
        let ended = bench.follow(write, handle).await;
        assert!(matches!(ended, Ended::Done(_)), "{ended:?}");
    }
}

#[tokio::test]
async fn alike_orders_at_once_get_a_service_each() {
    for later_first in [false, true] {
        let bench = Bench::in_mode(Mode { bill_ms: 60_000, ..Mode::default() }).await;
        let write = order(vec![item("ips", 1, 1)]);
        let mut handles = Vec::new();
        for _ in 0..3 {
            handles.push(sent(&bench, &write).await);
        }
        person_buys(&bench, "ips", 1, None);
        bench.upstream.advance(Duration::from_secs(61));
        let mut told = vec![String::new(); 3];
        for index in if later_first { [2, 1, 0] } else { [0, 1, 2] } {
            let done = bench.follow(&write, handles[index].clone()).await.order();
            told[index] = services(&done).join(" ");
            assert!(done.notices.is_empty());
        }
        assert_eq!(told, ["11155", "11156", "11157"]);
    }
}

#[tokio::test]
async fn alike_order_after_another_does_not_take_its_service_when_effects_lag() {
    let bench = Bench::in_mode(Mode { effect_lag_ms: 6_000, ..Mode::default() }).await;
    let write = order(vec![item("ips", 1, 1)]);
    let first = sent(&bench, &write).await;
    bench.upstream.advance(Duration::from_secs(4));
    let second = sent(&bench, &write).await;
    // The first one's product shows by now, and the second one's does not.
    bench.upstream.advance(Duration::from_secs(3));
    let (second, _, standing, _) = poll_on(&bench, &write, &second).await;
    assert_eq!(standing, AWAITED);
    bench.upstream.advance(Duration::from_secs(4));
    let second = bench.follow(&write, second).await.order();
    let first = bench.follow(&write, first).await.order();
    assert_eq!((services(&first), services(&second)), (vec!["11155"], vec!["11156"]));
}

#[tokio::test]
async fn service_that_cannot_be_told_is_waited_for_and_then_noticed() {
    let bench = Bench::in_mode(Mode { bill_ms: 60_000, ..Mode::default() }).await;
    let write = order(vec![item("ips", 1, 1)]);
    let mine = sent(&bench, &write).await;
    person_buys(&bench, "ips", 1, None);
    bench.upstream.advance(Duration::from_secs(61));
    // The person's operation has made a product, and its word is not among the known ones.
    bench.upstream.set_word(637_367, Some("HELD")).unwrap();
    let (handle, view, standing, _) = poll_on(&bench, &write, &mine).await;
    let Resource::Order(view) = view else { panic!("{view:?}") };
    assert_eq!((standing, services(&view).len()), (Standing::Unspecified, 0));
    let mut kept: Value = serde_json::from_slice(&handle).unwrap();
    let since = kept[1]["untold_since"].as_i64().unwrap();
    kept[1]["untold_since"] = json!(since - 601);
    let later = kept.to_string().into_bytes();
    let done = bench.follow(&write, later).await.order();
    assert_eq!((done.state(), services(&done).len()), (State::Completed, 1));
    assert_eq!(done.notices[0].reason, "SERVICES_NOT_TOLD");
    // Told in time, it is named.
    bench.upstream.set_word(637_367, None).unwrap();
    let done = bench.follow(&write, handle).await.order();
    assert_eq!((services(&done), done.notices.len()), (vec!["11155"], 0));
}

#[tokio::test]
async fn what_has_shown_once_counts_although_the_rest_goes_on() {
    let bench = Bench::in_mode(Mode { bill_ms: 60_000, ..Mode::default() }).await;
    let write = order(vec![item("ips", 1, 1), item("cores", 2, 1)]);
    let at = purveyor_sdk::testing::Position { step: 1, ..Default::default() };
    let at = bench.prepared(&write, at).await.unwrap();
    let stepped = bench.step_at(&write, &at).await.unwrap();
    let purveyor_sdk::plugin::v1::step_outcome::Outcome::Next(next) = stepped else {
        panic!("{stepped:?}");
    };
    let at = bench.prepared(&write, at.after(next.handle)).await.unwrap();
    let stepped = bench.step_at(&write, &at).await.unwrap();
    let purveyor_sdk::plugin::v1::step_outcome::Outcome::Pending(pending) = stepped else {
        panic!("{stepped:?}");
    };
    bench.upstream.set_step(637_366, "DONE", None).unwrap();
    let (handle, view, ..) = poll_on(&bench, &write, &pending.handle).await;
    let Resource::Order(view) = view else { panic!("{view:?}") };
    assert_eq!(services(&view), ["11155"]);
    let service = bench.get_service("11155").await.unwrap();
    person_changes(&bench, &service, 2, 0);
    bench.upstream.advance(Duration::from_secs(61));
    let polled = bench.poll_one(&write, &handle).await.unwrap();
    let Polled::Done(done) = polled else { panic!("{polled:?}") };
    let Some(Resource::Order(done)) = done.resource.unwrap().kind else { panic!() };
    assert_eq!(services(&done), ["11155", "11156"]);
}
