//! Every item of the document, at the place that the mapping gives it. What an item does in detail is
//! told by the tests of its noun; this one shows that nothing of the document is out of reach.

use purveyor_sdk::plugin::v1::{Manifest, Op};
use purveyor_sdk::testing::{Scope, TestHost, write};
use purveyor_sdk::v1::price::Tax;
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::{
    CreateRenewalRequest, Effect, ErrorReason, GetOrderSecretsRequest, ListPaymentMethodsRequest,
    ListPaymentMethodsResponse, ListServicesRequest, ListServicesResponse, Order, OrderSecrets,
    Price, Quote, Renewal, RenewalOption, Service, Term,
};
use purveyor_sdk::{Period, Result};
use purveyor_simulators::{Fault, FaultKind};

use super::driver::{
    Bench, PAY, RENEW, amount, order_name, pay_order, paypal, reason, service_name,
};

const LIST: &str = include_str!("../../../../tests/data/scope/ovh.csv");

/// The name that the guide's program begins with.
const VPS: &str = "vps112233.ovh.net";

#[tokio::test]
async fn every_item_of_the_document_is_reachable() {
    let mut scope = Scope::of(LIST);
    let bench = Bench::new().await;
    let manifest = TestHost::<purveyor_ovh::Ovh>::manifest().unwrap();
    let service = finding_the_service(&mut scope, &bench, &manifest).await;
    ways(&mut scope, &bench).await;
    strategies(&mut scope, &bench).await;
    let (renewal, quote) = renew(&mut scope, &bench, &service).await;
    the_order(&mut scope, &bench, &renewal).await;
    amounts(&mut scope, &bench, &renewal, &quote).await;
    pay(&mut scope, &bench, &manifest, &renewal).await;
    program(&mut scope).await;
    scope.finish();
}

async fn finding_the_service(scope: &mut Scope, bench: &Bench, manifest: &Manifest) -> Service {
    let service = bench.service(VPS).await.unwrap();
    let renews = service.renewal_policy.as_ref().is_some_and(|policy| policy.auto_renew());
    let method = manifest.methods.iter().find(|method| method.op() == Op::CreateRenewal).unwrap();
    let told = method.notices.iter().any(|notice| notice.reason == "AUTO_RENEWS");
    scope.shows("automatic renewal", renews && told);
    let id = service.upstream.as_ref().unwrap().id();
    scope.shows("serviceId", service.name == service_name("12345") && id == "12345");
    let asked = bench.asked("GET /vps/{serviceName}/serviceInfos") > 0;
    scope.shows("GET /vps/{serviceName}/serviceInfos", asked);
    let alias = service.aliases.contains(&service_name(VPS));
    scope.shows("GET /vps/{serviceName}/serviceInfos: serviceName", alias);
    scope.shows("GET /vps/{serviceName}/serviceInfos response.serviceId", id == "12345");
    let request = ListServicesRequest { parent: "providers/test".to_owned(), ..Default::default() };
    let page: ListServicesResponse =
        bench.plugin.read(Op::ListServices, &request, "").await.unwrap();
    let listed = page.services.iter().any(|row| row.name == service.name);
    scope.shows("list your services", listed);
    let other = Bench::new().await;
    other.change_account(|account| account.application_secret = "other".to_owned());
    let refused = reason(other.service("12345").await) == ErrorReason::UpstreamCredentials;
    scope.shows("client = ovh.Client()", refused);
    service
}

async fn ways(scope: &mut Scope, bench: &Bench) {
    let of_domain = options(bench, "54321", false).await;
    let asked = bench.asked("GET /service/{serviceId}/renew");
    scope.shows("GET /service/{serviceId}/renew", asked == 1 && of_domain.len() == 2);
    let by_name = options(bench, VPS, false).await;
    let of_vps = options(bench, "12345", false).await;
    scope.shows("GET /service/{serviceId}/renew: serviceId", by_name == of_vps);
    let with_options = options(bench, "12345", true).await;
    let more = with_options.len() == 2 * of_vps.len();
    scope.shows("GET /service/{serviceId}/renew: includeOptions", more);
    let periods: Vec<_> = of_vps.iter().map(|it| it.term.clone().unwrap()).collect();
    let flat: Vec<_> = periods.iter().map(|term| term.period.as_str()).collect();
    scope.shows("RenewDescription[]", flat == ["P1M", "P3M", "P1Y"]);
    let verbatim = periods.iter().all(|term| term.upstream_value == term.period);
    scope.shows("RenewDescription.renewPeriod", verbatim);
    scope.shows("RenewDescription.renewPeriod=P1Y", flat.contains(&"P1Y"));
    scope.shows("RenewDescription.renewPeriod=P3M", flat.contains(&"P3M"));
    bench.upstream.inject(Fault::next("GET /service/{serviceId}/renew", FaultKind::WrongType));
    let unclear = reason(bench.options("12345", false).await);
    scope.shows("renew API reference", unclear == ErrorReason::UpstreamUnavailable);
}

async fn strategies(scope: &mut Scope, bench: &Bench) {
    let found = options(bench, "54321", false).await;
    let [alone, together] = found.as_slice() else { panic!("{found:#?}") };
    let attributes = together.attributes.as_ref().is_some_and(|it| it.fields.is_empty());
    scope.shows("RenewDescription.strategies[]", attributes);
    let names = |option: &RenewalOption| {
        option.services.iter().map(|it| it.service.clone()).collect::<Vec<_>>()
    };
    let both = vec![service_name("67890"), service_name("54321")];
    scope.shows("RenewStrategy.services[]", names(together) == both);
    let price = together.price.as_ref();
    scope.shows("RenewStrategy.price", price.is_some());
    let unnamed = price.unwrap().amount.as_ref().unwrap().currency_code.is_empty();
    let right = (amount(alone.price.as_ref()), amount(price)) == ("1.99".into(), "37.87".into());
    scope.shows("RenewStrategy.price.value", right && unnamed);
    let shown = together.services.iter().all(|it| it.display_name == "example.ovh");
    scope.shows("RenewStrategy.servicesDetails[]", shown);
    let types: Vec<_> = together.services.iter().map(|it| it.service_type.as_str()).collect();
    let right = types == ["Hosting Perso 2014", "Domain .ovh"];
    scope.shows("RenewStrategy.servicesDetails[].serviceType", right);
    scope.shows("RenewStrategy.servicesDetails[].serviceId", names(alone) == [both[1].clone()]);
    scope.shows("strategies: one service alone", alone.services.len() == 1);
    scope.shows("strategies: services together", together.services.len() == 2);
    let unlisted = bench.request(&["54321", "12345"], 12).await;
    let refused = bench.run(Op::CreateRenewal, &unlisted, "").await.error();
    let right = refused.violations[0].field == "renewal.services" && bench.asked(RENEW) == 0;
    scope.shows("strategies: all combinations", right);
}

async fn renew(scope: &mut Scope, bench: &Bench, service: &Service) -> (Renewal, Quote) {
    let request = bench.request(&["54321", "67890"], 12).await;
    let quote = bench.plugin.quote(&write(Op::CreateRenewal, &request, "")).await.unwrap();
    let dry = bench.made_and_paid() == (0, 0) && bench.asked(RENEW) == 1;
    scope.shows("POST /service/{serviceId}/renew: dryRun", dry && quote.upstream_asked);
    let renewal = bench.run(Op::CreateRenewal, &request, "").await.renewal();
    let made = bench.upstream.ledger()[0].sale.clone();
    scope.shows("POST /service/{serviceId}/renew", bench.made_and_paid() == (1, 0));
    let named = renewal.service == service_name("54321") && service.name != renewal.service;
    scope.shows("POST /service/{serviceId}/renew: serviceId", named);
    let duration = made.duration.as_deref();
    let term = renewal.term.as_ref().unwrap();
    scope.shows(
        "POST /service/{serviceId}/renew: duration",
        duration == Some("P1Y") && term.period == "P1Y",
    );
    let both = made.product_id.as_deref() == Some("67890,54321");
    scope.shows("POST /service/{serviceId}/renew: services[]", both && renewal.services.len() == 2);
    (renewal, quote)
}

async fn the_order(scope: &mut Scope, bench: &Bench, renewal: &Renewal) {
    let id = renewal.upstream.as_ref().unwrap().id();
    let order = bench.order(id).await.unwrap();
    scope.shows("RenewOrder", renewal.order == order.name);
    let moment = |time: Option<purveyor_sdk::prost_types::Timestamp>, expected: &str| {
        time == Some(purveyor_sdk::time::rfc3339(expected).unwrap())
    };
    let right = moment(order.expire_time, "2026-05-16T15:49:06+02:00");
    scope.shows("RenewOrder.expirationDate", right);
    scope.shows("RenewOrder.date", moment(order.create_time, "2026-05-15T15:49:06+02:00"));
    scope.shows("RenewOrder.retractionDate", order.retraction_time.is_none());
    let right = id == "123456789" && order.aliases == [order_name(id)];
    scope.shows("RenewOrder.orderId", right);
    let request = GetOrderSecretsRequest { name: order_name(id) };
    let secrets: OrderSecrets = bench.plugin.read(Op::GetOrderSecrets, &request, id).await.unwrap();
    let hidden = |order: &Order, renewal: &Renewal| {
        !format!("{order:?}{renewal:?}").contains(secrets.password.as_str())
    };
    let kept = order.has_secrets && hidden(&order, renewal);
    scope.shows("RenewOrder.password", kept && !secrets.password.is_empty());
    scope.shows("RenewOrder.url", secrets.url.contains(&secrets.password));
    scope.shows("RenewOrder.pdfUrl", secrets.pdf_url.contains(&secrets.password));
    let waits = renewal.state() == State::AwaitingPayment
        && order.required_action.as_ref().is_some_and(|it| it.amount_due == order.price_with_tax);
    scope.shows("settle by the order API", waits);
}

async fn amounts(scope: &mut Scope, bench: &Bench, renewal: &Renewal, quote: &Quote) {
    bench.change_account(|account| account.currency = "CAD".to_owned());
    let order = bench.order(renewal.upstream.as_ref().unwrap().id()).await.unwrap();
    let quoted = quote.order.as_ref().unwrap();
    let mut told = |name: &str, price: Option<&Price>, dry: Option<&Price>, tax, digits: &str| {
        let (price, dry) = (price.unwrap(), dry.unwrap());
        let money = price.amount.as_ref().unwrap();
        let decimal = |price: &Price| price.amount.as_ref().unwrap().to_decimal().unwrap();
        let same = decimal(dry) == digits;
        scope.shows(&format!("RenewOrder.{name}"), price.tax() == tax && same);
        scope.shows(&format!("RenewOrder.{name}.value"), decimal(price) == digits);
        // The text shows another currency than the code, as in the guide, and is not parsed.
        let text = format!("{digits} €");
        scope.shows(&format!("RenewOrder.{name}.text"), price.display_text == text);
        let code = money.currency_code == "CAD" && price.upstream_currency == "CAD";
        scope.shows(&format!("RenewOrder.{name}.currencyCode"), code);
    };
    let with = (order.price_with_tax.as_ref(), quote.price.as_ref());
    told("priceWithTax", with.0, with.1, Tax::Included, "45.44");
    let tax = (order.tax.as_ref(), quoted.tax.as_ref());
    told("tax", tax.0, tax.1, Tax::Unspecified, "7.57");
    let without = (order.price_without_tax.as_ref(), quoted.price_without_tax.as_ref());
    told("priceWithoutTax", without.0, without.1, Tax::Excluded, "37.87");
    bench.change_account(|_| ());
}

async fn pay(scope: &mut Scope, bench: &Bench, manifest: &Manifest, renewal: &Renewal) {
    let id = renewal.upstream.as_ref().unwrap().id();
    let request = ListPaymentMethodsRequest { parent: order_name(id), ..Default::default() };
    let page: ListPaymentMethodsResponse =
        bench.plugin.read(Op::ListPaymentMethods, &request, id).await.unwrap();
    let offered = page.payment_methods.iter().find(|it| it.r#type == "paypal");
    let of = |item: &str| format!("POST /me/order/{{orderId}}/payWithRegisteredPaymentMean{item}");
    scope.shows(&of(": paymentMean=paypal"), offered.is_some());
    scope.shows(&of(": paymentMeanId"), offered.is_some_and(|it| it.id == "1234"));
    let unknown = pay_order(id, super::driver::method("cash", "1"));
    let refused = bench.plugin.run(&unknown).await.error();
    let right = refused.violations[0].field == "payment.method.type" && bench.asked(PAY) == 0;
    scope.shows(&of(": paymentMean"), right);
    let paid = bench.plugin.run(&pay_order(id, paypal())).await.order();
    scope.shows(&of(": orderId"), paid.name == order_name(id));
    let spends = |call: &purveyor_sdk::plugin::v1::Call| call.effect() == Effect::Spend;
    let spending: Vec<_> = manifest.calls.iter().filter(|call| spends(call)).collect();
    let only = spending.iter().all(|call| call.name.starts_with("order.pay."));
    let money = bench.made_and_paid() == (1, 1) && bench.asked(PAY) == 1;
    scope.shows(&of(""), only && money);
}

/// The guide's program: the service by its name, its choices, the order and its payment.
async fn program(scope: &mut Scope) {
    let bench = Bench::new().await;
    let service = bench.service(VPS).await.unwrap();
    scope.shows("program: myVps", service.name == service_name("12345"));
    let offered = options(&bench, VPS, false).await;
    let period = |option: &&RenewalOption| option.term.as_ref().unwrap().period == "P3M";
    let alone = offered.iter().find(period).is_some_and(|option| option.services.len() == 1);
    let request = bench.paid_request(&["12345"], 3).await;
    let wrong = |change: &dyn Fn(&mut Renewal)| {
        let mut request: CreateRenewalRequest = request.clone();
        change(request.renewal.as_mut().unwrap());
        request
    };
    let six = Some(Term::recurring(Period::Months(6), ""));
    let by_term = field(&bench, &wrong(&|it| it.term = six.clone())).await;
    let option = bench.service("12346").await.unwrap();
    let extra = purveyor_sdk::v1::ServiceRef {
        service: service_name("54321"),
        expected_expire_time: option.expire_time,
        ..Default::default()
    };
    let by_services = field(&bench, &wrong(&|it| it.services.push(extra.clone()))).await;
    scope.shows("program: checkStrategy", alone && by_services == "renewal.services");
    let refused = by_term == "renewal.term" && bench.asked(RENEW) == 0;
    scope.shows("program: ValueError", refused);
    let renewed = bench.run(Op::CreateRenewal, &request, "").await.renewal();
    let right = renewed.term.unwrap().period == "P3M";
    scope.shows("program: expectedRenewPeriod=P3M", right);
    let done = bench.made_and_paid() == (1, 1) && renewed.services[0].new_expire_time.is_some();
    scope.shows("program: order of calls", done);
}

async fn field(bench: &Bench, request: &CreateRenewalRequest) -> String {
    let error = bench.run(Op::CreateRenewal, request, "").await.error();
    error.violations.first().map(|it| it.field.clone()).unwrap_or_default()
}

async fn options(bench: &Bench, id: &str, include_options: bool) -> Vec<RenewalOption> {
    let page: Result<_> = bench.options(id, include_options).await;
    page.unwrap().renewal_options
}
