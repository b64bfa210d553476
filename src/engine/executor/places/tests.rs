//! Places that are given, paused, waited for and given up.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::Notify;

use super::{Places, WorkPlace};
use crate::plugin::WorkSlot;

const CAP: usize = 9;

fn places(count: usize) -> (Places, Arc<Notify>) {
    let due = Arc::new(Notify::new());
    (Places::new(count, Arc::clone(&due)), due)
}

/// A place of an account that was answered before.
fn begun(places: &Places, account: &str) -> Option<Arc<WorkPlace>> {
    let place = places.begin(account, CAP)?;
    place.answered(true);
    Some(place)
}

fn told(due: &Notify) -> bool {
    due.notified().now_or_never().is_some()
}

#[test]
fn dropped_place_is_given_to_an_account_with_work() {
    let (places, due) = places(2);
    let held = [begun(&places, "a").unwrap(), begun(&places, "a").unwrap()];
    assert!(places.begin("b", CAP).is_none());
    assert!(places.share_out([("b", CAP)], 9).is_empty());
    assert!(!told(&due));
    drop(held);
    assert!(told(&due));
    let shares = places.share_out([("b", CAP), ("c", CAP)], 9);
    assert_eq!(shares.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn place_is_others_while_its_work_waits() {
    let (places, _) = places(1);
    let waiting = begun(&places, "a").unwrap();
    assert!(waiting.resume().now_or_never().is_some());
    // A request is under way, so another one of the same call that waits changes nothing.
    waiting.pause();
    assert!(places.begin("b", CAP).is_none());
    waiting.request_ended();
    waiting.pause();
    waiting.pause();
    let other = places.begin("b", CAP).unwrap();
    let mut resumed = Box::pin(waiting.resume());
    assert!(resumed.as_mut().now_or_never().is_none());
    drop(other);
    assert!(resumed.now_or_never().is_some());
    assert!(places.begin("b", CAP).is_none());
    drop(waiting);
    assert!(places.begin("b", CAP).is_some());
}

#[test]
fn dropped_request_waits_for_no_place_and_leaves_what_it_was_given() {
    let (places, _) = places(1);
    let waiting = begun(&places, "a").unwrap();
    waiting.pause();
    let other = places.begin("b", CAP).unwrap();
    let mut given_up = Box::pin(waiting.resume());
    assert!(given_up.as_mut().now_or_never().is_none());
    drop(given_up);
    drop(other);
    // Nobody waits, so anybody may have it.
    let other = places.begin("b", CAP).unwrap();
    let mut given = Box::pin(waiting.resume());
    assert!(given.as_mut().now_or_never().is_none());
    drop(other);
    drop(given);
    assert!(places.begin("b", CAP).is_none(), "the place was given, and was not given back");
    assert!(waiting.resume().now_or_never().is_some());
    drop(waiting);
    assert!(places.begin("b", CAP).is_some());
}

#[test]
fn work_that_goes_on_and_work_that_begins_take_turns() {
    let (places, due) = places(1);
    let waiting = begun(&places, "a").unwrap();
    waiting.pause();
    let other = begun(&places, "b").unwrap();
    assert!(places.share_out([("c", CAP)], 9).is_empty());
    let mut resumed = Box::pin(waiting.resume());
    assert!(resumed.as_mut().now_or_never().is_none());
    drop(other);
    // The store's work has waited longer.
    assert!(told(&due) && resumed.as_mut().now_or_never().is_none());
    let mut begun = places.share_out([("c", CAP)], 9);
    drop(begun.remove("c").unwrap());
    assert!(resumed.now_or_never().is_some());
}

#[test]
fn drained_waits_for_held_and_paused_places() {
    let (places, _) = places(2);
    assert!(places.drained().now_or_never().is_some());
    let (held, paused) = (begun(&places, "a").unwrap(), begun(&places, "a").unwrap());
    paused.pause();
    let mut drained = Box::pin(places.drained());
    assert!(drained.as_mut().now_or_never().is_none());
    drop(held);
    assert!(drained.as_mut().now_or_never().is_none());
    drop(paused);
    assert!(drained.now_or_never().is_some());
}
