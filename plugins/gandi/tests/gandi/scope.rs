//! Every item of the document, at the place that the mapping gives it. What an item does in detail is
//! told by the tests of its noun; this one shows that nothing of the document is out of reach.

use purveyor_sdk::plugin::v1::{Manifest, Method, Op, resource};
use purveyor_sdk::testing::{Ended, Scope, TestHost, write};
use purveyor_sdk::v1::{
    CheckProviderRequest, CheckProviderResponse, Effect, ErrorReason, ListProductsRequest,
    ListProductsResponse, ListRenewalOptionsRequest, ListRenewalOptionsResponse, Notice, Order,
    OrderItem, Product, Quote, Renewal, Service, TerminateServiceRequest, UpdateServiceRequest,
};
use purveyor_simulators::gandi::{AccountSeed, Mode, Options};
use purveyor_simulators::{Cents, Kind};

use super::driver::{Bench, item, order, renewal, service_name};

const LIST: &str = include_str!("../../../../tests/data/scope/gandi.csv");

#[tokio::test]
async fn every_item_of_the_document_is_reachable() {
    let mut scope = Scope::of(LIST);
    let bench = Bench::new().await;
    let manifest = TestHost::<purveyor_gandi::Gandi>::manifest().unwrap();
    page(&mut scope, &bench, &manifest).await;
    let products = products(&mut scope, &bench).await;
    let service = create(&mut scope, &bench, &manifest, &products).await;
    update(&mut scope, &bench, &manifest, &service).await;
    renew(&mut scope, &bench, &manifest, &service).await;
    delete(&mut scope, &bench, &manifest, &service).await;
    short_spelling(&mut scope).await;
    scope.finish();
}

async fn page(scope: &mut Scope, bench: &Bench, manifest: &Manifest) {
    let nouns = [Op::CreateOrder, Op::UpdateService, Op::CreateRenewal, Op::TerminateService];
    let supported = |op: Op| manifest.methods.iter().any(|method| method.op() == op);
    scope.shows("hosting.product", nouns.into_iter().all(supported));
    let provider = notice(&manifest.notices, "DEPRECATED");
    let methods = nouns.into_iter().all(|op| told(manifest, op, "DEPRECATED"));
    scope.shows("warning: this API is deprecated", provider.is_some() && methods);
    let message = provider.map(|notice| notice.message.as_str()).unwrap_or_default();
    scope.shows("warning: replaced by Gandi credits", message.contains("credits"));

    let checked = check(bench).await;
    let fits = finding(&checked, "API_VERSION") && checked.upstream_version == "3.1.2";
    for method in ["create", "delete", "renew", "update"] {
        scope.shows(&format!("hosting.product.{method}: since 3.1.2"), fits);
    }
    let resources = checked.attributes.unwrap().fields.remove("resources").unwrap();
    let text = format!("{resources:?}");
    let all = ["available", "granted", "used"].iter().all(|word| text.contains(word));
    scope.shows("see also: Check available resources", all);

    let emptied = Mode { emptied: true, api_version: "3.3.0".to_owned(), ..Mode::default() };
    let emptied = Bench::in_mode(emptied).await;
    let gone = emptied.run(&order(vec![item("ips", 1, 1)])).await.error().reason;
    let warned = finding(&check(&emptied).await, "API_VERSION");
    scope.shows(
        "warning: dropped in 3.3.0",
        warned && gone == ErrorReason::UpstreamApiGone && emptied.upstream.ledger().is_empty(),
    );
}

async fn products(scope: &mut Scope, bench: &Bench) -> Vec<Product> {
    let request = ListProductsRequest { parent: "providers/test".to_owned(), ..Default::default() };
    let page: ListProductsResponse =
        bench.plugin.read(Op::ListProducts, &request, "").await.unwrap();
    for name in ["shares", "cores", "disk", "memory", "ips"] {
        let wanted = format!("providers/test/products/{name}");
        let listed = page.products.iter().any(|product| product.name == wanted);
        scope.shows(&format!("ProductDescription.product_name={name}"), listed);
    }
    page.products
}

async fn create(
    scope: &mut Scope,
    bench: &Bench,
    manifest: &Manifest,
    products: &[Product],
) -> Service {
    let write = order(vec![item("cores", 2, 1), item("disk", 3, 12)]);
    let quote = bench.quote(&write).await.unwrap();
    let bought = bench.run(&write).await.order();
    let sold = bench.upstream.ledger();
    let sent: Vec<_> = sold.iter().map(|entry| entry.sale.clone()).collect();
    scope.shows("hosting.product.create", bench.asked("hosting.product.create") == 2);
    scope.shows("hosting.product.create: apikey", refused_with_another_key().await);
    scope.shows("hosting.product.create: product", bought.items.len() == sent.len());
    let types = |order: &Order| order.upstream.as_ref().map(|it| it.r#type.clone());
    scope.shows(
        "hosting.product.create: operation type hosting_account_product_add",
        types(&bought).as_deref() == Some("hosting_account_product_add"),
    );
    let of_items = bought.items.iter().all(|item| item.upstream.is_some());
    let members = bought.attributes.as_ref().unwrap().fields.contains_key("operations");
    scope.shows("hosting.product.create: returns operation", of_items && members);
    costs(scope, manifest, Op::CreateOrder, "create", &quote).await;
    let priced = products.iter().all(|one| one.offers.iter().all(|offer| offer.price.is_some()));
    scope.shows("hosting.product.create: price in the catalogue", priced && quote.price.is_some());

    let duration = |index: usize| sent[index].duration.as_deref();
    let period = |item: &OrderItem| item.term.as_ref().unwrap().period.clone();
    let [month, year] = &bought.items[..] else { panic!("{bought:?}") };
    scope.shows("ProductDescription.duration", duration(0) != duration(1));
    let right = duration(0) == Some("1m") && period(month) == "P1M";
    scope.shows("ProductDescription.duration=1m", right);
    let right = duration(1) == Some("12m") && period(year) == "P1Y";
    scope.shows("ProductDescription.duration=12m", right);
    let service = bench.get_service(id_of(&month.services[0])).await.unwrap();
    let named = month.product.ends_with("/cores") && service.product == month.product;
    scope.shows("ProductDescription.product_name", named);
    scope.shows("ProductDescription.quantity", sent[0].quantity == 2 && service.quantity == 2);

    let mandatory = [
        OrderItem { product: String::new(), ..item("cores", 1, 1) },
        item("cores", 0, 1),
        OrderItem { term: None, ..item("cores", 1, 1) },
    ];
    let mut refused = true;
    for item in mandatory {
        let ended = bench.run(&order(vec![item])).await;
        refused &= ended.error().reason == ErrorReason::FieldViolation;
    }
    scope.shows("mandatory fields", refused && bench.upstream.ledger().len() == sold.len());
    service
}

async fn update(scope: &mut Scope, bench: &Bench, manifest: &Manifest, service: &Service) {
    let changed = Service { name: service.name.clone(), quantity: 5, ..Service::default() };
    let request = UpdateServiceRequest { service: Some(changed), ..Default::default() };
    let write = write(Op::UpdateService, &request, upstream_id(service));
    let quote = bench.quote(&write).await.unwrap();
    let done = bench.run(&write).await.service();
    scope.shows("hosting.product.update", bench.asked("hosting.product.update") == 1);
    scope.shows("hosting.product.update: apikey", last(bench).account == KEY_HANDLE);
    scope.shows("hosting.product.update: product_id", done.name == service.name);
    scope.shows("hosting.product.update: product", last(bench).kind == Kind::ProductUpdate);
    scope.shows("ProductUpdateDescription.quantity", done.quantity == 5);
    operation(scope, "update", &done);
    costs(scope, manifest, Op::UpdateService, "update", &quote).await;
    scope.shows("hosting.product.update: price in the catalogue", quote.price.is_some());
}

async fn renew(scope: &mut Scope, bench: &Bench, manifest: &Manifest, service: &Service) {
    let parent = service.name.clone();
    let request = ListRenewalOptionsRequest { parent, ..Default::default() };
    let listed: ListRenewalOptionsResponse =
        bench.plugin.read(Op::ListRenewalOptions, &request, upstream_id(service)).await.unwrap();
    let options = listed.renewal_options;
    let month = renewal(service, 1);
    let first = write(Op::CreateRenewal, &month, "");
    let quote = bench.quote(&first).await.unwrap();
    let unpaid = purveyor_sdk::v1::CreateRenewalRequest { payment: None, ..month };
    let unpaid = bench.run(&write(Op::CreateRenewal, &unpaid, "")).await.error().reason;
    let done = bench.run(&first).await.renewal();
    let sent = last(bench);
    let asked = bench.asked("hosting.product.renew") == 1;
    scope.shows("hosting.product.renew", asked && unpaid == ErrorReason::PaymentRequired);
    scope.shows("hosting.product.renew: apikey", sent.account == KEY_HANDLE);
    scope.shows("hosting.product.renew: product_id", done.service == service.name);
    scope.shows("hosting.product.renew: product", sent.kind == Kind::ProductRenew);
    let upstream = done.upstream.as_ref().unwrap();
    scope.shows(
        "hosting.product.renew: operation type hosting_account_product_renew",
        upstream.r#type == "hosting_account_product_renew",
    );
    let members = |renewal: &Renewal| {
        renewal.attributes.as_ref().is_some_and(|it| it.fields.contains_key("operation"))
    };
    scope.shows("hosting.product.renew: returns operation", members(&done));
    let noticed = options.iter().all(|option| notice(&option.notices, "NOT_FREE").is_some());
    assert!(noticed, "an option does not say that it costs");
    costs(scope, manifest, Op::CreateRenewal, "renew", &quote).await;
    let priced = options.iter().all(|option| option.price.is_some()) && quote.price.is_some();
    scope.shows("hosting.product.renew: price in the catalogue", priced);

    let again = bench.get_service(upstream_id(service)).await.unwrap();
    let year = bench.run(&write(Op::CreateRenewal, &renewal(&again, 12), "")).await.renewal();
    let period = |renewal: &Renewal| renewal.term.as_ref().unwrap().period.clone();
    let (one, twelve) = (sent.duration, last(bench).duration);
    scope.shows("ProductRenewDescription.duration", one != twelve);
    let right = one.as_deref() == Some("1m") && period(&done) == "P1M";
    scope.shows("ProductRenewDescription.duration=1m", right);
    let right = twelve.as_deref() == Some("12m") && period(&year) == "P1Y";
    scope.shows("ProductRenewDescription.duration=12m", right);
}

async fn delete(scope: &mut Scope, bench: &Bench, manifest: &Manifest, service: &Service) {
    let request = TerminateServiceRequest { name: service.name.clone(), ..Default::default() };
    let done =
        bench.run(&write(Op::TerminateService, &request, upstream_id(service))).await.service();
    let sold = bench.upstream.ledger();
    let deleted = sold.iter().find(|entry| entry.sale.kind == Kind::ProductDelete).unwrap();
    let once = bench.asked("hosting.product.delete") == 1;
    let spends = effect(manifest, Op::TerminateService) == Effect::Spend;
    scope.shows("hosting.product.delete", once && spends);
    scope.shows("hosting.product.delete: apikey", deleted.sale.account == KEY_HANDLE);
    scope.shows("hosting.product.delete: product_id", done.name == service.name);
    operation(scope, "delete", &done);
}

/// The shorter spelling is the same three methods, and is sent where the configuration says so.
async fn short_spelling(scope: &mut Scope) {
    let configuration = purveyor_sdk::serde_json::json!({"spelling": "short"});
    let bench = Bench::with(Options::default(), configuration).await;
    let service = bench.service("cores", 1, 1).await;
    scope.shows("product.create", bench.asked("product.create") == 1);
    let more = Service { name: service.name.clone(), quantity: 2, ..Service::default() };
    let request = UpdateServiceRequest { service: Some(more), ..Default::default() };
    bench.run(&write(Op::UpdateService, &request, upstream_id(&service))).await.service();
    scope.shows("product.update", bench.asked("product.update") == 1);
    bench.run(&write(Op::CreateRenewal, &renewal(&service, 1), "")).await.renewal();
    scope.shows("product.renew", bench.asked("product.renew") == 1);
}

/// The two warnings that stand at each of the three methods that charge.
async fn costs(scope: &mut Scope, manifest: &Manifest, op: Op, method: &str, quote: &Quote) {
    let once = told(manifest, op, "NOT_FREE") && effect(manifest, op) == Effect::Spend;
    scope.shows(&format!("hosting.product.{method}: warning not a free operation"), once);
    let poor = AccountSeed { prepaid: Cents::new(1), ..AccountSeed::default() };
    let options = Options { accounts: vec![poor], ..Options::default() };
    let poor = Bench::with(options, purveyor_sdk::serde_json::json!({})).await;
    let ended = poor.run(&order(vec![item("ips", 1, 1)])).await;
    let refused = matches!(
        ended,
        Ended::Failed(error, None::<resource::Kind>)
            if error.reason == ErrorReason::InsufficientCredit
    );
    let shown = told(manifest, op, "NEEDS_CREDIT") && quote.balance.is_some();
    scope.shows(&format!("hosting.product.{method}: warning enough credit"), shown && refused);
}

/// What updating and deleting answer: an operation of their type, whose members the service shows.
fn operation(scope: &mut Scope, method: &str, service: &Service) {
    let wanted = format!("hosting_account_product_{method}");
    let shown = format!("{:?}", service.attributes.as_ref().unwrap().fields["operation"]);
    let item = format!("hosting.product.{method}: operation type {wanted}");
    scope.shows(&item, shown.contains(&wanted));
    let member = shown.contains("date_created");
    scope.shows(&format!("hosting.product.{method}: returns operation"), member);
}

/// What the simulator calls the account whose key every request carried.
const KEY_HANDLE: &str = "AB3917-GANDI";

async fn refused_with_another_key() -> bool {
    let bench = Bench::new().await;
    let setup = purveyor_sdk::testing::Setup::new(bench.upstream.url());
    let setup = setup.credential("api-key", "zzzzzzzzzzzzzzzzzzzzzzzz");
    let plugin = TestHost::<purveyor_gandi::Gandi>::open(setup).unwrap();
    let ended = plugin.run(&order(vec![item("ips", 1, 1)])).await;
    ended.error().reason == ErrorReason::UpstreamCredentials && bench.upstream.ledger().is_empty()
}

async fn check(bench: &Bench) -> CheckProviderResponse {
    let request = CheckProviderRequest { name: "providers/test".to_owned() };
    bench.plugin.read(Op::CheckProvider, &request, "").await.unwrap()
}

fn finding(checked: &CheckProviderResponse, reason: &str) -> bool {
    checked.findings.iter().any(|finding| finding.reason == reason)
}

fn method(manifest: &Manifest, op: Op) -> &Method {
    manifest.methods.iter().find(|method| method.op() == op).unwrap()
}

fn told(manifest: &Manifest, op: Op, reason: &str) -> bool {
    notice(&method(manifest, op).notices, reason).is_some()
}

/// The strongest effect of a method's calls.
fn effect(manifest: &Manifest, op: Op) -> Effect {
    let calls = &method(manifest, op).calls;
    let declared = manifest.calls.iter().filter(|call| calls.contains(&call.name));
    declared.map(|call| call.effect()).max_by_key(|effect| *effect as i32).unwrap()
}

fn notice<'a>(notices: &'a [Notice], reason: &str) -> Option<&'a Notice> {
    notices.iter().find(|notice| notice.reason == reason)
}

fn last(bench: &Bench) -> purveyor_simulators::Sale {
    bench.upstream.ledger().last().unwrap().sale.clone()
}

fn upstream_id(service: &Service) -> &str {
    id_of(&service.name)
}

fn id_of(name: &str) -> &str {
    assert_eq!(name.rsplit_once('/').map(|(_, id)| service_name(id)).as_deref(), Some(name));
    name.rsplit('/').next().unwrap()
}
