//! What speaks against the absence of an order whose answer was lost: new orders that nothing explains,
//! and lists that are not whole.

use std::time::Duration;

use purveyor_sdk::plugin::v1::find_response::{Absent, Outcome as Found};
use purveyor_sdk::plugin::v1::{FindRequest, Write, find_request};
use purveyor_sdk::prost_types::Timestamp;
use purveyor_sdk::testing::Position;
use purveyor_simulators::klikk::Mode;
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, TOKEN, of_another, order};

const OTHER: &str = "5c0a3f1e-4f3b-4f5e-9d53-222222222222";
const THIRD: &str = "5c0a3f1e-4f3b-4f5e-9d53-333333333333";

/// Sends one order whose answer is lost, and answers what was known before.
async fn lose(bench: &Bench, write: &Write, kind: FaultKind) -> Position {
    let at = bench.first(write).await;
    bench.upstream.inject(Fault::next("order_create", kind));
    assert!(bench.step_at(write, &at).await.is_err());
    at
}

/// What is known of other writes.
#[derive(Default)]
struct Known<'a> {
    claimed: &'a [&'a str],
    others: &'a [&'a str],
    witnesses: &'a [&'a str],
}

async fn search(bench: &Bench, write: &Write, at: &Position, known: Known<'_>) -> Found {
    let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    let send_time = Some(Timestamp::default());
    let request = FindRequest {
        write: Some(write.clone()),
        step: at.step,
        evidence: at.evidence.evidence.clone(),
        attempts: vec![find_request::Attempt { number: 1, send_time, ..Default::default() }],
        claimed_ids: texts(known.claimed),
        other_request_ids: texts(known.others),
        witness_ids: texts(known.witnesses),
        ..FindRequest::default()
    };
    bench.plugin.find(&request).await.unwrap().outcome.unwrap()
}

async fn absent(bench: &Bench, write: &Write, at: &Position, known: Known<'_>) -> Absent {
    match search(bench, write, at, known).await {
        Found::Absent(absent) => absent,
        other => panic!("{other:?}"),
    }
}

fn unexplained(absent: &Absent) -> Vec<&str> {
    absent.unexplained.iter().map(|it| it.id()).collect()
}

#[tokio::test]
async fn cut_or_changed_names_forbid_absence() {
    let bench = Bench::in_mode(Mode { name_limit: Some(8), ..Mode::default() }).await;
    let write = order(&["my server"]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let told = absent(&bench, &write, &at, Known::default()).await;
    assert_eq!((unexplained(&told), told.incomplete.as_str()), (vec!["73"], ""));
    assert_eq!(told.alike_ids, ["73"], "its name is the beginning of what was sent");

    let bench = Bench::new().await;
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    for name in ["shop", "web [database]", ""] {
        bench.upstream.person_renames(73, None, name).unwrap();
        let told =
            absent(&bench, &write, &at, Known { others: &[OTHER], ..Known::default() }).await;
        assert_eq!((unexplained(&told), told.marked_ids.len()), (vec!["73"], 0), "{name:?}");
        assert!(told.alike_ids.is_empty(), "{name:?}");
    }
    // A person who knows can say so.
    bench.upstream.person_renames(73, None, "shop").unwrap();
    let named = bench.search(&write, &at, &[], "73").await.unwrap();
    assert!(matches!(named, Found::Found(_)), "{named:?}");
}

#[tokio::test]
async fn order_of_a_person_is_not_alike() {
    let bench = Bench::new().await;
    let write = order(&["my server"]);
    let at = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    // The beginning of what was sent, and what is too short for that, of another name, with other items.
    for names in [&["my server"][..], &["my serv"], &["shop"], &["my server", "my server"]] {
        bench.upstream.person_buys(TOKEN, names, Duration::ZERO).unwrap();
    }
    let told = absent(&bench, &write, &at, Known::default()).await;
    assert_eq!((unexplained(&told).len(), told.alike_ids), (4, vec!["73".to_owned()]));
}

#[tokio::test]
async fn nothing_new_is_absence() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    assert_eq!(absent(&bench, &write, &at, Known::default()).await, Absent::default());
}

#[tokio::test]
async fn others_orders_are_explained_by_claim_or_mark() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    let other = of_another(order(&["a", "b"]));
    for _ in 0..2 {
        bench.run(&other).await.order();
    }
    bench.upstream.person_buys(TOKEN, &["a"], Duration::from_secs(7200)).unwrap();
    let told = absent(&bench, &write, &at, Known::default()).await;
    assert_eq!(unexplained(&told), ["73", "74", "75"]);
    // One order for each mark; the order of a person is dated ahead.
    let others = &[OTHER, THIRD][..];
    let told = absent(&bench, &write, &at, Known { others, ..Known::default() }).await;
    assert_eq!(
        (unexplained(&told), told.marked_ids.as_slice()),
        (vec!["74", "75"], &["73".to_owned()][..])
    );
    let claimed = &["73", "75"][..];
    let told = absent(&bench, &write, &at, Known { others, claimed, ..Known::default() }).await;
    assert_eq!((unexplained(&told), told.marked_ids.len()), (vec!["74"], 0));
}

#[tokio::test]
async fn order_with_the_marks_of_two_requests_is_unexplained() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    bench.run(&of_another(order(&["a", "b"]))).await.order();
    let third = Write { request_id: THIRD.to_owned(), ..order(&["c"]) };
    let marked = bench.run(&third).await.order();
    let whole = marked.items[0].attributes.clone().unwrap().fields["reference"].clone();
    let Some(purveyor_sdk::prost_types::value::Kind::StringValue(name)) = whole.kind else {
        panic!()
    };
    bench.upstream.person_renames(73, Some(1294), &name).unwrap();
    let others = &[OTHER, THIRD][..];
    let told = absent(&bench, &write, &at, Known { others, ..Known::default() }).await;
    assert_eq!((unexplained(&told), told.marked_ids.len()), (vec!["73", "74"], 0));
}

#[tokio::test]
async fn list_that_lacks_what_exists_is_not_whole() {
    let bench = Bench::new().await;
    assert_eq!(bench.upstream.person_buys(TOKEN, &["a"], Duration::ZERO), Ok(73));
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    assert_eq!(at.evidence.highest_id, "73");
    bench.set(|mode| mode.listing_lag_ms = 3_600_000);
    let told = absent(&bench, &write, &at, Known::default()).await;
    assert_eq!(told.incomplete, "73 exists and is not listed");
    // What does not exist any more is not missed.
    bench.upstream.vanish(73, None, true).unwrap();
    assert_eq!(absent(&bench, &write, &at, Known::default()).await.incomplete, "");
    let witnesses = &["75", "74"][..];
    let told = absent(&bench, &write, &at, Known { witnesses, ..Known::default() }).await;
    assert_eq!(told.incomplete, "");
    bench.run(&of_another(order(&["b"]))).await.order();
    let told = absent(&bench, &write, &at, Known { witnesses, ..Known::default() }).await;
    assert_eq!(told.incomplete, "74 exists and is not listed");
    // Nothing that is known is listed.
    bench.upstream.vanish(72, None, true).unwrap();
    let told = absent(&bench, &write, &at, Known::default()).await;
    assert_eq!(told.incomplete, "nothing that the account is known to have is listed");
}

#[tokio::test]
async fn order_that_is_listed_and_cannot_be_read_is_unexplained() {
    let bench = Bench::in_mode(Mode { list_items: false, ..Mode::default() }).await;
    let write = order(&["a"]);
    let at = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    bench.set(|mode| mode.status_lag_ms = 3_600_000);
    assert_eq!(unexplained(&absent(&bench, &write, &at, Known::default()).await), ["73"]);
    bench.upstream.advance(Duration::from_secs(3600));
    let found = search(&bench, &write, &at, Known::default()).await;
    assert!(matches!(found, Found::Found(_)), "{found:?}");
}

#[tokio::test]
async fn evidence_of_an_earlier_version_proves_no_absence() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let mut at = lose(&bench, &write, FaultKind::DropBeforeCommit).await;
    at.evidence.evidence = br#"[1,{"tokens":true,"present":[]}]"#.to_vec();
    let told = absent(&bench, &write, &at, Known::default()).await;
    assert!(told.incomplete.starts_with("no orders were listed"), "{told:?}");
    at.evidence.evidence = br#"[1,{"tokens":false,"present":[72]}]"#.to_vec();
    assert_eq!(absent(&bench, &write, &at, Known::default()).await, Absent::default());
    bench.upstream.person_buys(TOKEN, &["a"], Duration::ZERO).unwrap();
    assert_eq!(unexplained(&absent(&bench, &write, &at, Known::default()).await), ["73"]);
}

#[tokio::test]
async fn order_of_each_attempt_is_found_by_itself() {
    let bench = Bench::new().await;
    let write = order(&["a"]);
    let first = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let second = lose(&bench, &write, FaultKind::DropAfterCommit).await;
    let id = |found: Found| match found {
        Found::Found(found) => found.upstream_id,
        Found::Absent(absent) => {
            assert_eq!(unexplained(&absent), absent.alike_ids);
            absent.alike_ids.join(" and ")
        }
    };
    let found = async |at, claimed| {
        id(search(&bench, &write, at, Known { claimed, ..Known::default() }).await)
    };
    assert_eq!(found(&second, &[][..]).await, "74");
    assert_eq!(found(&first, &[][..]).await, "73 and 74");
    assert_eq!(found(&first, &["74"][..]).await, "73");
    // An order with our marks that another operation has claimed is not absent.
    assert_eq!(found(&second, &["74"][..]).await, "74");
}
