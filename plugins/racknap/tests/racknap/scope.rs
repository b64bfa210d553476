//! Every item of the document, at the place that the mapping gives it. What an item does in detail is
//! told by the tests of its noun; this one shows that nothing of the document is out of reach.

use purveyor_sdk::plugin::v1::credential::Placement;
use purveyor_sdk::plugin::v1::step_outcome::Outcome as Stepped;
use purveyor_sdk::plugin::v1::{Manifest, Op, Write};
use purveyor_sdk::serde_json::json;
use purveyor_sdk::testing::{Scope, TestHost};
use purveyor_sdk::v1::order::State as OrderState;
use purveyor_sdk::v1::service::State as ServiceState;
use purveyor_sdk::v1::term::Kind;
use purveyor_sdk::v1::{
    ErrorReason, GetProductRequest, ListProductsRequest, ListProductsResponse, Order, OrderItem,
    Product, Service, Term,
};
use purveyor_simulators::racknap::{AccountSeed, Options, Record};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{
    Bench, configuration, create, day, inr, item, of, open, order, resume, suspend, terminate,
};

const LIST: &str = include_str!("../../../../tests/data/scope/racknap.csv");

#[tokio::test]
async fn every_item_of_the_document_is_reachable() {
    let mut scope = Scope::of(LIST);
    let manifest = TestHost::<purveyor_racknap::RackNap>::manifest().unwrap();
    for action in
        ["create", "suspend", "unsuspend", "terminate", "planDetail", "cloud_linux_vps_details"]
    {
        transport(&mut scope, &manifest, action).await;
    }
    answers(&mut scope).await;
    new_service(&mut scope).await;
    cycles(&mut scope).await;
    changes(&mut scope).await;
    plans(&mut scope).await;
    scope.finish();
}

/// What every call is sent with. The simulator refuses a call without its token or its header, so that
/// an answer shows both.
async fn transport(scope: &mut Scope, manifest: &Manifest, action: &str) {
    let call = format!("service/{action}");
    let declared = manifest.calls.iter().find(|declared| declared.name == call).unwrap();
    scope.shows(&format!("{call}: method POST"), declared.method == "POST");

    let bench = Bench::new().await;
    let id = bench.upstream.make_service("racknap", 24).unwrap().to_string();
    let answered = ask(&bench, action, &id).await.is_ok();
    scope.shows(&format!("{call}: header cache-control: no-cache"), answered);
    let token = &manifest.credentials[0];
    let placed = token.placement() == Placement::Header
        && (token.header.as_str(), token.scheme.as_str()) == ("Validate", "Bearer");
    scope.shows(&format!("{call}: header Validate: Bearer"), answered && placed);

    let plugin = open(bench.upstream.url(), configuration(), "somebody-elses").unwrap();
    let stranger = Bench { upstream: bench.upstream, plugin };
    let refused = ask(&stranger, action, &id).await.unwrap_err();
    scope.shows(&format!("{call}: token"), refused == "1003");
}

/// Makes one call of an action; the upstream's code where it is refused.
async fn ask(bench: &Bench, action: &str, id: &str) -> Result<(), String> {
    let write: Write = match action {
        "create" => create(order()),
        "suspend" => suspend(id),
        "unsuspend" => resume(id),
        "terminate" => terminate(id),
        _ => {
            let platform = if action == "planDetail" { "" } else { "Linux" };
            let read = product(bench, platform, "", "").await;
            return read.map(drop).map_err(|error| error.metadata["upstream_code"].clone());
        }
    };
    match bench.once(&write).await.unwrap() {
        Stepped::Done(_) => Ok(()),
        Stepped::Rejected(rejected) => {
            Err(rejected.error.unwrap().metadata["upstream_code"].clone())
        }
        other => panic!("{other:?}"),
    }
}

async fn product(
    bench: &Bench,
    platform: &str,
    currency: &str,
    partner: &str,
) -> purveyor_sdk::Result<Product> {
    let request = GetProductRequest {
        name: "providers/test/products/24".to_owned(),
        platform: platform.to_owned(),
        currency_code: currency.to_owned(),
        partner: partner.to_owned(),
    };
    bench.read(Op::GetProduct, &request, "24").await
}

async fn answers(scope: &mut Scope) {
    // Two ventures, each on its own domain.
    let bench = Bench::new().await;
    let other = Bench::new().await;
    other.run(&create(order())).await.order();
    let apart = bench.upstream.services().is_empty() && other.upstream.services().len() == 1;
    scope.shows("https://yourdomain.com/api/v2", apart);

    let made = bench.run(&create(order())).await.order();
    let upstream = made.upstream.clone().unwrap();
    scope.shows("response: JSON after decoding", upstream.id() == "1334");
    scope.shows("response.status", upstream.state == "Success");
    scope.shows("response.status=Success", made.state() == OrderState::Completed);
    scope.shows("response.message", upstream.message.starts_with("Service ID: 1334 - "));

    let fault = FaultKind::Fault { code: 42, text: "Not for you.".to_owned() };
    bench.upstream.inject(Fault::next("create", fault));
    let error = bench.run(&create(order())).await.error();
    let rejected = error.reason == ErrorReason::UpstreamRejected;
    scope.shows("error: error code", rejected && error.metadata["upstream_code"] == "42");
    scope.shows("error: error message", error.message.contains("Not for you."));
}

async fn new_service(scope: &mut Scope) {
    let bench = Bench::new().await;
    let mut item = OrderItem { quantity: 3, next_due_date: day(2021, 2, 3), ..item() };
    item.plan_term = Some(Term::free(""));
    let pricing = item.pricing.as_mut().unwrap();
    pricing.recurring_amount = inr("1.01");
    pricing.purchase_amount = inr("2.02");
    pricing.first_plan_price = inr("3.03");
    pricing.recurring_plan_price = inr("4.04");
    pricing.first_payment = inr("5.05");
    let asked = Order { partner: "7".to_owned(), ..of(item) };
    let made = bench.run(&create(asked)).await.order();
    let record = bench.upstream.services()[0].record.clone();
    let kept = &made.items[0];

    scope.shows("service/create", bench.upstream.ledger().len() == 1);
    type Check<'a> = (&'a str, fn(&Record) -> String, &'a str);
    let written: [Check<'_>; 15] = [
        ("customer_id", |it| it.customer_id.to_string(), "652"),
        ("quantity", |it| it.quantity.to_string(), "3"),
        ("slserverid", |it| it.slserverid.clone().unwrap(), "618e16ad6764"),
        ("serverid", |it| it.serverid.to_string(), "0"),
        ("planid", |it| it.planid.to_string(), "172"),
        ("regdate", |it| it.regdate.to_string(), "2019-07-23"),
        ("amount", |it| it.amount.to_string(), "1.01"),
        ("recuring_amount", |it| it.recuring_amount.to_string(), "2.02"),
        ("nextduedate", |it| it.nextduedate.to_string(), "2021-02-03"),
        ("billingcycle", |it| it.billingcycle.clone(), "Annually"),
        ("first_plan_price", |it| it.first_plan_price.to_string(), "3.03"),
        ("recuring_plan_price", |it| it.recuring_plan_price.to_string(), "4.04"),
        ("plan_billing_cycle", |it| it.plan_billing_cycle.clone(), "Free"),
        ("firstpayment", |it| it.firstpayment.to_string(), "5.05"),
        ("pid", |it| it.pid.to_string(), "7"),
    ];
    for (name, of, expected) in written {
        scope.shows(&format!("service/create: {name}"), of(&record) == expected);
    }
    let told = (kept.start_date, kept.next_due_date) == (day(2019, 7, 23), day(2021, 2, 3));
    let upstream = made.upstream.as_ref().unwrap();
    scope.shows(
        "service/create response.status=Success",
        told && upstream.state == "Success" && made.state() == OrderState::Completed,
    );
    scope.shows("service/create response.message", upstream.message.ends_with("successfully."));
    let named = kept.services == ["providers/test/services/1334"] && upstream.id() == "1334";
    scope.shows("service/create response.message: Service ID", named);
    let name = kept.display_name == "Office 365 ( Essential Suite )";
    scope.shows("service/create response.message: product name", name);

    let main = bench.run(&create(order())).await.order();
    let venture = main.partner == "0" && bench.upstream.services()[1].record.pid == 0;
    scope.shows("service/create: pid=0", venture);
}

async fn cycles(scope: &mut Scope) {
    let bench = Bench::new().await;
    let recurring = |period: &str| Term {
        kind: Kind::Recurring.into(),
        period: period.to_owned(),
        ..Term::default()
    };
    for (word, term) in [
        ("Free", Term::free("")),
        ("Free Trial", Term::free_trial("")),
        ("One Time", Term::one_time("")),
        ("Hourly", recurring("PT1H")),
        ("Monthly", recurring("P1M")),
        ("Quarterly", recurring("P3M")),
        ("Semi-Annually", recurring("P6M")),
        ("Annually", recurring("P1Y")),
        ("Biennially", recurring("P2Y")),
        ("Triennially", recurring("P3Y")),
        ("Quadrennial", recurring("P4Y")),
        ("Quinquennial", recurring("P5Y")),
        ("Decennial", recurring("P10Y")),
    ] {
        let asked = OrderItem {
            plan_term: Some(term.clone()),
            term: Some(term.clone()),
            next_due_date: day(2030, 1, 1),
            ..item()
        };
        let made = bench.run(&create(of(asked))).await.order();
        let record = bench.upstream.services().pop().unwrap().record;
        let both = record.billingcycle == word && record.plan_billing_cycle == word;
        let shown = made.items[0].term.as_ref().unwrap();
        let back = (shown.kind, shown.period.as_str()) == (term.kind, term.period.as_str());
        let verbatim = shown.upstream_value == word;
        scope.shows(&format!("service/create: billingcycle={word}"), both && back && verbatim);
    }
}

async fn changes(scope: &mut Scope) {
    let bench = Bench::new().await;
    let id = bench.upstream.make_service("racknap", 24).unwrap().to_string();
    let suspended = bench.run(&suspend(&id)).await.service();
    let resumed = bench.run(&resume(&id)).await.service();
    let terminated = bench.run(&terminate(&id)).await.service();
    for (call, service, state) in [
        ("service/suspend", &suspended, ServiceState::Suspended),
        ("service/unsuspend", &resumed, ServiceState::Active),
        ("service/terminate", &terminated, ServiceState::Terminated),
    ] {
        scope.shows(call, service.state() == state);
        let named = service.name.ends_with(&id) && upstream(service).0 == id;
        scope.shows(&format!("{call}: serviceid"), named);
    }
    let (_, state, message) = upstream(&suspended);
    scope.shows("service/suspend response.status=Success", state == "Success");
    let expected = "Service has been suspended successfully.";
    scope.shows("service/suspend response.message", message == expected);
    let (_, state, message) = upstream(&resumed);
    scope.shows("service/unsuspend response.status=Success", state == "Success");
    let expected = "Service has been unuspended successfully.";
    scope.shows("service/unsuspend response.message", message == expected);
    let (_, state, message) = upstream(&terminated);
    scope.shows("service/terminate response", state == "Success" && !message.is_empty());
}

fn upstream(service: &Service) -> (&str, &str, &str) {
    let upstream = service.upstream.as_ref().unwrap();
    (upstream.id(), &upstream.state, &upstream.message)
}

async fn plans(scope: &mut Scope) {
    let configuration =
        json!({ "currencies": { "INR": 1, "USD": 2 }, "currency": "INR", "plans": [24] });
    let accounts = vec![AccountSeed::default()];
    let options = Options { accounts, ..Options::default() };
    let bench = Bench::with(options, configuration).await;
    let attribute = |product: &Product, name: &str| {
        let value = product.attributes.as_ref().and_then(|it| it.fields.get(name));
        value.map(|value| format!("{value:?}")).unwrap_or_default()
    };
    for (call, platform, currency, partner) in [
        ("service/planDetail", "", "currency", "pid"),
        ("service/cloud_linux_vps_details", "Linux", "currency_id", "partner_id"),
    ] {
        let shown = product(&bench, platform, "USD", "7").await.unwrap();
        scope.shows(call, shown.display_name == "Cloud VPS M");
        let id = shown.upstream.as_ref().unwrap().id();
        scope.shows(
            &format!("{call}: planid"),
            id == "24" && attribute(&shown, "planid").contains("24"),
        );
        let price = shown.offers[0].price.as_ref().unwrap();
        let code = &price.amount.as_ref().unwrap().currency_code;
        let currencies = code == "USD" && price.upstream_currency == "2";
        let sent = attribute(&shown, currency).contains("2.0");
        scope.shows(&format!("{call}: {currency}"), currencies && sent);
        let listed = list(&bench, platform).await;
        let partners = attribute(&shown, partner).contains("7.0")
            && attribute(&listed, partner).contains("7.0");
        scope.shows(&format!("{call}: {partner}"), partners);
        let amounts =
            shown.offers.iter().all(|offer| offer.price.is_some() && offer.term.is_some());
        let rest = attribute(&shown, "pricing").is_empty() && !shown.offers.is_empty();
        scope.shows(&format!("{call} response"), amounts && rest);
    }
    let call = "service/cloud_linux_vps_details: platform";
    for platform in ["Linux", "Windows"] {
        let got = attribute(&product(&bench, platform, "", "").await.unwrap(), "platform");
        let listed = attribute(&list(&bench, platform).await, "platform");
        scope.shows(&format!("{call}={platform}"), got.contains(platform) && listed == got);
    }
    let refused = product(&bench, "BeOS", "", "").await.unwrap_err();
    scope.shows(call, refused.violations[0].field == "platform");
}

/// The one row of the list.
async fn list(bench: &Bench, platform: &str) -> Product {
    let request = ListProductsRequest {
        parent: "providers/test".to_owned(),
        platform: platform.to_owned(),
        partner: "7".to_owned(),
        ..ListProductsRequest::default()
    };
    let page: ListProductsResponse = bench.read(Op::ListProducts, &request, "").await.unwrap();
    page.products.into_iter().next().unwrap()
}
