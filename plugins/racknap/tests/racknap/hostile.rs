//! Answers to writes that are none: each ends in a true state, never in a success and never in a crash.

use purveyor_sdk::plugin::v1::Write;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::serde_json::Value;
use purveyor_sdk::testing::{Setup, TestHost};
use purveyor_sdk::v1::ErrorReason;
use purveyor_simulators::racknap::{AccountSeed, ErrorStyle, Mode, Options};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, configuration, create, open, order, resume, suspend, terminate};

fn word(word: impl Into<Value>, status: u16) -> FaultKind {
    FaultKind::Word { word: word.into(), status }
}

fn wrong_answers() -> Vec<FaultKind> {
    vec![
        word("Completed", 200),
        word("Warning", 200),
        word("Pending", 201),
        word("success", 200),
        word("", 200),
        word(0, 200),
        word(Value::Null, 200),
        word("Pending", 400),
        word("Success", 400),
        word("Error", 402),
        word("Error", 408),
        word("Error", 409),
        word("Error", 425),
        word("Error", 429),
        word("Error", 500),
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
async fn declared_word_with_a_declared_status_is_a_refusal() {
    let bench = Bench::new().await;
    let id = bench.upstream.make_service("racknap", 172).unwrap().to_string();
    for write in [create(order()), suspend(&id), resume(&id), terminate(&id)] {
        for (kind, expected) in [
            (word("Error", 200), "refused"),
            (word("error", 201), "refused"),
            (word(" FAILED ", 400), "refused_400"),
            (word("Failure", 401), "refused_400"),
            (word("fail", 403), "refused_403"),
            (word("Error", 404), "refused_403"),
            (word("Error", 422), "refused_422"),
        ] {
            bench.upstream.inject(Fault::next("*", kind.clone()));
            let stepped = bench.once(&write).await.unwrap();
            let Stepped::Rejected(rejected) = stepped else { panic!("{kind:?} {stepped:?}") };
            assert_eq!(rejected.proof, expected, "{kind:?}");
        }
    }
    assert!(bench.upstream.ledger().len() <= 1, "only the service made elsewhere");
}

#[tokio::test]
async fn configured_word_is_a_refusal() {
    let bench = Bench::new().await;
    let setup = Setup::new(bench.upstream.url()).credential("token", "racknap-token-0001");
    let setup = setup.configuration(configuration());
    let refusal_words = vec!["Abgelehnt".to_owned()];
    let plugin = TestHost::open(Setup { refusal_words, ..setup }).unwrap();
    let bench = Bench { plugin, ..bench };
    for (kind, refused) in [
        (word("ABGELEHNT", 200), true),
        (word("abgelehnt", 404), true),
        (word("Error", 200), true),
        (word("Abgelehnt", 409), false),
        (word("Warning", 200), false),
    ] {
        bench.upstream.inject(Fault::next("create", kind.clone()));
        let stepped = bench.once(&create(order())).await.unwrap();
        assert_eq!(matches!(stepped, Stepped::Rejected(_)), refused, "{kind:?} {stepped:?}");
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
