//! What becomes known late: in a later step of a write, after a person has decided, and what never
//! becomes known at all.

use purveyor_sdk::prost_types::Duration as Wait;
use purveyor_sdk::v1::operation::{Outcome, State};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::product::{Offer, Package, Shape};
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::{
    CreateProductRequest, Money, Operation, Price, Product, Term, TerminateServiceRequest,
};
use purveyor_simulators::{Fault, FaultKind, Kind};

use super::stage::{
    KLIKK_CREATE, RACKNAP_CREATE, attempts, candidates, computestacks, klikk, problem, racknap,
    record, sales, server,
};
use super::{GANDI_CREATE, executed, not_executed, resolve};
use crate::support::client::{Client, order, reason, succeeded};
use crate::support::requests::{end, purchase, request_id};
use crate::support::{Gateway, HOUR, LATER, asked, configuration, elsewhere, gandi, sold, until};

pub(super) const PRODUCT: &str = "POST /api/admin/products";
const RESOURCE: &str = "POST /api/admin/billing_plans/{id}/billing_resources";
const TERMINATE: &str = "terminate";

async fn told(client: &Client, operation: &Operation) -> Operation {
    let noticed = async || !problem(&client.operation(&operation.name).await).is_empty();
    until("it is noticed", noticed).await;
    client.operation(&operation.name).await
}

#[tokio::test]
async fn a_later_item_that_is_sold_too_late_is_told() {
    let (upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(GANDI_CREATE, LATER).after(1));
    let request = purchase("gandi", &[("shares", 1), ("disk", 5), ("ips", 2)]);
    let bought = succeeded(client.ordered(request).await);
    assert_eq!((problem(&bought), bought.settle_time.is_some()), ("", true));
    let result = order(&bought).upstream.as_ref().expect("sold").id().to_owned();
    upstream.advance(HOUR);
    until("the late sale", async || sold(&upstream, Kind::ProductAdd).len() == 4).await;
    let told = told(&client, &bought).await;
    let ids = sold(&upstream, Kind::ProductAdd);
    let expected = [&ids[0], &ids[3], &ids[1], &ids[2]].map(|id| (Outcome::Applied, id.as_str()));
    assert_eq!(attempts(&told), expected, "{told:#?}");
    assert_eq!((problem(&told), candidates(&told)), ("DUPLICATE_DETECTED", vec![ids[3].as_str()]));
    assert_eq!(order(&told).upstream.as_ref().expect("sold").id(), result);
    assert_eq!(asked(&upstream, GANDI_CREATE), 4);
}

/// A product that is sold at one price.
pub(super) fn product() -> CreateProductRequest {
    let amount = Money::parse("EUR", "6").expect("an amount");
    let offer = Offer {
        term: Some(Term::metered("")),
        price: Some(Price::of(amount, Tax::Unspecified)),
        regions: vec!["fra".to_owned()],
        ..Offer::default()
    };
    let package =
        Package { cpu_cores: Some("2".to_owned()), memory_mb: Some(1024), ..Package::default() };
    CreateProductRequest {
        parent: "providers/computestacks".to_owned(),
        product: Some(Product {
            display_name: "small".to_owned(),
            shape: Some(Shape::Package(package)),
            offers: vec![offer],
            ..Product::default()
        }),
        request_id: request_id(),
        wait: Some(Wait::default()),
        ..CreateProductRequest::default()
    }
}

/// Whichever step it is: a second product, which has an identifier of its own, and a second place in the
/// plan, of which no answer tells one.
#[tokio::test]
async fn a_product_or_its_place_in_the_plan_that_is_made_too_late_is_told() {
    for (call, told_ids) in [(PRODUCT, 1), (RESOURCE, 2)] {
        let (upstream, provider) = computestacks().await;
        let gateway = Gateway::start(configuration().provider("computestacks", provider)).await;
        let client = gateway.client().await;
        upstream.inject(Fault::next(call, LATER));
        let accepted = client.products().create_product(product()).await.expect("accepted");
        let made = succeeded(client.done(&accepted.into_inner().name).await);
        assert_eq!((problem(&made), made.settle_time.is_some()), ("", true), "{call}");
        let outcomes = |operation: &Operation| -> Vec<Outcome> {
            attempts(operation).into_iter().map(|(outcome, _)| outcome).collect()
        };
        assert!(outcomes(&made).contains(&Outcome::Absent), "{call}");
        let before = upstream.ledger().len();
        upstream.advance(HOUR);
        until("it is made", async || upstream.ledger().len() == before + 1).await;
        let told = told(&client, &made).await;
        assert_eq!(problem(&told), "DUPLICATE_DETECTED", "{call}");
        assert_eq!(candidates(&told).len(), told_ids, "{call}: {told:#?}");
        assert!(!outcomes(&told).contains(&Outcome::Absent), "{call}: {told:#?}");
        assert_eq!(told.result, made.result, "{call}");
    }
}

/// Somebody who was not to buy on the account has done so; a person decides that ours was not sold, and
/// is told when it is after all.
#[tokio::test]
async fn what_is_sold_after_a_person_has_called_it_not_executed_is_told() {
    let (upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(GANDI_CREATE, LATER));
    let accepted = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
    client.reaches(&accepted.name, State::Reconciling).await;
    let theirs = elsewhere::buy(&upstream, "disk", 1).await;
    let asking = client.done(&accepted.name).await;
    assert_eq!((asking.state(), candidates(&asking)), (State::NeedsOperator, vec![&*theirs]));
    let failed = resolve(&client, &asking, not_executed(false)).await.expect("told");
    assert_eq!((failed.state(), reason(&failed)), (State::Failed, "NOT_EXECUTED"));
    upstream.advance(HOUR);
    until("the late sale", async || sold(&upstream, Kind::ProductAdd).len() == 2).await;
    let told = told(&client, &failed).await;
    let late = sold(&upstream, Kind::ProductAdd)[1].clone();
    assert_eq!((problem(&told), candidates(&told)), ("DUPLICATE_DETECTED", vec![late.as_str()]));
    assert_eq!(attempts(&told), [(Outcome::Applied, late.as_str())]);
    assert_eq!((told.state(), reason(&told)), (State::Failed, "NOT_EXECUTED"));
    assert_eq!(asked(&upstream, GANDI_CREATE), 2);
}

/// By our mark: it could not be looked for when a person decided, and turns up with it; also where the
/// person has had it sent again.
#[tokio::test]
async fn what_carries_our_mark_is_told_although_a_person_has_called_it_not_executed() {
    for (try_again, sent) in [(false, 1), (true, 2)] {
        let (upstream, provider) = klikk().await;
        let gateway = Gateway::start(configuration().provider("klikk", provider)).await;
        let client = gateway.client().await;
        upstream.inject(Fault::next(KLIKK_CREATE, LATER));
        let refused = FaultKind::Fault { code: 403, text: "no".to_owned() };
        // The baseline is read before the order is sent.
        upstream.inject(Fault::next("order_list", refused).after(1).times(100_000));
        let asking = client.ordered(server()).await;
        assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
        upstream.clear_faults();
        resolve(&client, &asking, not_executed(try_again)).await.expect("told");
        let ended = client.done(&asking.name).await;
        let state = if try_again { State::Succeeded } else { State::Failed };
        assert_eq!((ended.state(), ended.settle_time.is_some()), (state, true), "{ended:#?}");
        upstream.advance(HOUR);
        until("the late sale", async || sales(&upstream).len() == sent).await;
        let told = told(&client, &ended).await;
        let [late] = candidates(&told)[..] else { panic!("{told:#?}") };
        assert_eq!(
            (problem(&told), attempts(&told)[0]),
            ("DUPLICATE_DETECTED", (Outcome::Applied, late))
        );
        assert_eq!((told.state(), attempts(&told).len()), (state, sent));
        assert!(attempts(&told)[1..].iter().all(|(_, id)| *id != late), "{told:#?}");
        assert_eq!(usize::try_from(upstream.requests()[KLIKK_CREATE]), Ok(sent));
    }
}

/// Where nothing can be asked, a person's word is the last one.
#[tokio::test]
async fn what_nobody_can_ask_for_is_not_looked_for_after_a_person_has_decided() {
    let (upstream, provider) = racknap().await;
    let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
    let client = gateway.client().await;
    upstream.inject(Fault::next(RACKNAP_CREATE, LATER));
    let asking = client.ordered(record()).await;
    assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
    let told = resolve(&client, &asking, not_executed(false)).await.expect("told");
    assert_eq!(
        (told.state(), attempts(&told)),
        (State::NeedsOperator, vec![(Outcome::Unknown, "")])
    );
    let failed = client.done(&told.name).await;
    assert_eq!((failed.state(), failed.settle_time.is_none()), (State::Failed, true));
    assert_eq!(attempts(&failed), [(Outcome::Absent, "")]);
}

/// An upstream whose answers never have the word that tells the outcome, and whose state nobody can read.
#[tokio::test]
async fn a_termination_that_is_never_answered_ends_with_a_person() {
    let (upstream, provider) = racknap().await;
    // The windows of this scenario pass one after the other.
    let provider = provider.timing("attempt_timeout_ms", 200);
    let gateway = Gateway::start(configuration().provider("racknap", provider)).await;
    let client = gateway.client().await;
    let service = "providers/racknap/services/1334";
    upstream.inject(Fault::next(TERMINATE, FaultKind::WrongType).times(100_000));
    let request = TerminateServiceRequest { wait: Some(Wait::default()), ..end(service) };
    let accepted = client.services().terminate_service(request).await.expect("accepted");
    let asking = client.done(&accepted.into_inner().name).await;
    assert_eq!(asking.state(), State::NeedsOperator, "{asking:#?}");
    assert_eq!(attempts(&asking), [(Outcome::Unknown, ""); 2]);
    assert!(asking.message.contains("2 times"), "{}", asking.message);
    for attempt in &asking.attempts {
        assert!(!attempt.answer.is_empty(), "each answer is kept: {attempt:#?}");
    }
    let sent = upstream.requests()[TERMINATE];
    assert_eq!(sent, 2);
    let done = resolve(&client, &asking, executed("1334")).await.expect("told");
    succeeded(client.done(&done.name).await);
    assert_eq!((upstream.requests()[TERMINATE], sales(&upstream).len()), (sent, 0));
    let service = client.service("providers/racknap/services/1334").await.expect("on record");
    assert_eq!(service.state(), ServiceState::Terminated, "{service:#?}");
}
