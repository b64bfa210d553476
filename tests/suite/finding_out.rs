//! What became of a spend whose answer was lost, at every level of evidence: sold late within the settle
//! window, sold later than the upstream is said to take, and one object offered for two orders.

mod later;
mod observed;
mod refused;
pub(crate) mod stage;

use std::fs;

use futures_util::future::join_all;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::resolve_operation_request::{Executed, NotExecuted, Resolution};
use purveyor_sdk::v1::{CreateOrderRequest, Operation, ResolveOperationRequest};
use purveyor_simulators::{Fault, FaultKind, Kind};
use tonic::{Code, Status};

use crate::support::client::{Client, order, reason, succeeded, told};
use crate::support::requests::purchase;
use crate::support::{Gateway, HOUR, LATER, asked, configuration, gandi, sold, until};
use stage::{
    KLIKK_CREATE, RACKNAP_CREATE, attempts, candidates, klikk, problem, racknap, record, sales,
    server,
};

const GANDI_CREATE: &str = "hosting.product.create";

/// Within the settle window of these providers, and so long after it that only [`an_hour`] brings it.
const SOON: FaultKind = FaultKind::LateCommit { ms: 600 };

async fn resolve(
    client: &Client,
    operation: &Operation,
    resolution: Resolution,
) -> Result<Operation, Status> {
    let request = ResolveOperationRequest {
        name: operation.name.clone(),
        etag: operation.etag.clone(),
        note: "seen in the upstream's own pages".to_owned(),
        resolution: Some(resolution),
    };
    Ok(client.operations().resolve_operation(request).await?.into_inner())
}

fn executed(upstream_id: &str) -> Resolution {
    Resolution::Executed(Executed { upstream_id: upstream_id.to_owned() })
}

fn not_executed(try_again: bool) -> Resolution {
    Resolution::NotExecuted(NotExecuted { try_again, ..NotExecuted::default() })
}

fn upstream_id(operation: &Operation) -> String {
    order(operation).upstream.as_ref().expect("sold").id().to_owned()
}

/// That a person is told of two objects, and that the result is still the first that was known.
#[track_caller]
fn told_of_both(operation: &Operation, late: &str, result: &str) {
    let expected = [(Outcome::Applied, late), (Outcome::Applied, result)];
    assert_eq!(attempts(operation), expected, "{operation:#?}");
    assert_eq!(problem(operation), "DUPLICATE_DETECTED");
    assert_eq!(candidates(operation), [late]);
    assert!(operation.message.starts_with(late), "{}", operation.message);
    assert_eq!((operation.state(), operation.done), (State::Succeeded, true));
    assert_eq!(upstream_id(operation), result);
    assert!(operation.settle_time.is_none(), "it is looked only once");
}

#[tokio::test]
async fn by_difference_a_late_sale_is_found_and_one_that_is_too_late_is_told() {
    let (upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(GANDI_CREATE, SOON));
    let soon = succeeded(client.ordered(purchase("gandi", &[("shares", 2)])).await);
    let sold_soon = sold(&upstream, Kind::ProductAdd);
    assert_eq!(attempts(&soon), [(Outcome::Applied, sold_soon[0].as_str())]);
    assert_eq!((problem(&soon), asked(&upstream, GANDI_CREATE)), ("", 1));

    upstream.inject(Fault::next(GANDI_CREATE, LATER));
    let late = succeeded(client.ordered(purchase("gandi", &[("shares", 2)])).await);
    assert_eq!((problem(&late), late.settle_time.is_some()), ("", true));
    // The look that is still to come survives the process.
    drop(client);
    let gateway = Gateway::start_in(gateway.stop().await).await;
    let client = gateway.client().await;
    upstream.advance(HOUR);
    until("the late sale", async || sold(&upstream, Kind::ProductAdd).len() == 3).await;
    // Another order meanwhile is not taken for the late one, nor the late one for it.
    let other = succeeded(client.ordered(purchase("gandi", &[("shares", 2)])).await);
    let noticed = async || !problem(&client.operation(&late.name).await).is_empty();
    until("it is noticed", noticed).await;
    let ids = sold(&upstream, Kind::ProductAdd);
    told_of_both(&client.operation(&late.name).await, &ids[2], &ids[1]);
    assert_eq!((upstream_id(&other), problem(&other)), (ids[3].clone(), ""));
    assert_eq!((ids.len(), asked(&upstream, GANDI_CREATE)), (4, 4));
}

#[tokio::test]
async fn by_reference_a_late_sale_is_found_and_one_that_is_too_late_is_told() {
    let (upstream, provider) = klikk().await;
    let gateway = Gateway::start(configuration().provider("klikk", provider)).await;
    let client = gateway.client().await;
    let created = || upstream.requests().get(KLIKK_CREATE).copied().unwrap_or_default();
    upstream.inject(Fault::next(KLIKK_CREATE, SOON));
    let soon = succeeded(client.ordered(server()).await);
    assert_eq!(attempts(&soon).len(), 1, "{soon:#?}");
    assert_eq!((sales(&upstream).len(), created()), (1, 1));

    upstream.inject(Fault::next(KLIKK_CREATE, LATER));
    let late = succeeded(client.ordered(server()).await);
    upstream.advance(HOUR);
    let noticed = async || !problem(&client.operation(&late.name).await).is_empty();
    until("it is noticed", noticed).await;
    let told = client.operation(&late.name).await;
    let (result, turned_up) = (upstream_id(&late), candidates(&told)[0].to_owned());
    told_of_both(&told, &turned_up, &result);
    assert_ne!(turned_up, result);
    assert_eq!((sales(&upstream).len(), created()), (3, 3));
}

#[tokio::test]
async fn what_only_a_person_can_find_out_waits_for_one_however_late_it_is() {
    for kind in [SOON, LATER] {
        let (upstream, provider) = racknap().await;
        let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
        let client = gateway.client().await;
        upstream.inject(Fault::next(RACKNAP_CREATE, kind.clone()));
        let asking = client.ordered(record()).await;
        assert_eq!(asking.state(), State::NeedsOperator, "{kind:?}: {asking:#?}");
        assert_eq!(attempts(&asking), [(Outcome::Unknown, "")]);
        upstream.advance(HOUR);
        until("it is sold", async || sales(&upstream).len() == 1).await;
        assert_eq!(client.operation(&asking.name).await, asking);
        let id = sales(&upstream)[0].clone();
        let done = succeeded(resolve(&client, &asking, executed(&id)).await.expect("told"));
        assert_eq!(attempts(&done), [(Outcome::Applied, id.as_str())]);
        assert_eq!(done.notes[0].text, "seen in the upstream's own pages");
        assert_eq!(sales(&upstream).len(), 1);
    }
}

#[tokio::test]
async fn a_person_who_finds_nothing_ends_it_or_has_it_sent_again() {
    for (try_again, sold) in [(false, 0), (true, 1)] {
        let (upstream, provider) = racknap().await;
        let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
        let client = gateway.client().await;
        upstream.inject(Fault::next(RACKNAP_CREATE, FaultKind::DropBeforeCommit));
        let asking = client.ordered(record()).await;
        assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
        resolve(&client, &asking, not_executed(try_again)).await.expect("told");
        let done = client.done(&asking.name).await;
        assert_eq!(done.attempts[0].outcome(), Outcome::Absent);
        if try_again {
            assert_eq!(succeeded(done).attempts[1].outcome(), Outcome::Applied);
        } else {
            assert_eq!((done.state(), reason(&done)), (State::Failed, "NOT_EXECUTED"));
        }
        assert_eq!(sales(&upstream).len(), sold);
    }
}

/// The first request is sold after the operator has looked, and before absence counts: nothing else is sent,
/// and the operator who looks again says so.
#[tokio::test]
async fn early_not_executed_sends_nothing_before_absence_counts() {
    let (upstream, provider) = racknap().await;
    // So long a window that only the operator's second word ends it.
    let provider = provider.timing("upstream_processing_ms", 600_000);
    let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(RACKNAP_CREATE, LATER));
    let asking = client.ordered(record()).await;
    let kept = resolve(&client, &asking, not_executed(true)).await.expect("kept");
    assert_eq!(
        (kept.state(), kept.attempts[0].outcome()),
        (State::NeedsOperator, Outcome::Unknown)
    );
    assert!(kept.notes[0].waits && kept.settle_time.is_some(), "{kept:#?}");
    upstream.advance(HOUR);
    until("it is sold", async || sales(&upstream).len() == 1).await;

    // Without the provider nobody can look up what the operator says.
    drop(client);
    let folder = gateway.stop().await;
    let with = fs::read_to_string(folder.path().join("purveyor.toml")).expect("configured");
    configuration().write(folder.path()).expect("it is written");
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;
    let operation = client.operation(&asking.name).await;
    let executed = || Resolution::Executed(Executed { upstream_id: "1334".to_owned() });
    let refused = resolve(&client, &operation, executed()).await.expect_err("nobody can look");
    assert_eq!(told(&refused).1, "PROVIDER_UNAVAILABLE");
    drop(client);
    let folder = gateway.stop().await;
    fs::write(folder.path().join("purveyor.toml"), with).expect("it is written");
    let gateway = Gateway::start_in(folder).await;
    let client = gateway.client().await;

    let operation = client.operation(&asking.name).await;
    assert!(operation.notes[0].waits, "the word survives a restart");
    let done = resolve(&client, &operation, executed()).await.expect("it was this");
    succeeded(client.done(&done.name).await);
    assert_eq!((sales(&upstream).len(), upstream.requests()[RACKNAP_CREATE]), (1, 1));
}

#[tokio::test]
async fn not_executed_at_own_risk_is_tried_again_at_once() {
    let (upstream, provider) = racknap().await;
    let provider = provider.timing("upstream_processing_ms", 600_000);
    let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(RACKNAP_CREATE, FaultKind::DropBeforeCommit));
    let asking = client.ordered(record()).await;
    let word = NotExecuted { try_again: true, at_own_risk: true };
    resolve(&client, &asking, Resolution::NotExecuted(word)).await.expect("told");
    let done = succeeded(client.done(&asking.name).await);
    assert!(done.notes[0].at_own_risk && !done.notes[0].waits && !done.notes[0].actor.is_empty());
    assert_eq!(sales(&upstream).len(), 1);
}

/// Two orders that are alike, both answers lost, and one of them sold: each ends with an object of its
/// own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sale_is_the_proof_of_one_order() {
    async fn buy(client: &Client, requests: [CreateOrderRequest; 2]) -> Vec<String> {
        let operations = join_all(requests.map(|request| client.ordered(request))).await;
        let mut ids: Vec<String> =
            operations.into_iter().map(|it| upstream_id(&succeeded(it))).collect();
        ids.sort();
        ids
    }
    let (upstream, provider) = gandi().await;
    let (reference, marked) = klikk().await;
    let configuration = configuration().provider("gandi", provider).provider("klikk", marked);
    let gateway = Gateway::start(configuration).await;
    let client = gateway.client().await;
    for kind in [FaultKind::DropAfterCommit, FaultKind::DropBeforeCommit] {
        upstream.inject(Fault::next(GANDI_CREATE, kind.clone()));
        reference.inject(Fault::next(KLIKK_CREATE, kind));
    }
    let alike = || purchase("gandi", &[("shares", 2)]);
    let ids = buy(&client, [alike(), alike()]).await;
    assert_eq!(ids, sold(&upstream, Kind::ProductAdd));
    assert_eq!((ids.len(), asked(&upstream, GANDI_CREATE)), (2, 3));
    let ids = buy(&client, [server(), server()]).await;
    assert_ne!(ids[0], ids[1]);
    assert_eq!((sales(&reference).len(), reference.requests()[KLIKK_CREATE]), (2, 3));
}

/// Without marks only a person can say whose a sale is, and says it once.
#[tokio::test]
async fn a_sale_that_two_orders_could_have_made_is_given_to_one() {
    let (upstream, provider) = klikk().await;
    let provider = provider.setting("item_tokens", false);
    let gateway = Gateway::start(configuration().provider("klikk", provider)).await;
    let client = gateway.client().await;
    let mut asking = Vec::new();
    for kind in [FaultKind::DropBeforeCommit, FaultKind::DropAfterCommit] {
        upstream.inject(Fault::next(KLIKK_CREATE, kind));
        asking.push(client.order(server()).await.expect("accepted"));
        let sent = asking.len();
        let lost = async || {
            let asked = upstream.requests().get(KLIKK_CREATE).copied().unwrap_or_default();
            usize::try_from(asked) == Ok(sent)
        };
        until("the answer is lost", lost).await;
    }
    let mut operations = Vec::new();
    for each in &asking {
        operations.push(client.done(&each.name).await);
    }
    let id = candidates(&operations[0])[0].to_owned();
    for operation in &operations {
        assert_eq!(operation.state(), State::NeedsOperator, "{operation:#?}");
        assert_eq!(candidates(operation), [id.as_str()]);
    }
    succeeded(resolve(&client, &operations[1], executed(&id)).await.expect("it was this"));
    let second = client.operation(&operations[0].name).await;
    assert_eq!((second.state(), candidates(&second)), (State::NeedsOperator, vec![id.as_str()]));
    assert_eq!(second.candidates[0].message, format!("belongs to {}", operations[1].name));
    let status = resolve(&client, &second, executed(&id)).await.expect_err("it is another's");
    let (code, word, field) = told(&status);
    assert_eq!((code, word.as_str()), (Code::InvalidArgument, "FIELD_VIOLATION"));
    assert_eq!(field, "executed.upstream_id");
    let failed = resolve(&client, &second, not_executed(false)).await.expect("it was not");
    assert_eq!((failed.state(), sales(&upstream).len()), (State::Failed, 1));
}
