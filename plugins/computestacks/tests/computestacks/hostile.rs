//! Answers that are none: each ends in a true state, never in a success and never in a crash.

use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::testing::Position;
use purveyor_sdk::v1::{ErrorReason, Product};
use purveyor_simulators::computestacks::Mode;
use purveyor_simulators::{Fault, FaultKind};

use super::bench::{
    Bench, CREATE, DELETE, LIST, PATCH, PLAN, RULE, SHOW, create, delete, package, reason, sold,
    update,
};

fn wrong_answers() -> Vec<FaultKind> {
    vec![
        FaultKind::Nil,
        FaultKind::WrongType,
        FaultKind::XmlBomb,
        FaultKind::NestedArrays { depth: 40_000 },
        FaultKind::Garbage,
        FaultKind::Status { status: 500 },
        FaultKind::Status { status: 404 },
        FaultKind::Status { status: 401 },
        FaultKind::Status { status: 403 },
        FaultKind::Status { status: 422 },
        FaultKind::Status { status: 400 },
        FaultKind::Status { status: 206 },
        FaultKind::Redirect,
        FaultKind::Fault { code: 500, text: "Error".to_owned() },
        FaultKind::Fault { code: 400, text: "Error".to_owned() },
    ]
}

#[tokio::test]
async fn a_read_fails_and_says_so() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let more = [
        FaultKind::TruncateAfterCommit,
        FaultKind::DropBeforeCommit,
        FaultKind::ResetAfterCommit,
        FaultKind::CutAfterCommit { bytes: 30 },
    ];
    for method in [SHOW, PLAN] {
        for kind in wrong_answers().into_iter().chain(more.clone()) {
            bench.upstream.inject(Fault::next(method, kind.clone()));
            let read = bench.get(&made.name).await;
            assert_eq!(reason(read), ErrorReason::UpstreamUnavailable, "{method} {kind:?}");
        }
    }
    // An answer that is a product, but of another identifier, is not this one.
    let other = bench.make(package("t")).await;
    bench.upstream.inject(Fault::next(SHOW, FaultKind::Megabytes { n: 1 }));
    assert_eq!(reason(bench.get(&other.name).await), ErrorReason::UpstreamUnavailable);
    assert!(bench.get(&made.name).await.is_ok());
}

#[tokio::test]
async fn a_write_is_unknown_whether_it_was_done_or_not() {
    let bench = Bench::new().await;
    let made = bench.make(package("s")).await;
    let wanted = Product { name: made.name.clone(), ..sold("s") };
    let rules = update(wanted.clone(), &["offers"]);
    let writes = [
        (create(package("n")), CREATE),
        (update(wanted, &["display_name"]), PATCH),
        (delete(&made.name, false), DELETE),
        (rules, RULE),
    ];
    for (write, method) in &writes {
        for kind in wrong_answers() {
            let mut at = bench.before(write, Position::default()).await;
            if *method == RULE && bench.asked(RULE) == 0 {
                let next = bench.step(write, at).await;
                at = bench.before(write, next).await;
            }
            bench.upstream.inject(Fault::next(method, kind.clone()));
            let stepped = bench.plugin.step_at(write, &at).await;
            let unknown = matches!(stepped, Ok(Stepped::Unknown(_)));
            assert!(unknown, "{method} {kind:?}: {stepped:?}");
        }
    }
}

#[tokio::test]
async fn only_what_the_application_itself_says_refuses() {
    let cases = [
        (401, "unauthorized", ErrorReason::UpstreamCredentials),
        (403, "forbidden", ErrorReason::UpstreamCredentials),
        (404, "missing", ErrorReason::UpstreamApiGone),
        (422, "invalid", ErrorReason::UpstreamRejected),
    ];
    let bench = Bench::new().await;
    for (code, proof, reason) in cases {
        let write = create(package("s"));
        let at = bench.before(&write, Position::default()).await;
        let fault = FaultKind::Fault { code, text: "No".to_owned() };
        bench.upstream.inject(Fault::next(CREATE, fault));
        let stepped = bench.plugin.step_at(&write, &at).await.unwrap();
        let Stepped::Rejected(rejected) = stepped else { panic!("{code}: {stepped:?}") };
        let error = purveyor_sdk::Error::from(rejected.error.unwrap());
        assert_eq!((rejected.proof.as_str(), error.reason), (proof, reason), "{code}");
        assert_eq!(error.metadata["upstream_code"], code.to_string());
    }
    assert!(bench.done().is_empty());
}

#[tokio::test]
async fn limit_of_requests_refuses_in_its_own_word_alone() {
    let check = async |mode: Mode, fault: Option<FaultKind>, expected: &str| {
        let bench = Bench::new().await;
        let write = create(package("s"));
        let at = bench.before(&write, Position::default()).await;
        bench.upstream.set_mode(mode);
        match &fault {
            Some(kind) => bench.upstream.inject(Fault::next(CREATE, kind.clone())),
            // The one request that the limit allows.
            None => drop(bench.get("providers/test/products/1").await),
        }
        let told = match bench.plugin.step_at(&write, &at).await.unwrap() {
            Stepped::Rejected(rejected) => rejected.proof,
            Stepped::Unknown(_) => "unknown".to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(told, expected, "{fault:?}");
    };
    check(Mode { rate_limit: 1, ..Mode::default() }, None, "throttled").await;
    for code in [408, 409, 425, 429] {
        let fault = FaultKind::Fault { code, text: "Throttled".to_owned() };
        check(Mode::default(), Some(fault), "unknown").await;
    }
    check(Mode::default(), Some(FaultKind::Status { status: 429 }), "unknown").await;
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_again() {
    let bench = Bench::in_mode(Mode { rate_limit: 1, ..Mode::default() }).await;
    let first = bench.get("providers/test/products/9").await;
    assert_eq!(reason(first), ErrorReason::ProductNotFound);
    let error = bench.get("providers/test/products/9").await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamRateLimit);
    assert!(error.retry_after.is_some_and(|after| after.as_secs() <= 300));
}

#[tokio::test]
async fn a_list_that_changes_while_it_is_read_proves_nothing() {
    let bench = Bench::new().await;
    for _ in 0..200 {
        bench.make(package("s")).await;
    }
    let write = create(package("n"));
    // The second page comes late; a product is deleted in between, and a row moves to the first
    // page.
    let before = bench.asked(LIST);
    bench.upstream.inject(Fault::next(LIST, FaultKind::Slow { ms: 3_600_000 }).after(1));
    let (looked, ()) = tokio::join!(bench.before(&write, Position::default()), async {
        while bench.asked(LIST) < before + 2 {
            tokio::task::yield_now().await;
        }
        bench.upstream.person_deletes(1).unwrap();
        bench.upstream.advance(std::time::Duration::from_secs(3600));
    });
    assert!(!looked.evidence.evidence.is_empty());
    // Two pages that did not fit together, and then one that holds all.
    assert_eq!(bench.asked(LIST) - before, 3);
}

#[tokio::test]
async fn a_poll_that_cannot_be_answered_is_repeated() {
    let bench = Bench::new().await;
    let write = create(sold("s"));
    let mut at = Position::default();
    for _ in 0..3 {
        at = bench.step(&write, at).await;
    }
    let at = bench.before(&write, at).await;
    let stepped = bench.plugin.step_at(&write, &at).await.unwrap();
    let Stepped::Pending(pending) = stepped else { panic!("{stepped:?}") };
    let handle = pending.handle;
    for method in [SHOW, PLAN] {
        bench.upstream.inject(Fault::next(method, FaultKind::Garbage));
        let polled = bench.plugin.poll_one(&write, &handle).await.unwrap();
        assert!(matches!(polled, Polled::Unavailable(_)), "{method} {polled:?}");
    }
    let polled = bench.plugin.poll_one(&write, &handle).await.unwrap();
    assert!(matches!(polled, Polled::Done(_)), "{polled:?}");
    let polled = bench.plugin.poll_one(&write, b"[7,{}]").await.unwrap();
    assert!(matches!(polled, Polled::Unavailable(_)), "{polled:?}");
}
