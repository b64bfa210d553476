//! Renewals: the ways to renew, the guard against another expiry, and the term that follows.

use purveyor_sdk::names::ServiceName;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::testing::{Ended, write};
use purveyor_sdk::time::Zone;
use purveyor_sdk::v1::payment::Choice;
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::{
    CreateRenewalRequest, ErrorReason, GetRenewalRequest, ListRenewalOptionsRequest,
    ListRenewalOptionsResponse, ListRenewalsRequest, ListRenewalsResponse, Payment, PaymentMethod,
    Renewal,
};
use purveyor_sdk::{Period, Result};
use purveyor_simulators::gandi::{CatalogStyle, Mode};

use super::driver::{Bench, reason, renewal, service_name};

async fn options(bench: &Bench, id: &str) -> Result<ListRenewalOptionsResponse> {
    let parent = service_name(id);
    let request = ListRenewalOptionsRequest { parent, ..ListRenewalOptionsRequest::default() };
    bench.plugin.read(Op::ListRenewalOptions, &request, id).await
}

async fn run(bench: &Bench, request: &CreateRenewalRequest) -> Ended {
    bench.run(&write(Op::CreateRenewal, request, "")).await
}

#[tokio::test]
async fn a_service_is_renewed() {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 1).await;
    let request = renewal(&service, 12);
    let quote = bench.quote(&write(Op::CreateRenewal, &request, "")).await.unwrap();
    assert_eq!(quote.price.unwrap().amount.unwrap().to_decimal().unwrap(), "100");

    let renewed = run(&bench, &request).await.renewal();
    assert_eq!(renewed.state(), State::Completed);
    let upstream = renewed.upstream.as_ref().unwrap();
    assert_eq!(upstream.r#type, "hosting_account_product_renew");
    assert_eq!(renewed.term.as_ref().unwrap().period, "P1Y");
    let end = service.expire_time.unwrap();
    let later = Zone::UTC.add(&end, Period::Months(12)).unwrap();
    assert_eq!(renewed.services[0].new_expire_time, Some(later));
    let id = service.upstream.unwrap().id().to_owned();
    assert_eq!(bench.get_service(&id).await.unwrap().expire_time, Some(later));

    let request = GetRenewalRequest { name: renewed.name.clone() };
    let read: Renewal = bench.plugin.read(Op::GetRenewal, &request, upstream.id()).await.unwrap();
    assert_eq!((read.state(), &read.upstream), (State::Completed, &renewed.upstream));
}

#[tokio::test]
async fn another_expiry_renews_nothing() {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 1).await;
    let request = renewal(&service, 1);
    run(&bench, &request).await.renewal();
    let error = run(&bench, &request).await.error();
    assert_eq!(error.reason, ErrorReason::ExpireTimeChanged);
    assert_eq!(bench.asked("hosting.product.renew"), 1);
}

#[tokio::test]
async fn requests_that_are_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 1).await;
    let check = async |change: fn(&mut CreateRenewalRequest), expected: ErrorReason| {
        let mut request = renewal(&service, 1);
        change(&mut request);
        assert_eq!(run(&bench, &request).await.error().reason, expected);
    };
    check(|it| it.payment = None, ErrorReason::PaymentRequired).await;
    let named = |it: &mut CreateRenewalRequest| {
        let choice = Some(Choice::Method(PaymentMethod::default()));
        it.payment = Some(Payment { choice });
    };
    check(named, ErrorReason::FieldViolation).await;
    check(|it| it.renewal = None, ErrorReason::FieldViolation).await;
    type Change = fn(&mut Renewal);
    let inside: [(Change, ErrorReason); 6] = [
        (|it| it.services.clear(), ErrorReason::FieldViolation),
        (|it| it.services[0].expected_expire_time = None, ErrorReason::FieldViolation),
        (|it| it.services.push(it.services[0].clone()), ErrorReason::FieldViolation),
        (|it| it.term = None, ErrorReason::FieldViolation),
        (|it| it.service = service_name("77"), ErrorReason::FieldViolation),
        (|it| it.service = "cores".to_owned(), ErrorReason::FieldViolation),
    ];
    for (change, expected) in inside {
        let mut request = renewal(&service, 1);
        change(request.renewal.as_mut().unwrap());
        assert_eq!(run(&bench, &request).await.error().reason, expected);
    }
    assert_eq!(bench.asked("hosting.product.renew"), 0);
}

#[tokio::test]
async fn the_ways_to_renew_have_the_price_of_all_units() {
    let bench = Bench::new().await;
    let service = bench.service("cores", 2, 1).await;
    let id = service.upstream.unwrap().id().to_owned();
    let told = |answer: ListRenewalOptionsResponse| {
        let options = answer.renewal_options.into_iter().map(|option| {
            assert_eq!(option.services[0].expected_expire_time, service.expire_time);
            assert_eq!(option.notices[0].reason, "NOT_FREE");
            let price = option.price.map(|price| price.amount.unwrap().to_string());
            (option.term.unwrap().period, price)
        });
        options.collect::<Vec<_>>()
    };
    let text = |period: &str, price: &str| (period.to_owned(), Some(price.to_owned()));
    let found = told(options(&bench, &id).await.unwrap());
    assert_eq!(found, [text("P1M", "10 EUR"), text("P1Y", "100 EUR")]);
    bench.set(|mode| mode.catalog = CatalogStyle::Unpriced);
    let found = told(options(&bench, &id).await.unwrap());
    assert_eq!(found, [("P1M".to_owned(), None), ("P1Y".to_owned(), None)]);
}

#[tokio::test]
async fn what_cannot_be_renewed_has_no_ways_to_renew() {
    let bench = Bench::new().await;
    assert_eq!(reason(options(&bench, "11153").await), ErrorReason::StateConflict);
    assert_eq!(reason(options(&bench, "77").await), ErrorReason::ServiceNotFound);
    let wrong = ServiceName::new("providers/other".parse().unwrap(), "11153").unwrap();
    let request = ListRenewalOptionsRequest { parent: wrong.to_string(), ..Default::default() };
    let refused =
        bench.plugin.read::<ListRenewalOptionsResponse>(Op::ListRenewalOptions, &request, "").await;
    assert_eq!(reason(refused), ErrorReason::ServiceNotFound);
}

#[tokio::test]
async fn orders_are_no_renewals_and_renewals_no_orders() {
    let bench = Bench::in_mode(Mode { operations_name_product: true, ..Mode::default() }).await;
    let service = bench.service("cores", 2, 1).await;
    let renewed = run(&bench, &renewal(&service, 1)).await.renewal();
    let parent = "providers/test".to_owned();
    let request = ListRenewalsRequest { parent, ..ListRenewalsRequest::default() };
    let page: ListRenewalsResponse =
        bench.plugin.read(Op::ListRenewals, &request, "").await.unwrap();
    assert_eq!(page.renewals.len(), 1);
    assert_eq!(page.renewals[0].service, service.name);
    assert_eq!(page.renewals[0].upstream, renewed.upstream);
    let request = ListRenewalsRequest { service: service_name("77"), ..request };
    let page: ListRenewalsResponse =
        bench.plugin.read(Op::ListRenewals, &request, "").await.unwrap();
    assert_eq!(page.renewals, []);

    for id in ["637366", "637399", "x"] {
        let request = GetRenewalRequest { name: format!("providers/test/renewals/{id}") };
        let found = bench.plugin.read::<Renewal>(Op::GetRenewal, &request, id).await;
        assert_eq!(reason(found), ErrorReason::RenewalNotFound, "{id}");
    }
    let id = renewed.upstream.unwrap().id().to_owned();
    let request = purveyor_sdk::v1::GetOrderRequest { name: format!("providers/test/orders/{id}") };
    let found = bench.plugin.read::<purveyor_sdk::v1::Order>(Op::GetOrder, &request, &id).await;
    assert_eq!(reason(found), ErrorReason::OrderNotFound);
}
