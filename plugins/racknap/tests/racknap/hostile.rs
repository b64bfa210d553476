//! Answers to writes that are none: each ends in a true state, never in a success and never in a crash.

use purveyor_sdk::plugin::v1::Write;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::v1::ErrorReason;
use purveyor_simulators::racknap::{AccountSeed, ErrorStyle, Mode, Options};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, configuration, create, open, order, resume, suspend, terminate};

fn wrong_answers() -> Vec<FaultKind> {
    vec![
        FaultKind::Nil,
        FaultKind::WrongType,
        FaultKind::XmlBomb,
        FaultKind::NestedArrays { depth: 40_000 },
        FaultKind::Garbage,
        FaultKind::Megabytes { n: 1 },
        FaultKind::Status { status: 500 },
        FaultKind::Status { status: 502 },
        FaultKind::Status { status: 404 },
        FaultKind::Status { status: 204 },
        FaultKind::Redirect,
    ]
}

#[tokio::test]
async fn a_write_is_unknown_whether_it_was_done_or_not() {
    let bench = Bench::new().await;
    let writes = |id: &str| [create(order()), suspend(id), resume(id), terminate(id)];
    for committed in [false, true] {
        for kind in wrong_answers() {
            let id = bench.upstream.make_service("racknap", 172).unwrap().to_string();
            for write in writes(&id) {
                let fault = Fault::next("*", kind.clone());
                bench.upstream.inject(if committed { fault.committed() } else { fault });
                let stepped = bench.once(&write).await;
                assert!(matches!(stepped, Ok(Stepped::Unknown(_))), "{kind:?} {stepped:?}");
            }
        }
    }
}

#[tokio::test]
async fn slow_answers_are_answers() {
    let bench = Bench::new().await;
    for committed in [false, true] {
        let fault = Fault::next("create", FaultKind::Slow { ms: 1 });
        bench.upstream.inject(if committed { fault.committed() } else { fault });
        bench.run(&create(order())).await.order();
    }
    assert_eq!(bench.upstream.ledger().len(), 2);
}

#[tokio::test]
async fn a_record_that_comes_late_is_no_answer() {
    let bench = Bench::new().await;
    bench.upstream.inject(Fault::next("create", FaultKind::LateCommit { ms: 0 }));
    let error = bench.once(&create(order())).await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::UpstreamUnavailable);
}

#[tokio::test]
async fn an_error_of_the_upstream_is_a_refusal_under_whatever_name() {
    for errors in [ErrorStyle::Ok, ErrorStyle::Http] {
        for name in ["error_code", "errorcode", "error code", "code"] {
            let code_member = name.to_owned();
            let bench = Bench::in_mode(Mode { errors, code_member, ..Mode::default() }).await;
            let fault = FaultKind::Fault { code: 17, text: "Not now.".to_owned() };
            bench.upstream.inject(Fault::next("create", fault));
            let stepped = bench.once(&create(order())).await.unwrap();
            let Stepped::Rejected(rejected) = stepped else { panic!("{stepped:?}") };
            let error = rejected.error.unwrap();
            assert_eq!(error.metadata["upstream_code"], "17");
            assert_eq!(error.message, "the upstream refused: Not now.");
        }
    }
}

#[tokio::test]
async fn whoever_may_not_is_refused() {
    let locked = AccountSeed { locked: true, ..AccountSeed::default() };
    let check = async |accounts: Vec<AccountSeed>, token: &str, code: &str| {
        let mode = Mode { errors: ErrorStyle::Http, ..Mode::default() };
        let options = Options { accounts, mode, ..Options::default() };
        let bench = Bench::with(options, configuration()).await;
        let plugin = open(bench.upstream.url(), configuration(), token).unwrap();
        let write: Write = create(order());
        let at = purveyor_sdk::testing::Position { step: 1, ..Default::default() };
        let stepped = plugin.step_at(&write, &at).await.unwrap();
        let Stepped::Rejected(rejected) = stepped else { panic!("{stepped:?}") };
        let error = rejected.error.unwrap();
        assert_eq!(error.reason(), ErrorReason::UpstreamCredentials);
        assert_eq!(error.metadata["upstream_code"], code);
        assert!(!error.message.contains(token));
        assert!(bench.upstream.ledger().is_empty());
    };
    check(vec![AccountSeed::default()], "another-token", "1003").await;
    check(vec![locked], "racknap-token-0001", "1005").await;
    let expires = Some("2001-01-01T00:00:00Z".parse().unwrap());
    let expired = AccountSeed { expires, ..AccountSeed::default() };
    check(vec![expired], "racknap-token-0001", "1004").await;
}
