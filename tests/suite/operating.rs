//! What people do about operations: taking back what was not sent, and deciding what only a person can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use purveyor_sdk::prost_types;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::resolve_operation_request::{Executed, NotExecuted, Resolution};
use purveyor_sdk::v1::{
    CancelOperationRequest, CancelOrderRequest, CreateOrderRequest, Operation,
    ResolveOperationRequest,
};
use purveyor_simulators::gandi::{AccountSeed, Gandi, Mode, Options};
use purveyor_simulators::{Clock, Fault, FaultKind, Instruments, Kind, Simulator};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use xtask::configuration::Configuration;

use crate::support::client::{Client, order, reason, succeeded, told};
use crate::support::program::Program;
use crate::support::requests::{end, purchase, quantity, request_id};
use crate::support::{
    Gateway, HOUR, LATER, asked, configuration, elsewhere, gandi, provider, sold, spends, until,
    upstream,
};

const CREATE: &str = "hosting.product.create";

/// Everything that is asked of the upstream is lost on the way there.
fn away() -> Fault {
    Fault::next("*", FaultKind::DropBeforeCommit).times(100_000)
}

/// A gateway on an account on which somebody else buys too.
async fn shared() -> (Configuration, Simulator<Gandi>) {
    let (upstream, provider) = gandi().await;
    (configuration().provider("gandi", provider.shared()), upstream)
}

/// An order that was sold while its answer was lost, and that nobody but a person can tell from one
/// of somebody else.
async fn doubtful(client: &Client, upstream: &Simulator<Gandi>) -> Operation {
    upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
    let operation = client.ordered(purchase("gandi", &[("shares", 2)])).await;
    assert_eq!(operation.state(), State::NeedsOperator, "{operation:#?}");
    let candidates: Vec<_> = operation.candidates.iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(candidates, sold(upstream, Kind::ProductAdd));
    operation
}

fn executed(upstream_id: &str) -> Resolution {
    Resolution::Executed(Executed { upstream_id: upstream_id.to_owned() })
}

fn not_executed(try_again: bool) -> Resolution {
    Resolution::NotExecuted(NotExecuted { try_again, ..NotExecuted::default() })
}

fn resolution(operation: &Operation, resolution: Resolution) -> ResolveOperationRequest {
    ResolveOperationRequest {
        name: operation.name.clone(),
        etag: operation.etag.clone(),
        note: "seen in the upstream's own pages".to_owned(),
        resolution: Some(resolution),
    }
}

async fn resolve(client: &Client, request: ResolveOperationRequest) -> Result<Operation, Status> {
    Ok(client.operations().resolve_operation(request).await?.into_inner())
}

#[tokio::test]
async fn a_person_says_which_sale_it_was() {
    let (configuration, upstream) = shared().await;
    let before = elsewhere::buy(&upstream, "shares", 2).await;
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
    let asking = client.ordered(purchase("gandi", &[("shares", 2)])).await;
    assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
    assert_eq!(asking.attempts[0].outcome(), Outcome::Unknown);
    let ours = sold(&upstream, Kind::ProductAdd)[1].clone();

    // What the upstream does not have, and what was there before, was not made by this request.
    for id in ["999999", "not a number", &before] {
        let status = resolve(&client, resolution(&asking, executed(id))).await;
        let (code, reason, field) = told(&status.expect_err("it was not this"));
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "FIELD_VIOLATION"), "{id}");
        assert_eq!(field, "executed.upstream_id", "{id}");
    }
    assert_eq!(client.operation(&asking.name).await, asking);

    let told = resolve(&client, resolution(&asking, executed(&ours))).await.expect("it was this");
    let done = succeeded(client.done(&told.name).await);
    assert_eq!(order(&done).upstream.as_ref().map(|upstream| upstream.id()), Some(&*ours));
    assert_eq!(asked(&upstream, CREATE), 2);
}

#[tokio::test]
async fn a_resolution_says_what_was_read_and_what_was_seen() {
    let (configuration, upstream) = shared().await;
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    let asking = doubtful(&client, &upstream).await;
    let good = || resolution(&asking, not_executed(false));
    let check = async |request: ResolveOperationRequest, expected: (Code, &str, &str)| {
        let found = told(&resolve(&client, request).await.expect_err("refused"));
        assert_eq!((found.0, found.1.as_str(), found.2.as_str()), expected);
    };
    let invalid = |field| (Code::InvalidArgument, "FIELD_VIOLATION", field);
    check(ResolveOperationRequest { note: " ".into(), ..good() }, invalid("note")).await;
    check(ResolveOperationRequest { note: "x".repeat(5000), ..good() }, invalid("note")).await;
    check(ResolveOperationRequest { etag: String::new(), ..good() }, invalid("etag")).await;
    check(ResolveOperationRequest { resolution: None, ..good() }, invalid("resolution")).await;
    let unnamed = ResolveOperationRequest { resolution: Some(executed("")), ..good() };
    check(unnamed, invalid("executed.upstream_id")).await;
    let stale = ResolveOperationRequest { etag: "1".into(), ..good() };
    check(stale, (Code::Aborted, "ETAG_MISMATCH", "")).await;
    let nobody = "operations/5f0a1b52-6d0c-4a43-9d0e-ffffffffffff".to_owned();
    let missing = (Code::NotFound, "OPERATION_NOT_FOUND", "");
    check(ResolveOperationRequest { name: nobody, ..good() }, missing).await;
    assert_eq!(client.operation(&asking.name).await, asking);

    let told = resolve(&client, good()).await.expect("told");
    let failed = client.done(&told.name).await;
    assert_eq!((failed.state(), reason(&failed)), (State::Failed, "NOT_EXECUTED"));
    check(good(), (Code::Aborted, "ETAG_MISMATCH", "")).await;
    let again = resolution(&failed, not_executed(true));
    check(again, (Code::FailedPrecondition, "OPERATION_STATE", "")).await;
    assert_eq!(asked(&upstream, CREATE), 1);
}

#[tokio::test]
async fn what_a_person_calls_not_executed_is_tried_again_under_the_same_id() {
    let (configuration, upstream) = shared().await;
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    // Ours never arrives, and before anybody can look, somebody else buys the same.
    upstream.inject(Fault::next(CREATE, FaultKind::DropBeforeCommit));
    let broken = FaultKind::Status { status: 500 };
    upstream.inject(Fault::next("operation.list", broken).after(1).times(100_000));
    let accepted = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&accepted.name, State::Reconciling).await;
    let theirs = elsewhere::buy(&upstream, "shares", 2).await;
    upstream.clear_faults();
    let asking = client.done(&accepted.name).await;
    assert_eq!(asking.state(), State::NeedsOperator);
    assert_eq!(asking.candidates.iter().map(|it| it.id()).collect::<Vec<_>>(), [&theirs]);

    resolve(&client, resolution(&asking, not_executed(true))).await.expect("told");
    let done = succeeded(client.done(&accepted.name).await);
    let outcomes: Vec<Outcome> = done.attempts.iter().map(|attempt| attempt.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Absent, Outcome::Applied]);
    let ours = order(&done).upstream.as_ref().expect("sold").id().to_owned();
    assert_eq!(sold(&upstream, Kind::ProductAdd), [theirs, ours]);
}

#[tokio::test]
async fn only_what_was_not_sent_can_be_taken_back() {
    let (upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    let cancel = async |operation: &Operation, etag: &str| {
        let (name, etag) = (operation.name.clone(), etag.to_owned());
        let request = CancelOperationRequest { name, etag };
        client.operations().cancel_operation(request).await.map(tonic::Response::into_inner)
    };
    let sent = succeeded(client.ordered(purchase("gandi", &[("shares", 1)])).await);
    let (code, reason, _) = told(&cancel(&sent, "").await.expect_err("it was sent"));
    assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "OPERATION_STATE"));

    upstream.inject(away());
    let waiting = client.order(purchase("gandi", &[("shares", 1)])).await.expect("accepted");
    let failing = || async { !client.operation(&waiting.name).await.message.is_empty() };
    until("it cannot be sent", failing).await;
    let (code, reason, _) = told(&cancel(&waiting, "0").await.expect_err("another etag"));
    assert_eq!((code, reason.as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    let cancelled = cancellable(&client, &waiting).await;
    assert_eq!((cancelled.state(), cancelled.done), (State::Cancelled, true));
    upstream.clear_faults();
    succeeded(client.ordered(purchase("gandi", &[("shares", 3)])).await);
    assert_eq!(client.operation(&waiting.name).await, cancelled);
    assert_eq!((sold(&upstream, Kind::ProductAdd).len(), asked(&upstream, CREATE)), (2, 2));
}

/// Cancels an operation that is tried again and again: between two tries, when it is not running.
async fn cancellable(client: &Client, operation: &Operation) -> Operation {
    let name = operation.name.clone();
    let cancelled = || async {
        let request = CancelOperationRequest { name: name.clone(), etag: String::new() };
        client.operations().cancel_operation(request).await.is_ok()
    };
    until("it is taken back", cancelled).await;
    client.operation(&operation.name).await
}

/// What an error says of the operation that is in the way: its name, when to try again, and the message.
fn in_the_way(status: &Status) -> (String, Option<Duration>, String) {
    let (code, reason, _) = told(status);
    assert_eq!((code, reason.as_str()), (Code::Aborted, "OPERATION_IN_PROGRESS"), "{status:?}");
    let info = status.get_details_error_info().expect("every error has its info");
    let again = status.get_details_retry_info().and_then(|it| it.retry_delay);
    (info.metadata["operation"].clone(), again, status.message().to_owned())
}

#[tokio::test]
async fn write_behind_an_operation_says_when_to_retry_unless_an_operator_is_needed() {
    let (configuration, upstream) = shared().await;
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    let service = client.bought(purchase("gandi", &[("shares", 2)])).await;
    let first = |name: &str| format!("; an operator has to resolve {name} first");

    // An order that the upstream may not have, and a service that is being changed.
    upstream.inject(Fault::next(CREATE, LATER));
    let order = client.order(purchase("gandi", &[("disk", 1)])).await.expect("accepted");
    client.reaches(&order.name, State::Reconciling).await;
    let cancel = async || {
        let request = CancelOrderRequest {
            name: order.target.clone(),
            request_id: request_id(),
            ..CancelOrderRequest::default()
        };
        in_the_way(&client.orders().cancel_order(request).await.expect_err("it is open"))
    };
    let (name, again, message) = cancel().await;
    assert_eq!((&name, again.is_some()), (&order.name, true));
    assert!(message.ends_with(&format!("{name}, which is RECONCILING")), "{message}");
    upstream.advance(HOUR);
    assert_eq!(client.done(&order.name).await.state(), State::NeedsOperator);
    let (name, again, message) = cancel().await;
    assert_eq!((&name, again), (&order.name, None));
    assert!(message.ends_with(&first(&name)), "{message}");

    upstream.inject(Fault::next("hosting.product.update", LATER));
    let update = client.services().update_service(quantity(&service.name, 5)).await;
    let update = update.expect("accepted").into_inner();
    client.reaches(&update.name, State::Reconciling).await;
    let terminate = async || {
        let refused = client.services().terminate_service(end(&service.name)).await;
        in_the_way(&refused.expect_err("it is being changed"))
    };
    let (name, again, message) = terminate().await;
    assert_eq!((&name, again.is_some()), (&update.name, true));
    assert!(message.ends_with(&format!("{name}, which is RECONCILING")), "{message}");
    upstream.advance(HOUR);
    assert_eq!(client.done(&update.name).await.state(), State::NeedsOperator);
    let (name, again, message) = terminate().await;
    assert_eq!((&name, again), (&update.name, None));
    assert!(message.ends_with(&first(&name)), "{message}");
}

#[tokio::test]
async fn repeated_write_waits_out_its_time_while_an_operator_is_needed() {
    let (configuration, upstream) = shared().await;
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(CREATE, FaultKind::DropAfterCommit));
    // The first answer comes as soon as a person is needed.
    let minute = prost_types::Duration { seconds: 60, nanos: 0 };
    let request = CreateOrderRequest { wait: Some(minute), ..purchase("gandi", &[("shares", 2)]) };
    let begin = Instant::now();
    let asking = client.order(request.clone()).await.expect("accepted");
    assert_eq!(asking.state(), State::NeedsOperator);
    assert!(begin.elapsed() < Duration::from_secs(50), "{:?}", begin.elapsed());

    let short = Duration::from_millis(60);
    let again = CreateOrderRequest { wait: Some(short.try_into().expect("short")), ..request };
    let begin = Instant::now();
    for _ in 0..3 {
        assert_eq!(client.order(again.clone()).await.expect("known"), asking);
    }
    assert!(begin.elapsed() >= 3 * short, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn an_operation_never_moves_to_another_account() {
    const OTHER_KEY: &str = "anotherkeyanotherkeyanot";
    // Open at the upstream; waiting for the upstream; accepted and never begun.
    for (case, held) in [("followed", false), ("not sent", false), ("not begun", true)] {
        // The upstream's time stands still, so that it is soon asked again and never done.
        let clock = Arc::new(Clock::manual(Timestamp::now()));
        let instruments = Instruments { clock, ..Instruments::default() };
        let mode = Mode { bill_ms: 300, ..Mode::default() };
        let upstream = upstream(Options { instruments, mode, ..Options::default() }).await;
        let other = AccountSeed {
            api_key: OTHER_KEY.to_owned(),
            handle: format!("OTHER{}-GANDI", upstream.url().len()),
            ..AccountSeed::default()
        };
        upstream.put_account(other).expect("another account");
        let first = configuration().provider("gandi", provider(&upstream)).engine("hold", held);
        let gateway = Gateway::start(first).await;
        let client = gateway.client().await;
        if case == "not sent" {
            let first = client.order(purchase("gandi", &[("shares", 1)])).await.expect("accepted");
            client.reaches(&first.name, State::WaitingUpstream).await;
            upstream.inject(away());
        }
        let accepted = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
        match case {
            "followed" => drop(client.reaches(&accepted.name, State::WaitingUpstream).await),
            "not sent" => {
                let tried = || async { !client.operation(&accepted.name).await.message.is_empty() };
                until("it was tried", tried).await;
            }
            _ => assert_eq!(accepted.state(), State::Accepted),
        }
        let before = spends(&upstream);
        drop(client);
        let folder = gateway.stop().await;
        upstream.clear_faults();
        let moved = provider(&upstream).credential("api-key", OTHER_KEY);
        configuration().provider("gandi", moved).write(folder.path()).expect("it is written");
        let gateway = Gateway::start_in(folder).await;
        let client = gateway.client().await;
        let operation = client.done(&accepted.name).await;
        account_changed(case, &operation);
        // Nothing can be looked up there, and nothing is sent there because a person says so.
        let id = if operation.attempts.is_empty() { "1" } else { &*upstream_id(&operation) };
        let status = resolve(&client, resolution(&operation, executed(id))).await;
        let (code, reason, _) = told(&status.expect_err("it is another account"));
        assert_eq!((code, &*reason), (Code::FailedPrecondition, "ACCOUNT_CHANGED"), "{case}");
        let operation = match case {
            "followed" => operation,
            _ => {
                let again = resolve(&client, resolution(&operation, not_executed(true))).await;
                client.done(&again.expect("told").name).await
            }
        };
        account_changed(case, &operation);
        assert_eq!(spends(&upstream), before, "{case}");

        // Pointing the provider back decides nothing by itself: a person says how it goes on.
        drop(client);
        let folder = gateway.stop().await;
        let back = configuration().provider("gandi", provider(&upstream));
        back.write(folder.path()).expect("it is written");
        let gateway = Gateway::start_in(folder).await;
        let client = gateway.client().await;
        account_changed(case, &client.operation(&operation.name).await);
        let (told, sent) = match case {
            "followed" => (executed(&upstream_id(&operation)), 0),
            _ => (not_executed(true), 1),
        };
        resolve(&client, resolution(&operation, told)).await.expect("told");
        let goes_on = client.reaches(&operation.name, State::WaitingUpstream).await;
        assert!(goes_on.problem.is_none(), "{case}");
        assert_eq!(spends(&upstream), before + sent, "{case}");
    }
}

fn upstream_id(operation: &Operation) -> String {
    operation.attempts[0].upstream_id.clone()
}

#[track_caller]
fn account_changed(case: &str, operation: &Operation) {
    assert_eq!(operation.state(), State::NeedsOperator, "{case}: {operation:#?}");
    let why = "the provider points to account gandi http://";
    let theirs = "and this operation belongs to gandi http://";
    let named = operation.message.starts_with(why) && operation.message.contains(theirs);
    assert!(named, "{case}: {}", operation.message);
    let problem = operation.problem.as_ref().map(|problem| problem.reason.as_str());
    assert_eq!(problem, Some("ACCOUNT_CHANGED"), "{case}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_does_it_from_the_command_line() {
    let (configuration, upstream) = shared().await;
    let program = Program::start(configuration);
    let client = program.client().await;
    let told = |arguments: &[&str]| {
        let output = program.operations(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text, error)
    };
    let (code, text, _) = told(&["list"]);
    assert_eq!((code, text.trim()), (Some(0), "no operations"));
    let asking = doubtful(&client, &upstream).await;
    let id = sold(&upstream, Kind::ProductAdd)[0].clone();

    let (code, text, _) = told(&["list", "--state", "needs-operator"]);
    assert_eq!(code, Some(0));
    assert!(text.contains(&asking.name) && text.contains("NEEDS_OPERATOR"), "{text}");
    let (_, text, _) = told(&["list", "--state", "succeeded"]);
    assert_eq!(text.trim(), "no operations");
    let (code, text, _) = told(&["show", &asking.name]);
    assert_eq!(code, Some(0));
    let baseline = "what was there before the last attempt";
    let sent = asking.attempts[0].send_time.as_ref().expect("it was sent");
    let sent = Timestamp::new(sent.seconds, sent.nanos).expect("a time").to_string();
    for part in [
        &asking.name,
        &id,
        "what could be it",
        "resolve",
        &asking.attempts[0].call,
        "(SPEND)",
        "UNKNOWN",
        "absence counts",
        &sent,
        baseline,
    ] {
        assert!(text.contains(part), "{part} is not shown: {text}");
    }
    let (code, _, error) =
        told(&["resolve", &asking.name, "--executed", "999999", "--note", "looked"]);
    assert_eq!(code, Some(5), "{error}");
    assert!(error.contains("999999"), "{error}");
    let (code, _, error) = told(&["resolve", &asking.name, "--executed", &id]);
    assert_eq!(code, Some(2), "without a note: {error}");

    let bare = asking.name.trim_start_matches("operations/");
    let resolve = |etag: &str| {
        told(&["resolve", bare, "--executed", &id, "--note", "looked", "--etag", etag])
    };
    let (code, _, error) = resolve("1");
    assert_eq!(code, Some(5), "it was read before it changed: {error}");
    assert!(error.contains("has changed"), "{error}");
    let (code, text, error) = resolve(&asking.etag);
    assert_eq!(code, Some(0), "{error}");
    assert!(text.contains(&asking.name) && text.contains("local: looked"), "{text}");
    succeeded(client.done(&asking.name).await);
    let (code, _, error) = told(&["resolve", bare, "--not-executed", "--note", "looked again"]);
    assert_eq!(code, Some(5), "{error}");
    let (code, _, _) = told(&["show", "5f0a1b52-6d0c-4a43-9d0e-ffffffffffff"]);
    assert_eq!(code, Some(5));
    assert_eq!(asked(&upstream, CREATE), 1);
    assert!(program.folder().join("purveyor.db").exists());
}
