//! Suspending, resuming and terminating: whichever service it is, and whoever made it.

use purveyor_sdk::plugin::v1::Write;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::v1::service::State;
use purveyor_sdk::v1::{Effect, ErrorReason, Service, UpstreamRef};
use purveyor_simulators::racknap::{ErrorStyle, Mode, Repeats, ServiceState, Termination};

use super::driver::{Bench, reason, resume, service_name, suspend, terminate};

type Make = fn(&str) -> Write;

const CHANGES: [(Make, &str, State, ServiceState); 3] = [
    (suspend, "suspended", State::Suspended, ServiceState::Suspended),
    // The misspelling is the document's.
    (resume, "unuspended", State::Active, ServiceState::Overdue),
    (terminate, "terminated", State::Terminated, ServiceState::Terminated),
];

#[tokio::test]
async fn a_service_made_elsewhere_is_suspended_resumed_and_terminated() {
    for bench in Bench::both().await {
        let id = bench.upstream.make_service("racknap", 24).unwrap().to_string();
        for (make, word, state, upstream) in CHANGES {
            // A repeat ends in the same state.
            for _ in 0..2 {
                let changed = bench.run(&make(&id)).await.service();
                let told = UpstreamRef {
                    ids: vec![id.clone()],
                    state: "Success".to_owned(),
                    message: format!("Service has been {word} successfully."),
                    ..UpstreamRef::default()
                };
                let expected = Service {
                    name: service_name(&id),
                    state: state.into(),
                    upstream: Some(told),
                    ..Service::default()
                };
                assert_eq!(changed, expected);
                assert_eq!(bench.upstream.services()[0].state, upstream);
            }
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_proven_to_be() {
    for errors in [ErrorStyle::Ok, ErrorStyle::Http] {
        let by = |http: &'static str| if errors == ErrorStyle::Ok { "refused" } else { http };
        let mode = Mode { errors, repeats: Repeats::Refused, ..Mode::default() };
        let bench = Bench::in_mode(mode).await;
        let refused = async |write: Write, code: &str, proof: &str| {
            let stepped = bench.once(&write).await.unwrap();
            let Stepped::Rejected(rejected) = stepped else { panic!("{code}: {stepped:?}") };
            assert_eq!(rejected.proof, proof);
            let error = rejected.error.unwrap();
            assert_eq!(error.metadata["upstream_code"], code);
            assert_eq!(error.reason(), ErrorReason::UpstreamRejected);
        };
        refused(suspend("99"), "4001", by("refused_403")).await;
        let id = bench.upstream.make_service("racknap", 172).unwrap().to_string();
        bench.run(&suspend(&id)).await.service();
        refused(suspend(&id), "4003", by("refused_400")).await;
        bench.run(&terminate(&id)).await.service();
        refused(resume(&id), "4002", by("refused_400")).await;
    }
}

#[tokio::test]
async fn an_answer_without_a_status_is_unknown() {
    let bench = Bench::in_mode(Mode { termination: Termination::Blank, ..Mode::default() }).await;
    let id = bench.upstream.make_service("racknap", 172).unwrap().to_string();
    let stepped = bench.once(&terminate(&id)).await.unwrap();
    assert!(matches!(stepped, Stepped::Unknown(_)), "{stepped:?}");
    assert_eq!(bench.upstream.services()[0].state, ServiceState::Terminated);
}

#[tokio::test]
async fn what_is_no_number_is_no_service_and_nobody_is_asked() {
    let bench = Bench::new().await;
    for id in ["x", "0", "-1", "01", "1.0", "99999999999999999999"] {
        for (make, ..) in CHANGES {
            assert_eq!(reason(bench.once(&make(id)).await), ErrorReason::ServiceNotFound, "{id}");
            assert_eq!(reason(bench.quote(&make(id)).await), ErrorReason::ServiceNotFound);
        }
    }
    assert!(bench.sent().is_empty());
}

#[tokio::test]
async fn a_quote_of_a_change_names_its_call() {
    let bench = Bench::new().await;
    let calls = ["service/suspend", "service/unsuspend", "service/terminate"];
    for ((make, ..), call) in CHANGES.into_iter().zip(calls) {
        let quote = bench.quote(&make("1334")).await.unwrap();
        let steps: Vec<_> = quote.steps.iter().map(|it| (it.call.as_str(), it.effect())).collect();
        assert_eq!(steps, [(call, Effect::Setting)]);
        assert_eq!(quote.price, None);
    }
    assert!(bench.sent().is_empty());
}
