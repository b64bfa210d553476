//! Reading: what can be bought, what an account has, page by page and over all providers, and what is
//! said of those that cannot be asked.

use std::collections::BTreeSet;

use purveyor_sdk::v1::check_provider_response::finding::Severity;
use purveyor_sdk::v1::operation::State as Operating;
use purveyor_sdk::v1::provider::State;
use purveyor_sdk::v1::{
    CheckProviderRequest, GetProviderRequest, ListOrdersRequest, ListProductsRequest,
    ListProvidersRequest, ListServicesRequest,
};
use purveyor_simulators::gandi::{AccountSeed, Mode, Options, ShortCredit};
use purveyor_simulators::{Cents, Fault, FaultKind};
use tonic::Code;

use crate::support::client::{succeeded, told};
use crate::support::program::Program;
use crate::support::requests::{end, purchase};
use crate::support::{
    API_KEY, Gateway, configuration, gandi, gandi_with, provider, spends, until, upstream,
};

#[tokio::test]
async fn a_catalogue_has_every_product_with_its_prices() {
    let (_upstream, provider) = gandi().await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    let parent = "providers/gandi".to_owned();
    let mut request = ListProductsRequest { parent, page_size: 2, ..Default::default() };
    let mut names = Vec::new();
    loop {
        let page = client.products().list_products(request.clone()).await.expect("products");
        let page = page.into_inner();
        assert!(page.products.len() <= 2);
        for product in page.products {
            assert_eq!(product.offers.len(), 2, "{}", product.name);
            let priced = product.offers.iter().all(|offer| offer.price.is_some());
            assert!(priced, "{:?}", product.offers);
            names.push(product.name);
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let ids = ["cores", "disk", "ips", "memory", "shares"];
    let expected = ids.map(|id| format!("providers/gandi/products/{id}"));
    assert_eq!(names.iter().cloned().collect::<BTreeSet<_>>(), expected.into());
    assert_eq!(names.len(), 5, "a product is listed twice");
}

#[tokio::test]
async fn services_of_all_providers_are_one_list_and_who_is_silent_is_named() {
    let ((one, first), (two, second)) = (gandi().await, gandi().await);
    let gateway = configuration().provider("a-first", first).provider("b-second", second);
    let gateway = Gateway::start(gateway).await;
    let client = gateway.client().await;
    let ours = client.bought(purchase("a-first", &[("shares", 2)])).await;
    let mut request =
        ListServicesRequest { parent: "providers/-".to_owned(), ..Default::default() };
    request.page_size = 2;
    let mut names = Vec::new();
    loop {
        let page = client.services().list_services(request.clone()).await.expect("services");
        let page = page.into_inner();
        assert_eq!(page.unreachable, []);
        names.extend(page.services.into_iter().map(|service| service.name));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    // Two that cost nothing on each account, and the one that was bought.
    assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (5, 5), "{names:?}");
    assert!(names.contains(&ours.name) && names.is_sorted_by_key(|name| name.split('/').nth(1)));

    two.inject(Fault::next("*", FaultKind::DropBeforeCommit).times(1000));
    let all = ListServicesRequest { parent: "providers/-".to_owned(), ..Default::default() };
    let page = client.services().list_services(all).await.expect("a part").into_inner();
    assert_eq!(page.services.len(), 3);
    let silent: Vec<_> = page
        .unreachable
        .iter()
        .map(|it| (it.provider.as_str(), it.reason.as_ref().expect("a reason").reason.as_str()))
        .collect();
    assert_eq!(silent, [("providers/b-second", "UPSTREAM_UNAVAILABLE")]);
    let status = client.all_services("b-second").await.expect_err("named alone it fails");
    let (code, reason, _) = told(&status);
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "UPSTREAM_UNAVAILABLE"));
    assert_eq!((spends(&one), spends(&two)), (1, 0));
}

#[tokio::test]
async fn a_provider_tells_what_it_can_do_and_whether_it_works() {
    let (upstream, provider) = gandi_with(Mode::default()).await;
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    let listed = client.providers().list_providers(ListProvidersRequest::default()).await;
    let listed = listed.expect("providers").into_inner().providers;
    let name = "providers/gandi".to_owned();
    let shown = client.providers().get_provider(GetProviderRequest { name: name.clone() }).await;
    let shown = shown.expect("it is configured").into_inner();
    assert_eq!((listed.len(), &listed[0].name, shown.state()), (1, &name, State::Available));
    let methods: BTreeSet<_> = shown.methods.iter().map(|method| method.method.as_str()).collect();
    assert!(methods.contains("Orders.CreateOrder") && methods.contains("Renewals.CreateRenewal"));
    assert!(!methods.contains("Services.SuspendService"), "{methods:?}");

    let check = async || {
        let request = CheckProviderRequest { name: name.clone() };
        client.providers().check_provider(request).await.expect("it can be asked").into_inner()
    };
    let good = check().await;
    assert!(good.findings.iter().all(|it| it.severity() != Severity::Error), "{good:?}");
    let balance = good.balance.and_then(|balance| balance.amount).expect("a balance");
    assert_eq!((balance.currency_code.as_str(), balance.units), ("EUR", 1337));
    succeeded(client.ordered(purchase("gandi", &[("shares", 2)])).await);
    let less = check().await.balance.and_then(|balance| balance.amount).expect("a balance");
    assert!(less.units < balance.units, "{less:?}");
    let rating = Mode { rating: true, ..upstream.mode() };
    upstream.set_mode(rating).expect("a mode");
    let gone = check().await;
    assert!(gone.findings.iter().any(|it| it.severity() == Severity::Error), "{gone:?}");
}

/// An order that is not paid yet stands among the gateway's own rows, and once it has ended among the
/// upstream's. A list that was begun before shows it once all the same.
#[tokio::test]
async fn list_orders_progress_between_pages_shows_every_order_once() {
    let mode = Mode { short_credit: ShortCredit::StuckBill, ..Mode::default() };
    let account = |cents| AccountSeed { prepaid: Cents::new(cents), ..AccountSeed::default() };
    let upstream =
        upstream(Options { mode, accounts: vec![account(0)], ..Options::default() }).await;
    let provider = provider(&upstream);
    let gateway = Gateway::start(configuration().provider("gandi", provider)).await;
    let client = gateway.client().await;
    let mut operations = Vec::new();
    for _ in 0..3 {
        let accepted = client.order(purchase("gandi", &[("shares", 2)])).await.expect("accepted");
        operations.push(client.reaches(&accepted.name, Operating::WaitingUpstream).await);
    }
    let parent = "providers/gandi".to_owned();
    let mut request = ListOrdersRequest { parent, page_size: 1, ..Default::default() };
    let mut names = Vec::new();
    loop {
        let page = client.orders().list_orders(request.clone()).await.expect("orders").into_inner();
        names.extend(page.orders.into_iter().map(|order| order.name));
        if names.len() == 1 {
            let seed = AccountSeed { api_key: API_KEY.to_owned(), ..account(100_000) };
            upstream.put_account(seed).expect("an account");
            for operation in &operations {
                succeeded(client.done(&operation.name).await);
            }
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    // The account began with an operation that nobody ordered here.
    names.retain(|name| !name.ends_with("/637365"));
    let newest_first = operations.iter().rev().map(|operation| operation.target.clone());
    assert_eq!(names, newest_first.collect::<Vec<_>>());
}

/// A service that somebody else has ended is gone when reads that are a listing's lag apart show that, and
/// not by one read, which may have asked a copy that lags.
#[tokio::test]
async fn a_service_that_reads_show_gone_for_a_listings_lag_is_nobodys_any_more() {
    let (_upstream, provider) = gandi().await;
    let lagging = |lag_ms: u64| {
        configuration().provider("gandi", provider.clone().timing("listing_lag_ms", lag_ms))
    };
    let program = Program::start(lagging(3_600_000));
    let client = program.client().await;
    let service = client.bought(purchase("gandi", &[("shares", 1)])).await.name;
    let (_, id) = service.rsplit_once('/').expect("a service's name");
    client.service(&service).await.expect("it is there");
    let claimed = program.open_claims(id);
    assert!(claimed > 0);
    let elsewhere = Gateway::start(lagging(50)).await;
    let ended = elsewhere.client().await.services().terminate_service(end(&service)).await;
    succeeded(elsewhere.client().await.done(&ended.expect("accepted").into_inner().name).await);
    for _ in 0..3 {
        let (_, reason, _) = told(&client.service(&service).await.expect_err("it is gone"));
        assert_eq!(reason, "SERVICE_NOT_FOUND");
        assert_eq!(program.open_claims(id), claimed, "a list that lags an hour shows nothing yet");
    }
    let folder = program.kill();
    lagging(50).write(folder.path()).expect("the configuration is written");
    let program = Program::start_in(folder);
    let client = program.client().await;
    until("its claims are closed", async || {
        client.service(&service).await.expect_err("it is gone");
        program.open_claims(id) == 0
    })
    .await;
}
