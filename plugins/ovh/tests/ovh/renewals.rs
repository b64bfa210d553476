//! Renewals: ways that are offered, orders that wait for payment, ends that have moved, and refusals
//! before anything is posted.

use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::plugin::v1::poll_outcome::Outcome as Polled;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::testing::{Position, write};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::required_action::Kind as Need;
use purveyor_sdk::v1::{
    CreateRenewalRequest, Effect, ErrorReason, ListRenewalsRequest, ListRenewalsResponse, Notice,
    Price, Renewal, Term,
};
use purveyor_sdk::{Period, Resource, Result, Standing};
use purveyor_simulators::ovh::{Lapsed, Mode};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{Bench, PAY, RENEW, amount, day, method, reason, service_name};
use super::lost::prepared;

#[tokio::test]
async fn every_way_to_renew() {
    let bench = Bench::new().await;
    let ways = async |id: &str, include_options: bool| {
        let told = bench.options(id, include_options).await.unwrap().renewal_options;
        let way = |option: &purveyor_sdk::v1::RenewalOption| {
            let services: Vec<_> =
                option.services.iter().map(|it| it.service.rsplit('/').next().unwrap()).collect();
            let term = option.term.as_ref().unwrap();
            format!("{} {} {}", term.period, services.join("+"), amount(option.price.as_ref()))
        };
        told.iter().map(way).collect::<Vec<_>>()
    };
    assert_eq!(ways("54321", false).await, ["P1Y 54321 1.99", "P1Y 67890+54321 37.87"]);
    assert_eq!(
        ways("12345", false).await,
        ["P1M 12345 4.99", "P3M 12345 14.97", "P1Y 12345 59.88"]
    );
    assert_eq!(ways("12345", true).await.len(), 6);
    let option = &bench.options("54321", false).await.unwrap().renewal_options[1];
    let (first, second) = (&option.services[0], &option.services[1]);
    assert_eq!(
        (first.service_type.as_str(), first.display_name.as_str()),
        ("Hosting Perso 2014", "example.ovh")
    );
    assert_eq!(
        (second.service_type.as_str(), second.expected_expire_time),
        ("Domain .ovh", Some(day("2099-03-31")))
    );
    assert_eq!(option.price.as_ref().unwrap().tax(), Tax::Unspecified);
    bench.set(|mode| mode.terse_prices = false);
    assert_eq!(ways("54321", false).await[0], "P1Y 54321 1.99 EUR");
    assert_eq!(reason(bench.options("77", false).await), ErrorReason::ServiceNotFound);
    assert_eq!(reason(bench.options("nobody.ovh.net", false).await), ErrorReason::ServiceNotFound);
}

#[tokio::test]
async fn without_a_payment_the_order_waits() {
    let bench = Bench::new().await;
    let request = bench.request(&["12345"], 3).await;
    let renewal = bench.run(Op::CreateRenewal, &request, "").await.renewal();
    assert_eq!(renewal.state(), State::AwaitingPayment);
    let action = renewal.required_action.as_ref().unwrap();
    assert_eq!(
        (action.kind(), amount(action.amount_due.as_ref())),
        (Need::Pay, "17.96 EUR".to_owned())
    );
    assert!(action.due_time.is_some());
    assert_eq!(renewal.order, "providers/test/orders/123456789");
    assert_eq!(bench.made_and_paid(), (1, 0));
    let shown = bench.renewal("123456789").await.unwrap();
    assert_eq!(
        (shown.state(), &shown.required_action),
        (State::AwaitingPayment, &renewal.required_action)
    );
}

#[tokio::test]
async fn the_ends_move_only_when_the_order_is_delivered() {
    let mode = Mode { checking_ms: 60_000, delivering_ms: 60_000, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let request = bench.paid_request(&["54321", "67890"], 12).await;
    let write = write(Op::CreateRenewal, &request, "");
    let first = Position { step: 1, ..Position::default() };
    let Ok(Stepped::Next(next)) = bench.plugin.step_at(&write, &first).await else { panic!() };
    assert_eq!(amount(next.price.as_ref()), "45.44 EUR");
    let second = first.after(next.handle);
    let Ok(Stepped::Pending(pending)) = bench.plugin.step_at(&write, &second).await else {
        panic!()
    };
    assert_eq!(bench.made_and_paid(), (1, 1));
    let mut handle = pending.handle;
    for expected in ["checking", "delivering"] {
        let Ok(Polled::Pending(pending)) = bench.plugin.poll_one(&write, &handle).await else {
            panic!()
        };
        let Some(Resource::Renewal(view)) = pending.view.unwrap().kind else { panic!() };
        assert_eq!(
            (view.state(), view.upstream.unwrap().state.as_str()),
            (State::Processing, expected)
        );
        assert_eq!(view.services[0].new_expire_time, None);
        handle = pending.handle;
        bench.upstream.advance(std::time::Duration::from_secs(60));
    }
    // By the first look at the delivered order, since the ends have moved.
    let polled = bench.plugin.poll_one(&write, &handle).await.unwrap();
    let Polled::Done(done) = polled else { panic!("{polled:?}") };
    let Some(Resource::Renewal(renewal)) = done.resource.unwrap().kind else { panic!() };
    assert_eq!(renewal.state(), State::Completed);
    let ends: Vec<_> = renewal.services.iter().map(|it| it.new_expire_time).collect();
    assert_eq!(ends, [Some(day("2100-03-31")); 2]);
}

#[tokio::test]
async fn what_is_not_offered_is_refused_before_anything_is_posted() {
    let bench = Bench::new().await;
    let good = bench.paid_request(&["12345"], 3).await;
    let check = async |change: &dyn Fn(&mut Renewal), expected: (ErrorReason, &str)| {
        let mut request = good.clone();
        change(request.renewal.as_mut().unwrap());
        let error = bench.run(Op::CreateRenewal, &request, "").await.error();
        let field = error.violations.first().map(|it| it.field.clone()).unwrap_or_default();
        assert_eq!((error.reason, field.as_str()), expected, "{}", error.message);
    };
    let violation = |field| (ErrorReason::FieldViolation, field);
    let term = |months| Some(Term::recurring(Period::Months(months), ""));
    check(&|it| it.term = term(6), violation("renewal.term")).await;
    check(&|it| it.term = None, violation("renewal.term")).await;
    check(&|it| it.term = Some(Term::one_time("")), violation("renewal.term")).await;
    let other = bench.request(&["54321"], 12).await.renewal.unwrap().services[0].clone();
    check(&|it| it.services.push(other.clone()), violation("renewal.services")).await;
    check(&|it| it.services = vec![other.clone()], violation("renewal.services")).await;
    check(&|it| it.service = "x".to_owned(), violation("renewal.service")).await;
    check(&|it| it.service = service_name("77"), violation("renewal.services")).await;
    let guard = "renewal.services[0].expected_expire_time";
    check(&|it| it.services.clear(), violation(guard)).await;
    check(&|it| it.services[0].expected_expire_time = None, violation(guard)).await;
    let changed = (ErrorReason::ExpireTimeChanged, "");
    check(&|it| it.services[0].expected_expire_time = Some(day("2098-01-01")), changed).await;
    assert_eq!(bench.asked(RENEW), 0);
    let request = CreateRenewalRequest { payment: Some(Default::default()), ..good };
    let error = bench.run(Op::CreateRenewal, &request, "").await.error();
    assert_eq!(error.violations[0].field, "payment");
    assert_eq!(bench.made_and_paid(), (0, 0));
}

#[tokio::test]
async fn an_end_that_moved_between_the_steps_is_not_paid_for() {
    let bench = Bench::new().await;
    let request = bench.paid_request(&["12345"], 3).await;
    let first = write(Op::CreateRenewal, &request, "");
    let at = Position { step: 1, ..Position::default() };
    let Ok(Stepped::Next(next)) = bench.plugin.step_at(&first, &at).await else { panic!() };
    // Somebody else renews it meanwhile.
    bench.run(Op::CreateRenewal, &request, "").await.renewal();
    let second = bench.plugin.step_at(&first, &at.after(next.handle)).await;
    assert_eq!(reason(second), ErrorReason::ExpireTimeChanged);
    assert_eq!(bench.made_and_paid(), (2, 1));
}

#[tokio::test]
async fn a_quote_is_a_dry_run() {
    for numbers in [false, true] {
        let bench = Bench::in_mode(Mode { dry_run_numbers: numbers, ..Mode::default() }).await;
        let request = bench.paid_request(&["12345"], 3).await;
        let quote = bench.plugin.quote(&write(Op::CreateRenewal, &request, "")).await.unwrap();
        assert_eq!(amount(quote.price.as_ref()), "17.96 EUR");
        assert_eq!(quote.price.unwrap().tax(), Tax::Included);
        let order = quote.order.unwrap();
        assert_eq!(amount(order.price_without_tax.as_ref()), "14.97 EUR");
        assert_eq!(amount(order.tax.as_ref()), "2.99 EUR");
        assert_eq!(order.upstream.is_some(), numbers);
        let effects: Vec<_> = quote.steps.iter().map(|step| step.effect()).collect();
        assert_eq!(effects, [Effect::Prepare, Effect::Spend]);
        assert_eq!((bench.made_and_paid(), bench.asked(RENEW)), ((0, 0), 1));
    }
}

#[tokio::test]
async fn a_means_that_is_refused_leaves_the_order_unpaid() {
    let bench = Bench::new().await;
    bench.change_account(|account| account.means[0].refuses = true);
    let request = bench.paid_request(&["12345"], 3).await;
    let error = bench.run(Op::CreateRenewal, &request, "").await.error();
    assert_eq!(error.reason, ErrorReason::UpstreamRejected);
    assert!(error.message.contains("can't be paid with paypal"), "{}", error.message);
    assert_eq!(bench.made_and_paid(), (1, 0));
    let request = CreateRenewalRequest { payment: Some(method("gold", "1")), ..request };
    let error = bench.run(Op::CreateRenewal, &request, "").await.error();
    assert_eq!(error.violations[0].field, "payment.method.type");
    assert_eq!(bench.asked(PAY), 1);
}

#[tokio::test]
async fn documents_are_asked_for() {
    let bench = Bench::in_mode(Mode { documents: true, ..Mode::default() }).await;
    let (write, at) = prepared(&bench).await;
    let Ok(Stepped::Pending(paid)) = bench.plugin.step_at(&write, &at).await else { panic!() };
    let polled = bench.plugin.poll_one(&write, &paid.handle).await.unwrap();
    let Polled::Pending(pending) = polled else { panic!("nothing has happened yet: {polled:?}") };
    assert_eq!(pending.standing(), Standing::Unspecified);
    let Some(Resource::Renewal(renewal)) = pending.view.unwrap().kind else { panic!() };
    assert_eq!(renewal.state(), State::ActionRequired);
    assert_eq!(renewal.required_action.unwrap().kind(), Need::ProvideDocuments);
    assert_eq!(renewal.upstream.unwrap().state, "documentsRequested");
}

#[tokio::test]
async fn lapsed_cancelled_and_gone() {
    let check = async |lapsed: Lapsed, expected: Result<State, ErrorReason>| {
        let bench = Bench::in_mode(Mode { lapsed, ..Mode::default() }).await;
        let id = bench.unpaid().await;
        bench.upstream.advance(std::time::Duration::from_secs(24 * 3600));
        let state = bench.renewal(&id).await.map(|it| it.state()).map_err(|error| error.reason);
        assert_eq!(state, expected, "{lapsed:?}");
    };
    check(Lapsed::NotPaid, Ok(State::Expired)).await;
    check(Lapsed::Cancelled, Ok(State::Cancelled)).await;
    check(Lapsed::Gone, Err(ErrorReason::RenewalNotFound)).await;
}

#[tokio::test]
async fn an_order_that_is_cancelled_after_its_payment_has_failed() {
    let mode = Mode { checking_ms: 60_000, ..Mode::default() };
    let bench = Bench::in_mode(mode).await;
    let request = bench.paid_request(&["12345"], 3).await;
    let write = write(Op::CreateRenewal, &request, "");
    let first = Position { step: 1, ..Position::default() };
    let Ok(Stepped::Next(next)) = bench.plugin.step_at(&write, &first).await else { panic!() };
    let second = first.after(next.handle);
    let Ok(Stepped::Pending(pending)) = bench.plugin.step_at(&write, &second).await else {
        panic!()
    };
    bench.upstream.set_status(123_456_789, "cancelled").unwrap();
    let error = bench.plugin.follow(&write, pending.handle).await.error();
    assert_eq!(error.reason, ErrorReason::UpstreamFailed);
}

#[tokio::test]
async fn renewals_made_elsewhere() {
    let bench = Bench::new().await;
    bench.unpaid().await;
    let request = bench.request(&["54321", "67890"], 12).await;
    bench.run(Op::CreateRenewal, &request, "").await.renewal();
    let list = async |request: ListRenewalsRequest| -> ListRenewalsResponse {
        bench.plugin.read(Op::ListRenewals, &request, "").await.unwrap()
    };
    let all = ListRenewalsRequest { parent: "providers/test".to_owned(), ..Default::default() };
    let page = list(all.clone()).await;
    let ids: Vec<_> = page.renewals.iter().map(|it| it.upstream.as_ref().unwrap().id()).collect();
    assert_eq!(ids, ["123456790", "123456789"]);
    // A domain name and its hosting have one name, which so leads to neither.
    assert_eq!(page.renewals[0].services, []);
    assert_eq!(page.renewals[1].services[0].service, service_name("12345"));
    let details = format!("{:?}", page.renewals[0].attributes);
    assert!(details.contains("example.ovh") && !details.contains("35.88"), "{details}");
    let one = list(ListRenewalsRequest { page_size: 1, ..all.clone() }).await;
    assert_eq!((one.renewals.len(), one.next_page_token.as_str()), (1, "123456790"));
    let rest = ListRenewalsRequest { page_token: one.next_page_token, ..all.clone() };
    assert_eq!(list(rest).await.renewals.len(), 1);
    let completed = ListRenewalsRequest { states: vec![State::Completed.into()], ..all };
    assert_eq!(list(completed).await.renewals, []);
    for id in ["1", "x", ""] {
        assert_eq!(reason(bench.renewal(id).await), ErrorReason::RenewalNotFound, "{id}");
    }
    // Where the region does not tell what orders are for, they are not listed as renewals.
    bench.set(|mode| mode.united_states = true);
    let all = ListRenewalsRequest { parent: "providers/test".to_owned(), ..Default::default() };
    assert_eq!(list(all).await.renewals, []);
    assert_eq!(bench.renewal("123456789").await.unwrap().state(), State::AwaitingPayment);
}

/// `amount|ceiling|text`.
fn shown(price: Option<&Price>) -> String {
    let price = price.cloned().unwrap_or_default();
    let [amount, ceiling] = [price.amount, price.ceiling.map(|it| *it)]
        .map(|amount| amount.map(|amount| amount.to_string()).unwrap_or_default());
    format!("{amount}|{ceiling}|{}", price.display_text)
}

/// Every answer to a call has another value where a value stands first.
fn respell(bench: &Bench, call: &str, from: &str, to: &str) {
    let (from, to) = (format!("\"value\":{from}"), format!("\"value\":{to}"));
    let fault = Fault::next(call, FaultKind::Respell { from, to });
    bench.upstream.inject(fault.times(u32::MAX));
}

fn is_wrong(notices: &[Notice]) -> bool {
    notices.iter().any(|notice| notice.reason == "PRICE_NOT_UNDERSTOOD")
}

const SPELLINGS: [(&str, &str, bool); 8] = [
    ("37.870000000000005", "37.87|37.870000001|37.870000000000005", true),
    ("1e1", "10||", true),
    ("1e-05", "0.00001||", true),
    ("\"0.1000000000\"", "0.1||", true),
    ("1e400", "||1e400", false),
    ("\"n/a\"", "||n/a", false),
    ("null", "||", false),
    ("{}", "||{}", false),
];

#[tokio::test]
async fn a_price_in_any_spelling_hides_no_other_way_to_renew() {
    for (value, expected, understood) in SPELLINGS {
        let bench = Bench::new().await;
        respell(&bench, "GET /service/{serviceId}/renew", "4.99", value);
        let ways = bench.options("12345", false).await.unwrap().renewal_options;
        let prices: Vec<_> = ways.iter().map(|way| shown(way.price.as_ref())).collect();
        assert_eq!(prices, [expected, "14.97||", "59.88||"], "{value}");
        let wrong: Vec<_> = ways.iter().map(|way| is_wrong(&way.notices)).collect();
        assert_eq!(wrong, [!understood, false, false], "{value}");
        // The way itself does not depend on its price, which the order tells anew.
        let request = bench.request(&["12345"], 1).await;
        let renewal = bench.run(Op::CreateRenewal, &request, "").await.renewal();
        assert_eq!(renewal.state(), State::AwaitingPayment, "{value}");
    }
}

#[tokio::test]
async fn an_order_whose_price_is_none_is_shown_and_can_be_paid_without_a_limit() {
    for (value, expected, understood) in SPELLINGS {
        let bench = Bench::new().await;
        let request = bench.paid_request(&["12345"], 3).await;
        respell(&bench, "GET /me/order/{orderId}", "17.96", value);
        respell(&bench, RENEW, "17.96", value);
        let mut parts: Vec<_> = expected.split('|').map(str::to_owned).collect();
        for amount in parts[..2].iter_mut().filter(|amount| !amount.is_empty()) {
            amount.push_str(" EUR");
        }
        if parts[2].is_empty() {
            parts[2] = "17.96 €".to_owned();
        }
        let expected = parts.join("|");
        let quote = bench.plugin.quote(&write(Op::CreateRenewal, &request, "")).await.unwrap();
        assert_eq!(shown(quote.price.as_ref()), expected, "{value}");
        assert_eq!(is_wrong(&quote.notices), !understood, "{value}");
        let renewal = bench.run(Op::CreateRenewal, &request, "").await.renewal();
        assert_eq!(renewal.state(), State::Completed, "{value}");
        let order = bench.order(renewal.upstream.unwrap().id()).await.unwrap();
        assert_eq!(shown(order.price_with_tax.as_ref()), expected, "{value}");
        assert_eq!(shown(order.price_without_tax.as_ref()), "14.97 EUR||14.97 €", "{value}");
        assert_eq!(is_wrong(&order.notices), !understood, "{value}");
        assert_eq!(bench.made_and_paid(), (1, 1), "{value}");
    }
}
