//! Upstreams of two more levels of evidence behind a gateway: Klikk, where an order carries a mark of
//! ours, and RackNap, where nothing can be asked. It must not know a scenario.

use purveyor_sdk::prost_types::value::Kind;
use purveyor_sdk::prost_types::{Struct, Value};
use purveyor_sdk::v1::{
    CreateOrderRequest, Date, Money, Operation, OrderItem, OrderPricing, operation,
};
use purveyor_simulators::computestacks::{ComputeStacks, Options};
use purveyor_simulators::klikk::{self, Klikk};
use purveyor_simulators::racknap::{self, RackNap};
use purveyor_simulators::{Cents, Simulator};
use xtask::configuration::Provider;

use crate::support::requests::purchase;

pub(crate) const TOKEN: &str = "testtesttesttesttesttest";

pub(crate) const KLIKK_CREATE: &str = "order_create";
pub(crate) const RACKNAP_CREATE: &str = "create";

/// What became of each attempt, and the identifier that it has.
pub(crate) fn attempts(operation: &Operation) -> Vec<(operation::Outcome, &str)> {
    let told = |it: &operation::Attempt| it.outcome();
    operation.attempts.iter().map(|it| (told(it), it.upstream_id.as_str())).collect()
}

/// The word for what a person has to look at; empty where there is none.
pub(crate) fn problem(operation: &Operation) -> &str {
    operation.problem.as_ref().map_or("", |problem| problem.reason.as_str())
}

pub(crate) fn candidates(operation: &Operation) -> Vec<&str> {
    operation.candidates.iter().map(|it| it.id()).collect()
}

/// The identifiers of what an upstream has sold, oldest first.
pub(crate) fn sales<P>(upstream: &Simulator<P>) -> Vec<String> {
    upstream.ledger().into_iter().map(|entry| entry.sale.operation_id).collect()
}

pub(crate) fn timed(provider: Provider) -> Provider {
    provider
        .timing("attempt_timeout_ms", 1000)
        .timing("upstream_idle_ms", 50)
        .timing("upstream_processing_ms", 50)
        .timing("listing_lag_ms", 50)
}

pub(crate) async fn klikk() -> (Simulator<Klikk>, Provider) {
    let account = klikk::AccountSeed {
        account_token: TOKEN.to_owned(),
        credit: Cents::new(1_000_000_000),
        ..klikk::AccountSeed::default()
    };
    let options = klikk::Options { accounts: vec![account], ..klikk::Options::default() };
    let upstream = Klikk::start(options).await.expect("the simulator starts");
    let products = toml::Table::from_iter([("VPS".to_owned(), toml::Table::new().into())]);
    let provider = Provider::new("klikk", upstream.url())
        .setting("products", products)
        .credential("account-token", TOKEN);
    (upstream, timed(provider))
}

pub(crate) async fn racknap() -> (Simulator<RackNap>, Provider) {
    let account = racknap::AccountSeed { token: TOKEN.to_owned(), ..Default::default() };
    let options = racknap::Options { accounts: vec![account], ..racknap::Options::default() };
    let upstream = RackNap::start(options).await.expect("the simulator starts");
    let provider = Provider::new("racknap", upstream.url())
        .credential("token", TOKEN)
        .setting("currencies", toml::Table::from_iter([("INR".to_owned(), 1.into())]))
        .setting("plans", vec![172, 24]);
    (upstream, timed(provider))
}

/// A virtual server at Klikk.
pub(crate) fn server() -> CreateOrderRequest {
    let quantities = [
        ("quantity_ram_gb", 0.5),
        ("quantity_cpu", 1.0),
        ("quantity_storage_gb", 25.0),
        ("os", 2.0),
    ];
    let fields = quantities.map(|(name, quantity)| {
        (name.to_owned(), Value { kind: Some(Kind::NumberValue(quantity)) })
    });
    ordered("klikk", "VPS", |item| {
        item.term = None;
        item.display_name = "alike".to_owned();
        item.options = Some(Struct { fields: fields.into() });
    })
}

/// A service's record at RackNap.
pub(crate) fn record() -> CreateOrderRequest {
    let amount = || Some(Money { currency_code: "INR".to_owned(), units: 528, nanos: 140_000_000 });
    let mut request = ordered("racknap", "172", |item| {
        item.pricing = Some(OrderPricing {
            recurring_amount: amount(),
            purchase_amount: amount(),
            first_plan_price: amount(),
            recurring_plan_price: amount(),
            first_payment: amount(),
        });
        item.start_date = Some(Date { year: 2026, month: 1, day: 31 });
    });
    request.order.as_mut().expect("an order").customer = "652".to_owned();
    request
}

fn ordered(
    provider: &str,
    product: &str,
    finish: impl FnOnce(&mut OrderItem),
) -> CreateOrderRequest {
    let mut request = purchase(provider, &[(product, 1)]);
    finish(&mut request.order.as_mut().expect("an order").items[0]);
    request
}

/// ComputeStacks with a plan and a region.
pub(crate) async fn computestacks() -> (Simulator<ComputeStacks>, Provider) {
    let upstream = ComputeStacks::start(Options::default()).await.expect("the simulator starts");
    let regions = toml::Table::from_iter([("fra".to_owned(), 1.into())]);
    let provider = Provider::new("computestacks", upstream.url())
        .credential("api-credential", "purveyor:correct-horse")
        .setting("billing_plan", 1)
        .setting("regions", regions);
    (upstream, timed(provider))
}
